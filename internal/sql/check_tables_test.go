package sql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// registryTables are the tables of the registry that the service cannot do without.
var registryTables = []string{"tenant_registry", "tenant_requests", "registry_stamp", "accepted_outcomes", "applied_scripts", "definitions"}

// columnsOf returns the names of a table's columns.
func (p testDatabase) columnsOf(t *testing.T, table string) []string {
	t.Helper()
	if p.engine == "postgres" {
		return p.lines(t, "", "SELECT column_name FROM information_schema.columns WHERE table_schema = 'docex_system' "+
			"AND table_name = '"+table+"'")
	}
	return p.lines(t, "", "SELECT name FROM pragma_table_info('"+table+"')")
}

func (p testDatabase) checkTables(t *testing.T) error {
	t.Helper()
	return p.reader(t).(interface {
		CheckTables(ctx context.Context) error
	}).CheckTables(t.Context())
}

// Every table and column of registry and ledger that was removed after its migration is named.
func TestMissingTablesAndColumnsAreNamed(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		testkit.Must(t, p.open(t).Close())
		testkit.Must(t, p.checkTables(t))
		checked := 0
		for _, table := range registryTables {
			for _, column := range p.columnsOf(t, table) {
				p.raw(t, "", fmt.Sprintf("ALTER TABLE {b}%s RENAME COLUMN %s TO gone", table, column))
				err := p.checkTables(t)
				if err == nil || errors.Is(err, sql.ErrNotMigrated) || !strings.Contains(err.Error(), column) {
					t.Errorf("%s of %s: %v", column, table, err)
				}
				p.raw(t, "", fmt.Sprintf("ALTER TABLE {b}%s RENAME COLUMN gone TO %s", table, column))
				checked++
			}
			if table == "tenant_registry" { // without it there is no registry
				continue
			}
			p.raw(t, "", fmt.Sprintf("ALTER TABLE {b}%s RENAME TO gone", table))
			err := p.checkTables(t)
			if err == nil || errors.Is(err, sql.ErrNotMigrated) || !strings.Contains(err.Error(), table) {
				t.Errorf("%s: %v", table, err)
			}
			back := map[string]string{"postgres": "docex_system.gone", "sqlite": "gone"}[p.engine]
			p.raw(t, "", "ALTER TABLE "+back+" RENAME TO "+table)
		}
		if checked < 40 {
			t.Errorf("%d columns were checked", checked)
		}
		testkit.Must(t, p.checkTables(t))
	})
}

// dropPlans removes what the migration of plans and those after it have added.
func (p testDatabase) dropPlans(t *testing.T) {
	t.Helper()
	for _, column := range []string{"plan", "plan_max_bytes", "plan_max_rows", "definition"} {
		p.raw(t, "", "ALTER TABLE {b}tenant_registry DROP COLUMN "+column)
	}
	p.raw(t, "", "DROP TABLE {b}applied_scripts", "DROP TABLE {b}definitions")
}

// A registry that the service has yet to migrate lacks nothing.
func TestEarlierRegistryLacksNothing(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		testkit.Must(t, p.open(t).Close())
		p.raw(t, "", "ALTER TABLE {b}registry_stamp DROP COLUMN base_definition",
			"DELETE FROM {b}tenant_provisioner_migrations WHERE version_id >= 10")
		if err := p.checkTables(t); !errors.Is(err, sql.ErrNotMigrated) {
			t.Error(err)
		}
		testkit.Must(t, p.open(t).Close())
		testkit.Must(t, p.checkTables(t))
	})
}
