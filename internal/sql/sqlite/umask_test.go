//go:build unix

package sqlite

import (
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/tenant-provisioner/internal/filesystem"
)

// Whatever the umask, other users can read the registry and tenants' files, also while they are in use. The umask
// belongs to the process, so no other test runs beside this one.
func TestModesDoNotDependOnTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	s, _, err := openStoreOn(t, filesystem.OS)
	if err != nil {
		t.Fatal(err)
	}
	if err := attempt(t, s, "1", "acme"); err != nil {
		t.Fatal(err)
	}
	b := begun(t, s, "2", "begun")
	if _, err := b.CreateBoundary(t.Context()); err != nil {
		t.Fatal(err)
	}
	var seen []string
	err = filepath.WalkDir(s.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o644)
		switch {
		case entry.IsDir():
			want = 0o755 | fs.ModeDir
		case strings.HasSuffix(path, ".lock"): // only the service opens it
			want = 0o600
		}
		if info.Mode() != want {
			t.Errorf("%s has the mode %s, want %s", path, info.Mode(), want)
		}
		seen = append(seen, filepath.Base(path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"storage", "tenant_acme", "docex.db", "docex.db-wal", "docex.db-shm", filepath.Base(b.temp.Name())} {
		if !strings.Contains(" "+strings.Join(seen, " ")+" ", " "+name+" ") {
			t.Errorf("%s is not among %v", name, seen)
		}
	}
}
