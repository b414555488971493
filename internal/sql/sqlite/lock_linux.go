package sqlite

import (
	"os"
	"syscall"
)

// Commands of fcntl(2) that package syscall lacks, the same on every architecture.
const (
	ofdGetLock = 36 // F_OFD_GETLK
	ofdSetLock = 37 // F_OFD_SETLK
)

// reservedLock is the byte of a file that SQLite locks for a transaction that writes:
// https://www.sqlite.org/src/file/src/os.h. With that byte taken the file also looks alive to what asks SQLite.
func reservedLock() *syscall.Flock_t {
	return &syscall.Flock_t{Type: syscall.F_WRLCK, Start: 0x40000001, Len: 1}
}

// lock takes the lock that tells a file under construction from a dead one, until f is closed. It belongs to
// the open file and not to the process, so that another worker of the process sees it too, and does not end it
// by closing the file.
func lock(f *os.File) error {
	return os.NewSyscallError("lock", syscall.FcntlFlock(f.Fd(), ofdSetLock, reservedLock()))
}

// isLocked reports whether somebody else has the lock.
func isLocked(f *os.File) (bool, error) {
	found := reservedLock()
	err := syscall.FcntlFlock(f.Fd(), ofdGetLock, found)
	return found.Type != syscall.F_UNLCK, os.NewSyscallError("query the lock", err)
}
