package filesystem

import (
	"errors"
	"os"
)

// flock(2) does not exist on Windows, so no file has its lock.
func lockWhole(*os.File) error             { return errors.ErrUnsupported }
func isLockedWhole(*os.File) (bool, error) { return false, nil }

// What SQLite uses on Windows is not tried.
func recordLock(*os.File) error { return nil }
func mapPage(*os.File) error    { return nil }
