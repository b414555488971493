package sqlite

import (
	"context"
	databasesql "database/sql"
	"fmt"
)

// Damage is what SQLite finds wrong with the registry's file, at most 20 lines; nothing is mended. It reads the whole
// file.
func (r *Reader) Damage(ctx context.Context) (found []string, err error) {
	err = r.read(ctx, "registry", func(tx *databasesql.Tx) (err error) {
		found, err = collect(ctx, tx, quickCheckSQL, func(row scanner) (line string, err error) {
			err = row.Scan(&line)
			return line, err
		})
		return err
	})
	if len(found) == 1 && found[0] == "ok" {
		found = nil
	}
	return found, err
}

// IsWAL reports whether the registry's file is in the mode that the service sets, the write-ahead log. It is read from
// the file: SQLite itself does not say of one that nobody has open.
func (r *Reader) IsWAL() (bool, error) {
	is, err := isWAL(r.registry)
	if err != nil {
		return false, fmt.Errorf("read the registry: %w", err)
	}
	return is, nil
}

// FileSize is what a tenant without rows takes on the disk, in bytes, directory and names not counted.
func FileSize(ctx context.Context) (int64, error) {
	t, err := newTemplate(ctx)
	if err != nil {
		return 0, err
	}
	return int64(len(t.content)), nil
}
