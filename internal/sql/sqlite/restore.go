package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// Restore writes ledger row and registry row of a decided request in one commit, after it has compared the file with
// the definition. See [sql.Restoration]. A file that is made again is placed within the registry's write transaction,
// as in an attempt. The tag of a file that exists is not compared: a file of DocEX has none, and that of another
// request for the tenant, or of the earlier version, can only be recognized with its ledger row.
func (s *Store) Restore(ctx context.Context, r sql.Restoration) error {
	b := &build{Store: s, claim: pipeline.Claim{Key: r.Key, Replay: r.Replay, Attempt: r.Attempts}}
	if r.Tenant != nil {
		t := *r.Tenant // changed below if its file is made again
		r.Tenant = &t
		path := s.names.Path(t.ID)
		expected := t.Boundary.DatabasePath != "" && IsAt(t.Boundary.DatabasePath, s.Root, path)
		if err := r.Check(expected, s.path(t.ID)); err != nil {
			return err
		}
		b.tenant, b.path = t.ID, s.path(t.ID)
	}
	missing, err := b.restorable(ctx, &r)
	if err != nil || !missing {
		return err
	}
	defer b.Close(ctx)
	change := &pendingChange{
		durable: true, tenant: b.tenant,
		do: func(ctx context.Context, registry *transaction) error { return b.placeAndRestore(ctx, registry, &r) },
	}
	if r.Tenant != nil {
		change.dir, change.undo = filepath.Dir(b.path), b.unplace
	}
	crash.Point("restoration ready", b.tenant)
	if err := b.write(ctx, change); err != nil {
		return fmt.Errorf("restore request %s: %w", r.Key, err)
	}
	b.done = b.temp == nil || b.placed
	crash.Point("restoration committed", b.tenant)
	return nil
}

// restorable reports whether anything is missing. If the tenant's file is, it finishes a new one beside its name.
func (b *build) restorable(ctx context.Context, r *sql.Restoration) (missing bool, err error) {
	existing, err := b.existing(ctx, b.readDB, r)
	if err != nil {
		return false, fmt.Errorf("read what there is of request %s: %w", r.Key, registryFault(err))
	}
	ledger, registry, superseded, err := r.Missing(existing)
	if err != nil || superseded {
		return false, err
	}
	if r.Tenant != nil {
		if err := b.restoreFile(ctx, r, ledger || registry); err != nil {
			return false, err
		}
	}
	return ledger || registry || b.temp != nil, nil
}

// existing reads what ledger and registry have.
func (s *Store) existing(ctx context.Context, from queryRower, r *sql.Restoration) (*sql.Existing, error) {
	e := &sql.Existing{}
	var err error
	e.Ledger, err = readRow(ctx, from, r.Key)
	if ignoreNoRows(err) != nil {
		return nil, err
	}
	if r.Tenant == nil {
		return e, nil
	}
	err = e.Tenant.Scan(from.QueryRowContext(ctx, q.Tenant, r.Tenant.ID))
	if ignoreNoRows(err) != nil {
		return nil, err
	}
	if e.Owner, err = text(ctx, from, q.BoundaryOwner, r.Tenant.Boundary.DatabasePath); err != nil {
		return nil, err
	}
	err = from.QueryRowContext(ctx, q.ProvisionedBy, r.Tenant.ID, r.Key).Scan(&e.OtherSource, &e.OtherID)
	if ignoreNoRows(err) != nil {
		return nil, err
	}
	return e, nil
}

// restoreFile compares the file with the definition if rows are missing, or makes a new one, without its final name.
func (b *build) restoreFile(ctx context.Context, r *sql.Restoration, needed bool) error {
	const remedy = "move it away, and put the tenant's file there"
	if err := b.requireOwnFile(events.CauseSchemaInvalid, remedy); err != nil {
		return fmt.Errorf("open %s: %w", b.path, classify(err))
	}
	info, err := os.Lstat(b.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return b.makeAgain(ctx, r)
	case err != nil && !missing(err):
		return fmt.Errorf("open %s: %w", b.path, classify(err))
	case err != nil:
		return pipeline.Permanentf(events.CauseSchemaInvalid, "%s is not a directory; %s", filepath.Dir(b.path), remedy)
	case !needed:
		return nil
	}
	b.found = info
	in, err := b.inspectInUse(ctx, r.Tenant.Definition)
	switch {
	case primary(err) == sqlite3.SQLITE_NOTADB:
		return pipeline.Permanentf(events.CauseSchemaInvalid, "%s is not a SQLite database; put the tenant's file there",
			b.path)
	case err != nil:
		return fmt.Errorf("read the structure of %s: %w", b.path, classify(err))
	}
	return r.Matches(&in, false)
}

// inspectInUse compares a file with the definition; madeBy is the one that it was made by. It changes nothing in it.
// Only SQLite opens it: see openExisting.
func (b *build) inspectInUse(ctx context.Context, madeBy string) (in pipeline.Inspection, err error) {
	if err := MayWrite(b.path); err != nil {
		return in, err
	}
	// After a crash only a writer can recover it.
	err = read(ctx, b.path, "rw", busyTimeout, func(tx *databasesql.Tx) (err error) {
		if !b.own() {
			in, err = inspect(ctx, tx)
			return err
		}
		found, err := readStructure(ctx, tx)
		if err == nil {
			in, err = b.compareOwn(ctx, found, madeBy)
		}
		return err
	})
	return in, err
}

// makeAgain finishes a new file beside the final name, by the steps of an attempt.
func (b *build) makeAgain(ctx context.Context, r *sql.Restoration) error {
	if !r.Recreate {
		return fmt.Errorf("%s: %w", b.path, sql.ErrNoBoundary)
	}
	in, err := b.makeFile(ctx, &pipeline.Values{
		TenantID: r.Tenant.ID, DisplayName: r.Tenant.DisplayName, CreatedBy: r.Tenant.CreatedBy, Plan: r.Tenant.Plan.Name,
		Now: r.Tenant.CreatedAt,
	})
	if err == nil {
		err = r.Matches(&in, true)
	}
	if err != nil {
		b.Close(ctx)
		return fmt.Errorf("make %s again: %w", b.path, classify(err))
	}
	return nil
}

// makeFile runs the steps of an attempt on a new file, up to its registration. Without values there are no scripts and
// no seed data. It returns the inspection before those, which may add what the definition does not need.
func (b *build) makeFile(ctx context.Context, v *pipeline.Values) (in pipeline.Inspection, err error) {
	if err := b.createTemp(); err != nil {
		return in, err
	}
	if err := b.CreateTables(ctx, nil); err != nil {
		return in, err
	}
	if in, err = b.Inspect(ctx); err != nil {
		return in, err
	}
	if v != nil {
		if err := b.runFurther(ctx, *v); err != nil {
			return in, err
		}
	}
	return in, b.finishTemp()
}

// runFurther runs the steps for scripts and seed data, if there are any, as an attempt does.
func (b *build) runFurther(ctx context.Context, v pipeline.Values) error {
	if _, err := b.RunScripts(ctx, v); err != nil {
		return err
	}
	in, err := b.Inspect(ctx)
	if err != nil {
		return err
	}
	if err := pipeline.DefinitionBroken(in.Differences); err != nil {
		return err
	}
	if _, err := b.LoadSeeds(ctx, v); err != nil {
		return err
	}
	return b.CheckConfined(ctx)
}

// placeAndRestore reads the rows again, places a file that was made again, and writes the missing rows.
func (b *build) placeAndRestore(ctx context.Context, registry *transaction, r *sql.Restoration) error {
	existing, err := b.existing(ctx, registry, r)
	if err != nil {
		return err
	}
	ledger, tenant, superseded, err := r.Missing(existing)
	if err != nil || superseded {
		return err
	}
	if err := b.placeAgain(); err != nil {
		return classify(err)
	}
	if ledger {
		f := r.LedgerText()
		_, err := registry.ExecContext(ctx, q.RestoreRequest, r.Key, r.Source, r.RequestID, r.TenantID, r.State(), r.Replay,
			r.Attempts, f.Step, f.Cause, f.Text, r.Outcome.ID, string(r.Outcome.Body), formatTime(r.At), formatTime(b.Now()))
		if err != nil {
			return err
		}
	}
	if b.temp != nil { // made again, by the scripts of today
		r.Tenant.Scripts, r.Tenant.Definition = b.Scripts.Records(), b.Definition()
		if _, err := registry.ExecContext(ctx, q.SetDefinition, r.Tenant.ID, r.Tenant.Definition); err != nil {
			return err
		}
	}
	if tenant {
		if err := writeTenant(ctx, registry, *r.Tenant); err != nil {
			return err
		}
	}
	if r.Tenant != nil {
		if err := writeScripts(ctx, registry, *r.Tenant); err != nil {
			return err
		}
	}
	return keptRestoration(ctx, registry, r)
}

// placeAgain gives a file that was made again its final name. One that existed must still be there.
func (b *build) placeAgain() error {
	if b.temp != nil {
		return b.linkIntoPlace()
	}
	if b.found == nil {
		return nil
	}
	if now, err := os.Lstat(b.path); err != nil || !os.SameFile(now, b.found) {
		return fmt.Errorf("%s was removed or replaced in the meantime: %w", b.path, pipeline.ErrBusy)
	}
	return nil
}

// keptRestoration fails if a row is missing after it was written.
func keptRestoration(ctx context.Context, registry *transaction, r *sql.Restoration) error {
	var kept bool
	err := registry.QueryRowContext(ctx, q.CheckRequest, r.Key, r.Outcome.ID).Scan(&kept)
	if err == nil && kept && r.Tenant != nil {
		err = registry.QueryRowContext(ctx, q.CheckRows, r.Tenant.ID, r.Tenant.Boundary.DatabasePath, r.Key, r.Outcome.ID).
			Scan(&kept)
	}
	if err == nil && !kept {
		err = &pipeline.Fault{Shared: true, Err: errNotKept}
	}
	return err
}
