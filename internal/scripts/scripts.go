// Package scripts reads the directory of initialisation scripts, INIT_SCRIPTS. It knows files and their names; the
// engines know SQL.
//
//	postgres/010_listing.sql
//	postgres/020_orders.sql
//	sqlite/010_listing.sql
package scripts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/pipeline"
)

// The directories of the two engines.
const (
	Postgres = "postgres"
	SQLite   = "sqlite"
)

const (
	// maxFile and maxFiles bound what a mistake, such as a dump or a wrong directory, can load into memory.
	maxFile  = 4 << 20
	maxFiles = 999
)

// fileName is the form of a script's name. Since all numbers have three digits, the order of names is that of numbers.
var fileName = regexp.MustCompile(`^([0-9]{3})_[A-Za-z0-9][A-Za-z0-9_.-]{0,200}\.sql$`)

// prepare is the first line of a script that can run when a boundary is prepared.
const prepare = "-- provisioner: prepare"

// directive is a line that is meant to be [prepare], however it is written.
var directive = regexp.MustCompile(`(?im)^\s*--+\s*provisioner\s*:.*$`)

// Read reads the scripts of an engine, in the order of their names. It returns every fault; each names the file and
// what to do. Hidden files are left out.
func Read(dir, engine string) (all []pipeline.Script, faults []error) {
	root, err := os.OpenRoot(dir) // it opens nothing outside the directory, whatever links say
	if err != nil {
		return nil, []error{fmt.Errorf("%s: %w; write the path of a directory that this user may read", dir,
			filesystem.Reason(err))}
	}
	defer root.Close() //nolint:errcheck // only read
	within := path.Join(dir, engine)
	names, err := list(root, engine)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if path.Base(dir) == engine {
			return nil, []error{fmt.Errorf("%s does not exist; name the directory in which %s is", within, engine)}
		}
		return nil, []error{fmt.Errorf("%s does not exist; put the scripts for this database there", within)}
	case err != nil:
		return nil, []error{fmt.Errorf("%s: %w; put a directory there that this user may read", within,
			filesystem.Reason(err))}
	case len(names) == 0:
		return nil, []error{fmt.Errorf("%s has no scripts; put files named like 010_orders.sql there", within)}
	case len(names) > maxFiles:
		return nil, []error{fmt.Errorf("%s has %d files; at most %d are possible", within, len(names), maxFiles)}
	}
	byNumber := map[string]string{}
	for _, name := range names {
		number := fileName.FindStringSubmatch(name)
		if number == nil {
			faults = append(faults, fmt.Errorf("%s is not named like 010_orders.sql: three digits, an underscore, then "+
				"letters, digits, _ - or .; rename it, or move it away", path.Join(within, name)))
			continue
		}
		if other := byNumber[number[1]]; other != "" {
			faults = append(faults, fmt.Errorf("%s and %s have the same number; give one of them another",
				path.Join(within, other), name))
			continue
		}
		byNumber[number[1]] = name
		script, err := read(root, engine, name)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path.Join(within, name), err))
			continue
		}
		all = append(all, script)
	}
	return all, faults
}

// list returns the names in a directory that are not hidden, in order.
func list(root *os.Root, dir string) (names []string, err error) {
	d, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // only read
	if names, err = d.Readdirnames(-1); err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, ".") })
	slices.Sort(names)
	return names, nil
}

// read reads one script.
func read(root *os.Root, dir, name string) (s pipeline.Script, err error) {
	content, err := filesystem.ReadRegular(root, path.Join(dir, name), maxFile)
	switch {
	case err != nil:
		return s, err
	case len(content) > maxFile:
		return s, fmt.Errorf("is larger than %d MiB; split it, or load large data after the tenant is provisioned",
			maxFile>>20)
	case bytes.IndexByte(content, 0) >= 0:
		return s, errors.New("contains a NUL byte; save it as UTF-8")
	case !utf8.Valid(content):
		return s, errors.New("is not UTF-8; save it as UTF-8")
	}
	sum := sha256.Sum256(content)
	s = pipeline.Script{
		Name: name, Text: strings.TrimPrefix(string(content), "\uFEFF"), SHA256: hex.EncodeToString(sum[:]),
	}
	s.Prepare, err = prepared(s.Text)
	return s, err
}

// prepared reports whether the first line says that the script can run when a boundary is prepared.
func prepared(text string) (bool, error) {
	first, rest, _ := strings.Cut(text, "\n")
	if strings.TrimSpace(first) == prepare {
		text = rest
	}
	if found := directive.FindString(text); found != "" {
		return false, fmt.Errorf("%q says nothing to the service; write %s as the first line, or remove it",
			strings.TrimSpace(found), prepare)
	}
	return strings.TrimSpace(first) == prepare, nil
}
