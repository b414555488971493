package sql_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

func decode(t *testing.T, o pipeline.Outcome) event.Event {
	t.Helper()
	e, err := events.Decode(map[string][]string{"content-type": {"application/cloudevents+json"}}, o.Body)
	testkit.Must(t, err)
	if e.ID() != o.ID || e.Type() != o.Type {
		t.Fatalf("the event is %s %s, the outcome %s %s", e.ID(), e.Type(), o.ID, o.Type)
	}
	return e
}

func TestTenantIsProvisioned(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		got := r.provision(t, "acme")
		if got.Tables != 11 || got.Indexes != 18 || len(got.Warnings) != 0 || len(got.Steps) != 5 {
			t.Errorf("%+v", got)
		}
		if name := got.SchemaName + got.DatabasePath; name != p.boundary("acme") {
			t.Errorf("boundary %s, want %s", name, p.boundary("acme"))
		}
		if n := r.count(t, "", "SELECT count(*) FROM {b}tenant_registry WHERE tenant_id = 'acme' AND display_name = "+
			"'A Customer' AND created_by = 'billing' AND NOT is_system AND "+
			"last_updated_by IS NULL AND created_at = last_updated_at"); n != 1 {
			t.Error("the registry row is wrong")
		}
		// DocEX can write to it, with only the columns that it always sets.
		r.raw(t, "acme", "INSERT INTO {b}docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')",
			"INSERT INTO {b}document (id, basket_id, name, source, path, checksum) VALUES ('1', '1', 'n', 's', 'p', 'c')")
		if n := r.count(t, "acme", "SELECT count(*) FROM {b}document "+
			"WHERE status = 'active' AND created_at IS NOT NULL"); n != 1 {
			t.Error("defaults are missing")
		}
	})
}

func TestBootstrapTenantExists(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		if n := r.count(t, "", "SELECT count(*) FROM {b}tenant_registry WHERE tenant_id = '_docex_system_' "+
			"AND display_name = 'DocEX System' AND is_system AND created_by = 'test'"); n != 1 {
			t.Error("no bootstrap row")
		}
		for _, table := range []string{"docbasket", "route_operations", "tenant_requests"} {
			if n := r.count(t, "", "SELECT count(*) FROM {b}"+table); n != 0 {
				t.Errorf("%s holds %d rows", table, n)
			}
		}
	})
}

func TestIDsOfAnyLength(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.provision(t, "a")
		long := r.provision(t, strings.Repeat("x", 255))
		if len(long.SchemaName) > 63 {
			t.Errorf("schema name of %d bytes", len(long.SchemaName))
		}
		if len(long.Warnings) != 1 || long.Warnings[0].Code != events.WarnNotDocEXCompatible {
			t.Errorf("warnings %+v", long.Warnings)
		}
		for _, id := range []string{"", strings.Repeat("x", 256)} {
			if f := r.expectFailure(t, id, events.CauseInvalidTenantID); f.Step.Number != 0 || f.Replayable {
				t.Errorf("%+v", f)
			}
		}
		if n := r.countRegistered(t); n != 2 {
			t.Errorf("%d tenants registered, want 2", n)
		}
	})
}

// DocEX's own create() takes 1 to 30 of A–Z a–z 0–9 _, the first not a digit. It opens all other tenants too, except on
// PostgreSQL those whose schema has a hyphen, and those whose name was cut.
func TestWarningsAboutDocEX(t *testing.T) {
	const (
		none   = ""
		opens  = "DocEX opens this tenant, but would not have created it"
		hyphen = "DocEX cannot open this tenant: the name of its schema, tenant_"
		cut    = "DocEX cannot open this tenant: it looks for the whole name, which was too long and was cut to "
	)
	type class struct{ id, postgres, sqlite string }
	x := func(n int) string { return strings.Repeat("x", n) }
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		for _, c := range []class{
			{"acme", none, none},
			{"Acme_Ltd_2", none, none},
			{"_", none, none},
			{"_9", none, none},
			{x(30), none, none},
			{x(31), opens, opens},
			{x(56), opens, opens}, // a schema name of 63 bytes
			{x(57), cut, opens},
			{x(248), cut, opens}, // a directory name of 255 bytes
			{x(249), cut, cut},
			{"1", opens, opens},
			{"9acme", opens, opens},
			{"9" + x(30), opens, opens},
			{"-", hyphen, opens},
			{"a-b", hyphen, opens},
			{"9-b", hyphen, opens},
			{x(30) + "-", hyphen, opens},
			{"-" + x(60), cut, opens},
			{"-" + x(250), cut, cut},
		} {
			got := r.provision(t, c.id)
			want := map[string]string{"postgres": c.postgres, "sqlite": c.sqlite}[p.engine]
			if want == none {
				if len(got.Warnings) > 0 {
					t.Errorf("%q: %+v", c.id, got.Warnings)
				}
				continue
			}
			if len(got.Warnings) != 1 || got.Warnings[0].Code != events.WarnNotDocEXCompatible ||
				got.Warnings[0].Step.Name != "validate_request" || !strings.HasPrefix(got.Warnings[0].Message, want) {
				t.Errorf("%q: %+v, want %s", c.id, got.Warnings, want)
			}
		}
		r.expectFailure(t, "docex_first_tenant", events.CauseReservedTenantID)
		r.expectFailure(t, sql.BootstrapTenant, events.CauseReservedTenantID)
	})
}

func TestTruncatedNamesDiffer(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		same := strings.Repeat("x", 250)
		one, two := r.provision(t, same+"1"), r.provision(t, same+"2")
		if one.SchemaName+one.DatabasePath == two.SchemaName+two.DatabasePath {
			t.Error("two tenants in one boundary")
		}
		// An id may equal another id's truncated name. It must not get that tenant's schema.
		if one.SchemaName != "" {
			squatter := strings.TrimPrefix(one.SchemaName, "tenant_")
			r.expectFailure(t, squatter, events.CauseBoundaryNotEmpty)
		}
	})
}

func TestIDsThatDifferOnlyInCase(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.provision(t, "acme")
		f := r.expectFailure(t, "Acme", events.CauseTenantExists)
		if f.Step.Number != 0 || !strings.Contains(f.Cause.Message, `"acme"`) {
			t.Errorf("%+v", f)
		}
	})
}

func TestInjection(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		for _, id := range []string{
			`x"; DROP SCHEMA docex_system CASCADE; --`, `x'; DROP TABLE tenant_registry; --`, "../../escape",
			"..", ".", "a/b", `a\b`, "a\x00b", "a b", "ä", "a\n", "%2e%2e", "{tenant_id}", "$1",
		} {
			r.expectFailure(t, id, events.CauseInvalidTenantID)
		}
		req := request(t, "quotes")
		nasty := `O'Hara "; DROP TABLE tenant_registry; -- $1 ?1 {schema} {registry}`
		testkit.Must(t, req.Event.SetData("application/json", map[string]string{
			"tenant_id": "quotes", "display_name": nasty, "created_by": nasty,
		}))
		if got := provisionedOutcome(t, r.decide(t, req)); got.DisplayName != nasty {
			t.Errorf("display name %q", got.DisplayName)
		}
		if n := r.countRegistered(t); n != 1 {
			t.Errorf("%d tenants registered, want 1", n)
		}
	})
}

func TestReservedAndMalformed(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.expectFailure(t, "_docex_system_", events.CauseReservedTenantID)
		other := "database"
		if p.engine == "sqlite" {
			other = "schema"
		}
		for strategy, want := range map[string]events.CauseCode{
			other: events.CauseUnsupportedStrategy, "row": events.CauseUnsupportedStrategy,
		} {
			req := request(t, "x")
			testkit.Must(t, req.Event.SetData("application/json", map[string]string{
				"tenant_id": "x", "display_name": "X", "created_by": "x", "isolation_strategy": strategy,
			}))
			failedOutcome(t, r.decide(t, req), want)
		}
		req := request(t, "x")
		req.Event.SetType("order.created")
		failedOutcome(t, r.decide(t, req), events.CauseUnsupportedEventType)
		testkit.Must(t, req.Event.SetData("application/json", map[string]any{"tenant_id": 5}))
		req.Event.SetType(events.TypeRequested)
		req.Event.SetID("another")
		failedOutcome(t, r.decide(t, req), events.CauseInvalidRequest)
	})
}

func TestExistingEmptyBoundaryIsUsed(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		p.createBoundary(t, "bare")
		r.provision(t, "bare")
		p.createBoundary(t, "half")
		p.raw(t, "half", "CREATE TABLE {b}foreigner (n integer)")
		got := r.provision(t, "half")
		if got.Tables != 11 || got.Indexes != 18 {
			t.Errorf("%+v", got)
		}
		if n := p.count(t, "half", "SELECT count(*) FROM {b}foreigner"); n != 0 {
			t.Error("something was dropped")
		}
	})
}

func TestBoundaryWithRowsIsNotTouched(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		p.createBoundary(t, "full")
		p.raw(t, "full", "CREATE TABLE {b}precious (n integer)", "INSERT INTO {b}precious VALUES (42)")
		f := r.expectFailure(t, "full", events.CauseBoundaryNotEmpty)
		if f.Step.Number != 1 || !f.Replayable || !strings.Contains(f.Cause.Message, "precious") || len(f.LeftBehind) != 0 {
			t.Errorf("%+v", f)
		}
		if n := p.count(t, "full", "SELECT n FROM {b}precious"); n != 42 {
			t.Error("the row was touched")
		}
		if n := r.countRegistered(t); n != 0 {
			t.Error("it was registered")
		}
		// After the rows are removed, a replay succeeds.
		p.raw(t, "full", "DELETE FROM {b}precious")
		r.provision(t, "full")
	})
}

func TestMissingColumnIsNamed(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		p.createBoundary(t, "old")
		p.raw(t, "old", "CREATE TABLE {b}docbasket (id varchar(36) NOT NULL PRIMARY KEY, name varchar(255) NOT NULL UNIQUE)")
		f := r.expectFailure(t, "old", events.CauseSchemaInvalid)
		if f.Step.Name != "create_isolation_boundary" ||
			!strings.Contains(f.Cause.Message, "docbasket.storage_config is missing") {
			t.Errorf("%+v", f)
		}
		if len(f.LeftBehind) != 0 {
			t.Errorf("left behind: %v", f.LeftBehind)
		}
		if n := p.count(t, "old", map[string]string{
			"postgres": "SELECT count(*) FROM pg_class WHERE relnamespace = '\"tenant_old\"'::regnamespace AND relkind = 'r'",
			"sqlite":   "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
		}[p.engine]); n != 1 {
			t.Errorf("%d tables after the failure, want the existing one", n)
		}
	})
}

// refuseIndex makes CREATE INDEX idx_documents_status fail on PostgreSQL.
var refuseIndex = []string{
	`CREATE FUNCTION public.refuse_index() RETURNS event_trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%idx_documents_status') THEN
				RAISE EXCEPTION 'no such index here';
			END IF;
		END $$`,
	`CREATE EVENT TRIGGER refuse_index ON ddl_command_end WHEN TAG IN ('CREATE INDEX')
		EXECUTE FUNCTION public.refuse_index()`,
}

func TestFailingIndexIsAWarning(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		p.createBoundary(t, "slow")
		if p.engine == "postgres" {
			p.raw(t, "", refuseIndex...)
		} else {
			p.raw(t, "slow", "CREATE TABLE idx_documents_status (n integer)")
		}
		got := r.provision(t, "slow")
		if got.Tables != 11 || got.Indexes != 17 || len(got.Warnings) != 1 {
			t.Fatalf("%+v", got)
		}
		w := got.Warnings[0]
		if w.Code != events.WarnIndexFailed || w.Step.Name != "create_indexes" ||
			!strings.Contains(w.Message, "idx_documents_status") {
			t.Errorf("%+v", w)
		}
	})
}

// IF NOT EXISTS silently skips an index whose name another object has. Validation detects it.
func TestViewWithTheNameOfAnIndexIsAWarning(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	p.createBoundary(t, "odd")
	p.raw(t, "odd", "CREATE VIEW {b}idx_documents_status AS SELECT 1")
	got := r.provision(t, "odd")
	if got.Indexes != 17 || len(got.Warnings) != 1 || got.Warnings[0].Step.Name != "validate_schema" {
		t.Errorf("%+v", got)
	}
}

func TestRequestHasOneOutcome(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		req := request(t, "once")
		first := r.decide(t, req)
		second := r.decide(t, req)
		if first.ID != second.ID || string(first.Body) != string(second.Body) {
			t.Errorf("two outcomes:\n%s\n%s", first.Body, second.Body)
		}
		if got := provisionedOutcome(t, second); got.Attempts != 1 {
			t.Errorf("%d attempts", got.Attempts)
		}
		f := r.expectFailure(t, "once", events.CauseTenantExists)
		if f.Step.Number != 0 || f.Step.Name != "validate_request" {
			t.Errorf("%+v", f)
		}
	})
}

// Eight requests for one tenant at once on two stores: one wins.
func TestConcurrentRequestsForOneTenant(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		fixtures := []fixture{p.newFixture(t), p.newFixture(t)}
		outcomes := concurrently(t, 8, func(i int) pipeline.Outcome {
			return runUntilDecided(t, fixtures[i%2], request(t, []string{"busy", "Busy"}[i/4]))
		})
		won := 0
		for _, o := range outcomes {
			if o.Provisioned() {
				won++
				continue
			}
			failedOutcome(t, o, events.CauseTenantExists)
		}
		if won != 1 || fixtures[0].countRegistered(t) != 1 {
			t.Errorf("%d won, %d registered, want one each", won, fixtures[0].countRegistered(t))
		}
	})
}

// One request delivered to eight workers on two stores at once: one outcome, the same bytes.
func TestOneRequestOnManyWorkers(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		fixtures := []fixture{p.newFixture(t), p.newFixture(t)}
		req := request(t, "popular")
		outcomes := concurrently(t, 8, func(i int) pipeline.Outcome { return runUntilDecided(t, fixtures[i%2], req) })
		for _, o := range outcomes {
			if string(o.Body) != string(outcomes[0].Body) {
				t.Fatalf("two outcomes:\n%s\n%s", outcomes[0].Body, o.Body)
			}
		}
		provisionedOutcome(t, outcomes[0])
	})
}

// runUntilDecided runs a request until it is decided, as redelivery does.
func runUntilDecided(t *testing.T, r fixture, req pipeline.Request) pipeline.Outcome {
	for t.Context().Err() == nil {
		if result := r.provisioner.Job(req).Run(t.Context()); result.Decided() {
			return result.Outcome
		}
	}
	return pipeline.Outcome{}
}

func concurrently(t *testing.T, n int, do func(i int) pipeline.Outcome) []pipeline.Outcome {
	t.Helper()
	outcomes := make([]pipeline.Outcome, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { outcomes[i] = do(i) })
	}
	wg.Wait()
	return outcomes
}

func TestReplicasStartConcurrently(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				s := p.open(t)
				if err := s.Ping(t.Context()); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := p.count(t, "", "SELECT count(*) FROM {b}tenant_registry"); n != 1 {
			t.Errorf("%d rows, want the bootstrap tenant's", n)
		}
	})
}

// A registry that DocEX made, with ids that differ only in case, which DocEX accepts.
func TestRegistryCreatedByDocEX(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.withDocEX(t)
		row := `INSERT INTO {b}tenant_registry VALUES ('%', 'DocEX''s own', false, 'schema', 's_%', NULL,
			'2025-01-01 00:00:00', 'docex', '2025-01-01 00:00:00', NULL)`
		p.raw(t, "", strings.ReplaceAll(row, "%", "old"), strings.ReplaceAll(row, "%", "Twin"), strings.ReplaceAll(row, "%", "twin"))
		n := p.count(t, "", "SELECT count(*) FROM {b}tenant_registry")
		r := p.newFixture(t)
		r.expectFailure(t, "old", events.CauseTenantExists)
		r.expectFailure(t, "OLD", events.CauseTenantExists)
		r.provision(t, "fresh")
		if got := p.count(t, "", "SELECT count(*) FROM {b}tenant_registry"); got != n+1 {
			t.Errorf("%d tenants, want %d", got, n+1)
		}
	})
}

// A registry that lacks a column of tenant_registry is refused, and nothing is added to it.
func TestRegistryThatLacksAColumn(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.withDocEX(t)
		p.raw(t, "", "ALTER TABLE {b}tenant_registry DROP COLUMN last_updated_by")
		var err error
		if p.engine == "postgres" {
			_, err = tryOpenPostgres(t, p.url)
		} else {
			_, err = tryOpenSQLite(t, p.url)
		}
		if err == nil || !strings.Contains(err.Error(), "last_updated_by") {
			t.Errorf("%v, want the name of the column", err)
		}
		query := map[string]string{
			"postgres": "SELECT relname FROM pg_class WHERE relname IN ('tenant_requests', 'tenant_registry_schema_name')",
			"sqlite":   "SELECT name FROM sqlite_schema WHERE name IN ('tenant_requests', 'tenant_registry_schema_name')",
		}[p.engine]
		if found := p.lines(t, "", query); len(found) > 0 {
			t.Errorf("it has added %v", found)
		}
	})
}
