package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// querier is a connection or pool to inspect through.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// inspect compares a schema with the definition, in one query.
func inspect(ctx context.Context, db querier, query, schema string) (pipeline.Inspection, error) {
	names := make([]string, len(sql.Tables))
	for i, t := range sql.Tables {
		names[i] = t.Name
	}
	rows, err := db.Query(ctx, query, schema, names)
	if err != nil {
		return pipeline.Inspection{}, fmt.Errorf("read the catalogue of schema %s: %w", schema, classify(err))
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return pipeline.Inspection{}, fmt.Errorf("read the catalogue of schema %s: %w", schema, classify(err))
	}
	found := make([]sql.Found, len(texts))
	for i, text := range texts {
		var c catalogue
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return pipeline.Inspection{}, fmt.Errorf("read the catalogue of schema %s: %w", schema, err)
		}
		found[i] = c.found()
	}
	return sql.Compare(found), nil
}

// catalogue is a table as inspect.sql describes it.
type catalogue struct {
	Name        string
	Kind        string
	Persistence string
	RowSecurity bool `json:"row_security"`
	Columns     []struct {
		Name      string
		Type      string
		Generated bool
		NotNull   bool `json:"not_null"`
		Default   *string
	}
	Constraints []constraint
	Indexes     []struct {
		Name    string
		Unique  bool
		Primary bool
		Whole   bool
		Columns []string
	}
	Triggers []string
	Rules    []string
}

type constraint struct {
	Name           string
	Type           string
	Columns        []string
	Table          *string
	ForeignColumns []string `json:"foreign_columns"`
	OnDelete       string   `json:"on_delete"`
	OnUpdate       string   `json:"on_update"`
	Deferrable     bool
	Validated      bool
}

var kinds = map[string]string{
	"p": "partitioned table", "partition": "partition", "v": "view", "m": "materialized view", "f": "foreign table",
}

// found translates into the definition's terms.
func (c catalogue) found() sql.Found {
	f := sql.Found{Name: c.Name, Kind: kinds[c.Kind]}
	for _, col := range c.Columns {
		f.Columns = append(f.Columns, sql.Column{
			Name: col.Name, Type: typeName(col.Type, col.Generated), NotNull: col.NotNull, Default: defaultValue(col.Default),
		})
	}
	for _, k := range c.Constraints {
		c.addConstraint(&f, k)
	}
	for _, x := range c.Indexes {
		switch {
		case x.Primary:
			f.PrimaryKey = x.Columns
		case x.Unique && x.Whole:
			f.Unique = append(f.Unique, x.Columns)
		case x.Unique:
			f.Others = append(f.Others, "unique index "+x.Name)
		case x.Whole:
			f.Indexes = append(f.Indexes, sql.FoundIndex{Name: x.Name, Columns: x.Columns})
		}
	}
	for _, name := range c.Triggers {
		f.Others = append(f.Others, "trigger "+name)
	}
	for _, name := range c.Rules {
		f.Others = append(f.Others, "rule "+name)
	}
	if c.RowSecurity {
		f.Others = append(f.Others, "row level security")
	}
	if c.Persistence != "p" {
		f.Others = append(f.Others, "UNLOGGED: its rows do not survive a crash; that")
	}
	return f
}

// addConstraint adds a constraint. Keys and unique constraints are seen through their indexes; not-null
// constraints (in the catalogue from PostgreSQL 18) through their columns.
func (c catalogue) addConstraint(f *sql.Found, k constraint) {
	switch k.Type {
	case "p", "u", "n":
	case "f":
		if len(k.Columns) != 1 || !k.Validated || k.Deferrable || k.OnUpdate != "a" {
			f.Others = append(f.Others, "foreign key "+k.Name+" (composite, not valid, deferrable or on update)")
			return
		}
		fk := sql.ForeignKey{Column: k.Columns[0], OnDelete: actions[k.OnDelete]}
		if k.Table != nil {
			fk.Table = *k.Table
		}
		if len(k.ForeignColumns) != 1 || k.ForeignColumns[0] != "id" {
			fk.Table += " (" + strings.Join(k.ForeignColumns, ", ") + ")"
		}
		f.ForeignKeys = append(f.ForeignKeys, fk)
	default:
		f.Others = append(f.Others, "constraint "+k.Name)
	}
}

var actions = map[string]string{
	"a": sql.NoAction, "r": "restrict", "c": sql.Cascade, "n": "set null", "d": "set default",
}

// typeName spells a type of format_type as the definition does. A generated column refuses values.
func typeName(name string, generated bool) string {
	if generated {
		name += " generated"
	}
	if rest, ok := strings.CutPrefix(name, "character varying"); ok {
		return "varchar" + rest
	}
	if name == "timestamp without time zone" {
		return sql.Timestamp
	}
	return name
}

var (
	textDefault = regexp.MustCompile(`^'((?:[^']|'')*)'::[a-z ]+$`)
	nowDefault  = regexp.MustCompile(`\b(?:now|clock_timestamp|statement_timestamp|transaction_timestamp)\(\)|` +
		`CURRENT_TIMESTAMP|LOCALTIMESTAMP`)
)

// defaultValue spells a default of pg_get_expr as the definition does.
func defaultValue(expression *string) string {
	switch {
	case expression == nil:
		return ""
	case nowDefault.MatchString(*expression):
		return sql.DefaultNow
	}
	if m := textDefault.FindStringSubmatch(*expression); m != nil {
		return "'" + strings.ReplaceAll(m[1], "''", "'")
	}
	return *expression
}
