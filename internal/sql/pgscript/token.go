package pgscript

import "strings"

// kind is what a token is, as far as splitting a script needs it.
type kind int

const (
	blank     kind = iota // white space, or a comment
	word                  // a keyword, a name without quotes, a number
	quoted                // "a name"
	literal               // 'a string', E'one', $$one$$
	backslash             // outside of strings: a command of psql
	sign                  // one character of anything else
)

// token is a part of a text: its bytes from start to end.
type token struct {
	kind       kind
	start, end int
}

func (t token) lower(text string) string { return strings.ToLower(text[t.start:t.end]) }

// name is the name that a word or quoted token stands for.
func (t token) name(text string) string {
	if t.kind == quoted {
		return strings.ReplaceAll(strings.Trim(text[t.start:t.end], `"`), `""`, `"`)
	}
	return t.lower(text)
}

// nextToken is the token at an offset of the text, by the rules of PostgreSQL's scanner with
// standard_conforming_strings. What does not end, ends with the text.
func nextToken(text string, at int) token {
	rest := text[at:]
	is := func(k kind, length int) token { return token{k, at, at + length} }
	c := rest[0]
	switch {
	case isSpace(c):
		return is(blank, len(rest)-len(strings.TrimLeft(rest, " \t\n\r\f\v")))
	case strings.HasPrefix(rest, "--"):
		if end := strings.IndexAny(rest, "\r\n"); end >= 0 {
			return is(blank, end)
		}
		return is(blank, len(rest))
	case strings.HasPrefix(rest, "/*"):
		return is(blank, commentEnd(rest))
	case c == '\'':
		return is(literal, quoteEnd(rest, 0, '\'', false))
	case (c == 'e' || c == 'E') && len(rest) > 1 && rest[1] == '\'':
		return is(literal, escapedEnd(rest))
	case c == '"':
		return is(quoted, quoteEnd(rest, 0, '"', false))
	case c == '$':
		if tag := dollarTag(rest); tag != "" {
			end := strings.Index(rest[len(tag):], tag)
			if end < 0 {
				return is(literal, len(rest))
			}
			return is(literal, end+2*len(tag))
		}
		return is(sign, 1)
	case c == '\\':
		return is(backslash, 1)
	case isWordStart(c) || isDigit(c):
		n := 1
		for n < len(rest) && (isWordStart(rest[n]) || isDigit(rest[n]) || rest[n] == '$' && isWordStart(c)) {
			n++
		}
		return is(word, n)
	}
	return is(sign, 1)
}

func isSpace(c byte) bool     { return strings.IndexByte(" \t\n\r\f\v", c) >= 0 }
func isDigit(c byte) bool     { return '0' <= c && c <= '9' }
func isWordStart(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

// commentEnd is the length of the comment that the text begins with. Comments nest.
func commentEnd(text string) int {
	open := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			open++
			i++
		case strings.HasPrefix(text[i:], "*/"):
			open--
			i++
			if open == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// quoteEnd is where the quote ends that opens at an offset of the text.
func quoteEnd(text string, at int, quote byte, escapes bool) int {
	for i := at + 1; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] != quote:
		case i+1 < len(text) && text[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(text)
}

// escapedEnd is the length of the E'string' that the text begins with. It goes on in a 'string' of a later line.
func escapedEnd(text string) int {
	end := quoteEnd(text, 1, '\'', true)
	for {
		next := end
		for next < len(text) && (isSpace(text[next]) || strings.HasPrefix(text[next:], "--")) {
			next = nextToken(text, next).end
		}
		if next == len(text) || text[next] != '\'' || !strings.ContainsAny(text[end:next], "\r\n") {
			return end
		}
		end = quoteEnd(text, next, '\'', true)
	}
}

// dollarTag is the tag, such as $$ or $body$, that the text begins with.
func dollarTag(text string) string {
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '$':
			return text[:i+1]
		case !isWordStart(c) && (!isDigit(c) || i == 1):
			return ""
		}
	}
	return ""
}

// skipBlank is the offset of the first token at or after an offset that is not blank.
func skipBlank(text string, at int) int {
	for at < len(text) {
		t := nextToken(text, at)
		if t.kind != blank {
			break
		}
		at = t.end
	}
	return at
}
