package postgres

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// faultOf returns the fault in an error.
func faultOf(t *testing.T, err error) *pipeline.Fault {
	t.Helper()
	var fault *pipeline.Fault
	if !errors.As(err, &fault) {
		t.Fatalf("no fault: %v", err)
	}
	return fault
}

// Whatever a script raises is its own fault, except what is known to be passing.
func TestClassOfScriptErrors(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("SELECT 1"))
	for code, want := range map[string]pipeline.Class{
		"40001": pipeline.Transient, "40P01": pipeline.Transient, "55P03": pipeline.Transient,
		"42501": pipeline.Permanent, "57014": pipeline.Permanent, "53300": pipeline.Permanent, "53100": pipeline.Permanent,
		"08006": pipeline.Permanent, "57P01": pipeline.Permanent, "25006": pipeline.Permanent, "23505": pipeline.Permanent,
		"P0001": pipeline.Permanent, "XX000": pipeline.Permanent, "54000": pipeline.Permanent, "3D000": pipeline.Permanent,
	} {
		s.use(t, f.config("SELECT 1;;\nDO $$ BEGIN\n\tRAISE EXCEPTION 'no' USING ERRCODE = '"+code+"', DETAIL = 'why', HINT = 'what';\nEND $$"))
		_, err := provision(t.Context(), s, "acme")
		fault := faultOf(t, err)
		testkit.Equal(t, "class of "+code, fault.Class, want)
		testkit.Equal(t, "code", fault.DriverCode, code)
		if want == pipeline.Permanent {
			testkit.Equal(t, "cause", fault.Code, events.CauseInitScriptFailed)
			testkit.Contains(t, "text", fault.Error(), "000.sql, line 2: ", "no", "DETAIL: why", "HINT: what", "line 2 at RAISE")
		}
	}
}

// The line is that of the file, where the server gives a position in the statement.
func TestLineOfScriptErrors(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("SELECT 1"))
	for text, line := range map[string]int{
		"SELECT 1;;\n\n\nSELECT nothing":                                           4,
		"SELECT 1;;\nSELECT 'ä€𝄞',\n\tnothing;;\nSELECT 1":                         3,
		"CREATE TABLE a (id integer);;\nINSERT INTO a\nVALUES ('x')":               3,
		"SELECT 1;;\n\nCREATE TABLE a (id integer);;\nCREATE TABLE a (id integer)": 4,
	} {
		s.use(t, f.config("SELECT 1", text))
		_, err := provision(t.Context(), s, "acme")
		testkit.Contains(t, "text", scriptFailed(t, err).Error(), fmt.Sprintf("001.sql, line %d: ", line))
	}
}

// A script that takes too long ends, on the server too, and is named.
func TestTimeoutOfScripts(t *testing.T) { //nolint:tparallel // the subtests share one store
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("SELECT 1"))
	for name, text := range map[string]string{
		"a loop":               "DO $$ BEGIN LOOP END LOOP; END $$",
		"sleep":                "SELECT pg_sleep(600)",
		"sleep after changing": "SET LOCAL statement_timeout = 0;;\nSELECT pg_sleep(600)",
		"ignores cancellation": "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$",
	} {
		t.Run(name, func(t *testing.T) {
			c := f.config("SELECT 1", "SELECT 1;;\n\n"+text)
			c.Scripts.Timeout = 2 * time.Second
			s.use(t, c)
			_, err := provision(t.Context(), s, "acme")
			line := 3 + strings.Count(text, ";;")
			testkit.Contains(t, "text", scriptFailed(t, err).Error(), fmt.Sprintf("001.sql, line %d: ", line), "INIT_SCRIPT_TIMEOUT")
			for deadline := time.Now().Add(20 * time.Second); f.text("SELECT count(*)::text FROM pg_stat_activity "+
				"WHERE usename = $1 AND state <> 'idle'", f.role) != "0"; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the server still runs the script")
				}
			}
		})
	}
}

// A connection that is lost while scripts run is an outage. One that the server has ended may be the script's doing, and
// so may count attempts: the fault is not marked as lost, and has file and line.
func TestSessionThatScriptsEnd(t *testing.T) { //nolint:tparallel // the subtests share one database
	t.Parallel()
	const self = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60)"
	const own = "CREATE FUNCTION ends() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN " + self + "; RETURN NULL; END$$;;\n" +
		"CREATE TABLE t (n integer);;\nCREATE CONSTRAINT TRIGGER c AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED " +
		"FOR EACH ROW EXECUTE FUNCTION ends();;\nINSERT INTO t VALUES (1)"
	f := newFence(t)
	s := f.open(f.config("SELECT 1"))
	for name, c := range map[string]struct {
		text, want string
		from       int // the first version of PostgreSQL
	}{
		"ends itself":           {text: "SELECT 1;;\nDO $$BEGIN " + self + "; END$$", want: "000.sql, line 2: the server ended the session"},
		"ends itself at commit": {text: own, want: "the server ended the session; if a script, or a trigger"},
		"a limit of its own": {
			text: "SET LOCAL transaction_timeout = '10ms';;\nSELECT pg_sleep(60)", want: "the server ended the session", from: 17,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if version, err := strconv.Atoi(f.text("SHOW server_version_num")); err != nil || version/10000 < c.from {
				t.Skipf("PostgreSQL %d has no such setting (%v)", version/10000, err)
			}
			s.use(t, f.config(c.text))
			_, err := provision(t.Context(), s, "acme")
			fault := faultOf(t, err)
			testkit.Equal(t, "class", fault.Class, pipeline.Outage)
			testkit.Equal(t, "lost", fault.Lost, false)
			testkit.Contains(t, "text", err.Error(), c.want)
		})
	}
	t.Run("vanishes", func(t *testing.T) {
		b := &build{}
		err := b.scriptFault(t.Context(), sourced{file: "000.sql"}, deadline{}, io.ErrUnexpectedEOF)
		testkit.Equal(t, "lost", faultOf(t, err).Lost, true)
	})
}

// A lock that is held makes the attempt transient.
func TestLockTimeoutOfScripts(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("SET LOCAL lock_timeout = 100;;\nLOCK TABLE public.held"))
	f.execAs(f.url, "CREATE TABLE public.held (id integer)")
	conn, err := pgx.Connect(t.Context(), f.admin)
	testkit.Must(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), "BEGIN; LOCK TABLE public.held")
	testkit.Must(t, err)
	_, err = provision(t.Context(), s, "acme")
	fault := faultOf(t, err)
	testkit.Equal(t, "class", fault.Class, pipeline.Transient)
	testkit.Equal(t, "timed out", fault.TimedOut, true)
}

// The session of scripts ends with the attempt, and what it held with it; without scripts it is used again.
func TestSessionOfScripts(t *testing.T) { //nolint:tparallel // the subtests share one database
	t.Parallel()
	f := newFence(t)
	for name, test := range map[string]struct {
		texts []string
		fails bool
		kept  bool
	}{
		"no scripts":   {kept: true},
		"scripts":      {texts: []string{"LISTEN x;;\nPREPARE y AS SELECT 1;;\nSET work_mem = '1MB'"}},
		"failed":       {texts: []string{"SELECT nothing"}, fails: true},
		"only comment": {texts: []string{"-- nothing"}, kept: false},
	} {
		t.Run(name, func(t *testing.T) {
			s := f.open(f.config(test.texts...))
			var pid, after int
			testkit.Must(t, s.pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
			_, err := provision(t.Context(), s, strings.ReplaceAll(name, " ", "_"))
			testkit.Equal(t, "fails", err != nil, test.fails)
			testkit.Must(t, s.pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&after))
			testkit.Equal(t, "the session is used again", after == pid, test.kept)
		})
	}
}

// A script that ends the transaction is found, also where it begins another.
func TestScriptThatEndsTheTransaction(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("SELECT 1"))
	for i, text := range []string{"COMMIT", "COMMIT;;\nBEGIN", "ROLLBACK", "COMMIT AND CHAIN"} {
		s.use(t, f.config(text))
		_, err := provision(t.Context(), s, fmt.Sprintf("acme%d", i))
		scriptFailed(t, err)
		testkit.Equal(t, "tenants", f.text("SELECT count(*)::text FROM docex_system.tenant_registry WHERE NOT is_system"), "0")
	}
}

// What a deferred trigger sets, after the scripts have ended, does not reach the registry.
func TestSettingsOfDeferredTriggers(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("CREATE TABLE a (id integer);;\nCREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS " +
		"'BEGIN SET client_encoding = LATIN1; SET \"DateStyle\" = German; RETURN NULL; END';;\n" +
		"CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f();;\n" +
		"INSERT INTO a VALUES (1)"))
	_, err := provision(t.Context(), s, "acme")
	testkit.Must(t, err)
	testkit.Equal(t, "the name", f.text("SELECT display_name FROM docex_system.tenant_registry WHERE tenant_id = 'acme'"), displayName)
}

// What a trigger on seed data sets does not reach the registry either, also if all scripts ran when the boundary was
// prepared. The registration looks for names in pg_catalog alone.
func TestSettingsOfSeedTriggers(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"", prepareLine} {
		f := newFence(t)
		c := f.config(first + "CREATE TABLE seeded (id integer);;\nCREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS " +
			"'BEGIN SET client_encoding = LATIN1; SET search_path = seeds; RETURN NULL; END';;\n" +
			"CREATE TRIGGER t AFTER INSERT ON seeded FOR EACH ROW EXECUTE FUNCTION f()")
		c.Seeds = &pipeline.Seeds{Files: []pipeline.SeedFile{{Name: "seeded.csv", Table: "seeded", Rows: []pipeline.SeedRow{
			{Line: 2, Columns: []string{"id"}, Values: []pipeline.SeedValue{{Kind: pipeline.SeedText, Raw: "1"}}},
		}}}}
		c.Prepared = len(first)
		s := f.open(c)
		testkit.Must(t, s.RehearseFurther(t.Context()))
		if first != "" {
			_, err := s.prepareOne(t.Context())
			testkit.Must(t, err)
		}
		f.exec("CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN " +
			"NEW.display_name = NEW.display_name || ' ' || pg_catalog.current_setting('search_path'); RETURN NEW; END$$")
		f.exec("CREATE TRIGGER noted BEFORE INSERT ON docex_system.tenant_registry FOR EACH ROW EXECUTE FUNCTION public.noted()")
		boundary, err := provision(t.Context(), s, "acme")
		testkit.Must(t, err)
		testkit.Equal(t, "prepared", boundary.Prepared, first != "")
		testkit.Equal(t, "the name and search_path", f.text("SELECT display_name FROM docex_system.tenant_registry WHERE tenant_id = 'acme'"),
			displayName+" pg_catalog")
	}
}

const prepareLine = "-- provisioner: prepare\n"

// Scripts of prepared boundaries run when those are built, and the others when one is taken.
func TestScriptsOfPreparedBoundaries(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	c := f.config(prepareLine+"CREATE TABLE made (id serial PRIMARY KEY, v text);;\nINSERT INTO made (v) VALUES ('x');;\n"+
		"ALTER TABLE document ADD COLUMN extra text;;\nCREATE INDEX idx_made ON document (extra)",
		"CREATE TABLE asked AS SELECT current_setting('provisioner.tenant_id') AS tenant, v FROM made")
	c.Prepared = 1
	s := f.open(c)
	testkit.Must(t, s.RehearseFurther(t.Context()))
	build := func() {
		t.Helper()
		built, err := s.prepareOne(t.Context())
		testkit.Must(t, err)
		testkit.Equal(t, "built", built, true)
	}
	build()
	boundary, err := provision(t.Context(), s, "acme")
	testkit.Must(t, err)
	testkit.Equal(t, "prepared", boundary.Prepared, true)
	testkit.Equal(t, "what the scripts made", f.text("SELECT tenant || v FROM tenant_acme.asked"), "acmex")
	boundary, err = provision(t.Context(), s, "from_nothing") // the pool is empty
	testkit.Must(t, err)
	testkit.Equal(t, "prepared", boundary.Prepared, false)

	build()
	schema := f.text("SELECT schema_name FROM docex_system.prepared_boundaries")
	f.execAs(f.url, "ALTER TABLE "+quote(schema)+".document ADD COLUMN another text")
	_, err = provision(t.Context(), s, "altered")
	testkit.Equal(t, "an altered boundary is rejected", errors.Is(err, pipeline.ErrBusy), true)

	other := c
	other.Scripts = &pipeline.Scripts{Timeout: c.Scripts.Timeout, Files: []pipeline.Script{c.Scripts.Files[0], c.Scripts.Files[1]}}
	other.Scripts.Files[0].SHA256 = "other"
	testkit.Equal(t, "the definition depends on the script", f.open(other).prepared.definition != s.prepared.definition, true)
	other.Scripts.Files = other.Scripts.Files[1:]
	testkit.Equal(t, "and not on others", f.open(other).prepared.definition, s.q.definition())
}

// Without scripts for the request, the session of a boundary from the pool is kept.
func TestOnlyPreparedScripts(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	c := f.config(prepareLine + "CREATE INDEX idx_more ON document (name)")
	c.Prepared = 1
	s := f.open(c)
	_, err := s.prepareOne(t.Context())
	testkit.Must(t, err)
	var pid, after int
	testkit.Must(t, s.pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	boundary, err := provision(t.Context(), s, "acme")
	testkit.Must(t, err)
	testkit.Equal(t, "prepared", boundary.Prepared, true)
	testkit.Must(t, s.pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&after))
	testkit.Equal(t, "session", after, pid)
}

// What a script would do to a tenant is found by the rehearsal, which leaves nothing.
func TestRehearsalOfScripts(t *testing.T) { //nolint:tparallel // the subtests share one store
	t.Parallel()
	f := newFence(t)
	c := f.config("SELECT 1")
	c.Prepared = 1
	s := f.open(c)
	f.execAs(f.url, neighbourhood...)
	for name, test := range map[string]struct{ text, want string }{
		"fails":              {"SELECT nothing", "000.sql, line 1"},
		"value too long":     {"CREATE TABLE a (v varchar(30));;\nINSERT INTO a SELECT current_setting('provisioner.tenant_id')", "000.sql, line 2"},
		"no value":           {prepareLine + "SELECT current_setting('provisioner.tenant_id')", "000.sql, line 1"},
		"drops a table":      {"DROP TABLE route_operations", "route_operations is missing"},
		"reaches outside":    {"DELETE FROM foe.t", "foe.t (written)"},
		"prepared, outside":  {prepareLine + "DELETE FROM foe.t", "foe.t (written)"},
		"aborted read":       {"DO $$ BEGIN PERFORM FROM foe.t; RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$", "foe.t (read or written)"},
		"aborted write":      {"DO $$ BEGIN INSERT INTO foe.t VALUES (7); RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$", "foe.t (read or written)"},
		"aborted nextval":    {"DO $$ BEGIN PERFORM nextval('foe.s'); RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$", "foe.s (written)"},
		"aborted role":       {"DO $$ BEGIN ALTER ROLE CURRENT_USER PASSWORD 'x'; RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$", "a role or its password"},
		"aborted schema":     {"DO $$ BEGIN CREATE SCHEMA x; RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $$", "a schema"},
		"deferred violation": {"CREATE TABLE a (id integer UNIQUE DEFERRABLE INITIALLY DEFERRED);;\nINSERT INTO a VALUES (1), (1)", "a deferred constraint"},
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			before := f.text("SELECT string_agg(nspname, ' ') FROM pg_namespace")
			c := f.config(test.text)
			s.use(t, c)
			err := s.RehearseFurther(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			c.Prepared = 1
			if _, err := Rehearse(t.Context(), c); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("doctor: got %v, want %s", err, test.want)
			}
			testkit.Equal(t, "schemas", f.text("SELECT string_agg(nspname, ' ') FROM pg_namespace"), before)
		})
	}
}

// Others that provision, vacuum and analyse at the same time raise no alarm.
func TestScriptsBesideOthers(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	c := f.config("CREATE TABLE a (id integer PRIMARY KEY, v text);;\nCREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1';;\n" +
		"GRANT SELECT ON a TO PUBLIC;;\nINSERT INTO a VALUES (1);;\nDROP TABLE a")
	c.Connections = 5
	s := f.open(c)
	f.execAs(f.url, neighbourhood...)
	var provisioning, others sync.WaitGroup
	done := make(chan struct{})
	for _, statement := range []string{"VACUUM", "ANALYZE", "CREATE TABLE foe.more (id integer)", "DROP TABLE foe.more", "GRANT SELECT ON foe.t TO PUBLIC"} {
		others.Go(func() {
			conn, err := pgx.Connect(t.Context(), f.url)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close(t.Context())
			for {
				select {
				case <-done:
					return
				default:
					_, _ = conn.Exec(t.Context(), statement) // some fail, because others are at the same
				}
			}
		})
	}
	for worker := range 3 {
		provisioning.Go(func() {
			for i := range 4 {
				if _, err := provision(t.Context(), s, fmt.Sprintf("tenant_%d_%d", worker, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	provisioning.Wait()
	close(done)
	others.Wait()
}

// A role that can do with SQL what no rollback undoes runs no scripts.
func TestRoleOfScripts(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	c := f.config("SELECT 1")
	group := f.role + "_app"
	for grant, test := range map[string]struct{ revoke, want string }{
		"ALTER ROLE {role} SUPERUSER":               {"ALTER ROLE {role} NOSUPERUSER", `{role} is a superuser; connect as`},
		"ALTER ROLE {role} CREATEROLE":              {"ALTER ROLE {role} NOCREATEROLE", "NOCREATEROLE"},
		"ALTER ROLE {role} REPLICATION":             {"ALTER ROLE {role} NOREPLICATION", "NOREPLICATION"},
		"GRANT pg_execute_server_program TO {role}": {"REVOKE pg_execute_server_program FROM {role}", "REVOKE pg_execute_server_program FROM"},
		"GRANT pg_signal_backend TO {group}":        {"REVOKE pg_signal_backend FROM {group}", "REVOKE pg_signal_backend FROM"},
		"ALTER ROLE {group} SUPERUSER":              {"ALTER ROLE {group} NOSUPERUSER", "is a member of {group}, which has SUPERUSER"},
		"GRANT pg_write_server_files TO {role}":     {"REVOKE pg_write_server_files FROM {role}", "pg_write_server_files"},
		"GRANT pg_read_server_files TO {role}":      {"REVOKE pg_read_server_files FROM {role}", "pg_read_server_files"},
		"ALTER ROLE {role} CREATEDB":                {"ALTER ROLE {role} NOCREATEDB", ""},
		"ALTER ROLE {role} NOINHERIT":               {"ALTER ROLE {role} INHERIT", ""},
	} {
		names := strings.NewReplacer("{role}", f.role, "{group}", group)
		f.exec("GRANT "+group+" TO "+f.role, names.Replace(grant))
		s, err := Open(t.Context(), c)
		if err == nil {
			testkit.Must(t, s.Close())
		}
		if want := names.Replace(test.want); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", grant, err, want)
		}
		f.exec(names.Replace(test.revoke))
	}
}
