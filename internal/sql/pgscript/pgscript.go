package pgscript

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/tenant-provisioner/internal/pipeline"
)

// Statement is a statement of a script.
type Statement struct {
	Text string // without the semicolon, and without comments before and after it
	Line int    // of its first token, in the file, from 1
}

// LineAt is the file's line of a position in the statement, as PostgreSQL reports it with an error: in characters, from
// 1. For a position outside of the statement, such as 0, which means unknown, it is the statement's line.
func (s Statement) LineAt(position int) int {
	if position < 1 || position > utf8.RuneCountInString(s.Text) {
		return s.Line
	}
	return s.Line + strings.Count(s.Text[:byteOffset(s.Text, position)], "\n")
}

// Parse returns the statements of a script, and its faults, in the order of their lines. A fault is of the form "FILE,
// line N: what; what to do". Of one kind there are the first [maxAlike], with the number of the others.
func Parse(script pipeline.Script) ([]Statement, []error) {
	j := &judge{place: place{text: script.Text, line: 1}, faults: &faults{}}
	statements := j.script()
	if at := strings.Index(script.Text, dumpHeader); at >= 0 && len(*j.faults) > 0 {
		j.refuseAt(at, "the file is a dump; docs/init-scripts.md has the command that makes a script of it")
	}
	return statements, j.faults.of(script.Name)
}

// dumpHeader is how pg_dump begins a dump.
const dumpHeader = "-- PostgreSQL database dump"

// faults are what is wrong with a script.
type faults []fault

type fault struct {
	line int
	what string
	kind string // the same for all faults that need the same correction
}

func (f *faults) add(line int, format string, args ...any) {
	what, kind := fmt.Sprintf(format, args...), format
	if format == "%s" {
		kind = what
	}
	*f = append(*f, fault{line, what, kind})
}

// maxAlike bounds the faults of one kind that are reported: a dump has one for each name that it writes with a schema.
const maxAlike = 5

// of returns the faults of the file.
func (f faults) of(file string) (errs []error) {
	slices.SortFunc(f, func(a, b fault) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.what, b.what)) })
	byKind := map[string][]fault{}
	var shown []fault
	for _, one := range slices.Compact(f) {
		if byKind[one.kind] = append(byKind[one.kind], one); len(byKind[one.kind]) <= maxAlike {
			shown = append(shown, one)
		}
	}
	for _, one := range shown {
		all := byKind[one.kind]
		if more := len(all) - maxAlike; more > 0 && one == all[maxAlike-1] {
			one.what += fmt.Sprintf(" (and %d more of this kind, up to line %d)", more, all[len(all)-1].line)
		}
		errs = append(errs, fmt.Errorf("%s, line %d: %s", file, one.line, one.what))
	}
	return errs
}

// place is a text within a file.
type place struct {
	text string
	line int // of the file, where the text begins
}

// lineAt is the file's line of an offset in bytes.
func (p place) lineAt(offset int) int {
	return p.line + strings.Count(p.text[:min(max(offset, 0), len(p.text))], "\n")
}

// script judges the text as a sequence of statements.
func (j *judge) script() []Statement {
	if at := strings.IndexByte(j.text, 0); at >= 0 {
		j.refuseAt(at, "a zero byte, which PostgreSQL cannot read; save the file as UTF-8")
		return nil
	}
	if !utf8.ValidString(j.text) {
		valid := strings.ToValidUTF8(j.text, "\x00")
		j.refuseAt(strings.IndexByte(valid, 0), "not UTF-8; save the file as UTF-8")
		return nil
	}
	pieces, commands := split(j.text)
	for _, at := range commands {
		line, _, _ := strings.Cut(j.text[at:], "\n")
		j.refuseAt(at, "%s is a command of psql, which does not run scripts here; write SQL", firstWord(line))
	}
	var statements []Statement
	for _, p := range pieces {
		s := Statement{Text: j.text[p.start:p.end], Line: j.lineAt(p.start)}
		statements = append(statements, s)
		(&judge{place: place{text: s.Text, line: s.Line}, faults: j.faults}).statement()
	}
	return statements
}

// statement judges the text as one statement.
func (j *judge) statement() {
	trees, err := parseSQL(j.text)
	switch {
	case err != nil:
		j.unparsed(err)
	case len(trees) > 1:
		j.refuseAt(0, "PostgreSQL reads this as %d statements; end each with a semicolon", len(trees))
	default:
		for _, tree := range trees {
			j.node(tree)
		}
	}
}

// unparsed reports an error of the grammar.
func (j *judge) unparsed(err error) {
	var syntax *syntaxError
	if !errors.As(err, &syntax) {
		j.refuseAt(0, "%v", err)
		return
	}
	do := "correct it, or end the statement before it with a semicolon: the grammar is that of PostgreSQL 17"
	if at := syntax.offset; at >= 0 && at < len(j.text) {
		switch rest := j.text[at:]; {
		case rest[0] == ':', strings.HasPrefix(rest, "${"), strings.HasPrefix(rest, "{{"):
			do = "placeholders are not replaced in scripts: write current_setting('provisioner.tenant_id') for a value " +
				"of the request"
		case strings.HasPrefix(syntax.what, "unterminated"):
			do = "end it"
		}
	}
	// What is unterminated is quoted up to the end of the file.
	what, _, cut := strings.Cut(syntax.what, "\n")
	if cut {
		what = strings.TrimRight(what, "\r") + `…"`
	}
	j.refuseAt(syntax.offset, "%s; %s", what, do)
}

// firstWord is what a line begins with, up to a space, in at most 20 characters.
func firstWord(line string) string {
	fields := strings.Fields(line)
	w := []rune(fields[0])
	return string(w[:min(len(w), 20)])
}
