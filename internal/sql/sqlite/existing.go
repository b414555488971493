package sqlite

import (
	"context"
	databasesql "database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// openExisting takes the write lock of the existing file and checks that it holds no rows. Only SQLite opens the file:
// closing another descriptor of it would release the locks that this process has on it (fcntl(2)).
func (b *build) openExisting(ctx context.Context) error {
	if err := MayWrite(b.path); err != nil {
		return err
	}
	// A process that crashed while placing the file may have left its temporary name.
	if err := b.removeLeftovers(filepath.Dir(b.path), b.claim); err != nil {
		return err
	}
	if err := b.examineUnrecovered(ctx); err != nil {
		return err
	}
	if err := b.beginExisting(ctx); err != nil {
		return b.notADatabase(ctx, err)
	}
	rows, err := b.findForeignRows(ctx, b.tx)
	if err != nil {
		return b.notADatabase(ctx, err)
	}
	if rows == "" {
		return b.takeOver(ctx)
	}
	return b.boundaryInUse(ctx, rows)
}

// beginExisting begins the transaction on the existing file.
func (b *build) beginExisting(ctx context.Context) (err error) {
	pragmas := []string{"synchronous(EXTRA)"} // the commit survives even a power loss right after it
	if b.hasFurther() {
		// Without spilling, the page with the tag is the first that is written: see examineUnrecovered.
		pragmas = slices.Concat(pragmas, furtherPragmas, []string{"cache_spill(0)"})
		err = b.openBy(ctx, dataSource(b.path, "rw", ownBusyTimeout, pragmas...))
	} else if b.db, err = open(b.path, "rw", ownBusyTimeout, pragmas...); err == nil {
		b.conn, err = b.db.Conn(ctx)
	}
	if err != nil {
		return err
	}
	b.tx, err = b.conn.BeginTx(ctx, nil)
	return err
}

// examineUnrecovered fails if the file holds rows and a process died while writing it. To open it for writing would
// recover it, which changes it. If the process died while it committed rows of scripts and seed data, the file has the
// tag of this request. What can only be seen by recovering it is left to openExisting.
func (b *build) examineUnrecovered(ctx context.Context) (err error) {
	hasLog := hasContent(b.path + "-wal")
	if !hasLog && !hasContent(b.path+"-journal") {
		return nil
	}
	var rows string
	look := func(tx *databasesql.Tx) (err error) {
		rows, err = b.findForeignRows(ctx, tx)
		return err
	}
	mode := "ro"
	if _, err := os.Lstat(b.path + "-shm"); hasLog && missing(err) { // mode ro would create it
		mode = immutable
	}
	err = read(ctx, b.path, mode, ownBusyTimeout, look)
	if primary(err) == sqlite3.SQLITE_READONLY { // the journal is of a transaction that no process will end
		mode = immutable
		err = read(ctx, b.path, mode, ownBusyTimeout, look)
	}
	switch {
	case err != nil && mode != immutable:
		return b.notADatabase(ctx, err)
	case err == nil && rows != "":
		return b.boundaryInUse(ctx, rows)
	}
	return nil // half of a transaction cannot always be read
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
	if err := b.checkAvailable(ctx, b.read(), b.claim, b.tenant, b.path); err != nil {
		return err
	}
	return pipeline.Permanentf(events.CauseBoundaryNotEmpty, "%s exists, is not registered, and %s; nothing was "+
		"touched: move it away or choose another id", b.path, why)
}

// findForeignRows is findRows, but finds nothing in a file that this request has filled, in one transaction with its
// tag, by the scripts and seed data of now.
func (b *build) findForeignRows(ctx context.Context, tx *databasesql.Tx) (string, error) {
	if whole, err := b.isWhole(ctx, tx); whole || err != nil {
		return "", err
	}
	return findRows(ctx, tx)
}

// findRows says which table holds rows, or may hold some because it cannot be read; empty: none does.
func findRows(ctx context.Context, tx *databasesql.Tx) (string, error) {
	tables, err := collect(ctx, tx, q.Relations, func(row scanner) (name string, err error) {
		err = row.Scan(&name)
		return name, err
	})
	if err != nil {
		return "", err
	}
	for _, table := range tables {
		var full bool
		query := strings.ReplaceAll(q.HasRows, "{relation}", quote(table))
		err := tx.QueryRowContext(ctx, query).Scan(&full)
		switch {
		case primary(err) == sqlite3.SQLITE_ERROR: // such as a virtual table of a module that is not here
			return fmt.Sprintf("has a table %s that cannot be read (%s)", table, err), nil
		case err != nil:
			return "", err
		case full:
			return "holds rows in " + table, nil
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
