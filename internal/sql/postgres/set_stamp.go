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

// mostRestamped is how many schemas get another stamp in one transaction: each is locked until its end, and the server
// has room for a limited number of locks.
const mostRestamped = 500

// SetStamp records that the streams carry the id, which replaces the registry's, and that this database is the one that
// they belong to. If the id changes, all schemas that carry the former one get the new one, except those on which this
// role may not comment. Up to [mostRestamped] of them, it is one transaction. With more, the last transaction changes
// the id: if the process ends before, the next call continues.
//
// Other processes use the former id until they call [Store.Stamp].
func (s *Store) SetStamp(ctx context.Context, id string) error {
	id, err := sql.ParseRegistryID(id)
	if err != nil {
		return err
	}
	for done := false; !done; {
		if done, err = s.setStampOnce(ctx, id); err != nil {
			return fmt.Errorf("set the registry's id: %w", withMissingPrivilege(s.ledgerFault(err),
				"SELECT, INSERT and UPDATE on registry_stamp in schema "+s.registry))
		}
	}
	s.registryID.Store(&id)
	return nil
}

// setStampOnce is one transaction of SetStamp. It is done if no schema is left.
func (s *Store) setStampOnce(ctx context.Context, id string) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, connectFault(err)
	}
	defer conn.Release() // destroys a connection that is not idle
	here := place{}
	if here.system, err = s.q.readSystem(ctx, conn); err != nil {
		return false, err
	}
	former := ""
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(s.q.MigrationLock, s.migrationKey())
	batch.Queue(s.q.LockStamp).QueryRow(scanOptional(&former))
	batch.Queue(s.q.DatabaseOid).QueryRow(func(row pgx.Row) error { return row.Scan(&here.database) })
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return false, s.rollbackAfter(ctx, conn.Conn(), err)
	}
	restamp, more, err := s.restamping(ctx, conn.Conn(), former, id)
	if err == nil {
		err = sendEach(ctx, conn.Conn(), restamp...)
	}
	if err != nil {
		return false, s.rollbackAfter(ctx, conn.Conn(), err)
	}
	batch = &pgx.Batch{}
	batch.Queue(s.q.DurableCommit)
	if !more {
		batch.Queue(s.q.SetStamp, id, here.String())
	}
	batch.Queue("COMMIT")
	if err := sendDurable(ctx, conn.Conn(), batch); err != nil {
		return false, s.rollbackAfter(ctx, conn.Conn(), err)
	}
	return !more, nil
}

// restamping returns the statements that replace the former id in the comments of schemas, and whether more are left.
// An operator's remark behind the id stays. Until the transaction ends, no attempt runs and no boundary is prepared:
// either would rename or stamp a schema.
func (s *Store) restamping(
	ctx context.Context, conn *pgx.Conn, former, id string,
) (texts []string, more bool, err error) {
	if former == id || former == "" {
		return nil, false, nil
	}
	batch := &pgx.Batch{}
	batch.Queue(s.q.MigrationLock, lockKey("pool", s.registry))
	batch.Queue(s.q.MigrationLock, s.workKey())
	batch.Queue(s.q.StampedSchemas, stampPrefix+former, false, mostRestamped).Query(func(rows pgx.Rows) error {
		var schema, comment string
		_, err := pgx.ForEachRow(rows, []any{&schema, &comment}, func() error {
			text := stampPrefix + id + comment[len(stampPrefix+former):]
			texts = append(texts, "COMMENT ON SCHEMA "+quote(schema)+" IS "+literal(text))
			return nil
		})
		return err
	})
	err = conn.SendBatch(ctx, batch).Close()
	if waitEnded(err) {
		err = fmt.Errorf("attempts are running: %w: %w", pipeline.ErrBusy, err)
	}
	return texts, len(texts) == mostRestamped, err
}

// rollbackAfter ends the transaction after an error, and returns that error.
func (s *Store) rollbackAfter(ctx context.Context, conn *pgx.Conn, cause error) error {
	var server *pgconn.PgError
	if !errors.As(cause, &server) { // the connection is lost
		return cause
	}
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer cancel()
	if _, err := conn.Exec(tidy, "ROLLBACK"); err != nil {
		s.log.DebugContext(ctx, "could not roll back", "error", err)
	}
	return cause
}
