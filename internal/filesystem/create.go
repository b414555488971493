package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Modes of created files and directories: DocEX may run as another user and needs to read them.
const (
	fileMode = 0o644
	dirMode  = 0o755
)

// MakeDirs creates the directory and its missing parents with mode 0755, and returns those that it created, the deepest
// first. It does not return directories that others create at the same time.
func (s System) MakeDirs(dir string) (made []string, err error) {
	err = s.makeDir(dir)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if made, err = s.MakeDirs(filepath.Dir(dir)); err != nil {
			return made, err
		}
		err = s.makeDir(dir)
	}
	switch {
	case err == nil:
		return append([]string{dir}, made...), nil
	case errors.Is(err, fs.ErrExist):
		return made, nil
	}
	return made, err
}

func (s System) makeDir(dir string) error {
	if err := s.Mkdir(dir, dirMode); err != nil {
		return err
	}
	if err := s.setMode(dir, dirMode); err != nil {
		return errors.Join(err, s.Remove(dir))
	}
	return nil
}

// CreateFile creates an empty file with mode 0644. It fails if the name is taken.
func (s System) CreateFile(name string) (*os.File, error) {
	f, err := s.Create(name, fileMode)
	if err != nil {
		return nil, err
	}
	if err := s.setMode(name, fileMode); err != nil {
		return nil, errors.Join(err, s.Remove(name), f.Close())
	}
	return f, nil
}

// setMode grants what the umask has withheld from a new file or directory. On a file system that decides about modes
// itself, such as CIFS and FAT, its mode stays.
func (s System) setMode(name string, want fs.FileMode) error {
	info, err := os.Lstat(name)
	if err != nil || info.Mode().Perm()&want == want {
		return err
	}
	const special = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky // inherited from the parent directory
	if err := s.Chmod(name, info.Mode()&special|want); !isUnsupported(err, syscall.EPERM, syscall.EACCES) {
		return err
	}
	return nil
}
