//go:build unix

package sqlite

import "syscall"

// mayWrite fails where the file may not be read and written. It does not open the file: to close it would end the locks
// that this process has on it (fcntl(2)).
func mayWrite(path string) error {
	const readWrite = 6 // R_OK|W_OK of access(2)
	return syscall.Access(path, readWrite)
}
