package postgres

import (
	"context"
	databasesql "database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/sql"
)

// withParameters is a URL with these parameters in addition.
func withParameters(t *testing.T, raw string, parameters map[string]string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	if u.RawQuery != "" {
		all = append(all, u.RawQuery)
	}
	escape := func(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
	for name, value := range parameters {
		all = append(all, escape(name)+"="+escape(value))
	}
	u.RawQuery = strings.Join(all, "&")
	return u.String()
}

func testConfig(url string) Config {
	return Config{
		URL: url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1, CreatedBy: "test",
		Log: slog.New(slog.DiscardHandler),
	}
}

func openAndClose(ctx context.Context, url string) error {
	s, err := Open(ctx, testConfig(url))
	if err != nil {
		return err
	}
	return s.Close()
}

// holdMigrationLock takes the lock of migrations as a replica with this application_name does.
func holdMigrationLock(t *testing.T, url, application string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), withParameters(t, url, map[string]string{"application_name": application}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(t.Context(), fmt.Sprintf("BEGIN; SELECT pg_advisory_xact_lock(%d)", lockKey("migration", "docex_system")))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// A start that waits for another replica's migration is an outage that names the session; doctor finds the session too.
func TestStartNamesTheReplicaThatMigrates(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	other := holdMigrationLock(t, url, "another replica")
	err := openAndClose(t.Context(), withParameters(t, url, map[string]string{"lock_timeout": "1h"}))
	pid := other.PgConn().PID()
	for _, want := range []string{
		fmt.Sprintf("pid %d (application_name \"another replica\", role ", pid), "client 127.0.0.1, idle in transaction since 20",
		fmt.Sprintf("SELECT pg_terminate_backend(%d);", pid),
	} {
		if !pipeline.IsOutage(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	v, err := ReadServerInfo(t.Context(), testConfig(url), time.Now)
	if err != nil || len(v.Migrating) != 1 || v.Migrating[0].PID != int64(pid) || v.Migrating[0].Age < migrationLockTimeout {
		t.Errorf("doctor reads %+v, %v", v.Migrating, err)
	}
	if _, err := other.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := openAndClose(t.Context(), url); err != nil {
		t.Error(err)
	}
	if v, err = ReadServerInfo(t.Context(), testConfig(url), time.Now); err != nil || len(v.Migrating) != 0 {
		t.Errorf("doctor reads %+v, %v", v.Migrating, err)
	}
}

// A start that has nothing to migrate waits for no other.
func TestNothingToMigrateNeedsNoLock(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	if err := openAndClose(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	holdMigrationLock(t, url, "another replica")
	if err := openAndClose(t.Context(), url); err != nil {
		t.Error(err)
	}
}

// The server ends the transaction of a frozen replica, whatever DATABASE_URL says, and with it the lock.
func TestMigrationOfAFrozenReplicaEnds(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	s, err := Open(t.Context(), testConfig(withParameters(t, url, map[string]string{"idle_in_transaction_session_timeout": "0"})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, _, _, err := s.runNextMigration(t.Context(), conn, "test"); err != nil {
		t.Fatal(err)
	}
	var timeout string
	var locks int
	err = conn.QueryRow(t.Context(), "SELECT current_setting('idle_in_transaction_session_timeout'), (SELECT count(*) "+
		"FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())").Scan(&timeout, &locks)
	if err != nil || timeout != "30s" || locks != 1 {
		t.Errorf("timeout %s, %d locks, %v", timeout, locks, err)
	}
	// After the transaction, nothing is locked.
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if blockers, err := migrationBlockers(t.Context(), s.pool, s.q, s.registry, true); err != nil || len(blockers) != 0 {
		t.Errorf("%v, %v", blockers, err)
	}
}

// appliedMigrations returns the versions that have run, in order.
func appliedMigrations(t *testing.T, conn *pgx.Conn) (applied string) {
	t.Helper()
	err := conn.QueryRow(t.Context(), "SELECT string_agg(version_id::text, ' ' ORDER BY id) "+
		"FROM docex_system.tenant_provisioner_migrations").Scan(&applied)
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

// Each migration commits by itself: one that fails or is blocked loses none before it, and the next start continues
// with it.
func TestMigrationThatFailsLosesNoneBeforeIt(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	exec := func(statement string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE SCHEMA docex_system")
	exec("CREATE TABLE docex_system.prepared_boundaries ()") // migration 4 creates it
	if err := openAndClose(t.Context(), url); err == nil || !strings.Contains(err.Error(), "migration 4") {
		t.Errorf("%v, want an error of migration 4", err)
	}
	if got := appliedMigrations(t, conn); got != "0 1 2 3" {
		t.Errorf("applied: %s", got)
	}
	exec("DROP TABLE docex_system.prepared_boundaries")
	exec("DELETE FROM docex_system.tenant_provisioner_migrations WHERE version_id = 3")
	exec("ALTER TABLE docex_system.tenant_requests DROP COLUMN history, DROP COLUMN claim, DROP COLUMN buried")
	exec("BEGIN; LOCK TABLE docex_system.tenant_requests")
	err = openAndClose(t.Context(), url)
	pid := fmt.Sprintf("other transactions use the registry's tables: pid %d", conn.PgConn().PID())
	if !pipeline.IsOutage(err) || !strings.Contains(err.Error(), pid) {
		t.Errorf("%v, want %s", err, pid)
	}
	exec("ROLLBACK")
	errs := make(chan error, 3)
	for range cap(errs) { // replicas
		go func() { errs <- openAndClose(t.Context(), url) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	all, err := files.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	want := "0"
	for i := range all {
		want += fmt.Sprintf(" %d", i+1)
	}
	if got := appliedMigrations(t, conn); got != want {
		t.Errorf("applied: %s, want %s", got, want)
	}
}

// Earlier versions of this program, which migrate with goose, find every migration applied.
func TestEarlierVersionsReadTheTableOfMigrations(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	if err := openAndClose(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db, err := databasesql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	fails := []sql.Statement{{Text: "SELECT 1/0"}}
	err = sql.Migrate(t.Context(), goose.DialectPostgres, db, "docex_system."+sql.MigrationsTable, slog.New(slog.DiscardHandler),
		[][]sql.Statement{fails, fails, fails, fails, fails})
	if err != nil {
		t.Error(err)
	}
}
