package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// withRegistry has the service create the registry, and returns the database.
func withRegistry(t *testing.T, d testDatabase) testDatabase {
	t.Helper()
	r := serve(t, settings(d.env, with("NATS_URL", natstest.Start(t))))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	return d
}

// registerTenants registers tenants as another program does, each with its boundary; empty: none.
func (d testDatabase) registerTenants(t *testing.T, boundaries map[string]string) {
	t.Helper()
	for id, boundary := range boundaries {
		value := "NULL"
		if boundary != "" {
			value = "'" + d.boundary(boundary) + "'"
		}
		d.registry(t, fmt.Sprintf("INSERT INTO {b}tenant_registry (tenant_id, display_name, isolation_strategy, %s, created_at, "+
			"created_by, last_updated_at) VALUES ('%s', 'x', 'x', %s, '2026-01-01 00:00:00', 'DocEX', '2026-01-01 00:00:00')",
			map[bool]string{true: "database_path", false: "schema_name"}[d.sqlite()], id, value))
	}
}

// registry runs statements in the registry; {b} stands for a prefix to its tables.
func (d testDatabase) registry(t *testing.T, statements ...string) {
	t.Helper()
	if d.sqlite() {
		execute(t, "sqlite", "file:"+d.boundary("tenant_"+system), "", statements...)
		return
	}
	execute(t, "pgx", d.env["DATABASE_URL"], "docex_system.", statements...)
}

// boundary returns the schema or file of a name.
func (d testDatabase) boundary(name string) string {
	if d.sqlite() {
		return filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"), name, "docex.db")
	}
	return name
}

func TestDoctorFindsCollidingTenants(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		withRegistry(t, d)
		about := []string{"registry_names", "registry_twins", "registry_collisions"}
		d.registerTenants(t, map[string]string{"a": "tenant_a", "b": ""})
		testkit.Equal(t, "findings", findings(runDoctor(t, d.env), about...), "")

		d.registerTenants(t, map[string]string{"moved": "elsewhere"})
		checks := runDoctor(t, d.env)
		testkit.Equal(t, "findings", findings(checks, about...), "registry_names warning")
		testkit.Equal(t, "hint", checks["registry_names"].Hint,
			"-- moved is registered in "+d.boundary("elsewhere")+", the template gives "+d.boundary("tenant_moved"))

		d.registerTenants(t, map[string]string{"guest": "", "host": "tenant_guest"})
		checks = runDoctor(t, d.env)
		testkit.Equal(t, "findings", findings(checks, about...), "registry_collisions fault, registry_names warning")
		testkit.Equal(t, "hint", checks["registry_collisions"].Hint,
			"-- guest maps to "+d.boundary("tenant_guest")+", which is registered for host")
		testkit.Contains(t, "hint", checks["registry_names"].Hint, "host is registered", "moved is registered")

		d.registry(t, "DELETE FROM {b}tenant_registry WHERE tenant_id IN ('guest', 'host', 'moved')")
		d.registerTenants(t, map[string]string{"Acme": "tenant_Acme", "acme": "tenant_acme", "acmE": "tenant_acmE"})
		checks = runDoctor(t, d.env)
		testkit.Equal(t, "findings", findings(checks, about...), "registry_twins warning")
		testkit.Equal(t, "hint", checks["registry_twins"].Hint, "-- Acme and acme: rename one in the program that made it")
	})
}

// Doctor reads tenants page by page, and names at most 100.
func TestDoctorOfManyTenants(t *testing.T) {
	t.Parallel()
	d := withRegistry(t, newPostgres(t))
	d.registry(t, "INSERT INTO {b}tenant_registry (tenant_id, display_name, isolation_strategy, schema_name, created_at, "+
		"created_by, last_updated_at) SELECT 't' || n, 'x', 'schema', 'tenant_t' || n, now(), 'DocEX', now() "+
		"FROM generate_series(2, 10000) AS n")
	checks := runDoctor(t, d.env)
	testkit.Equal(t, "findings", findings(checks, "registry"), "") // 10,000 with the system's own
	d.registerTenants(t, map[string]string{"t1": "tenant_t1"})
	checks = runDoctor(t, d.env)
	testkit.Equal(t, "findings", findings(checks, "registry"), "registry_tenants warning")
	testkit.Contains(t, "hint", checks["registry_tenants"].Hint, "docs/performance.md")

	d.registry(t, "UPDATE {b}tenant_registry SET schema_name = 'other_' || tenant_id WHERE tenant_id LIKE 't%0'")
	checks = runDoctor(t, d.env)
	testkit.Contains(t, "message", checks["registry_names"].Message, "100 or more")
	testkit.Equal(t, "line breaks of the hint", strings.Count(checks["registry_names"].Hint, "\n"), 100-1)
}

func TestDoctorOfARegistryFile(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	checks := runDoctor(t, d.env)
	testkit.Equal(t, "findings", findings(checks), "nats warning, registry warning") // nothing has run yet
	testkit.Contains(t, "message", checks["storage"].Message, "does not exist yet")
	withRegistry(t, d)
	testkit.Equal(t, "findings", findings(runDoctor(t, d.env)), "nats warning")

	d.registry(t, "PRAGMA journal_mode = DELETE")
	testkit.Equal(t, "findings", findings(runDoctor(t, d.env)), "nats warning, registry_file warning")
	d.registry(t, "PRAGMA journal_mode = WAL")
	testkit.Equal(t, "findings", findings(runDoctor(t, d.env)), "nats warning")

	// A page of an index is corrupt.
	path := d.boundary("tenant_" + system)
	content, err := os.ReadFile(path)
	testkit.Must(t, err)
	pages := d.rows(system, "SELECT rootpage FROM sqlite_schema WHERE name = 'tenant_requests_tenant_created_at'")
	var page int
	_, err = fmt.Sscan(pages[0], &page)
	testkit.Must(t, err)
	for i := range 512 {
		content[4096*(page-1)+i] = 0xff
	}
	testkit.Must(t, os.WriteFile(path, content, 0o644))
	checks = runDoctor(t, d.env)
	testkit.Equal(t, "findings", findings(checks), "nats warning, registry_file fault, registry_ledger fault")
	testkit.Contains(t, "hint", checks["registry_file"].Hint, "backup", ".recover")
}
