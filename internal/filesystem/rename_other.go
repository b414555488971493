//go:build !linux

package filesystem

import "errors"

// renameNew is not available on this operating system.
func renameNew(string, string) error { return errors.ErrUnsupported }
