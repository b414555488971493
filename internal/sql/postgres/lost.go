package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// lostSession is a session of this process whose connection was lost during an attempt. Its backend may still run on
// the server, and hold boundary and request until the server notices.
type lostSession struct {
	pid      uint32
	boundary int64 // key of its lock
}

// mostLost bounds the list. The server has ended the oldest sessions itself by then (frozenTimeout).
const mostLost = 1000

// lostSessions are the lost sessions that have not been terminated or found ended yet.
type lostSessions struct {
	mutex sync.Mutex
	all   []lostSession
}

func (l *lostSessions) add(s lostSession) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.all = append(l.all, s)
	l.all = l.all[max(len(l.all)-mostLost, 0):]
}

func (l *lostSessions) snapshot() []lostSession {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.all)
}

func (l *lostSessions) remove(done []lostSession) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.all = slices.DeleteFunc(l.all, func(s lostSession) bool { return slices.Contains(done, s) })
}

// boundaryKey returns the key of the lock on the attempt's boundary.
func (b *build) boundaryKey() int64 { return lockKey("boundary", strings.ToLower(b.schema)) }

// noteLost records the session of an attempt whose connection was lost.
func (b *build) noteLost() {
	if pg := b.conn.Conn().PgConn(); b.claim.Key != "" && pg.PID() != 0 {
		b.lost.add(lostSession{pid: pg.PID(), boundary: b.boundaryKey()})
	}
}

// endLost terminates lost sessions of this process that still hold the lock of their boundary or wait for it, so that
// no attempt is spent waiting for them. Without lost sessions it sends nothing. Its own errors are only logged: if the
// cause persists, the statements that follow fail too.
func (s *Store) endLost(ctx context.Context, by interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
},
) {
	lost := s.lost.snapshot()
	if len(lost) == 0 {
		return
	}
	pids, keys := make([]int64, len(lost)), make([]int64, len(lost))
	for i, l := range lost {
		pids[i], keys[i] = int64(l.pid), l.boundary
	}
	rows, err := by.Query(ctx, s.q.EndLost, pids, keys)
	if err == nil {
		var pid int64
		_, err = pgx.ForEachRow(rows, []any{&pid, nil}, func() error {
			s.log.InfoContext(ctx, "terminating session whose connection was lost", "pid", pid)
			return nil
		})
	}
	if err != nil {
		s.log.DebugContext(ctx, "could not terminate lost sessions", "error", err)
		var server *pgconn.PgError
		if !errors.As(err, &server) {
			return // this connection is lost too; the next call retries
		}
	}
	s.lost.remove(lost)
}
