package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// place is what a statement works on. It decides whose fault an error is.
type place int

const (
	ofTenant place = iota // the tenant's schema
	ofAll                 // registry, ledger, transaction
	ofLock                // the lock on the boundary, held by another attempt of the service
	ofPool                // prepared boundaries; the attempt can continue without them
)

// placed is a batch that records the place of each statement.
type placed struct {
	batch  pgx.Batch
	places []place
	done   int // statements that have succeeded
}

// queue adds a statement. read reads its single row; nil: the statement returns no row.
func (p *placed) queue(at place, read func(pgx.Row) error, text string, args ...any) {
	p.places = append(p.places, at)
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

// send sends the batch in one round trip. After an error, at is the place of the failed statement.
func (p *placed) send(ctx context.Context, conn interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
},
) (at place, err error) {
	err = conn.SendBatch(ctx, &p.batch).Close()
	if err == nil {
		return ofAll, nil
	}
	if p.done < len(p.places) {
		return p.places[p.done], err
	}
	return ofAll, err
}
