package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

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
func removeLeftovers(dir string, c pipeline.Claim) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), buildingPrefix+c.Key[:16]+"-") {
			continue
		}
		name := filepath.Join(dir, e.Name())
		if alive, err := locked(name); err != nil || alive {
			if err != nil {
				return err
			}
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// locked reports whether a live attempt holds the file. A file that cannot be opened counts as unlocked.
func locked(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, nil // removing it reports the error
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return isLocked(f)
}

// makeDirs creates the directory and its missing parents, and returns those that it created, the deepest first. It does
// not return directories that others create at the same time.
func makeDirs(dir string) (made []string, err error) {
	err = os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if made, err = makeDirs(filepath.Dir(dir)); err != nil {
			return made, err
		}
		err = os.Mkdir(dir, dirMode)
	}
	switch {
	case err == nil:
		return append([]string{dir}, made...), nil
	case errors.Is(err, fs.ErrExist):
		return made, nil
	}
	return made, err
}

// createFile creates an empty file with mode fileMode, independent of the umask.
func createFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(fileMode); err != nil {
		return nil, errors.Join(err, os.Remove(path), f.Close())
	}
	return f, nil
}

// link gives the tenant's finished, synced file its final name, unless that name is taken.
func link(from, to, tenant string) error {
	err := os.Link(from, to)
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOTSUP):
		// A file system without hard links. The registry's write lock excludes other provisioners.
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", to, fs.ErrExist)
		}
		return os.Rename(from, to)
	case err != nil:
		return err
	}
	crash.Point("file linked", tenant)
	return os.Remove(from)
}

// syncLog syncs a database's log after SQLite has opened it. A process that died between writing a commit and syncing
// it leaves a commit that counts but is not durable.
func syncLog(database string) error {
	f, err := os.OpenFile(database+"-wal", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close()) // closing it releases no lock: SQLite has none on the log
}

// syncDir makes the entries of a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// syncTree makes the entries of dir, and of its parents up to and including top, durable.
func syncTree(dir, top string) error {
	for {
		if err := syncDir(dir); err != nil {
			return err
		}
		parent := filepath.Dir(dir)
		if dir == top || parent == dir {
			return nil
		}
		dir = parent
	}
}
