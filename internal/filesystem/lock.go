package filesystem

import "os"

// LockFile takes the lock that distinguishes a file under construction from a leftover, until f is closed. It belongs
// to the open file, not to the process. Where this kind of lock is missing, as on WSL 1 and in some sandboxes, it is
// flock(2).
func (s System) LockFile(f *os.File) error {
	err := s.Lock(f)
	if isUnsupported(err) {
		err = s.Flock(f)
	}
	return err
}

// IsFileLocked reports whether another open file has the lock of [System.LockFile], of either kind: a system may have
// the query for one kind but not its lock.
func (s System) IsFileLocked(f *os.File) (bool, error) {
	is, err := s.IsLocked(f)
	if is || err != nil && !isUnsupported(err) {
		return is, err
	}
	is, errFlock := s.IsFlocked(f)
	if isUnsupported(errFlock) {
		return false, err // nil if the first kind exists
	}
	return is, errFlock
}
