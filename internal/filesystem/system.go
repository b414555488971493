package filesystem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// System has the operations that some file systems lack or refuse. [OS] has those of the operating system; tests
// replace them.
type System struct {
	Mkdir  func(dir string, mode fs.FileMode) error
	Create func(name string, mode fs.FileMode) (*os.File, error) // fails if the name is taken
	Chmod  func(name string, mode fs.FileMode) error
	Remove func(name string) error

	// Lock takes the lock of an open file, until the file is closed; IsLocked reports whether another open file has it.
	Lock     func(f *os.File) error
	IsLocked func(f *os.File) (bool, error)
	// Flock and IsFlocked do the same with flock(2).
	Flock     func(f *os.File) error
	IsFlocked func(f *os.File) (bool, error)
	// RecordLock takes and releases a lock as SQLite does; Map maps the file's first page into memory for writing, as
	// SQLite's write-ahead log does.
	RecordLock func(f *os.File) error
	Map        func(f *os.File) error

	Link      func(from, to string) error
	RenameNew func(from, to string) error // fails if the name is taken
	Rename    func(from, to string) error

	Fsync    func(f *os.File) error
	FsyncDir func(dir string) error
}

// OS has the operations of the operating system.
var OS = System{
	Mkdir: os.Mkdir,
	Create: func(name string, mode fs.FileMode) (*os.File, error) {
		return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	},
	Chmod:      os.Chmod,
	Remove:     os.Remove,
	Lock:       lock,
	IsLocked:   isLocked,
	Flock:      lockWhole,
	IsFlocked:  isLockedWhole,
	RecordLock: recordLock,
	Map:        mapPage,
	Link:       os.Link,
	RenameNew:  renameNew,
	Rename:     os.Rename,
	Fsync:      func(f *os.File) error { return f.Sync() },
	FsyncDir:   fsyncDir,
}

func fsyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
