package pgscript

import (
	"errors"
	"regexp"
	"strings"
)

// unknownVariable is the library's error for v.x where v is a variable or argument of a composite type: it looks no
// types up, and takes v for a scalar.
var unknownVariable = regexp.MustCompile(`^"([^"]+)\.[^".]+" is not a known variable$`)

// parseFunction is [parsePLpgSQL]. It makes variables of composite types records, which have any field.
func parseFunction(statement string) (any, error) {
	for seen := map[string]bool{}; ; {
		tree, err := parsePLpgSQL(statement)
		var syntax *syntaxError
		if !errors.As(err, &syntax) {
			return tree, err
		}
		m := unknownVariable.FindStringSubmatch(syntax.what)
		if len(m) == 0 || seen[m[1]] {
			return tree, err
		}
		seen[m[1]] = true
		statement = withRecord(statement, m[1])
	}
}

// withRecord declares a variable, whose name may have labels in front, as a record: in place of its type, or for an
// argument at the start of the body. Lines stay as they are.
func withRecord(statement, name string) string {
	variable := name[strings.LastIndexByte(name, '.')+1:]
	start, end := bodyOf(statement)
	head, body, tail := statement[:start], statement[start:end], statement[end:]
	var made strings.Builder
	kept := 0
	declared := false
	for at, before := 0, ""; at < len(body); {
		t := nextToken(body, at)
		at = t.end
		if t.kind == blank {
			continue
		}
		if (t.kind == word || t.kind == quoted) && t.name(body) == variable && (before == ";" || before == "declare") {
			if from, to, ok := declaredType(body, at); ok {
				made.WriteString(body[kept:from] + "record")
				made.WriteString(strings.Repeat("\n", strings.Count(body[from:to], "\n")) + " ")
				kept, at, declared = to, to, true
			}
		}
		before = t.lower(body)
	}
	made.WriteString(body[kept:])
	if declared {
		return head + made.String() + tail
	}
	declaration := quoteName(variable) + " record; "
	at := skipBlank(body, 0)
	for strings.HasPrefix(body[at:], "<<") { // a label
		end := strings.Index(body[at:], ">>")
		if end < 0 {
			return statement
		}
		at = skipBlank(body, at+end+2)
	}
	if at == len(body) {
		return statement
	}
	if first := nextToken(body, at); first.lower(body) == "declare" {
		at = first.end
	} else {
		declaration = "DECLARE " + declaration
	}
	return head + body[:at] + " " + declaration + body[at:] + tail
}

// declaredType is where the type of a variable's declaration is, which goes on at an offset after the name.
func declaredType(body string, at int) (from, to int, ok bool) {
	from = -1
	for at < len(body) {
		t := nextToken(body, at)
		at = t.end
		text := t.lower(body)
		switch {
		case t.kind == blank, from < 0 && text == "constant":
			continue
		case text == ";", text == ":", text == "=", text == "default", text == "not", text == "collate":
			return from, to, from >= 0
		case from < 0 && (t.kind != word && t.kind != quoted || text == "alias" || text == "cursor"):
			return 0, 0, false
		case from < 0:
			from = t.start
		}
		to = t.end
	}
	return 0, 0, false
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// bodyOf is where the content of the statement's last string is, which is its body where it is in dollars.
func bodyOf(statement string) (start, end int) {
	for at := 0; at < len(statement); {
		t := nextToken(statement, at)
		at = t.end
		if t.kind != literal {
			continue
		}
		quote := 1
		if tag := dollarTag(statement[t.start:]); tag != "" && statement[t.start] == '$' {
			quote = len(tag)
		}
		if t.end-t.start >= 2*quote && t.end-t.start-2*quote > end-start {
			start, end = t.start+quote, t.end-quote
		}
	}
	return start, end
}
