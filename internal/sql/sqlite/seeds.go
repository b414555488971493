package sqlite

import (
	"context"
	databasesql "database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// LoadSeeds implements [pipeline.Build]. It checks the foreign keys of the tables once all rows are there. A file that
// an attempt at the same request has finished before a crash has its rows already.
func (b *build) LoadSeeds(ctx context.Context, v pipeline.Values) (map[string]int, error) {
	if b.Seeds == nil {
		return nil, nil
	}
	if !b.whole {
		if err := b.loadSeeds(ctx, v); err != nil {
			b.seedPlan.Store(nil) // the tables may have changed
			return nil, fmt.Errorf("load the seed data into %s: %w", b.path, classify(err))
		}
	}
	return b.Seeds.Counts(), nil
}

// seedPlan is the seed data as it is loaded. The first attempt that loads it, which is the rehearsal at start, makes it
// from the catalogue of its file. All files have the same tables, so later ones only replace the placeholders.
type seedPlan []seedInsert

// seedInsert is a number of rows with the same columns.
type seedInsert struct {
	file, table string
	statement   string
	columns     []sql.SeedColumn
	rows        []seedRow
}

// seedRow is a row. A column has a template, or a value that is the same for all requests.
type seedRow struct {
	line      int
	values    []any
	templates []pipeline.Template // nil: the value
}

func (b *build) loadSeeds(ctx context.Context, v pipeline.Values) error {
	if err := b.openDraft(ctx); err != nil {
		return err
	}
	// Rows may refer to later ones.
	if _, err := b.tx.ExecContext(ctx, "PRAGMA defer_foreign_keys = ON"); err != nil {
		return err
	}
	plan := b.seedPlan.Load()
	if plan == nil {
		made, err := planSeeds(ctx, b.tx, b.Seeds)
		if err != nil {
			return err
		}
		plan = &made
	}
	lines := map[string]map[int64]int{} // by table and rowid
	for _, insert := range *plan {
		if lines[insert.table] == nil {
			lines[insert.table] = map[int64]int{}
		}
		if err := insert.run(ctx, b.tx, v, lines[insert.table]); err != nil {
			return err
		}
	}
	for _, insert := range *plan {
		if err := checkReferences(ctx, b.tx, insert, lines[insert.table]); err != nil {
			return err
		}
	}
	b.seedPlan.Store(plan)
	return nil
}

// planSeeds reads the tables that get seed data from the catalogue. It returns all faults of values that are the same
// for all requests.
func planSeeds(ctx context.Context, tx *databasesql.Tx, seeds *pipeline.Seeds) (plan seedPlan, err error) {
	tables, err := readSeedTables(ctx, tx, seeds)
	if err != nil {
		return nil, err
	}
	var faults sql.SeedFaults
	for _, group := range sql.GroupSeeds(seeds, tables, strings.EqualFold, &faults) {
		insert := seedInsert{file: group.File.Name, table: group.Table.Name, columns: group.Columns}
		var names []string
		for _, c := range group.Columns {
			names = append(names, quote(c.Name))
		}
		insert.statement = fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", quote(insert.table), strings.Join(names, ", "),
			strings.Repeat(", ?", max(0, len(names)-1)))
		for _, row := range group.Rows {
			insert.rows = append(insert.rows, planRow(insert, row, &faults))
		}
		plan = append(plan, insert)
	}
	return plan, faults.Err()
}

func planRow(insert seedInsert, row pipeline.SeedRow, faults *sql.SeedFaults) seedRow {
	n := len(insert.columns)
	planned := seedRow{line: row.Line, values: make([]any, n), templates: make([]pipeline.Template, n)}
	for i, column := range insert.columns {
		if row.Values[i].Kind == pipeline.SeedNull {
			continue
		}
		template, err := row.Values[i].Template(column.JSON)
		switch {
		case err != nil:
		case template.IsConstant():
			planned.values[i], err = seedValue(column.Type, template.Expand(pipeline.Values{}))
		default:
			planned.templates[i] = template
		}
		if err != nil {
			faults.Add(insert.file, row.Line, "column %s %v", column.Name, err)
		}
	}
	return planned
}

// readSeedTables reads the tables of the seed data from the catalogue.
func readSeedTables(
	ctx context.Context, tx *databasesql.Tx, seeds *pipeline.Seeds,
) (tables []sql.SeedTable, err error) {
	var names []string
	for _, f := range seeds.Files {
		names = append(names, strings.ToLower(f.Table))
	}
	list, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	_, err = collect(ctx, tx, q.InspectColumns, func(row scanner) (_ struct{}, err error) {
		var table, kind string
		var c sql.SeedColumn
		var standard databasesql.NullString
		var key int
		err = row.Scan(&table, &kind, new(string), new(bool), new(bool), &c.Name, &c.Type, &c.Generated, &c.NotNull,
			&standard, &key)
		if err != nil || kind == "index" {
			return struct{}{}, err
		}
		if n := len(tables); n == 0 || tables[n-1].Name != table {
			tables = append(tables, sql.SeedTable{Name: table, Kind: kind})
		}
		name := typeName(c.Type)
		c.JSON = name == sql.JSON || name == sql.JSONB
		c.Default = standard.Valid || key > 0 && name == sql.Integer // the rowid, if it is the whole key
		last := &tables[len(tables)-1]
		last.Columns = append(last.Columns, c)
		return struct{}{}, nil
	}, string(list))
	return tables, err
}

// run inserts the rows, and adds their lines by rowid.
func (s seedInsert) run(
	ctx context.Context, tx *databasesql.Tx, v pipeline.Values, lines map[int64]int,
) (err error) {
	statement, err := tx.PrepareContext(ctx, s.statement)
	if err != nil {
		return seedFault(s.file, 0, err)
	}
	defer func() { err = errors.Join(err, statement.Close()) }()
	for _, row := range s.rows {
		values := slices.Clone(row.values)
		for i, template := range row.templates {
			if template == nil {
				continue
			}
			if values[i], err = seedValue(s.columns[i].Type, template.Expand(v)); err != nil {
				return pipeline.SeedFailed(s.file, row.line, "", fmt.Errorf("column %s %w", s.columns[i].Name, err))
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		// The driver watches a context that can be cancelled with a goroutine, which takes as long as the row.
		result, err := statement.ExecContext(context.WithoutCancel(ctx), values...)
		if err != nil {
			return seedFault(s.file, row.line, err)
		}
		rowid, err := result.LastInsertId()
		if err != nil {
			return err
		}
		lines[rowid] = row.line
	}
	return nil
}

// checkReferences fails if a row of the table refers to a row that does not exist. SQLite enforces foreign keys only in
// sessions that ask for it, and DocEX's do not.
func checkReferences(ctx context.Context, tx *databasesql.Tx, s seedInsert, lines map[int64]int) error {
	type violation struct {
		rowid  databasesql.NullInt64
		parent string
	}
	check := "PRAGMA foreign_key_check(" + quote(s.table) + ")"
	found, err := collect(ctx, tx, check, func(row scanner) (v violation, err error) {
		err = row.Scan(new(string), &v.rowid, &v.parent, new(int))
		return v, err
	})
	if err != nil {
		return seedFault(s.file, 0, err)
	}
	if len(found) == 0 {
		return nil
	}
	line := 0 // without a rowid, or of a row that a script has inserted
	if found[0].rowid.Valid {
		line = lines[found[0].rowid.Int64]
	}
	return pipeline.SeedFailed(s.file, line, "", fmt.Errorf("a row of table %s refers to a row of %s "+
		"that does not exist; rows with such a reference: %d", s.table, found[0].parent, len(found)))
}

// seedFault returns the fault of a statement on a row. It is the seed data's, unless the file or the machine causes it.
func seedFault(file string, line int, err error) error {
	switch code := primary(err); code {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG,
		sqlite3.SQLITE_RANGE:
		return pipeline.SeedFailed(file, line, "SQLITE "+strconv.Itoa(code), err)
	}
	return fmt.Errorf("%s: %w", file, classify(err))
}
