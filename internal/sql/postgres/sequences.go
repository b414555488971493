package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// renewSequences makes the numbers that scripts and seed data take from the sequences of a boundary from the pool a
// part of the transaction. Otherwise a rollback does not give them back, and the next tenant that gets the boundary
// begins with others. A sequence that is altered, here to the increment that it has, gets a new file, which a rollback
// discards (PostgreSQL, sequence.c, AlterSequence). It takes two round trips, where scripts prepare boundaries. Citus
// does not alter the sequences of distributed tables.
func (b *build) renewSequences(ctx context.Context) error {
	if b.taken == "" || b.citus || len(b.scripts.selected(true)) == 0 {
		return nil
	}
	rows, err := b.conn.Query(ctx, b.q.Sequences, b.schema)
	if err != nil {
		return err
	}
	var statements []string
	var name string
	var increment int64
	_, err = pgx.ForEachRow(rows, []any{&name, &increment}, func() error {
		statements = append(statements, fmt.Sprintf("ALTER SEQUENCE %s INCREMENT BY %d", quote(b.schema, name), increment))
		return nil
	})
	if err != nil || len(statements) == 0 {
		return err
	}
	return b.exec(ctx, statements...)
}
