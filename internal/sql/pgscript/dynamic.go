package pgscript

import (
	"regexp"
	"strings"
)

// computed stands in a parsed text for a name or value that the script computes.
const computed = "provisioner_computed"

func isComputed(name string) bool { return strings.HasPrefix(name, computed) }

// execute judges the text that an expression of PL/pgSQL makes, and EXECUTE runs, as far as it is constant.
func (j *judge) execute() {
	trees, err := parseSQL("SELECT " + j.text)
	if err != nil || len(trees) != 1 {
		return // reported where the expression itself is judged
	}
	_, query := typed(trees[0])
	targets := query.list("targetList")
	if len(targets) != 1 {
		return
	}
	_, target := typed(targets[0])
	text, exact := madeText(target["val"])
	first := j.lineAt(j.stringStart(0))
	inner := j.within(place{text: text, line: first})
	if !exact {
		if _, err := parseSQL(text); err != nil {
			return // what is computed is more than a name or a value
		}
	}
	inner.script()
}

// madeText is the text that an expression makes. exact: it is a constant; otherwise [computed] stands for the rest.
func madeText(node any) (text string, exact bool) {
	if text, ok := constantString(node); ok {
		return text, true
	}
	switch typ, f := typed(node); typ {
	case "A_Expr":
		if operator := stringsOf(f.list("name")); len(operator) == 1 && operator[0] == "||" {
			left, leftExact := madeText(f["lexpr"])
			right, rightExact := madeText(f["rexpr"])
			return left + right, leftExact && rightExact
		}
	case "TypeCast":
		return madeText(f["arg"])
	case "FuncCall":
		return madeByCall(f)
	}
	return computed, false
}

func madeByCall(f fields) (text string, exact bool) {
	parts, args := stringsOf(f.list("funcname")), f.list("args")
	if len(parts) == 0 || len(args) == 0 {
		return computed, false
	}
	switch parts[len(parts)-1] {
	case "format":
		if template, ok := constantString(args[0]); ok {
			return formatted(template), false
		}
	case "quote_literal", "quote_nullable":
		return "'" + computed + "'", false
	case "concat":
		var all strings.Builder
		exact := true
		for _, arg := range args {
			text, constant := madeText(arg)
			all.WriteString(text)
			exact = exact && constant
		}
		return all.String(), exact
	}
	return computed, false
}

// conversion is one of format()'s conversions: %, position, flags, width, type.
var conversion = regexp.MustCompile(`%(?:\d+\$)?-?(?:\d+|\*(?:\d+\$)?)?([sIL%])`)

// formatted is the text that format() makes of a template.
func formatted(template string) string {
	return conversion.ReplaceAllStringFunc(template, func(c string) string {
		switch c[len(c)-1] {
		case '%':
			return "%"
		case 'L':
			return "'" + computed + "'"
		}
		return computed
	})
}
