package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/internal/pipeline"
)

// readTries is how often reading a file without locks is tried while others keep changing it.
const readTries = 3

// errNoFile means that a path leads to something other than a regular file.
var errNoFile = errors.New("it is not a file")

// readFile opens a file for reading, runs fn in one read transaction, and leaves no files behind. fn may run more than
// once.
func readFile(ctx context.Context, path string, fn func(*databasesql.Tx) error) error {
	return withMode(path, func(path, mode string) error { return read(ctx, path, mode, busyTimeout, fn) })
}

// withMode calls fn with a path and a mode in which it can open and read a file without leaving files behind. fn may
// run more than once.
//
// A file in WAL mode that no process has open cannot be read in mode ro without creating -wal and -shm files next to
// it. It is read as immutable, which creates none and takes no locks, and again if a process has opened it in the
// meantime. If it has a -wal file without its -shm file, as some copies do, a temporary copy of both is read. withMode
// reads without SQLite. So this process must not have the same file open for writing: closing the file would release
// those locks (fcntl(2)).
func withMode(path string, fn func(path, mode string) error) error {
	for range readTries {
		before, info, err := stateOf(path)
		if err != nil {
			return err
		}
		switch before {
		case inUse:
			return fn(path, "ro")
		case atRest:
			err = fn(path, immutable)
		case withoutIndex:
			err = onCopy(path, fn)
		}
		after, now, stateErr := stateOf(path)
		if stateErr == nil && after == before && now.ModTime().Equal(info.ModTime()) && now.Size() == info.Size() {
			return err
		}
	}
	return &pipeline.Fault{Message: path + " keeps changing while it is read; try again"}
}

func read(ctx context.Context, path, mode string, wait time.Duration, fn func(*databasesql.Tx) error) (err error) {
	db, err := open(path, mode, wait, "query_only(1)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, &databasesql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(fn(tx), tx.Rollback())
}

// fileState says how a file can be read.
type fileState int

const (
	inUse        fileState = iota // it is not in WAL mode, or has the -wal and -shm files of a process that has it open
	atRest                        // it is in WAL mode, and no process has it open
	withoutIndex                  // it has a -wal file with content, and no -shm file
)

func stateOf(path string) (state fileState, _ fs.FileInfo, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return state, nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would block
		return state, nil, fmt.Errorf("%s: %w", path, errNoFile)
	}
	if is, err := isWAL(path); err != nil || !is {
		return state, info, err
	}
	resolved, err := filepath.EvalSymlinks(path) // SQLite keeps the other files next to this one
	if err != nil {
		return state, nil, err
	}
	_, logErr := os.Lstat(resolved + "-wal")
	_, indexErr := os.Lstat(resolved + "-shm")
	switch {
	case logErr == nil && indexErr == nil:
		return inUse, info, nil
	case hasContent(resolved + "-wal"):
		return withoutIndex, info, nil
	}
	return atRest, info, nil
}

// onCopy calls fn with a temporary copy of the file and its log.
func onCopy(path string, fn func(path, mode string) error) (err error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tenant-provisioner-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	to := filepath.Join(dir, "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		if err := copyBytes(resolved+suffix, to+suffix); err != nil {
			return err
		}
	}
	return fn(to, "ro")
}

func copyBytes(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// isWAL reports whether the header of the file indicates WAL mode.
func isWAL(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // only read
	var header [20]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		return false, err
	}
	const wal = 2 // of the read version: https://www.sqlite.org/fileformat.html#file_format_version_numbers
	return header[19] == wal, nil
}

// needsRecovery explains the one error that occurs only when reading without write access.
func needsRecovery(err error) error {
	if primary(err) != sqlite3.SQLITE_READONLY {
		return err
	}
	return &pipeline.Fault{
		Message: "a process died while writing it, and only a writer can recover it: open it once with " +
			"an application or sqlite3 or, if it is the registry, start the service",
		DriverCode: "SQLITE 8", Err: err,
	}
}
