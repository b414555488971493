package sql_test

import (
	databasesql "database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Run(m)) }

// database is a store under test. Tests set up and read data through database/sql, never through the code under test.
type database interface {
	pipeline.Database
	Close() error
}

// testDatabase contains the tenants of one test. Several stores can be opened on it.
type testDatabase struct {
	engine string
	url    string // the database's URL, or the storage directory
	open   func(t *testing.T) database
	// boundary returns the tenant's schema or file by the default template, for ids that are not truncated.
	boundary func(tenant string) string
	// raw runs statements inside the tenant's boundary; {b} is replaced by a prefix to its tables.
	raw func(t *testing.T, tenant string, statements ...string)
	// count runs a query that returns a number, with {b} as in raw.
	count func(t *testing.T, tenant, query string) int
	// lines runs a query that returns one text per row, with {b} as in raw.
	lines func(t *testing.T, tenant, query string) []string
	// createBoundary creates an empty boundary that is not registered.
	createBoundary func(t *testing.T, tenant string)
	// boundaryState describes what exists of the tenant's boundary. It is empty if nothing exists.
	boundaryState func(t *testing.T, tenant string) string
	// snapshot returns everything that a failed request could have changed in the boundary.
	snapshot func(t *testing.T, tenant string) string
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newPostgres(t *testing.T) testDatabase { return newPostgresAt(t, postgrestest.Database(t)) }

func newPostgresAt(t *testing.T, url string) testDatabase {
	db, err := databasesql.Open("pgx", url)
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, db.Close()) })
	prefix := func(tenant string) string {
		if tenant == "" {
			return "docex_system."
		}
		return `"tenant_` + tenant + `".`
	}
	run := func(t *testing.T, tenant, statement string) {
		t.Helper()
		if _, err := db.Exec(strings.ReplaceAll(statement, "{b}", prefix(tenant))); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	text := func(t *testing.T, query, tenant string) (s string) {
		t.Helper()
		testkit.Must(t, db.QueryRow(query, "tenant_"+tenant).Scan(&s))
		return s
	}
	return testDatabase{
		engine:   "postgres",
		url:      url,
		open:     func(t *testing.T) database { return openPostgres(t, url) },
		boundary: func(tenant string) string { return "tenant_" + tenant },
		raw: func(t *testing.T, tenant string, statements ...string) {
			t.Helper()
			for _, s := range statements {
				run(t, tenant, s)
			}
		},
		count: func(t *testing.T, tenant, query string) (n int) {
			t.Helper()
			testkit.Must(t, db.QueryRow(strings.ReplaceAll(query, "{b}", prefix(tenant))).Scan(&n))
			return n
		},
		lines: func(t *testing.T, tenant, query string) []string {
			t.Helper()
			return collect(t, db, strings.ReplaceAll(query, "{b}", prefix(tenant)))
		},
		createBoundary: func(t *testing.T, tenant string) { run(t, tenant, `CREATE SCHEMA "tenant_`+tenant+`"`) },
		boundaryState: func(t *testing.T, tenant string) string {
			return text(t, "SELECT coalesce(string_agg(nspname, ' '), '') FROM pg_namespace WHERE nspname = $1", tenant)
		},
		snapshot: func(t *testing.T, tenant string) string {
			return text(t, `SELECT coalesce(string_agg(format('%s %s %s %s', c.oid, c.relname, c.relfilenode, c.xmin), E'\n'
				ORDER BY c.oid), '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`, tenant)
		},
	}
}

// collect reads the single text of each row.
func collect(t *testing.T, db *databasesql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.Query(query)
	testkit.Must(t, err)
	defer rows.Close()
	for rows.Next() {
		var s string
		testkit.Must(t, rows.Scan(&s))
		all = append(all, s)
	}
	testkit.Must(t, rows.Err())
	return all
}

func openPostgres(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := tryOpenPostgres(t, url)
	testkit.Must(t, err)
	return s
}

func tryOpenPostgres(t *testing.T, url string) (*postgres.Store, error) {
	t.Helper()
	return postgres.Open(t.Context(), postgres.Config{
		URL: url, Registry: "docex_system",
		SchemaTemplate: "tenant_{tenant_id}", Connections: 4, CreatedBy: "test", Log: quiet(),
	})
}

func newSQLite(t *testing.T) testDatabase { return newSQLiteAt(t.TempDir() + "/storage") }

func newSQLiteAt(root string) testDatabase {
	file := func(tenant string) string {
		if tenant == "" {
			tenant = "_docex_system_"
		}
		return filepath.Join(root, "tenant_"+tenant, "docex.db")
	}
	with := func(t *testing.T, tenant string, fn func(*databasesql.DB)) {
		t.Helper()
		db, err := databasesql.Open("sqlite", "file:"+file(tenant)+"?_pragma=busy_timeout(5000)")
		testkit.Must(t, err)
		defer db.Close()
		fn(db)
	}
	raw := func(t *testing.T, tenant string, statements ...string) {
		t.Helper()
		with(t, tenant, func(db *databasesql.DB) {
			for _, s := range statements {
				if _, err := db.Exec(strings.ReplaceAll(s, "{b}", "")); err != nil {
					t.Fatalf("%s: %v", s, err)
				}
			}
		})
	}
	return testDatabase{
		engine:   "sqlite",
		url:      root,
		open:     func(t *testing.T) database { return openSQLite(t, root) },
		boundary: file,
		raw:      raw,
		count: func(t *testing.T, tenant, query string) (n int) {
			t.Helper()
			with(t, tenant, func(db *databasesql.DB) {
				testkit.Must(t, db.QueryRow(strings.ReplaceAll(query, "{b}", "")).Scan(&n))
			})
			return n
		},
		lines: func(t *testing.T, tenant, query string) (all []string) {
			t.Helper()
			with(t, tenant, func(db *databasesql.DB) { all = collect(t, db, strings.ReplaceAll(query, "{b}", "")) })
			return all
		},
		createBoundary: func(t *testing.T, tenant string) {
			t.Helper()
			testkit.Must(t, os.MkdirAll(filepath.Dir(file(tenant)), 0o755))
			raw(t, tenant, "PRAGMA user_version = 0")
		},
		boundaryState: func(t *testing.T, tenant string) string {
			entries, err := os.ReadDir(root)
			testkit.Must(t, err)
			var found []string
			for _, e := range entries {
				if e.Name() == "tenant_"+tenant || strings.HasPrefix(e.Name(), ".building-") {
					found = append(found, e.Name())
				}
			}
			return strings.Join(found, " ")
		},
		snapshot: func(t *testing.T, tenant string) string {
			content, err := os.ReadFile(file(tenant))
			testkit.Must(t, err)
			return string(content)
		},
	}
}

func openSQLite(t *testing.T, root string) *sqlite.Store {
	t.Helper()
	s, err := tryOpenSQLite(t, root)
	testkit.Must(t, err)
	return s
}

func tryOpenSQLite(t *testing.T, root string) (*sqlite.Store, error) {
	t.Helper()
	return sqlite.Open(t.Context(), sqlite.Config{
		Root: root, PathTemplate: "tenant_{tenant_id}/docex.db",
		Connections: 4, CreatedBy: "test", Log: quiet(), Now: time.Now,
	})
}

// onBothEngines runs a test on both engines.
func onBothEngines(t *testing.T, test func(t *testing.T, p testDatabase)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(*testing.T) testDatabase{"postgres": newPostgres, "sqlite": newSQLite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// fixture is a provisioner on a store.
type fixture struct {
	testDatabase
	store       database
	provisioner *pipeline.Provisioner
}

const maxAttempts = 3

func (p testDatabase) newFixture(t *testing.T) fixture {
	t.Helper()
	store := p.open(t)
	t.Cleanup(func() { testkit.Must(t, store.Close()) })
	return p.newFixtureOn(t, store, store)
}

// newFixtureOn creates a fixture with a provisioner on db, which may wrap store and inject faults.
func (p testDatabase) newFixtureOn(t *testing.T, store database, db pipeline.Database) fixture {
	t.Helper()
	return p.newFixtureWith(t, store, db, time.Minute)
}

// newFixtureWith is newFixtureOn with a given lease.
func (p testDatabase) newFixtureWith(t *testing.T, store database, db pipeline.Database, lease time.Duration) fixture {
	t.Helper()
	provisioner, err := pipeline.New(pipeline.Config{
		Database: db, Source: events.DefaultSource, Log: quiet(), Now: time.Now, Steps: pipeline.Steps(),
		Limit: pipeline.Limit{Attempts: maxAttempts, Lease: lease, CopyLease: lease}, Workers: 100,
	})
	testkit.Must(t, err)
	return fixture{testDatabase: p, store: store, provisioner: provisioner}
}

var serial atomic.Int64

// request returns a new request for the tenant.
func request(t *testing.T, tenant string) pipeline.Request {
	t.Helper()
	e, err := events.NewRequested("/test", fmt.Sprintf("r-%d", serial.Add(1)),
		events.Requested{TenantID: "placeholder", DisplayName: "A Customer", CreatedBy: "billing"})
	testkit.Must(t, err)
	e.Context = e.Context.Clone()
	testkit.Must(t, e.Context.SetSubject(""))
	testkit.Must(t, e.SetData("application/json", map[string]string{
		"tenant_id": tenant, "display_name": "A Customer", "created_by": "billing",
	}))
	return pipeline.Request{Event: e}
}

// decide runs a request to its outcome, which must take one attempt.
func (r fixture) decide(t *testing.T, request pipeline.Request) pipeline.Outcome {
	t.Helper()
	result := r.provisioner.Job(request).Run(t.Context())
	if !result.Decided() {
		t.Fatalf("%s: %v", result.Verdict, result.Err)
	}
	return result.Outcome
}

// provision requires that the request succeeds.
func (r fixture) provision(t *testing.T, tenant string) events.Provisioned {
	t.Helper()
	return provisionedOutcome(t, r.decide(t, request(t, tenant)))
}

// expectFailure requires that the request fails with this cause.
func (r fixture) expectFailure(t *testing.T, tenant string, want events.CauseCode) events.ProvisioningFailed {
	t.Helper()
	return failedOutcome(t, r.decide(t, request(t, tenant)), want)
}

func provisionedOutcome(t *testing.T, o pipeline.Outcome) events.Provisioned {
	t.Helper()
	e := decode(t, o)
	if !o.Provisioned() {
		t.Fatalf("not provisioned: %s", o.Body)
	}
	data, err := events.ProvisionedFrom(e)
	testkit.Must(t, err)
	return data
}

func failedOutcome(t *testing.T, o pipeline.Outcome, want events.CauseCode) events.ProvisioningFailed {
	t.Helper()
	e := decode(t, o)
	if o.Provisioned() {
		t.Fatalf("provisioned, want %s", want)
	}
	data, err := events.FailedFrom(e)
	testkit.Must(t, err)
	if data.Cause.Code != want {
		t.Fatalf("cause %s (%s; %s), want %s", data.Cause.Code, data.Cause.Message, data.Cause.Detail, want)
	}
	return data
}

func (r fixture) countRegistered(t *testing.T) int {
	t.Helper()
	return r.count(t, "", "SELECT count(*) FROM {b}tenant_registry WHERE NOT is_system")
}

// unregister removes the registration of a provisioned tenant, but not its boundary.
func (r fixture) unregister(t *testing.T, tenant string) {
	t.Helper()
	r.raw(t, "", "DELETE FROM {b}tenant_registry WHERE tenant_id = '"+tenant+"'")
}
