package sqlite

import (
	"slices"
	"strings"
)

// script is an initialisation script in statements.
type script struct {
	name       string // of its file
	prepare    bool   // it depends on no value of a request
	statements []statement
}

// statement is one statement of a script.
type statement struct {
	line int    // where it begins, after blanks and comments; the first line is 1
	text string // with its semicolon
}

// tokenKind is the kind of a token of SQL.
type tokenKind int

const (
	blank      tokenKind = iota // blanks or a comment
	word                        // a keyword, a name without quotes, or a number
	quotedName                  // "name", [name] or `name`
	semicolon
	other // a text, an operator, a parenthesis
)

// nextToken returns the kind and the length of the token at the beginning of a text that is not empty. It follows
// SQLite's own rules: https://www.sqlite.org/c3ref/complete.html. A token without its end reaches to the end of the
// text.
func nextToken(text string) (kind tokenKind, length int) {
	// until is the length up to the end mark, from the position at which it may begin.
	until := func(from int, mark string) int {
		if i := strings.Index(text[from:], mark); i >= 0 {
			return from + i + len(mark)
		}
		return len(text)
	}
	switch c := text[0]; {
	case c == ';':
		return semicolon, 1
	case isBlank(c):
		for length < len(text) && isBlank(text[length]) {
			length++
		}
		return blank, length
	case strings.HasPrefix(text, "--"):
		return blank, until(2, "\n")
	case strings.HasPrefix(text, "/*"):
		return blank, until(2, "*/")
	case c == '\'': // a doubled quote in it begins another token, which changes nothing here
		return other, until(1, "'")
	case c == '"', c == '`':
		return quotedName, until(1, text[:1])
	case c == '[':
		return quotedName, until(1, "]")
	case isWord(c):
		for length < len(text) && isWord(text[length]) {
			length++
		}
		return word, length
	}
	return other, 1
}

func isBlank(c byte) bool { return strings.IndexByte(" \t\n\f\r", c) >= 0 }

// splitScript splits a script into its statements. Text without a statement at the end, such as a comment, is dropped.
func splitScript(text string) (all []statement) {
	line, begin, beginLine := 1, -1, 0
	var progress statementEnd
	for at := 0; at < len(text); {
		kind, length := nextToken(text[at:])
		token := text[at : at+length]
		if kind != blank && begin < 0 {
			begin, beginLine = at, line
		}
		at += length
		line += strings.Count(token, "\n")
		if kind == blank || !progress.ends(kind, token) {
			continue
		}
		if text[begin:at] != ";" {
			all = append(all, statement{beginLine, text[begin:at]})
		}
		begin, progress = -1, atBegin
	}
	if begin >= 0 {
		all = append(all, statement{beginLine, text[begin:]})
	}
	return all
}

// statementEnd is the part of a statement that has been read, as far as it decides which semicolon ends it: in CREATE
// TRIGGER it is the one after END, where END follows another semicolon.
type statementEnd int

const (
	atBegin     statementEnd = iota
	inExplain                // after EXPLAIN, which QUERY PLAN may follow
	inCreate                 // after CREATE, which TRIGGER may follow
	inOrdinary               // the next semicolon ends it
	inTrigger                // in CREATE TRIGGER
	afterAction              // after a semicolon in it
	afterEnd                 // after END there
)

// ends reads a token that is not blank, and reports whether it ends the statement.
func (e *statementEnd) ends(kind tokenKind, token string) bool {
	is := func(keyword string) bool { return kind == word && strings.EqualFold(token, keyword) }
	switch {
	case kind == semicolon && *e == inTrigger:
		*e = afterAction
	case kind == semicolon:
		return *e != afterAction
	case *e == atBegin && is("EXPLAIN"):
		*e = inExplain
	case (*e == atBegin || *e == inExplain) && is("CREATE"):
		*e = inCreate
	case *e == inExplain && !slices.ContainsFunc([]string{"EXPLAIN", "TEMP", "TEMPORARY", "TRIGGER", "END"}, is):
	case *e == inCreate && (is("TEMP") || is("TEMPORARY")):
	case *e == inCreate && is("TRIGGER"):
		*e = inTrigger
	case *e == afterAction && is("END"):
		*e = afterEnd
	case *e == afterAction, *e == afterEnd:
		*e = inTrigger
	case *e != inTrigger:
		*e = inOrdinary
	}
	return false
}

// calls reports whether the SQL of an object calls the function, or has an object of that name followed by a
// parenthesis.
func calls(text, function string) bool {
	named := false
	for text != "" {
		kind, length := nextToken(text)
		token := text[:length]
		text = text[length:]
		switch {
		case kind == blank:
		case kind == other && token == "(" && named:
			return true
		case kind == quotedName && length > 2:
			named = strings.EqualFold(token[1:length-1], function)
		default:
			named = kind == word && strings.EqualFold(token, function)
		}
	}
	return false
}
