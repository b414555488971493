//go:build !linux

package postgrestest

import "syscall"

// owner is the user that the programs run as where that is not this process's.
type owner struct{ uid, gid int }

// processAttributes has nothing to set: only Linux ends a program together with the one that started it, and
// elsewhere nobody runs tests as root.
func processAttributes() (*syscall.SysProcAttr, *owner, error) { return nil, nil, nil }
