package sql_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// comparison is what stores and readers have for the comparison with the streams.
type comparison interface {
	Stamp(ctx context.Context) (sql.Stamp, error)
	Entry(ctx context.Context, key string) (sql.LedgerEntry, error)
	IsAccepted(ctx context.Context, outcomeID string) (bool, error)
}

// recovery is what stores restore with.
type recovery interface {
	comparison
	SetStamp(ctx context.Context, id string) error
	SetCheckpoint(ctx context.Context, from, to sql.Checkpoint) (moved bool, err error)
	Restore(ctx context.Context, r sql.Restoration) error
	Accept(ctx context.Context, outcomes []sql.AcceptedOutcome) error
}

// comparableReader is what readers list.
type comparableReader interface {
	comparison
	Entries(ctx context.Context, after string, limit int) ([]sql.LedgerEntry, error)
	Boundaries(ctx context.Context) ([]string, error)
}

func as[I any](t *testing.T, value any) I {
	t.Helper()
	is, ok := value.(I)
	if !ok {
		t.Fatalf("%T lacks a method", value)
	}
	return is
}

func TestEntriesOfTheLedger(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		want := map[string]sql.LedgerEntry{}
		for i := range 7 {
			req := request(t, fmt.Sprintf("tenant%d", i))
			o := r.decide(t, req)
			want[req.Key()] = sql.LedgerEntry{
				Key: req.Key(), TenantID: fmt.Sprintf("tenant%d", i), State: "provisioned", OutcomeID: o.ID,
			}
		}
		failing := request(t, "not valid")
		failing.Replay = 2
		failed := r.decide(t, failing)
		testkit.Must(t, r.store.DeadLetterConfirmed(t.Context(), failing.Key(), failed.ID, "delivery", "2026-01-02T03:04:05Z"))
		want[failing.Key()] = sql.LedgerEntry{
			Key: failing.Key(), State: "failed", Replay: 2, OutcomeID: failed.ID,
			DeadLetterConfirmed: true, DeadLetterStream: "2026-01-02T03:04:05Z",
		}
		running := request(t, "busy")
		_, err := r.store.Claim(t.Context(), running, "busy", pipeline.Limit{Attempts: 3, Lease: time.Minute})
		testkit.Must(t, err)
		want[running.Key()] = sql.LedgerEntry{Key: running.Key(), TenantID: "busy", State: "running"}

		reader := as[comparableReader](t, p.reader(t))
		seen := 0
		for after := ""; ; {
			page, err := reader.Entries(t.Context(), after, 4)
			testkit.Must(t, err)
			for _, e := range page {
				seen++
				if e.Key <= after || e.UpdatedAt.IsZero() {
					t.Errorf("after %s: %+v", after, e)
				}
				after = e.Key
				for _, from := range []comparison{reader, as[comparison](t, r.store)} {
					one, err := from.Entry(t.Context(), e.Key)
					testkit.Must(t, err)
					testkit.Equal(t, "entry alone", one, e)
				}
				e.UpdatedAt = want[e.Key].UpdatedAt
				testkit.Equal(t, "entry", e, want[e.Key])
			}
			if len(page) < 4 {
				break
			}
		}
		testkit.Equal(t, "entries", seen, len(want))
		for _, from := range []comparison{reader, as[comparison](t, r.store)} {
			if _, err := from.Entry(t.Context(), "none"); !errors.Is(err, sql.ErrNotFound) {
				t.Error(err)
			}
		}
		// A replay that fails again: the dead letter of the earlier failure is not this one's.
		failing.Replay = 3
		r.decide(t, failing)
		e, err := reader.Entry(t.Context(), failing.Key())
		testkit.Must(t, err)
		if e.DeadLetterConfirmed || e.DeadLetterStream != "" {
			t.Errorf("%+v", e)
		}
	})
}

func TestAcceptedOutcomes(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		store, reader := as[recovery](t, r.store), as[comparableReader](t, p.reader(t))
		ids := []string{"00000000-0000-5000-8000-000000000000", "not a UUID: \x00 \xff", "third"}
		all := []sql.AcceptedOutcome{
			{OutcomeID: ids[0], Key: "a", TenantID: "acme", Reason: "given up"},
			{OutcomeID: ids[1], Key: "b", Reason: "NUL \x00"},
		}
		for range 2 {
			testkit.Must(t, store.Accept(t.Context(), all))
			all[0].Reason = "another"
		}
		testkit.Must(t, store.Accept(t.Context(), nil))
		for i, id := range ids {
			for _, from := range []comparison{store, reader} {
				got, err := from.IsAccepted(t.Context(), id)
				testkit.Must(t, err)
				testkit.Equal(t, id, got, i < 2)
			}
		}
		got := p.lines(t, "", "SELECT request_key || ' ' || coalesce(tenant_id, '-') || ' ' || reason "+
			"FROM {b}accepted_outcomes ORDER BY request_key")
		if want := []string{"a acme given up", "b - NUL \uFFFD"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// Readers work on registries of earlier versions, and on one that DocEX made.
func TestComparisonWithAnEarlierRegistry(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		store := p.open(t)
		id := registryID(t, store)
		testkit.Must(t, store.Close())
		p.raw(t, "", "ALTER TABLE {b}tenant_requests DROP COLUMN buried_in",
			"ALTER TABLE {b}registry_stamp DROP COLUMN streams_stamped",
			"ALTER TABLE {b}registry_stamp DROP COLUMN checkpoint_stream", "ALTER TABLE {b}registry_stamp DROP COLUMN checkpoint_sequence",
			"ALTER TABLE {b}registry_stamp DROP COLUMN pruned_before",
			"DROP TABLE {b}accepted_outcomes")
		check := func(want sql.Stamp) {
			t.Helper()
			r := as[comparableReader](t, p.reader(t))
			stamp, err := r.Stamp(t.Context())
			testkit.Must(t, err)
			testkit.Equal(t, "stamp", stamp, want)
			if _, err := r.Entry(t.Context(), "key"); !errors.Is(err, sql.ErrNoLedger) {
				t.Error(err)
			}
			if _, err := r.Entries(t.Context(), "", 10); !errors.Is(err, sql.ErrNoLedger) {
				t.Error(err)
			}
			if accepted, err := r.IsAccepted(t.Context(), "id"); accepted || err != nil {
				t.Error(accepted, err)
			}
			if names, err := r.Boundaries(t.Context()); len(names) > 0 || err != nil {
				t.Error(names, err)
			}
		}
		check(sql.Stamp{ID: id})
		p.raw(t, "", "DROP TABLE {b}registry_stamp", "DROP TABLE {b}tenant_requests")
		check(sql.Stamp{})
	})
}

// boundaries lists by a template.
func (p testDatabase) boundaries(t *testing.T, open func() (reader, error)) []string {
	t.Helper()
	r, err := open()
	testkit.Must(t, err)
	defer r.Close()
	names, err := as[comparableReader](t, r).Boundaries(t.Context())
	testkit.Must(t, err)
	return names
}

func TestBoundariesOfTheTemplate(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		long := strings.Repeat("l", 255)
		truncated := r.provision(t, long)
		want := []string{truncated.SchemaName + truncated.DatabasePath} // one of them
		for _, id := range []string{"acme", "_x"} {
			r.provision(t, id)
			want = append(want, p.boundary(id))
		}
		p.createBoundary(t, "planted")
		want = append(want, p.boundary("planted"))
		if p.engine == "postgres" {
			p.raw(t, "", `CREATE SCHEMA "prepared:abc"`, "CREATE SCHEMA tenant_", "CREATE SCHEMA other", `CREATE SCHEMA "tenant_ä"`,
				"CREATE SCHEMA tenant__docex_rehearsal_x_")
		} else {
			testkit.Must(t, os.MkdirAll(p.url+"/tenant_without", 0o755))
			testkit.Must(t, os.MkdirAll(p.url+"/tenant_dir/docex.db", 0o755))
			testkit.Must(t, os.WriteFile(p.url+"/tenant_file", nil, 0o644))
		}
		slices.Sort(want)
		got := p.boundaries(t, func() (reader, error) { return p.readerAt(t, p.url, "tenant_") })
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// All forms of the path template, and none of them lists the registry's file or files beside a database.
func TestBoundariesOfPathTemplates(t *testing.T) {
	t.Parallel()
	for _, template := range []string{
		"{tenant_id}/docex.db", "{tenant_id}.db", "a/{tenant_id}/b/x.db", "t_{tenant_id}_{tenant_id}/x.db", "a/{tenant_id}x.db",
	} {
		t.Run(strings.ReplaceAll(template, "/", ":"), func(t *testing.T) {
			t.Parallel()
			config := sqlite.Config{
				Root: t.TempDir() + "/storage", PathTemplate: template, Connections: 1, Log: quiet(), CreatedBy: "test", Now: time.Now,
			}
			store, err := sqlite.Open(t.Context(), config)
			testkit.Must(t, err)
			p := testDatabase{engine: "sqlite"}
			r := p.newFixtureOn(t, store, store)
			var want []string
			for _, id := range []string{"acme", "b-1", "nats", strings.Repeat("l", 200)} {
				want = append(want, r.provision(t, id).DatabasePath)
			}
			testkit.Must(t, os.MkdirAll(config.Root+"/nats/jetstream", 0o755))
			got := p.boundaries(t, func() (reader, error) { return opened(sqlite.OpenReader(t.Context(), config)) })
			testkit.Must(t, store.Close())
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// The streams have the id, and the store, every other store and reader, and all boundaries follow a change.
func TestSetStamp(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		other := p.newFixture(t)
		store := as[recovery](t, r.store)
		first := registryID(t, r.store)
		for _, id := range []string{first, "0B6D2F0E-5A55-4C4E-9D7B-3A8C2A5F7F11"} {
			r.provision(t, "before"+id[:4])
			testkit.Must(t, store.SetStamp(t.Context(), id))
			want := sql.Stamp{ID: strings.ToLower(id), Streams: true, Bound: true}
			testkit.Equal(t, "the store's id", registryID(t, r.store), want.ID)
			for _, from := range []comparison{store, as[comparison](t, p.reader(t)), as[comparison](t, other.store)} {
				got, err := from.Stamp(t.Context())
				testkit.Must(t, err)
				testkit.Equal(t, "stamp", got, want)
			}
			testkit.Equal(t, "the other store's id", registryID(t, other.store), want.ID)
			r.provision(t, "after"+id[:4])
		}
		if err := store.SetStamp(t.Context(), "production"); err == nil || !strings.Contains(err.Error(), "production") {
			t.Error(err)
		}
		again := p.newFixture(t)
		testkit.Equal(t, "the id after a restart", registryID(t, again.store), registryID(t, r.store))
	})
}

// Schemas that carry the former id get the new one, with an operator's remark; others stay.
func TestSetStampReplacesComments(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	theirs := p.neighbour().newFixture(t)
	former, stamp := registryID(t, r.store), "tenant-provisioner registry "
	theirs.provision(t, "theirs")
	for _, id := range []string{"acme", "noted", "own", "left"} {
		r.provision(t, id)
	}
	p.raw(t, "", "COMMENT ON SCHEMA tenant_noted IS '"+stamp+former+" and it''s a remark'",
		"COMMENT ON SCHEMA tenant_own IS 'no stamp'")
	r.unregister(t, "left")
	p.raw(t, "", `CREATE SCHEMA "prepared:x"`, `COMMENT ON SCHEMA "prepared:x" IS '`+stamp+former+`'`)
	// More schemas than one transaction changes.
	p.raw(t, "", `DO $$ BEGIN FOR i IN 1..1100 LOOP
		EXECUTE format('CREATE SCHEMA tenant_many%s', i);
		EXECUTE format('COMMENT ON SCHEMA tenant_many%s IS %L', i, '`+stamp+former+`');
		IF i % 200 = 0 THEN COMMIT; END IF;
	END LOOP; END $$`)
	const id = "0b6d2f0e-5a55-4c4e-9d7b-3a8c2a5f7f11"
	testkit.Must(t, as[recovery](t, r.store).SetStamp(t.Context(), id))
	for schema, want := range map[string]string{
		"tenant_acme": stamp + id, "tenant_noted": stamp + id + " and it's a remark", "tenant_own": "no stamp",
		"tenant_left": stamp + id, "prepared:x": stamp + id, "docex_system": stamp + id,
		"tenant_theirs": stamp + registryID(t, theirs.store),
	} {
		got := strings.Join(p.lines(t, "", "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace "+
			"WHERE nspname = '"+schema+"'"), " ")
		testkit.Equal(t, schema, got, want)
	}
	testkit.Equal(t, "schemas with the former id", p.count(t, "", "SELECT count(*) FROM pg_description WHERE description LIKE '"+
		stamp+former+"%'"), 0)
	r.provision(t, "left") // still its own
	theirs.expectForeignSchema(t, "acme", "schema docex_system")
}

// The place shows a copy, and no database that was only renamed or restored in place.
func TestCopyOfADatabase(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	store := as[recovery](t, r.store)
	expect := func(want string) {
		t.Helper()
		for _, from := range []comparison{store, as[comparison](t, p.reader(t))} {
			got, err := from.Stamp(t.Context())
			testkit.Must(t, err)
			testkit.Equal(t, "copy of", got.CopyOf, want)
		}
	}
	set := func(place string) {
		t.Helper()
		p.raw(t, "", "UPDATE {b}registry_stamp SET place = "+place)
	}
	expect("")
	testkit.Must(t, store.SetStamp(t.Context(), registryID(t, r.store)))
	expect("")
	here := p.lines(t, "", "SELECT place FROM {b}registry_stamp")[0]
	system, database, _ := strings.Cut(here, "/")
	if system == "" || database == "" {
		t.Errorf("place %q", here)
	}
	set("'1/" + database + "'")
	expect("a database on another server (system identifier 1)")
	set("'" + system + "/' || (SELECT oid FROM pg_database WHERE datname = 'template1')")
	expect("database template1 on the same server")
	set("'/' || (SELECT oid FROM pg_database WHERE datname = 'template1')") // of a role that may not read the identifier
	expect("database template1 on the same server")
	set("'" + system + "/4294967295'") // dropped, and restored under the same name
	expect("")
	set("'/" + database + "'")
	expect("")
	set("''")
	expect("")
	set("NULL")
	expect("")
	set("'1/1'")
	p.raw(t, "", "UPDATE {b}registry_stamp SET streams_stamped = false")
	expect("")
	testkit.Must(t, store.SetStamp(t.Context(), registryID(t, r.store)))
	expect("")
	testkit.Equal(t, "place", p.lines(t, "", "SELECT place FROM {b}registry_stamp")[0], here)
}

// A role that may not read the server's identifier records and compares only the database.
func TestPlaceWithoutTheServersIdentifier(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.open(t).Close())
	role := p.limitedRole(t, "SELECT, INSERT, UPDATE")
	p.raw(t, "", "GRANT SELECT, UPDATE, INSERT ON {b}registry_stamp TO "+role,
		"REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
	limited := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }).newFixture(t)
	store := as[recovery](t, limited.store)
	testkit.Must(t, store.SetStamp(t.Context(), registryID(t, limited.store)))
	if place := p.lines(t, "", "SELECT place FROM {b}registry_stamp")[0]; !strings.HasPrefix(place, "/") || len(place) < 2 {
		t.Errorf("place %q", place)
	}
	stamp, err := store.Stamp(t.Context())
	testkit.Must(t, err)
	if stamp.CopyOf != "" || !stamp.Streams {
		t.Errorf("%+v", stamp)
	}
}

// A file that an interrupted attempt left before the id changed is never used, and never touched.
func TestLeftoverOfTheFormerID(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	req := request(t, "left")
	provisionedOutcome(t, r.decide(t, req))
	r.unregister(t, "left")
	p.raw(t, "", "DELETE FROM tenant_requests")
	testkit.Must(t, as[recovery](t, r.store).SetStamp(t.Context(), "0b6d2f0e-5a55-4c4e-9d7b-3a8c2a5f7f11"))
	before := p.snapshot(t, "left")
	o := r.decide(t, req)
	failedOutcome(t, o, events.CauseBoundaryNotEmpty)
	if p.snapshot(t, "left") != before {
		t.Error("the file was changed")
	}
	if _, err := os.Stat(filepath.Dir(p.boundary("left"))); err != nil {
		t.Error(err)
	}
}
