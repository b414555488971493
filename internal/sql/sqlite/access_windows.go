package sqlite

import "os"

// mayWrite fails where the file may not be read and written. Here closing a file ends no other's locks.
func mayWrite(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
