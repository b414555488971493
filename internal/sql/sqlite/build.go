package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// build is one attempt: a file under construction, or one that was there, opened in one transaction.
type build struct {
	*Store
	claim   pipeline.Claim
	tenant  string
	path    string   // the final name
	working string   // the name worked on: path, or a name beside it
	made    []string // directories made for it, the deepest first
	db      *databasesql.DB
	tx      *databasesql.Tx
}

// Begin implements [pipeline.Database]. Nothing is touched.
func (s *Store) Begin(_ context.Context, c pipeline.Claim, tenantID string) (pipeline.Build, error) {
	return &build{Store: s, claim: c, tenant: tenantID, path: s.path(tenantID)}, nil
}

// CreateBoundary opens a new file beside the final name, or the one that is there if it holds no rows.
func (b *build) CreateBoundary(ctx context.Context) (pipeline.Boundary, error) {
	if err := b.stayInside(); err != nil {
		return pipeline.Boundary{}, fmt.Errorf("open %s: %w", b.path, classify(err))
	}
	info, err := os.Lstat(b.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = b.openBeside(ctx)
	case errors.Is(err, syscall.ENOTDIR), err == nil && !info.Mode().IsRegular():
		err = pipeline.Failure(events.CauseBoundaryNotEmpty, "%s, or the directory it should be in, exists and is "+
			"something else; nothing was touched", b.path)
	case err == nil:
		err = b.openExisting(ctx)
	}
	if err != nil {
		return pipeline.Boundary{}, fmt.Errorf("open %s: %w", b.path, classify(err))
	}
	return pipeline.Boundary{DatabasePath: b.path}, nil
}

// stayInside fails if links lead the file's directory out of the storage root.
func (b *build) stayInside() error {
	root, err := filepath.EvalSymlinks(b.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return &pipeline.Fault{Class: pipeline.Outage, Message: "the storage directory is gone; put it back", Err: err}
	}
	if err != nil {
		return err
	}
	for dir := filepath.Dir(b.path); ; dir = filepath.Dir(dir) {
		target, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != b.Root {
			continue // yet to be made, below one that is there
		}
		if err != nil {
			return err
		}
		if below, err := filepath.Rel(root, target); err != nil || !filepath.IsLocal(below) {
			return pipeline.Failure(events.CauseBoundaryNotEmpty, "%s is a link to %s, which is outside the storage "+
				"directory; nothing was touched", dir, target)
		}
		return nil
	}
}

// openBeside makes the directory and a new file in it. A crash leaves that file to be thrown away, so it
// needs no journal on the disk. The lock that is never given up tells other attempts that it is alive.
func (b *build) openBeside(ctx context.Context) (err error) {
	dir := filepath.Dir(b.path)
	if b.made, err = makeDirs(dir); err != nil {
		return err
	}
	if err := removeLeftovers(ctx, dir, b.claim); err != nil {
		return err
	}
	b.working = filepath.Join(dir, buildingName(b.claim))
	// Made by ourselves: the driver would report a missing right as "cannot open".
	if err := createFile(b.working); err != nil {
		return err
	}
	if err := b.begin(ctx, "journal_mode(MEMORY)", "synchronous(FULL)", "locking_mode(EXCLUSIVE)"); err != nil {
		return err
	}
	_, err = b.tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", mark(b.claim)))
	return err
}

// readWrite is R_OK|W_OK of access(2).
const readWrite = 6

// openExisting takes the write lock of the file that is there and sees that it holds no rows. Only SQLite
// opens it: for any other to close it would end the locks that this process has on it (fcntl(2)).
func (b *build) openExisting(ctx context.Context) error {
	if err := syscall.Access(b.path, readWrite); err != nil {
		return err
	}
	// A process that died while it placed the file has left its other name.
	if err := removeLeftovers(ctx, filepath.Dir(b.path), b.claim); err != nil {
		return err
	}
	b.working = b.path
	// EXTRA: the commit also survives losing power right after it.
	if err := b.begin(ctx, "synchronous(EXTRA)"); err != nil {
		return b.notOurs(ctx, err)
	}
	table, err := b.tableWithRows(ctx)
	if err != nil {
		return b.notOurs(ctx, err)
	}
	if table == "" {
		return nil
	}
	return b.occupied(ctx, "holds rows in "+table)
}

// notOurs turns "not a SQLite database" into what it means here.
func (b *build) notOurs(ctx context.Context, err error) error {
	if primary(err) == sqlite3.SQLITE_NOTADB {
		return b.occupied(ctx, "is not a SQLite database")
	}
	return err
}

// occupied explains a file that must not be used. Only a registered tenant gets rows, so a registry read
// after the rows were seen tells the tenant of another request from somebody's data.
func (b *build) occupied(ctx context.Context, why string) error {
	if err := b.lookAgain(ctx, b.reads, b.claim, b.tenant, b.path); err != nil {
		return err
	}
	return pipeline.Failure(events.CauseBoundaryNotEmpty, "%s exists, is not registered, and %s; nothing was "+
		"touched: move it away or choose another id", b.path, why)
}

// begin opens the file worked on and its transaction.
func (b *build) begin(ctx context.Context, pragmas ...string) (err error) {
	if b.db, err = open(b.working, "rw", 1, busyTimeout, pragmas...); err != nil {
		return err
	}
	b.tx, err = b.db.BeginTx(ctx, nil)
	return err
}

// tableWithRows names a table that holds rows, if there is one.
func (b *build) tableWithRows(ctx context.Context) (string, error) {
	tables, err := collect(ctx, b.tx, relationsSQL, func(row scanner) (name string, err error) {
		err = row.Scan(&name)
		return name, err
	})
	if err != nil {
		return "", err
	}
	for _, table := range tables {
		var full bool
		query := strings.ReplaceAll(hasRowsSQL, "{relation}", quote(table))
		if err := b.tx.QueryRowContext(ctx, query).Scan(&full); err != nil {
			return "", err
		}
		if full {
			return table, nil
		}
	}
	return "", nil
}

// CreateTables implements [pipeline.Build]. Where something that was there is in the way of a table, the
// others are created: step 4 then names what differs.
func (b *build) CreateTables(ctx context.Context) error {
	failed, err := b.create(ctx, tablesSQL)
	if err != nil {
		return fmt.Errorf("create the tables of %s: %w", b.path, classify(err))
	}
	for i, err := range failed {
		b.Log.WarnContext(ctx, "a table could not be created", "file", b.path, "table", sql.Tables[i].Name, "error", err)
	}
	return nil
}

// CreateIndexes implements [pipeline.Build].
func (b *build) CreateIndexes(ctx context.Context) (map[string]error, error) {
	failed, err := b.create(ctx, indexesSQL)
	if err != nil {
		return nil, fmt.Errorf("create the indexes of %s: %w", b.path, classify(err))
	}
	return sql.FailedIndexes(failed), nil
}

// create runs the statements and returns those that failed for themselves, by their place. A statement
// that fails takes back itself alone.
func (b *build) create(ctx context.Context, ddl string) (map[int]error, error) {
	failed := map[int]error{}
	for i, statement := range sql.Statements(ddl) {
		_, err := b.tx.ExecContext(ctx, statement)
		switch {
		case err == nil:
		case primary(err) == sqlite3.SQLITE_ERROR: // its one code for all that is wrong with a statement
			failed[i] = err
		default:
			return nil, err
		}
	}
	return failed, nil
}

// Inspect implements [pipeline.Build].
func (b *build) Inspect(ctx context.Context) (pipeline.Inspection, error) {
	inspection, err := inspect(ctx, b.tx)
	if err != nil {
		return inspection, fmt.Errorf("read the structure of %s: %w", b.path, classify(err))
	}
	return inspection, nil
}

// Register implements [pipeline.Build]: finish the file, then, in the registry's write transaction, look
// again, place the file, and commit.
func (b *build) Register(ctx context.Context, t pipeline.Tenant, o pipeline.Outcome) error {
	beside := b.working != b.path
	if beside {
		if err := b.tx.Commit(); err != nil { // also makes the content durable
			return fmt.Errorf("finish %s: %w", b.working, classify(err))
		}
		crash.Point("file finished", b.tenant)
	}
	err := b.write(ctx, b.durable, func(registry *databasesql.Tx) error {
		if err := b.lookAgain(ctx, registry, b.claim, b.tenant, b.path); err != nil {
			return err
		}
		put := b.tx.Commit
		if beside {
			put = b.place
		}
		if err := put(); err != nil {
			return classify(err)
		}
		crash.Point("directory synced", b.tenant)
		if _, err := registry.ExecContext(ctx, registerSQL, t.ID, t.DisplayName, t.IsolationStrategy,
			t.Boundary.DatabasePath, stamp(t.CreatedAt), t.CreatedBy); err != nil {
			return err
		}
		return b.conclude(ctx, registry, b.claim, "provisioned", pipeline.Conclusion{Outcome: o})
	})
	if err != nil {
		return fmt.Errorf("register the tenant: %w", err)
	}
	return nil
}

// place gives the new file its name, makes the name durable, and lets go of the file.
func (b *build) place() error {
	if err := place(b.working, b.path); err != nil {
		return err // taken meanwhile: the next attempt looks at what is there
	}
	crash.Point("file placed", b.tenant)
	if err := b.db.Close(); err != nil {
		return err
	}
	// All the way up: a directory may be one that an attempt made which then died.
	return syncTree(filepath.Dir(b.path), b.Root)
}

// Close gives up what was not registered. A file under construction is removed, and so is a directory that
// was made for it; a file that has its final name stays, and is named if it is this request's.
func (b *build) Close(ctx context.Context) []string {
	if b.tx != nil {
		b.tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	}
	if b.db != nil {
		b.db.Close() //nolint:errcheck // nothing is pending
	}
	if b.working != "" && b.working != b.path {
		os.Remove(b.working) //nolint:errcheck // after placing there is nothing to remove
	}
	for _, dir := range b.made {
		if os.Remove(dir) != nil { // not empty: it is in use
			break
		}
	}
	if marked(ctx, b.path, b.claim) {
		return []string{b.path}
	}
	return nil
}
