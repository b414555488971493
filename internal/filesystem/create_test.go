//go:build unix

package filesystem

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// Files and directories have the documented modes whatever the umask, and keep what they inherit from the directory
// above. The umask belongs to the process, so no other test runs beside this one.
func TestModesDoNotDependOnTheUmask(t *testing.T) {
	dir := t.TempDir()
	testkit.Must(t, os.Chmod(dir, 0o700|fs.ModeSetgid))
	defer syscall.Umask(syscall.Umask(0o077))
	made, err := OS.MakeDirs(filepath.Join(dir, "a", "b"))
	testkit.Must(t, err)
	testkit.Equal(t, "directories made", len(made), 2)
	f, err := OS.CreateFile(filepath.Join(dir, "a", "b", "file"))
	testkit.Must(t, err)
	testkit.Must(t, f.Close())
	for path, want := range map[string]fs.FileMode{
		"": fs.ModeDir | fs.ModeSetgid | 0o700, "a": fs.ModeDir | fs.ModeSetgid | 0o755, "a/b": fs.ModeDir | fs.ModeSetgid | 0o755,
		"a/b/file": 0o644,
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		testkit.Must(t, err)
		testkit.Equal(t, "mode of "+path, info.Mode(), want)
	}
}

// A mode that is wider than wanted is the file system's own, and stays: to set it fails on FAT.
func TestWiderModeStays(t *testing.T) {
	t.Parallel()
	s := OS
	s.Mkdir = func(dir string, _ fs.FileMode) error { return os.Mkdir(dir, 0o755) }
	s.Create = func(name string, _ fs.FileMode) (*os.File, error) { return OS.Create(name, 0o755) }
	s.Chmod = func(string, fs.FileMode) error { t.Error("the mode was set"); return nil }
	dir := filepath.Join(t.TempDir(), "a")
	_, err := s.MakeDirs(dir)
	testkit.Must(t, err)
	f, err := s.CreateFile(filepath.Join(dir, "file"))
	testkit.Must(t, err)
	testkit.Must(t, f.Close())
}

// What cannot get its mode because of the disk is removed again.
func TestNothingStaysWithoutItsMode(t *testing.T) {
	t.Parallel()
	s := masked()
	failures["Chmod"](&s, syscall.EIO)
	dir := t.TempDir()
	if made, err := s.MakeDirs(filepath.Join(dir, "a")); err == nil || len(made) > 0 {
		t.Errorf("made %v", made)
	}
	if _, err := s.CreateFile(filepath.Join(dir, "file")); err == nil {
		t.Error("a file without its mode was created")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}
