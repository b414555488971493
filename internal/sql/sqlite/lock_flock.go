//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// Linux has better: see lock_linux.go. There these two are only tested.

// lockWhole takes the lock that tells a file under construction from a dead one, until f is closed. It belongs to the
// open file and not to the process, so that another worker of the process sees it too. It waits: no one but
// isLockedWhole, for a moment, can have the lock of a file that was just made.
func lockWhole(f *os.File) error {
	return os.NewSyscallError("lock", flockCall(f, syscall.LOCK_EX))
}

// isLockedWhole reports whether somebody else has the lock. There is no call that only asks: it takes a shared lock,
// which does not keep others from asking as well, and gives it back.
func isLockedWhole(f *os.File) (bool, error) {
	err := flockCall(f, syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	if err == nil {
		err = flockCall(f, syscall.LOCK_UN)
	}
	return false, os.NewSyscallError("query the lock", err)
}

// flockCall is flock(2), also where a signal interrupts it.
func flockCall(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
