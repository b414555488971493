package sqlite

import (
	"context"
	databasesql "database/sql"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

type scanner interface{ Scan(dest ...any) error }

// querier is a database, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*databasesql.Rows, error)
}

// collect reads all rows of a query.
func collect[T any](
	ctx context.Context, from querier, query string, read func(scanner) (T, error), args ...any,
) (_ []T, err error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all []T
	for rows.Next() {
		one, err := read(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// names are the names of the definition's tables and indexes, as a JSON array. What has another name is not read: DocEX
// never sees it, and a view or a virtual table can be one that nothing can read.
var names = func() string {
	var all []string
	for _, t := range sql.Tables {
		all = append(all, t.Name)
	}
	for _, x := range sql.Indexes {
		all = append(all, x.Name)
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // texts can be marshalled
	}
	return string(text)
}()

// inspect compares a file with the definition, using SQLite's catalogue.
func inspect(ctx context.Context, from querier) (pipeline.Inspection, error) {
	tables := tableSet{}
	for _, read := range []func(context.Context, querier) error{
		tables.readColumns, tables.readIndexes, tables.readForeignKeys, tables.readTriggers,
	} {
		if err := read(ctx, from); err != nil {
			return pipeline.Inspection{}, err
		}
	}
	found := make([]sql.Found, 0, len(tables))
	for _, t := range tables {
		found = append(found, *t)
	}
	return sql.Compare(found, remedies), nil
}

var remedies = sql.Remedies{
	Widen:  func(string, []string) string { return "; SQLite enforces no length, so nothing is lost" },
	Create: func(x sql.Index) string { return "CREATE INDEX " + x.Name + " ON " + x.Table + " (" + x.Column + ")" },
	Free: func(name, kind string) string {
		if strings.HasSuffix(kind, "table") {
			return "ALTER TABLE " + name + " RENAME TO " + name + "_old"
		}
		return "DROP " + strings.ToUpper(kind) + " " + name // a view or an index holds no rows
	},
}

// tableSet contains the tables found so far, by name.
type tableSet map[string]*sql.Found

// table returns the table of that name, which SQLite compares without regard to case.
func (s tableSet) table(name string) *sql.Found {
	name = strings.ToLower(name)
	if s[name] == nil {
		s[name] = &sql.Found{Name: name}
	}
	return s[name]
}

// quotedText matches a text or a quoted name in SQL.
const quotedText = "'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\\[[^\\]]*\\]"

var (
	// quotedOrComment matches what may contain the words of a clause without being one.
	quotedOrComment = regexp.MustCompile(`(?s)` + quotedText + `|--[^\n]*|/\*.*?\*/`)
	quotedOnly      = regexp.MustCompile(`(?s)` + quotedText)
	// quotedOrCollation captures the name of a collation.
	quotedOrCollation = regexp.MustCompile(`(?is)\bCOLLATE\s*(` + quotedText + `|[^\s,()]+)|` + quotedText)
	check             = regexp.MustCompile(`(?i)\bCHECK\s*\(`)
	// A clause such as ON CONFLICT IGNORE drops rows, or replaces others.
	onConflict = regexp.MustCompile(`(?i)\bON\s+CONFLICT\b`)
	// Only this spelling defers a foreign key: https://www.sqlite.org/foreignkeys.html#fk_deferred
	deferred = regexp.MustCompile(`(?i)(\bNOT\s+)?\bDEFERRABLE\s+INITIALLY\s+DEFERRED\b`)
)

// clauses returns what only the SQL of a table shows.
func clauses(definition string) (found []string) {
	upper := strings.ToUpper(definition)
	if !slices.ContainsFunc([]string{"CHECK", "CONFLICT", "DEFERRED", "COLLATE"}, func(word string) bool {
		return strings.Contains(upper, word)
	}) {
		return nil // the expressions take longer than the rest of the inspection
	}
	text := quotedOrComment.ReplaceAllStringFunc(definition, func(match string) string {
		if strings.HasPrefix(match, "--") || strings.HasPrefix(match, "/*") {
			return " "
		}
		return match
	})
	var collations []string
	for _, m := range quotedOrCollation.FindAllStringSubmatch(text, -1) {
		name := strings.ToUpper(strings.Trim(m[1], "'\"`[]"))
		if name != "" && name != bytewise && !slices.Contains(collations, name) {
			collations = append(collations, name)
		}
	}
	text = quotedOnly.ReplaceAllString(text, "''")
	if check.MatchString(text) {
		found = append(found, "a CHECK constraint")
	}
	if onConflict.MatchString(text) {
		found = append(found, "an ON CONFLICT clause")
	}
	if slices.ContainsFunc(deferred.FindAllStringSubmatch(text, -1), func(m []string) bool { return m[1] == "" }) {
		found = append(found, "a DEFERRABLE INITIALLY DEFERRED foreign key")
	}
	if len(collations) > 0 {
		found = append(found, "COLLATE "+strings.Join(collations, ", "))
	}
	return found
}

func (s tableSet) readColumns(ctx context.Context, from querier) error {
	type column struct {
		table, kind, text    string
		withoutRowid, strict bool
		sql.FoundColumn
		generated   bool
		defaultText databasesql.NullString
		key         int
	}
	columns, err := collect(ctx, from, q.InspectColumns, func(row scanner) (c column, err error) {
		err = row.Scan(&c.table, &c.kind, &c.text, &c.withoutRowid, &c.strict, &c.Name, &c.Type, &c.generated, &c.NotNull,
			&c.defaultText, &c.key)
		return c, err
	}, names)
	if err != nil {
		return err
	}
	for _, c := range columns {
		t := s.table(c.table)
		if c.kind != "table" {
			t.Kind = c.kind
			continue
		}
		if len(t.Columns) == 0 { // the first of this table
			t.Others = append(t.Others, clauses(c.text)...)
			if c.strict {
				t.Weak = append(t.Weak, "STRICT: it refuses values of other types")
			}
			if c.withoutRowid {
				t.Notes = append(t.Notes, "WITHOUT ROWID: it is stored otherwise; tools that need a rowid fail")
			}
		}
		c.Name, c.Type = strings.ToLower(c.Name), typeName(c.Type)
		if c.generated {
			c.Refuses = "generated"
		}
		c.Default = defaultValue(c.defaultText, c.Type)
		t.Columns = append(t.Columns, c.FoundColumn)
		if c.key > 0 {
			t.PrimaryKey = append(t.PrimaryKey, c.Name)
		}
	}
	return nil
}

func (s tableSet) readIndexes(ctx context.Context, from querier) error {
	type part struct {
		table, index, origin string
		unique, partial      bool
		column, collation    databasesql.NullString
	}
	parts, err := collect(ctx, from, q.InspectIndexes, func(row scanner) (p part, err error) {
		err = row.Scan(&p.table, &p.index, &p.unique, &p.origin, &p.partial, &p.column, &p.collation)
		return p, err
	}, names)
	if err != nil {
		return err
	}
	for len(parts) > 0 {
		first, n := parts[0], 1
		for n < len(parts) && parts[n].table == first.table && parts[n].index == first.index {
			n++
		}
		whole, computed := !first.partial, first.partial
		var columns []string
		for _, p := range parts[:n] {
			whole = whole && p.column.Valid && p.collation.String == bytewise
			computed = computed || !p.column.Valid
			columns = append(columns, strings.ToLower(p.column.String))
		}
		parts = parts[n:]
		t := s.table(first.table)
		switch {
		case first.origin == "pk" && whole:
		case first.unique && whole:
			t.Unique = append(t.Unique, columns)
		case first.unique:
			t.Others = append(t.Others, "unique index "+first.index)
		case whole:
			t.Indexes = append(t.Indexes, sql.FoundIndex{Name: strings.ToLower(first.index), Columns: columns})
		case computed && !sql.IsIndex(strings.ToLower(first.index)): // of the definition's, Compare reports it as missing
			t.Notes = append(t.Notes, sql.ComputedIndex(first.index))
		}
	}
	return nil
}

func (s tableSet) readForeignKeys(ctx context.Context, from querier) error {
	type part struct {
		table            string
		number           int
		key              sql.ForeignKey
		target           databasesql.NullString
		onUpdate, action string
	}
	parts, err := collect(ctx, from, q.InspectForeignKeys, func(row scanner) (p part, err error) {
		err = row.Scan(&p.table, &p.number, &p.key.Column, &p.key.Table, &p.target, &p.onUpdate, &p.action)
		return p, err
	}, names)
	if err != nil {
		return err
	}
	columns := map[string]map[int]int{}
	for _, p := range parts {
		if columns[p.table] == nil {
			columns[p.table] = map[int]int{}
		}
		columns[p.table][p.number]++
	}
	for _, p := range parts {
		t := s.table(p.table)
		if columns[p.table][p.number] > 1 || p.onUpdate != "NO ACTION" {
			t.Others = append(t.Others, "foreign key over "+p.key.Column+" (composite or on update)")
			continue
		}
		p.key.Column, p.key.Table = strings.ToLower(p.key.Column), strings.ToLower(p.key.Table)
		if p.target.Valid && !strings.EqualFold(p.target.String, "id") {
			p.key.Table += " (" + p.target.String + ")"
		}
		p.key.OnDelete = strings.ToLower(p.action)
		t.ForeignKeys = append(t.ForeignKeys, p.key)
	}
	return nil
}

func (s tableSet) readTriggers(ctx context.Context, from querier) error {
	_, err := collect(ctx, from, q.InspectTriggers, func(row scanner) (_ struct{}, err error) {
		var table, name string
		if err = row.Scan(&table, &name); err == nil {
			t := s.table(table)
			t.Others = append(t.Others, "trigger "+name)
		}
		return struct{}{}, err
	}, names)
	return err
}

// bytewise is the collation of columns without another.
const bytewise = "BINARY"

// aliases are other names of types, without their blanks. SQLite gives each the affinity of the type it stands for.
var aliases = map[string]string{
	"datetime": sql.Timestamp, "timestampwithouttimezone": sql.Timestamp,
	"timestamptz": sql.TimestampTZ, "timestampwithtimezone": sql.TimestampTZ,
	"char(32)": sql.UUID, "bool": sql.Boolean, "int": sql.Integer, "int8": sql.Bigint,
}

// typeName returns a declared type in the definition's spelling.
func typeName(declared string) string {
	name := strings.ToLower(strings.ReplaceAll(declared, " ", ""))
	if alias, ok := aliases[name]; ok {
		return alias
	}
	return strings.Replace(name, "charactervarying", "varchar", 1)
}

var textDefault = regexp.MustCompile(`^'(?:[^']|'')*'$`)

// defaultValue returns a default in the definition's spelling.
func defaultValue(text databasesql.NullString, typ string) string {
	value := strings.TrimSpace(text.String)
	upper := strings.ToUpper(value)
	switch {
	case !text.Valid, strings.Trim(upper, "( )") == "NULL":
		return ""
	case textDefault.MatchString(value): // it may contain the name of a function
		return "'" + strings.ReplaceAll(value[1:len(value)-1], "''", "'")
	case strings.Contains(upper, "CURRENT_TIMESTAMP") || strings.Contains(upper, "'NOW'"):
		return sql.DefaultNow
	case typ == sql.Boolean && (value == "1" || upper == "TRUE"):
		return "true"
	case typ == sql.Boolean && (value == "0" || upper == "FALSE"):
		return "false"
	}
	return sql.DefaultExpression(value)
}
