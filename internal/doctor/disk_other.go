//go:build !linux

package doctor

import "errors"

// diskOf tells what a directory is on.
func diskOf(string) (disk, error) {
	return disk{}, errors.New("not known how on this operating system")
}
