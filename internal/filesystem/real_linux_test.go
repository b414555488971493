package filesystem

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/tenant-provisioner/internal/testkit"
)

// File systems of this machine. Where the test may not mount them, the operation fails that fails on them.
func TestTrialOfRealFileSystems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare   func(t *testing.T, dir string) error
		operation string
		err       error
		want      string
	}{
		"tmpfs": {func(t *testing.T, dir string) error { t.Helper(); return mount(t, "tmpfs", dir, "size=1m") }, "", nil, "works"},
		"full tmpfs": {
			func(t *testing.T, dir string) error {
				t.Helper()
				err := mount(t, "tmpfs", dir, "size=64k")
				if err == nil {
					fill(t, filepath.Join(dir, "filler"))
				}
				return err
			}, "Fsync", syscall.ENOSPC, "waits",
		},
		"read-only tmpfs": {
			func(t *testing.T, dir string) error {
				t.Helper()
				err := mount(t, "tmpfs", dir, "size=64k")
				if err == nil {
					err = unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
				}
				return err
			}, "Mkdir", syscall.EROFS, "waits",
		},
		"overlay": {
			func(t *testing.T, dir string) error {
				t.Helper()
				below := t.TempDir()
				err := mount(t, "tmpfs", below, "size=1m")
				if err != nil {
					return err
				}
				for _, part := range []string{"lower", "upper", "work"} {
					testkit.Must(t, os.Mkdir(filepath.Join(below, part), 0o755))
				}
				return mount(t, "overlay", dir, "lowerdir="+below+"/lower,upperdir="+below+"/upper,workdir="+below+"/work")
			}, "", nil, "works",
		},
		"directory of another user": {
			func(t *testing.T, dir string) error {
				t.Helper()
				if os.Getuid() == 0 { // root may write anywhere
					return fs.ErrPermission
				}
				return os.Chmod(dir, 0o555)
			}, "Mkdir", syscall.EACCES, "refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := OS, t.TempDir()
			if err := c.prepare(t, dir); err != nil && c.err != nil {
				t.Logf("%v: the operation is made to fail", err)
				dir = t.TempDir()
				failures[c.operation](&s, c.err)
			}
			for _, use := range []Use{ForDatabases, ForStreams} {
				lacking, err := s.Try(dir, use)
				testkit.Equal(t, "result", judge(t, dir, lacking, err), c.want)
			}
		})
	}
}

// mount mounts a file system until the test ends. The error is that of a user who may not mount.
func mount(t *testing.T, kind, dir, options string) error {
	t.Helper()
	if err := unix.Mount(kind, dir, kind, 0, options); err != nil {
		return &os.PathError{Op: "mount " + kind, Path: dir, Err: err}
	}
	t.Cleanup(func() { testkit.Must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return nil
}

// fill leaves no space on the file system.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	testkit.Must(t, err)
	defer f.Close()
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling %s: %v", name, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
