package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// reservedByte is the byte of a file that SQLite locks for a transaction that writes:
// https://www.sqlite.org/src/file/src/os.h. It lies behind the content, which a lock would keep others from reading.
const reservedByte = 0x40000001

func lockByte(f *os.File, flags uint32) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{Offset: reservedByte})
}

// lock takes the lock that tells a file under construction from a dead one, until f is closed. It belongs to the open
// file and not to the process, so that another worker of the process sees it too. It waits: no one but isLocked, for a
// moment, can have the lock of a file that was just made.
func lock(f *os.File) error {
	return os.NewSyscallError("lock", lockByte(f, windows.LOCKFILE_EXCLUSIVE_LOCK))
}

// isLocked reports whether somebody else has the lock. There is no call that only asks: it takes a shared lock, which
// does not keep others from asking as well, and gives it back.
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
