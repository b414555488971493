package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// querier is a connection or a pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// inspect compares a schema with the definition. It needs one query, plus one for names if the schema has objects that
// the definition does not have.
func inspect(ctx context.Context, db querier, q queries, schema string) (pipeline.Inspection, error) {
	var rows rowsOfSchema
	// Binary format: parsing arrays of text in text format costs ten times as much.
	err := db.QueryRow(ctx, q.Inspect, pgx.QueryResultFormats{pgx.BinaryFormatCode}, schema, relationNames).Scan(
		&rows.relations, &rows.columns, &rows.defaults, &rows.constraints, &rows.indexes, &rows.triggers,
	)
	if err != nil {
		return pipeline.Inspection{}, fmt.Errorf("read the catalogue of schema %s: %w", schema, classify(err))
	}
	c := newCatalogue(rows)
	if err := c.nameStrangers(ctx, db, q.InspectNames, schema); err != nil {
		return pipeline.Inspection{}, fmt.Errorf("read the catalogue of schema %s: %w", schema, classify(err))
	}
	return sql.Compare(c.found()), nil
}

// relationNames are the tables and indexes of the definition.
var relationNames = func() (names []string) {
	for _, t := range sql.Tables {
		names = append(names, t.Name)
	}
	for _, x := range sql.Indexes {
		names = append(names, x.Name)
	}
	return names
}()

// rowsOfSchema is the result of inspect.sql: for each catalogue, all rows concatenated in one flat array of texts.
type rowsOfSchema struct {
	relations, columns, defaults, constraints, indexes, triggers pgtype.FlatArray[string]
}

// oid is only compared, so it stays text.
type oid = string

// catalogue is a schema as PostgreSQL's catalogues describe it.
type catalogue struct {
	tables  []*table
	names   map[oid]string            // of relations; qualified if in another schema
	columns map[oid]map[string]string // column names by table and number
}

// table is a table of the definition, or another relation with its name.
type table struct {
	oid, name, kind, persistence string
	rowSecurity, ruled           bool
	columns                      []sql.Column
	constraints                  []constraint
	indexes                      []index
	triggers, rules              []string
}

type constraint struct {
	name, kind         string
	columns            []string
	target             oid
	targetColumns      []string
	onDelete, onUpdate string
	plain              bool // validated, and not deferrable
}

type index struct {
	oid                    oid
	columns                []string
	primary, unique, whole bool
}

const yes = "true" // a boolean as text

// newCatalogue interprets the rows. The order of rows within a table is the catalogue's.
func newCatalogue(rows rowsOfSchema) *catalogue {
	c := &catalogue{names: map[oid]string{}, columns: map[oid]map[string]string{}}
	tables := map[oid]*table{}
	for r := range slices.Chunk(rows.relations, 7) {
		c.names[r[0]] = r[1]
		if _, known := kinds[r[2]]; known { // otherwise an index, a sequence or a type
			t := &table{oid: r[0], name: r[1], kind: r[2], persistence: r[3], rowSecurity: r[5] == yes, ruled: r[6] == yes}
			if r[4] == yes {
				t.kind = partition
			}
			c.tables = append(c.tables, t)
			tables[t.oid] = t
			c.columns[t.oid] = map[string]string{}
		}
	}
	defaults := map[[2]string]string{}
	for r := range slices.Chunk(rows.defaults, 3) {
		defaults[[2]string{r[0], r[1]}] = r[2]
	}
	for r := range slices.Chunk(rows.columns, 9) {
		t := tables[r[0]]
		c.columns[t.oid][r[1]] = r[2]
		t.columns = append(t.columns, sql.Column{
			Name: r[2], Type: typeName(r[3], r[4], r[5], r[6] != "" || r[7] != ""), NotNull: r[8] == yes,
			Default: defaultValue(defaults[[2]string{r[0], r[1]}]),
		})
	}
	for r := range slices.Chunk(rows.constraints, 10) {
		t := tables[r[0]]
		t.constraints = append(t.constraints, constraint{
			name: r[1], kind: r[2], columns: c.columnNames(t.oid, r[3]), target: r[4], targetColumns: c.columnNames(r[4], r[5]),
			onDelete: r[6], onUpdate: r[7], plain: r[8] == yes && r[9] != yes,
		})
	}
	for r := range slices.Chunk(rows.indexes, 7) {
		t := tables[r[0]]
		columns := c.columnNames(t.oid, r[2])
		if keys, err := strconv.Atoi(r[3]); err == nil && keys < len(columns) { // the remaining ones are only INCLUDE columns
			columns = columns[:keys]
		}
		t.indexes = append(t.indexes, index{
			oid: r[1], columns: columns, primary: r[4] == yes, unique: r[5] == yes, whole: r[6] == yes,
		})
	}
	for r := range slices.Chunk(rows.triggers, 2) {
		t := tables[r[0]]
		t.triggers = append(t.triggers, r[1])
	}
	return c
}

// columnNames converts column numbers, an array or vector as text, to names. Columns of tables that are not in the
// definition are unknown.
func (c *catalogue) columnNames(table oid, numbers string) (names []string) {
	for n := range strings.FieldsFuncSeq(numbers, func(r rune) bool { return strings.ContainsRune("{, }", r) }) {
		names = append(names, c.columns[table][n])
	}
	return names
}

// nameStrangers reads the names of objects that are not in the definition but appear in differences: tables that
// foreign keys reference, unique indexes, rules.
func (c *catalogue) nameStrangers(ctx context.Context, db querier, query, schema string) error {
	var relations, ruled []oid
	for _, t := range c.tables {
		for _, k := range t.constraints {
			if k.kind == foreignKey && c.names[k.target] == "" {
				relations = append(relations, k.target)
			}
		}
		for _, x := range t.indexes {
			if x.unique && !x.whole && c.names[x.oid] == "" {
				relations = append(relations, x.oid)
			}
		}
		if t.ruled {
			ruled = append(ruled, t.oid)
		}
	}
	if len(relations)+len(ruled) == 0 {
		return nil
	}
	rows, err := db.Query(ctx, query, relations, ruled, schema)
	if err != nil {
		return err
	}
	var id, name, rule string
	_, err = pgx.ForEachRow(rows, []any{&id, &name, &rule}, func() error {
		if rule == "" {
			c.names[id] = name
			return nil
		}
		for _, t := range c.tables {
			if t.oid == id {
				t.rules = append(t.rules, rule)
			}
		}
		return nil
	})
	return err
}

// found translates the catalogue into the definition's terms.
func (c *catalogue) found() []sql.Found {
	all := make([]sql.Found, len(c.tables))
	for i, t := range c.tables {
		all[i] = c.foundTable(t)
	}
	return all
}

const partition = "partition"

// kinds are the kinds of relations that can have the name of a table. The kind of an ordinary table is empty.
var kinds = map[string]string{
	"r": "", "p": "partitioned table", partition: "partition", "v": "view", "m": "materialized view", "f": "foreign table",
}

func (c *catalogue) foundTable(t *table) sql.Found {
	f := sql.Found{Name: t.name, Kind: kinds[t.kind], Columns: t.columns}
	for _, k := range t.constraints {
		c.addConstraint(&f, k)
	}
	for _, x := range t.indexes {
		switch {
		case x.primary:
			f.PrimaryKey = x.columns
		case x.unique && x.whole:
			f.Unique = append(f.Unique, x.columns)
		case x.unique:
			f.Others = append(f.Others, "unique index "+c.names[x.oid])
		case x.whole:
			f.Indexes = append(f.Indexes, sql.FoundIndex{Name: c.names[x.oid], Columns: x.columns})
		}
	}
	for _, name := range t.triggers {
		f.Others = append(f.Others, "trigger "+name)
	}
	for _, name := range t.rules {
		f.Others = append(f.Others, "rule "+name)
	}
	if t.rowSecurity {
		f.Others = append(f.Others, "row level security")
	}
	if t.persistence != "p" {
		f.Others = append(f.Others, "UNLOGGED: its rows do not survive a crash; that")
	}
	return f
}

// foreignKey is the kind of a foreign key constraint.
const foreignKey = "f"

// addConstraint adds a constraint. Primary keys and unique constraints are found through their indexes; not-null
// constraints (in the catalogue since PostgreSQL 18) through their columns.
func (c *catalogue) addConstraint(f *sql.Found, k constraint) {
	if k.kind != foreignKey {
		f.Others = append(f.Others, "constraint "+k.name)
		return
	}
	if len(k.columns) != 1 || !k.plain || k.onUpdate != "a" {
		f.Others = append(f.Others, "foreign key "+k.name+" (composite, not valid, deferrable or on update)")
		return
	}
	fk := sql.ForeignKey{Column: k.columns[0], Table: c.names[k.target], OnDelete: actions[k.onDelete]}
	if c.columns[k.target] != nil && !slices.Equal(k.targetColumns, []string{"id"}) {
		fk.Table += " (" + strings.Join(k.targetColumns, ", ") + ")"
	}
	f.ForeignKeys = append(f.ForeignKeys, fk)
}

var actions = map[string]string{
	"a": sql.NoAction, "r": "restrict", "c": sql.Cascade, "n": "set null", "d": "set default",
}

const varchar oid = "1043"

// types are the types of the definition. For all other types inspect.sql returns a name.
var types = map[oid]string{
	"16": sql.Boolean, "23": sql.Integer, "25": sql.Text, "114": sql.JSON, varchar: "varchar", "1114": sql.Timestamp,
	"2950": sql.UUID,
}

// typeName returns a type in the definition's spelling. A generated column rejects values, so it is marked.
func typeName(id oid, modifier, name string, generated bool) string {
	if name == "" {
		name = types[id]
		if n, err := strconv.Atoi(modifier); err == nil && n >= 0 {
			if id == varchar {
				n -= 4 // the length of the header
			}
			name += "(" + strconv.Itoa(n) + ")"
		}
	}
	if generated {
		name += " generated"
	}
	return name
}

var (
	textDefault = regexp.MustCompile(`^'((?:[^']|'')*)'::[a-z ]+$`)
	// A function of that name in another schema is printed with its schema.
	nowDefault = regexp.MustCompile(`(?:^|[^."\w])(?:now|clock_timestamp|statement_timestamp|transaction_timestamp)\(\)|` +
		`CURRENT_TIMESTAMP|LOCALTIMESTAMP`)
)

// defaultValue returns a default, as pg_get_expr prints it, in the definition's spelling; empty if there is none.
func defaultValue(expression string) string {
	if nowDefault.MatchString(expression) {
		return sql.DefaultNow
	}
	if m := textDefault.FindStringSubmatch(expression); m != nil {
		return "'" + strings.ReplaceAll(m[1], "''", "'")
	}
	return expression
}
