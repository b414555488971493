package sql

import (
	"fmt"
	"slices"
	"strings"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// SeedColumn is a column of a table that gets seed data.
type SeedColumn struct {
	Name      string
	Type      string // as declared
	JSON      bool   // a value is JSON
	NotNull   bool
	Generated bool // no row may name it
	Default   bool // a row that does not name it gets a value
}

// SeedTable is a table of the boundary that gets seed data.
type SeedTable struct {
	Name    string // as the database has it
	Kind    string // table, or what it is instead
	Columns []SeedColumn
}

// Column returns the column of that name.
func (t *SeedTable) Column(name string, equal func(a, b string) bool) (SeedColumn, bool) {
	at := slices.IndexFunc(t.Columns, func(c SeedColumn) bool { return equal(c.Name, name) })
	if at < 0 {
		return SeedColumn{}, false
	}
	return t.Columns[at], true
}

// SeedGroup is a number of consecutive rows of a file that name the same columns.
type SeedGroup struct {
	File    *pipeline.SeedFile
	Table   *SeedTable
	Columns []SeedColumn
	Rows    []pipeline.SeedRow
}

// maxSeedFaults is how many faults one error has.
const maxSeedFaults = 20

// SeedFaults are the faults of seed data that the boundary's catalogue shows.
type SeedFaults []string

// Add adds the fault of a line; 0: of the whole file.
func (f *SeedFaults) Add(file string, line int, format string, args ...any) {
	if line > 0 {
		file = fmt.Sprintf("%s, line %d", file, line)
	}
	*f = append(*f, file+": "+fmt.Sprintf(format, args...))
}

// Err returns all faults as one, a [SeedError]; nil: there are no faults.
func (f SeedFaults) Err() error {
	if len(f) == 0 {
		return nil
	}
	shown := f[:min(len(f), maxSeedFaults)]
	if more := len(f) - len(shown); more > 0 {
		shown = append(slices.Clone(shown), fmt.Sprintf("further faults: %d", more))
	}
	return &SeedError{shown, pipeline.Permanentf(events.CauseSeedDataFailed, "%s", strings.Join(shown, "; "))}
}

// SeedError is a permanent fault of seed data that consists of several.
type SeedError struct {
	Faults []string
	all    *pipeline.Fault
}

func (e *SeedError) Error() string { return e.all.Error() }
func (e *SeedError) Unwrap() error { return e.all }

// GroupSeeds compares the seed data with the tables of a boundary, and returns its rows in the order of the files,
// grouped for loading. equal compares names as the database does. Faults are added for tables and columns that the
// boundary does not have, for nulls that it refuses, and for columns that a row must name.
func GroupSeeds(
	seeds *pipeline.Seeds, tables []SeedTable, equal func(a, b string) bool, faults *SeedFaults,
) (groups []SeedGroup) {
	for i := range seeds.Files {
		file := &seeds.Files[i]
		at := slices.IndexFunc(tables, func(t SeedTable) bool { return equal(t.Name, file.Table) })
		switch {
		case at < 0:
			faults.Add(file.Name, 0, "the tenant has no table %s; name the file after a table of the definition, or of an "+
				"initialisation script", events.Quote(file.Table))
			continue
		case tables[at].Kind != "table":
			faults.Add(file.Name, 0, "%s is a %s, not a table", file.Table, tables[at].Kind)
			continue
		}
		var names []string // of the last group
		for _, row := range file.Rows {
			if names == nil || !slices.Equal(names, row.Columns) {
				names = row.Columns
				group := SeedGroup{File: file, Table: &tables[at]}
				group.addColumns(row, equal, faults)
				groups = append(groups, group)
			}
			group := &groups[len(groups)-1]
			group.Rows = append(group.Rows, row)
			if len(group.Columns) == len(row.Values) {
				group.checkNulls(row, faults)
			}
		}
	}
	return groups
}

// addColumns sets the columns by their names in the first row of the group.
func (g *SeedGroup) addColumns(row pipeline.SeedRow, equal func(a, b string) bool, faults *SeedFaults) {
	for _, name := range row.Columns {
		column, ok := g.Table.Column(name, equal)
		switch {
		case !ok:
			var all []string
			for _, c := range g.Table.Columns {
				all = append(all, c.Name)
			}
			faults.Add(g.File.Name, row.Line, "table %s has no column %s; it has %s", g.Table.Name, events.Quote(name),
				strings.Join(all, ", "))
			continue
		case column.Generated:
			faults.Add(g.File.Name, row.Line, "column %s is generated; leave it out", name)
		}
		g.Columns = append(g.Columns, column)
	}
	for _, c := range g.Table.Columns {
		named := slices.ContainsFunc(row.Columns, func(name string) bool { return equal(name, c.Name) })
		if c.NotNull && !c.Default && !c.Generated && !named {
			faults.Add(g.File.Name, row.Line, "column %s is missing; it is not null and has no default", c.Name)
		}
	}
}

// checkNulls adds a fault for each null in a column that refuses it.
func (g *SeedGroup) checkNulls(row pipeline.SeedRow, faults *SeedFaults) {
	for i, c := range g.Columns {
		if c.NotNull && row.Values[i].Kind == pipeline.SeedNull {
			faults.Add(g.File.Name, row.Line, "column %s is null, and may not be", c.Name)
		}
	}
}

// SeedReference is a foreign key between two tables that get seed data.
type SeedReference struct{ From, To string }

// OrderSeeds returns the tables in an order in which each follows those that it refers to; tables that do not depend
// on each other stay in their order. It fails with the tables of a cycle.
func OrderSeeds(tables []string, references []SeedReference) ([]string, error) {
	waits := map[string][]string{}
	for _, r := range references {
		if r.From != r.To { // rows of one table keep the order of the file
			waits[r.From] = append(waits[r.From], r.To)
		}
	}
	var order, path []string
	var visit func(table string) error
	visit = func(table string) error {
		if slices.Contains(order, table) {
			return nil
		}
		if at := slices.Index(path, table); at >= 0 {
			return pipeline.Permanentf(events.CauseSeedDataFailed, "the foreign keys of these tables form a cycle: %s; "+
				"declare one of them DEFERRABLE, or leave the rows of one table to an initialisation script",
				strings.Join(append(path[at:], table), " → "))
		}
		path = append(path, table)
		for _, other := range waits[table] {
			if err := visit(other); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		order = append(order, table)
		return nil
	}
	for _, table := range tables {
		if err := visit(table); err != nil {
			return nil, err
		}
	}
	return order, nil
}
