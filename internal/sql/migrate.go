package sql

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/pressly/goose/v3"
)

// MigrationsTable records which migrations of the registry have run.
const MigrationsTable = "tenant_provisioner_migrations"

// Statement is one SQL message with its arguments.
type Statement struct {
	Text string
	Args []any
	// Unless is a query that returns one boolean; true: the statement is not run. On a registry that DocEX made, much is
	// there already. nil: the statement is always run.
	Unless *Statement
}

// Migrate runs the pending migrations, each in a transaction. Their versions are their positions in the list, starting
// at 1. The caller holds a lock.
func Migrate(
	ctx context.Context, dialect goose.Dialect, db *databasesql.DB, table string, log *slog.Logger,
	migrations [][]Statement,
) error {
	list := make([]*goose.Migration, len(migrations))
	for i, statements := range migrations {
		list[i] = goose.NewGoMigration(int64(i+1), &goose.GoFunc{RunTx: func(ctx context.Context, tx *databasesql.Tx) error {
			for _, s := range statements {
				if err := s.run(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		}}, nil)
	}
	provider, err := goose.NewProvider(dialect, db, nil,
		goose.WithTableName(table),
		goose.WithSlog(slog.New(slog.DiscardHandler)), // the results are logged below
		goose.WithDisableGlobalRegistry(true),
		goose.WithGoMigrations(list...))
	if err != nil {
		return err
	}
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		return fmt.Errorf("migration %d: %w", partial.Failed.Source.Version, partial.Err)
	}
	for _, r := range results {
		log.InfoContext(ctx, "registry migrated", "table", table, "version", r.Source.Version)
	}
	return err
}

// ErrShared is the cause for [SharedBoundary] where no index has been tried yet.
var ErrShared = errors.New("the unique indexes of the registry cannot be created")

// SharedBoundary adds to the error of the registry's unique indexes the query that lists the tenants in their way. The
// registry is table.
func SharedBoundary(err error, table string) error {
	const column = "%[2]s IN (SELECT %[2]s FROM %[1]s GROUP BY 1 HAVING count(*) > 1)"
	return fmt.Errorf("tenants share a schema or a file; give each its own in the registry first; to list them: "+
		"SELECT tenant_id, schema_name, database_path FROM %s WHERE %s OR %s; %w", table,
		fmt.Sprintf(column, table, "schema_name"), fmt.Sprintf(column, table, "database_path"), err)
}

func (s Statement) run(ctx context.Context, tx *databasesql.Tx) error {
	if s.Unless != nil {
		var done bool
		if err := tx.QueryRowContext(ctx, s.Unless.Text, s.Unless.Args...).Scan(&done); err != nil || done {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, s.Text, s.Args...)
	return err
}
