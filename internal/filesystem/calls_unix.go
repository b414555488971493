//go:build unix

package filesystem

import (
	"io"
	"os"
	"syscall"
)

// recordLock takes and releases a record lock of fcntl(2), the kind that SQLite uses.
func recordLock(f *os.File) error {
	record := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Len: 1}
	err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &record)
	if err == nil {
		record.Type = syscall.F_UNLCK
		err = syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &record)
	}
	return os.NewSyscallError("lock a record", err)
}

// mapPage maps the file's first page, which must exist, and unmaps it.
func mapPage(f *os.File) error {
	page, err := syscall.Mmap(int(f.Fd()), 0, pageSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err == nil {
		err = syscall.Munmap(page)
	}
	return os.NewSyscallError("mmap", err)
}
