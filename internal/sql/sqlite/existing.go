package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// openExisting takes the write lock of the existing file and checks that it holds no rows. Only SQLite opens the file:
// closing another descriptor of it would release the locks that this process has on it (fcntl(2)).
func (b *build) openExisting(ctx context.Context) error {
	if err := b.requireFiles(); err != nil {
		return err
	}
	if err := MayWrite(b.path); err != nil {
		return err
	}
	// A process that crashed while placing the file may have left its temporary name.
	if err := b.removeLeftovers(filepath.Dir(b.path), b.claim); err != nil {
		return err
	}
	// EXTRA: the commit survives even a power loss right after it.
	db, err := open(b.path, "rw", ownBusyTimeout, "synchronous(EXTRA)")
	if err != nil {
		return err
	}
	b.db = db
	if b.tx, err = db.BeginTx(ctx, nil); err != nil {
		return b.notADatabase(ctx, err)
	}
	table, err := b.tableWithRows(ctx)
	if err != nil {
		return b.notADatabase(ctx, err)
	}
	if table == "" {
		return b.takeOver(ctx)
	}
	return b.boundaryInUse(ctx, "holds rows in "+table)
}

// commitExisting commits the changes to the existing file, unless the name has another file by now: another attempt
// removes a file that it has placed if its directory cannot be synced.
func (b *build) commitExisting() error {
	now, err := os.Lstat(b.path)
	if err != nil && !missing(err) {
		return err
	}
	if err != nil || !os.SameFile(now, b.found) {
		return fmt.Errorf("%s was removed or replaced in the meantime: %w", b.path, pipeline.ErrBusy)
	}
	return b.tx.Commit()
}

// requireFiles fails if the names of SQLite's files next to the tenant's exist and are not regular files. SQLite would
// open them, and block forever on a pipe.
func (b *build) requireFiles() error {
	for _, suffix := range []string{"-journal", "-wal", "-shm"} {
		if info, err := os.Stat(b.path + suffix); err == nil && !info.Mode().IsRegular() {
			return pipeline.Permanentf(events.CauseBoundaryNotEmpty,
				"%s is not a file; nothing was touched: move it away or choose "+
					"another id", b.path+suffix)
		}
	}
	return nil
}

// notADatabase replaces SQLite's "not a database" error with its meaning here.
func (b *build) notADatabase(ctx context.Context, err error) error {
	if primary(err) == sqlite3.SQLITE_NOTADB {
		return b.boundaryInUse(ctx, "is not a SQLite database")
	}
	return err
}

// boundaryInUse explains why a file must not be used. Only a registered tenant gets rows. So the registry, read after
// the rows were seen, shows whether they belong to a tenant of another request or to another program.
func (b *build) boundaryInUse(ctx context.Context, why string) error {
	if err := b.checkAvailable(ctx, b.readDB, b.claim, b.tenant, b.path); err != nil {
		return err
	}
	return pipeline.Permanentf(events.CauseBoundaryNotEmpty, "%s exists, is not registered, and %s; nothing was "+
		"touched: move it away or choose another id", b.path, why)
}

// tableWithRows returns the name of a table that holds rows, or "".
func (b *build) tableWithRows(ctx context.Context) (string, error) {
	tables, err := collect(ctx, b.tx, q.Relations, func(row scanner) (name string, err error) {
		err = row.Scan(&name)
		return name, err
	})
	if err != nil {
		return "", err
	}
	for _, table := range tables {
		var full bool
		query := strings.ReplaceAll(q.HasRows, "{relation}", quote(table))
		if err := b.tx.QueryRowContext(ctx, query).Scan(&full); err != nil {
			return "", err
		}
		if full {
			return table, nil
		}
	}
	return "", nil
}

// create runs the statements and returns those that failed by themselves, by position. A failed statement undoes only
// its own changes.
func (b *build) create(ctx context.Context, ddl string) (map[int]error, error) {
	failed := map[int]error{}
	for i, statement := range sql.Statements(ddl) {
		_, err := b.tx.ExecContext(ctx, statement)
		switch {
		case err == nil:
		case primary(err) == sqlite3.SQLITE_ERROR: // the code for any error in a statement itself
			failed[i] = err
		default:
			return nil, err
		}
	}
	return failed, nil
}
