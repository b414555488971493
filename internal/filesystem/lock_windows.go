package filesystem

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// reservedByte is the byte that SQLite locks for a write transaction: https://www.sqlite.org/src/file/src/os.h. It lies
// beyond the content, which could not be read while locked.
const reservedByte = 0x40000001

func lockByte(f *os.File, flags uint32) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{Offset: reservedByte})
}

// lock takes the lock that distinguishes a file under construction from a leftover, until f is closed. It belongs to
// the open file, not to the process, so other workers of the process see it too. It waits: only isLocked can hold the
// lock of a new file, and only for a moment.
func lock(f *os.File) error {
	return os.NewSyscallError("lock", lockByte(f, windows.LOCKFILE_EXCLUSIVE_LOCK))
}

// isLocked reports whether another open file holds the lock. There is no call that only tests: it takes a shared lock,
// which does not block other tests, and releases it.
func isLocked(f *os.File) (bool, error) {
	err := lockByte(f, windows.LOCKFILE_FAIL_IMMEDIATELY)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return true, nil
	}
	if err == nil {
		err = windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &windows.Overlapped{Offset: reservedByte})
	}
	return false, os.NewSyscallError("query the lock", err)
}
