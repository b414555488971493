package main

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

const (
	// outcomeWait is the --wait of commands that get an outcome; shorter than patience, so that they can report it.
	outcomeWait = "2m"

	billing = "/billing"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(natsServerConfig); config != "" {
		runNATSServer(config)
	}
	setNATSPasswords()
	if signal.Ignored(syscall.SIGHUP) { // as under nohup; the programs that tests start would inherit that
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	code := postgrestest.Run(m)
	if err := programs.remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// command runs one command to its end.
func command(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return commandWithin(t, testkit.Patience, env, args...)
}

// commandWithin is command with another limit.
func commandWithin(
	t *testing.T, limit time.Duration, env map[string]string, args ...string,
) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var out, err testkit.Output
	code = realMain(ctx, args, envconfig.MapLookuper(env), nil, &out, &err)
	return code, out.String(), err.String()
}

// running is a command that runs within this process.
type running struct {
	stdout, stderr testkit.Output
	cancel         context.CancelFunc // as SIGTERM does
	done           chan struct{}
	code           int // once it has ended
}

// start starts a command; the test's end stops it.
func start(t *testing.T, env map[string]string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.code = realMain(ctx, args, envconfig.MapLookuper(env), nil, &r.stdout, &r.stderr)
	}()
	t.Cleanup(func() {
		r.stop(t)
		if t.Failed() {
			t.Logf("consumer %v\nstdout:\n%s\nstderr:\n%s", args, &r.stdout, testkit.Tail(r.stderr.String()))
		}
	})
	return r
}

// stop ends the command and returns its exit code.
func (r *running) stop(t *testing.T) int {
	t.Helper()
	r.cancel()
	return r.wait(t)
}

func (r *running) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(testkit.Patience):
		t.Fatal("the command does not end")
	}
	return r.code
}

// serve starts the service and waits until it takes requests.
func serve(t *testing.T, env map[string]string) *running {
	t.Helper()
	r := start(t, env, "run")
	testkit.Eventually(t, "the service takes requests", func() bool {
		select {
		case <-r.done:
			t.Fatalf("the service has exited with %d", r.code)
		default:
		}
		return strings.Contains(r.stderr.String(), "taking requests")
	})
	return r
}

// settings returns an environment for tests, with changes.
func settings(changes ...map[string]string) map[string]string {
	env := map[string]string{
		"HTTP_ADDR": "", "LOG_FORMAT": "json", "BACKOFF_MIN": "10ms", "BACKOFF_MAX": "100ms",
		"NATS_EMBEDDED_ADDR": "127.0.0.1:0", "PREPARED_BOUNDARIES": "0",
	}
	for _, c := range changes {
		maps.Copy(env, c)
	}
	return env
}

func with(name, value string) map[string]string { return map[string]string{name: value} }

// testDatabase is the database of a test, with direct access to it.
type testDatabase struct {
	env map[string]string
	// rows runs a query in a tenant's boundary and returns the first column; {b} stands for a prefix to its
	// tables. The registry is the tenant _docex_system_.
	rows func(tenant, query string) []string
	// createBoundary creates an unregistered boundary of the tenant's name and runs statements in it, {b} as above.
	createBoundary func(tenant string, statements ...string)
	// execute runs statements in a tenant's boundary.
	execute  func(tenant string, statements ...string)
	upgraded bool // it may have tenants of an earlier version, in which verify accepts differences as warnings
}

func (d testDatabase) sqlite() bool { return strings.HasPrefix(d.env["DATABASE_URL"], "sqlite:") }

// leftovers returns files left under construction, or prepared boundaries without a schema or without a row in the
// pool.
func (d testDatabase) leftovers() []string {
	if !d.sqlite() {
		return d.rows(system, "SELECT coalesce(nspname::text, schema_name) FROM {b}prepared_boundaries "+
			"FULL JOIN (SELECT nspname FROM pg_namespace WHERE nspname LIKE 'prepared:%') s ON nspname = schema_name "+
			"WHERE nspname IS NULL OR schema_name IS NULL")
	}
	left, err := filepath.Glob(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:") + "/*/.building-*")
	if err != nil {
		panic(err) // the pattern is invalid
	}
	return left
}

const system = "_docex_system_"

func newSQLite(t *testing.T) testDatabase {
	t.Helper()
	return sqliteIn(t, filepath.Join(t.TempDir(), "storage"))
}

func sqliteIn(t *testing.T, root string) testDatabase {
	t.Helper()
	return testDatabase{
		env: with("DATABASE_URL", "sqlite:"+root),
		rows: func(tenant, query string) []string {
			t.Helper()
			db, err := databasesql.Open("sqlite",
				"file:"+filepath.Join(root, "tenant_"+tenant, "docex.db")+"?mode=rw&_pragma=busy_timeout(5000)")
			testkit.Must(t, err)
			defer func() { testkit.Must(t, db.Close()) }()
			return column(t, db, strings.ReplaceAll(query, "{b}", ""))
		},
		createBoundary: func(tenant string, statements ...string) {
			t.Helper()
			file := filepath.Join(root, "tenant_"+tenant, "docex.db")
			testkit.Must(t, os.MkdirAll(filepath.Dir(file), 0o755))
			execute(t, "sqlite", "file:"+file, "", statements...)
		},
		execute: func(tenant string, statements ...string) {
			t.Helper()
			execute(t, "sqlite", "file:"+filepath.Join(root, "tenant_"+tenant, "docex.db"), "", statements...)
		},
	}
}

func newPostgres(t *testing.T) testDatabase {
	t.Helper()
	url := postgrestest.Database(t)
	return postgresAt(t, url, url)
}

// postgresAt is the database at url, which the program reaches at programURL.
func postgresAt(t *testing.T, url, programURL string) testDatabase {
	t.Helper()
	return testDatabase{
		env: with("DATABASE_URL", programURL),
		rows: func(tenant, query string) []string {
			t.Helper()
			db, err := databasesql.Open("pgx", url)
			testkit.Must(t, err)
			defer func() { testkit.Must(t, db.Close()) }()
			prefix := `"tenant_` + tenant + `".`
			if tenant == system {
				prefix = "docex_system."
			}
			return column(t, db, strings.ReplaceAll(query, "{b}", prefix))
		},
		createBoundary: func(tenant string, statements ...string) {
			t.Helper()
			schema := `"tenant_` + tenant + `"`
			execute(t, "pgx", url, schema+".", append([]string{"CREATE SCHEMA " + schema}, statements...)...)
		},
		execute: func(tenant string, statements ...string) {
			t.Helper()
			execute(t, "pgx", url, `"tenant_`+tenant+`".`, statements...)
		},
	}
}

// execute runs statements; {b} stands for the prefix.
func execute(t *testing.T, driver, source, prefix string, statements ...string) {
	t.Helper()
	db, err := databasesql.Open(driver, source)
	testkit.Must(t, err)
	defer func() { testkit.Must(t, db.Close()) }()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), strings.ReplaceAll(s, "{b}", prefix))
		testkit.Must(t, err)
	}
}

func column(t *testing.T, db *databasesql.DB, query string) (values []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	testkit.Must(t, err)
	defer func() { testkit.Must(t, rows.Close()) }()
	for rows.Next() {
		var v string
		testkit.Must(t, rows.Scan(&v))
		values = append(values, v)
	}
	testkit.Must(t, rows.Err())
	return values
}

// tenants returns the registered ids, without the bootstrap tenant's.
func (d testDatabase) tenants() []string {
	return d.rows(system, "SELECT tenant_id FROM {b}tenant_registry WHERE NOT is_system ORDER BY tenant_id")
}

// onBothEngines runs a test on PostgreSQL and on SQLite.
func onBothEngines(t *testing.T, test func(t *testing.T, d testDatabase)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(*testing.T) testDatabase{"postgres": newPostgres, "sqlite": newSQLite} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// requestFor returns a valid request in structured mode.
func requestFor(t *testing.T, id, tenant string) *nats.Msg {
	t.Helper()
	e, err := events.NewRequested(billing, id,
		events.Requested{TenantID: tenant, DisplayName: "Acme", CreatedBy: "test"})
	testkit.Must(t, err)
	header, body, err := events.Encode(e)
	testkit.Must(t, err)
	return &nats.Msg{Subject: events.TypeRequested, Header: header, Data: body}
}

func publish(t *testing.T, js jetstream.JetStream, messages ...*nats.Msg) {
	t.Helper()
	for _, msg := range messages {
		_, err := js.PublishMsg(t.Context(), msg)
		testkit.Must(t, err)
	}
}

// awaitSettled waits until the service has settled all requests in the stream.
func awaitSettled(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	testkit.Eventually(t, "all requests are settled", func() bool { return isSettled(t, js) })
}

// retryUntilDone retries a call to JetStream: on a busy machine answers are late, and leaders change at any time. The
// call may take effect twice.
func retryUntilDone[T any](t *testing.T, what string, from func(context.Context) (T, error)) (value T) {
	t.Helper()
	var err error
	defer func() {
		if err != nil {
			t.Log(err)
		}
	}()
	testkit.Eventually(t, what, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // an answer may be lost
		defer cancel()
		value, err = from(ctx)
		return err == nil
	})
	return value
}

// storedOutcomes returns the outcomes in their stream, and asserts that each is there once.
func storedOutcomes(t *testing.T, js jetstream.JetStream) (all []event.Event) {
	t.Helper()
	stream := retryUntilDone(t, "stream "+events.StreamEvents, func(ctx context.Context) (jetstream.Stream, error) {
		return js.Stream(ctx, events.StreamEvents)
	})
	ids := map[string]bool{}
	for sequence := range stream.CachedInfo().State.LastSeq {
		msg := retryUntilDone(t, fmt.Sprintf("outcome %d", sequence+1), func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
			return stream.GetMsg(ctx, sequence+1)
		})
		e, err := events.Decode(msg.Header, msg.Data)
		testkit.Must(t, err)
		if ids[e.ID()] || msg.Subject != e.Type() {
			t.Errorf("outcome %s is there twice, or is not on subject %s", e.ID(), e.Type())
		}
		ids[e.ID()] = true
		all = append(all, e)
	}
	return all
}

// countOutcomes counts outcomes by type or cause.
func countOutcomes(t *testing.T, all []event.Event) string {
	t.Helper()
	found := map[string]int{}
	for _, e := range all {
		if e.Type() == events.TypeProvisioned {
			found["provisioned"]++
			continue
		}
		data, err := events.FailedFrom(e)
		testkit.Must(t, err)
		found[string(data.Cause.Code)]++
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, found[name]))
	}
	return strings.Join(parts, ", ")
}

// exitCode returns the exit code of a process.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -2
}
