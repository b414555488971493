package sqlite

import (
	"context"
	databasesql "database/sql"
	"slices"
)

// The statements around each change of several in one transaction.
const (
	savepoint = "SAVEPOINT change"
	release   = "RELEASE change"
)

// statements are the statements of every request, by their text. Each is parsed once for a connection: parsing took a
// sixth of the processor time of a tenant.
type statements map[string]*databasesql.Stmt

// prepareStatements parses the statements of every request. The registry must be migrated.
func (s *Store) prepareStatements(ctx context.Context) error {
	reads := []string{q.Request, q.FindTenant, q.BoundaryOwner}
	writes := slices.Concat(reads, []string{
		savepoint, release, q.Checkpoint, q.Claim, q.Register, q.RecordOutcome, q.CheckRows,
	})
	s.statements = map[*databasesql.DB]statements{}
	for db, texts := range map[*databasesql.DB][]string{s.readDB: reads, s.asyncDB: writes, s.syncDB: writes} {
		s.statements[db] = statements{}
		for _, text := range texts {
			statement, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // closed with db
			if err != nil {
				return err
			}
			s.statements[db][text] = statement
		}
	}
	return nil
}

// transaction is a write transaction of the registry, with the statements of its database.
type transaction struct {
	*databasesql.Tx
	statements statements
}

func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (databasesql.Result, error) {
	if s := t.statements[query]; s != nil {
		return t.StmtContext(ctx, s).ExecContext(ctx, args...) //nolint:sqlclosecheck // closed with the transaction
	}
	return t.Tx.ExecContext(ctx, query, args...)
}

func (t *transaction) QueryRowContext(ctx context.Context, query string, args ...any) *databasesql.Row {
	if s := t.statements[query]; s != nil {
		return t.StmtContext(ctx, s).QueryRowContext(ctx, args...) //nolint:sqlclosecheck // as above
	}
	return t.Tx.QueryRowContext(ctx, query, args...)
}

// reading is the registry outside of a transaction.
type reading struct {
	*databasesql.DB
	statements statements
}

// read is the registry outside of a transaction.
func (s *Store) read() reading { return reading{s.readDB, s.statements[s.readDB]} }

func (r reading) QueryRowContext(ctx context.Context, query string, args ...any) *databasesql.Row {
	if s := r.statements[query]; s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return r.DB.QueryRowContext(ctx, query, args...)
}
