package sql_test

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// The process can crash between placing the file and the registry's commit. The failure of the request lists
// the file, and the next request for the tenant uses it (invariant 4 of package sqlite).
func TestFilePlacedButNotRegistered(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	p.raw(t, "", "CREATE TRIGGER refuse BEFORE INSERT ON tenant_registry WHEN NEW.tenant_id = 'placed' BEGIN SELECT RAISE(ABORT, 'not now'); END")
	req := request(t, "placed")
	verdict(t, r.provisioner.Job(req), pipeline.Retry)
	before, err := os.Stat(p.boundary("placed"))
	testkit.Must(t, err)
	verdict(t, r.provisioner.Job(req), pipeline.Retry)
	f := failedOutcome(t, r.decide(t, req), events.CauseAttemptsExhausted)
	if len(f.LeftBehind) != 1 || f.LeftBehind[0] != p.boundary("placed") || f.Step.Number != 5 {
		t.Errorf("%+v", f)
	}
	// The failure of another request does not list a file that it did not create.
	other := request(t, "placed")
	for range maxAttempts - 1 {
		verdict(t, r.provisioner.Job(other), pipeline.Retry)
	}
	if f := failedOutcome(t, r.decide(t, other), events.CauseAttemptsExhausted); len(f.LeftBehind) != 0 {
		t.Errorf("left behind: %v", f.LeftBehind)
	}
	p.raw(t, "", "DROP TRIGGER refuse")
	r.provision(t, "placed")
	after, err := os.Stat(p.boundary("placed"))
	testkit.Must(t, err)
	if !os.SameFile(before, after) {
		t.Error("the file was replaced")
	}
}

// entries lists a directory.
func entries(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	testkit.Must(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestFilesOfACrashedAttempt(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	req := request(t, "again")
	dir := filepath.Dir(p.boundary("again"))
	testkit.Must(t, os.MkdirAll(dir, 0o755))
	ours := filepath.Join(dir, ".building-"+req.Key()[:16]+"-0-")
	const theirs = ".building-0123456789abcdef-0-1"
	for name, content := range map[string]string{
		ours + "1": "", ours + "9": "torn", filepath.Join(dir, theirs): "torn",
	} {
		testkit.Must(t, os.WriteFile(name, []byte(content), 0o644))
	}
	provisionedOutcome(t, r.decide(t, req))
	if got := entries(t, dir); got != theirs+" docex.db" {
		t.Errorf("in the directory: %s", got)
	}
}

// Another worker's file for the same request is not a leftover.
func TestFileUnderConstructionIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r, second := p.newFixture(t), p.newFixture(t)
	req := request(t, "acme")
	var inner pipeline.Outcome
	hooked := r.withHook(t, only(inspected, once(func(context.Context) error {
		//nolint:contextcheck // another worker has its own context
		inner = decided(t, second.provisioner.Job(req)).Outcome
		return nil
	})))
	outer := decided(t, hooked.Job(req)).Outcome
	if got := provisionedOutcome(t, outer); got.Attempts != 2 || string(inner.Body) != string(outer.Body) {
		t.Errorf("two outcomes:\n%s\n%s", inner.Body, outer.Body)
	}
	// The same if the first one is faster.
	req = request(t, "swift")
	hooked = r.withHook(t, only(inspected, once(func(ctx context.Context) error {
		c, err := second.store.Claim(ctx, req, "swift", pipeline.Limit{Attempts: 9, Lease: 1})
		testkit.Must(t, err)
		b, err := second.store.Begin(ctx, c, "swift")
		testkit.Must(t, err)
		defer b.Close(ctx)
		_, err = b.CreateBoundary(ctx)
		return err
	})))
	provisionedOutcome(t, decided(t, hooked.Job(req)).Outcome)
	if got := entries(t, filepath.Dir(p.boundary("swift"))); got != "docex.db" {
		t.Errorf("in the directory: %s", got)
	}
}

// Invariant 2 of package sqlite: a file that appears while another is being built is not replaced.
func TestFileThatAppearsDuringAnAttempt(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	hooked := r.withHook(t, only(ready, once(func(context.Context) error {
		return os.WriteFile(p.boundary("raced"), []byte("precious"), 0o600)
	})))
	req := request(t, "raced")
	verdict(t, hooked.Job(req), pipeline.Retry)
	f := failedOutcome(t, decided(t, hooked.Job(req)).Outcome, events.CauseBoundaryNotEmpty)
	if f.Attempts != 2 || len(f.LeftBehind) != 0 || p.snapshot(t, "raced") != "precious" {
		t.Errorf("%+v", f)
	}
	if got := entries(t, filepath.Dir(p.boundary("raced"))); got != "docex.db" {
		t.Errorf("in the directory: %s", got)
	}
}

func TestPathThatExists(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for name, create := range map[string]func(path string) error{
		"text":      func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("text ", 1000)), 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"dangling":  func(path string) error { return os.Symlink(elsewhere, path) },
		"symlink":   func(path string) error { return os.Symlink(p.boundary("_docex_system_"), path) },
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"parent": func(path string) error { // a file where the directory should be
			if err := os.Remove(filepath.Dir(path)); err != nil {
				return err
			}
			return os.WriteFile(filepath.Dir(path), nil, 0o600)
		},
	} {
		path := p.boundary(name)
		testkit.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		testkit.Must(t, create(path))
		before, beforeErr := os.Lstat(path)
		f := r.expectFailure(t, name, events.CauseBoundaryNotEmpty)
		if f.Step.Number != 1 || !f.Replayable || len(f.LeftBehind) != 0 {
			t.Errorf("%s: %+v", name, f)
		}
		after, err := os.Lstat(path)
		if beforeErr == nil && (err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) ||
			before.Mode() != after.Mode()) {
			t.Errorf("%s was touched: %v", name, err)
		}
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("a file was created through a symbolic link")
	}
}

// Only directories that the attempt created are removed; an operator's empty directory stays.
func TestCreatedDirectoriesAreRemoved(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	hooked := r.withHook(t, only(tables, func(context.Context) error { return errPermanent }))
	testkit.Must(t, os.Mkdir(filepath.Dir(p.boundary("made")), 0o700))
	for _, tenant := range []string{"made", "unmade"} {
		failedOutcome(t, decided(t, hooked.Job(request(t, tenant))).Outcome, events.CausePermissionDenied)
	}
	if info, err := os.Stat(filepath.Dir(p.boundary("made"))); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the operator's directory: %v %v", info, err)
	}
	r.expectNoTenant(t, "unmade")
}

func TestNamesOfRoots(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b", "what?mode=ro", "#1", "100%41", "[x", "*", "ä'\"&;+", "a:b", "trailing/"} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			root := t.TempDir() + "/" + name
			store := openSQLite(t, root)
			defer func() { testkit.Must(t, store.Close()) }()
			r := newSQLiteAt(root).newFixtureOn(t, store, store)
			got := r.provision(t, "acme")
			r.expectFailure(t, "acme", events.CauseTenantExists)
			if want := filepath.Join(root, "tenant_acme", "docex.db"); got.DatabasePath != want {
				t.Errorf("path %q, want %q", got.DatabasePath, want)
			}
			if got := entries(t, root); got != "tenant__docex_system_ tenant_acme" {
				t.Errorf("in the root: %s", got)
			}
			if got := entries(t, filepath.Join(root, "tenant_acme")); got != "docex.db" {
				t.Errorf("in the tenant's directory: %s", got)
			}
		})
	}
}

func TestRelativeRoot(t *testing.T) { //nolint:paralleltest // the working directory belongs to the process
	t.Chdir(t.TempDir())
	for _, root := range []string{"storage", "./storage/", "."} {
		store := openSQLite(t, root)
		r := newSQLiteAt(root).newFixtureOn(t, store, store)
		tenant := fmt.Sprint("of", len(root))
		if got := r.provision(t, tenant).DatabasePath; got != filepath.Join(root, "tenant_"+tenant, "docex.db") {
			t.Errorf("in %q: %q", root, got)
		}
		testkit.Must(t, store.Close())
	}
}

// A root so deep that some path would not fit is rejected before anything is created. In the deepest accepted root, the
// longest id fits.
func TestDeepRoots(t *testing.T) {
	t.Parallel()
	root := t.TempDir() + "/"
	id := strings.Repeat("x", 255)
	check := func(root string) error {
		return sqlite.Config{Root: root, PathTemplate: "tenant_{tenant_id}/docex.db"}.Check()
	}
	testkit.Must(t, check(root))
	for check(root+"d") == nil {
		root += "d"
	}
	if err := check(root + "d"); !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Error(err)
	}
	store := openSQLite(t, root)
	defer func() { testkit.Must(t, store.Close()) }()
	newSQLiteAt(root).newFixtureOn(t, store, store).provision(t, id)
}

// A process that keeps the registry locked blocks all others: an outage, which costs no request an attempt.
func TestRegistryLockedByAnotherProcess(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	db, err := databasesql.Open("sqlite", p.boundary("_docex_system_"))
	testkit.Must(t, err)
	defer db.Close()
	lock := func() (unlock func()) {
		conn, err := db.Conn(t.Context())
		testkit.Must(t, err)
		_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
		testkit.Must(t, err)
		return func() { testkit.Must(t, conn.Close()) } // the driver rolls back
	}
	hooked := r.withHook(t, only(ready, once(func(context.Context) error { t.Cleanup(lock()); return nil })))
	job := hooked.Job(request(t, "acme"))
	verdict(t, job, pipeline.Pause)
	r.expectNoTenant(t, "acme")
}

// A reader that locks the file delays only that request, and only while it holds the lock. It costs no attempt.
func TestExistingFileInUse(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	p.createBoundary(t, "used")
	p.raw(t, "used", "CREATE TABLE mine (n integer)")
	db, err := databasesql.Open("sqlite", p.boundary("used"))
	testkit.Must(t, err)
	defer db.Close()
	tx, err := db.Begin()
	testkit.Must(t, err)
	var n int
	testkit.Must(t, tx.QueryRow("SELECT count(*) FROM mine").Scan(&n)) // holds a shared lock, which blocks commits
	req := request(t, "used")
	verdict(t, r.provisioner.Job(req), pipeline.Retry)
	testkit.Must(t, tx.Rollback())
	if got := provisionedOutcome(t, r.decide(t, req)); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// helperRoot names the variable that makes this binary act as another process on that directory.
const helperRoot = "TENANT_PROVISIONER_TEST_ROOT"

// shared are the tenants that both processes provision.
func shared(i int) string { return fmt.Sprint("shared-", i) }

const sharedTenants = 8

func TestHelperProcess(t *testing.T) { //nolint:paralleltest // not a test
	root := os.Getenv(helperRoot)
	if root == "" {
		return // only TestTwoProcesses sets it
	}
	syscall.Umask(0o077)
	serial.Store(1 << 20) // unlike the requests of the other process
	r := newSQLiteAt(root).newFixture(t)
	for i := range sharedTenants {
		runUntilDecided(t, r, request(t, shared(i)))
	}
	if info, err := os.Stat(r.provision(t, "private").DatabasePath); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("under umask 077 the file has %v %v, want 0644", info.Mode(), err)
	}
	if info, err := os.Stat(r.boundary("_docex_system_")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("under umask 077 the registry has %v %v, want 0644", info.Mode(), err)
	}
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	self, err := os.Executable()
	testkit.Must(t, err)
	other := exec.Command(self, "-test.run=^TestHelperProcess$", "-test.v")
	other.Env = append(os.Environ(), helperRoot+"="+p.url)
	var wg sync.WaitGroup
	wg.Go(func() {
		if out, err := other.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestHelperProcess") {
			t.Errorf("the other process: %v\n%s", err, out)
		}
	})
	// The process has started, and created the registry, once the file exists.
	for t.Context().Err() == nil {
		if _, err := os.Stat(p.boundary("_docex_system_")); err == nil {
			break
		}
	}
	r := p.newFixture(t)
	for i := range sharedTenants {
		runUntilDecided(t, r, request(t, "mine-"+shared(i)))
		runUntilDecided(t, r, request(t, shared(i)))
	}
	wg.Wait()
	if n := r.countRegistered(t); n != 2*sharedTenants+1 {
		t.Errorf("%d registered, want %d", n, 2*sharedTenants+1)
	}
}

// Paths stay below the storage root, also if a symbolic link leads out of it.
func TestLinkOutOfTheRootIsNotFollowed(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	outside := t.TempDir()
	testkit.Must(t, os.Symlink(outside, filepath.Dir(p.boundary("linked"))))
	if f := r.expectFailure(t, "linked", events.CauseBoundaryNotEmpty); !strings.Contains(f.Cause.Message, outside) {
		t.Errorf("%+v", f)
	}
	entries, err := os.ReadDir(outside)
	testkit.Must(t, err)
	if len(entries) != 0 {
		t.Errorf("written outside: %v", entries)
	}
	// A link that stays inside is allowed.
	testkit.Must(t, os.Mkdir(filepath.Join(p.url, "disk"), 0o755))
	testkit.Must(t, os.Symlink(filepath.Join(p.url, "disk"), filepath.Dir(p.boundary("inside"))))
	r.provision(t, "inside")
}

// A file of another program gets no files next to it, whatever its journal mode.
func TestForeignWALFileIsNotTouched(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	p.createBoundary(t, "acme")
	p.raw(t, "acme", "PRAGMA journal_mode = WAL", "CREATE TABLE theirs (id)", "INSERT INTO theirs VALUES (1)")
	names := func() (all []string) {
		t.Helper()
		entries, err := os.ReadDir(filepath.Dir(p.boundary("acme")))
		testkit.Must(t, err)
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	before := p.snapshot(t, "acme")
	r.expectFailure(t, "acme", events.CauseBoundaryNotEmpty)
	if got := names(); len(got) != 1 || p.snapshot(t, "acme") != before {
		t.Errorf("there is now %v", got)
	}
}

// A registry file that is removed or replaced while the service runs is an outage. Writes to the open file would be
// invisible to every other process.
func TestRegistryFileIsRemoved(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	r.provision(t, "before")
	expectOutage := func() {
		t.Helper()
		var fault *pipeline.Fault
		if err := r.store.Ping(t.Context()); !errors.As(err, &fault) || fault.Class != pipeline.Outage {
			t.Errorf("ping: %v", err)
		}
	}
	req := request(t, "acme")
	job := r.provisioner.Job(req)
	testkit.Must(t, os.Rename(p.url, p.url+".moved"))
	expectOutage()
	verdict(t, job, pipeline.Pause)
	testkit.Must(t, os.Rename(p.url+".moved", p.url))
	testkit.Must(t, r.store.Ping(t.Context()))
	if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}

	// During an attempt.
	hooked := r.withHook(t, only(ready, once(func(context.Context) error { return os.Rename(p.url, p.url+".moved") })))
	job = hooked.Job(request(t, "umbrella"))
	verdict(t, job, pipeline.Pause)
	testkit.Must(t, os.Rename(p.url+".moved", p.url))
	if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}

	// Restored from a backup: the same content in another file.
	testkit.Must(t, os.CopyFS(p.url+".backup", os.DirFS(p.url)))
	testkit.Must(t, os.RemoveAll(p.url))
	testkit.Must(t, os.Rename(p.url+".backup", p.url))
	expectOutage()
	verdict(t, r.provisioner.Job(request(t, "lost")), pipeline.Pause)
	if n := p.count(t, "", "SELECT count(*) FROM {b}tenant_registry WHERE tenant_id = 'lost'"); n != 0 {
		t.Error("registered in the restored file")
	}
}
