package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

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
	s.endLost(ctx, s.pool)
	claim, err := s.claimNew(ctx, r, tenantID)
	if errors.Is(err, pgx.ErrNoRows) {
		claim, err = s.claimKnown(ctx, r, tenantID, limit)
	}
	if err != nil {
		return pipeline.Claim{}, fmt.Errorf("claim the request in the ledger: %w", lacking(err, rightsInRegistry(s.registry)))
	}
	return claim, nil
}

// claimNew claims the first attempt at a request. It returns [pgx.ErrNoRows] where the ledger knows the request.
func (s *Store) claimNew(ctx context.Context, r pipeline.Request, tenantID string) (pipeline.Claim, error) {
	claim := pipeline.Claim{Key: r.Key(), Replay: pipeline.FirstReplay(r.Replay), Attempt: 1, Delivery: r.Delivery}
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
		limit.Attempts, limit.Lease.Seconds(), r.Message(), limit.ForCopies().Seconds())
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
	switch {
	case waitEnded(err): // an attempt's transaction holds the row
		return pipeline.Claim{}, pipeline.ErrBusy
	case err != nil:
		return pipeline.Claim{}, err
	}
	return row.Claimed(key, claimed, registered)
}

// Conclude implements [pipeline.Ledger].
func (s *Store) Conclude(ctx context.Context, c pipeline.Claim, f pipeline.Conclusion) (pipeline.Outcome, error) {
	batch := &pgx.Batch{}
	s.queueConclude(batch, c, "failed", f)
	return s.concluded(ctx, batch, c.Key)
}

// concluded sends one statement that records a failure, and returns the outcome that stands.
func (s *Store) concluded(ctx context.Context, batch *pgx.Batch, key string) (pipeline.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var row sql.Entry
	batch.Queue(s.q.request, key)
	err := s.send(ctx, batch, func(results pgx.BatchResults) error {
		if _, err := results.Exec(); err != nil {
			return err
		}
		return row.Scan(results.QueryRow())
	})
	if err != nil {
		err = lacking(err, rightsInRegistry(s.registry))
		return pipeline.Outcome{}, fmt.Errorf("record the failure in the ledger: %w", err)
	}
	return row.Concluded()
}

// Reject implements [pipeline.Ledger].
func (s *Store) Reject(ctx context.Context, r pipeline.Rejection) (pipeline.Outcome, error) {
	f, m := r.Failure, r.Message
	batch := &pgx.Batch{}
	batch.Queue(s.q.reject, r.Key, m.Stream, strconv.FormatUint(m.Sequence, 10), m.Replay, f.Step, string(f.Cause.Code),
		f.Text(), f.Outcome.ID, string(f.Outcome.Body), r.Delivery)
	return s.concluded(ctx, batch, r.Key)
}

// Note implements [pipeline.Ledger].
func (s *Store) Note(ctx context.Context, c pipeline.Claim, n pipeline.Note) error {
	return s.writeLax(ctx, "attempt", s.q.note, c.Key, c.Replay, n.Step, n.Code, n.Text, n.Refund, c.Attempt, c.Delivery)
}

// Suspect implements [pipeline.Ledger].
func (s *Store) Suspect(ctx context.Context, r pipeline.Request, limit pipeline.Limit) (suspect bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s.endLost(ctx, s.pool)
	var busy bool
	err := s.pool.QueryRow(ctx, s.q.suspect, r.Key(), limit.Ended().Seconds(), limit.Attempts, r.Message(),
		limit.Lease.Seconds(), limit.ForCopies().Seconds(), r.Delivery, r.Replay).Scan(&suspect, &busy)
	if waitEnded(err) || busy {
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

func (s *Store) queueConclude(batch *pgx.Batch, c pipeline.Claim, state string, f pipeline.Conclusion) {
	batch.Queue(s.q.conclude, c.Key, c.Replay, state, f.Step, string(f.Cause.Code), f.Text(),
		f.Outcome.ID, string(f.Outcome.Body), c.Attempt)
}

// send sends the batch as one implicit transaction and reads its results.
func (s *Store) send(ctx context.Context, batch *pgx.Batch, read func(pgx.BatchResults) error) (err error) {
	results := s.pool.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	return read(results)
}
