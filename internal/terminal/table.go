package terminal

import (
	"io"
	"strings"
)

const (
	columnGap = 2
	// minLastColumn is the least width of the last column on a narrow terminal. Below it the table omits columns, and its
	// lines wrap once none can be omitted.
	minLastColumn = 20
)

// Table writes rows in columns. The widths of columns only grow, so that rows can be written as they arrive.
type Table struct {
	W       io.Writer
	Indent  string
	Widths  []int // of columns, at least
	Columns int   // the width to cut the last cell to; 0: do not cut

	heading  func(...any) string // formats the first row; nil: it has no special format
	optional []int               // columns to omit on a narrow terminal, in this order
	omitted  map[int]bool        // decided at the first Write
}

// List is a table with a heading, one line a row. On a terminal the last column is cut, so it must not be one that a
// person would copy; a narrow terminal omits the optional columns.
func (t IO) List(optional ...int) *Table {
	return &Table{
		W: t.Out, heading: t.Palette(t.Out).Dim.SprintFunc(), Columns: Columns(t.Out), optional: optional,
	}
}

// Write writes rows, all with the same number of cells.
func (t *Table) Write(rows ...[]string) error {
	for _, row := range rows {
		for len(t.Widths) < len(row) {
			t.Widths = append(t.Widths, 0)
		}
		for i, cell := range row {
			t.Widths[i] = max(t.Widths[i], Width(cell))
		}
	}
	if t.omitted == nil {
		t.omit()
	}
	var b strings.Builder
	for _, row := range rows {
		line := t.line(row)
		if t.heading != nil {
			line = t.heading(line)
			t.heading = nil
		}
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(t.W, b.String())
	return err
}

// used is the width of all columns but the last.
func (t *Table) used() int {
	used := Width(t.Indent)
	for i, w := range t.Widths[:max(len(t.Widths)-1, 0)] {
		if !t.omitted[i] {
			used += w + columnGap
		}
	}
	return used
}

func (t *Table) omit() {
	t.omitted = map[int]bool{}
	for _, column := range t.optional {
		if t.Columns == 0 || t.Columns-t.used() >= minLastColumn {
			return
		}
		t.omitted[column] = true
	}
}

func (t *Table) line(row []string) string {
	line := t.Indent
	for i, cell := range row[:len(row)-1] {
		if !t.omitted[i] {
			line += Pad(cell, t.Widths[i]+columnGap)
		}
	}
	last := row[len(row)-1]
	if left := t.Columns - t.used(); left >= minLastColumn {
		last = Fit(last, left)
	}
	return strings.TrimRight(line+last, " ")
}
