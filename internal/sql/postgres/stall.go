package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
)

// timeouts are the server's timeouts in force for a session; 0: none.
type timeouts struct {
	lock, statement time.Duration
}

// readTimeouts reads the timeouts in force: a pooler or the server's configuration may override the requested ones.
func (s *Store) readTimeouts(ctx context.Context) (t timeouts, err error) {
	var lock, statement int64
	if err = s.pool.QueryRow(ctx, s.q.Timeouts).Scan(&lock, &statement); err != nil {
		return t, fmt.Errorf("read the timeouts in force: %w", err)
	}
	return timeouts{time.Duration(lock) * time.Millisecond, time.Duration(statement) * time.Millisecond}, nil
}

// stallSlack is the least delay of an error after its timeout that indicates a stall. A busy machine can be late by
// less.
const stallSlack = time.Second

// stall examines the error of a statement sent at that time. If the error came much later than the server's timeout,
// the server or this machine stalled, and stall returns an outage: a running server ends a wait on time. A holder of
// the lock was stalled as well, so the attempt is not to blame. Half a timeout of tolerance is for statements that wait
// for several locks or are sent together.
func stall(err error, sent time.Time, t timeouts) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return err
	}
	var timeout time.Duration
	switch server.Code {
	case "55P03":
		timeout = t.lock
	case "57014":
		timeout = t.statement
	}
	took := time.Since(sent)
	if timeout == 0 || took < timeout+max(timeout/2, stallSlack) {
		return err
	}
	return &pipeline.Fault{
		Class: pipeline.Outage, DriverCode: server.Code, Err: err,
		Message: fmt.Sprintf("the server stalled: a timeout of %s ended a statement only after %s",
			timeout, took.Round(time.Millisecond)),
	}
}
