package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/internal/sql"
)

// examineRegistry checks the registry's file before it is used. If there is no registry, it fails unless a new one may
// be created. Only a file with content is opened.
func (s *Store) examineRegistry(ctx context.Context, registry string) error {
	info, err := os.Stat(registry)
	if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		exists, err := s.checkFile(ctx, registry)
		if err == nil && !exists {
			err = requireFree(ctx, registry)
		}
		if err != nil {
			return fmt.Errorf("prepare the registry %s: %w", registry, registryFault(err))
		}
		if exists {
			return nil
		}
	}
	if s.AllowNew == nil {
		return nil
	}
	foreign, err := s.foreignBoundaries(ctx)
	if err != nil {
		return fmt.Errorf("list the files of tenants in %s: %w", s.Root, classify(err))
	}
	return s.AllowNew(ctx, foreign)
}

// mostFindings is how many findings of the quick check an error names.
const mostFindings = 3

// checkFile reports whether the file has a registry. It fails if SQLite's quick check finds it damaged, such as after
// an older copy of the file was put beside a newer write-ahead log, or if the registry has another base definition.
func (c Config) checkFile(ctx context.Context, registry string) (exists bool, err error) {
	db, err := open(registry, "rw", busyTimeout, "query_only(1)") // after a crash only a writer can recover it
	if err != nil {
		return false, err
	}
	defer db.Close() //nolint:errcheck // only read
	var found []string
	err = db.QueryRowContext(ctx, q.HasRegistry).Scan(&exists)
	if err == nil && exists {
		if err := c.checkBase(ctx, db); errors.Is(err, sql.ErrOtherBase) {
			return true, err
		}
		found, err = damage(ctx, db)
	}
	if code := primary(err); code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB {
		found, err = append(found, err.Error()), nil
	}
	if err != nil || len(found) == 0 {
		return exists, err
	}
	return exists, fmt.Errorf("the registry's file is damaged: %s; stop the service, restore %s from the newest backup "+
		"without the -wal and -shm beside it, then run consumer reconcile", firstFindings(found), registry)
}

// firstFindings returns the first findings on one line. The quick check returns several lines in one row, after a
// heading.
func firstFindings(found []string) string {
	lines := strings.Split(strings.Join(found, "\n"), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "***") })
	return strings.Join(lines[:min(len(lines), mostFindings)], "; ")
}

// foreignBoundaries returns files of tenants that a service has made, at most [sql.MaxForeign]. There is no registry
// yet, so they belong to another one, or to one that is lost. DocEX's own files have no tag.
func (s *Store) foreignBoundaries(ctx context.Context) (foreign []string, err error) {
	paths, err := boundariesBelow(ctx, s.Root, s.names)
	for _, path := range paths {
		if len(foreign) == sql.MaxForeign || ctx.Err() != nil {
			break
		}
		if tag, ok := fileTag(ctx, path); ok && tag != 0 {
			foreign = append(foreign, path)
		}
	}
	return foreign, err
}
