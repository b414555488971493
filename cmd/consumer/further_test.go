package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// further are the scripts and the seed data of a service.
type further struct {
	env     map[string]string
	scripts string // "name sha256; …", of all scripts
}

// withFurther returns the scripts and the seed data of deploy, with files that would leave one row more if they ran twice.
func withFurther(t *testing.T, d testDatabase) further {
	t.Helper()
	scripts, seeds := copyScripts(t, "orders"), t.TempDir()
	testkit.Must(t, os.CopyFS(seeds, os.DirFS("../../deploy/seed-data")))
	const counted = "CREATE TABLE IF NOT EXISTS %[1]s (n INTEGER);\nINSERT INTO %[1]s VALUES (1);\n"
	dir := filepath.Join(scripts, d.engineDir())
	for file, text := range map[string]string{
		filepath.Join(dir, "015_prepared.sql"): "-- provisioner: prepare\n" + fmt.Sprintf(counted, "prepared_runs"),
		filepath.Join(dir, "030_asked.sql"): fmt.Sprintf(counted, "asked_runs") +
			"CREATE TABLE IF NOT EXISTS seed_runs (n INTEGER);\n",
		filepath.Join(seeds, "seed_runs.jsonl"): "{\"n\": 1}\n",
	} {
		testkit.Must(t, os.WriteFile(file, []byte(text), 0o644))
	}
	f := further{env: map[string]string{"INIT_SCRIPTS": scripts, "SEED_DATA": seeds}}
	files, err := os.ReadDir(dir)
	testkit.Must(t, err)
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		testkit.Must(t, err)
		names = append(names, fmt.Sprintf("%s %x", file.Name(), sha256.Sum256(text)))
	}
	f.scripts = strings.Join(names, "; ")
	return f
}

// check asserts that each tenant has the rows of scripts and seed data once, and that its outcome and the registry name
// the scripts.
func (f further) check(t *testing.T, d testDatabase, outcomes []event.Event) {
	t.Helper()
	tenants := 0
	for _, e := range outcomes {
		if e.Type() != events.TypeProvisioned {
			continue
		}
		tenants++
		data, err := events.ProvisionedFrom(e)
		testkit.Must(t, err)
		var named []string
		for _, s := range data.Scripts {
			named = append(named, s.Name+" "+s.SHA256)
		}
		testkit.Equal(t, "scripts in the outcome of "+data.TenantID, strings.Join(named, "; "), f.scripts)
		testkit.Equal(t, "seeded rows in the outcome of "+data.TenantID, fmt.Sprint(data.Seeded),
			"map[docbasket:2 seed_runs:1 transport_routes:2]")
		recorded := d.rows(system, "SELECT name || ' ' || sha256 FROM {b}applied_scripts WHERE tenant_id = '"+data.TenantID+"' ORDER BY name")
		testkit.Equal(t, "recorded scripts of "+data.TenantID, strings.Join(recorded, "; "), f.scripts)
		rows := d.rows(data.TenantID, "SELECT 'owner ' || tenant_id FROM {b}account UNION ALL SELECT 'status ' || code FROM {b}order_status "+
			"UNION ALL SELECT 'ran when prepared' FROM {b}prepared_runs UNION ALL SELECT 'ran when asked' FROM {b}asked_runs "+
			"UNION ALL SELECT 'seeded' FROM {b}seed_runs UNION ALL SELECT name FROM {b}docbasket "+
			"UNION ALL SELECT name FROM {b}transport_routes")
		slices.Sort(rows)
		testkit.Equal(t, "rows of "+data.TenantID, strings.Join(rows, "; "), "Archive; Download from the archive; Inbox; "+
			"Upload to the inbox; owner "+data.TenantID+"; ran when asked; ran when prepared; seeded; status open; status paid; status shipped")
	}
	testkit.Equal(t, "recorded scripts", len(d.rows(system, "SELECT name FROM {b}applied_scripts")), tenants*strings.Count(f.scripts+";", ";"))
}

// The crash matrix of the further steps: the program is killed at the points between durable effects after the
// validation. Scripts and seed data take effect once, also where SQLite finds a file that a killed attempt has filled.
// On PostgreSQL nothing is durable before the one commit. (A start with scripts takes seconds there: the grammar.)
func TestKilledWithScriptsAndSeeds(t *testing.T) {
	t.Parallel()
	steps := []string{"step 5 ended", "step 6 ended", "step 7 ended"}
	for name, points := range map[string]struct{ both, sqlite []string }{
		"provisioned":       {slices.Concat(steps, []string{"outcome allowed"}), slices.Concat(scenarios["provisioned"].sqlite, []string{"step 4 ended"})},
		"existing boundary": {steps, []string{"step 4 ended", "directory synced"}},
	} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, d testDatabase) {
				d = withPlainRole(t, d)
				f := withFurther(t, d)
				s := scenarios[name]
				all := slices.Clone(points.both)
				if d.sqlite() {
					for _, point := range points.sqlite { // the rehearsal passes most of them too
						all = append(all, fmt.Sprintf("%s/tenant_%d", point, len(all)))
					}
				} else if s.prepare != nil {
					s.prepare = func(d testDatabase, tenant string) { // the service's role must own the boundary
						scenarios[name].prepare(postgresAt(t, d.env["DATABASE_URL"], d.env["DATABASE_URL"]), tenant)
					}
				}
				_, outcomes := s.killAtEach(t, d, f.env, all)
				checkConsistency(t, d, outcomes, "", len(all))
				f.check(t, d, outcomes)
			})
		})
	}
}

// The same with prepared boundaries, which have some of the scripts before they are taken. The second request gets the
// boundary in which the first was killed. make soak has all points.
func TestKilledWithScriptsInPreparedBoundaries(t *testing.T) {
	t.Parallel()
	killWithScriptsInPool(t, []string{"step 6 ended", "step 7 ended", "boundary prepared"})
}

func killWithScriptsInPool(t *testing.T, points []string) {
	t.Helper()
	d := withPlainRole(t, newPostgres(t))
	f := withFurther(t, d)
	outcomes, prepared := killWithPool(t, d, f.env, points)
	f.check(t, d, outcomes)
	testkit.Equal(t, "prepared tenants", prepared > 0, true)
}
