package faults

import "syscall"

// errnoName has no names: an error number stays unclassified.
func errnoName(syscall.Errno) string { return "" }
