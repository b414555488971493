package postgrestest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Run(m)) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func scalar[T any](t *testing.T, c *pgx.Conn, query string, args ...any) (v T) {
	t.Helper()
	if err := c.QueryRow(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

func TestDatabasesAreIsolated(t *testing.T) {
	t.Parallel()
	for i := range 6 { // more than maxDatabases
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			c := connect(t, postgrestest.Database(t))
			if _, err := c.Exec(t.Context(), `CREATE TABLE public.mine AS SELECT $1::int AS number`, i); err != nil {
				t.Fatal(err)
			}
			if got := scalar[int](t, c, `SELECT number FROM public.mine`); got != i {
				t.Errorf("number = %d, want %d", got, i)
			}
		})
	}
}

func TestOneTestMayHoldSeveralDatabases(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 5 {
		seen[scalar[string](t, connect(t, postgrestest.Database(t)), `SELECT current_database()`)] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d different databases, want 5", len(seen))
	}
}

func TestDatabaseDoesNotDependOnTheSource(t *testing.T) {
	t.Parallel()
	c := connect(t, postgrestest.Database(t))
	for query, want := range map[string]string{
		`SELECT current_setting('search_path')`:                                                      "public",
		`SELECT current_setting('server_encoding')`:                                                  "UTF8",
		`SELECT datcollate FROM pg_catalog.pg_database WHERE datname = current_database()`:           "C",
		`SELECT count(*)::text FROM pg_catalog.pg_class WHERE relnamespace = 'public'::regnamespace`: "0",
	} {
		if got := scalar[string](t, c, query); got != want {
			t.Errorf("%s = %q, want %q", query, got, want)
		}
	}
}

// Schema public refuses the program, and serves all other sessions.
func TestPublicIsHostileToTheProgram(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	calls := []string{
		`SELECT lower('A'::varchar) = 'a'`,
		`SELECT 'a'::varchar = 'a'`,
		`SELECT 'a'::varchar = 'a'::text`,
		`SELECT 'a'::name = 'a'::varchar`,
		`SELECT starts_with('ab'::varchar, 'a'::text)`,
		`SELECT left('ab'::varchar, 1) = 'a'`,
		`SELECT length('ab'::varchar || 'c') = 3`,
		`SELECT 'pg_class'::regclass::oid = 'pg_class'::regclass`,
	}
	test, program := connect(t, url), connect(t, url+"&application_name=tenant-provisioner")
	for _, call := range calls {
		if !scalar[bool](t, test, call) {
			t.Errorf("%s is not true", call)
		}
		if err := program.QueryRow(t.Context(), call).Scan(nil); err == nil {
			t.Errorf("%s is answered", call)
		}
	}
	if _, err := program.Exec(t.Context(), "SET search_path = pg_catalog"); err != nil {
		t.Fatal(err)
	}
	for _, call := range calls {
		if !scalar[bool](t, program, call) {
			t.Errorf("with pg_catalog alone, %s is not true", call)
		}
	}
}

//nolint:tparallel // the subtest must have ended before the rest
func TestDatabaseIsDroppedDespiteConnections(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("user", func(t *testing.T) {
		c, err := pgx.Connect(t.Context(), postgrestest.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		name = scalar[string](t, c, `SELECT current_database()`)
		// Left open on purpose, beyond the end of the test; the server closes it.
	})
	c := connect(t, postgrestest.Database(t))
	if scalar[bool](t, c, `SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)`, name) {
		t.Errorf("database %s still exists", name)
	}
}
