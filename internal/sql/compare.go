package sql

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"example.com/tenant-provisioner/internal/pipeline"
)

// Found is what has the name of a table or of an index of the definition, as an engine's catalogue describes it, in the
// definition's terms. Indexes are among them too.
type Found struct {
	Name string
	// Kind is empty for an ordinary table. Otherwise it is the kind of what has the table's name: "view", "sequence", …
	Kind        string
	Columns     []FoundColumn
	PrimaryKey  []string
	Unique      [][]string // constraints and unique indexes alike
	ForeignKeys []ForeignKey
	// Others are constraints of kinds that the definition does not use: checks, exclusions, keys over several columns,
	// row security, triggers that can reject a row.
	Others []string
	// Weak are properties with which the table can lose rows, or accept wrong ones, although its structure is as defined.
	Weak []string
	// Notes are properties that are not in the definition, and with which the table keeps and accepts every row.
	Notes   []string
	Indexes []FoundIndex // only valid, complete, non-unique ones
}

// FoundColumn is a column that exists.
type FoundColumn struct {
	Column
	// Refuses is how the column can refuse a row, whatever its default: "generated", "a domain". Empty: it cannot.
	Refuses string
}

// FoundIndex is an index that exists.
type FoundIndex struct {
	Name    string
	Columns []string
}

// Remedies are the statements of an engine that correct a boundary, for an operator to run.
type Remedies struct {
	// Widen returns what is to add to the warning about columns of a table that have their earlier type.
	Widen func(table string, columns []string) string
	// Create returns the statement that creates an index.
	Create func(index Index) string
	// Free returns the statement that frees the name of an index from something of that kind: "table", "view", "index", …
	Free func(name, kind string) string
}

// Compare compares the tables found in a boundary with the definition.
//
// A column may be wider than defined. What can lose or refuse a row that DocEX writes is a difference; what cannot is a
// warning: a missing default (DocEX writes every column that is not null), a column that DocEX does not make, a type
// that earlier versions made, and an added column that fills itself. Additional tables and plain indexes are neither:
// DocEX never sees them.
func Compare(found []Found, remedies Remedies) pipeline.Inspection {
	c := comparison{byName: make(map[string]Found, len(found)), lacking: map[string]bool{}}
	for _, t := range found {
		c.byName[t.Name] = t
	}
	for _, want := range Tables {
		got, ok := c.byName[want.Name]
		switch {
		case !ok: // the steps make it
			c.Differences = append(c.Differences, "table "+want.Name+" is missing")
			continue
		case got.Kind != "":
			c.differs("%s is %s, want a table", want.Name, article(got.Kind))
			continue
		}
		c.Tables++
		c.table(want, got)
		if narrow := c.columns(want, got.Columns); len(narrow) > 0 {
			c.warn("%s: %s narrower than defined (%s)%s", want.Name, are(narrow), Text,
				remedies.Widen(want.Name, narrow))
		}
	}
	c.indexes(remedies)
	return c.Inspection
}

func article(noun string) string {
	if strings.HasPrefix(noun, "i") {
		return "an " + noun
	}
	return "a " + noun
}

// are lists names as the subject of a sentence.
func are(names []string) string {
	verb := " is"
	if len(names) > 1 {
		verb = " are"
	}
	return strings.Join(names, ", ") + verb
}

// IsIndex reports whether the definition has an index of that name.
func IsIndex(name string) bool {
	return slices.ContainsFunc(Indexes, func(x Index) bool { return x.Name == name })
}

// ComputedIndex describes an index that is not in the definition, and computes something of each row.
func ComputedIndex(name string) string {
	return "index " + name + " computes an expression or a condition; a row for which that fails is refused"
}

// comparison collects what differs.
type comparison struct {
	pipeline.Inspection
	byName  map[string]Found
	lacking map[string]bool // columns of existing tables that are missing
}

// differs adds a difference that no step removes.
func (c *comparison) differs(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.Differences = append(c.Differences, text)
	c.Lasting = append(c.Lasting, text)
}

func (c *comparison) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// table compares keys and constraints.
func (c *comparison) table(want Table, got Found) {
	differs := func(format string, args ...any) {
		c.differs("%s: %s", want.Name, fmt.Sprintf(format, args...))
	}
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
	for _, weak := range got.Weak {
		differs("%s", weak)
	}
	for _, note := range got.Notes {
		c.warn("%s: %s", want.Name, note)
	}
}

func (fk ForeignKey) String() string {
	return fmt.Sprintf("(%s) → %s on delete %s", fk.Column, fk.Table, fk.OnDelete)
}

// columns compares columns, and returns those that have their earlier type.
func (c *comparison) columns(table Table, found []FoundColumn) (narrow []string) {
	byName := make(map[string]FoundColumn, len(found))
	for _, got := range found {
		byName[got.Name] = got
	}
	for _, want := range table.Columns {
		got, ok := byName[want.Name]
		name := table.Name + "." + want.Name
		if !ok {
			c.missing(want, table.Name)
			continue
		}
		delete(byName, want.Name)
		switch {
		case got.Refuses == "" && Holds(got.Type, want.Type):
		case got.Refuses == "" && want.Earlier != "" && Holds(got.Type, want.Earlier):
			narrow = append(narrow, want.Name)
		default:
			c.differs("%s is %s, want %s", name, strings.TrimSpace(got.Type+" "+got.Refuses), want.Type)
		}
		if got.NotNull != want.NotNull {
			c.differs("%s is %s, want %s", name, null(got.Column), null(want))
		}
		switch {
		case want.Default == noDefault || sameDefault(got.Default, want.Default):
		case got.Default == noDefault:
			c.NoDefaults = append(c.NoDefaults, name)
		default:
			c.differs("%s has default %s, want %s", name, displayDefault(got.Default), displayDefault(want.Default))
		}
	}
	for _, got := range found {
		if _, added := byName[got.Name]; added {
			c.added(table.Name+"."+got.Name, got)
		}
	}
	return narrow
}

// missing reports a missing column, with the indexes that need it.
func (c *comparison) missing(column Column, table string) {
	c.lacking[table+"."+column.Name] = true
	text := table + "." + column.Name + " is missing"
	for _, x := range Indexes {
		if x.Table == table && x.Column == column.Name {
			text += ", and with it index " + x.Name
		}
	}
	switch {
	case column.Optional:
		c.warn("%s; DocEX does not use it", text)
	case column.NotNull && column.Default == noDefault:
		c.differs("%s", text)
	default: // the steps add it
		c.Differences = append(c.Differences, text)
		c.Addable = append(c.Addable, pipeline.Addition{Table: table, Column: column.Name})
	}
}

// added reports a column that is not in the definition.
func (c *comparison) added(name string, got FoundColumn) {
	const text = "%s is not in the definition"
	switch {
	case got.Refuses != "":
		c.differs(text+", and can refuse rows: it is %s", name, got.Refuses)
	case got.NotNull && got.Default == noDefault:
		c.differs(text+", and refuses rows: it is not null and has no default", name)
	default:
		c.warn(text, name)
	}
}

// sameDefault ignores that a database quotes the number of a wider type: '0'::bigint.
func sameDefault(got, want string) bool {
	return got == want || !strings.HasPrefix(want, defaultText) && want != DefaultNow && got == defaultText+want
}

// DefaultExpression returns a default that is an expression, in the spelling of [Column]: never like a text.
func DefaultExpression(text string) string {
	if strings.HasPrefix(text, defaultText) {
		return "(" + text + ")"
	}
	return text
}

// displayDefault returns a default as SQL writes it, on one line: control characters are escaped.
func displayDefault(value string) string {
	switch text, isText := strings.CutPrefix(value, defaultText); {
	case value == DefaultNow:
		return "the current time"
	case isText:
		value = "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	escaped := strconv.Quote(value)
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(escaped[1 : len(escaped)-1])
}

func null(c Column) string {
	if c.NotNull {
		return "not null"
	}
	return "nullable"
}

func (c *comparison) indexes(remedies Remedies) {
	for _, want := range Indexes {
		has := slices.ContainsFunc(c.byName[want.Table].Indexes, func(got FoundIndex) bool {
			return got.Name == want.Name && slices.Equal(got.Columns, []string{want.Column})
		})
		if has {
			c.Inspection.Indexes++
		} else if !c.lacking[want.Table+"."+want.Column] {
			c.MissingIndexes = append(c.MissingIndexes, want.Name)
			remedy := "run " + remedies.Create(want)
			if there, taken := c.byName[want.Name]; taken {
				kind, why := cmp.Or(there.Kind, "table"), "has its name"
				if kind == "index" {
					why = "of its name is not as defined"
				}
				remedy = fmt.Sprintf("%s %s; run %s; %s", article(kind), why, remedies.Free(want.Name, kind), remedies.Create(want))
			}
			if c.IndexRemedies == nil {
				c.IndexRemedies = map[string]string{}
			}
			c.IndexRemedies[want.Name] = remedy
		}
	}
}
