//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package filesystem

import "os"

// lock takes the lock that distinguishes a file under construction from a leftover, until f is closed. On these systems
// flock(2) and SQLite's fcntl(2) locks exclude each other, so SQLite also sees the file as locked.
func lock(f *os.File) error { return lockWhole(f) }

// isLocked reports whether another open file holds the lock.
func isLocked(f *os.File) (bool, error) { return isLockedWhole(f) }
