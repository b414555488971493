package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// Each way to place a file moves its content, and replaces nothing.
func TestPlace(t *testing.T) {
	t.Parallel()
	for name, missing := range map[string][]string{
		"link": nil, "rename that fails if the name is taken": {"Link"}, "rename": {"Link", "RenameNew"},
	} {
		s := OS
		for _, operation := range missing {
			failures[operation](&s, syscall.EPERM)
		}
		dir := t.TempDir()
		from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
		testkit.Must(t, os.WriteFile(from, []byte("new"), 0o600))
		linked, err := s.Place(from, to)
		testkit.Must(t, err)
		testkit.Equal(t, name+": linked", linked, len(missing) == 0)
		content, err := os.ReadFile(to)
		testkit.Must(t, err)
		testkit.Equal(t, name, string(content), "new")

		if linked {
			testkit.Must(t, os.Remove(from)) // another name of the same file
		}
		testkit.Must(t, os.WriteFile(from, []byte("another"), 0o600))
		if linked, err := s.Place(from, to); linked || !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: the name is taken: %v, %v", name, linked, err)
		}
		for path, want := range map[string]string{from: "another", to: "new"} {
			content, err := os.ReadFile(path)
			testkit.Must(t, err)
			testkit.Equal(t, name+": "+path, string(content), want)
		}
	}
}

// The storage directory may be in a directory that the service's user may not read.
func TestSyncTreeOfAnUnreadableParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	top := filepath.Join(dir, "top")
	testkit.Must(t, os.MkdirAll(filepath.Join(top, "below"), 0o755))
	for denied, want := range map[string]error{dir: nil, top: syscall.EACCES} {
		s := OS
		s.FsyncDir = func(name string) error {
			if name == denied {
				return &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
			}
			return OS.FsyncDir(name)
		}
		if err := s.SyncTree(filepath.Join(top, "below"), top); !errors.Is(err, want) {
			t.Errorf("%s cannot be read: %v", denied, err)
		}
	}
}
