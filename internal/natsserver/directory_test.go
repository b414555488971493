//go:build unix

package natsserver

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"

	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/testkit"
)

// A directory in which the server cannot store streams is refused by the name of its variable.
func TestUnfitDirectory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail   func(s *filesystem.System)
		exists bool
		want   string // empty: it is claimed
	}{
		"no locks": {func(s *filesystem.System) {
			s.Flock = func(*os.File) error { return syscall.ENOLCK }
		}, true, "cannot lock files; choose a directory"},
		"no syncs of directories": {func(s *filesystem.System) {
			s.FsyncDir = func(string) error { return syscall.EINVAL }
		}, true, "cannot sync directories; choose a directory"},
		"no access": {func(s *filesystem.System) {
			s.Mkdir = func(string, fs.FileMode) error { return syscall.EACCES }
		}, false, "this user may not create the directory"},
		"read-only, and missing": {func(s *filesystem.System) {
			s.Mkdir = func(string, fs.FileMode) error { return syscall.EROFS }
		}, false, "read-only file system"},
		"full": {func(s *filesystem.System) {
			s.Fsync = func(*os.File) error { return syscall.ENOSPC }
		}, true, ""},
	} {
		s, dir := filesystem.OS, t.TempDir()
		c.fail(&s)
		if !c.exists {
			dir = filepath.Join(dir, "nats")
		}
		e := &Server{options: server.Options{StoreDir: dir}, lock: flock.New(filepath.Join(dir, ".lock"))}
		switch _, err := e.claimDir(s); {
		case err != nil && c.want != "":
			testkit.Contains(t, name, err.Error(), "NATS_EMBEDDED_DIR: ", c.want)
		case err != nil || c.want != "":
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		testkit.Must(t, e.lock.Unlock())
	}
}

// Where the disk is full the server does not start, and says so; it starts by itself once there is room.
func TestStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	full, log := filesystem.OS, &testkit.Output{}
	full.Fsync = func(*os.File) error { return syscall.ENOSPC }
	e, err := start(t.Context(), "", t.TempDir(), slog.New(slog.NewJSONHandler(log, nil)), full)
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, e.Stop()) })
	why := testkit.Logged(t, log, "embedded NATS server cannot store messages; free or add disk space", "error")
	testkit.Contains(t, "the reason", why, "no space left on device")
	testkit.Logged(t, log, "embedded NATS server is available again", "level") // the real disk has room
	testkit.Must(t, e.Err())
}

// A directory that is in use is named, without an error of the operating system.
func TestDirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newEmbedded(t, dir)
	_, err := Start(t.Context(), "", dir, slog.New(slog.DiscardHandler))
	testkit.Equal(t, "error", err.Error(), "NATS_EMBEDDED_DIR: "+dir+" is in use by another process")
}

// The directory may be below that of tenants' files, which other users read; what NATS stores in it they may not. The
// umask belongs to the process, so no other test runs beside this one.
func TestModesDoNotDependOnTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	root := t.TempDir()
	e, err := Start(t.Context(), "", filepath.Join(root, "storage", "nats"), slog.New(slog.DiscardHandler))
	testkit.Must(t, err)
	testkit.Must(t, e.Stop())
	for path, want := range map[string]fs.FileMode{"storage": 0o755, "storage/nats": 0o755, "storage/nats/jetstream": 0o700} {
		info, err := os.Stat(filepath.Join(root, path))
		testkit.Must(t, err)
		testkit.Equal(t, "mode of "+path, info.Mode().Perm(), want)
	}
}
