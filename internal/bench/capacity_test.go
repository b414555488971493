//go:build bench

package bench

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// size is the size of a database.
type size struct {
	rows       map[string]int64 // of the catalogues, by name
	catalogues int64            // bytes
	relations  int64            // bytes of everything else
	files      int64
}

// size reads the size of the database.
func (b *bench) size(t testing.TB) size {
	t.Helper()
	ctx := context.Background()
	s := size{rows: map[string]int64{}}
	for _, name := range []string{"pg_class", "pg_attribute", "pg_depend", "pg_constraint", "pg_index", "pg_trigger", "pg_type", "pg_attrdef"} {
		var n int64
		testkit.Must(t, b.db.QueryRow(ctx, "SELECT count(*) FROM pg_catalog."+name).Scan(&n))
		s.rows[name] = n
	}
	testkit.Must(t, b.db.QueryRow(ctx, `SELECT
		sum(pg_total_relation_size(c.oid)) FILTER (WHERE n.nspname = 'pg_catalog'),
		sum(pg_total_relation_size(c.oid)) FILTER (WHERE n.nspname <> 'pg_catalog')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'`).Scan(&s.catalogues, &s.relations))
	testkit.Must(t, b.db.QueryRow(ctx, "SELECT count(*) FROM pg_class WHERE pg_relation_filepath(oid) IS NOT NULL").Scan(&s.files))
	return s
}

// capacity measures what a tenant costs the database, and a session that has read from it.
func (b *bench) capacity(t *testing.T, before, after size, n int) {
	each := func(a, b int64) string { return figure(float64(a-b) / float64(n)) }
	lines := [][]string{
		{"files", each(after.files, before.files)},
		{"disk: empty tables and indexes", each(after.relations/1024, before.relations/1024) + " KiB"},
		{"disk: catalogues", each(after.catalogues/1024, before.catalogues/1024) + " KiB"},
	}
	for _, name := range []string{"pg_class", "pg_attribute", "pg_depend", "pg_constraint", "pg_index", "pg_trigger", "pg_type", "pg_attrdef"} {
		lines = append(lines, []string{"rows in " + name, each(after.rows[name], before.rows[name])})
	}
	lines = append(lines,
		[]string{"locks held by a provisioning transaction", fmt.Sprint(b.locks(t, false))},
		[]string{"the same, prepared", fmt.Sprint(b.locks(t, true))},
		[]string{"memory of a session for a tenant that it has read from", figure(b.sessionMemory(t)) + " KiB"},
	)
	b.addTable(t, table{
		title: "What a tenant costs PostgreSQL",
		text:  fmt.Sprintf("Mean of %d tenants without rows.", n),
		head:  []string{"", "a tenant"}, lines: lines,
	})
}

// locks counts the locks of a transaction that creates a tenant, or renames a finished one.
func (b *bench) locks(t testing.TB, prepared bool) (n int) {
	t.Helper()
	ddl := newBareDDL(t, b.database, 1)
	defer ddl.close()
	schema, err := ddl.one(0)
	testkit.Must(t, err)
	text := "BEGIN; ALTER SCHEMA " + schema + " RENAME TO locks_" + schema
	if !prepared {
		text = ddl.statements("locks_" + schema)
	}
	testkit.Must(t, run(ddl.conns[0], text))
	testkit.Must(t, ddl.conns[0].QueryRow(context.Background(), "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()").Scan(&n))
	testkit.Must(t, run(ddl.conns[0], "ROLLBACK"))
	return n
}

// sessionMemory returns the KiB by which a session grows for each tenant whose tables it reads.
func (b *bench) sessionMemory(t testing.TB) float64 {
	t.Helper()
	ctx := context.Background()
	rows, err := b.db.Query(ctx, "SELECT schema_name FROM docex_system.tenant_registry WHERE NOT is_system ORDER BY tenant_id LIMIT 200")
	testkit.Must(t, err)
	var schemas []string
	for rows.Next() {
		var s string
		testkit.Must(t, rows.Scan(&s))
		schemas = append(schemas, s)
	}
	testkit.Must(t, rows.Err())
	conn := connect(t, b.database)
	used := func() (n int64) {
		testkit.Must(t, conn.QueryRow(ctx, "SELECT sum(used_bytes) FROM pg_backend_memory_contexts").Scan(&n))
		return n
	}
	read := func(schema string) {
		for _, table := range definedTables() {
			testkit.Must(t, run(conn, fmt.Sprintf(`SELECT FROM %s WHERE id = ''`, pgx.Identifier{schema, table}.Sanitize())))
		}
	}
	read(schemas[0])
	before := used()
	for _, schema := range schemas[1:] {
		read(schema)
	}
	return float64(used()-before) / 1024 / float64(len(schemas)-1)
}

func definedTables() (names []string) {
	for _, table := range sql.Tables {
		names = append(names, table.Name)
	}
	return names
}
