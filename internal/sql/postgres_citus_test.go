package sql_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

// likeCitus makes the database behave like a coordinator of Citus, as far as that is possible without the extension: it
// is in the catalogue, CREATE INDEX fails if its message contains anything else, as on the workers that get the message,
// and the setting that distributes schemas is on. The table public.made records each CREATE SCHEMA with that setting.
func (p testDatabase) likeCitus(t *testing.T) {
	t.Helper()
	p.raw(t, "", `SET allow_system_table_mods = on;
		INSERT INTO pg_catalog.pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
		VALUES (99999, 'citus', 10, 'pg_catalog'::regnamespace, false, '13.0-1');
		CREATE TABLE pg_catalog.pg_dist_schema (schemaid oid PRIMARY KEY, colocationid integer);
		GRANT SELECT ON pg_catalog.pg_dist_schema TO PUBLIC;
		RESET allow_system_table_mods`,
		"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET citus.enable_schema_based_sharding = on', current_database()); END $$",
		"CREATE TABLE public.made (statement text, distributes text)",
		`CREATE FUNCTION public.like_citus() RETURNS event_trigger LANGUAGE plpgsql AS $$
			BEGIN
				IF tg_tag = 'CREATE SCHEMA' THEN
					INSERT INTO public.made VALUES (current_query(), current_setting('citus.enable_schema_based_sharding'));
				ELSIF current_query() ~ ';|SAVEPOINT' THEN
					RAISE EXCEPTION 'syntax error on a worker' USING ERRCODE = 'syntax_error';
				END IF;
			END $$`,
		`CREATE EVENT TRIGGER like_citus ON ddl_command_start WHEN TAG IN ('CREATE INDEX', 'CREATE SCHEMA')
			EXECUTE FUNCTION public.like_citus()`,
		"GRANT INSERT, SELECT ON public.made TO PUBLIC")
}

// distributes returns, for the schema, the setting with which its CREATE SCHEMA ran.
func (p testDatabase) distributes(t *testing.T, schema string) string {
	t.Helper()
	return strings.Join(p.lines(t, "", "SELECT distributes FROM public.made WHERE statement LIKE '%"+schema+"%'"), ", ")
}

func TestOnCitus(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.likeCitus(t)
	p.createBoundary(t, "existing")
	p.raw(t, "", "TRUNCATE public.made")
	r := p.newFixture(t)
	for _, tenant := range []string{"acme", "existing"} {
		if got := r.provision(t, tenant); got.Tables != 11 || got.Indexes != 18 || len(got.Warnings) != 0 {
			t.Errorf("%s: %+v", tenant, got)
		}
	}
	// The registry's schema is not distributed, a new tenant's is, and an existing schema stays what it is.
	for schema, want := range map[string]string{"docex_system": "off", "tenant_acme": "on", "tenant_existing": "off"} {
		if got := p.distributes(t, schema); got != want {
			t.Errorf("CREATE SCHEMA %s with sharding %q, want %q", schema, got, want)
		}
	}
}

// An index that fails on Citus is the only one that fails.
func TestFailingIndexOnCitus(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.likeCitus(t)
	r := p.newFixture(t)
	p.raw(t, "", refuseIndex...)
	if got := r.provision(t, "acme"); got.Indexes != 17 || len(got.Warnings) != 1 {
		t.Errorf("%+v", got)
	}
}

// A schema that Citus has distributed cannot hold the registry.
func TestDistributedRegistryIsRefused(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.likeCitus(t)
	p.raw(t, "", "CREATE SCHEMA docex_system", `SET allow_system_table_mods = on;
		INSERT INTO pg_catalog.pg_dist_schema VALUES ('docex_system'::regnamespace, 1);
		RESET allow_system_table_mods`)
	_, err := postgres.Open(t.Context(), postgres.Config{
		URL: p.url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1, CreatedBy: "test", Log: quiet(),
	})
	if err == nil || !strings.Contains(err.Error(), "SELECT citus_schema_undistribute('docex_system')") {
		t.Error(err)
	}
	if pipeline.IsOutage(err) {
		t.Error("an outage: the service would wait for ever")
	}
}

// Before version 12, Citus has no catalogue of distributed schemas: nothing is distributed.
func TestEarlierCitus(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.likeCitus(t)
	p.raw(t, "", "SET allow_system_table_mods = on; DROP TABLE pg_catalog.pg_dist_schema; RESET allow_system_table_mods")
	p.newFixture(t).provision(t, "acme")
	if got := p.serverInfo(t).Citus; got == nil || got.RegistryDistributed {
		t.Errorf("%+v", got)
	}
}

// serverInfo reads what doctor reads.
func (p testDatabase) serverInfo(t *testing.T) postgres.ServerInfo {
	t.Helper()
	v, err := postgres.ReadServerInfo(t.Context(), postgres.Config{
		URL: p.url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1, CreatedBy: "test", Log: quiet(),
	}, time.Now)
	testkit.Must(t, err)
	return v
}

func TestServerInfoOnCitus(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	read := func() *postgres.Citus { return p.serverInfo(t).Citus }
	if got := read(); got != nil {
		t.Errorf("%+v without the extension", *got)
	}
	p.likeCitus(t)
	for value, want := range map[string]time.Duration{"1min": time.Minute, "500ms": time.Second / 2, "-1": -time.Second} {
		p.raw(t, "", "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET citus.recover_2pc_interval = %L', "+
			"current_database(), '"+value+"'); END $$")
		if got := read(); got == nil || *got != (postgres.Citus{Version: "13.0-1", Distributes: true, Recovery: want}) {
			t.Errorf("%s: %+v", value, got)
		}
	}
}

// The commit that adds a boundary to the pool waits for the disk on Citus, and only there.
func TestCommitOfPreparedBoundary(t *testing.T) {
	t.Parallel()
	for citus, want := range map[bool]string{false: "off", true: "on"} {
		t.Run(fmt.Sprint("citus ", citus), func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			if citus {
				p.likeCitus(t)
			}
			r := p.withPool(1).newFixture(t)
			p.raw(t, "", "CREATE TABLE public.commits (mode text)", "GRANT INSERT, SELECT ON public.commits TO PUBLIC",
				`CREATE FUNCTION public.note_commit() RETURNS trigger LANGUAGE plpgsql AS
					$$ BEGIN INSERT INTO public.commits VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$`,
				"CREATE TRIGGER note_commit AFTER INSERT ON {b}prepared_boundaries EXECUTE FUNCTION public.note_commit()")
			runFillers(t, r.postgresStore(t))
			p.awaitPool(t, 1)
			if got := p.lines(t, "", "SELECT mode FROM public.commits"); !slices.Equal(got, []string{want}) {
				t.Errorf("synchronous_commit was %v, want %s", got, want)
			}
		})
	}
}

// rowsWithoutPages put a row into a prepared boundary, {s}, of which it has no page. On Citus that is so for all rows.
var rowsWithoutPages = map[string][]string{
	"a table of the definition": {
		"CREATE TABLE public.child () INHERITS ({s}.docbasket)",
		"INSERT INTO public.child (id, name, storage_config) VALUES ('1', 'b', '{}')",
	},
	"another table": {
		"CREATE TABLE {s}.precious (n integer) PARTITION BY RANGE (n)",
		"CREATE TABLE public.part PARTITION OF {s}.precious FOR VALUES FROM (0) TO (100)",
		"INSERT INTO public.part VALUES (42)",
	},
}

// On Citus a boundary with rows is not used, and doctor does not offer to drop it.
func TestPreparedBoundaryWithRowsOnCitus(t *testing.T) {
	t.Parallel()
	for name, rows := range rowsWithoutPages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			p.likeCitus(t)
			r := p.filledPool(t, 1)
			holds := func() bool {
				t.Helper()
				all, err := p.reader(t).(*postgres.Reader).Prepared(t.Context())
				testkit.Must(t, err)
				return len(all) != 1 || all[0].Holds
			}
			if holds() {
				t.Error("an empty boundary holds rows")
			}
			altered := p.pooled(t)[0]
			for _, s := range rows {
				p.raw(t, "", strings.ReplaceAll(s, "{s}", `"`+altered+`"`))
			}
			if !holds() {
				t.Error("the boundary's rows are not reported")
			}
			req := request(t, "acme")
			if got := verdict(t, r.provisioner.Job(req), pipeline.Retry); !strings.Contains(got.Err.Error(), altered) {
				t.Error(got.Err)
			}
			if got := provisionedOutcome(t, r.decide(t, req)); got.Prepared || got.Attempts != 1 {
				t.Errorf("%+v", got)
			}
			if n := p.count(t, "", "SELECT count(*) FROM pg_namespace WHERE nspname = '"+altered+"'"); n != 1 {
				t.Error("it was dropped")
			}
		})
	}
}

func TestPreparedBoundaryOnCitus(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.likeCitus(t)
	r := p.filledPool(t, 1)
	if got := r.provision(t, "acme"); !got.Prepared || got.Indexes != 18 {
		t.Errorf("%+v", got)
	}
	p.raw(t, "", `CREATE SCHEMA "tenant_full"`, `CREATE TABLE "tenant_full".t AS SELECT 1 AS n`)
	r.expectFailure(t, "full", events.CauseBoundaryNotEmpty)
}

// Without the extension, nothing that knows Citus is sent, but the query for the extension.
func TestNothingOfCitusIsSentElsewhere(t *testing.T) {
	t.Parallel()
	p, trips := newPostgres(t).countingProxy(t)
	r := p.filledPool(t, 1)
	r.provision(t, "prepared")
	r.provision(t, "asked")
	p.createBoundary(t, "existing")
	r.provision(t, "existing")
	testkit.Must(t, r.postgresStore(t).Rehearse(t.Context()))
	_, err := p.reader(t).(*postgres.Reader).Prepared(t.Context())
	testkit.Must(t, err)
	p.serverInfo(t)
	asked := 0
	for _, text := range trips.sent() {
		if strings.Contains(text, "pg_extension") {
			asked++
		} else if strings.Contains(text, "citus") || strings.Contains(text, "pg_dist") {
			t.Errorf("sent to a database without Citus:\n%s", text)
		}
	}
	if asked < 3 { // by the service, the reader and doctor
		t.Errorf("queried for the extension %d times", asked)
	}
}
