//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sqlite

import "os"

// lock takes the lock that tells a file under construction from a dead one, until f is closed. On these systems
// flock(2) and the locks of SQLite, by fcntl(2), exclude each other: the file also looks alive to what asks SQLite.
func lock(f *os.File) error { return lockWhole(f) }

// isLocked reports whether somebody else has the lock.
func isLocked(f *os.File) (bool, error) { return isLockedWhole(f) }
