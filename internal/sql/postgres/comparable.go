package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// Stamp reads the registry's id, whether the streams have it, and the checkpoint. From then on the store uses that id,
// which another process may have changed, and takes an earlier checkpoint for a restore.
func (s *Store) Stamp(ctx context.Context) (sql.Stamp, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	stamp, err := s.q.readStampState(ctx, s.pool)
	if err != nil {
		return sql.Stamp{}, fmt.Errorf("read the registry's id: %w", s.ledgerFault(err))
	}
	s.registryID.Store(&stamp.ID)
	s.checkpoint.Store(&stamp.Checkpoint)
	return stamp, nil
}

// Stamp reads the registry's id, and whether the streams have it. A registry of an earlier version has neither, or an
// id that the streams do not have.
func (r *Reader) Stamp(ctx context.Context) (stamp sql.Stamp, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	switch {
	case r.has.latest:
		stamp, err = r.q.readStampState(ctx, r.pool)
	case r.has.stamped:
		err = r.pool.QueryRow(ctx, r.q.Stamp).Scan(&stamp.ID)
	}
	if err != nil {
		return sql.Stamp{}, fmt.Errorf("read the registry's id: %w", r.absent(err))
	}
	return stamp, nil
}

// place identifies the database in which the streams got the registry's id. A restored or renamed database keeps its
// server's identifier, and a renamed one its oid.
type place struct {
	system   string // the server's identifier; empty: the role may not read it
	database string // oid
}

func (p place) String() string { return p.system + "/" + p.database }

// readStampState reads the stamp, and compares the recorded place with this one.
func (q queries) readStampState(ctx context.Context, db querier) (stamp sql.Stamp, err error) {
	var recorded, here place
	var namesake string // the database on this server with the recorded oid
	err = db.QueryRow(ctx, q.StampState).Scan(append([]any{
		&stamp.ID, &stamp.Streams, &recorded.system, &recorded.database, &here.database, &namesake,
	}, stamp.Times()...)...)
	if err != nil || !stamp.Streams || recorded.database == "" {
		return stamp, err
	}
	if here.system, err = q.readSystem(ctx, db); err != nil {
		return stamp, err
	}
	stamp.Bound = recorded == here
	switch {
	case recorded.system != "" && here.system != "" && recorded.system != here.system:
		stamp.CopyOf = "a database on another server (system identifier " + recorded.system + ")"
	case recorded.database != here.database && namesake != "":
		stamp.CopyOf = "database " + namesake + " on the same server"
	}
	return stamp, nil
}

// readSystem returns the server's identifier, or "" if the role may not read it.
func (q queries) readSystem(ctx context.Context, db querier) (identifier string, err error) {
	var allowed bool
	if err := db.QueryRow(ctx, q.MayReadSystem).Scan(&allowed); err != nil || !allowed {
		return "", err
	}
	err = db.QueryRow(ctx, q.SystemIdentifier).Scan(&identifier)
	return identifier, err
}

// Entry returns the ledger's entry of the request with that key, or [sql.ErrNotFound].
func (s *Store) Entry(ctx context.Context, key string) (e sql.LedgerEntry, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = e.Scan(s.pool.QueryRow(ctx, s.q.Entry, key))
	if errors.Is(err, pgx.ErrNoRows) {
		err = sql.ErrNotFound
	} else {
		err = s.ledgerFault(err)
	}
	if err != nil {
		return e, fmt.Errorf("read the ledger: %w", err)
	}
	return e, nil
}

// Entry returns the ledger's entry of the request with that key, or [sql.ErrNotFound].
func (r *Reader) Entry(ctx context.Context, key string) (e sql.LedgerEntry, err error) {
	if !r.has.latest {
		return e, sql.ErrNoLedger
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := e.Scan(r.pool.QueryRow(ctx, r.q.Entry, key)); err != nil {
		return e, fmt.Errorf("read the ledger: %w", r.absent(err))
	}
	return e, nil
}

// Entries returns at most limit entries of the ledger with a key above after, in the order of their keys.
func (r *Reader) Entries(ctx context.Context, after string, limit int) ([]sql.LedgerEntry, error) {
	if !r.has.latest {
		return nil, sql.ErrNoLedger
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := r.pool.Query(ctx, r.q.Entries, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", r.explainPrivilege(err))
	}
	page, err := pgx.CollectRows(rows, scanEntry)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", r.explainPrivilege(err))
	}
	return page, nil
}

func scanEntry(row pgx.CollectableRow) (e sql.LedgerEntry, err error) {
	err = e.Scan(row)
	return e, err
}

// IsAccepted reports whether an operator has accepted that the ledger lacks the outcome with that id.
func (s *Store) IsAccepted(ctx context.Context, outcomeID string) (accepted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := s.pool.QueryRow(ctx, s.q.IsAccepted, pipeline.Storable(outcomeID)).Scan(&accepted); err != nil {
		return false, fmt.Errorf("read the accepted outcomes: %w", s.ledgerFault(err))
	}
	return accepted, nil
}

// IsAccepted reports whether an operator has accepted that the ledger lacks the outcome with that id.
func (r *Reader) IsAccepted(ctx context.Context, outcomeID string) (accepted bool, err error) {
	if !r.has.latest {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := r.pool.QueryRow(ctx, r.q.IsAccepted, pipeline.Storable(outcomeID)).Scan(&accepted); err != nil {
		return false, fmt.Errorf("read the accepted outcomes: %w", r.explainPrivilege(err))
	}
	return accepted, nil
}

// Accept records outcomes that cannot be restored, in one commit. Those that are recorded already stay.
func (s *Store) Accept(ctx context.Context, outcomes []sql.AcceptedOutcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return connectFault(err)
	}
	defer conn.Release()
	batch := &pgx.Batch{}
	batch.Queue(s.q.DurableCommit)
	for _, o := range outcomes {
		batch.Queue(s.q.Accept, pipeline.Storable(o.OutcomeID), o.Key, pipeline.Storable(o.TenantID),
			pipeline.Storable(o.Reason))
	}
	if err := sendDurable(ctx, conn.Conn(), batch); err != nil {
		return fmt.Errorf("record the accepted outcomes: %w", withMissingPrivilege(s.ledgerFault(err),
			"SELECT and INSERT on accepted_outcomes in schema "+s.registry))
	}
	return nil
}

// SetCheckpoint implements [database.Recovery]. Its commit is asynchronous: one that is lost takes the checkpoint back,
// and a durable commit after it makes it durable too.
func (s *Store) SetCheckpoint(ctx context.Context, from, to sql.Checkpoint) (moved bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(s.q.AsyncCommit)
	batch.Queue(s.q.SetCheckpoint, append(from.Columns(), to.Columns()...)...).Exec(func(tag pgconn.CommandTag) error {
		moved = tag.RowsAffected() == 1
		return nil
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return false, fmt.Errorf("record the checkpoint: %w", withMissingPrivilege(s.ledgerFault(err),
			"UPDATE on registry_stamp in schema "+s.registry))
	}
	if moved {
		s.checkpoint.Store(&to)
	}
	return moved, nil
}

// Boundaries returns the names of all schemas that the template of names can have given. The registry's schema and
// prepared boundaries are not among them.
func (r *Reader) Boundaries(ctx context.Context) (names []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	prefix, _ := r.names.Affixes()
	rows, err := r.pool.Query(ctx, r.q.Boundaries, prefix, r.registry, sql.PreparedPrefix)
	if err != nil {
		return nil, fmt.Errorf("list the schemas of tenants: %w", r.explainPrivilege(err))
	}
	var name string
	_, err = pgx.ForEachRow(rows, []any{&name}, func() error {
		if r.names.Gives(name) {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the schemas of tenants: %w", r.explainPrivilege(err))
	}
	return names, nil
}
