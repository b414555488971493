package sql_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

// withPool returns the database with stores that keep n boundaries prepared.
func (p testDatabase) withPool(n int) testDatabase { return p.withPoolAndLog(n, quiet()) }

func (p testDatabase) withPoolAndLog(n int, log *slog.Logger) testDatabase {
	return p.withConfig(postgres.Config{Prepared: n, Log: log})
}

// withConfig is the database with these settings.
func (p testDatabase) withConfig(c postgres.Config) testDatabase {
	where := p.url
	p.open = func(t *testing.T) database {
		t.Helper()
		c.URL, c.Registry, c.SchemaTemplate = where, "docex_system", "tenant_{tenant_id}"
		c.Connections, c.CreatedBy = 4, "test"
		s, err := postgres.Open(t.Context(), c)
		testkit.Must(t, err)
		return s
	}
	return p
}

// postgresStore returns the fixture's PostgreSQL store.
func (r fixture) postgresStore(t *testing.T) *postgres.Store {
	t.Helper()
	s, ok := r.store.(*postgres.Store)
	if !ok {
		t.Fatal("not on PostgreSQL")
	}
	return s
}

// runFillers runs FillPool of each store until stop is called, or the test ends.
func runFillers(t *testing.T, stores ...*postgres.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var fillers sync.WaitGroup
	for _, s := range stores {
		fillers.Go(func() { s.FillPool(ctx) })
	}
	stop = sync.OnceFunc(func() {
		cancel()
		fillers.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// pooled returns the schemas in the pool, oldest first.
func (p testDatabase) pooled(t *testing.T) []string {
	t.Helper()
	return p.lines(t, "", "SELECT schema_name FROM {b}prepared_boundaries ORDER BY created_at")
}

// awaitPool waits until the pool contains n boundaries.
func (p testDatabase) awaitPool(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("the pool holds %d boundaries", n), func() bool { return len(p.pooled(t)) == n })
}

// filledPool returns a fixture with a full pool of n whose filler has stopped.
func (p testDatabase) filledPool(t *testing.T, n int) fixture {
	t.Helper()
	r := p.withPool(n).newFixture(t)
	stop := runFillers(t, r.postgresStore(t))
	p.awaitPool(t, n)
	stop()
	return r
}

// expectNoOrphanSchemas fails the test if a schema belongs neither to a registered tenant nor to the pool.
func (p testDatabase) expectNoOrphanSchemas(t *testing.T) {
	t.Helper()
	left := p.lines(t, "", `SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%'
		AND nspname NOT IN ('information_schema', 'public')
		AND nspname NOT IN (SELECT schema_name FROM {b}tenant_registry)
		AND nspname NOT IN (SELECT schema_name FROM {b}prepared_boundaries)`)
	if len(left) > 0 {
		t.Errorf("orphan schemas: %v", left)
	}
}

func TestTenantTakesAPreparedBoundary(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.filledPool(t, 2)
	first := p.pooled(t)[0]
	got := r.provision(t, "acme")
	if !got.Prepared || got.Tables != 11 || got.Indexes != 18 || got.SchemaName != "tenant_acme" || len(got.Steps) != 5 {
		t.Errorf("%+v", got)
	}
	if left := p.pooled(t); len(left) != 1 || left[0] == first {
		t.Errorf("the pool holds %v, want it without the oldest, %s", left, first)
	}
	r.raw(t, "acme", "INSERT INTO {b}docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')")
	if in := verify(t, p.reader(t), "acme"); len(in.Differences)+len(in.MissingIndexes) > 0 {
		t.Errorf("%+v", in)
	}
	if !r.provision(t, "beta").Prepared || r.provision(t, "gamma").Prepared {
		t.Error("two were ready, and a third was not")
	}
	if got := r.postgresStore(t).Prepared(); got.Target != 2 || got.Taken != 2 || got.Misses != 1 {
		t.Errorf("%+v", got)
	}
	p.expectNoOrphanSchemas(t)
	p.expectSameStructure(t, "acme", "gamma")
}

// expectSameStructure compares the catalogues of two schemas, with all objects in them.
func (p testDatabase) expectSameStructure(t *testing.T, one, two string) {
	t.Helper()
	structure := func(tenant string) []string {
		lines := p.lines(t, tenant, `
			SELECT concat_ws(' ', c.relname, c.relkind, c.relpersistence, c.relowner::regrole, c.relacl) FROM pg_class c WHERE c.relnamespace = 'tenant_`+tenant+`'::regnamespace
				AND c.relkind <> 't'
			UNION ALL SELECT concat_ws(' ', table_name, column_name, ordinal_position, data_type, character_maximum_length,
				is_nullable, column_default)
				FROM information_schema.columns WHERE table_schema = 'tenant_`+tenant+`'
			UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'tenant_`+tenant+`'
			UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
				WHERE connamespace = 'tenant_`+tenant+`'::regnamespace
			UNION ALL SELECT concat_ws(' ', nspowner::regrole, nspacl) FROM pg_namespace
				WHERE nspname = 'tenant_`+tenant+`'`)
		for i := range lines {
			lines[i] = strings.ReplaceAll(lines[i], "tenant_"+tenant, "tenant")
		}
		slices.Sort(lines)
		return lines
	}
	a, b := structure(one), structure(two)
	if len(a) < 11+31+100 || !slices.Equal(a, b) {
		t.Errorf("%d lines and %d:\n%s\n\n%s", len(a), len(b), strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
}

// Two replicas with more requests than boundaries: each boundary goes to one tenant, and other tenants get new ones.
func TestReplicasShareOnePool(t *testing.T) {
	t.Parallel()
	const ready, tenants = 3, 8
	p := newPostgres(t)
	one := p.filledPool(t, ready)
	fixtures := []fixture{one, p.withPool(ready).newFixture(t)}
	oids := p.lines(t, "", "SELECT oid::text FROM pg_namespace WHERE nspname LIKE 'prepared:%'")
	outcomes := concurrently(t, tenants, func(i int) pipeline.Outcome {
		return runUntilDecided(t, fixtures[i%2], request(t, fmt.Sprintf("t%d", i)))
	})
	var prepared []string
	for _, o := range outcomes {
		if got := provisionedOutcome(t, o); got.Prepared {
			prepared = append(prepared, got.SchemaName)
		} else if got.Attempts != 1 {
			t.Errorf("an empty pool cost %+v an attempt", got)
		}
	}
	if len(prepared) != ready || len(p.pooled(t)) != 0 {
		t.Errorf("%d were prepared (%v), the pool holds %v", len(prepared), prepared, p.pooled(t))
	}
	if n := p.count(t, "", "SELECT count(*) FROM pg_namespace WHERE oid::text IN ('"+strings.Join(oids, "','")+"') "+
		"AND nspname IN ('"+strings.Join(prepared, "','")+"')"); n != ready {
		t.Errorf("%d of the prepared tenants have a prepared boundary", n)
	}
	a, b := fixtures[0].postgresStore(t).Prepared(), fixtures[1].postgresStore(t).Prepared()
	if a.Taken+b.Taken != ready || a.Misses+b.Misses != tenants-ready {
		t.Errorf("%+v, %+v", a, b)
	}
	p.expectNoOrphanSchemas(t)
}

// Several fillers fill one pool, however often it is emptied, and never exceed its size.
func TestPoolNeverExceedsItsSize(t *testing.T) {
	t.Parallel()
	const size = 2
	p := newPostgres(t)
	fixtures := []fixture{p.withPool(size).newFixture(t), p.withPool(size).newFixture(t)}
	p.raw(t, "", "CREATE TABLE public.sizes (n integer)",
		`CREATE FUNCTION public.note_size() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN INSERT INTO public.sizes SELECT count(*) FROM docex_system.prepared_boundaries; RETURN NULL; END $$`,
		"CREATE TRIGGER note_size AFTER INSERT ON {b}prepared_boundaries EXECUTE FUNCTION public.note_size()")
	runFillers(t, fixtures[0].postgresStore(t), fixtures[1].postgresStore(t))
	for i := range 4 {
		p.awaitPool(t, size)
		if !fixtures[i%2].provision(t, fmt.Sprintf("t%d", i)).Prepared {
			t.Errorf("tenant %d is not prepared", i)
		}
	}
	p.awaitPool(t, size)
	if n := p.count(t, "", "SELECT max(n) FROM public.sizes"); n != size {
		t.Errorf("the pool held %d boundaries", n)
	}
	p.expectNoOrphanSchemas(t)
}

// Boundaries of another version are not used, counted or dropped.
func TestBoundaryOfAnotherDefinitionIsNotTouched(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.filledPool(t, 1)
	old := p.pooled(t)[0]
	// As the version before left it, whose paths were narrower.
	p.raw(t, "", "UPDATE {b}prepared_boundaries SET definition = '812f2670230b1302'",
		`ALTER TABLE "`+old+`".document ALTER COLUMN source TYPE varchar(255), ALTER COLUMN path TYPE varchar(255)`)
	if r.provision(t, "acme").Prepared {
		t.Error("it was used")
	}
	runFillers(t, r.postgresStore(t))
	p.awaitPool(t, 2)
	if !r.provision(t, "beta").Prepared || !slices.Contains(p.pooled(t), old) {
		t.Errorf("the pool holds %v", p.pooled(t))
	}
	p.expectNoOrphanSchemas(t)
}

// passedOver are ways to make a prepared boundary, {s}, one that cannot be taken.
var passedOver = map[string]string{
	"missing schema": "DROP SCHEMA {s} CASCADE",
	"renamed schema": "ALTER SCHEMA {s} RENAME TO elsewhere",
	"foreign owner":  "ALTER SCHEMA {s} OWNER TO CURRENT_USER",
}

const oneRow = "INSERT INTO {s}.docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')"

// alterations are ways to alter a prepared boundary, {s}, each with a part of the difference that it makes.
var alterations = []struct {
	name, difference string
	do               []string
	// unseen: only a full comparison sees it.
	unseen bool
}{
	{name: "rows", do: []string{oneRow}, difference: "docbasket holds rows"},
	{name: "a table dropped", do: []string{"DROP TABLE {s}.route_operations"}, difference: "table route_operations is missing"},
	{name: "a table renamed", do: []string{"ALTER TABLE {s}.route_operations RENAME TO other"}, difference: "table route_operations is missing"},
	{name: "a table moved out", do: []string{"CREATE SCHEMA o", "ALTER TABLE {s}.route_operations SET SCHEMA o"}, difference: "table route_operations is missing"},
	{name: "a table replaced", do: []string{"DROP TABLE {s}.route_operations", "CREATE TABLE {s}.route_operations (id text)"}, difference: "route_operations.id"},
	{name: "a view instead of a table", do: []string{"DROP TABLE {s}.route_operations", "CREATE VIEW {s}.route_operations AS SELECT 1 AS id"}, difference: "route_operations is a view"},
	{name: "a table's owner", do: []string{"ALTER TABLE {s}.document OWNER TO CURRENT_USER"}, difference: "document has another owner"},
	{name: "a column added", do: []string{"ALTER TABLE {s}.document ADD COLUMN extra text"}, difference: "document.extra is not"},
	{name: "a column narrowed", do: []string{"ALTER TABLE {s}.document ALTER COLUMN path TYPE varchar(255)"}, difference: "path is narrower"},
	{name: "a check", do: []string{"ALTER TABLE {s}.document ADD CHECK (path <> '')"}, difference: "constraint document_path_check"},
	{name: "row security", do: []string{"ALTER TABLE {s}.document ENABLE ROW LEVEL SECURITY"}, difference: "row level security"},
	{name: "a rule", do: []string{"CREATE RULE r AS ON INSERT TO {s}.document DO INSTEAD NOTHING"}, difference: "rule r"},
	{name: "a child", do: []string{"CREATE TABLE {s}.child () INHERITS ({s}.document)"}, difference: "child table"},
	{name: "unlogged", do: []string{"ALTER TABLE {s}.route_operations SET UNLOGGED"}, difference: "UNLOGGED"},
	{name: "replica identity", do: []string{"ALTER TABLE {s}.document REPLICA IDENTITY NOTHING"}, difference: "REPLICA IDENTITY NOTHING"},

	{name: "a column dropped", do: []string{"ALTER TABLE {s}.document DROP COLUMN checksum"}, difference: "document.checksum is missing", unseen: true},
	{name: "a default dropped", do: []string{"ALTER TABLE {s}.document ALTER COLUMN created_at DROP DEFAULT"}, difference: "document.created_at", unseen: true},
	{name: "a column not null", do: []string{"ALTER TABLE {s}.document ALTER COLUMN content_type SET NOT NULL"}, difference: "document.content_type", unseen: true},
	{name: "an index dropped", do: []string{"DROP INDEX {s}.idx_documents_status"}, difference: "idx_documents_status", unseen: true},
	{name: "a unique index", do: []string{"CREATE UNIQUE INDEX u ON {s}.document (path)"}, difference: "unique", unseen: true},
	{name: "a foreign key dropped", do: []string{"ALTER TABLE {s}.document DROP CONSTRAINT document_basket_id_fkey"}, difference: "document", unseen: true},
	{name: "a trigger", do: []string{
		"CREATE FUNCTION {s}.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
		"CREATE TRIGGER g BEFORE INSERT ON {s}.document FOR EACH ROW EXECUTE FUNCTION {s}.f()",
	}, difference: "trigger g", unseen: true},
	{name: "triggers disabled", do: []string{"ALTER TABLE {s}.document DISABLE TRIGGER ALL"}, difference: "disabled", unseen: true},
	{name: "another table with rows", do: []string{"CREATE TABLE {s}.precious (n integer)", "INSERT INTO {s}.precious VALUES (42)", "ALTER TABLE {s}.precious OWNER TO {owner}"}, difference: "precious holds rows", unseen: true},
	{name: "a foreign table", do: []string{
		"CREATE FOREIGN DATA WRAPPER nowhere", "CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere",
		"CREATE FOREIGN TABLE {s}.far (id varchar(36)) SERVER nowhere",
		"GRANT USAGE ON FOREIGN SERVER nowhere TO {owner}", "ALTER FOREIGN TABLE {s}.far OWNER TO {owner}",
	}, difference: "far holds rows, or is a foreign table", unseen: true},
	{name: "another's table", do: []string{"CREATE TABLE {s}.other (n integer)"}, difference: "other has another owner", unseen: true},
	{name: "another's table with rows", do: []string{"CREATE TABLE {s}.other AS SELECT 1 AS n"}, difference: "other has another owner", unseen: true},
	{name: "rows that may not be read", do: []string{oneRow, "REVOKE ALL ON {s}.docbasket FROM PUBLIC, {owner}"}, difference: "cannot be locked or read"},
}

// poolOfRole returns a fixture with a full pool of n, whose role is no superuser, and the oldest boundary.
func (p testDatabase) poolOfRole(t *testing.T, n int) (r fixture, oldest string) {
	t.Helper()
	testkit.Must(t, p.open(t).Close())
	role := p.limitedRole(t, "SELECT, INSERT, UPDATE, DELETE")
	p.raw(t, "", "GRANT CREATE ON DATABASE "+databaseName(t, p)+" TO "+role)
	t.Cleanup(func() { p.raw(t, "", "DROP OWNED BY "+role+" CASCADE") }) // including what other roles created there
	r = p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }).filledPool(t, n)
	return r, p.pooled(t)[0]
}

// alter runs statements in a boundary, {s}, of {owner}.
func (p testDatabase) alter(t *testing.T, boundary string, statements ...string) {
	t.Helper()
	owner := p.lines(t, "", "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = '"+boundary+"'")[0]
	names := strings.NewReplacer("{s}", `"`+boundary+`"`, "{owner}", owner)
	for _, s := range statements {
		p.raw(t, "", names.Replace(s))
	}
}

// comparedAgo makes the last full comparison of the whole pool older.
func (p testDatabase) comparedAgo(t *testing.T, interval string) {
	t.Helper()
	p.raw(t, "", "UPDATE {b}prepared_boundaries SET compared_at = compared_at - interval '"+interval+"'")
}

// expectRejection makes a request take the altered boundary, and the next attempt the other one.
func (r fixture) expectRejection(t *testing.T, p testDatabase, altered, difference string) {
	t.Helper()
	req := request(t, "acme")
	got := verdict(t, r.provisioner.Job(req), pipeline.Retry)
	if !strings.Contains(got.Err.Error(), difference) || !strings.Contains(got.Err.Error(), altered) {
		t.Error(got.Err)
	}
	r.expectNoTenant(t, "acme")
	if n := p.count(t, "", "SELECT count(*) FROM pg_namespace WHERE nspname = '"+altered+"'"); n != 1 {
		t.Error("it was dropped")
	}
	// It was removed from the pool and cost the request no attempt: the other one is used.
	if got := provisionedOutcome(t, r.decide(t, req)); !got.Prepared || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	if left := p.pooled(t); len(left) != 0 {
		t.Errorf("the pool holds %v", left)
	}
}

// A boundary that cannot be renamed fails no request, which takes another one.
func TestBoundaryIsPassedOver(t *testing.T) {
	t.Parallel()
	for name, do := range passedOver {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			r, altered := p.poolOfRole(t, 2)
			p.alter(t, altered, do)
			if got := provisionedOutcome(t, r.decide(t, request(t, "acme"))); !got.Prepared || got.Attempts != 1 {
				t.Errorf("%+v", got)
			}
			if got := r.provision(t, "beta"); got.Prepared || got.Attempts != 1 {
				t.Errorf("%+v", got)
			}
			if left := p.pooled(t); !slices.Equal(left, []string{altered}) {
				t.Errorf("the pool holds %v", left)
			}
		})
	}
}

// An altered boundary fails no request. The attempt that takes it sees that by the question, or if the last full
// comparison is too old, and the next one takes another.
func TestAlteredBoundary(t *testing.T) {
	t.Parallel()
	for _, a := range alterations {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			r, altered := p.poolOfRole(t, 2)
			p.alter(t, altered, a.do...)
			if a.unseen {
				p.comparedAgo(t, "61 minutes")
			}
			r.expectRejection(t, p, altered, a.difference)
		})
	}
}

// What the question does not see, the filler does while the boundary waits, and builds another one.
func TestFillerComparesTheBoundariesThatWait(t *testing.T) {
	t.Parallel()
	for _, a := range alterations {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			r, altered := p.poolOfRole(t, 1)
			p.alter(t, altered, a.do...)
			p.comparedAgo(t, "11 minutes")
			stop := runFillers(t, r.postgresStore(t))
			testkit.Eventually(t, "the altered boundary is replaced", func() bool {
				left := p.pooled(t)
				return len(left) == 1 && left[0] != altered
			})
			stop()
			if got := r.provision(t, "acme"); !got.Prepared || got.Attempts != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What changes no difference costs the request a full comparison at most, and a comparison makes a boundary ready again.
func TestHarmlessChangeOfABoundary(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r, boundary := p.poolOfRole(t, 1)
	unaltered := func() bool {
		return p.count(t, "", "SELECT count(*) FROM {b}prepared_boundaries p, pg_class c WHERE c.oid = ANY (p.relations) "+
			"AND c.xmin = p.versions[array_position(p.relations, c.oid)]") == 11
	}
	p.alter(t, boundary, "VACUUM ANALYZE {s}.document", "VACUUM FREEZE {s}.docbasket", "CREATE TABLE {s}.empty (n integer)", "DROP TABLE {s}.empty")
	testkit.Equal(t, "unaltered after maintenance", unaltered(), true)
	p.alter(t, boundary, "GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO PUBLIC")
	testkit.Equal(t, "unaltered after a GRANT", unaltered(), false)
	p.comparedAgo(t, "11 minutes")
	stop := runFillers(t, r.postgresStore(t))
	testkit.Eventually(t, "it is compared", unaltered)
	stop()
	testkit.Equal(t, "pool", fmt.Sprint(p.pooled(t)), fmt.Sprint([]string{boundary}))
	p.alter(t, boundary, "REVOKE SELECT ON ALL TABLES IN SCHEMA {s} FROM PUBLIC")
	if got := r.provision(t, "acme"); !got.Prepared || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// Pages without rows are what an attempt leaves that loaded seed data and was rolled back: such a boundary is like any
// other, also for doctor.
func TestBoundaryWithPagesWithoutRows(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r, boundary := p.poolOfRole(t, 1)
	p.alter(t, boundary, "BEGIN; "+oneRow+"; ROLLBACK")
	if n := p.count(t, "", "SELECT pg_relation_size('\""+boundary+"\".docbasket')"); n == 0 {
		t.Fatal("no page was left")
	}
	found, err := p.reader(t).(*postgres.Reader).Prepared(t.Context())
	testkit.Must(t, err)
	testkit.Equal(t, "doctor finds rows", found[0].Holds, false)
	p.comparedAgo(t, "11 minutes")
	stop := runFillers(t, r.postgresStore(t))
	testkit.Eventually(t, "it is compared", func() bool {
		return p.count(t, "", "SELECT count(*) FROM {b}prepared_boundaries WHERE compared_at > clock_timestamp() AT TIME ZONE 'utc' - interval '10 minutes'") == 1
	})
	stop()
	if got := r.provision(t, "acme"); !got.Prepared || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	p.expectNoOrphanSchemas(t)
}

// A row that another session has not committed yet costs no request more than a second: it gets a boundary of its own. The
// pool keeps one that cannot be judged now, and the filler goes on with others.
func TestBoundaryThatIsWrittenTo(t *testing.T) {
	t.Parallel()
	p := newPrivatePostgres(t) // beside a snapshot of autovacuum, a request passes over what is locked
	r, boundary := p.poolOfRole(t, 2)
	writer, err := pgx.Connect(t.Context(), p.url)
	testkit.Must(t, err)
	defer writer.Close(context.WithoutCancel(t.Context()))
	_, err = writer.Exec(t.Context(), "BEGIN; "+strings.ReplaceAll(oneRow, "{s}", `"`+boundary+`"`))
	testkit.Must(t, err)
	req := request(t, "acme")
	got := verdict(t, r.provisioner.Job(req), pipeline.Retry)
	testkit.Contains(t, "error", got.Err.Error(), boundary, "another session has locked a table")
	if got := provisionedOutcome(t, r.decide(t, req)); got.Prepared || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	p.comparedAgo(t, "11 minutes")
	// The filler compares the other one, and again has nothing to say of this one.
	log := &warnings{}
	stop := runFillers(t, p.withPoolAndLog(2, slog.New(log)).newFixture(t).postgresStore(t))
	testkit.Eventually(t, "the other one is compared", func() bool {
		return p.count(t, "", "SELECT count(*) FROM {b}prepared_boundaries WHERE compared_at > clock_timestamp() AT TIME ZONE 'utc' - interval '10 minutes'") == 1
	})
	stop()
	testkit.Equal(t, "warnings", strings.Join(log.logged(), "; "), "")
	testkit.Equal(t, "in the pool", slices.Contains(p.pooled(t), boundary), true)
}

// A boundary that an earlier version has prepared is compared in full: by the filler, or by the request that takes it.
func TestBoundaryOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	const forget = "UPDATE {b}prepared_boundaries SET relations = NULL, versions = NULL, compared_at = NULL"
	p := newPrivatePostgres(t) // beside a snapshot of autovacuum, a request passes over what an earlier version has prepared
	r, altered := p.poolOfRole(t, 2)
	p.alter(t, altered, "DROP INDEX {s}.idx_documents_status")
	p.raw(t, "", forget)
	r.expectRejection(t, p, altered, "idx_documents_status")
	runFillers(t, r.postgresStore(t))
	p.awaitPool(t, 2)
	p.raw(t, "", forget)
	testkit.Eventually(t, "both are compared", func() bool {
		return p.count(t, "", "SELECT count(*) FROM {b}prepared_boundaries WHERE cardinality(relations) = 11 AND compared_at IS NOT NULL") == 2
	})
}

// The filler yields: while any replica has an attempt in its transaction, nothing is built.
func TestFillerYieldsToRequests(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	through, trips := p.countingProxy(t)
	replica := through.withPool(1).newFixture(t).postgresStore(t)
	fill := func() { runFillers(t, replica) }
	hooked := p.newFixture(t).withHook(t, only(tables, func(context.Context) error {
		fill()
		for limit := trips.Load() + 20; trips.Load() < limit; { // while it polls
			p.count(t, "", "SELECT count(*) FROM pg_sleep(0.01)")
		}
		if held := p.pooled(t); len(held) > 0 {
			t.Errorf("built during an attempt: %v", held)
		}
		return nil
	}))
	provisionedOutcome(t, decided(t, hooked.Job(request(t, "acme"))).Outcome)
	p.awaitPool(t, 1)
}

// However an attempt fails, its boundary returns to the pool, and no other attempt waits for it.
func TestAttemptReturnsItsBoundary(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.filledPool(t, 2)
	pooled := p.pooled(t)
	for at, step := range stepPoints {
		if step == 1 && at != boundary {
			continue
		}
		tenant := "at_" + string(at)
		job := r.withHook(t, only(at, once(func(context.Context) error { return errOutage }))).Job(request(t, tenant))
		verdict(t, job, pipeline.Pause)
		r.expectNoTenant(t, tenant)
		if now := p.pooled(t); !slices.Equal(now, pooled) {
			t.Errorf("%s: the pool holds %v, and held %v", at, now, pooled)
		}
	}
	// While one attempt holds the first, another one takes the second.
	provisionOthers := func() {
		if !r.provision(t, "beta").Prepared {
			t.Error("the second boundary was not used")
		}
		if r.provision(t, "gamma").Prepared {
			t.Error("a third boundary was used")
		}
	}
	hooked := r.withHook(t, only(inspected, func(context.Context) error {
		provisionOthers()
		return errTransient
	}))
	verdict(t, hooked.Job(request(t, "acme")), pipeline.Retry)
	if now := p.pooled(t); !slices.Equal(now, pooled[:1]) {
		t.Errorf("the pool holds %v, want %v", now, pooled[:1])
	}
}

// An existing schema of the tenant's name has priority: no boundary is taken.
func TestExistingSchemaIsUsedInsteadOfThePool(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.filledPool(t, 1)
	p.createBoundary(t, "bare")
	p.raw(t, "bare", "CREATE TABLE {b}foreigner (n integer)")
	if got := r.provision(t, "bare"); got.Prepared || got.Tables != 11 || got.Indexes != 18 {
		t.Errorf("%+v", got)
	}
	if n := p.count(t, "bare", "SELECT count(*) FROM {b}foreigner"); n != 0 {
		t.Error("something was dropped")
	}
	p.createBoundary(t, "full")
	p.raw(t, "full", "CREATE TABLE {b}precious (n integer)", "INSERT INTO {b}precious VALUES (42)")
	r.expectFailure(t, "full", events.CauseBoundaryNotEmpty)
	r.expectFailure(t, "bare", events.CauseTenantExists)
	if got := r.postgresStore(t).Prepared(); len(p.pooled(t)) != 1 || got.Taken+got.Misses != 0 {
		t.Errorf("%+v, the pool holds %v", got, p.pooled(t))
	}
}

// warnings collects the log records at level warn.
type warnings struct {
	slog.Handler
	mu    sync.Mutex
	texts []string // message and attributes
}

func (w *warnings) Enabled(context.Context, slog.Level) bool { return true }

func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Level >= slog.LevelWarn && !strings.HasPrefix(r.Message, "fsync is off") { // as on the servers of tests
		text := r.Message
		r.Attrs(func(a slog.Attr) bool {
			text += " " + a.String()
			return true
		})
		w.texts = append(w.texts, text)
	}
	return nil
}

// logged are the warnings so far.
func (w *warnings) logged() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.texts)
}

// A filler that cannot build logs so once, retries, and fails no request.
func TestFillerThatFails(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.open(t).Close())
	role := p.limitedRole(t, "SELECT, INSERT, UPDATE, DELETE")
	log := &warnings{}
	as := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") })
	runFillers(t, as.withPoolAndLog(1, slog.New(log)).newFixture(t).postgresStore(t))
	testkit.Eventually(t, "it is logged", func() bool { return len(log.logged()) > 0 })
	p.newFixture(t).provision(t, "acme")
	p.raw(t, "", "GRANT CREATE ON DATABASE "+databaseName(t, p)+" TO "+role)
	p.awaitPool(t, 1)
	if logged := log.logged(); len(logged) != 1 ||
		!strings.HasPrefix(logged[0], "could not prepare boundaries; building them on demand; retrying") {
		t.Errorf("logged:\n%s", strings.Join(logged, "\n"))
	}
}

// A role that may no longer create schemas may not rename a prepared one either, and the log says what it lacks.
func TestRoleThatMayNotRename(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.open(t).Close())
	role, on := p.limitedRole(t, "SELECT, INSERT, UPDATE, DELETE"), " CREATE ON DATABASE "+databaseName(t, p)
	p.raw(t, "", "GRANT"+on+" TO "+role)
	log := &warnings{}
	as := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") })
	r := as.withPoolAndLog(1, slog.New(log)).newFixture(t)
	runFillers(t, r.postgresStore(t))
	p.awaitPool(t, 1)
	p.raw(t, "", "REVOKE"+on+" FROM "+role)
	r.expectFailure(t, "acme", events.CausePermissionDenied)
	logged := strings.Join(log.logged(), "\n")
	testkit.Contains(t, "logged", logged, "grant it CREATE on the database")
	if strings.Contains(logged, "tenant_registry") {
		t.Errorf("logged:\n%s", logged)
	}
}

// A role that may not use the pool builds on demand: the log says so once, and the service stays ready.
func TestRoleThatMayNotUseThePool(t *testing.T) {
	t.Parallel()
	for missing, privileges := range map[string]string{
		"DELETE": "SELECT, INSERT, UPDATE", "UPDATE": "SELECT, INSERT, DELETE", "INSERT": "SELECT, UPDATE, DELETE", "all": "",
	} {
		t.Run(missing, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			testkit.Must(t, p.open(t).Close())
			role := p.limitedRole(t, "SELECT, INSERT, UPDATE")
			p.raw(t, "", "REVOKE ALL ON {b}prepared_boundaries FROM "+role, "GRANT CREATE ON DATABASE "+databaseName(t, p)+" TO "+role)
			if privileges != "" {
				p.raw(t, "", "GRANT "+privileges+" ON {b}prepared_boundaries TO "+role)
			}
			log := &warnings{}
			r := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }).
				withPoolAndLog(1, slog.New(log)).newFixture(t)
			runFillers(t, r.postgresStore(t))
			testkit.Eventually(t, "the pool is reported, or full", func() bool { return len(log.logged()) > 0 || len(p.pooled(t)) == 1 })
			for _, tenant := range []string{"acme", "beta"} {
				if r.provision(t, tenant).Prepared {
					t.Error("a boundary was taken")
				}
			}
			testkit.Must(t, r.store.Ping(t.Context()))
			for _, text := range log.logged() {
				testkit.Contains(t, "logged", text, "prepared")
			}
			if n := len(log.logged()); n == 0 || n > 2 {
				t.Errorf("%d lines: %q", n, log.logged())
			}
		})
	}
}
