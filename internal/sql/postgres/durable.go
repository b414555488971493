package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
)

// With synchronous replication, a commit waits for the standby. The server has committed the transaction locally before
// that wait. Whatever ends the wait (pg_cancel_backend, statement_timeout, the end of the session or of the server),
// the transaction stays committed and visible on this server, but may be missing on the standby: a failover then loses
// it. Therefore:
//
//   1. A commit that must be durable reports an outage if its wait was interrupted.
//   2. Where synchronous_standby_names is set, an outcome found in the ledger is returned only after a commit of this
//      process, which waits for all earlier ones. Elsewhere a commit is visible only once it is on the disk.

// syncRepRoutine is the server's function in which a commit waits for standbys. Its only messages to clients are
// warnings that the wait was interrupted although the transaction is committed. (PostgreSQL 13 to 18, syncrep.c)
const syncRepRoutine = "SyncRepWaitForLSN"

// unconfirmedKey marks a connection that received such a warning.
const unconfirmedKey = "example.com/tenant-provisioner: unconfirmed commit"

// Hints for the operator while commits wait, and after a wait was interrupted.
const (
	standbyRemedy = "start the standby; or, if failing over to it may lose what it has not received, remove it from " +
		"synchronous_standby_names and reload the server's configuration"
	commitsWait = "commits wait for a synchronous standby; " + standbyRemedy
	unconfirmed = "a synchronous standby has not confirmed the commit; " + standbyRemedy
	unanswered  = "the commit is not confirmed: PostgreSQL does not answer, or it waits for a synchronous standby"
)

// noteUnconfirmed is a handler for the notices of a connection.
func noteUnconfirmed(conn *pgconn.PgConn, notice *pgconn.Notice) {
	if notice.Routine == syncRepRoutine {
		conn.CustomData()[unconfirmedKey] = true
	}
}

// sendDurable sends a batch that contains [queries.durableCommit] before its commit. If it returns no error, the commit
// is on disk, and on the standbys that the server waits for.
func sendDurable(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch) error {
	data := conn.PgConn().CustomData()
	delete(data, unconfirmedKey)
	err := conn.SendBatch(ctx, batch).Close()
	if _, found := data[unconfirmedKey]; found { // the end of the session also returns an error
		return &pipeline.Fault{Class: pipeline.Outage, Message: unconfirmed, Shared: true, Lost: true, Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) { // statement_timeout does not cover the wait of a commit
		return &pipeline.Fault{Class: pipeline.Outage, Message: unanswered, Shared: true, Lost: true, Err: err}
	}
	return err
}

// confirm returns nil once all earlier commits are on disk and on the standbys. The ledger must have the request.
func (s *Store) confirm(ctx context.Context, conn *pgx.Conn, key string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(s.q.DurableCommit)
	batch.Queue(s.q.Confirm, key)
	if err := sendDurable(ctx, conn, batch); err != nil {
		err = s.ledgerFault(s.blocked(ctx, conn, err))
		return fmt.Errorf("confirm the outcome in the ledger: %w", err)
	}
	return nil
}

// confirmed confirms the outcome in a *[pipeline.AlreadyDecidedError] in err. It returns err, or the reason why the
// outcome must not be published yet.
func (s *Store) confirmed(ctx context.Context, key string, err error) error {
	var decided *pipeline.AlreadyDecidedError
	if !errors.As(err, &decided) {
		return err
	}
	conn, failed := s.pool.Acquire(ctx)
	if failed != nil {
		return connectFault(failed)
	}
	defer conn.Release()
	if failed := s.confirm(ctx, conn.Conn(), key); failed != nil {
		return failed
	}
	return err
}

// confirmed is [Store.confirmed] on the attempt's connection. It first rolls back the transaction, which holds the row.
func (b *build) confirmed(ctx context.Context, err error) error {
	var decided *pipeline.AlreadyDecidedError
	if !errors.As(err, &decided) {
		return err
	}
	if err := b.exec(ctx, "ROLLBACK"); err != nil {
		return err
	}
	if failed := b.confirm(ctx, b.conn.Conn(), b.claim.Key); failed != nil {
		return failed
	}
	return err
}

// blocked checks an error of a wait for a lock. If commits wait for a standby, it returns an outage instead: they hold
// their locks until then, and no request is at fault.
func (s *Store) blocked(ctx context.Context, on querier, err error) error {
	var wait bool
	if !waitEnded(err) || on.QueryRow(ctx, s.q.CommitsWait).Scan(&wait) != nil || !wait {
		return err
	}
	return &pipeline.Fault{Class: pipeline.Outage, Message: commitsWait, Shared: true, Lost: true, Err: err}
}

// busy returns the error for a wait for a row that timed out: an outage if commits wait for a standby; otherwise
// [pipeline.ErrBusy], because another worker has the row.
func (s *Store) busy(ctx context.Context, on querier, err error) error {
	var outage *pipeline.Fault
	if errors.As(s.blocked(ctx, on, err), &outage) {
		return outage
	}
	return pipeline.ErrBusy
}

// blocked is [Store.blocked] on the attempt's connection. It first rolls back the failed transaction.
func (b *build) blocked(ctx context.Context, err error) error {
	if !waitEnded(err) || b.exec(ctx, "ROLLBACK") != nil {
		return err
	}
	return b.Store.blocked(ctx, b.conn, err)
}

// probe returns what to send a probe on. That is the pool, or a separate connection if all connections of the pool are
// in use, such as by commits that wait.
func (s *Store) probe(ctx context.Context) (on querier, done func()) {
	if stat := s.pool.Stat(); stat.AcquiredConns() == stat.MaxConns() {
		conn, err := s.connector.connect(ctx)
		if err == nil {
			return conn, func() { _ = conn.Close(context.WithoutCancel(ctx)) }
		}
		s.log.DebugContext(ctx, "no separate connection for a probe", "error", err)
	}
	return s.pool, func() {}
}
