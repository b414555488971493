package sqlite

import (
	"context"
	databasesql "database/sql"
	"fmt"
	"path/filepath"

	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
)

// createTemp creates the directory and a new file in it. After a crash the file is a leftover, to be removed. The
// lock, held until the file is closed, shows other attempts that this one is alive.
func (b *build) createTemp() (err error) {
	dir := filepath.Dir(b.path)
	if b.made, err = b.files.MakeDirs(dir); err != nil {
		return err
	}
	if err := b.removeLeftovers(dir, b.claim); err != nil {
		return err
	}
	if b.temp, err = b.files.CreateFile(filepath.Join(dir, buildingName(b.claim))); err != nil {
		return err
	}
	return b.files.LockFile(b.temp)
}

// inspectTemp compares the file under construction with the definition. It reads the file again. If the content equals
// the template, the template's inspection applies; otherwise SQLite inspects the file. No other process writes the
// file, so SQLite opens it as immutable, without locks.
func (b *build) inspectTemp(ctx context.Context) (pipeline.Inspection, error) {
	info, err := b.temp.Stat()
	if err != nil {
		return pipeline.Inspection{}, err
	}
	if same, err := b.template.isIn(b.temp, info.Size(), b.ownerTag(b.claim.Key)); same || err != nil {
		return b.template.found, err
	}
	var inspection pipeline.Inspection
	if b.own() {
		inspection.Differences = []string{"the file is not as it was written"}
		return inspection, nil
	}
	err = read(ctx, b.temp.Name(), immutable, busyTimeout, func(tx *databasesql.Tx) (err error) {
		inspection, err = inspect(ctx, tx)
		return err
	})
	return inspection, err
}

// finishTemp writes the draft, if there is one, and makes the content durable before the file gets its final name.
func (b *build) finishTemp() error {
	if b.tx != nil {
		if err := b.writeDraft(); err != nil {
			return fmt.Errorf("write %s: %w", b.temp.Name(), classify(err))
		}
	}
	if err := b.files.Fsync(b.temp); err != nil {
		return fmt.Errorf("finish %s: %w", b.temp.Name(), classify(err))
	}
	crash.Point("file finished", b.tenant)
	return nil
}

// linkIntoPlace gives the new file its final name and closes it.
func (b *build) linkIntoPlace() error {
	if err := b.placeFile(b.temp.Name(), b.path, b.tenant); err != nil {
		return err // the name was taken in the meantime: the next attempt examines that file
	}
	b.placed = true
	crash.Point("file placed", b.tenant)
	return b.temp.Close()
}

// unplace removes the file that this attempt has placed, within the transaction in which it did. After a failed sync of
// a directory, a later one that succeeds proves nothing about names that were to be stored before it (fsync(2)). So the
// next attempt makes the file, and the directories that this attempt created, again.
func (b *build) unplace() error {
	if !b.placed {
		return nil
	}
	b.placed = false
	return classify(b.files.Remove(b.path))
}
