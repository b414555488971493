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
	c := newCatalogue(schema, rows)
	if err := c.nameStrangers(ctx, db, q.InspectNames); err != nil {
		return pipeline.Inspection{}, fmt.Errorf("read the catalogue of schema %s: %w", schema, classify(err))
	}
	return sql.Compare(c.found(), remedies(schema)), nil
}

func remedies(schema string) sql.Remedies {
	return sql.Remedies{
		Widen: func(table string, columns []string) string {
			return ", so longer values fail: " + widenSQL(schema, table, columns)
		},
		Create: func(x sql.Index) string {
			return "CREATE INDEX CONCURRENTLY " + x.Name + " ON " + quote(schema) + "." + x.Table + " (" + x.Column + ")"
		},
		Free: func(name, kind string) string {
			switch kind {
			case "index":
				return "DROP INDEX " + quote(schema) + "." + name
			case "type":
				return "ALTER TYPE " + quote(schema) + "." + name + " RENAME TO " + name + "_old"
			}
			return "ALTER TABLE " + quote(schema) + "." + name + " RENAME TO " + name + "_old" // of any kind of relation
		},
	}
}

// widenSQL is the statement that makes the columns text. It rewrites nothing, but locks the table for a moment.
func widenSQL(schema, table string, columns []string) string {
	changes := make([]string, len(columns))
	for i, name := range columns {
		changes[i] = "ALTER COLUMN " + name + " TYPE " + sql.Text
	}
	return "ALTER TABLE " + quote(schema) + "." + table + " " + strings.Join(changes, ", ")
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
	schema  string
	tables  []*table
	names   map[oid]string            // of relations; qualified if in another schema
	columns map[oid]map[string]column // by table and number
	domains map[oid]bool
	// collations are the names of those that take different texts for equal.
	collations map[oid]string
	others     []sql.Found // what has one of the names and is neither a table nor looks like one; indexes too
}

// column is a column, with its type and collation.
type column struct {
	sql.FoundColumn
	typ, collation oid
	named          bool // the type is not one of the definition
}

// table is a table of the definition, or another relation with its name.
type table struct {
	oid, name, kind, persistence, identity string
	rowSecurity, ruled                     bool
	inherits                               bool // it has a parent, or had a child
	columns                                []column
	constraints                            []constraint
	indexes                                []index
	triggers                               []string
	strangers                              map[string][]string // names of its rules, policies, children and parents
	keysDisabled                           bool                // triggers that check foreign keys do not fire
}

type constraint struct {
	name, kind         string
	columns            []string
	target             oid
	targetColumns      []string
	onDelete, onUpdate string
	validated          bool
	deferrable         bool
}

type index struct {
	oid                    oid
	columns                []string
	primary, unique, whole bool
	computed               bool // it has an expression or a condition
}

// btree is the access method of all indexes of the definition.
const btree oid = "403"

const yes = "true" // a boolean as text

// newCatalogue interprets the rows. The order of rows within a table is the catalogue's.
func newCatalogue(schema string, rows rowsOfSchema) *catalogue {
	c := &catalogue{
		schema: schema, names: map[oid]string{}, columns: map[oid]map[string]column{}, domains: map[oid]bool{},
		collations: map[oid]string{},
	}
	tables := map[oid]*table{}
	otherMethods := map[oid]bool{} // indexes of the definition's names that are not B-trees
	for r := range slices.Chunk(rows.relations, 10) {
		c.names[r[0]] = r[1]
		otherMethods[r[0]] = r[9] != btree
		if kind, other := otherKinds[r[2]]; other {
			c.others = append(c.others, sql.Found{Name: r[1], Kind: kind})
		}
		if _, known := kinds[r[2]]; known {
			t := &table{
				oid: r[0], name: r[1], kind: r[2], persistence: r[3], rowSecurity: r[5] == yes, ruled: r[6] == yes,
				inherits: r[7] == yes, identity: r[8], strangers: map[string][]string{},
			}
			if r[4] == yes {
				t.kind = partition
			}
			c.tables = append(c.tables, t)
			tables[t.oid] = t
			c.columns[t.oid] = map[string]column{}
		}
	}
	defaults := map[[2]string]string{}
	for r := range slices.Chunk(rows.defaults, 3) {
		defaults[[2]string{r[0], r[1]}] = r[2]
	}
	for r := range slices.Chunk(rows.columns, 11) {
		t := tables[r[0]]
		t.inherits = t.inherits || r[10] != "0"
		found := column{typ: r[3], named: r[5] != "", collation: r[9]}
		found.Column = sql.Column{
			Name: r[2], Type: typeName(r[3], r[4], r[5]), NotNull: r[8] == yes,
			Default: defaultValue(defaults[[2]string{r[0], r[1]}]),
		}
		if r[6] != "" {
			found.Refuses = "generated"
		}
		if r[7] != "" {
			found.Default = "identity"
		}
		c.columns[t.oid][r[1]] = found
		t.columns = append(t.columns, found)
	}
	for r := range slices.Chunk(rows.constraints, 10) {
		t := tables[r[0]]
		t.constraints = append(t.constraints, constraint{
			name: r[1], kind: r[2], columns: c.columnNames(t.oid, r[3]), target: r[4], targetColumns: c.columnNames(r[4], r[5]),
			onDelete: r[6], onUpdate: r[7], validated: r[8] == yes, deferrable: r[9] == yes,
		})
	}
	for r := range slices.Chunk(rows.indexes, 9) {
		t := tables[r[0]]
		columns := c.columnNames(t.oid, r[2])
		whole := r[6] == yes && !otherMethods[r[1]] && c.collatesAlike(t.oid, strings.Fields(r[2]), strings.Fields(r[7]))
		if keys, err := strconv.Atoi(r[3]); err == nil && keys < len(columns) { // the remaining ones are only INCLUDE columns
			columns = columns[:keys]
		}
		t.indexes = append(t.indexes, index{
			oid: r[1], columns: columns, primary: r[4] == yes, unique: r[5] == yes, whole: whole, computed: r[8] == yes,
		})
	}
	for r := range slices.Chunk(rows.triggers, 3) {
		t := tables[r[0]]
		if r[2] == yes {
			t.keysDisabled = true
		} else {
			t.triggers = append(t.triggers, r[1])
		}
	}
	return c
}

// columnNames converts column numbers, an array or vector as text, to names. Columns of tables that are not in the
// definition are unknown.
func (c *catalogue) columnNames(table oid, numbers string) (names []string) {
	for n := range strings.FieldsFuncSeq(numbers, func(r rune) bool { return strings.ContainsRune("{, }", r) }) {
		names = append(names, c.columns[table][n].Name)
	}
	return names
}

// collatesAlike reports whether an index compares its key columns, by number, as the table does.
func (c *catalogue) collatesAlike(table oid, numbers []string, collations []oid) bool {
	for i, collation := range collations {
		if column, ok := c.columns[table][numbers[i]]; ok && column.collation != collation {
			return false
		}
	}
	return true
}

// nameStrangers reads about objects that are not in the definition but matter for the comparison: names of tables that
// foreign keys reference, of unique and computed indexes, rules, row policies, children and parents, and types with the
// name of a table; domains; collations.
func (c *catalogue) nameStrangers(ctx context.Context, db querier, query string) error {
	var relations, tables, types, collations []oid
	var absent []string
	for _, want := range sql.Tables {
		if !slices.ContainsFunc(c.tables, func(t *table) bool { return t.name == want.Name }) {
			absent = append(absent, want.Name)
		}
	}
	for _, t := range c.tables {
		for _, column := range t.columns {
			if column.named {
				types = append(types, column.typ)
			}
			if !deterministic[column.collation] {
				collations = append(collations, column.collation)
			}
		}
		for _, k := range t.constraints {
			if k.kind == foreignKey && c.names[k.target] == "" {
				relations = append(relations, k.target)
			}
		}
		for _, x := range t.indexes {
			if (x.unique && !x.whole || x.computed) && c.names[x.oid] == "" {
				relations = append(relations, x.oid)
			}
		}
		if t.ruled || t.rowSecurity || t.inherits {
			tables = append(tables, t.oid)
		}
	}
	if len(relations)+len(tables)+len(types)+len(collations)+len(absent) == 0 {
		return nil
	}
	rows, err := db.Query(ctx, query, relations, tables, c.schema, types, collations, absent)
	if err != nil {
		return err
	}
	var id, name, kind string
	_, err = pgx.ForEachRow(rows, []any{&id, &name, &kind}, func() error {
		c.addStranger(id, name, kind)
		return nil
	})
	return err
}

// addStranger adds a row of inspect_names.sql.
func (c *catalogue) addStranger(id oid, name, kind string) {
	switch kind {
	case "relation":
		c.names[id] = name
	case "domain":
		c.domains[id] = true
	case "collation":
		c.collations[id] = name
	case "type":
		c.others = append(c.others, sql.Found{Name: name, Kind: kind})
	default:
		for _, t := range c.tables {
			if t.oid == id {
				t.strangers[kind] = append(t.strangers[kind], name)
			}
		}
	}
}

// found translates the catalogue into the definition's terms.
func (c *catalogue) found() []sql.Found {
	all := slices.Clone(c.others)
	for _, t := range c.tables {
		all = append(all, c.foundTable(t))
	}
	return all
}

const partition = "partition"

// kinds are the kinds of relations that can have the name of a table. The kind of an ordinary table is empty.
var kinds = map[string]string{
	"r": "", "p": "partitioned table", partition: "partition", "v": "view", "m": "materialized view", "f": "foreign table",
}

// otherKinds are the kinds of other relations.
var otherKinds = map[string]string{"S": "sequence", "i": "index", "I": "partitioned index", "c": "type"}

// deterministic are collations that need no look-up: none, the database's, "C" and POSIX. The database's always is.
var deterministic = map[oid]bool{"0": true, "100": true, "950": true, "951": true}

func (c *catalogue) foundTable(t *table) sql.Found {
	f := sql.Found{Name: t.name, Kind: kinds[t.kind]}
	for _, found := range t.columns {
		if c.domains[found.typ] {
			found.Refuses = "of a domain"
		}
		if name := c.collations[found.collation]; name != "" {
			found.Type += " collate " + name
		}
		f.Columns = append(f.Columns, found.FoundColumn)
	}
	for _, k := range t.constraints {
		c.addConstraint(&f, k)
	}
	for _, x := range t.indexes {
		switch {
		case x.primary && x.whole:
			f.PrimaryKey = x.columns
		case x.unique && x.whole:
			f.Unique = append(f.Unique, x.columns)
		case x.unique:
			f.Others = append(f.Others, "unique index "+c.names[x.oid])
		case x.whole:
			f.Indexes = append(f.Indexes, sql.FoundIndex{Name: c.names[x.oid], Columns: x.columns})
		case x.computed && !sql.IsIndex(c.names[x.oid]): // of the definition's, Compare reports that it is not as defined
			f.Notes = append(f.Notes, sql.ComputedIndex(c.names[x.oid]))
		}
	}
	for _, name := range t.triggers {
		f.Others = append(f.Others, "trigger "+name)
	}
	for _, name := range t.strangers["rule"] {
		f.Others = append(f.Others, "rule "+name)
	}
	if policies := t.strangers["policy"]; t.rowSecurity && len(policies) > 0 {
		f.Others = append(f.Others, "row level security with policy "+strings.Join(policies, ", "))
	} else if t.rowSecurity {
		f.Others = append(f.Others, "row level security")
	}
	for _, name := range t.strangers["child"] {
		f.Others = append(f.Others, "child table "+name+", whose rows it shows,")
	}
	for _, name := range t.strangers["parent"] {
		f.Others = append(f.Others, "inheritance from "+name+", which shows and changes its rows,")
	}
	if t.persistence != "p" {
		f.Weak = append(f.Weak, "UNLOGGED: its rows do not survive a crash")
	}
	if t.identity == "n" {
		f.Weak = append(f.Weak, "REPLICA IDENTITY NOTHING: once it is published, updates and deletions fail; "+
			"run ALTER TABLE "+quote(c.schema)+"."+t.name+" REPLICA IDENTITY DEFAULT")
	}
	if t.keysDisabled {
		f.Weak = append(f.Weak, "triggers that check foreign keys are disabled, so it accepts rows that violate them; "+
			"run as a superuser: ALTER TABLE "+quote(c.schema)+"."+t.name+" ENABLE TRIGGER ALL")
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
	fk := sql.ForeignKey{
		Column: strings.Join(k.columns, ", "), Table: c.names[k.target], OnDelete: actions[k.onDelete],
	}
	if c.columns[k.target] != nil && !slices.Equal(k.targetColumns, []string{"id"}) {
		fk.Table += " (" + strings.Join(k.targetColumns, ", ") + ")"
	}
	var unlike []string
	if !k.validated {
		unlike = append(unlike, "not valid")
	}
	if k.deferrable {
		unlike = append(unlike, "deferrable")
	}
	if k.onUpdate != "a" {
		unlike = append(unlike, "on update "+actions[k.onUpdate])
	}
	if len(unlike) > 0 {
		f.Others = append(f.Others, fmt.Sprintf("foreign key %s, %s, %s,", k.name, fk, strings.Join(unlike, ", ")))
		return
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

// typeName returns a type in the definition's spelling.
func typeName(id oid, modifier, name string) string {
	if name == "" {
		name = types[id]
		if n, err := strconv.Atoi(modifier); err == nil && n >= 0 {
			if id == varchar {
				n -= 4 // the length of the header
			}
			name += "(" + strconv.Itoa(n) + ")"
		}
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
	if m := textDefault.FindStringSubmatch(expression); m != nil { // it may contain the name of a function
		return "'" + strings.ReplaceAll(m[1], "''", "'")
	}
	if nowDefault.MatchString(expression) {
		return sql.DefaultNow
	}
	return sql.DefaultExpression(expression)
}
