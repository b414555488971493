// Package seeds reads the directory of seed data: the rows that an operator gives every new tenant, one file for each
// table. It is strict, and reports all faults of all files at once, each with its line and what to write.
//
//	docbasket.jsonl  {"id": "${uuid:inbox}", "name": "Inbox", "storage_config": {"owner": "${tenant_id}"}}
//	processors.csv   id,name,type,description
package seeds

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/pipeline"
)

// Limits of all files together.
const (
	MaxRows  = 10_000
	MaxBytes = 16 << 20 // of the files, before placeholders are replaced
)

// maxFaults is how many faults are reported: a file of another format has one in each line.
const maxFaults = 50

// The extensions of the files.
const (
	jsonLines = ".jsonl"
	csv       = ".csv"
)

// Read reads the directory of seed data. It returns every fault; each begins with the path of the file and, if it is in
// the text, the line.
func Read(dir string) (*pipeline.Seeds, []error) {
	const want = "write the path of a directory that this user may read"
	switch info, err := os.Stat(dir); {
	case err != nil:
		return nil, []error{fmt.Errorf("%w; %s", err, want)}
	case !info.IsDir():
		return nil, []error{fmt.Errorf("%s is not a directory; %s", dir, want)}
	}
	entries, err := os.ReadDir(dir) // in the order of their names
	if err != nil {
		return nil, []error{fmt.Errorf("%w; %s", err, want)}
	}
	root, err := os.OpenRoot(dir) // links cannot leave it
	if err != nil {
		return nil, []error{fmt.Errorf("%w; %s", err, want)}
	}
	defer root.Close() //nolint:errcheck // only read
	r := &reader{root: root, dir: dir}
	for _, entry := range entries {
		r.read(entry)
	}
	r.checkTables()
	if len(r.seeds.Files) == 0 && len(r.faults) == 0 {
		return nil, []error{fmt.Errorf("%s has no files; write rows to TABLE.jsonl or TABLE.csv", dir)}
	}
	if faults := r.all(); len(faults) > 0 {
		return nil, faults
	}
	return &r.seeds, nil
}

// reader reads the files of a directory, and collects their faults.
type reader struct {
	root   *os.Root
	dir    string
	seeds  pipeline.Seeds
	bytes  int64
	rows   int
	faults []fault
}

// fault is a fault of a line; 0: of the whole file.
type fault struct {
	path string
	line int
	text string
}

func (r *reader) fault(name string, line int, format string, args ...any) {
	r.faults = append(r.faults, fault{filepath.Join(r.dir, name), line, fmt.Sprintf(format, args...)})
}

// all returns the faults in the order of files and lines; nil: the files are right.
func (r *reader) all() (all []error) {
	slices.SortStableFunc(r.faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.line, b.line))
	})
	for i, f := range r.faults {
		if i == maxFaults {
			all = append(all, fmt.Errorf("%s: further faults: %d", r.dir, len(r.faults)-maxFaults))
			break
		}
		at := f.path
		if f.line > 0 {
			at = fmt.Sprintf("%s:%d", f.path, f.line)
		}
		all = append(all, fmt.Errorf("%s: %s", at, f.text))
	}
	return all
}

// read reads a file. Hidden ones are passed over: editors and Kubernetes keep their own beside the files.
func (r *reader) read(entry fs.DirEntry) {
	name := entry.Name()
	if strings.HasPrefix(name, ".") {
		return
	}
	table, isJSON := strings.CutSuffix(name, jsonLines)
	isCSV := false
	if !isJSON {
		table, isCSV = strings.CutSuffix(name, csv)
	}
	if !isJSON && !isCSV || table == "" || !utf8.ValidString(table) {
		r.fault(name, 0, "is not seed data; name files TABLE.jsonl or TABLE.csv, and move all others away")
		return
	}
	content, ok := r.content(name)
	if !ok {
		return
	}
	file := pipeline.SeedFile{Name: name, Table: table, SHA256: hexSHA256(content)}
	text := string(bytes.TrimPrefix(content, []byte("\ufeff")))
	before := len(r.faults)
	r.checkText(name, text)
	switch {
	case len(r.faults) > before:
	case isJSON:
		file.Rows = r.jsonLines(name, text)
	default:
		file.Rows = r.csv(name, text)
	}
	if len(file.Rows) == 0 && len(r.faults) == before {
		r.fault(name, 0, "has no rows; write one, or remove the file")
	}
	if r.rows += len(file.Rows); r.rows > MaxRows && r.rows-len(file.Rows) <= MaxRows {
		r.fault(name, 0, "all files together have more than %d rows; load large data after the tenant is provisioned",
			MaxRows)
	}
	r.seeds.Files = append(r.seeds.Files, file)
}

// content reads a file, as far as the limit of all files allows.
func (r *reader) content(name string) (content []byte, ok bool) {
	content, err := filesystem.ReadRegular(r.root, name, max(0, MaxBytes-r.bytes))
	if err != nil {
		r.fault(name, 0, "%v", err)
		return nil, false
	}
	before := r.bytes
	if r.bytes += int64(len(content)); r.bytes <= MaxBytes {
		return content, true
	}
	if before <= MaxBytes {
		r.fault(name, 0, "all files together are larger than 16 MiB; load large data after the tenant is provisioned")
	}
	return nil, false
}

func hexSHA256(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// checkText names the first line that no text column can store.
func (r *reader) checkText(name, text string) {
	line := 0
	for one := range strings.Lines(text) {
		line++
		switch {
		case !utf8.ValidString(one):
			r.fault(name, line, "is not UTF-8; save the file as UTF-8")
			return
		case strings.Contains(one, "\x00"):
			r.fault(name, line, "holds a NUL, which no text column can store; remove it, and save the file as UTF-8")
			return
		}
	}
}

// checkTables names the files of one table, and of tables whose names differ only in case: SQLite has one table for
// them.
func (r *reader) checkTables() {
	first := map[string]string{}
	for _, f := range r.seeds.Files {
		folded := strings.ToLower(f.Table)
		if other, twice := first[folded]; twice {
			r.fault(f.Name, 0, "is for the same table as %s; write all rows of a table to one file", other)
			continue
		}
		first[folded] = f.Name
	}
}
