package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// LoadSeeds loads the seed data by COPY, in the order of the tables' foreign keys: one round trip for each table, and
// one more wherever a row names other columns than the row before. It returns the number of rows of each table.
func (b *build) LoadSeeds(ctx context.Context, v pipeline.Values) (map[string]int, error) {
	if b.seeds == nil {
		return nil, nil
	}
	plan := b.seedPlan.Load()
	err := b.beginSeeds(ctx)
	if err == nil && plan == nil {
		plan, err = b.planSeeds(ctx)
	}
	if err == nil {
		err = b.copySeeds(ctx, plan, v)
	}
	if err != nil {
		b.seedPlan.Store(nil) // the tables may have changed
		return nil, fmt.Errorf("load the seed data into schema %s: %w", b.schema, err)
	}
	b.seedPlan.Store(plan)
	return b.seeds.Counts(), nil
}

// beginSeeds prepares the transaction for triggers that scripts have made: they find the tenant's tables. CheckConfined
// sees what they touch and sets the settings again, also in a boundary from the pool, in which no script has run now.
func (b *build) beginSeeds(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	switch {
	case b.scripts == nil:
		return nil
	case !b.scripted:
		b.scripted = true
		return sharedFault(b.beginScripts(ctx, nil))
	}
	_, err := b.conn.Exec(ctx, b.q.SearchPath, quote(b.schema))
	return sharedFault(err)
}

// seedPlan is the seed data as it is loaded. The first attempt that loads it, which is the rehearsal at start, makes it
// from the catalogue of its boundary. All boundaries have the same tables, so later ones only replace the placeholders.
type seedPlan struct {
	copies []seedCopy
	// deferred: a foreign key between two of the tables is deferrable. It is checked after all tables are loaded.
	deferred bool
}

// seedCopy is one COPY.
type seedCopy struct {
	file, table string
	columns     []string
	lines       []int             // the line in the file of each row
	text        pipeline.Template // of all rows, in COPY's text format; placeholders are yet to be escaped
}

// planSeeds reads the tables that get seed data from the catalogue.
func (b *build) planSeeds(ctx context.Context) (*seedPlan, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var names []string
	for _, f := range b.seeds.Files {
		names = append(names, f.Table)
	}
	plan := &seedPlan{}
	var tables []sql.SeedTable
	var references []sql.SeedReference
	batch := &pgx.Batch{}
	batch.Queue(b.q.SeedColumns, b.schema, names).Query(func(rows pgx.Rows) (err error) {
		tables, err = scanSeedTables(rows)
		return err
	})
	batch.Queue(b.q.SeedReferences, b.schema, names).Query(func(rows pgx.Rows) error {
		var r sql.SeedReference
		var deferrable bool
		_, err := pgx.ForEachRow(rows, []any{&r.From, &r.To, &deferrable}, func() error {
			if deferrable {
				plan.deferred = true
			} else {
				references = append(references, r)
			}
			return nil
		})
		return err
	})
	sent := time.Now()
	if err := stall(b.conn.SendBatch(ctx, batch).Close(), sent, b.timeouts); err != nil {
		return nil, fmt.Errorf("read the tables: %w", classify(err))
	}
	var faults sql.SeedFaults
	for _, group := range sql.GroupSeeds(b.seeds, tables, func(a, b string) bool { return a == b }, &faults) {
		plan.copies = append(plan.copies, newSeedCopy(group, &faults))
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	order, err := sql.OrderSeeds(names, references)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(plan.copies, func(a, b seedCopy) int {
		return slices.Index(order, a.table) - slices.Index(order, b.table)
	})
	return plan, nil
}

// relationKinds are the kinds of relations in pg_class that a statement can name as a table.
var relationKinds = map[string]string{
	"r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table",
}

// scanSeedTables reads the rows of seed_columns.sql.
func scanSeedTables(rows pgx.Rows) (tables []sql.SeedTable, err error) {
	var table, kind string
	var c sql.SeedColumn
	_, err = pgx.ForEachRow(rows, []any{&table, &kind, &c.Name, &c.JSON, &c.NotNull, &c.Generated, &c.Default},
		func() error {
			if n := len(tables); n == 0 || tables[n-1].Name != table {
				tables = append(tables, sql.SeedTable{Name: table, Kind: relationKinds[kind]})
			}
			last := &tables[len(tables)-1]
			last.Columns = append(last.Columns, c)
			return nil
		})
	return tables, err
}

// newSeedCopy returns the rows of a group in COPY's text format: https://www.postgresql.org/docs/current/sql-copy.html
func newSeedCopy(g sql.SeedGroup, faults *sql.SeedFaults) seedCopy {
	c := seedCopy{file: g.File.Name, table: g.Table.Name}
	for _, column := range g.Columns {
		c.columns = append(c.columns, column.Name)
	}
	var text pipeline.TemplateBuilder
	for _, row := range g.Rows {
		c.lines = append(c.lines, row.Line)
		for i, column := range g.Columns {
			if i > 0 {
				text.Constant("\t")
			}
			if row.Values[i].Kind == pipeline.SeedNull {
				text.Constant(`\N`)
				continue
			}
			value, err := row.Values[i].Template(column.JSON)
			if err != nil {
				faults.Add(c.file, row.Line, "column %s %v", column.Name, err)
			}
			for _, part := range value {
				part.Constant = copyEscapes.Replace(part.Constant)
				text.Add(part)
			}
		}
		text.Constant("\n")
	}
	c.text = text.Template()
	return c
}
