package sql_test

import (
	databasesql "database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// A rehearsal does everything that a request needs, and leaves nothing behind.
func TestRehearsal(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		all := func() (all []string) {
			for _, table := range []string{"tenant_registry", "tenant_requests", "document"} {
				all = append(all, r.lines(t, "", "SELECT count(*) || '' FROM {b}"+table)...)
			}
			if r.engine == "sqlite" {
				return append(all, entries(t, r.url))
			}
			return append(all, r.lines(t, "", "SELECT nspname::text FROM pg_namespace ORDER BY 1")...)
		}
		before := strings.Join(all(), " ")
		for range 3 {
			testkit.Must(t, r.store.Rehearse(t.Context()))
		}
		if after := strings.Join(all(), " "); after != before {
			t.Errorf("before %s, after %s", before, after)
		}
		r.provision(t, "acme")
		testkit.Must(t, r.store.Rehearse(t.Context()))
	})
}

// brokenRegistries are ways to make all work fail, each with its fix.
var brokenRegistries = map[string]struct{ engine, breakSQL, fixSQL string }{
	"a column of the registry has another name": {
		"", "ALTER TABLE {b}tenant_registry RENAME COLUMN created_by TO x", "ALTER TABLE {b}tenant_registry RENAME COLUMN x TO created_by",
	},
	"the ledger is missing": {
		"", "ALTER TABLE {b}tenant_requests RENAME TO elsewhere", "ALTER TABLE {b}elsewhere RENAME TO tenant_requests",
	},
	"a trigger discards the registry's row": {
		"postgres", `CREATE FUNCTION {b}swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
			CREATE TRIGGER swallow BEFORE INSERT ON {b}tenant_registry FOR EACH ROW EXECUTE FUNCTION {b}swallow()`,
		"DROP TRIGGER swallow ON {b}tenant_registry",
	},
	"a trigger deletes the registry's row": {
		"postgres", `CREATE FUNCTION {b}undo() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN DELETE FROM docex_system.tenant_registry WHERE tenant_id = NEW.tenant_id; RETURN NULL; END';
			CREATE TRIGGER undo AFTER INSERT ON {b}tenant_registry FOR EACH ROW EXECUTE FUNCTION {b}undo()`,
		"DROP TRIGGER undo ON {b}tenant_registry",
	},
	"a rule discards the registry's row": {
		"postgres", "CREATE RULE swallow AS ON INSERT TO {b}tenant_registry DO INSTEAD NOTHING", "DROP RULE swallow ON {b}tenant_registry",
	},
	"a trigger discards the outcome": {
		"postgres", `CREATE FUNCTION {b}keep() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN IF NEW.state = ''running'' THEN RETURN NEW; END IF; RETURN NULL; END';
			CREATE TRIGGER keep BEFORE UPDATE ON {b}tenant_requests FOR EACH ROW EXECUTE FUNCTION {b}keep()`,
		"DROP TRIGGER keep ON {b}tenant_requests",
	},
	"a column of the registry is narrower": {
		"postgres", "ALTER TABLE {b}tenant_registry ALTER COLUMN created_by TYPE varchar(3) USING left(created_by, 3)",
		"ALTER TABLE {b}tenant_registry ALTER COLUMN created_by TYPE varchar(255)",
	},
	"a constraint rejects every row": {
		"postgres", "ALTER TABLE {b}tenant_registry ADD CONSTRAINT closed CHECK (is_system) NOT VALID",
		"ALTER TABLE {b}tenant_registry DROP CONSTRAINT closed",
	},
	"a SQLite trigger discards the registry's row": {
		"sqlite", "CREATE TRIGGER swallow BEFORE INSERT ON tenant_registry BEGIN SELECT RAISE(IGNORE); END", "DROP TRIGGER swallow",
	},
	"a SQLite trigger discards the outcome": {
		"sqlite", `CREATE TRIGGER swallow BEFORE UPDATE ON tenant_requests WHEN NEW.state = 'provisioned'
			BEGIN SELECT RAISE(IGNORE); END`, "DROP TRIGGER swallow",
	},
}

// A failure of the registry or the ledger counts as no attempt of a request, whatever its code, and work resumes by
// itself.
func TestFaultOfTheRegistryIsAnOutage(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.provision(t, "before")
		for name, c := range brokenRegistries {
			if c.engine != "" && c.engine != r.engine {
				continue
			}
			t.Run(name, func(t *testing.T) {
				r.raw(t, "", c.breakSQL)
				req := request(t, fmt.Sprintf("acme_%d", r.countRegistered(t)))
				job := r.provisioner.Job(req)
				for range 3 {
					verdict(t, job, pipeline.Pause)
				}
				if err := r.provisioner.Rehearse(t.Context()); err == nil {
					t.Error("a rehearsal succeeds")
				}
				r.raw(t, "", c.fixSQL)
				testkit.Must(t, r.provisioner.Rehearse(t.Context()))
				if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
					t.Errorf("%d attempts", got.Attempts)
				}
			})
		}
	})
}

// The same for a row policy, which does not apply to a superuser.
func TestRowPolicyOnTheRegistryIsAnOutage(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.open(t).Close())
	role := p.limitedRole(t, "SELECT, INSERT, UPDATE")
	where, err := url.Parse(p.url)
	testkit.Must(t, err)
	p.raw(t, "", "GRANT CREATE ON DATABASE "+strings.TrimPrefix(where.Path, "/")+" TO "+role)
	r := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }).newFixture(t)
	r.provision(t, "before")
	p.raw(t, "", "ALTER TABLE {b}tenant_registry ENABLE ROW LEVEL SECURITY")
	job := r.provisioner.Job(request(t, "acme"))
	verdict(t, job, pipeline.Pause)
	p.raw(t, "", "ALTER TABLE {b}tenant_registry DISABLE ROW LEVEL SECURITY")
	if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
		t.Errorf("%d attempts", got.Attempts)
	}
}

// The same if the objects common to all tenants cannot be created, for errors of any code.
func TestFaultOfEverySchemaIsAnOutage(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"0A000", "53000", "53200", "53400", "54000", "55P03", "XX001", "P0001", "42P16", "58P01", "57014"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			r := p.newFixture(t)
			r.provision(t, "before")
			r.raw(t, "", "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS "+
				"$$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '"+code+"'; END$$",
				"CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN tag IN ('CREATE TABLE') EXECUTE FUNCTION public.refuse()")
			job := r.provisioner.Job(request(t, "acme"))
			for range 3 {
				verdict(t, job, pipeline.Pause)
			}
			r.raw(t, "", "DROP EVENT TRIGGER refuse")
			if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
				t.Errorf("%d attempts", got.Attempts)
			}
		})
	}
}

// The attempts of a request with a fault of its own count, and the request fails.
func TestFaultOfOneSchemaCounts(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	r.raw(t, "", `CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
		IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE 'tenant\_poison%') THEN
			RAISE EXCEPTION 'no' USING ERRCODE = '58P01'; END IF; END$$`,
		"CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN tag IN ('CREATE TABLE') EXECUTE FUNCTION public.refuse()")
	req := request(t, "poison")
	for range maxAttempts - 1 {
		verdict(t, r.provisioner.Job(req), pipeline.Retry)
		r.provision(t, fmt.Sprintf("good_%d", r.countRegistered(t)))
	}
	if f := failedOutcome(t, r.decide(t, req), events.CauseAttemptsExhausted); !strings.HasPrefix(f.Cause.Detail, "58P01") {
		t.Errorf("%+v", f.Cause)
	}
}

// An obstacle at one tenant's file fails, or delays, only that tenant's request.
func TestFaultOfOneFile(t *testing.T) {
	t.Parallel()
	wal := func(t *testing.T, path string) {
		t.Helper()
		db, err := databasesql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)")
		testkit.Must(t, err)
		_, err = db.Exec("CREATE TABLE x (a)")
		testkit.Must(t, errors.Join(err, db.Close()))
	}
	for name, c := range map[string]struct {
		create func(t *testing.T, path string)
		want   events.CauseCode
	}{
		"a directory for a write-ahead log": {func(t *testing.T, path string) {
			t.Helper()
			wal(t, path)
			testkit.Must(t, os.Mkdir(path+"-wal", 0o755))
		}, events.CauseBoundaryNotEmpty},
		"a directory for a journal": {func(t *testing.T, path string) {
			t.Helper()
			wal(t, path)
			testkit.Must(t, os.Mkdir(path+"-journal", 0o755))
		}, events.CauseBoundaryNotEmpty},
		"a pipe for a journal": {func(t *testing.T, path string) {
			t.Helper()
			wal(t, path)
			testkit.Must(t, syscall.Mkfifo(path+"-journal", 0o644))
		}, events.CauseBoundaryNotEmpty},
		"damaged": {func(t *testing.T, path string) {
			t.Helper()
			wal(t, path)
			content, err := os.ReadFile(path)
			testkit.Must(t, err)
			for i := 100; i < len(content); i++ {
				content[i] = 0xff
			}
			testkit.Must(t, os.WriteFile(path, content, 0o644))
		}, events.CauseSchemaInvalid},
		"a directory": {func(t *testing.T, path string) {
			t.Helper()
			testkit.Must(t, os.Mkdir(path, 0o755))
		}, events.CauseBoundaryNotEmpty},
		"a file for a directory": {func(t *testing.T, path string) {
			t.Helper()
			testkit.Must(t, os.Remove(filepath.Dir(path)))
			testkit.Must(t, os.WriteFile(filepath.Dir(path), nil, 0o644))
		}, events.CauseBoundaryNotEmpty},
		"a link to itself": {func(t *testing.T, path string) {
			t.Helper()
			testkit.Must(t, os.Remove(filepath.Dir(path)))
			testkit.Must(t, os.Symlink(filepath.Dir(path), filepath.Dir(path)))
		}, events.CauseAttemptsExhausted},
		"not a database": {func(t *testing.T, path string) {
			t.Helper()
			testkit.Must(t, os.WriteFile(path, []byte(strings.Repeat("not a database", 100)), 0o644))
		}, events.CauseBoundaryNotEmpty},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newSQLite(t).newFixture(t)
			testkit.Must(t, os.Mkdir(filepath.Dir(r.boundary("poison")), 0o755))
			c.create(t, r.boundary("poison"))
			req := request(t, "poison")
			for i := range maxAttempts {
				got := r.provisioner.Job(req).Run(t.Context())
				r.provision(t, fmt.Sprintf("good_%d", i))
				if got.Decided() {
					failedOutcome(t, got.Outcome, c.want)
					return
				}
				if got.Verdict != pipeline.Retry {
					t.Fatalf("%s (%v)", got.Verdict, got.Err)
				}
			}
			t.Error("it is not decided")
		})
	}
}

// Prepared statements are prepared again after their tables are altered.
func TestRegistryIsAlteredWhileInUse(t *testing.T) {
	t.Parallel()
	r := newPostgres(t).newFixture(t)
	r.provision(t, "acme")
	r.raw(t, "", "ALTER TABLE {b}tenant_registry ALTER COLUMN tenant_id TYPE text",
		"ALTER TABLE {b}tenant_requests ALTER COLUMN claim TYPE varchar(500)")
	job := r.provisioner.Job(request(t, "beta"))
	for range 3 {
		got := job.Run(t.Context())
		if got.Decided() {
			if got := provisionedOutcome(t, got.Outcome); got.Attempts != 1 {
				t.Errorf("%d attempts", got.Attempts)
			}
			return
		}
		if got.Verdict != pipeline.Pause {
			t.Fatalf("%s (%v)", got.Verdict, got.Err)
		}
		testkit.Must(t, r.provisioner.Rehearse(t.Context()))
	}
	t.Error("it is not decided")
}

// A source and id that the database cannot store fail the request, once, and are displayed escaped.
func TestUnstorableRequest(t *testing.T) {
	t.Parallel()
	r := newPostgres(t).newFixture(t)
	named := func(source, id, tenant string) pipeline.Request {
		req := request(t, tenant)
		e := event.New()
		e.SetType(events.TypeRequested)
		e.SetSource(source)
		e.SetID(id)
		testkit.Must(t, e.SetData("application/json", req.Event.Data()))
		return pipeline.Request{Event: e}
	}
	for _, id := range []string{"order-\x00", "\x00 株式会社"} {
		req := named("/shop", id, "acme")
		o := r.decide(t, req)
		if f := failedOutcome(t, o, events.CauseInvalidRequest); f.Request.ID != id {
			t.Errorf("%+v", f)
		}
		again := r.decide(t, req)
		if again.ID != o.ID || string(again.Body) != string(o.Body) {
			t.Errorf("at first %s, then %s", o.Body, again.Body)
		}
	}
	provisionedOutcome(t, r.decide(t, named("/shop", "order-1", "acme")))
	provisionedOutcome(t, r.decide(t, named("/shop", "注文-😀", "umbrella")))
}

// A database in an encoding that lacks characters is refused before anything is made in it.
func TestEncodingOtherThanUTF8IsRefused(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"LATIN1", "EUC_JP", "SQL_ASCII"} {
		url := postgrestest.DatabaseIn(t, encoding)
		_, err := postgres.Open(t.Context(), postgres.Config{
			URL: url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1, CreatedBy: "test",
			Log: quiet(),
		})
		if err == nil || pipeline.IsOutage(err) || !strings.Contains(err.Error(), "is "+encoding+", want UTF8") {
			t.Errorf("%s: %v", encoding, err)
		}
		var made bool
		testkit.Must(t, connect(t, url).QueryRow(
			"SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'docex_system')").Scan(&made))
		if made {
			t.Errorf("%s: the registry's schema was created", encoding)
		}
	}
}

// A rehearsal writes where tenants' files are, and removes only what it created.
func TestRehearsalOfSQLiteKeepsOtherFiles(t *testing.T) {
	t.Parallel()
	for _, template := range []string{"tenant_{tenant_id}/docex.db", "eu/west/tenant_{tenant_id}/docex.db", "files/{tenant_id}.db"} {
		t.Run(template, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir() + "/storage"
			store, err := sqlite.Open(t.Context(), sqlite.Config{
				Root: root, PathTemplate: template, Connections: 4, CreatedBy: "test", Log: quiet(), Now: time.Now,
			})
			testkit.Must(t, err)
			t.Cleanup(func() { testkit.Must(t, store.Close()) })
			r := testDatabase{engine: "sqlite", url: root}.newFixtureOn(t, store, store)
			r.provision(t, "acme")
			tree := func() (all []string) {
				testkit.Must(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
					all = append(all, path)
					return err
				}))
				return all
			}
			before := tree()
			constant, _, _ := strings.Cut(template, "{tenant_id}")
			left := filepath.Join(root, constant[:strings.LastIndex(constant, "/")+1])
			old := filepath.Join(left, ".rehearsal-1")
			testkit.Must(t, os.Mkdir(old, 0o755))
			testkit.Must(t, os.WriteFile(filepath.Join(old, ".rehearsed.db"), nil, 0o644))
			long := time.Now().Add(-2 * time.Hour)
			testkit.Must(t, os.Chtimes(old, long, long))
			for range 2 {
				testkit.Must(t, store.Rehearse(t.Context()))
			}
			if after := tree(); !slices.Equal(after, before) {
				t.Errorf("before %v, after %v", before, after)
			}
			if runtime.GOOS == "linux" && os.Getuid() == 0 {
				return // root may write anywhere
			}
			testkit.Must(t, os.Chmod(left, 0o555))
			t.Cleanup(func() { testkit.Must(t, os.Chmod(left, 0o755)) })
			if store.Rehearse(t.Context()) == nil {
				t.Error("a rehearsal succeeds in a directory that cannot be written to")
			}
		})
	}
}

// A fault that looks like an outage but affects one request only, while rehearsals succeed, blocks no other request:
// after three pauses its attempts count.
func TestOutageOfOneRow(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		if r.engine == "postgres" {
			r.raw(t, "", "CREATE FUNCTION {b}refuse() RETURNS trigger LANGUAGE plpgsql AS "+
				"$$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END$$",
				"CREATE TRIGGER refuse BEFORE INSERT ON {b}tenant_registry FOR EACH ROW WHEN (NEW.tenant_id::text = 'poison') "+
					"EXECUTE FUNCTION {b}refuse()")
		} else {
			r.raw(t, "", "CREATE TRIGGER refuse BEFORE INSERT ON tenant_registry WHEN NEW.tenant_id = 'poison' "+
				"BEGIN SELECT abs(-9223372036854775808); END") // SQLITE_ERROR
		}
		req := request(t, "poison")
		for i := range maxAttempts {
			job := r.provisioner.Job(req)
			for range 3 {
				verdict(t, job, pipeline.Pause)
				testkit.Must(t, r.provisioner.Rehearse(t.Context()))
			}
			got := job.Run(t.Context())
			if last := i == maxAttempts-1; last != got.Decided() || !last && got.Verdict != pipeline.Retry || got.Attempt != i+1 {
				t.Errorf("%s (%v), attempt %d", got.Verdict, got.Err, got.Attempt)
			}
			r.provision(t, fmt.Sprintf("good_%d", i))
		}
		failedOutcome(t, r.decide(t, req), events.CauseAttemptsExhausted)
	})
}
