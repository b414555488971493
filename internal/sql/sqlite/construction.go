package sqlite

import (
	"context"
	databasesql "database/sql"
	"fmt"
	"path/filepath"

	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
)

// startBeside makes the directory and a new file in it. A crash leaves that file to be thrown away. The lock
// that is never given up tells other attempts that it is alive.
func (b *build) startBeside() (err error) {
	dir := filepath.Dir(b.path)
	if b.made, err = makeDirs(dir); err != nil {
		return err
	}
	if err := removeLeftovers(dir, b.claim); err != nil {
		return err
	}
	if b.fresh, err = createFile(filepath.Join(dir, buildingName(b.claim))); err != nil {
		return err
	}
	return lock(b.fresh)
}

// inspectFresh compares the file under construction with the definition. What is in it is read again: where that is
// the template to the byte, so is what SQLite finds in it, and where it is not, SQLite reads it. Immutable: nobody else
// writes it, so that it can be read without locks.
func (b *build) inspectFresh(ctx context.Context) (pipeline.Inspection, error) {
	info, err := b.fresh.Stat()
	if err != nil {
		return pipeline.Inspection{}, err
	}
	if same, err := b.template.isIn(b.fresh, info.Size(), b.mark(b.claim.Key)); same || err != nil {
		return b.template.found, err
	}
	var inspection pipeline.Inspection
	err = read(ctx, b.fresh.Name(), immutable, func(tx *databasesql.Tx) (err error) {
		inspection, err = inspect(ctx, tx)
		return err
	})
	return inspection, err
}

// finish makes the content durable, before it gets a name by which others find it.
func (b *build) finish() error {
	if err := b.fresh.Sync(); err != nil {
		return fmt.Errorf("finish %s: %w", b.fresh.Name(), classify(err))
	}
	crash.Point("file finished", b.tenant)
	return nil
}

// placeFresh gives the new file its name and lets go of it.
func (b *build) placeFresh() error {
	if err := place(b.fresh.Name(), b.path, b.tenant); err != nil {
		return err // taken meanwhile: the next attempt looks at what is there
	}
	crash.Point("file placed", b.tenant)
	return b.fresh.Close()
}
