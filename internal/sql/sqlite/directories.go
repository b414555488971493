package sqlite

import (
	"context"
	"path/filepath"
	"slices"

	"example.com/tenant-provisioner/internal/filesystem"
)

// prepareDirs creates and tries the directory that is common to all tenants and the registry's, which may be on another
// file system. It logs what their file systems lack, and returns the directories that it created.
func (s *Store) prepareDirs(ctx context.Context, registry string) (made []string, err error) {
	logged := map[string]bool{}
	for _, dir := range slices.Compact([]string{s.sharedDir(), registry}) {
		created, lacking, err := s.files.Prepare(dir, filesystem.ForDatabases)
		if made = append(made, created...); err != nil {
			return made, err
		}
		for _, what := range lacking {
			if !logged[what] {
				s.Log.WarnContext(ctx, what, "dir", dir)
			}
			logged[what] = true
		}
	}
	return made, nil
}

// syncNames makes the names of the registry's files, of its directory and of that directory's parents durable, up to
// the storage directory and those that were created.
func (s *Store) syncNames(registry string, made []string) error {
	for _, dir := range made {
		if err := s.files.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return s.files.SyncTree(registry, s.Root)
}
