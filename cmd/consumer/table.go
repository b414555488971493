package main

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	columnGap = 2
	// leastCut is how much of a table's last column is left on a narrow terminal; below that columns are left out, and
	// once there are none to spare its lines wrap.
	leastCut = 20
)

// table writes rows in columns. Its widths only grow, so that rows can be written as they come.
type table struct {
	w       io.Writer
	indent  string
	widths  []int
	heading func(...any) string // of the first row; nil: it is one like the others
	columns int                 // cut the last cell to fit lines in so many; 0: as long as they are
	spare   []int               // columns that are left out, the first first, where a line has no room for them
	without map[int]bool        // those that are, from the first rows on
}

// list is a table of many things, with a heading. On a terminal a line is a row: there the last column is cut, so
// it must not be what a person would copy, and a narrow one does without the columns that can be spared.
func (a *app) list(spare ...int) *table {
	return &table{
		w: a.stdout, heading: a.palette(a.stdout).dim.SprintFunc(), columns: columns(a.stdout), spare: spare,
	}
}

// write writes rows, all of one length.
func (t *table) write(rows ...[]string) error {
	for _, row := range rows {
		for len(t.widths) < len(row) {
			t.widths = append(t.widths, 0)
		}
		for i, cell := range row {
			t.widths[i] = max(t.widths[i], width(cell))
		}
	}
	if t.without == nil {
		t.leaveOut()
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
	_, err := io.WriteString(t.w, b.String())
	return err
}

// used is what all columns but the last take.
func (t *table) used() int {
	used := width(t.indent)
	for i, w := range t.widths[:max(len(t.widths)-1, 0)] {
		if !t.without[i] {
			used += w + columnGap
		}
	}
	return used
}

func (t *table) leaveOut() {
	t.without = map[int]bool{}
	for _, column := range t.spare {
		if t.columns == 0 || t.columns-t.used() >= leastCut {
			return
		}
		t.without[column] = true
	}
}

func (t *table) line(row []string) string {
	line := t.indent
	for i, cell := range row[:len(row)-1] {
		if !t.without[i] {
			line += pad(cell, t.widths[i]+columnGap)
		}
	}
	last := row[len(row)-1]
	if left := t.columns - t.used(); left >= leastCut {
		last = fit(last, left)
	}
	return strings.TrimRight(line+last, " ")
}

// plain is untrusted text for a terminal: quoted if there is anything in it that does not print.
func plain(text string) string {
	if text == "" || strings.TrimSpace(text) != text ||
		strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return strconv.Quote(text)
	}
	return text
}

// clock is a time for people. The zero time is one that could not be read.
func clock(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.UTC().Format(time.RFC3339)
}

// instant is a time of one among many.
func instant(t time.Time) string {
	if t.IsZero() {
		return clock(t)
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// by adds to a time who did it, if that is known.
func by(t time.Time, who string) string {
	if who == "" {
		return clock(t)
	}
	return clock(t) + " by " + plain(who)
}
