package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// place is in what a statement works, which decides whose its fault is.
type place int

const (
	ofTenant place = iota // its schema
	ofAll                 // registry, ledger, transaction
	ofLock                // the lock on the boundary: an attempt of the service has it
	ofPool                // prepared boundaries, without which it can be done as well
)

// placed is a batch that knows the place of each statement.
type placed struct {
	batch  pgx.Batch
	places []place
	done   int // statements that have succeeded
}

// queue adds a statement, whose one row read reads; nil: there is none to read.
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

// send sends the batch in one round trip. Where it fails, at is the place of the statement that has failed.
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
