package faults

import "syscall"

// errnoName knows no names: what there is stays unclassified.
func errnoName(syscall.Errno) string { return "" }
