package pgscript

import (
	"regexp"
	"slices"
	"strings"
)

// piece is a statement of a text: its bytes from the first token to the last one before the semicolon.
type piece struct{ start, end int }

// split separates the statements of a text, as psql does: at semicolons outside of strings, parentheses and the bodies
// of CREATE FUNCTION ... BEGIN ATOMIC. It returns the offset of each backslash outside of strings too: it begins a
// command of psql, which ends with its line. The statement before it on the line, which has no semicolon, is left out.
func split(text string) (pieces []piece, commands []int) {
	p := piece{start: -1}
	var first []string // up to four words that the statement begins with
	parens, begins := 0, 0
	finish := func(keep bool) {
		if keep && p.start >= 0 {
			pieces = append(pieces, p)
		}
		p, first, parens, begins = piece{start: -1}, nil, 0, 0
	}
	for at := 0; at < len(text); {
		t := nextToken(text, at)
		at = t.end
		switch t.kind {
		case blank:
			continue
		case backslash:
			commands = append(commands, t.start)
			finish(false)
			if end := strings.IndexAny(text[at:], "\r\n"); end >= 0 {
				at += end
			} else {
				at = len(text)
			}
			continue
		case sign:
			switch text[t.start] {
			case '(':
				parens++
			case ')':
				parens = max(parens-1, 0)
			case ';':
				if parens == 0 && begins == 0 {
					copies := p.start >= 0 && copyFromStdin.MatchString(text[p.start:p.end])
					finish(true)
					if copies {
						at += copyDataEnd(text[at:])
					}
					continue
				}
			}
		case word:
			w := t.lower(text)
			if len(first) < 4 {
				first = append(first, w)
			}
			if parens == 0 && createsRoutine(first) {
				switch {
				case w == "begin", w == "case" && begins > 0:
					begins++
				case w == "end":
					begins = max(begins-1, 0)
				}
			}
		case quoted, literal:
		}
		if p.start < 0 {
			p.start = t.start
		}
		p.end = t.end
	}
	finish(true)
	return pieces, commands
}

// copyFromStdin is a statement that psql gives the lines after it, up to one that is \. alone.
var copyFromStdin = regexp.MustCompile(`(?is)^copy\s.*\sfrom\s+stdin\b`)

var copyEnd = regexp.MustCompile(`(?m)^\\\.\r?$`)

// copyDataEnd is the length of the rows of a COPY. They are no statements: whatever they are, COPY itself is refused.
func copyDataEnd(text string) int {
	if end := copyEnd.FindStringIndex(text); end != nil {
		return end[1]
	}
	return len(text)
}

// createsRoutine: a statement that begins with these words may have a body of statements.
func createsRoutine(words []string) bool {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "or" || w == "replace" })
	return len(words) > 1 && words[0] == "create" && (words[1] == "function" || words[1] == "procedure")
}
