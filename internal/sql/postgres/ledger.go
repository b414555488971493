package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// Claim implements [pipeline.Ledger] in one round trip where the request is new, in two where it is finished.
func (s *Store) Claim(
	ctx context.Context, r pipeline.Request, tenantID string, limit pipeline.Limit,
) (pipeline.Claim, error) {
	s.activity.now()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	claim, err := s.claimNew(ctx, r, tenantID)
	if errors.Is(err, pgx.ErrNoRows) {
		claim, err = s.claimKnown(ctx, r, tenantID, limit)
	}
	if err = s.confirmed(ctx, r.Key(), s.blocked(ctx, s.pool, err)); err != nil {
		return pipeline.Claim{}, fmt.Errorf("claim the request in the ledger: %w", lacking(err, rightsInRegistry(s.registry)))
	}
	return claim, nil
}

// claimNew claims the first attempt at a request. It returns [pgx.ErrNoRows] where the ledger knows the request.
func (s *Store) claimNew(ctx context.Context, r pipeline.Request, tenantID string) (pipeline.Claim, error) {
	claim := pipeline.Claim{Key: r.Key(), Replay: pipeline.FirstReplay(r.Replay), Attempt: 1}
	err := s.pool.QueryRow(ctx, s.q.claimNew,
		tenantID, claim.Key, r.Event.Source(), r.Event.ID(), claim.Replay, r.Delivery).Scan(nil, &claim.Registered)
	return claim, err
}

// claimKnown claims a further attempt, unless there is an outcome.
func (s *Store) claimKnown(
	ctx context.Context, r pipeline.Request, tenantID string, limit pipeline.Limit,
) (pipeline.Claim, error) {
	key := r.Key()
	var row sql.Entry
	if err := row.Scan(s.pool.QueryRow(ctx, s.q.request, key)); err != nil {
		return pipeline.Claim{}, err
	}
	// The statement below compares it again: where another claim comes between, it is a redelivery.
	replay := pipeline.NextReplay(r.Replay, row.Replay)
	if row.Decided(replay) {
		return row.Claimed(key, false, "")
	}
	var claimed bool
	var registered string
	batch := &pgx.Batch{}
	batch.Queue(s.q.laxCommit)
	batch.Queue(s.q.claim, tenantID, key, r.Event.Source(), r.Event.ID(), replay, r.Delivery,
		limit.Attempts, limit.Lease.Seconds())
	batch.Queue(s.q.request, key)
	batch.Queue(s.q.findTenant, tenantID)
	err := s.send(ctx, batch, func(results pgx.BatchResults) error {
		if _, err := results.Exec(); err != nil {
			return err
		}
		tag, err := results.Exec()
		if err != nil {
			return err
		}
		claimed = tag.RowsAffected() == 1
		if err := row.Scan(results.QueryRow()); err != nil {
			return err
		}
		return optional(&registered)(results.QueryRow())
	})
	if err != nil {
		return pipeline.Claim{}, err
	}
	return row.Claimed(key, claimed, registered)
}

// Conclude implements [pipeline.Ledger].
func (s *Store) Conclude(ctx context.Context, c pipeline.Claim, f pipeline.Conclusion) (pipeline.Outcome, error) {
	return s.concluded(ctx, c.Key, func(batch *pgx.Batch) *pgx.QueuedQuery {
		return s.queueConclude(batch, c, "failed", f)
	})
}

// concluded sends one statement that records a failure, and returns the outcome that stands.
func (s *Store) concluded(
	ctx context.Context, key string, queue func(*pgx.Batch) *pgx.QueuedQuery,
) (pipeline.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var row sql.Entry
	var recorded bool
	batch := &pgx.Batch{}
	batch.Queue(s.q.durableCommit)
	queue(batch).Exec(func(tag pgconn.CommandTag) error {
		recorded = tag.RowsAffected() == 1
		return nil
	})
	batch.Queue(s.q.request, key).QueryRow(func(r pgx.Row) error { return row.Scan(r) })
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("connect: %w", classify(err))
	}
	defer conn.Release()
	if err := sendDurable(ctx, conn.Conn(), batch); err != nil {
		err = lacking(s.blocked(ctx, conn, err), rightsInRegistry(s.registry))
		return pipeline.Outcome{}, fmt.Errorf("record the failure in the ledger: %w", err)
	}
	outcome, err := row.Concluded()
	if err == nil && !recorded { // it was there: nothing was committed here
		err = s.confirm(ctx, conn.Conn(), key)
	}
	return outcome, err
}

// Reject implements [pipeline.Ledger].
func (s *Store) Reject(ctx context.Context, r pipeline.Rejection) (pipeline.Outcome, error) {
	f, m := r.Failure, r.Message
	return s.concluded(ctx, r.Key, func(batch *pgx.Batch) *pgx.QueuedQuery {
		return batch.Queue(s.q.reject, r.Key, m.Stream, strconv.FormatUint(m.Sequence, 10), m.Replay, f.Step,
			string(f.Cause.Code), f.Text(), f.Outcome.ID, string(f.Outcome.Body), r.Delivery)
	})
}

// Note implements [pipeline.Ledger].
func (s *Store) Note(ctx context.Context, c pipeline.Claim, n pipeline.Note) error {
	return s.writeLax(ctx, "attempt", s.q.note, c.Key, c.Replay, n.Step, n.Code, n.Text, n.Refund)
}

// Suspect implements [pipeline.Ledger].
func (s *Store) Suspect(ctx context.Context, key string, limit pipeline.Limit) (suspect bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(s.q.laxCommit) // it locks the row, and need not wait for that to be on a standby
	batch.Queue(s.q.suspect, key, limit.Ended().Seconds()).QueryRow(func(r pgx.Row) error { return r.Scan(&suspect) })
	err := s.pool.SendBatch(ctx, batch).Close()
	if waitEnded(err) {
		var fault *pipeline.Fault
		if errors.As(s.blocked(ctx, s.pool, err), &fault) {
			return false, fault
		}
		return false, pipeline.ErrBusy
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("read the ledger: %w", lacking(err, rightsInRegistry(s.registry)))
	}
	return suspect, nil
}

// Buried implements [pipeline.Ledger].
func (s *Store) Buried(ctx context.Context, key, outcomeID, delivery string) error {
	return s.writeLax(ctx, "dead letter", s.q.buried, key, outcomeID, delivery)
}

// Recorded implements [pipeline.Ledger].
func (s *Store) Recorded(ctx context.Context, key string) (pipeline.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var row sql.Entry
	if err := row.Scan(s.pool.QueryRow(ctx, s.q.request, key)); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return pipeline.Outcome{}, fmt.Errorf("read the ledger: %w", lacking(err, rightsInRegistry(s.registry)))
	}
	return row.Recorded(), nil
}

// writeLax notes something in the ledger, without waiting for the disk.
func (s *Store) writeLax(ctx context.Context, what, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(s.q.laxCommit)
	batch.Queue(query, args...)
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("note the %s in the ledger: %w", what, lacking(err, rightsInRegistry(s.registry)))
	}
	return nil
}

func (s *Store) queueConclude(
	batch *pgx.Batch, c pipeline.Claim, state string, f pipeline.Conclusion,
) *pgx.QueuedQuery {
	return batch.Queue(s.q.conclude, c.Key, c.Replay, state, f.Step, string(f.Cause.Code), f.Text(),
		f.Outcome.ID, string(f.Outcome.Body))
}

// send sends the batch as one implicit transaction and reads its results.
func (s *Store) send(ctx context.Context, batch *pgx.Batch, read func(pgx.BatchResults) error) (err error) {
	results := s.pool.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	return read(results)
}
