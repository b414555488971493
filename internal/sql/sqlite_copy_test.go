package sql_test

import (
	databasesql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// copier opens the storage directory for copying.
func copier(t *testing.T, p testDatabase) *sqlite.Reader {
	t.Helper()
	r, err := sqlite.OpenReader(t.Context(), sqlite.Config{Root: p.url, PathTemplate: "tenant_{tenant_id}/docex.db"})
	testkit.Must(t, err)
	return r
}

// copyTenants copies registry and tenants to a new storage directory.
func copyTenants(t *testing.T, p testDatabase, tenants ...string) testDatabase {
	t.Helper()
	root := filepath.Join(t.TempDir(), "copy")
	from := copier(t, p)
	testkit.Must(t, from.CopyRegistry(t.Context(), root))
	for _, tenant := range tenants {
		row, err := from.Tenant(t.Context(), tenant)
		testkit.Must(t, err)
		testkit.Must(t, from.CopyTenant(t.Context(), row, root))
	}
	return newSQLiteAt(root)
}

// Registry and tenants are copied with every commit, also one that is not in the file yet, while they are in use and
// while they are not. No original changes, and no other file appears.
func TestCopyHasAllCommits(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	store := p.open(t)
	r := p.newFixtureOn(t, store, store)
	const insert = "INSERT INTO docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')"
	for _, tenant := range []string{"resting", "walled", "used"} {
		r.provision(t, tenant)
	}
	p.raw(t, "resting", insert)
	p.raw(t, "walled", "PRAGMA journal_mode = WAL", insert)
	db, err := databasesql.Open("sqlite", p.boundary("used")+"?_pragma=journal_mode(WAL)")
	testkit.Must(t, err)
	defer db.Close()
	_, err = db.Exec(insert)
	testkit.Must(t, err)

	before := listing(t, p.url)
	tenants := []string{"resting", "walled", "used"}
	copied := copyTenants(t, p, tenants...)
	if after := listing(t, p.url); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	var files []string
	testkit.Must(t, filepath.WalkDir(copied.url, func(path string, entry fs.DirEntry, err error) error {
		testkit.Must(t, err)
		info, err := entry.Info()
		testkit.Must(t, err)
		if !entry.IsDir() {
			name, err := filepath.Rel(copied.url, path)
			testkit.Must(t, err)
			files = append(files, fmt.Sprint(name, " ", info.Mode()))
		}
		return nil
	}))
	testkit.Equal(t, "files of the copy", strings.Join(files, ", "), "tenant__docex_system_/docex.db -rw-r--r--, "+
		"tenant_resting/docex.db -rw-r--r--, tenant_used/docex.db -rw-r--r--, tenant_walled/docex.db -rw-r--r--")
	read := copied.reader(t)
	n, err := read.Count(t.Context())
	testkit.Must(t, err)
	testkit.Equal(t, "tenants in the copy", n, len(tenants)+1)
	for _, tenant := range tenants {
		testkit.Equal(t, "rows of "+tenant, copied.count(t, tenant, "SELECT count(*) FROM docbasket"), 1)
		in := verify(t, read, tenant)
		if len(in.Drift()) > 0 || len(in.Warnings) != 1 || !strings.Contains(in.Warnings[0], "is another file") {
			t.Errorf("%s beside the original: %+v", tenant, in)
		}
	}
	testkit.Must(t, store.Close())
	testkit.Must(t, os.Rename(p.url, p.url+"-away"))
	for _, tenant := range tenants {
		if in := verify(t, read, tenant); len(in.Faults()) > 0 {
			t.Errorf("%s without the original: %+v", tenant, in)
		}
	}
	// A service on the copy refuses the tenants that are there, and makes others.
	again := copied.newFixture(t)
	again.expectFailure(t, "resting", "TENANT_EXISTS")
	again.provision(t, "new")
}

// A file that is registered elsewhere is copied to where the template puts it. One that is missing, not a database, or
// locked for long is an error that names it, and leaves nothing.
func TestCopyOfAFileThatIsNotInItsPlace(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	r.provision(t, "moved")
	elsewhere := filepath.Join(t.TempDir(), "moved.db")
	testkit.Must(t, os.Rename(p.boundary("moved"), elsewhere))
	p.raw(t, "", "UPDATE tenant_registry SET database_path = '"+elsewhere+"' WHERE tenant_id = 'moved'")
	p.insertTenants(t, "missing", "text")
	testkit.Must(t, os.MkdirAll(filepath.Dir(p.boundary("text")), 0o755))
	testkit.Must(t, os.WriteFile(p.boundary("text"), []byte(strings.Repeat("not a database\n", 100)), 0o644))

	r.provision(t, "locked")
	db, err := databasesql.Open("sqlite", "file:"+p.boundary("locked")+"?_txlock=exclusive")
	testkit.Must(t, err)
	defer db.Close()
	tx, err := db.Begin()
	testkit.Must(t, err)
	defer tx.Rollback()

	copied := copyTenants(t, p, "moved")
	testkit.Equal(t, "rows", copied.count(t, "moved", "SELECT count(*) FROM docbasket"), 0)
	from := copier(t, p)
	for _, tenant := range []string{"missing", "text", "locked"} {
		err := from.CopyTenant(t.Context(), sql.TenantRow{Tenant: pipeline.Tenant{ID: tenant}}, copied.url)
		if err == nil || !strings.Contains(err.Error(), p.boundary(tenant)) {
			t.Errorf("%s: %v", tenant, err)
		}
		if _, err := os.Stat(copied.boundary(tenant)); !os.IsNotExist(err) {
			t.Errorf("%s: a file was left: %v", tenant, err)
		}
	}
	// What exists is not replaced.
	before, err := os.ReadFile(copied.boundary("moved"))
	testkit.Must(t, err)
	row, err := from.Tenant(t.Context(), "moved")
	testkit.Must(t, err)
	if err := from.CopyTenant(t.Context(), row, copied.url); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second copy: %v", err)
	}
	after, err := os.ReadFile(copied.boundary("moved"))
	testkit.Must(t, err)
	testkit.Equal(t, "unchanged", slices.Equal(before, after), true)
}
