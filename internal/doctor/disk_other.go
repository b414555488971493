//go:build !linux

package doctor

import "errors"

// diskOf returns an error: only Linux is supported.
func diskOf(string) (disk, error) {
	return disk{}, errors.New("not supported on this operating system")
}
