//go:build !linux

package postgrestest

import "syscall"

// owner is the user that runs the programs, if it is not this process's user.
type owner struct{ uid, gid int }

// processAttributes sets nothing: only Linux ends a program together with the process that started it, and elsewhere
// the tests do not run as root.
func processAttributes() (*syscall.SysProcAttr, *owner, error) { return nil, nil, nil }
