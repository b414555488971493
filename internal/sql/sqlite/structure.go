package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/tenant-provisioner/internal/sql/structure"
)

// readStructure reads everything in a file. SQLite's pragmas do not return all of a definition, such as its CHECK
// clauses. What they do not return is compared by its text, without comments, blanks and the case of words that are not
// quoted. Names are compared without regard to case, as SQLite does.
func readStructure(ctx context.Context, from querier) (structure.Structure, error) {
	definitions := map[string]tableDefinition{}
	objects, err := collect(ctx, from, q.Structure, func(row scanner) (o structure.Object, err error) {
		var table, text, indexKind string
		var withoutRowid, strict bool
		if err := row.Scan(&o.Kind, &o.Name, &table, &text, &indexKind, &withoutRowid, &strict); err != nil {
			return o, err
		}
		o.Name = fold(o.Name)
		tokens := tokenize(text)
		set := func(name, value string) {
			o.Properties = append(o.Properties, structure.Property{Name: name, Value: value})
		}
		switch o.Kind {
		case "table":
			d := parseTable(tokens)
			definitions[o.Name] = d
			set(structure.Constraints, strings.Join(d.constraints, ", "))
			set("WITHOUT ROWID", yesIf(withoutRowid))
			set("STRICT", yesIf(strict))
		case "index", "trigger":
			o.Parent = fold(table)
			fallthrough
		default:
			set(structure.Definition, strings.Join(tokens, " "))
			set(structure.IndexKind, indexKind)
		}
		return o, nil
	})
	if err != nil {
		return structure.Structure{}, fmt.Errorf("read the structure: %w", err)
	}
	columns, err := collect(ctx, from, q.StructureColumns, func(row scanner) (o structure.Object, err error) {
		var typ, value string
		var notNull bool
		var generated int
		if err := row.Scan(&o.Parent, &o.Place, &o.Name, &typ, &notNull, &value, &generated); err != nil {
			return o, err
		}
		o.Kind, o.Parent, o.Name = structure.Column, fold(o.Parent), fold(o.Name)
		o.Properties = []structure.Property{
			{Name: structure.Type, Value: typeName(typ)},
			{Name: structure.NotNull, Value: yesIf(notNull)},
			{Name: structure.Default, Value: normalize(value)},
			{Name: structure.Generated, Value: map[int]string{2: "virtual", 3: "stored"}[generated]},
			{Name: structure.Constraints, Value: definitions[o.Parent].columns[o.Name]},
		}
		return o, nil
	})
	if err != nil {
		return structure.Structure{}, fmt.Errorf("read the structure: %w", err)
	}
	return structure.New(append(objects, columns...), nil), nil
}

func yesIf(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

// fold returns a name in the form in which SQLite compares it: only ASCII letters have no case.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, name)
}

// tableDefinition is what the text of a CREATE TABLE has in addition to what the pragmas return.
type tableDefinition struct {
	columns     map[string]string // the clauses of each column, except its type, NOT NULL and DEFAULT
	constraints []string          // of the table, sorted: ALTER TABLE ADD COLUMN can put a column behind them
}

// parseTable splits CREATE TABLE name (…). SQLite stores no other form, not even for CREATE TABLE … AS SELECT.
func parseTable(tokens []string) tableDefinition {
	d := tableDefinition{columns: map[string]string{}}
	begin := slices.Index(tokens, "(")
	if begin < 0 {
		return d
	}
	depth, from := 0, begin+1
	for i := begin; i < len(tokens); i++ {
		switch tokens[i] {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 || depth == 1 && tokens[i] == "," {
			d.addItem(tokens[from:i])
			from = i + 1
		}
		if depth == 0 {
			break
		}
	}
	slices.Sort(d.constraints)
	return d
}

// addItem adds a column or a constraint of the table.
func (d *tableDefinition) addItem(tokens []string) {
	switch {
	case len(tokens) == 0:
	case slices.Contains([]string{"constraint", "primary", "unique", "check", "foreign"}, tokens[0]):
		d.constraints = append(d.constraints, strings.Join(tokens, " "))
	default:
		d.columns[fold(unquote(tokens[0]))] = columnClauses(tokens[1:])
	}
}

// columnClauses returns the clauses behind a column's name, without its type, NOT NULL and DEFAULT.
func columnClauses(tokens []string) string {
	var kept []string
	from, depth := len(tokens), 0 // where the last clause begins
	end := func(to int) {
		if from < to {
			if clause := tokens[from:to]; clause[0] != "default" && !slices.Equal(clause, []string{"not", "null"}) {
				kept = append(kept, clause...)
			}
		}
		from = to
	}
	for i, token := range tokens {
		switch token {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 && beginsClause(tokens[:i], token) {
			end(i)
		}
	}
	end(len(tokens))
	return strings.Join(kept, " ")
}

// beginsClause reports whether a word begins a clause of a column. Some words also end a clause: NOT NULL, DEFAULT
// NULL, ON DELETE SET DEFAULT, GENERATED ALWAYS AS.
func beginsClause(before []string, word string) bool {
	last := ""
	if len(before) > 0 {
		last = before[len(before)-1]
	}
	switch word {
	case "null", "default":
		return last != "not" && last != "set" && last != "default"
	case "as":
		return last != "always"
	}
	return last != "constraint" && slices.Contains([]string{
		"constraint", "primary", "not", "unique", "check", "collate", "references", "generated",
	}, word)
}

// normalize returns SQL with one blank between its tokens.
func normalize(text string) string { return strings.Join(tokenize(text), " ") }

// tokenize splits SQL. Words that are not quoted are in lower case. Names in brackets and backticks are in double
// quotes. Nothing else that is quoted is changed: SQLite takes a text in double quotes for a string if no name fits.
func tokenize(text string) (tokens []string) {
	for kind, token := range tokensOf(text) {
		switch {
		case kind == blank:
			continue
		case token[0] == '[', token[0] == '`':
			token = `"` + strings.ReplaceAll(unquote(token), `"`, `""`) + `"`
		case token[0] == '\'', token[0] == '"':
		default:
			token = fold(token)
		}
		tokens = append(tokens, token)
	}
	return tokens
}

// unquote returns the name that a token is.
func unquote(token string) string {
	end := len(token) - 1
	if end < 1 {
		return token
	}
	switch c := token[0]; c {
	case '\'', '"', '`':
		return strings.ReplaceAll(token[1:end], string([]byte{c, c}), string(c))
	case '[':
		return token[1:end]
	}
	return token
}
