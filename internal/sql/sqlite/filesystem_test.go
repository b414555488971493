package sqlite

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/pipeline"
)

// failing returns the operating system's operations, of which some (one+another) fail.
func failing(operations string, err error) filesystem.System {
	s := filesystem.OS
	for operation := range strings.SplitSeq(operations, "+") {
		switch operation {
		case "Mkdir":
			s.Mkdir = func(string, fs.FileMode) error { return err }
		case "Create":
			s.Create = func(string, fs.FileMode) (*os.File, error) { return nil, err }
		case "Chmod": // with umask 077, else there is nothing to change
			s.Mkdir = func(dir string, _ fs.FileMode) error { return os.Mkdir(dir, 0o700) }
			s.Create = func(name string, _ fs.FileMode) (*os.File, error) { return filesystem.OS.Create(name, 0o600) }
			s.Chmod = func(string, fs.FileMode) error { return err }
		case "Lock":
			s.Lock = func(*os.File) error { return err }
		case "Flock":
			s.Flock = func(*os.File) error { return err }
		case "Link":
			s.Link = func(string, string) error { return err }
		case "RenameNew":
			s.RenameNew = func(string, string) error { return err }
		case "Rename":
			s.Rename = func(string, string) error { return err }
		case "Fsync":
			s.Fsync = func(*os.File) error { return err }
		case "FsyncDir":
			s.FsyncDir = func(string) error { return err }
		default:
			panic(operation)
		}
	}
	return s
}

// attempt runs all steps of one attempt.
func attempt(t *testing.T, s *Store, id, tenant string) error {
	t.Helper()
	b := begun(t, s, id, tenant)
	defer b.Close(t.Context())
	if _, err := b.CreateBoundary(t.Context()); err != nil {
		return err
	}
	if err := b.CreateTables(t.Context(), nil); err != nil {
		return err
	}
	if failed, err := b.CreateIndexes(t.Context()); err != nil || len(failed) > 0 {
		t.Errorf("%s: %v, %v", tenant, failed, err)
	}
	if in, err := b.Inspect(t.Context()); err != nil || len(in.Faults()) > 0 {
		t.Errorf("%s: %+v, %v", tenant, in, err)
	}
	return register(t, b)
}

func openStoreOn(t *testing.T, s filesystem.System) (*Store, string, error) {
	t.Helper()
	var log bytes.Buffer
	store, err := openOn(t.Context(), s, Config{
		Root: filepath.Join(t.TempDir(), "storage"), PathTemplate: "tenant_{tenant_id}/docex.db", Connections: 2,
		CreatedBy: "test", Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now,
	})
	if err == nil {
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return store, log.String(), err
}

// A file system without some operation holds tenants like any other; what it cannot guarantee is logged once.
func TestServiceOnAFileSystemThatLacksOperations(t *testing.T) {
	t.Parallel()
	for operations, c := range map[string]struct {
		err     syscall.Errno
		warning string
	}{
		"Link":           {syscall.ENOSYS, ""},
		"Link+RenameNew": {syscall.EPERM, ""},
		"Lock":           {syscall.EINVAL, ""},
		"FsyncDir":       {syscall.EINVAL, "cannot sync directories"},
		"Chmod":          {syscall.EPERM, "modes 0700 and 0600"},
	} {
		t.Run(operations, func(t *testing.T) {
			t.Parallel()
			s, log, err := openStoreOn(t, failing(operations, c.err))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(log, "level=WARN"); n != min(len(c.warning), 1) || !strings.Contains(log, c.warning) {
				t.Errorf("%d warnings, want one with %q, or none: %s", n, c.warning, log)
			}
			if err := os.MkdirAll(filepath.Dir(s.path("existing")), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.path("existing"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for i, tenant := range []string{"new", "existing"} {
				if err := attempt(t, s, fmt.Sprint(i), tenant); err != nil {
					t.Error(err)
				}
			}
			if err := s.Rehearse(t.Context()); err != nil {
				t.Error(err)
			}
			if got := tenants(t, s); got != "existing new" {
				t.Errorf("registered: %s", got)
			}
			if left, err := filepath.Glob(filepath.Join(s.Root, "*", ".*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v (%v)", left, err)
			}
		})
	}
}

// A directory that is not fit is refused before the registry is created, by the name of its variable. A disk that is
// full or read-only is waited for.
func TestStartOnAnUnfitFileSystem(t *testing.T) {
	t.Parallel()
	for operations, c := range map[string]struct {
		err    syscall.Errno
		outage bool
		want   string
	}{
		"Lock+Flock":            {syscall.ENOLCK, false, "cannot lock files; choose"},
		"Link+RenameNew+Rename": {syscall.EXDEV, false, "cannot link or rename files; choose"},
		"Fsync":                 {syscall.EINVAL, false, "cannot sync files; choose"},
		"Create":                {syscall.EACCES, false, "this user may not create files"},
		"Mkdir":                 {syscall.EROFS, true, "read-only file system"},
		"FsyncDir":              {syscall.EDQUOT, true, "the quota is used up"},
	} {
		s, _, err := openStoreOn(t, failing(operations, c.err))
		if err == nil {
			t.Errorf("%s: it is used", operations)
			continue
		}
		if s != nil || pipeline.IsOutage(err) != c.outage || !strings.Contains(err.Error(), c.want) ||
			!strings.HasPrefix(err.Error(), "DATABASE_URL: ") {
			t.Errorf("%s: %v, want %q (outage: %v)", operations, err, c.want, c.outage)
		}
	}
}

// Operations that begin to fail while the service runs. The attempt works in another way, is "denied" the permission,
// is retried (after a rehearsal, which shows whether it is an outage), or is interrupted by an outage. The next one
// succeeds when the operation does.
//
//nolint:dupword // a table
const attempts = `
                      ENOSYS  EXDEV   EMLINK  EACCES  EPERM   EINVAL  ENOLCK EOPNOTSUPP EROFS   ENOSPC EDQUOT EIO
Mkdir                 retried retried retried denied  denied  retried outage retried    retried outage outage retried
Create                retried retried retried denied  denied  retried outage retried    retried outage outage retried
Lock                  works   retried retried denied  denied  works   outage works      retried outage outage retried
Lock+Flock            retried retried retried denied  denied  retried outage retried    retried outage outage retried
Fsync                 retried retried retried denied  denied  retried outage retried    retried outage outage retried
Link                  works   works   works   works   works   works   outage works      retried outage outage retried
Link+RenameNew        works   retried retried works   works   works   outage works      retried outage outage retried
Link+RenameNew+Rename retried retried retried denied  denied  retried outage retried    retried outage outage retried
FsyncDir              works   retried retried retried retried works   outage works      outage  outage outage outage`

func TestOperationsThatFailInAnAttempt(t *testing.T) {
	t.Parallel()
	errnos := map[string]syscall.Errno{
		"ENOSYS": syscall.ENOSYS, "EXDEV": syscall.EXDEV, "EMLINK": syscall.EMLINK, "EACCES": syscall.EACCES,
		"EPERM": syscall.EPERM, "EINVAL": syscall.EINVAL, "ENOLCK": syscall.ENOLCK, "EOPNOTSUPP": syscall.EOPNOTSUPP,
		"EROFS": syscall.EROFS, "ENOSPC": syscall.ENOSPC, "EDQUOT": syscall.EDQUOT, "EIO": syscall.EIO,
	}
	s := openStore(t)
	var provisioned []string
	lines := strings.Split(strings.TrimSpace(attempts), "\n")
	names := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		for i, want := range cells[1:] {
			what := strings.ReplaceAll(cells[0], "+", "-") + "_" + names[i]
			s.files = failing(cells[0], os.NewSyscallError("x", errnos[names[i]]))
			err := attempt(t, s, what, what)
			if got := consequence(err); got != want {
				t.Errorf("%s: %s (%v), want %s", what, got, err, want)
			}
			s.files = filesystem.OS
			if err != nil {
				if err := attempt(t, s, what, what); err != nil {
					t.Errorf("%s: the next attempt: %v", what, err)
				}
			}
			provisioned = append(provisioned, what)
		}
	}
	if all := strings.Fields(tenants(t, s)); len(all) != len(provisioned) {
		t.Errorf("%d tenants are registered, want %d", len(all), len(provisioned))
	}
	for _, tenant := range provisioned {
		info, err := os.Stat(s.path(tenant))
		if err != nil || info.Mode() != 0o644 || info.Size() != int64(len(s.template.content)) {
			t.Errorf("%s: %+v, %v", tenant, info, err)
		}
		if found, err := os.ReadDir(filepath.Dir(s.path(tenant))); err != nil || len(found) != 1 {
			t.Errorf("%s: %v, %v; want only its file", tenant, found, err)
		}
	}
}

func consequence(err error) string {
	switch {
	case err == nil:
		return "works"
	case pipeline.IsOutage(err):
		return "outage"
	case cause(err) == events.CausePermissionDenied:
		return "denied"
	}
	return "retried"
}
