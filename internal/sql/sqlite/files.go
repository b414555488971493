package sqlite

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"example.com/tenant-provisioner/internal/pipeline"
)

// buildingPrefix begins the names of files under construction. What follows identifies request, replay
// and attempt, so that no two attempts ever share one, in whatever process.
const buildingPrefix = ".building-"

func buildingName(c pipeline.Claim) string {
	return fmt.Sprintf("%s%s-%d-%d", buildingPrefix, c.Key[:16], c.Replay, c.Attempt)
}

// removeLeftovers removes what earlier attempts at this request left under construction when the process
// ended. One that is still alive elsewhere then fails to place its file, and tries again.
func removeLeftovers(dir string, c pipeline.Claim) error {
	leftovers, err := filepath.Glob(filepath.Join(dir, buildingPrefix+c.Key[:16]+"-*"))
	if err != nil {
		return err
	}
	for _, name := range leftovers {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// place gives a finished, synced file its final name, unless that name is taken.
func place(from, to string) error {
	err := os.Link(from, to)
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOTSUP):
		// A file system without hard links. The registry's write lock keeps other provisioners out.
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", to, fs.ErrExist)
		}
		return os.Rename(from, to)
	case err != nil:
		return err
	}
	return os.Remove(from)
}

// syncFile makes a file's content durable.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncTree makes the names in dir, and in its parents up to and including top, durable.
func syncTree(dir, top string) error {
	for {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return fmt.Errorf("sync directory %s: %w", dir, err)
		}
		parent := filepath.Dir(dir)
		if dir == top || parent == dir {
			return nil
		}
		dir = parent
	}
}

// mark is the application_id of a file made for the request: 31 bits of its key, not zero.
func mark(c pipeline.Claim) uint32 {
	bits, err := hex.DecodeString(c.Key[:8])
	if err != nil {
		return 1
	}
	return binary.BigEndian.Uint32(bits)&0x7fffffff | 1
}

// marked reports whether the file exists and carries the request's mark. The offset is fixed by the
// SQLite file format (https://www.sqlite.org/fileformat2.html, section 1.3).
func marked(path string, c pipeline.Claim) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	var id [4]byte
	if _, err := f.ReadAt(id[:], 68); err != nil {
		return false
	}
	return binary.BigEndian.Uint32(id[:]) == mark(c)
}
