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
	return withMode(path, func(mode string) error { return read(ctx, path, mode, fn) })
}

// withMode calls fn with the mode in which it can open and read a file without leaving files behind. fn may run more
// than once.
//
// A file in WAL mode that no process has open cannot be read in mode ro without creating -wal and -shm files next to
// it. It is read as immutable, which creates none and takes no locks, and again if a process has opened it in the
// meantime. (If a -wal file was copied without its -shm file, a -shm file is created.) withMode reads the header
// itself, without SQLite. So this process must not have the same file open for writing: closing the file after the
// header would release those locks (fcntl(2)).
func withMode(path string, fn func(mode string) error) error {
	for range readTries {
		resting, info, err := atRest(path)
		if err != nil {
			return err
		}
		if !resting {
			return fn("ro")
		}
		err = fn(immutable)
		resting, now, restErr := atRest(path)
		if restErr == nil && resting && now.ModTime().Equal(info.ModTime()) && now.Size() == info.Size() {
			return err
		}
	}
	return &pipeline.Fault{Message: path + " keeps changing while it is read; try again"}
}

func read(ctx context.Context, path, mode string, fn func(*databasesql.Tx) error) (err error) {
	db, err := open(path, mode, busyTimeout, "query_only(1)")
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

// atRest reports whether the file is in WAL mode and no process has it open.
func atRest(path string) (_ bool, _ fs.FileInfo, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would block
		return false, nil, fmt.Errorf("%s: %w", path, errNoFile)
	}
	if is, err := isWAL(path); err != nil || !is {
		return false, info, err
	}
	resolved, err := filepath.EvalSymlinks(path) // SQLite keeps the other files next to this one
	if err != nil {
		return false, nil, err
	}
	_, err = os.Lstat(resolved + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return true, info, nil
	}
	return false, info, err
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
			"DocEX or sqlite3 or, if it is the registry, start the service",
		DriverCode: "SQLITE 8", Err: err,
	}
}
