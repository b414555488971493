package pgscript

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// createFunction judges CREATE FUNCTION and CREATE PROCEDURE.
func (j *judge) createFunction(f fields) {
	statement := j.at
	language, body, bodyAt := "", "", -1
	for _, node := range f.list("options") {
		_, option := typed(node)
		j.functionOption(option)
		_, arg := typed(option["arg"])
		switch option.text("defname") {
		case "language":
			language = arg.text("sval")
		case "as":
			bodyAt = option.number("location")
			if parts := stringsOf(arg.list("items")); len(parts) == 1 {
				body = parts[0]
			}
		}
	}
	rest := fields{}
	for field, value := range f {
		if field != "options" {
			rest[field] = value
		}
	}
	j.fieldsOf("", rest)
	j.at = statement
	j.body(language, body, bodyAt)
}

func (j *judge) alterFunction(f fields) {
	for _, node := range f.list("actions") {
		_, option := typed(node)
		j.functionOption(option)
	}
	j.fieldsOf("", fields{"func": f["func"]})
}

// functionOption judges what CREATE FUNCTION and ALTER FUNCTION say of a function.
func (j *judge) functionOption(option fields) {
	defer func(at int) { j.at = at }(j.at)
	j.at = max(option.number("location"), 0)
	_, arg := typed(option["arg"])
	switch option.text("defname") {
	case "security":
		if arg.flag("boolval") {
			j.refuse("SECURITY DEFINER gives the service's rights to each caller; delete it, and GRANT what callers need")
		}
	case "set":
		name := arg.text("name")
		switch {
		case arg.text("kind") == "VAR_SET_CURRENT":
			j.refuse("SET %s FROM CURRENT pins what the service has set, such as the name of a schema that is renamed "+
				"later; delete it", name)
		case arg.text("kind") == "VAR_RESET" || arg.text("kind") == "VAR_RESET_ALL":
		case !mayBeLocal(name):
			j.refuse("SET %s of a function changes where or how it runs; delete it: %s", name, whatMayBeSet)
		}
	case "support":
		j.refuse("SUPPORT names a function of the server's planner; delete it")
	}
}

// do judges a DO block.
func (j *judge) do(f fields) {
	statement := j.at
	language, body, bodyAt := "plpgsql", "", 0
	for _, node := range f.list("args") {
		_, option := typed(node)
		_, arg := typed(option["arg"])
		switch option.text("defname") {
		case "language":
			language = arg.text("sval")
		case "as":
			body, bodyAt = arg.text("sval"), option.number("location")
		}
	}
	j.at = statement
	j.body(language, body, bodyAt)
}

// body judges the body of a function, which is a string at or after an offset of the text; -1: it has none such.
func (j *judge) body(language, body string, at int) {
	switch language {
	case "sql", "plpgsql":
	case "":
		if at >= 0 {
			j.refuse("the function has no language; write LANGUAGE sql or LANGUAGE plpgsql")
		}
		return
	default:
		j.refuse("functions in %s act outside of the database's rules; write them in SQL or PL/pgSQL", language)
		return
	}
	if at < 0 {
		return
	}
	inner := j.within(place{text: body, line: j.lineAt(j.stringStart(at - j.before))})
	if language == "sql" {
		inner.script()
		return
	}
	inner.plpgsql(j.text)
}

// stringStart is where the content of the first string begins at or after an offset of the text.
func (j *judge) stringStart(at int) int {
	for at >= 0 && at < len(j.text) {
		t := nextToken(j.text, at)
		if t.kind == literal {
			return t.start + 1
		}
		at = t.end
	}
	return at
}

// plpgsql judges the body of a function or DO block in PL/pgSQL. statement is the whole statement.
func (j *judge) plpgsql(statement string) {
	if blocks(j.text) > maxBlocks {
		j.refuseAt(0, "%v", errTooDeep)
		return
	}
	tree, err := parseFunction(statement)
	if err != nil {
		var syntax *syntaxError
		if !errors.As(err, &syntax) {
			j.refuseAt(0, "%v", err)
			return
		}
		line := 1
		if m := nearLine.FindStringSubmatch(syntax.near); m != nil {
			line, _ = strconv.Atoi(m[1])
		}
		j.faults.add(j.nearestLine(line, syntax.what), "%s; correct it: the grammar is that of PL/pgSQL in PostgreSQL 17",
			syntax.what)
		return
	}
	j.plpgsqlNode(tree, 1)
}

var nearLine = regexp.MustCompile(` line (\d+)$`)

// quotedName is the name at which PL/pgSQL's grammar stops.
var quotedName = regexp.MustCompile(`"([^".]+)[^"]*"`)

// nearestLine is the file's line where the name in an error stands at or after a line of the body: PL/pgSQL's grammar
// reports the line of the statement before it.
func (j *judge) nearestLine(line int, what string) int {
	m := quotedName.FindStringSubmatch(what)
	for at := 0; m != nil && at < len(j.text); {
		t := nextToken(j.text, at)
		at = t.end
		if found := j.lineAt(t.start); found >= j.bodyLine(line) && t.name(j.text) == strings.ToLower(m[1]) {
			return found
		}
	}
	return j.bodyLine(line)
}

// bodyLine is the file's line of a line of the body, from 1.
func (j *judge) bodyLine(line int) int { return j.line + max(line, 1) - 1 }

// plpgsqlNode judges a node of PL/pgSQL and all below it. line is that of the body, from 1.
func (j *judge) plpgsqlNode(node any, line int) {
	switch n := node.(type) {
	case []any:
		for _, item := range n {
			j.plpgsqlNode(item, line)
		}
	case map[string]any:
		if typ, f := typed(n); typ != "" {
			j.plpgsqlTyped(typ, f, line)
			return
		}
		for _, value := range n {
			j.plpgsqlNode(value, line)
		}
	}
}

// dynamic are the fields, by their node, that hold an expression whose value is run as a statement.
var dynamic = map[string]string{
	"PLpgSQL_stmt_dynexecute": "query", "PLpgSQL_stmt_dynfors": "query", "PLpgSQL_stmt_open": "dynquery",
	"PLpgSQL_stmt_return_query": "dynquery",
}

func (j *judge) plpgsqlTyped(typ string, f fields, line int) {
	if n := f.number("lineno"); n > 0 {
		line = n
	}
	switch typ {
	case "PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback":
		j.faults.add(j.bodyLine(line), "%s", transaction)
	case "PLpgSQL_expr":
		j.expression(f, line).eachStatement()
		return
	case "PLpgSQL_type":
		j.variableType(f.text("typname"), line)
		return
	}
	if field := dynamic[typ]; field != "" {
		if _, expr := typed(f[field]); expr != nil {
			j.expression(expr, line).execute()
		}
	}
	for _, value := range f {
		j.plpgsqlNode(value, line)
	}
}

// expression is the judge of a PLpgSQL_expr, made a statement of SQL.
func (j *judge) expression(f fields, line int) *judge {
	text := f.text("query")
	inner := j.within(place{line: j.bodyLine(line)})
	switch f.number("parseMode") {
	case 0: // a statement
	case 2: // an expression
		inner.before = len("SELECT ")
	default: // an assignment: 3 to 5, by the number of names in its target
		inner.before = len("SELECT ")
		value := assigned(text)
		inner.line += strings.Count(text[:value], "\n")
		text = text[value:]
	}
	inner.text = text
	return inner
}

// eachStatement judges the text, which is a statement or an expression.
func (j *judge) eachStatement() {
	trees, err := parseSQL("SELECT "[:j.before] + j.text)
	if err != nil {
		var syntax *syntaxError
		if errors.As(err, &syntax) && syntax.offset >= 0 {
			syntax.offset -= j.before
		}
		j.unparsed(err)
		return
	}
	for _, tree := range trees {
		j.node(tree)
	}
}

// assigned is the offset of the value in the text of an assignment.
func assigned(text string) int {
	brackets := 0
	for at := 0; at < len(text); {
		t := nextToken(text, at)
		at = t.end
		if t.kind != sign {
			continue
		}
		switch text[t.start] {
		case '[', '(':
			brackets++
		case ']', ')':
			brackets--
		case '=':
			if brackets == 0 {
				return t.end
			}
		}
	}
	return len(text)
}

// variableType judges the type of a variable, which PL/pgSQL keeps as text.
func (j *judge) variableType(name string, line int) {
	inner := j.within(place{text: name, line: j.bodyLine(line)})
	inner.before = len("SELECT NULL::")
	base := name
	percent := strings.LastIndexByte(name, '%')
	if percent >= 0 {
		base = name[:percent]
	}
	trees, err := parseSQL("SELECT NULL::" + base)
	if err != nil || percent >= 0 && strings.EqualFold(strings.TrimSpace(name[percent:]), "%type") {
		// A column's type; a name of two parts is a column of a table, or a field of a variable.
		var parts []string
		for at := 0; at < len(base); {
			t := nextToken(base, at)
			at = t.end
			if t.kind == word || t.kind == quoted {
				parts = append(parts, t.name(base))
			}
		}
		inner.before = 0
		inner.name(withoutLast(parts))
		return
	}
	for _, tree := range trees {
		inner.node(tree)
	}
}
