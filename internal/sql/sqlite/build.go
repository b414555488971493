package sqlite

import (
	"context"
	databasesql "database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// build is one attempt: a file under construction, or an existing file opened in one transaction.
type build struct {
	*Store
	claim  pipeline.Claim
	tenant string
	path   string      // the final name
	made   []string    // directories created for it, the deepest first
	temp   *os.File    // under construction, next to the final name; nil if a file existed
	placed bool        // temp has its final name
	found  fs.FileInfo // the file that existed
	whole  bool        // it is this request's own, with scripts and seed data
	// The transaction is on the existing file, or on the draft of a new one while scripts and seed data run.
	db       *databasesql.DB
	conn     *databasesql.Conn
	tx       *databasesql.Tx
	driver   *scriptDriver // of db; nil: it is the ordinary one
	settings string        // of the file before the scripts; empty: none has run
	done     bool          // the tenant is registered
	// rehearses means that nothing of the attempt will remain; content is then what is in the file after the scripts.
	rehearses bool
	content   structure.Structure
}

// Locate implements [pipeline.Database].
func (s *Store) Locate(tenantID string) pipeline.Boundary {
	return pipeline.Boundary{DatabasePath: s.path(tenantID)}
}

// Begin implements [pipeline.Database]. It touches no file.
func (s *Store) Begin(_ context.Context, c pipeline.Claim, tenantID string) (pipeline.Build, error) {
	return &build{Store: s, claim: c, tenant: tenantID, path: s.path(tenantID)}, nil
}

// CreateBoundary starts a new file next to the final name, or opens the existing one if it holds no rows.
func (b *build) CreateBoundary(ctx context.Context) (pipeline.Boundary, error) {
	const remedy = "nothing was touched: move it away or choose another id"
	if err := b.requireOwnFile(events.CauseBoundaryNotEmpty, remedy); err != nil {
		return pipeline.Boundary{}, fmt.Errorf("open %s: %w", b.path, classify(err))
	}
	info, err := os.Lstat(b.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err = b.createTemp(); err == nil && b.own() { // there is no step that creates tables
			err = b.CreateTables(ctx, nil)
		}
	case errors.Is(err, syscall.ENOTDIR):
		err = pipeline.Permanentf(events.CauseBoundaryNotEmpty, "%s is not a directory; %s", filepath.Dir(b.path), remedy)
	case err == nil:
		b.found = info
		err = b.openExisting(ctx)
	}
	if err != nil {
		return pipeline.Boundary{}, fmt.Errorf("open %s: %w", b.path, classify(err))
	}
	return pipeline.Boundary{DatabasePath: b.path, Existed: b.temp == nil}, nil
}

// requireOwnFile fails with that cause and remedy if the path leads out of the storage root, or to what is not a file
// of its own, or if a new file would get the log of another.
func (b *build) requireOwnFile(cause events.CauseCode, remedy string) error {
	if err := b.ensureInsideRoot(); err != nil {
		return err
	}
	why, err := notOwn(b.sharedDir(), b.path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(b.path); why == "" && errors.Is(err, fs.ErrNotExist) {
		if log := leftLog(b.path); log != "" {
			why = log + " is left of another file " + b.path
		}
	}
	if why != "" {
		return pipeline.Permanentf(cause, "%s; %s", why, remedy)
	}
	return nil
}

// ensureInsideRoot fails if symbolic links lead the file's directory out of the storage root.
func (b *build) ensureInsideRoot() error {
	root, err := filepath.EvalSymlinks(b.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return &pipeline.Fault{Class: pipeline.Outage, Message: "the storage directory is missing; put it back", Err: err}
	}
	if err != nil {
		return err
	}
	for dir := filepath.Dir(b.path); ; dir = filepath.Dir(dir) {
		target, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != b.Root {
			continue // to be created below an existing one
		}
		if err != nil {
			return err
		}
		if below, err := filepath.Rel(root, target); err != nil || !filepath.IsLocal(below) {
			return pipeline.Permanentf(events.CauseBoundaryNotEmpty, "%s is a link to %s, which is outside the storage "+
				"directory; nothing was touched", dir, target)
		}
		return nil
	}
}

// CreateTables implements [pipeline.Build]. A new file gets the template's content.
func (b *build) CreateTables(ctx context.Context, columns []pipeline.Addition) error {
	if b.temp != nil {
		if err := b.template.write(b.temp, b.ownerTag(b.claim.Key)); err != nil {
			return fmt.Errorf("write %s: %w", b.temp.Name(), classify(err))
		}
		return nil
	}
	if _, err := b.tx.ExecContext(ctx, q.Tables+sql.AddColumns(q.Tables, columns...)); err != nil {
		return fmt.Errorf("create the tables of %s: %w", b.path, classify(err))
	}
	return nil
}

// CreateIndexes implements [pipeline.Build]. The template's content includes the indexes.
func (b *build) CreateIndexes(ctx context.Context) (map[string]error, error) {
	if b.temp != nil {
		return nil, nil
	}
	failed, err := b.create(ctx, q.Indexes)
	if err != nil {
		return nil, fmt.Errorf("create the indexes of %s: %w", b.path, classify(err))
	}
	return sql.FailedIndexes(failed), nil
}

// Inspect implements [pipeline.Build].
func (b *build) Inspect(ctx context.Context) (inspection pipeline.Inspection, err error) {
	switch {
	case b.tx == nil:
		inspection, err = b.inspectTemp(ctx)
	case b.own():
		inspection, err = b.inspectOwn(ctx)
	default:
		inspection, err = inspect(ctx, b.tx)
	}
	if err != nil {
		return inspection, fmt.Errorf("read the structure of %s: %w", b.path, classify(err))
	}
	return inspection, nil
}

// Register implements [pipeline.Build]. It finishes the file. Then, in the registry's write transaction, it reads the
// rows again, places the file and commits.
func (b *build) Register(ctx context.Context, t pipeline.Tenant, o pipeline.Outcome) error {
	if b.temp != nil {
		if err := b.finishTemp(); err != nil {
			return err
		}
	}
	err := b.write(ctx, &pendingChange{
		durable: true, dir: filepath.Dir(b.path), tenant: b.tenant,
		do: func(ctx context.Context, registry *transaction) error {
			return b.placeAndRegister(ctx, registry, t, o)
		},
		undo: b.unplace,
	})
	if err != nil {
		return fmt.Errorf("register the tenant: %w", err)
	}
	b.done = true
	return nil
}

// placeAndRegister places the file and writes both rows.
func (b *build) placeAndRegister(
	ctx context.Context, registry *transaction, t pipeline.Tenant, o pipeline.Outcome,
) error {
	if err := b.checkAvailable(ctx, registry, b.claim, b.tenant, b.path); err != nil {
		return err
	}
	put := b.linkIntoPlace
	if b.temp == nil {
		put = b.commitExisting
	}
	if err := put(); err != nil {
		return classify(err)
	}
	return b.writeRows(ctx, registry, t, o)
}

// writeRows writes both rows, and fails if one is missing afterwards.
func (b *build) writeRows(ctx context.Context, registry *transaction, t pipeline.Tenant, o pipeline.Outcome) error {
	if err := writeTenant(ctx, registry, t); err != nil {
		return err
	}
	if err := writeScripts(ctx, registry, t); err != nil {
		return err
	}
	if err := b.recordOutcome(ctx, registry, b.claim, "provisioned", pipeline.Failure{Outcome: o}); err != nil {
		return err
	}
	var kept bool
	err := registry.QueryRowContext(ctx, q.CheckRows, t.ID, t.Boundary.DatabasePath, b.claim.Key, o.ID).Scan(&kept)
	if err == nil && !kept {
		err = &pipeline.Fault{Shared: true, Err: errNotKept}
	}
	return err
}

// writeTenant writes the registry row.
func writeTenant(ctx context.Context, registry *transaction, t pipeline.Tenant) error {
	_, err := registry.ExecContext(ctx, q.Register, t.ID, t.DisplayName, t.IsolationStrategy, t.Boundary.DatabasePath,
		formatTime(t.CreatedAt), t.CreatedBy, t.Plan.Name, t.Plan.Limits.MaxBytes, t.Plan.Limits.MaxRows,
		t.Definition)
	return err
}

// writeScripts records the scripts that the file has.
func writeScripts(ctx context.Context, registry *transaction, t pipeline.Tenant) error {
	if len(t.Scripts) == 0 {
		return nil
	}
	scripts, err := json.Marshal(t.Scripts)
	if err != nil {
		return err
	}
	_, err = registry.ExecContext(ctx, q.RecordScripts, t.ID, string(scripts), formatTime(t.CreatedAt))
	return err
}

// errNotKept means that a trigger discarded a row.
var errNotKept = errors.New("a row written to the registry or the ledger is missing; look for a trigger on " +
	"tenant_registry and tenant_requests")

// Close discards what was not registered. It removes a file under construction and the directories created for it. A
// file that already has its final name stays, and is returned if it is this request's.
func (b *build) Close(ctx context.Context) []string {
	b.closeDatabase()
	if b.done {
		return nil
	}
	if b.temp != nil {
		b.files.Remove(b.temp.Name()) //nolint:errcheck // after placing there is nothing to remove
		b.temp.Close()                //nolint:errcheck // its content is discarded
	}
	for _, dir := range b.made {
		if b.files.Remove(dir) != nil { // not empty: it is in use
			break
		}
	}
	if b.hasOwnTag(ctx) {
		return []string{b.path}
	}
	return nil
}

// closeDatabase ends the transaction, without its changes if it is not committed, and closes its connection.
func (b *build) closeDatabase() {
	if b.tx != nil {
		b.tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	}
	if b.conn != nil {
		b.conn.Close() //nolint:errcheck // nothing is pending
	}
	if b.db != nil {
		b.db.Close() //nolint:errcheck // nothing is pending
	}
	if b.driver != nil {
		b.drivers.giveBack(b.driver)
	}
	b.db, b.conn, b.tx, b.driver = nil, nil, nil, nil
}
