package filesystem

import (
	"os"
	"syscall"
)

// Commands of fcntl(2) that package syscall lacks, the same on every architecture.
const (
	ofdGetLock = 36 // F_OFD_GETLK
	ofdSetLock = 37 // F_OFD_SETLK
)

// reservedLock is the byte that SQLite locks for a write transaction: https://www.sqlite.org/src/file/src/os.h. With
// that byte locked, SQLite also sees the file as locked.
func reservedLock() *syscall.Flock_t {
	return &syscall.Flock_t{Type: syscall.F_WRLCK, Start: 0x40000001, Len: 1}
}

// lock takes the lock that distinguishes a file under construction from a leftover, until f is closed. It belongs to
// the open file, not to the process: other workers of the process see it too, and do not release it by closing the
// file.
func lock(f *os.File) error {
	return os.NewSyscallError("lock", syscall.FcntlFlock(f.Fd(), ofdSetLock, reservedLock()))
}

// isLocked reports whether another open file holds the lock.
func isLocked(f *os.File) (bool, error) {
	found := reservedLock()
	err := syscall.FcntlFlock(f.Fd(), ofdGetLock, found)
	return found.Type != syscall.F_UNLCK, os.NewSyscallError("query the lock", err)
}
