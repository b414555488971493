package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// forgetful returns the operating system's operations, of which the syncs of names that end in suffix fail once. As in
// Linux (fsync(2)) the data is lost then, and the next sync succeeds. It reports a sync of a file or directory that
// nothing has changed since its sync failed.
func forgetful(t *testing.T, suffix string) filesystem.System {
	t.Helper()
	failed := map[string]time.Time{}
	sync := func(name string, do func() error) error {
		if !strings.HasSuffix(name, suffix) {
			return do()
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		switch lost, again := failed[suffix]; {
		case !again:
			long := time.Now().Add(-time.Hour).Truncate(time.Second)
			failed[suffix] = long
			return errors.Join(os.Chtimes(name, long, long), &os.PathError{Op: "sync", Path: name, Err: errLost})
		case info.ModTime().Equal(lost):
			t.Errorf("%s is synced again without being written again", name)
		}
		return do()
	}
	s := filesystem.OS
	s.Fsync = func(f *os.File) error { return sync(f.Name(), func() error { return filesystem.OS.Fsync(f) }) }
	s.FsyncDir = func(dir string) error { return sync(dir, func() error { return filesystem.OS.FsyncDir(dir) }) }
	return s
}

var errLost = errors.New("the disk has lost a write")

// After a sync has failed, what was to be synced is created again: a later sync that succeeds proves nothing.
func TestFailedSyncIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, suffix := range map[string]string{
		"file": "-0-1", "directory of the file": "tenant_acme", "directory of the directory": "storage",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, err := openStoreOn(t, filesystem.OS)
			if err != nil {
				t.Fatal(err)
			}
			s.files = forgetful(t, suffix)
			if err := attempt(t, s, "1", "acme"); !errors.Is(err, errLost) {
				t.Errorf("the sync that failed: %v", err)
			}
			if left, err := filepath.Glob(filepath.Join(s.Root, "tenant_acme*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
			if err := attempt(t, s, "1", "acme"); err != nil {
				t.Errorf("the next attempt: %v", err)
			}
			if got := tenants(t, s); got != "acme" {
				t.Errorf("registered: %s", got)
			}
		})
	}
}

// After an error of input or output, no change is committed before the registry's log is written again.
func TestRegistryAfterAFailedSync(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if err := attempt(t, s, "1", "before"); err != nil {
		t.Fatal(err)
	}
	log := s.path(sql.BootstrapTenant) + "-wal"
	before := content(t, log)
	s.files = forgetful(t, "-wal")
	s.distrusted.Store(true)
	if err := s.Ping(t.Context()); !errors.Is(err, errLost) || !s.distrusted.Load() {
		t.Errorf("the log cannot be written again: %v", err)
	}
	if err := s.Ping(t.Context()); err != nil || s.distrusted.Load() {
		t.Errorf("the log can be written again: %v", err)
	}
	if after := content(t, log); len(before) == 0 || string(after[:len(before)]) != string(before) {
		t.Errorf("%d bytes of the log, %d before, and they differ", len(after), len(before))
	}
	if err := attempt(t, s, "2", "after"); err != nil {
		t.Fatal(err)
	}
	if got := tenants(t, s); got != "after before" {
		t.Errorf("registered: %s", got)
	}
}

// The registry's log is written again under its write lock, also if the service is told to stop meanwhile: another
// process must not write to it.
func TestLogIsRewrittenUnderTheLock(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	other, err := open(s.path(sql.BootstrapTenant), "rw", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	for name, write := range map[string]func(context.Context) error{"at the start": s.storeLog, "after an error": s.Ping} {
		ctx, stop := context.WithCancel(t.Context())
		s.distrusted.Store(true)
		s.files.Fsync = func(*os.File) error {
			stop()
			for range 100 { // the driver would roll back at once
				if tx, err := other.BeginTx(t.Context(), nil); err == nil {
					t.Errorf("%s: another connection has the write lock", name)
					return tx.Rollback()
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		if err := write(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An error of input or output is one of SQLite's; others say nothing about the log.
func TestErrorsThatDistrustTheLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "torn.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	writer, err := open(path, "rw", 0, "journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { writer.Close() })
	if _, err := writer.Exec("CREATE TABLE x (y); INSERT INTO x VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path+"-wal", 0); err != nil {
		t.Fatal(err)
	}
	reader, err := open(path, "ro", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	_, torn := text(t.Context(), reader, "SELECT y FROM x")
	if primary(torn) != sqlite3.SQLITE_IOERR {
		t.Fatalf("%v is not an error of input or output, so this test proves nothing", torn)
	}
	s := &Store{}
	s.distrustLog(nil)
	s.distrustLog(pipeline.ErrBusy)
	if s.distrusted.Load() {
		t.Error("an error of another kind distrusts the log")
	}
	s.distrustLog(registryFault(torn))
	if !s.distrusted.Load() {
		t.Error("an error of input or output does not distrust the log")
	}
}

// A file that was replaced while an attempt used it is not registered.
func TestExistingFileIsReplaced(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for tenant, replace := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		},
	} {
		if err := os.MkdirAll(filepath.Dir(s.path(tenant)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.path(tenant), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		b := ready(t, s, tenant, tenant)
		if err := replace(b.path); err != nil {
			t.Fatal(err)
		}
		if err := register(t, b); !errors.Is(err, pipeline.ErrBusy) {
			t.Errorf("%s: %v", tenant, err)
		}
	}
	if got := tenants(t, s); got != "" {
		t.Errorf("registered: %s", got)
	}
}
