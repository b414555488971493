package sqlite

import "os"

// MayWrite fails unless the file may be read and written. On Windows, closing a file releases no other handle's locks.
func MayWrite(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
