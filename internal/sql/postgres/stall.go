package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
)

// timeouts are those of the server that are in force for a session; 0: none.
type timeouts struct {
	lock, statement time.Duration
}

// readTimeouts asks what is in force: a pooler between, or the server, may have a say.
func (s *Store) readTimeouts(ctx context.Context) (t timeouts, err error) {
	var lock, statement int64
	if err = s.pool.QueryRow(ctx, s.q.timeouts).Scan(&lock, &statement); err != nil {
		return t, fmt.Errorf("read the timeouts in force: %w", err)
	}
	return timeouts{time.Duration(lock) * time.Millisecond, time.Duration(statement) * time.Millisecond}, nil
}

// stallSlack is how much later than its timeout an error may come, at least: a busy machine takes as long.
const stallSlack = time.Second

// stall returns the error of a statement that was sent at that time, as an outage where the server, or this machine,
// stood still: a timeout of the server ends a wait on time, unless nothing runs. Whatever was waited for, its holder
// stood still as well, so that the attempt is not to blame. Half a timeout more is allowed for statements that wait
// for more than one lock, or are sent together.
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
		Message: fmt.Sprintf("the server stood still: a timeout of %s has ended a statement after %s",
			timeout, took.Round(time.Millisecond)),
	}
}
