//go:build unix

package faults

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func errnoName(number syscall.Errno) string { return unix.ErrnoName(number) }
