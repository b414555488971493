package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
)

// buildingPrefix begins the names of files under construction. The rest identifies request, replay and attempt, so that
// attempts never share a file, in any process.
const buildingPrefix = ".building-"

func buildingName(c pipeline.Claim) string {
	return fmt.Sprintf("%s%s-%d-%d", buildingPrefix, c.Key[:16], c.Replay, c.Attempt)
}

// removeLeftovers removes files that crashed attempts at this request left under construction. The file of an attempt
// that is alive, in another worker, stays.
func (s *Store) removeLeftovers(dir string, c pipeline.Claim) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), buildingPrefix+c.Key[:16]+"-") {
			continue
		}
		name := filepath.Join(dir, e.Name())
		if alive, err := s.locked(name); err != nil || alive {
			if err != nil {
				return err
			}
			continue
		}
		if err := s.files.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// locked reports whether a live attempt holds the file. A file that cannot be opened counts as unlocked.
func (s *Store) locked(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, nil // removing it reports the error
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return s.files.IsFileLocked(f)
}

// placeFile gives the tenant's finished, synced file its final name, unless that name is taken. The registry's write
// lock, which the caller holds, excludes other provisioners.
func (s *Store) placeFile(from, to, tenant string) error {
	linked, err := s.files.Place(from, to)
	if err != nil || !linked {
		return err
	}
	crash.Point("file linked", tenant)
	return s.files.Remove(from)
}
