package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Seeds are the rows that load_seed_data loads into every new tenant. nil: the step does not exist.
type Seeds struct {
	Files []SeedFile // in the order of their names
}

// SeedFile has the rows of one table.
type SeedFile struct {
	Name   string // such as docbasket.jsonl
	Table  string
	SHA256 string // of the file's bytes, in lower-case hex
	Rows   []SeedRow
}

// SeedRow is a row. A column that it does not name gets its default.
type SeedRow struct {
	Line    int // at which it begins, from 1
	Columns []string
	Values  []SeedValue // of the Columns
}

// SeedValue is a value as the file has it. What it means depends on the column: see [SeedValue.Template].
type SeedValue struct {
	Kind SeedKind
	Raw  string
}

// SeedKind is the notation of a value.
type SeedKind int

// The notations.
const (
	SeedNull SeedKind = iota
	SeedText          // of a CSV file: Raw is the text itself
	SeedJSON          // of a JSON Lines file: Raw is JSON
)

// Template returns the text of a value that is not null, for a column of a JSON type or of any other. In a JSON column
// the text is JSON: a text of a CSV file is parsed. In others a JSON string is its characters, and everything else its
// JSON.
func (v SeedValue) Template(jsonColumn bool) (Template, error) {
	switch {
	case v.Kind == SeedText && !jsonColumn:
		return ParseTemplate(v.Raw)
	case !jsonColumn && strings.HasPrefix(v.Raw, `"`):
		text, err := decodeString(v.Raw)
		if err != nil {
			return nil, err
		}
		return ParseTemplate(text)
	}
	return JSONTemplate(v.Raw)
}

// Fingerprint is the SHA-256 of the names and contents of all files, in lower-case hex.
func (s *Seeds) Fingerprint() string {
	sum := sha256.New()
	for _, f := range s.Files {
		sum.Write([]byte(f.Name + "\n" + f.SHA256 + "\n"))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Counts returns the number of rows of each table.
func (s *Seeds) Counts() map[string]int {
	counts := make(map[string]int, len(s.Files))
	for _, f := range s.Files {
		counts[f.Table] = len(f.Rows)
	}
	return counts
}
