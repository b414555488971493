package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// sendEach sends statements in one round trip. Each is a message of its own, because the extension Citus sends a CREATE
// INDEX to its workers with the whole message that contains it.
func sendEach(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	batch := &pgconn.Batch{}
	for _, text := range statements {
		batch.ExecParams(text, nil, nil, nil, nil)
	}
	_, err := conn.PgConn().ExecBatch(ctx, batch).ReadAll()
	return err
}

// scope is what a statement works on. It decides whose fault an error is.
type scope int

const (
	tenantScope scope = iota // the tenant's schema
	sharedScope              // registry, ledger, transaction
	lockScope                // the lock on the boundary, held by another attempt of the service
	poolScope                // prepared boundaries; the attempt can continue without them
)

// scopedBatch is a batch that records the scope of each statement.
type scopedBatch struct {
	batch  pgx.Batch
	scopes []scope
	done   int // statements that have succeeded
}

// queue adds a statement. read reads its single row; nil: the statement returns no row.
func (p *scopedBatch) queue(at scope, read func(pgx.Row) error, text string, args ...any) {
	p.scopes = append(p.scopes, at)
	queued := p.batch.Queue(text, args...)
	if read == nil {
		queued.Exec(func(pgconn.CommandTag) error {
			p.done++
			return nil
		})
		return
	}
	queued.QueryRow(func(row pgx.Row) error {
		err := read(row)
		if err == nil {
			p.done++
		}
		return err
	})
}

// send sends the batch in one round trip. After an error, at is the scope of the failed statement.
func (p *scopedBatch) send(ctx context.Context, conn interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
},
) (at scope, err error) {
	err = conn.SendBatch(ctx, &p.batch).Close()
	if err == nil {
		return sharedScope, nil
	}
	if p.done < len(p.scopes) {
		return p.scopes[p.done], err
	}
	return sharedScope, err
}
