package sql_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// restoration returns what the stream has of a decided request.
func restoration(t *testing.T, req pipeline.Request, o pipeline.Outcome) sql.Restoration {
	t.Helper()
	e := decode(t, o)
	r := sql.Restoration{
		Key: req.Key(), Outcome: pipeline.Outcome{ID: o.ID, Type: o.Type, Body: o.Body}, At: e.Time(),
	}
	if !o.Provisioned() {
		data, err := events.FailedFrom(e)
		testkit.Must(t, err)
		r.Source, r.RequestID, r.Replay, r.Attempts = data.Request.Source, data.Request.ID, data.Replay, data.Attempts
		r.Step, r.Cause, r.Text = data.Step.Name, data.Cause.Code, pipeline.Failure{Cause: data.Cause}.Text()
		if events.ValidateTenantID(data.TenantID) == nil {
			r.TenantID = data.TenantID
		}
		return r
	}
	data, err := events.ProvisionedFrom(e)
	testkit.Must(t, err)
	r.Source, r.RequestID, r.Replay, r.Attempts = data.Request.Source, data.Request.ID, data.Replay, data.Attempts
	r.TenantID = data.TenantID
	r.Tenant = &pipeline.Tenant{
		ID: data.TenantID, DisplayName: data.DisplayName, IsolationStrategy: data.IsolationStrategy, CreatedBy: data.CreatedBy,
		Boundary: pipeline.Boundary{SchemaName: data.SchemaName, DatabasePath: data.DatabasePath}, CreatedAt: data.CreatedAt,
		Plan: pipeline.Plan{Name: data.Plan, Limits: data.PlanLimits}, Scripts: data.Scripts,
		Definition: data.Definition,
	}
	return r
}

// rows returns what a restoration brings back.
func (p testDatabase) rows(t *testing.T) string {
	t.Helper()
	ledger := p.lines(t, "", "SELECT request_key || ' ' || source || ' ' || request_id || ' ' || coalesce(tenant_id, '-') || ' ' || "+
		"state || ' ' || replay || ' ' || attempts || ' ' || coalesce(last_step, '-') || ' ' || coalesce(last_cause, '-') || ' ' || "+
		"coalesce(last_error, '-') || ' ' || outcome_id || ' ' || outcome FROM {b}tenant_requests ORDER BY request_key")
	return strings.Join(append(ledger, p.registryRows(t)...), "\n")
}

func (p testDatabase) registryRows(t *testing.T) []string {
	t.Helper()
	return p.lines(t, "", "SELECT tenant_id || ' ' || display_name || ' ' || is_system || ' ' || isolation_strategy || ' ' || "+
		"coalesce(schema_name, '-') || ' ' || coalesce(database_path, '-') || ' ' || created_at || ' ' || created_by || ' ' || "+
		"last_updated_at || ' ' || coalesce(last_updated_by, '-') || ' ' || coalesce(plan, '-') || ' ' || "+
		"coalesce(plan_max_bytes, -1) || ' ' || coalesce(plan_max_rows, -1) || ' ' || coalesce(definition, '-') FROM {b}tenant_registry ORDER BY tenant_id")
}

// everything returns all columns of ledger and registry.
func (p testDatabase) everything(t *testing.T) string {
	t.Helper()
	return p.rows(t) + strings.Join(p.lines(t, "", "SELECT request_key || history || created_at || updated_at || coalesce(claim, '-') "+
		"FROM {b}tenant_requests ORDER BY request_key"), "\n")
}

// lose removes a request and its tenant from ledger and registry, as an older backup lacks them.
func (p testDatabase) lose(t *testing.T) {
	t.Helper()
	p.raw(t, "", "DELETE FROM {b}tenant_requests", "DELETE FROM {b}tenant_registry WHERE NOT is_system")
}

// addRow writes a row into the tenant's boundary.
func (p testDatabase) addRow(t *testing.T, tenant string) {
	t.Helper()
	p.raw(t, tenant, "INSERT INTO {b}docbasket (id, name, storage_config) VALUES ('1', 'letters', '{}')")
}

// dropBoundary removes the tenant's boundary.
func (p testDatabase) dropBoundary(t *testing.T, tenant string) {
	t.Helper()
	if p.engine == "postgres" {
		p.raw(t, "", `DROP SCHEMA "tenant_`+tenant+`" CASCADE`)
		return
	}
	testkit.Must(t, os.RemoveAll(filepath.Dir(p.boundary(tenant))))
}

// A restored row equals the original, and restoring it again changes nothing.
func TestRestoredRowsEqualTheLostOnes(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		long := request(t, "long_id")
		long.Event.SetID(strings.Repeat("i", 3000))
		replayed := request(t, "not valid")
		p.createBoundary(t, "full")
		p.raw(t, "full", "CREATE TABLE {b}precious (n integer)", "INSERT INTO {b}precious VALUES (1)")
		unstorable := request(t, "unstorable")
		unstorable.Event.SetID("nul \x00 and \u00fc")
		var all []sql.Restoration
		for _, req := range []pipeline.Request{
			request(t, "acme"), long, request(t, "Case"), request(t, "full"), request(t, "acme"), replayed, unstorable,
		} {
			all = append(all, restoration(t, req, r.decide(t, req)))
		}
		replayed.Replay = 2
		all = append(all, restoration(t, replayed, r.decide(t, replayed)))
		p.addRow(t, "acme")
		// The event has a long id cut.
		p.raw(t, "", "UPDATE {b}tenant_requests SET request_id = '"+all[1].RequestID+"' WHERE request_key = '"+all[1].Key+"'")
		want, boundary := p.rows(t), p.snapshot(t, "acme")
		p.lose(t)

		store := as[recovery](t, r.store)
		for _, one := range all {
			testkit.Must(t, store.Restore(t.Context(), one))
		}
		if got := p.rows(t); got != want {
			t.Errorf("restored\n%s\nwant\n%s", got, want)
		}
		first := p.everything(t)
		for _, one := range slices.Backward(all) {
			one.Recreate = true // nothing is missing
			testkit.Must(t, store.Restore(t.Context(), one))
		}
		if got := p.everything(t); got != first {
			t.Errorf("again\n%s\nwant\n%s", got, first)
		}
		if p.snapshot(t, "acme") != boundary {
			t.Error("the tenant's boundary was changed")
		}
		// Times are the event's, and the history says what happened.
		record, err := p.reader(t).Request(t.Context(), all[0].Key)
		testkit.Must(t, err)
		if at := all[0].At.UTC().Truncate(time.Microsecond); !record.CreatedAt.Equal(at) || !record.UpdatedAt.Equal(at) {
			t.Errorf("%s, %s, want %s", record.CreatedAt, record.UpdatedAt, at)
		}
		if len(record.History) != 1 || record.History[0].Event != "restored" || record.History[0].At.IsZero() {
			t.Errorf("%+v", record.History)
		}
		// It is decided, for every delivery.
		again := r.decide(t, long)
		if again.ID != all[1].Outcome.ID || string(again.Body) != string(all[1].Outcome.Body) {
			t.Errorf("another outcome: %s", again.Body)
		}
		r.expectFailure(t, "acme", events.CauseTenantExists)
	})
}

// What is older in the ledger is replaced, and keeps its history; what is newer stays.
func TestRestoreReplacesOlderRows(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		store := as[recovery](t, r.store)
		req := request(t, "not valid")
		first := restoration(t, req, r.decide(t, req))
		req.Replay = 1
		second := restoration(t, req, r.decide(t, req))
		state := func() string {
			t.Helper()
			return p.lines(t, "", "SELECT state || ' ' || replay || ' ' || outcome_id FROM {b}tenant_requests WHERE request_key = '"+
				req.Key()+"'")[0]
		}
		testkit.Must(t, store.Restore(t.Context(), first))
		testkit.Equal(t, "after an older event", state(), "failed 1 "+second.Outcome.ID)
		p.lose(t)
		testkit.Must(t, store.Restore(t.Context(), first))
		testkit.Must(t, store.Restore(t.Context(), second))
		testkit.Equal(t, "after the newer event", state(), "failed 1 "+second.Outcome.ID)
		if got := historyOf(t, p, req.Key()); got != "restored, restored" {
			t.Error(got)
		}

		// Running when the backup was made.
		req = request(t, "acme")
		done := restoration(t, req, r.decide(t, req))
		p.lose(t)
		_, err := r.store.Claim(t.Context(), req, "acme", pipeline.Limit{Attempts: 3, Lease: time.Minute})
		testkit.Must(t, err)
		testkit.Must(t, store.Restore(t.Context(), done))
		testkit.Equal(t, "after it was running", state(), "provisioned 0 "+done.Outcome.ID)
		if got := historyOf(t, p, req.Key()); got != "begun, restored" {
			t.Error(got)
		}

		// Failed at the same replay, by an event that contradicts the success: success wins.
		lost := done
		lost.Outcome.ID = "00000000-0000-5000-8000-000000000000"
		lost.Outcome.Type, lost.Tenant, lost.Cause, lost.Step = events.TypeProvisioningFailed, nil, events.CauseTenantExists, "validate_request"
		p.lose(t)
		testkit.Must(t, store.Restore(t.Context(), lost))
		testkit.Equal(t, "the failure", state(), "failed 0 "+lost.Outcome.ID)
		testkit.Must(t, store.Restore(t.Context(), done))
		testkit.Equal(t, "the success", state(), "provisioned 0 "+done.Outcome.ID)
		if err := store.Restore(t.Context(), lost); !errors.Is(err, sql.ErrOtherRequest) {
			t.Error(err)
		}
		testkit.Equal(t, "the success stays", state(), "provisioned 0 "+done.Outcome.ID)

		// The registry's row alone is missing.
		r.unregister(t, "acme")
		testkit.Must(t, store.Restore(t.Context(), done))
		testkit.Equal(t, "registered", r.countRegistered(t), 1)
	})
}

func historyOf(t *testing.T, p testDatabase, key string) string {
	t.Helper()
	var entries []struct{ Event string }
	text := p.lines(t, "", "SELECT history FROM {b}tenant_requests WHERE request_key = '"+key+"'")[0]
	testkit.Must(t, json.Unmarshal([]byte(text), &entries))
	var all []string
	for _, e := range entries {
		all = append(all, e.Event)
	}
	return strings.Join(all, ", ")
}

// Another request has the tenant, its boundary, or a name that differs only in case: both are named, nothing is changed.
func TestRestoreOfATenantOfAnotherRequest(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		store := as[recovery](t, r.store)
		req := request(t, "acme")
		lost := restoration(t, req, r.decide(t, req))
		lost.Recreate = true
		for name, c := range map[string]struct {
			before func()
			parts  []string
		}{
			"another request has provisioned the tenant": {func() { r.provision(t, "acme") }, []string{`tenant "acme"`, "/test"}},
			"its ledger row alone":                       {func() { r.provision(t, "acme"); r.unregister(t, "acme") }, []string{`tenant "acme"`, "/test"}},
			"another program has registered the tenant": {func() {
				p.insertTenants(t, "acme")
			}, []string{`tenant "acme"`, "billing"}},
			"a name that differs only in case": {func() { r.provision(t, "ACME") }, []string{`"acme"`, `"ACME"`}},
			"the boundary is registered for another tenant": {func() {
				r.provision(t, "other")
				column := map[string]string{"postgres": "schema_name", "sqlite": "database_path"}[p.engine]
				p.raw(t, "", "UPDATE {b}tenant_registry SET "+column+" = '"+p.boundary("acme")+"' WHERE tenant_id = 'other'")
			}, []string{`"other"`, p.boundary("acme")}},
		} {
			t.Run(name, func(t *testing.T) {
				p.lose(t)
				for _, tenant := range []string{"acme", "ACME", "other"} {
					if p.boundaryState(t, tenant) != "" {
						p.dropBoundary(t, tenant)
					}
				}
				c.before()
				before := p.everything(t)
				err := store.Restore(t.Context(), lost)
				if !errors.Is(err, sql.ErrOtherRequest) {
					t.Fatal(err)
				}
				testkit.Contains(t, "the error", err.Error(), append(c.parts, lost.RequestID)...)
				if after := p.everything(t); after != before {
					t.Errorf("changed\n%s\nto\n%s", before, after)
				}
			})
		}
	})
}

// A boundary that is gone is named, or made again and stamped, also for a tenant that is registered.
func TestRestoreWithoutABoundary(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		store := as[recovery](t, r.store)
		for _, registered := range []bool{false, true} {
			tenant := fmt.Sprintf("acme_%v", registered)
			req := request(t, tenant)
			lost := restoration(t, req, r.decide(t, req))
			want := p.rows(t)
			p.dropBoundary(t, tenant)
			if !registered {
				p.raw(t, "", "DELETE FROM {b}tenant_requests WHERE request_key = '"+req.Key()+"'")
				r.unregister(t, tenant)
			}
			before := p.rows(t)
			err := store.Restore(t.Context(), lost)
			if !errors.Is(err, sql.ErrNoBoundary) || !strings.Contains(err.Error(), p.boundary(tenant)) {
				t.Error(err)
			}
			if p.rows(t) != before || p.boundaryState(t, tenant) != "" {
				t.Error("something was changed")
			}
			lost.Recreate = true
			for range 2 {
				testkit.Must(t, store.Restore(t.Context(), lost))
			}
			if got := p.rows(t); got != want {
				t.Errorf("restored\n%s\nwant\n%s", got, want)
			}
			if in := verify(t, p.reader(t), tenant); len(in.Faults()) > 0 {
				t.Errorf("%+v", in)
			}
			if p.engine == "postgres" {
				r.expectStamp(t, tenant)
			} else if names := entries(t, filepath.Dir(p.boundary(tenant))); strings.Contains(names, "building") {
				t.Error(names)
			}
			p.addRow(t, tenant)
		}
	})
}

// A boundary that differs from the definition is not registered, and what differs is named. Missing indexes are no
// obstacle.
func TestRestoreOfATamperedBoundary(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		store := as[recovery](t, r.store)
		for change, want := range map[string]string{
			"DROP TABLE {b}file_history":                              "file_history",
			"ALTER TABLE {b}docbasket RENAME COLUMN description TO x": "description",
			"DROP INDEX {b}idx_documents_status":                      "",
		} {
			tenant := "t" + regexp.MustCompile(`[^a-z]`).ReplaceAllString(want, "")
			req := request(t, tenant)
			lost := restoration(t, req, r.decide(t, req))
			p.addRow(t, tenant)
			p.raw(t, tenant, change)
			p.raw(t, "", "DELETE FROM {b}tenant_requests WHERE request_key = '"+req.Key()+"'")
			r.unregister(t, tenant)
			before := p.rows(t)
			err := store.Restore(t.Context(), lost)
			if want == "" {
				testkit.Must(t, err)
				continue
			}
			expectPermanent(t, err, events.CauseSchemaInvalid, want, p.boundary(tenant))
			if p.rows(t) != before {
				t.Error("a row was written")
			}
		}
	})
}

func expectPermanent(t *testing.T, err error, code events.CauseCode, parts ...string) {
	t.Helper()
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.Class != pipeline.Permanent || fault.Code != code {
		t.Fatalf("%v, want %s", err, code)
	}
	testkit.Contains(t, "the error", err.Error(), parts...)
}

// An event that another publisher made, or one of another configuration, names a boundary that is not a tenant's.
func TestRestoreOfAnUnexpectedBoundary(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		req := request(t, "acme")
		lost := restoration(t, req, r.decide(t, req))
		lost.Recreate = true
		p.lose(t)
		before := p.everything(t)
		for _, at := range []pipeline.Boundary{
			{SchemaName: "public"},
			{SchemaName: "docex_system"},
			{SchemaName: "tenant_other"},
			{},
			{DatabasePath: p.boundary("other")},
			{DatabasePath: p.boundary("")},
			{DatabasePath: "/etc/passwd"},
		} {
			tenant := *lost.Tenant
			tenant.Boundary = at
			forged := lost
			forged.Tenant = &tenant
			expectPermanent(t, as[recovery](t, r.store).Restore(t.Context(), forged), events.CauseSchemaInvalid, p.boundary("acme"))
		}
		for id, code := range map[string]events.CauseCode{
			"../../acme": events.CauseInvalidTenantID, "_docex_system_": events.CauseReservedTenantID,
		} {
			tenant := *lost.Tenant
			tenant.ID = id
			forged := lost
			forged.Tenant = &tenant
			expectPermanent(t, as[recovery](t, r.store).Restore(t.Context(), forged), code)
		}
		if p.everything(t) != before {
			t.Error("something was changed")
		}
	})
}

// A schema of another registry in this database is not restored; one that carries the id of a registry that is lost is,
// and gets this registry's stamp.
func TestRestoreOfASchemaOfAnotherRegistry(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	ours, theirs := p.newFixture(t), p.neighbour().newFixture(t)
	req := request(t, "acme")
	lost := restoration(t, req, ours.decide(t, req))
	p.lose(t)
	p.raw(t, "", "COMMENT ON SCHEMA tenant_acme IS 'tenant-provisioner registry "+registryID(t, theirs.store)+"'")
	err := as[recovery](t, ours.store).Restore(t.Context(), lost)
	expectPermanent(t, err, events.CauseBoundaryNotEmpty, "schema tenant_acme", "shop_system")
	testkit.Equal(t, "registered", ours.countRegistered(t), 0)

	p.raw(t, "", "COMMENT ON SCHEMA tenant_acme IS 'tenant-provisioner registry 0b6d2f0e-5a55-4c4e-9d7b-3a8c2a5f7f11'")
	testkit.Must(t, as[recovery](t, ours.store).Restore(t.Context(), lost))
	ours.expectStamp(t, "acme")
}

// Restorations and ordinary attempts of one request and of its tenant run at the same time: one outcome stands, and the
// tenant is registered once, by it.
func TestRestoreBesideAttempts(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		store := as[recovery](t, r.store)
		for round := range 8 {
			tenant := fmt.Sprintf("acme%d", round)
			req := request(t, tenant)
			lost := restoration(t, req, r.decide(t, req))
			lost.Recreate = true
			p.raw(t, "", "DELETE FROM {b}tenant_requests WHERE request_key = '"+req.Key()+"'")
			r.unregister(t, tenant)
			p.dropBoundary(t, tenant)
			var work sync.WaitGroup
			outcomes := make([]pipeline.Outcome, 2)
			for i, of := range []pipeline.Request{req, request(t, tenant)} {
				work.Go(func() {
					job := r.provisioner.Job(of)
					testkit.Eventually(t, "an outcome", func() bool {
						result := job.Run(t.Context())
						outcomes[i] = result.Outcome
						return result.Decided()
					})
				})
			}
			for range 2 {
				work.Go(func() {
					testkit.Eventually(t, "the restoration", func() bool {
						err := store.Restore(t.Context(), lost)
						return err == nil || errors.Is(err, sql.ErrOtherRequest)
					})
				})
			}
			work.Wait()
			// Registry and ledger agree, with exactly one success.
			winner := p.lines(t, "", "SELECT outcome FROM {b}tenant_requests WHERE tenant_id = '"+tenant+"' AND state = 'provisioned'")
			if len(winner) != 1 {
				t.Fatalf("%d requests have provisioned the tenant", len(winner))
			}
			id := p.lines(t, "", "SELECT outcome_id || '' FROM {b}tenant_requests WHERE tenant_id = '"+tenant+"' AND state = 'provisioned'")
			stands := provisionedOutcome(t, pipeline.Outcome{ID: id[0], Type: events.TypeProvisioned, Body: []byte(winner[0])})
			row, err := p.reader(t).Tenant(t.Context(), tenant)
			testkit.Must(t, err)
			if !row.CreatedAt.Equal(stands.CreatedAt) {
				t.Errorf("registered at %s, the outcome says %s", row.CreatedAt, stands.CreatedAt)
			}
			for _, o := range outcomes {
				if o.Provisioned() && string(o.Body) != winner[0] {
					t.Errorf("two successes:\n%s\n%s", o.Body, winner[0])
				}
			}
		}
	})
}

// A restoration whose process ends before the commit leaves nothing that the next one does not finish.
func TestRestoreThatIsInterrupted(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		req := request(t, "acme")
		lost := restoration(t, req, r.decide(t, req))
		lost.Recreate = true
		want := p.rows(t)
		p.lose(t)
		p.dropBoundary(t, "acme")
		ended, end := context.WithCancel(t.Context())
		end()
		if err := as[recovery](t, r.store).Restore(ended, lost); err == nil {
			t.Error("no error")
		}
		// A trigger fails the commit after the boundary was made.
		fail, allow := failLedger(p.engine)
		p.raw(t, "", fail...)
		err := as[recovery](t, r.store).Restore(t.Context(), lost)
		if err == nil {
			t.Error("no error")
		}
		p.raw(t, "", allow...)
		testkit.Must(t, as[recovery](t, r.store).Restore(t.Context(), lost))
		if got := p.rows(t); got != want {
			t.Errorf("restored\n%s\nwant\n%s", got, want)
		}
	})
}

// failLedger returns the statements after which the ledger silently discards new rows, and those that undo them.
func failLedger(engine string) (fail, allow []string) {
	if engine == "sqlite" {
		fail = []string{"CREATE TRIGGER discard BEFORE INSERT ON tenant_requests BEGIN SELECT RAISE(IGNORE); END"}
		return fail, []string{"DROP TRIGGER discard"}
	}
	fail = []string{
		"CREATE FUNCTION docex_system.discard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
		"CREATE TRIGGER discard BEFORE INSERT ON docex_system.tenant_requests FOR EACH ROW EXECUTE FUNCTION docex_system.discard()",
	}
	return fail, []string{"DROP TRIGGER discard ON docex_system.tenant_requests", "DROP FUNCTION docex_system.discard()"}
}
