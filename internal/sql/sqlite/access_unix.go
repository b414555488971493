//go:build unix

package sqlite

import (
	"io/fs"
	"syscall"
)

// MayWrite fails unless the file may be read and written. It does not open the file: closing it would release the locks
// that this process has on it (fcntl(2)).
func MayWrite(path string) error {
	const readWrite = 6 // R_OK|W_OK of access(2)
	return syscall.Access(path, readWrite)
}

// linkCount returns the number of names of a file.
func linkCount(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Nlink) //nolint:gosec // no file system has that many
	}
	return 1
}
