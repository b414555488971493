package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	sqlitedriver "modernc.org/sqlite"

	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/sql"
)

// CopyRegistry copies registry and ledger to the same name below another storage directory, in which that name is free.
// The service may write in the meantime: the copy has all changes that were committed before it began.
func (r *Reader) CopyRegistry(ctx context.Context, root string) error {
	if err := r.copyFile(ctx, r.registry, root, sql.BootstrapTenant); err != nil {
		return fmt.Errorf("copy the registry %s: %w", r.registry, registryFault(needsRecovery(err)))
	}
	return nil
}

// CopyTenant copies a tenant's file to the same name below another storage directory, in which that name is free. DocEX
// may write in the meantime. The file is the template's or, if that is missing, the registered one, as in
// [Reader.Verify]; the copy's name is the template's.
func (r *Reader) CopyTenant(ctx context.Context, t sql.TenantRow, root string) error {
	path := r.path(t.ID)
	err := r.copyFile(ctx, path, root, t.ID)
	if registered := t.Boundary.DatabasePath; missing(err) && registered != "" && !r.isAt(t.ID, registered) {
		path = registered
		err = r.copyFile(ctx, path, root, t.ID)
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", path, classify(needsRecovery(err)))
	}
	return nil
}

// copyFile copies a file by SQLite's backup API, and syncs the copy. After an error there is no copy.
func (r *Reader) copyFile(ctx context.Context, from, root, tenantID string) error {
	to := filepath.Join(root, filepath.FromSlash(r.names.Path(tenantID)))
	copied := false
	return withMode(from, func(from, mode string) (err error) {
		if copied { // the file was opened for writing in the meantime, and the first copy is not to be trusted
			if err := filesystem.OS.Remove(to); err != nil {
				return err
			}
		}
		if _, err := filesystem.OS.MakeDirs(filepath.Dir(to)); err != nil {
			return err
		}
		f, err := filesystem.OS.CreateFile(to)
		if err != nil {
			return err
		}
		defer func() {
			if copied = err == nil; !copied {
				err = errors.Join(err, filesystem.OS.Remove(to))
			}
		}()
		if err := f.Close(); err != nil {
			return err
		}
		return backUp(ctx, from, mode, to)
	})
}

// backUp copies a database into an empty file. All pages are read in one transaction, so that writers do not make it
// begin again.
func backUp(ctx context.Context, from, mode, to string) (err error) {
	db, err := open(from, mode, busyTimeout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return conn.Raw(func(driver any) error {
		source, ok := driver.(interface {
			NewBackup(to string) (*sqlitedriver.Backup, error)
		})
		if !ok {
			return fmt.Errorf("the driver %T has no backup API", driver)
		}
		// No journal: an incomplete copy is removed.
		backup, err := source.NewBackup(dataSource(to, "rw", busyTimeout, "journal_mode(OFF)", "synchronous(FULL)"))
		if err != nil {
			return err
		}
		_, err = backup.Step(-1) // all pages
		if failed := backup.Finish(); err == nil {
			err = failed
		}
		return err
	})
}
