package sql

import (
	"fmt"
	"slices"
	"strings"

	"example.com/tenant-provisioner/internal/pipeline"
)

// Found is a table as an engine's catalogue describes it, in the definition's terms.
type Found struct {
	Name        string
	Kind        string // empty: an ordinary table; otherwise its kind: "view", "foreign table", …
	Columns     []Column
	PrimaryKey  []string
	Unique      [][]string // constraints and unique indexes alike
	ForeignKeys []ForeignKey
	// Others are constraints of kinds that the definition does not use: checks, exclusions, keys over several columns,
	// row security, triggers that can reject a row.
	Others  []string
	Indexes []FoundIndex // only valid, complete, non-unique ones
}

// FoundIndex is an index that exists.
type FoundIndex struct {
	Name    string
	Columns []string
}

// Compare compares the tables found in a boundary with the definition. Additional tables and plain indexes are not
// differences: DocEX never sees them. Anything additional within a table of the definition is a difference, because it
// can reject rows that DocEX writes.
func Compare(found []Found) pipeline.Inspection {
	byName := make(map[string]Found, len(found))
	for _, t := range found {
		byName[t.Name] = t
	}
	var in pipeline.Inspection
	for _, want := range Tables {
		got, ok := byName[want.Name]
		switch {
		case !ok:
			in.Differences = append(in.Differences, "table "+want.Name+" is missing")
			continue
		case got.Kind != "":
			in.Differences = append(in.Differences, fmt.Sprintf("%s is a %s, want a table", want.Name, got.Kind))
			continue
		}
		in.Tables++
		in.Differences = append(in.Differences, compareTable(want, got)...)
	}
	for _, want := range Indexes {
		has := slices.ContainsFunc(byName[want.Table].Indexes, func(got FoundIndex) bool {
			return got.Name == want.Name && slices.Equal(got.Columns, []string{want.Column})
		})
		if has {
			in.Indexes++
		} else {
			in.MissingIndexes = append(in.MissingIndexes, want.Name)
		}
	}
	return in
}

func compareTable(want Table, got Found) (diffs []string) {
	differs := func(format string, args ...any) {
		diffs = append(diffs, want.Name+": "+fmt.Sprintf(format, args...))
	}
	diffs = append(diffs, compareColumns(want, got.Columns)...)
	if !slices.Equal(got.PrimaryKey, []string{"id"}) {
		differs("primary key is (%s), want (id)", strings.Join(got.PrimaryKey, ", "))
	}
	for _, column := range want.Unique {
		if !slices.ContainsFunc(got.Unique, func(u []string) bool { return slices.Equal(u, []string{column}) }) {
			differs("unique (%s) is missing", column)
		}
	}
	for _, u := range got.Unique {
		if len(u) != 1 || !slices.Contains(want.Unique, u[0]) {
			differs("unique (%s) is not in the definition", strings.Join(u, ", "))
		}
	}
	for _, fk := range want.ForeignKeys {
		if !slices.Contains(got.ForeignKeys, fk) {
			differs("foreign key %s is missing", fk)
		}
	}
	for _, fk := range got.ForeignKeys {
		if !slices.Contains(want.ForeignKeys, fk) {
			differs("foreign key %s is not in the definition", fk)
		}
	}
	for _, other := range got.Others {
		differs("%s is not in the definition", other)
	}
	return diffs
}

func (fk ForeignKey) String() string {
	return fmt.Sprintf("(%s) → %s on delete %s", fk.Column, fk.Table, fk.OnDelete)
}

func compareColumns(table Table, got []Column) (diffs []string) {
	byName := make(map[string]Column, len(got))
	for _, c := range got {
		byName[c.Name] = c
	}
	for _, want := range table.Columns {
		c, ok := byName[want.Name]
		if !ok {
			diffs = append(diffs, fmt.Sprintf("%s.%s is missing", table.Name, want.Name))
			continue
		}
		delete(byName, want.Name)
		if c.Type != want.Type {
			diffs = append(diffs, fmt.Sprintf("%s.%s is %s, want %s", table.Name, want.Name, c.Type, want.Type))
		}
		if c.NotNull != want.NotNull {
			diffs = append(diffs, fmt.Sprintf("%s.%s is %s, want %s", table.Name, want.Name, null(c), null(want)))
		}
		if want.Default != noDefault && c.Default != want.Default {
			diffs = append(diffs, fmt.Sprintf("%s.%s has default %q, want %q", table.Name, want.Name, c.Default, want.Default))
		}
	}
	for _, c := range got {
		if _, extra := byName[c.Name]; extra {
			diffs = append(diffs, fmt.Sprintf("%s.%s is not in the definition", table.Name, c.Name))
		}
	}
	return diffs
}

func null(c Column) string {
	if c.NotNull {
		return "not null"
	}
	return "nullable"
}
