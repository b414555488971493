package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"strconv"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

func readRow(ctx context.Context, from queryRower, key string) (e sql.LedgerRow, err error) {
	err = e.Scan(from.QueryRowContext(ctx, q.Request, key))
	return e, err
}

// Claim implements [pipeline.Ledger].
func (s *Store) Claim(
	ctx context.Context, r pipeline.Request, tenantID string, limit pipeline.Limit,
) (pipeline.Claim, error) {
	key := r.Key()
	now := s.Now()
	var row sql.LedgerRow
	var claimed int64
	var registered string
	err := s.write(ctx, &pendingChange{do: func(ctx context.Context, tx *transaction) error {
		if err := s.checkRestored(ctx, tx); err != nil {
			return err
		}
		replay, err := countedReplay(ctx, tx, key, r.Replay)
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, q.Claim, key, r.Event.Source(), r.Event.ID(), tenantID, replay,
			limit.Attempts, formatTime(now), limit.Lease.Seconds(), r.DeliveryID, r.Message(), limit.ForCopies().Seconds())
		if err != nil {
			return err
		}
		if claimed, err = result.RowsAffected(); err != nil {
			return err
		}
		if row, err = readRow(ctx, tx, key); err != nil {
			return err
		}
		registered, err = text(ctx, tx, q.FindTenant, tenantID)
		return err
	}})
	if err != nil {
		return pipeline.Claim{}, fmt.Errorf("claim the request in the ledger: %w", err)
	}
	return row.ClaimResult(key, claimed == 1, registered)
}

// checkRestored fails if the registry was restored since its checkpoint was last read.
func (s *Store) checkRestored(ctx context.Context, tx *transaction) error {
	var now sql.Checkpoint
	if err := tx.QueryRowContext(ctx, q.Checkpoint).Scan(now.Targets()...); err != nil {
		return err
	}
	return now.WentBack(s.checkpoint.Load())
}

// countedReplay returns the number that a message's replay number counts as. Only a number above [pipeline.MaxReplay],
// which is rare, requires reading the ledger first.
func countedReplay(ctx context.Context, tx *transaction, key string, number int) (int, error) {
	if number <= pipeline.MaxReplay {
		return number, nil
	}
	row, err := readRow(ctx, tx, key)
	switch {
	case errors.Is(err, databasesql.ErrNoRows):
		return pipeline.FirstReplay(number), nil
	case err != nil:
		return 0, err
	}
	return pipeline.NextReplay(number, row.Replay), nil
}

// RecordFailure implements [pipeline.Ledger].
func (s *Store) RecordFailure(ctx context.Context, c pipeline.Claim, f pipeline.Failure) (pipeline.Outcome, error) {
	var row sql.LedgerRow
	err := s.write(ctx, &pendingChange{durable: true, do: func(ctx context.Context, tx *transaction) (err error) {
		if err := s.recordOutcome(ctx, tx, c, "failed", f); err != nil {
			return err
		}
		row, err = readRow(ctx, tx, c.Key)
		return err
	}})
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("record the failure in the ledger: %w", err)
	}
	return row.StoredOutcome()
}

// Reject implements [pipeline.Ledger].
func (s *Store) Reject(ctx context.Context, r pipeline.Rejection) (pipeline.Outcome, error) {
	var row sql.LedgerRow
	f, m := r.Failure, r.Message
	err := s.write(ctx, &pendingChange{durable: true, do: func(ctx context.Context, tx *transaction) error {
		_, err := tx.ExecContext(ctx, q.Reject, r.Key, m.Stream, strconv.FormatUint(m.Sequence, 10), m.Replay, f.Step,
			string(f.Cause.Code), f.Text(), f.Outcome.ID, string(f.Outcome.Body), r.DeliveryID, formatTime(s.Now()))
		if err == nil {
			row, err = readRow(ctx, tx, r.Key)
		}
		return err
	}})
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("record the failure in the ledger: %w", err)
	}
	return row.StoredOutcome()
}

// Note implements [pipeline.Ledger].
func (s *Store) Note(ctx context.Context, c pipeline.Claim, n pipeline.AttemptNote) error {
	return s.writeAsync(ctx, "attempt", q.Note, c.Key, c.Replay, n.Step, n.Code, n.Text, n.Refund, formatTime(s.Now()),
		c.Attempt, c.DeliveryID)
}

// LastAttemptVanished implements [pipeline.Ledger].
func (s *Store) LastAttemptVanished(
	ctx context.Context, r pipeline.Request, limit pipeline.Limit,
) (vanished bool, _ error) {
	var busy bool
	err := s.readDB.QueryRowContext(ctx, q.Vanished,
		r.Key(), limit.StaleAfter().Seconds(), limit.Attempts, r.Message(), limit.Lease.Seconds(),
		limit.ForCopies().Seconds(), r.DeliveryID, r.Replay, formatTime(s.Now())).
		Scan(&vanished, &busy)
	if busy {
		return false, pipeline.ErrBusy
	}
	if ignoreNoRows(err) != nil {
		return false, fmt.Errorf("read the ledger: %w", registryFault(err))
	}
	return vanished, nil
}

// DeadLetterConfirmed implements [pipeline.Ledger].
func (s *Store) DeadLetterConfirmed(ctx context.Context, key, outcomeID, delivery, stream string) error {
	return s.writeAsync(ctx, "dead letter", q.DeadLetterConfirmed, key, outcomeID, delivery, stream)
}

// Recorded implements [pipeline.Ledger].
func (s *Store) Recorded(ctx context.Context, key string) (pipeline.Outcome, error) {
	row, err := readRow(ctx, s.read(), key)
	if err == nil || errors.Is(err, databasesql.ErrNoRows) {
		err = s.inPlace()
	}
	if err != nil {
		return pipeline.Outcome{}, fmt.Errorf("read the ledger: %w", registryFault(err))
	}
	return row.CurrentOutcome(), nil
}

// writeAsync writes to the ledger without waiting for the disk.
func (s *Store) writeAsync(ctx context.Context, what, query string, args ...any) error {
	err := s.write(ctx, &pendingChange{do: func(ctx context.Context, tx *transaction) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}})
	if err != nil {
		return fmt.Errorf("note the %s in the ledger: %w", what, err)
	}
	return nil
}

// recordOutcome records an outcome within a write transaction.
func (s *Store) recordOutcome(
	ctx context.Context, tx *transaction, c pipeline.Claim, state string, f pipeline.Failure,
) error {
	_, err := tx.ExecContext(ctx, q.RecordOutcome, c.Key, c.Replay, state, f.Step, string(f.Cause.Code), f.Text(),
		f.Outcome.ID, string(f.Outcome.Body), formatTime(s.Now()), c.Attempt)
	return err
}

// checkAvailable reads the rows again and returns why the tenant must not be registered: the request is decided, or the
// tenant or its file is registered. Within a write transaction the result stays valid until its end.
func (s *Store) checkAvailable(ctx context.Context, from queryRower, c pipeline.Claim, tenant, path string) error {
	row, err := readRow(ctx, from, c.Key)
	if err != nil {
		return err
	}
	caseVariant, err := text(ctx, from, q.FindTenant, tenant)
	if err != nil {
		return err
	}
	owner, err := text(ctx, from, q.BoundaryOwner, path)
	if err != nil {
		return err
	}
	return row.CheckAvailable(c, tenant, caseVariant, path, owner)
}
