//go:build unix

package sqlite

import "syscall"

// MayWrite fails unless the file may be read and written. It does not open the file: closing it would release the locks
// that this process has on it (fcntl(2)).
func MayWrite(path string) error {
	const readWrite = 6 // R_OK|W_OK of access(2)
	return syscall.Access(path, readWrite)
}
