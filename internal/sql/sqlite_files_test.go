package sql_test

import (
	"context"
	"crypto/sha256"
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
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
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
	// A link that stays inside is allowed in the part of the path that all tenants have in common.
	root := t.TempDir()
	testkit.Must(t, os.Mkdir(filepath.Join(root, "disk"), 0o755))
	testkit.Must(t, os.Symlink(filepath.Join(root, "disk"), filepath.Join(root, "tenants")))
	store, err := sqlite.Open(t.Context(), sqlite.Config{
		Root: root, PathTemplate: "tenants/{tenant_id}/docex.db", Connections: 1, CreatedBy: "test", Log: quiet(), Now: time.Now,
	})
	testkit.Must(t, err)
	defer func() { testkit.Must(t, store.Close()) }()
	newSQLiteAt(root).newFixtureOn(t, store, store).provision(t, "inside")
}

// notOwnFiles make what a tenant's path must not lead to. dir is a directory for further files; each returns the file that
// must stay as it is, and what the message has to name.
func notOwnFiles(p testDatabase) map[string]func(t *testing.T, path, dir string) (target, named string) {
	elsewhere := func(t *testing.T, dir string) string {
		t.Helper()
		testkit.Must(t, os.WriteFile(dir+"/theirs.db", nil, 0o600))
		return dir + "/theirs.db"
	}
	special := func(create func(path string) error, named string) func(t *testing.T, path, dir string) (string, string) {
		return func(t *testing.T, path, _ string) (string, string) {
			t.Helper()
			if err := create(path); errors.Is(err, syscall.EPERM) {
				t.Skip("only root may make it")
			} else {
				testkit.Must(t, err)
			}
			return path, path + " is " + named
		}
	}
	link := func(suffix string, create func(from, to string) error, target func(t *testing.T, dir string) string, named string,
	) func(t *testing.T, path, dir string) (string, string) {
		return func(t *testing.T, path, dir string) (string, string) {
			t.Helper()
			to := target(t, dir)
			testkit.Must(t, create(to, path+suffix))
			return to, path + suffix + named
		}
	}
	to := func(path string) func(*testing.T, string) string {
		return func(*testing.T, string) string { return path }
	}
	const symlink, names = " is a symbolic link to ", " has 2 names (hard links)"
	all := map[string]func(t *testing.T, path, dir string) (string, string){
		"inside":   link("", os.Symlink, to(p.boundary("other")), symlink+p.boundary("other")),
		"outside":  link("", os.Symlink, elsewhere, symlink),
		"linkdir":  link("", os.Symlink, func(_ *testing.T, dir string) string { return dir }, symlink),
		"dangling": link("", os.Symlink, func(_ *testing.T, dir string) string { return dir + "/nothing" }, symlink),
		"looped": func(t *testing.T, path, _ string) (string, string) {
			t.Helper()
			testkit.Must(t, os.Symlink(path, path))
			return path, path + symlink + path
		},
		"hard":     link("", os.Link, to(p.boundary("other")), names),
		"registry": link("", os.Link, to(p.boundary(sql.BootstrapTenant)), names),
		"foreign":  link("", os.Link, elsewhere, names),
		"pipe":     special(func(path string) error { return syscall.Mkfifo(path, 0o600) }, "a named pipe"),
		"device":   special(func(path string) error { return syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|3) }, "a device"),
		"folder":   special(func(path string) error { return os.Mkdir(path, 0o700) }, "a directory"),
		"socket": special(func(path string) error {
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			defer syscall.Close(fd)
			if len(path) > 100 {
				return syscall.EPERM
			}
			return syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
		}, "a socket"),
		"parent": func(t *testing.T, path, _ string) (string, string) {
			t.Helper()
			testkit.Must(t, os.Remove(filepath.Dir(path)))
			testkit.Must(t, os.Symlink(filepath.Dir(p.boundary("other")), filepath.Dir(path)))
			return p.boundary("other"), filepath.Dir(path) + symlink + filepath.Dir(p.boundary("other"))
		},
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		all["symbolic"+suffix] = link(suffix, os.Symlink, elsewhere, symlink)
		all["dangling"+suffix] = link(suffix, os.Symlink, func(_ *testing.T, dir string) string { return dir + "/nothing" }, symlink)
		all["hard"+suffix] = link(suffix, os.Link, elsewhere, names)
	}
	return all
}

// state describes a directory with the content of its files, and the file.
func state(t *testing.T, dir, file string) string {
	t.Helper()
	content := ""
	if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
		read, err := os.ReadFile(file)
		testkit.Must(t, err)
		content = fmt.Sprintf("%x %s", sha256.Sum256(read), info.ModTime())
	}
	return content + "\n" + listing(t, dir)
}

// A tenant's file that is a link, or not a file, is another's: no step, no restoration and no comparison uses it, and what
// it leads to stays as it is.
func TestFileThatIsNotTheTenantsOwn(t *testing.T) { //nolint:tparallel // the subtests share one storage directory
	t.Parallel()
	p := newSQLiteAt(shortDir(t) + "/s")
	r := p.newFixture(t)
	r.provision(t, "other")
	for name, create := range notOwnFiles(p) {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // no other subtest may change the storage directory
			for _, existing := range []bool{false, true} {
				tenant := fmt.Sprint(name, existing)
				path, dir := p.boundary(tenant), t.TempDir()
				testkit.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
				if existing { // a link beside a file, or in its place
					p.createBoundary(t, tenant)
					if !strings.Contains(name, "-") {
						testkit.Must(t, os.Remove(path))
					}
				}
				target, named := create(t, path, dir)
				tree := filepath.Dir(path)
				present, before := entries(t, tree), state(t, tree, target)+listing(t, dir)

				f := r.expectFailure(t, tenant, events.CauseBoundaryNotEmpty)
				testkit.Contains(t, "the message", f.Cause.Message, named, "nothing was touched: move it away or choose another id")
				if f.Step.Number != 1 || !f.Replayable || len(f.LeftBehind) != 0 || f.Attempts != 1 {
					t.Errorf("%+v", f)
				}

				req := request(t, tenant)
				restored := restoration(t, req, p.wouldBe(t, req, tenant))
				restored.Recreate = true
				err := as[recovery](t, r.store).Restore(t.Context(), restored)
				testkit.Contains(t, "restore", fmt.Sprint(err), named, "move it away, and put the tenant's file there")

				p.insertTenants(t, tenant)
				got := verify(t, p.reader(t), tenant)
				p.raw(t, "", "DELETE FROM tenant_registry WHERE tenant_id = '"+tenant+"'")
				testkit.Contains(t, "verify", strings.Join(got.Differences, "\n"), named, "put the tenant's own file there")

				if after := state(t, tree, target) + listing(t, dir); after != before && name != "registry" { // which is written
					t.Errorf("before:\n%s\nafter:\n%s", before, after)
				}
				testkit.Equal(t, "names in the directory", entries(t, tree), present)
				testkit.Must(t, os.RemoveAll(tree)) // the next file gets a second name too, not a third
			}
		})
	}
}

// shortDir is a directory whose path is short enough for a socket in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "own") //nolint:usetesting // t.TempDir is too long
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, os.RemoveAll(dir)) })
	return dir
}

// wouldBe returns the outcome of the request in another storage directory, as if it was this one's.
func (p testDatabase) wouldBe(t *testing.T, req pipeline.Request, tenant string) pipeline.Outcome {
	t.Helper()
	other := newSQLite(t)
	o := other.newFixture(t).decide(t, req)
	o.Body = []byte(strings.ReplaceAll(string(o.Body), other.boundary(tenant), p.boundary(tenant)))
	return o
}

// A crash while a file was placed leaves it with two names. That of the file under construction does not count, whoever
// left it.
func TestFilePlacedWithItsLeftover(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	r.provision(t, "acme")
	testkit.Must(t, os.Link(p.boundary("acme"), filepath.Join(filepath.Dir(p.boundary("acme")), ".building-0123456789abcdef-0-1")))
	if got := verify(t, p.reader(t), "acme"); len(got.Differences) > 0 {
		t.Errorf("%+v", got)
	}
	r.unregister(t, "acme")
	r.provision(t, "acme")
}

// SQLite would play the log of a removed file into a new one.
func TestLogOfARemovedFile(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	for _, suffix := range []string{"-wal", "-journal"} {
		tenant := "left" + suffix
		testkit.Must(t, os.MkdirAll(filepath.Dir(p.boundary(tenant)), 0o755))
		testkit.Must(t, os.WriteFile(p.boundary(tenant)+suffix, []byte("log"), 0o600))
		before := listing(t, filepath.Dir(p.boundary(tenant)))
		f := r.expectFailure(t, tenant, events.CauseBoundaryNotEmpty)
		testkit.Contains(t, "the message", f.Cause.Message, p.boundary(tenant)+suffix+" is left of another file")
		if after := listing(t, filepath.Dir(p.boundary(tenant))); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}
}

// A file of another program that a crash left with a journal or a log is refused as it is: only its own program recovers it.
func TestForeignFileAfterACrashIsNotTouched(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	for tenant, mode := range map[string]string{"journal": "DELETE", "wal": "WAL", "noindex": "WAL"} {
		source := newSQLite(t)
		source.createBoundary(t, "x")
		source.raw(t, "x", "PRAGMA journal_mode = "+mode, "CREATE TABLE theirs (id, text)", "INSERT INTO theirs VALUES (1, '')")
		db, err := databasesql.Open("sqlite", source.boundary("x")+"?_pragma=cache_size(1)&_pragma=wal_autocheckpoint(0)")
		testkit.Must(t, err)
		t.Cleanup(func() { db.Close() })
		tx, err := db.Begin()
		testkit.Must(t, err)
		t.Cleanup(func() { tx.Rollback() }) // runs before the other one
		for i := range 200 {                // more than the cache holds
			_, err = tx.Exec("INSERT INTO theirs VALUES (?1, ?2)", i, strings.Repeat("x", 3000))
			testkit.Must(t, err)
		}
		if mode == "WAL" {
			testkit.Must(t, tx.Commit())
		}
		dir := filepath.Dir(p.boundary(tenant))
		testkit.Must(t, os.CopyFS(dir, os.DirFS(filepath.Dir(source.boundary("x")))))
		if tenant == "noindex" {
			testkit.Must(t, os.Remove(p.boundary(tenant)+"-shm"))
		}
		names := entries(t, dir)
		content := p.snapshot(t, tenant)
		log, err := os.ReadFile(p.boundary(tenant) + map[string]string{"DELETE": "-journal", "WAL": "-wal"}[mode])
		testkit.Must(t, err)
		f := r.expectFailure(t, tenant, events.CauseBoundaryNotEmpty)
		testkit.Contains(t, "the message", f.Cause.Message, "holds rows in theirs")
		after, err := os.ReadFile(p.boundary(tenant) + map[string]string{"DELETE": "-journal", "WAL": "-wal"}[mode])
		if err != nil || string(after) != string(log) || p.snapshot(t, tenant) != content || entries(t, dir) != names {
			t.Errorf("%s was changed: %v, %s, before %s", tenant, err, entries(t, dir), names)
		}
	}
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
