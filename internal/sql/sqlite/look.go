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

// lookTries is how often a file is read that others keep changing while it is read without locks.
const lookTries = 3

// errNoFile says that a path leads to something that is no regular file.
var errNoFile = errors.New("it is not a file")

// look opens a file for reading, runs fn in one read transaction, and leaves nothing behind. fn may run more
// than once.
//
// A file in WAL mode that nobody has open cannot be read in mode ro without making -wal and -shm files
// beside it. It is read as immutable, which makes none and takes no locks; if somebody has opened it
// meanwhile, it is read once more. (Where a -wal file was copied without its -shm file, one is made.) The
// header is read here, not by SQLite: a process that looks must not have the same file open for writing,
// whose locks closing it would end (fcntl(2)).
func look(ctx context.Context, path string, fn func(*databasesql.Tx) error) error {
	for range lookTries {
		resting, info, err := atRest(path)
		if err != nil {
			return err
		}
		if !resting {
			return read(ctx, path, "ro", fn)
		}
		err = read(ctx, path, immutable, fn)
		resting, now, restErr := atRest(path)
		if restErr == nil && resting && now.ModTime().Equal(info.ModTime()) && now.Size() == info.Size() {
			return err
		}
	}
	return &pipeline.Fault{Message: path + " is being changed all the time; try again"}
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

// atRest reports whether the file is in WAL mode and nobody has it open.
func atRest(path string) (_ bool, _ fs.FileInfo, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, nil, err
	}
	if !info.Mode().IsRegular() { // to open a pipe would block
		return false, nil, fmt.Errorf("%s: %w", path, errNoFile)
	}
	if is, err := isWAL(path); err != nil || !is {
		return false, info, err
	}
	resolved, err := filepath.EvalSymlinks(path) // beside which SQLite has the other files
	if err != nil {
		return false, nil, err
	}
	_, err = os.Lstat(resolved + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return true, info, nil
	}
	return false, info, err
}

// isWAL reports whether the header of the file says that it is in WAL mode.
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

// unmended explains the one error that only reading without the right to write can meet.
func unmended(err error) error {
	if primary(err) != sqlite3.SQLITE_READONLY {
		return err
	}
	return &pipeline.Fault{
		Message: "a process died while writing it, and only a writer can recover it: open it once with " +
			"DocEX or sqlite3 or, if it is the registry, start the service",
		DriverCode: "SQLITE 8", Err: err,
	}
}
