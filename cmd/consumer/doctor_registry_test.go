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

// registered is a database whose registry the service has made.
func registered(t *testing.T, d testDatabase) testDatabase {
	t.Helper()
	r := serve(t, settings(d.env, with("NATS_URL", natstest.Start(t))))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	return d
}

// enter registers tenants as another program would, each with its boundary; empty: none.
func (d testDatabase) enter(t *testing.T, boundaries map[string]string) {
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

// boundary is what the template tenant_{tenant_id} makes of a name.
func (d testDatabase) boundary(name string) string {
	if d.sqlite() {
		return filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"), name, "docex.db")
	}
	return name
}

func TestDoctorFindsTenantsThatMeet(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		registered(t, d)
		about := []string{"registry_names", "registry_twins", "registry_collisions"}
		d.enter(t, map[string]string{"a": "tenant_a", "b": ""})
		testkit.Equal(t, "findings", ailing(examined(t, d.env), about...), "")

		d.enter(t, map[string]string{"moved": "elsewhere"})
		checks := examined(t, d.env)
		testkit.Equal(t, "findings", ailing(checks, about...), "registry_names warning")
		testkit.Equal(t, "who", checks["registry_names"].Hint,
			"-- moved is registered in "+d.boundary("elsewhere")+", the template gives "+d.boundary("tenant_moved"))

		d.enter(t, map[string]string{"guest": "", "host": "tenant_guest"})
		checks = examined(t, d.env)
		testkit.Equal(t, "findings", ailing(checks, about...), "registry_collisions fault, registry_names warning")
		testkit.Equal(t, "who", checks["registry_collisions"].Hint,
			"-- guest maps to "+d.boundary("tenant_guest")+", which is registered for host")
		testkit.Contains(t, "who", checks["registry_names"].Hint, "host is registered", "moved is registered")

		d.registry(t, "DELETE FROM {b}tenant_registry WHERE tenant_id IN ('guest', 'host', 'moved')")
		d.enter(t, map[string]string{"Acme": "tenant_Acme", "acme": "tenant_acme", "acmE": "tenant_acmE"})
		checks = examined(t, d.env)
		testkit.Equal(t, "findings", ailing(checks, about...), "registry_twins warning")
		testkit.Equal(t, "who", checks["registry_twins"].Hint, "-- Acme and acme: rename one in DocEX")
	})
}

// Any number of tenants is read page by page, and only some are named.
func TestDoctorOfManyTenants(t *testing.T) {
	t.Parallel()
	d := registered(t, newPostgres(t))
	d.registry(t, "INSERT INTO {b}tenant_registry (tenant_id, display_name, isolation_strategy, schema_name, created_at, "+
		"created_by, last_updated_at) SELECT 't' || n, 'x', 'schema', 'tenant_t' || n, now(), 'DocEX', now() "+
		"FROM generate_series(2, 10000) AS n")
	checks := examined(t, d.env)
	testkit.Equal(t, "findings", ailing(checks, "registry"), "") // 10,000 with the system's own
	d.enter(t, map[string]string{"t1": "tenant_t1"})
	checks = examined(t, d.env)
	testkit.Equal(t, "findings", ailing(checks, "registry"), "registry_tenants warning")
	testkit.Contains(t, "where to read on", checks["registry_tenants"].Hint, "docs/performance.md")

	d.registry(t, "UPDATE {b}tenant_registry SET schema_name = 'other_' || tenant_id WHERE tenant_id LIKE 't%0'")
	checks = examined(t, d.env)
	testkit.Contains(t, "how many", checks["registry_names"].Message, "100 or more")
	testkit.Equal(t, "how many are named", strings.Count(checks["registry_names"].Hint, "\n"), 100-1)
}

func TestDoctorOfARegistryFile(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	checks := examined(t, d.env)
	testkit.Equal(t, "findings", ailing(checks), "nats warning, registry warning") // nothing has run yet
	testkit.Contains(t, "the directory", checks["storage"].Message, "does not exist yet")
	registered(t, d)
	testkit.Equal(t, "findings", ailing(examined(t, d.env)), "nats warning")

	d.registry(t, "PRAGMA journal_mode = DELETE")
	testkit.Equal(t, "findings", ailing(examined(t, d.env)), "nats warning, registry_file warning")
	d.registry(t, "PRAGMA journal_mode = WAL")
	testkit.Equal(t, "findings", ailing(examined(t, d.env)), "nats warning")

	// A page of an index goes bad.
	path := d.boundary("tenant_" + system)
	content, err := os.ReadFile(path)
	testkit.Must(t, err)
	pages := d.rows(system, "SELECT rootpage FROM sqlite_schema WHERE name = 'tenant_requests_tenant_id'")
	var page int
	_, err = fmt.Sscan(pages[0], &page)
	testkit.Must(t, err)
	for i := range 512 {
		content[4096*(page-1)+i] = 0xff
	}
	testkit.Must(t, os.WriteFile(path, content, 0o644))
	checks = examined(t, d.env)
	testkit.Equal(t, "findings", ailing(checks), "nats warning, registry_file fault")
	testkit.Contains(t, "what to do", checks["registry_file"].Hint, "backup", ".recover")
}
