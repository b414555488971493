package sql_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// openWith opens with what a new registry needs.
func (p testDatabase) openWith(
	t *testing.T, id string, allow func(ctx context.Context, foreign []string) error,
) (database, error) {
	t.Helper()
	if p.engine == "postgres" {
		return openedStore(postgres.Open(t.Context(), postgres.Config{
			URL: p.url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 4, CreatedBy: "test", Log: quiet(),
			AllowNew: allow, RegistryID: id,
		}))
	}
	return openedStore(sqlite.Open(t.Context(), sqlite.Config{
		Root: p.url, PathTemplate: "tenant_{tenant_id}/docex.db", Connections: 4, CreatedBy: "test", Log: quiet(), Now: time.Now,
		AllowNew: allow, RegistryID: id,
	}))
}

func openedStore[S database](s S, err error) (database, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// contents describes everything that a start could create.
func (p testDatabase) contents(t *testing.T) string {
	t.Helper()
	if p.engine == "postgres" {
		return strings.Join(p.lines(t, "", "SELECT nspname || coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace "+
			"UNION ALL SELECT relname FROM pg_class ORDER BY 1"), "\n")
	}
	var all []string
	testkit.Must(t, filepath.WalkDir(filepath.Dir(p.url), func(path string, entry os.DirEntry, err error) error {
		testkit.Must(t, err)
		info, err := entry.Info()
		testkit.Must(t, err)
		all = append(all, fmt.Sprint(path, info.ModTime(), info.Size()))
		return nil
	}))
	return strings.Join(all, "\n")
}

// A registry is created only with permission, and before that nothing is created. One that exists needs none, even if
// DocEX made it.
func TestNewRegistryNeedsPermission(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		refused := errors.New("not in this place")
		asked := 0
		var foreign []string
		refuse := func(_ context.Context, found []string) error {
			asked++
			foreign = found
			return refused
		}
		expectRefused := func(want ...string) {
			t.Helper()
			asked = 0
			before := p.contents(t)
			_, err := p.openWith(t, "", refuse)
			if err != refused { //nolint:errorlint // unchanged
				t.Error(err)
			}
			if after := p.contents(t); after != before {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
			if asked != 1 || !slices.Equal(foreign, want) {
				t.Errorf("asked %d times, about %q, want %q", asked, foreign, want)
			}
		}
		if p.engine == "sqlite" {
			testkit.Must(t, os.MkdirAll(filepath.Dir(p.url), 0o755))
		}
		expectRefused()

		r := p.newFixture(t)
		r.provision(t, "acme")
		r.provision(t, "beta")
		p.createBoundary(t, "planted") // no service has made it
		asked = 0
		store, err := p.openWith(t, "", refuse)
		testkit.Must(t, err)
		testkit.Must(t, store.Close())
		testkit.Equal(t, "asked about a registry that exists", asked, 0)

		// The registry is lost, its tenants are there.
		if p.engine == "postgres" {
			p.raw(t, "", "DROP SCHEMA docex_system CASCADE")
		} else {
			testkit.Must(t, os.RemoveAll(filepath.Dir(p.boundary(""))))
		}
		expectRefused(p.boundary("acme"), p.boundary("beta"))
		if p.engine == "sqlite" { // a start that was killed
			testkit.Must(t, os.MkdirAll(filepath.Dir(p.boundary("")), 0o755))
			testkit.Must(t, os.WriteFile(p.boundary(""), nil, 0o644))
			expectRefused(p.boundary("acme"), p.boundary("beta"))
		}
		for i := range 25 {
			p.createBoundary(t, fmt.Sprintf("more%d", i))
			if p.engine == "postgres" {
				p.raw(t, "", fmt.Sprintf("COMMENT ON SCHEMA tenant_more%d IS 'tenant-provisioner registry 0b6d2f0e-5a55-4c4e-9d7b-3a8c2a5f7f11'", i))
			} else {
				p.raw(t, fmt.Sprintf("more%d", i), "PRAGMA application_id = 4711")
			}
		}
		_, err = p.openWith(t, "", refuse)
		if err == nil || len(foreign) != 20 {
			t.Errorf("%v, %d boundaries", err, len(foreign))
		}
		store, err = p.openWith(t, "", func(context.Context, []string) error { return nil })
		testkit.Must(t, err)
		testkit.Must(t, store.Close())

		// DocEX's: without ledger and id.
		p.raw(t, "", "DROP TABLE {b}registry_stamp", "DROP TABLE {b}tenant_requests", "DROP TABLE {b}tenant_provisioner_migrations")
		if p.engine == "postgres" {
			p.raw(t, "", "DROP TABLE {b}prepared_boundaries", "COMMENT ON SCHEMA docex_system IS NULL")
		}
		asked = 0
		const id = "0b6d2f0e-5a55-4c4e-9d7b-3a8c2a5f7f11"
		store, err = p.openWith(t, id, refuse)
		testkit.Must(t, err)
		if asked != 0 || registryID(t, store) == id {
			t.Errorf("asked %d times, id %s", asked, registryID(t, store))
		}
		testkit.Must(t, store.Close())
	})
}

// Registries of other services in the database know their schemas, whether or not their own schema is stamped.
func TestForeignSchemasOfNeighbours(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	theirs := p.neighbour().newFixture(t)
	theirs.provision(t, "theirs")
	expect := func(want ...string) {
		t.Helper()
		var foreign []string
		_, err := p.openWith(t, "", func(_ context.Context, found []string) error {
			foreign = found
			return errors.New("no")
		})
		if err == nil || !slices.Equal(foreign, want) {
			t.Errorf("%v, %q, want %q", err, foreign, want)
		}
	}
	expect()
	p.raw(t, "", "COMMENT ON SCHEMA shop_system IS 'of the shop'")
	expect()
	p.raw(t, "", "DELETE FROM shop_system.tenant_registry WHERE tenant_id = 'theirs'")
	expect("tenant_theirs")
	p.raw(t, "", "COMMENT ON SCHEMA shop_system IS NULL", `CREATE SCHEMA "prepared:x"`,
		`COMMENT ON SCHEMA "prepared:x" IS 'tenant-provisioner registry 0b6d2f0e-5a55-4c4e-9d7b-3a8c2a5f7f11'`)
	expect("tenant_theirs")
}

// A registry that is created gets the configured id, whichever of several processes creates it. Then its former tenants'
// boundaries are its own.
func TestIDOfANewRegistry(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		if _, err := p.openWith(t, "production", nil); err == nil || !strings.Contains(err.Error(), "production") {
			t.Error(err)
		}
		const replicas = 4
		id := "0B6D2F0E-5A55-4C4E-9D7B-3A8C2A5F7F11"
		ids := make([]string, replicas)
		var starts sync.WaitGroup
		for i := range replicas {
			starts.Go(func() {
				store, err := p.openWith(t, id, func(context.Context, []string) error { return nil })
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = registryID(t, store)
				testkit.Must(t, store.Close())
			})
		}
		starts.Wait()
		for _, got := range ids {
			testkit.Equal(t, "id", got, strings.ToLower(id))
		}
		if t.Failed() {
			return
		}
		// Later ones do not replace it.
		store, err := p.openWith(t, "11111111-2222-4333-8444-555555555555", nil)
		testkit.Must(t, err)
		testkit.Equal(t, "id", registryID(t, store), strings.ToLower(id))
		testkit.Must(t, store.Close())
	})
}

// The tables of the registry are lost, its stamped schema is not: with its id it is created again.
func TestNewRegistryInItsFormerSchema(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	id := registryID(t, r.store)
	p.raw(t, "", "DROP SCHEMA docex_system CASCADE", "CREATE SCHEMA docex_system",
		"COMMENT ON SCHEMA docex_system IS 'tenant-provisioner registry "+id+"'")
	if _, err := p.openWith(t, "", nil); err == nil {
		t.Error("a registry with another id was created")
	}
	store, err := p.openWith(t, id, nil)
	testkit.Must(t, err)
	testkit.Equal(t, "id", registryID(t, store), id)
	testkit.Must(t, store.Close())
}

// An older copy of the registry beside the write-ahead log of a newer one, and a file whose pages are overwritten, are
// damaged: the service does not start, and names file, findings and remedy.
func TestDamagedRegistry(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	for i := range 3 {
		r.provision(t, fmt.Sprintf("early%d", i))
	}
	p.raw(t, "", "PRAGMA wal_checkpoint(TRUNCATE)")
	old, err := os.ReadFile(p.boundary(""))
	testkit.Must(t, err)
	for i := range 40 {
		r.provision(t, fmt.Sprintf("middle%d", i))
	}
	p.raw(t, "", "PRAGMA wal_checkpoint(TRUNCATE)")
	for i := range 5 {
		r.provision(t, fmt.Sprintf("late%d", i))
	}
	log, err := os.ReadFile(p.boundary("") + "-wal")
	testkit.Must(t, err)
	whole, err := os.ReadFile(p.boundary(""))
	testkit.Must(t, err)

	scribbled := slices.Clone(whole)
	for page := 20; page < 30; page++ {
		copy(scribbled[page*4096:], strings.Repeat("\xff", 2000))
	}
	for name, files := range map[string]map[string][]byte{
		"an older copy beside a newer log": {"": old, "-wal": log},
		"overwritten pages":                {"": scribbled},
		"not a database":                   {"": []byte(strings.Repeat("no database", 1000))},
		"truncated":                        {"": whole[:len(whole)/2]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			damaged := newSQLite(t)
			registry := damaged.boundary("")
			testkit.Must(t, os.MkdirAll(filepath.Dir(registry), 0o755))
			for suffix, content := range files {
				testkit.Must(t, os.WriteFile(registry+suffix, content, 0o644))
			}
			store, err := tryOpenSQLite(t, damaged.url)
			if err == nil {
				testkit.Must(t, store.Close())
				t.Fatal("the registry is used")
			}
			testkit.Contains(t, "the error", err.Error(), registry, "damaged", "-wal and -shm", "consumer reconcile")
			if text := err.Error(); len(text) > 1000 || strings.Contains(text, "\n") {
				t.Errorf("%d bytes: %s", len(text), text)
			}
		})
	}
}
