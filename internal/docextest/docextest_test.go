package docextest_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/docextest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestPostgresHasTheRegistryAndThreeTenants(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	docextest.Postgres(t, url, "")
	conn, err := pgx.Connect(t.Context(), url)
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, conn.Close(context.Background())) })
	rows, err := conn.Query(t.Context(), `SELECT tenant_id FROM docex_system.tenant_registry
		WHERE NOT is_system ORDER BY tenant_id COLLATE "C"`)
	testkit.Must(t, err)
	tenants, err := pgx.CollectRows(rows, pgx.RowTo[string])
	testkit.Must(t, err)
	if !slices.Equal(tenants, docextest.Tenants) {
		t.Errorf("tenants are %v", tenants)
	}
	for _, schema := range []string{"docex_system", "tenant_d1", "tenant_Docex_Two", "tenant_" + docextest.Tenants[1]} {
		var tables, indexes int
		testkit.Must(t, conn.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE relkind = 'r'),
			count(*) FILTER (WHERE relkind = 'i' AND relname LIKE 'idx%') FROM pg_class
			WHERE relnamespace = $1::text::regnamespace`, pgx.Identifier{schema}.Sanitize()).Scan(&tables, &indexes))
		if want := 11; tables != want && schema != "docex_system" || indexes != 26 {
			t.Errorf("%s has %d tables and %d indexes", schema, tables, indexes)
		}
	}
}

// DocEX's files have the defaults of SQLite, which the text does not carry.
func TestSQLiteFilesAreAsDocEXMakesThem(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	docextest.SQLite(t, root)
	for tenant, tables := range map[string]int{"_docex_system_": 12, "d1": 11} {
		db, err := sql.Open("sqlite", filepath.Join(root, "tenant_"+tenant, "docex.db"))
		testkit.Must(t, err)
		t.Cleanup(func() { testkit.Must(t, db.Close()) })
		for pragma, want := range map[string]string{
			"page_size": "4096", "encoding": "UTF-8", "journal_mode": "delete", "auto_vacuum": "0", "user_version": "0",
			"application_id": "0", "integrity_check": "ok",
		} {
			var got string
			testkit.Must(t, db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
			if got != want {
				t.Errorf("%s: %s is %s, want %s", tenant, pragma, got, want)
			}
		}
		var got string
		testkit.Must(t, db.QueryRowContext(t.Context(), `SELECT sum(type = 'table') || ' tables, '
			|| sum(type = 'index' AND sql IS NOT NULL) || ' indexes' FROM sqlite_schema`).Scan(&got))
		if want := fmt.Sprintf("%d tables, 26 indexes", tables); got != want {
			t.Errorf("%s has %s, want %s", tenant, got, want)
		}
	}
}
