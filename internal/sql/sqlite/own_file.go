package sqlite

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// notOwn returns why the path is not that of a file of its own: it, a directory below shared on the way to it, or a
// file that SQLite keeps beside it is a link or no file, or has a second name. Through those, a tenant's rows would be
// in the file of another tenant, of the registry or of another program. Empty: it is a file of its own, or missing.
// Nothing is opened.
func notOwn(shared, path string) (why string, err error) {
	below, err := filepath.Rel(shared, filepath.Dir(path))
	if err != nil {
		return "", err
	}
	dir := shared
	for _, name := range strings.Split(below, string(filepath.Separator)) {
		dir = filepath.Join(dir, name)
		info, err := os.Lstat(dir)
		switch {
		case missing(err):
			return "", nil // to be created
		case err != nil:
			return "", err
		case name != "." && info.Mode()&fs.ModeSymlink != 0:
			return linkText(dir) + ", not a directory of the tenant's own", nil
		}
	}
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		info, err := os.Lstat(path + suffix)
		switch {
		case missing(err):
			continue
		case err != nil:
			return "", err
		case !info.Mode().IsRegular():
			return kindText(path+suffix, info.Mode()) + ", not a file of its own", nil
		}
		n, err := countNames(path+suffix, info)
		if err != nil && !missing(err) {
			return "", err
		}
		if n > 1 {
			return fmt.Sprintf("%s has %d names (hard links): what is written to one is in all of them. They are listed by "+
				"find DIRECTORY -samefile %s", path+suffix, n, path+suffix), nil
		}
	}
	return "", nil
}

func kindText(path string, mode fs.FileMode) string {
	kind := "something else"
	switch {
	case mode&fs.ModeSymlink != 0:
		return linkText(path)
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a named pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	}
	return path + " is " + kind
}

func linkText(path string) string {
	target, err := os.Readlink(path)
	if err != nil {
		return path + " is a symbolic link"
	}
	return path + " is a symbolic link to " + target
}

// countNames returns the number of names of a file, without those of files under construction: a file that is placed
// has two for a moment, and until its leftover is removed after a crash. The directory is read before the number, so
// that a name that is removed in between is not missed in it.
func countNames(path string, info fs.FileInfo) (n int, err error) {
	if linkCount(info) == 1 {
		return 1, nil
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return 0, err
	}
	building := 0
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), buildingPrefix) {
			continue
		}
		if other, err := e.Info(); err == nil && os.SameFile(other, info) {
			building++
		}
	}
	now, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return linkCount(now) - building, nil
}

// leftLog returns the name of a journal or log with content that is left of a file that is missing. SQLite would play
// it into a new one. Empty: the file has none.
func leftLog(path string) string {
	for _, suffix := range []string{"-journal", "-wal"} {
		if hasContent(path + suffix) {
			return path + suffix
		}
	}
	return ""
}

func hasContent(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Size() > 0
}
