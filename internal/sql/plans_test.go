package sql_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

var (
	free      = pipeline.Plan{Name: "free", Limits: events.PlanLimits{MaxBytes: 1 << 30, MaxRows: 100_000}}
	unlimited = pipeline.Plan{Name: "unlimited"}
	// widest has the longest name and the highest limits.
	widest = pipeline.Plan{
		Name:   strings.Repeat("w", pipeline.MaxPlanName),
		Limits: events.PlanLimits{MaxBytes: pipeline.MaxLimit, MaxRows: pipeline.MaxLimit},
	}
)

// setPlans gives the fixture's provisioner plans; the first is the default.
func (r fixture) setPlans(plans ...pipeline.Plan) {
	r.provisioner.Plans = &pipeline.Plans{Default: plans[0].Name, ByName: map[string]pipeline.Plan{}}
	for _, plan := range plans {
		r.provisioner.Plans.ByName[plan.Name] = plan
	}
}

// planRequest returns a new request for the tenant with this plan.
func planRequest(t *testing.T, tenant, plan string) pipeline.Request {
	t.Helper()
	r := request(t, tenant)
	var data map[string]string
	testkit.Must(t, json.Unmarshal(r.Event.Data(), &data))
	data["plan"] = plan
	testkit.Must(t, r.Event.SetData("application/json", data))
	return r
}

// planColumns returns the tenant's columns as they are stored: a dash is no plan, and a limit that is null is left out.
func (p testDatabase) planColumns(t *testing.T, tenant string) string {
	t.Helper()
	return strings.Join(p.lines(t, "", "SELECT coalesce(plan, '-') || coalesce(' ' || CAST(plan_max_bytes AS varchar(20)), '') || "+
		"coalesce(' ' || CAST(plan_max_rows AS varchar(20)), '') FROM {b}tenant_registry WHERE tenant_id = '"+tenant+"'"), "\n")
}

// The plan and its limits are in the registry and in the outcome. Without plans the columns are null.
func TestPlanIsRegistered(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.decide(t, planRequest(t, "before", "gold")) // without plans the field is ignored
		r.setPlans(free, unlimited, widest)
		r.decide(t, request(t, "standard"))
		r.decide(t, planRequest(t, "open", unlimited.Name))
		wide := provisionedOutcome(t, r.decide(t, planRequest(t, "wide", widest.Name)))
		testkit.Equal(t, "plan of the outcome", pipeline.Plan{Name: wide.Plan, Limits: wide.PlanLimits}, widest)
		failedOutcome(t, r.decide(t, planRequest(t, "none", "gold")), events.CauseInvalidRequest)

		for tenant, want := range map[string]string{
			"before": "-", "standard": "free 1073741824 100000", "open": "unlimited",
			"wide": widest.Name + " 9007199254740991 9007199254740991", "none": "", sql.BootstrapTenant: "-",
		} {
			testkit.Equal(t, "columns of "+tenant, p.planColumns(t, tenant), want)
		}
		read := p.reader(t)
		page, err := read.Tenants(t.Context(), "", 100)
		testkit.Must(t, err)
		for _, row := range page {
			want := map[string]pipeline.Plan{"standard": free, "open": unlimited, "wide": widest}[row.ID]
			testkit.Equal(t, "plan of "+row.ID, row.Plan, want)
			for _, from := range []any{read, r.store} {
				one, err := as[interface {
					Tenant(ctx context.Context, id string) (sql.TenantRow, error)
				}](t, from).Tenant(t.Context(), row.ID)
				testkit.Must(t, err)
				testkit.Equal(t, "plan of "+row.ID, one.Plan, want)
			}
		}
		r.decide(t, request(t, "standard_2"))
		counts := countPlans(t, read, 10)
		want := []sql.PlanCount{{Plan: "free", Tenants: 2}, {Plan: "unlimited", Tenants: 1}, {Plan: widest.Name, Tenants: 1}}
		if !slices.Equal(counts, want) {
			t.Errorf("%+v, want %+v", counts, want)
		}
		testkit.Equal(t, "counts, limited", len(countPlans(t, read, 2)), 2)
	})
}

func countPlans(t *testing.T, r reader, limit int) []sql.PlanCount {
	t.Helper()
	counts, err := as[interface {
		CountPlans(ctx context.Context, limit int) ([]sql.PlanCount, error)
	}](t, r).CountPlans(t.Context(), limit)
	testkit.Must(t, err)
	return counts
}

// A request that is delivered again has the outcome that is recorded, byte for byte, whatever the plans are by then. A
// replay of a failed one is decided by the plans of its time.
func TestPlanOfARepeatedRequest(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.setPlans(free)
		done, failed := planRequest(t, "acme", free.Name), planRequest(t, "beta", unlimited.Name)
		first := r.decide(t, done)
		failedOutcome(t, r.decide(t, failed), events.CauseInvalidRequest)
		for _, change := range []func(){
			func() { r.setPlans(pipeline.Plan{Name: "free", Limits: events.PlanLimits{MaxRows: 1}}) },
			func() { r.setPlans(unlimited) }, func() { r.provisioner.Plans = nil },
		} {
			change()
			again := r.decide(t, done)
			testkit.Equal(t, "outcome", string(again.Body), string(first.Body))
			testkit.Equal(t, "columns", p.planColumns(t, "acme"), "free 1073741824 100000")
		}
		r.setPlans(free, unlimited)
		failed.Replay = 1
		testkit.Equal(t, "plan of the replay", provisionedOutcome(t, r.decide(t, failed)).Plan, "unlimited")
	})
}

// Readers work on a registry that has yet to get the columns, and on DocEX's own.
func TestReadersOfARegistryWithoutPlans(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, testDatabase){
		"earlier": func(t *testing.T, p testDatabase) {
			p.newFixture(t).provision(t, "acme")
			p.dropPlans(t)
		},
		"DocEX": func(t *testing.T, p testDatabase) { p.withDocEX(t) },
	} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, p testDatabase) {
				prepare(t, p)
				read := p.reader(t)
				page, err := read.Tenants(t.Context(), "", 100)
				testkit.Must(t, err)
				one, err := read.Tenant(t.Context(), sql.BootstrapTenant)
				testkit.Must(t, err)
				if len(page) == 0 || one.ID != sql.BootstrapTenant || one.Plan != (pipeline.Plan{}) {
					t.Errorf("%d rows, %+v", len(page), one)
				}
				testkit.Equal(t, "plans", len(countPlans(t, read, 10)), 0)
			})
		})
	}
}

// The migration leaves the rows as they are, and other programs go on without the columns.
func TestMigrationOfPlans(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.newFixture(t).provision(t, "acme")
		row := func() string {
			return strings.Join(p.lines(t, "", "SELECT tenant_id || created_at || last_updated_at || coalesce(last_updated_by, '-') "+
				"FROM {b}tenant_registry ORDER BY tenant_id"), "\n")
		}
		before := row()
		p.dropPlans(t)
		p.raw(t, "", "DELETE FROM {b}tenant_provisioner_migrations WHERE version_id >= "+
			map[string]string{"postgres": "10", "sqlite": "8"}[p.engine])
		r := p.newFixture(t)
		testkit.Equal(t, "rows", row(), before)
		testkit.Equal(t, "columns", p.planColumns(t, "acme"), "-")
		p.insertTenants(t, "other") // as DocEX, and an earlier version, do
		testkit.Equal(t, "columns", p.planColumns(t, "other"), "-")
		r.setPlans(free)
		r.provision(t, "beta")
		testkit.Must(t, p.checkTables(t))
	})
}

// What restores a row from its outcome, a repair or the statement that doctor prints, restores the plan.
func TestPlanIsRestored(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.setPlans(free, unlimited, widest)
		var all []sql.Restoration
		for _, plan := range []string{free.Name, unlimited.Name, widest.Name} {
			req := planRequest(t, plan[:4], plan)
			all = append(all, restoration(t, req, r.decide(t, req)))
		}
		r.provisioner.Plans = nil
		req := request(t, "none")
		all = append(all, restoration(t, req, r.decide(t, req)))
		want := strings.Join(p.registryRows(t), "\n")
		p.lose(t)
		for _, one := range all {
			testkit.Must(t, as[recovery](t, r.store).Restore(t.Context(), one))
		}
		testkit.Equal(t, "restored", strings.Join(p.registryRows(t), "\n"), want)

		p.raw(t, "", "DELETE FROM {b}tenant_registry WHERE NOT is_system")
		lost, err := as[interface {
			Unregistered(ctx context.Context, limit int) ([]sql.Unregistered, error)
		}](t, p.reader(t)).Unregistered(t.Context(), 10)
		testkit.Must(t, err)
		testkit.Equal(t, "lost", len(lost), len(all))
		for _, one := range lost {
			p.raw(t, "", one.Register)
		}
		testkit.Equal(t, "registered again", strings.Join(p.registryRows(t), "\n"), want)
	})
}

// A prepared boundary is taken with a plan as without one, in as many round trips.
func TestPlanCostsNoRoundTrip(t *testing.T) {
	t.Parallel()
	for name, prepared := range map[string]int{"as asked": 0, "prepared": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, trips := newPostgres(t).countingProxy(t)
			r := p.filledPool(t, prepared)
			r.provision(t, "first") // it prepares statements
			count := func(req pipeline.Request) (int64, events.Provisioned) {
				before := trips.Load()
				got := provisionedOutcome(t, r.decide(t, req))
				return trips.Load() - before, got
			}
			without, _ := count(request(t, "without"))
			r.setPlans(free)
			with, got := count(planRequest(t, "with", free.Name))
			testkit.Equal(t, "round trips", with, without)
			testkit.Equal(t, "prepared", got.Prepared, prepared > 0)
			testkit.Equal(t, "columns", p.planColumns(t, "with"), "free 1073741824 100000")
		})
	}
}

// The rehearsal finds a column that is too narrow for a plan.
func TestRehearsalFindsANarrowPlan(t *testing.T) {
	t.Parallel()
	for column, narrower := range map[string]string{"plan": "varchar(49)", "plan_max_bytes": "integer", "plan_max_rows": "integer"} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			r := p.newFixture(t)
			testkit.Must(t, r.store.Rehearse(t.Context()))
			p.raw(t, "", "ALTER TABLE {b}tenant_registry ALTER COLUMN "+column+" TYPE "+narrower)
			if err := r.store.Rehearse(t.Context()); err == nil {
				t.Error("the rehearsal succeeds")
			}
		})
	}
}
