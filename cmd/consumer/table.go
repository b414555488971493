package main

import (
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// table writes rows in columns. Its widths only grow, so that rows can be written as they come.
type table struct {
	w      io.Writer
	indent string
	widths []int
}

// write writes rows, all of one length.
func (t *table) write(rows ...[]string) error {
	for _, row := range rows {
		for len(t.widths) < len(row) {
			t.widths = append(t.widths, 0)
		}
		for i, cell := range row {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := t.indent
		for i, cell := range row {
			line += cell + strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(t.w, b.String())
	return err
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
