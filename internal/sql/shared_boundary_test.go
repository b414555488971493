package sql_test

import (
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// A registry in which two tenants have one boundary does not get its unique indexes. The start ends with the query that
// lists these tenants.
func TestRegistryWithASharedBoundary(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.withDocEX(t)
		inRegistry, place := "", "schema_name"
		if p.engine == "sqlite" {
			inRegistry, place = sql.BootstrapTenant, "database_path"
		}
		for _, id := range []string{"one", "two"} {
			p.raw(t, inRegistry, "INSERT INTO {b}tenant_registry (tenant_id, display_name, is_system, isolation_strategy, "+place+
				", created_at, created_by, last_updated_at) VALUES ('"+id+"', 'x', false, 'schema', 'shared', "+
				"'2026-01-01 00:00:00', 'docex', '2026-01-01 00:00:00')")
		}
		err := p.openError(t)
		if err == nil || pipeline.IsOutage(err) {
			t.Fatalf("opened: %v", err)
		}
		_, query, _ := strings.Cut(err.Error(), "to list them: ")
		query, _, _ = strings.Cut(query, ";")
		if got := p.lines(t, inRegistry, "SELECT tenant_id FROM ("+query+") AS shared ORDER BY 1"); strings.Join(got, " ") != "one two" {
			t.Errorf("%q lists %q", query, got)
		}
	})
}

// openError opens a store, closes it, and returns why it could not be opened.
func (p testDatabase) openError(t *testing.T) error {
	t.Helper()
	var s database
	var err error
	if p.engine == "postgres" {
		s, err = tryOpenPostgres(t, p.url)
	} else {
		s, err = sqlite.Open(t.Context(), sqlite.Config{
			Root: p.url, PathTemplate: "tenant_{tenant_id}/docex.db", Connections: 1, CreatedBy: "test", Log: quiet(), Now: time.Now,
		})
	}
	if err == nil {
		testkit.Must(t, s.Close())
	}
	return err
}
