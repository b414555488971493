package filesystem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// SyncDir makes the entries of a directory durable, on a file system that can sync directories.
func (s System) SyncDir(dir string) error {
	if err := s.FsyncDir(dir); !lacksDirSync(err) {
		return err
	}
	return nil
}

// lacksDirSync reports whether the error means that the file system cannot sync directories. Then it stores their
// entries when it likes, and no program can change that.
func lacksDirSync(err error) bool { return isUnsupported(err, syscall.EBADF) }

// SyncTree makes the entries of dir, and of its parents up to and including the parent of top, durable. The user may
// lack the permission to read that parent.
func (s System) SyncTree(dir, top string) error {
	for ; ; dir = filepath.Dir(dir) {
		if err := s.SyncDir(dir); err != nil {
			return err
		}
		if dir == top || filepath.Dir(dir) == dir {
			break
		}
	}
	err := s.SyncDir(filepath.Dir(top))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// SyncAll makes the files and directories below dir, and dir itself, durable.
func (s System) SyncAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return s.SyncDir(path)
		case !entry.Type().IsRegular():
			return nil
		}
		f, err := os.Open(path) //nolint:gosec // a link in its place is at most synced
		if err != nil {
			return err
		}
		if err := errors.Join(s.Fsync(f), f.Close()); err != nil {
			return fmt.Errorf("sync %s: %w", path, err)
		}
		return nil
	})
}
