//go:build !linux

package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock that tells a file under construction from a dead one, until f is closed. It belongs to
// the open file and not to the process, so that another worker of the process sees it too.
func lock(f *os.File) error {
	return os.NewSyscallError("lock", syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
}

// isLocked reports whether somebody else has the lock.
func isLocked(f *os.File) (bool, error) {
	err := lock(f)
	return errors.Is(err, syscall.EWOULDBLOCK), err
}
