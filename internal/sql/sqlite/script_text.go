package sqlite

import (
	"iter"
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

// nextToken returns the kind and the length of the token at the beginning of a text that is not empty. A token without
// its end reaches to the end of the text. It sees the keywords that SQLite's own search for the end of a statement
// sees: https://www.sqlite.org/c3ref/complete.html.
func nextToken(text string) (kind tokenKind, length int) {
	switch c := text[0]; {
	case c == ';':
		return semicolon, 1
	case isBlank(c):
		for length < len(text) && isBlank(text[length]) {
			length++
		}
		return blank, length
	case strings.HasPrefix(text, "--"):
		return blank, endOf(text, 2, "\n")
	case strings.HasPrefix(text, "/*"):
		return blank, endOf(text, 2, "*/")
	case c == '\'':
		return other, endOfQuoted(text, c)
	case c == '"', c == '`':
		return quotedName, endOfQuoted(text, c)
	case c == '[':
		return quotedName, endOf(text, 1, "]")
	case (c == 'x' || c == 'X') && strings.HasPrefix(text[1:], "'"):
		return other, 1 + endOfQuoted(text[1:], '\'')
	case isWord(c):
		return word, endOfWord(text)
	}
	for _, operator := range operators {
		if strings.HasPrefix(text, operator) {
			return other, len(operator)
		}
	}
	return other, 1
}

// tokensOf returns the tokens of a text with their kinds.
func tokensOf(text string) iter.Seq2[tokenKind, string] {
	return func(yield func(tokenKind, string) bool) {
		for text != "" {
			kind, length := nextToken(text)
			if !yield(kind, text[:length]) {
				return
			}
			text = text[length:]
		}
	}
}

// operators are those of several characters, longer ones first.
var operators = []string{"->>", "->", "<>", "<=", "<<", ">=", ">>", "==", "!=", "||"}

// endOf returns the position behind the first mark from a position on, or the length of the text.
func endOf(text string, from int, mark string) int {
	if i := strings.Index(text[from:], mark); i >= 0 {
		return from + i + len(mark)
	}
	return len(text)
}

// endOfQuoted returns the position behind a quoted text, in which the quote is doubled.
func endOfQuoted(text string, quote byte) int {
	for i := 1; i < len(text); i++ {
		if text[i] != quote {
			continue
		}
		if i+1 == len(text) || text[i+1] != quote {
			return i + 1
		}
		i++
	}
	return len(text)
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// endOfWord returns the position behind a word or a number. Only a number has dots, and the sign of an exponent; a
// letter behind such a dot begins a word.
func endOfWord(text string) int {
	number := isDigit(text[0])
	exponent := number && !strings.HasPrefix(fold(text[:min(2, len(text))]), "0x")
	for i := 1; i < len(text); i++ {
		c, digit := text[i], i+1 < len(text) && isDigit(text[i+1])
		switch {
		case number && c == '.':
			if i+1 < len(text) && isWord(text[i+1]) && !digit {
				return i + 1
			}
		case exponent && digit && (c == '+' || c == '-') && (text[i-1] == 'e' || text[i-1] == 'E'):
		case !isWord(c):
			return i
		}
	}
	return len(text)
}

func isBlank(c byte) bool { return strings.IndexByte(" \t\n\f\r", c) >= 0 }

// splitScript splits a script into its statements. Text without a statement at the end, such as a comment, is dropped.
func splitScript(text string) (all []statement) {
	line, begin, beginLine := 1, -1, 0
	var progress statementEnd
	at := 0
	for kind, token := range tokensOf(text) {
		if kind != blank && begin < 0 {
			begin, beginLine = at, line
		}
		at += len(token)
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
	for kind, token := range tokensOf(text) {
		switch {
		case kind == blank:
		case kind == other && token == "(" && named:
			return true
		case kind == quotedName && len(token) > 2:
			named = strings.EqualFold(unquote(token), function)
		default:
			named = kind == word && strings.EqualFold(token, function)
		}
	}
	return false
}
