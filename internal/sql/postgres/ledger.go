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

// Claim implements [pipeline.Ledger]: one round trip for a new request, and for a finished one that is expected, which
// otherwise takes two.
func (s *Store) Claim(
	ctx context.Context, r pipeline.Request, tenantID string, limit pipeline.Limit,
) (pipeline.Claim, error) {
	s.activity.touch()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s.endLost(ctx, s.pool)
	source, id := r.Event.Source(), r.Event.ID()
	claim, err := s.claim(ctx, r, source, id, tenantID, limit)
	if isUnstorable(err) {
		why := err
		claim, err = s.claim(ctx, r, escape(source), escape(id), tenantID, limit)
		claim.Unstorable = why
	}
	if err = s.blocked(ctx, s.pool, err); err != nil {
		return pipeline.Claim{}, fmt.Errorf("claim the request in the ledger: %w", s.ledgerFault(err))
	}
	return claim, nil
}

// claim claims an attempt at the request. The ledger stores this source and id for display. Requests that the ledger
// already has come in series, such as those that a publisher sends again after an outage: after one of them, and for a
// redelivery, the ledger is read first.
func (s *Store) claim(
	ctx context.Context, r pipeline.Request, source, id, tenantID string, limit pipeline.Limit,
) (claim pipeline.Claim, err error) {
	if r.Redelivered || s.repeated.Load() {
		claim, err = s.claimKnown(ctx, r, source, id, tenantID, limit)
		if !errors.Is(err, pgx.ErrNoRows) {
			return claim, err
		}
	}
	claim, err = s.claimNew(ctx, r, source, id, tenantID)
	known := errors.Is(err, pgx.ErrNoRows)
	s.repeated.Store(known)
	if known {
		claim, err = s.claimKnown(ctx, r, source, id, tenantID, limit)
	}
	return claim, err
}

// claimNew claims the first attempt at a request. It returns [pgx.ErrNoRows] if the ledger already has the request.
func (s *Store) claimNew(
	ctx context.Context, r pipeline.Request, source, id, tenantID string,
) (pipeline.Claim, error) {
	claim := pipeline.Claim{Key: r.Key(), Replay: pipeline.FirstReplay(r.Replay), Attempt: 1, DeliveryID: r.DeliveryID}
	var checkpoint sql.Checkpoint
	err := s.pool.QueryRow(ctx, s.q.ClaimNew, tenantID, claim.Key, source, id, claim.Replay, r.DeliveryID).
		Scan(append([]any{nil, &claim.Registered}, checkpoint.Targets()...)...)
	if err == nil {
		err = checkpoint.WentBack(s.checkpoint.Load())
	}
	return claim, err
}

// claimKnown claims a further attempt, unless there is an outcome, which it confirms. It returns [pgx.ErrNoRows] if the
// ledger does not have the request.
func (s *Store) claimKnown(
	ctx context.Context, r pipeline.Request, source, id, tenantID string, limit pipeline.Limit,
) (pipeline.Claim, error) {
	key := r.Key()
	var row sql.LedgerRow
	var replicated bool
	batch := &pgx.Batch{}
	batch.Queue(s.q.Request, key).QueryRow(func(r pgx.Row) error { return row.Scan(r) })
	batch.Queue(s.q.Replicated).QueryRow(func(r pgx.Row) error { return r.Scan(&replicated) })
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return pipeline.Claim{}, err
	}
	// The statement below compares it again: after a concurrent claim, this delivery counts as a redelivery.
	replay := pipeline.NextReplay(r.Replay, row.Replay)
	if row.Decided(replay) {
		claim, err := row.ClaimResult(key, false, "")
		if replicated {
			err = s.confirmed(ctx, key, err)
		}
		return claim, err
	}
	var claimed bool
	var registered string
	var checkpoint sql.Checkpoint
	batch = &pgx.Batch{}
	batch.Queue(s.q.AsyncCommit)
	batch.Queue(s.q.Claim, tenantID, key, source, id, replay, r.DeliveryID,
		limit.Attempts, limit.Lease.Seconds(), r.Message(), limit.ForCopies().Seconds())
	batch.Queue(s.q.Request, key)
	batch.Queue(s.q.FindTenant, tenantID)
	batch.Queue(s.q.Checkpoint)
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
		if err := scanOptional(&registered)(results.QueryRow()); err != nil {
			return err
		}
		return results.QueryRow().Scan(checkpoint.Targets()...)
	})
	if err == nil {
		err = checkpoint.WentBack(s.checkpoint.Load())
	}
	switch {
	case waitEnded(err): // an attempt's transaction holds the row
		return pipeline.Claim{}, s.busy(ctx, s.pool, err)
	case err != nil:
		return pipeline.Claim{}, err
	}
	claim, err := row.ClaimResult(key, claimed, registered)
	return claim, s.confirmed(ctx, key, err)
}

// RecordFailure implements [pipeline.Ledger].
func (s *Store) RecordFailure(ctx context.Context, c pipeline.Claim, f pipeline.Failure) (pipeline.Outcome, error) {
	return s.sendFailure(ctx, c.Key, f, func(batch *pgx.Batch, f pipeline.Failure) *pgx.QueuedQuery {
		return s.queueOutcome(batch, c, "failed", f)
	})
}

// sendFailure sends one statement that records a failure, and returns the outcome that the ledger then holds. Text that
// the database cannot store is sent again, escaped.
func (s *Store) sendFailure(
	ctx context.Context, key string, f pipeline.Failure,
	queue func(*pgx.Batch, pipeline.Failure) *pgx.QueuedQuery,
) (pipeline.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var row sql.LedgerRow
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return pipeline.Outcome{}, connectFault(err)
	}
	defer conn.Release()
	var recorded bool
	send := func(f pipeline.Failure) error {
		batch := &pgx.Batch{}
		batch.Queue(s.q.DurableCommit)
		queue(batch, f).Exec(func(tag pgconn.CommandTag) error {
			recorded = tag.RowsAffected() == 1
			return nil
		})
		batch.Queue(s.q.Request, key).QueryRow(func(r pgx.Row) error { return row.Scan(r) })
		return sendDurable(ctx, conn.Conn(), batch)
	}
	err = send(f)
	if isUnstorable(err) {
		err = send(escaped(f))
	}
	if err != nil {
		err = s.ledgerFault(s.blocked(ctx, conn, err))
		return pipeline.Outcome{}, fmt.Errorf("record the failure in the ledger: %w", err)
	}
	outcome, err := row.StoredOutcome()
	if err == nil && !recorded { // it existed already: nothing was committed here
		err = s.confirm(ctx, conn.Conn(), key)
	}
	return outcome, err
}

// Reject implements [pipeline.Ledger].
func (s *Store) Reject(ctx context.Context, r pipeline.Rejection) (pipeline.Outcome, error) {
	m := r.Message
	return s.sendFailure(ctx, r.Key, r.Failure, func(batch *pgx.Batch, f pipeline.Failure) *pgx.QueuedQuery {
		return batch.Queue(s.q.Reject, r.Key, m.Stream, strconv.FormatUint(m.Sequence, 10), m.Replay, f.Step,
			string(f.Cause.Code), f.Text(), f.Outcome.ID, string(f.Outcome.Body), r.DeliveryID)
	})
}

// Note implements [pipeline.Ledger].
func (s *Store) Note(ctx context.Context, c pipeline.Claim, n pipeline.AttemptNote) error {
	return s.writeAsync(ctx, "attempt", s.q.Note,
		c.Key, c.Replay, n.Step, n.Code, n.Text, n.Refund, c.Attempt, c.DeliveryID)
}

// LastAttemptVanished implements [pipeline.Ledger].
func (s *Store) LastAttemptVanished(
	ctx context.Context, r pipeline.Request, limit pipeline.Limit,
) (vanished bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s.endLost(ctx, s.pool)
	var busy bool
	batch := &pgx.Batch{}
	batch.Queue(s.q.AsyncCommit) // it locks the row, which need not be replicated
	batch.Queue(s.q.Vanished, r.Key(), limit.StaleAfter().Seconds(), limit.Attempts, r.Message(), limit.Lease.Seconds(),
		limit.ForCopies().Seconds(), r.DeliveryID, r.Replay).QueryRow(func(row pgx.Row) error {
		return row.Scan(&vanished, &busy)
	})
	err := s.pool.SendBatch(ctx, batch).Close()
	if waitEnded(err) {
		return false, s.busy(ctx, s.pool, err)
	}
	if busy {
		return false, pipeline.ErrBusy
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("read the ledger: %w", s.ledgerFault(err))
	}
	return vanished, nil
}

// DeadLetterConfirmed implements [pipeline.Ledger].
func (s *Store) DeadLetterConfirmed(ctx context.Context, key, outcomeID, delivery, stream string) error {
	return s.writeAsync(ctx, "dead letter", s.q.DeadLetterConfirmed, key, outcomeID, delivery, stream)
}

// Recorded implements [pipeline.Ledger].
func (s *Store) Recorded(ctx context.Context, key string) (pipeline.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var row sql.LedgerRow
	if err := row.Scan(s.pool.QueryRow(ctx, s.q.Request, key)); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return pipeline.Outcome{}, fmt.Errorf("read the ledger: %w", s.ledgerFault(err))
	}
	return row.CurrentOutcome(), nil
}

// writeAsync writes to the ledger with an asynchronous commit.
func (s *Store) writeAsync(ctx context.Context, what, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(s.q.AsyncCommit)
	batch.Queue(query, args...)
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("note the %s in the ledger: %w", what, s.ledgerFault(err))
	}
	return nil
}

func (s *Store) queueOutcome(
	batch *pgx.Batch, c pipeline.Claim, state string, f pipeline.Failure,
) *pgx.QueuedQuery {
	return batch.Queue(s.q.RecordOutcome, c.Key, c.Replay, state, f.Step, string(f.Cause.Code), f.Text(),
		f.Outcome.ID, string(f.Outcome.Body), c.Attempt)
}

// send sends the batch as one implicit transaction and reads its results.
func (s *Store) send(ctx context.Context, batch *pgx.Batch, read func(pgx.BatchResults) error) (err error) {
	results := s.pool.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	return read(results)
}

// registryFault is sharedFault, plus the permissions that registry and ledger require. If a prepared statement no
// longer fits the tables, it resets the pool, so that all sessions are opened again.
func (s *Store) registryFault(err error) error {
	err = withMissingPrivilege(sharedFault(err), registryPrivileges(s.registry))
	var fault *pipeline.Fault
	if errors.As(err, &fault) && stale[fault.DriverCode] {
		s.pool.Reset()
		fault.Class = pipeline.Outage
	}
	return err
}

// stale are the SQLSTATEs of a prepared statement whose tables were altered, or which its session no longer has.
var stale = map[string]bool{"0A000": true, "26000": true}

// ledgerFault is registryFault for statements that only use the ledger: a request must not fail permanently because the
// ledger cannot record it.
func (s *Store) ledgerFault(err error) error {
	err = s.registryFault(err)
	var fault *pipeline.Fault
	if errors.As(err, &fault) && fault.Class == pipeline.Permanent {
		fault.Class, fault.Code = pipeline.Transient, ""
	}
	return err
}
