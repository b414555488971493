package sqlite

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/internal/sql"
)

// storeLog makes the registry's log durable after SQLite has opened it. A process that died between writing a commit
// and syncing it leaves a commit that counts but is not durable.
func (s *Store) storeLog(ctx context.Context) error {
	_, end, err := begin(ctx, s.syncDB)
	if err != nil {
		return err
	}
	defer end()
	return s.rewriteLog()
}

// rewriteLog writes the content of the registry's log again and syncs it. Syncing alone does not suffice: after a sync
// has failed, the next one succeeds although the operating system has discarded what it could not write (fsync(2)). The
// caller holds the write lock, so no other process writes the log.
func (s *Store) rewriteLog() error {
	log, err := os.OpenFile(s.path(sql.BootstrapTenant)+"-wal", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = rewrite(log)
	if err == nil {
		err = s.files.Fsync(log)
	}
	return errors.Join(err, log.Close()) // closing it releases no lock: SQLite has none on the log
}

// rewrite writes the content of a file over itself.
func rewrite(f *os.File) error {
	buffer := make([]byte, chunk)
	for at := int64(0); ; at += chunk {
		n, err := f.ReadAt(buffer, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := f.WriteAt(buffer[:n], at); err != nil {
			return err
		}
		if n < chunk {
			return nil
		}
	}
}

// trustLog rewrites the log if an earlier transaction met an error of input or output, which may have been a failed
// sync of the log. It runs within the next transaction.
func (s *Store) trustLog() error {
	if !s.distrusted.Load() {
		return nil
	}
	if err := s.rewriteLog(); err != nil {
		return err
	}
	s.distrusted.Store(false)
	return nil
}

// distrustLog notes an error of input or output.
func (s *Store) distrustLog(err error) {
	if primary(err) == sqlite3.SQLITE_IOERR {
		s.distrusted.Store(true)
	}
}
