package filesystem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Place gives a finished, synced file its final name in the same directory, unless that name is taken. linked reports
// that the file still has its earlier name too, which the caller removes.
//
// A file system without hard links has a rename instead. Without a rename that fails if the name is taken, Place checks
// the name and renames; the caller excludes others with a lock.
func (s System) Place(from, to string) (linked bool, err error) {
	err = s.Link(from, to)
	if !isUnsupported(err, syscall.EPERM, syscall.EACCES, syscall.EXDEV, syscall.EMLINK) {
		return err == nil, err
	}
	err = s.RenameNew(from, to)
	if !isUnsupported(err, syscall.EPERM, syscall.EACCES) {
		return false, err
	}
	switch _, err := os.Lstat(to); {
	case err == nil:
		return false, fmt.Errorf("%s: %w", to, fs.ErrExist)
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	return false, s.Rename(from, to)
}

// isUnsupported reports whether the error means that the file system does not have the operation: ENOSYS, EOPNOTSUPP
// and EINVAL, or one of others, with which some file systems and sandboxes refuse this operation.
func isUnsupported(err error, others ...syscall.Errno) bool {
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return true
	}
	for _, other := range others {
		if errors.Is(err, other) {
			return true
		}
	}
	return false
}
