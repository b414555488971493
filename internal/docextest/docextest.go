package docextest

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver of the files
)

var (
	//go:embed data/postgres.sql
	postgresSQL string
	//go:embed data/sqlite_registry.sql
	registrySQL string
	//go:embed data/sqlite_d1.sql
	d1SQL string
)

// Tenants are the tenants registered in the PostgreSQL database, without the bootstrap tenant, in order.
var Tenants = []string{"Docex_Two", "abcdefghij_abcdefghij_abcdefgh", "d1"}

// Postgres loads the registry and the tenants into the empty database at url. Everything belongs to the role owner,
// which must exist and which the role of url can set; empty: to the role of url.
func Postgres(t testing.TB, url, owner string) {
	t.Helper()
	role := "CURRENT_USER"
	if owner != "" {
		role = pgx.Identifier{owner}.Sanitize()
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("docextest: %v", err)
	}
	text := strings.ReplaceAll(postgresSQL, "OWNER TO postgres;", "OWNER TO "+role+";")
	_, err = conn.Exec(t.Context(), text, pgx.QueryExecModeSimpleProtocol)
	if err = errors.Join(err, conn.Close(context.WithoutCancel(t.Context()))); err != nil {
		t.Fatalf("docextest: load postgres.sql: %v", err)
	}
}

// SQLite makes the files below the storage directory root: tenant__docex_system_/docex.db, the registry, and
// tenant_d1/docex.db.
func SQLite(t testing.TB, root string) {
	t.Helper()
	for tenant, text := range map[string]string{"_docex_system_": registrySQL, "d1": d1SQL} {
		path := filepath.Join(root, "tenant_"+tenant, "docex.db")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatalf("docextest: %v", err)
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatalf("docextest: %v", err)
		}
		_, err = db.ExecContext(t.Context(), text)
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatalf("docextest: make %s: %v", path, err)
		}
	}
}
