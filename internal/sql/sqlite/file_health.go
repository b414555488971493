package sqlite

import (
	"context"
	databasesql "database/sql"
	"fmt"
)

// Damage returns what SQLite's quick check reports about the registry's file, at most 20 lines. It reads the whole file
// and repairs nothing.
func (r *Reader) Damage(ctx context.Context) (found []string, err error) {
	err = r.read(ctx, "registry", func(tx *databasesql.Tx) (err error) {
		found, err = damage(ctx, tx)
		return err
	})
	return found, err
}

// damage returns what the quick check of a database reports.
func damage(ctx context.Context, from querier) (found []string, err error) {
	found, err = collect(ctx, from, q.QuickCheck, func(row scanner) (line string, err error) {
		err = row.Scan(&line)
		return line, err
	})
	if len(found) == 1 && found[0] == "ok" {
		found = nil
	}
	return found, err
}

// IsWAL reports whether the registry's file is in the mode that the service sets, the write-ahead log. It reads the
// file's header, because SQLite does not report the mode of a file that no process has open.
func (r *Reader) IsWAL() (bool, error) {
	is, err := isWAL(r.registry)
	if err != nil {
		return false, fmt.Errorf("read the registry: %w", err)
	}
	return is, nil
}

// FileSize returns the size on disk of a tenant without rows, in bytes, without directory entries and without what
// scripts make.
func FileSize(ctx context.Context) (int64, error) {
	t, err := Config{}.newTemplate(ctx)
	if err != nil {
		return 0, err
	}
	return int64(len(t.content)), nil
}
