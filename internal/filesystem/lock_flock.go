//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filesystem

import (
	"errors"
	"os"
	"syscall"
)

// Linux uses lock_linux.go; there, these functions are only tested.

// lockWhole takes the lock that distinguishes a file under construction from a leftover, until f is closed. It belongs
// to the open file, not to the process, so other workers of the process see it too. It waits: only isLockedWhole can
// hold the lock of a new file, and only for a moment.
func lockWhole(f *os.File) error {
	return os.NewSyscallError("lock", flockCall(f, syscall.LOCK_EX))
}

// isLockedWhole reports whether another open file holds the lock. There is no call that only tests: it takes a shared
// lock, which does not block other tests, and releases it.
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

// flockCall is flock(2), repeated if a signal interrupts it.
func flockCall(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
