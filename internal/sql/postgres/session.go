package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooler is what the client can detect of a connection pooler in front of the server.
type Pooler struct {
	Stands  bool // a pooler answered, not the server
	Changes bool // settings are lost, or the server process changes: server sessions are shared
}

// errSharedSessions means that a pooler gives the sessions of the server to several clients in turn.
var errSharedSessions = errors.New("a pooler shares sessions between clients, which lose their settings; connect to " +
	"the server itself in DATABASE_URL, or give each client its own session (PgBouncer: pool_mode = session)")

// utf8Encoding is the only encoding of a database that can store every request.
const utf8Encoding = "UTF8"

// checkSession fails if the service cannot work with the database or with what is in front of it, whatever is done in
// the database.
func (s *Store) checkSession(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return connectFault(err)
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var encoding string
	var durable bool
	if err := conn.QueryRow(ctx, s.q.Session).Scan(nil, nil, &encoding, &durable); err != nil {
		return fmt.Errorf("query PostgreSQL: %w", sharedFault(err))
	}
	if encoding != utf8Encoding {
		return fmt.Errorf("the encoding of database %s is %s, want UTF8: create a database with "+
			"CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8', move the data, and name it in DATABASE_URL",
			conn.Conn().Config().Database, encoding)
	}
	if !durable {
		s.log.WarnContext(ctx, "fsync is off: a crash of the database's machine can destroy tenants that were announced; "+
			"ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()")
	}
	pooler, err := readPooler(ctx, conn.Conn(), s.q, func() (*pgx.Conn, func(), error) {
		second, err := s.pool.Acquire(ctx)
		if err != nil {
			return nil, nil, connectFault(err)
		}
		return second.Conn(), second.Release, nil
	})
	if err != nil {
		return fmt.Errorf("query PostgreSQL: %w", sharedFault(err))
	}
	if pooler.Changes {
		return errSharedSessions
	}
	return nil
}

// readPooler compares a session's properties with those of a direct connection. A pooler issues cancel keys of its own.
// Only then a second session is opened, to detect whether the two exchange their server processes.
func readPooler(
	ctx context.Context, conn *pgx.Conn, q queries, second func() (*pgx.Conn, func(), error),
) (p Pooler, err error) {
	pid, kept, err := readSession(ctx, conn, q)
	if err != nil || pid == conn.PgConn().PID() {
		return Pooler{Changes: !kept}, err
	}
	p.Stands = true
	other, done, err := second()
	if err != nil {
		return p, err
	}
	defer done()
	p.Changes, err = exchangeSessions(ctx, [2]*pgx.Conn{conn, other}, q)
	p.Changes = p.Changes || !kept
	return p, err
}

func readSession(ctx context.Context, conn *pgx.Conn, q queries) (pid uint32, kept bool, err error) {
	err = conn.QueryRow(ctx, q.Session).Scan(&pid, &kept, nil, nil)
	return pid, kept, err
}

// protocolViolation is the SQLSTATE of what PgBouncer refuses.
const protocolViolation = "08P01"

// exchangeTimeout bounds exchangeSessions.
const exchangeTimeout = 5 * time.Second

// exchangeSessions reports whether two connections change their server processes, or lose their settings. Both begin a
// transaction, so that a pooler that shares sessions needs two, and end them in one order and then in the other.
// Whether that pooler prefers the session that was released last or the one released first, one connection then gets
// the other's. A pooler with a single session lets the second transaction wait for the end of the first.
func exchangeSessions(parent context.Context, conns [2]*pgx.Conn, q queries) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(parent, exchangeTimeout)
	defer cancel()
	var first [2]uint32
	for round := range 3 {
		for i, conn := range conns {
			_, err := conn.Exec(ctx, "BEGIN")
			if err != nil && ctx.Err() != nil && i > 0 {
				_, _, err = readSession(parent, conns[0], q) // fails if it is the server that does not answer
				return true, err
			}
			if sqlState(err) == protocolViolation { // the pooler permits no transactions: PgBouncer's pool_mode = statement
				return true, nil
			}
			if err != nil {
				return false, err
			}
			pid, kept, err := readSession(ctx, conn, q)
			if err != nil {
				return false, err
			}
			if round == 0 {
				first[i] = pid
			}
			changed = changed || !kept || pid != first[i]
		}
		for i := range conns {
			if _, err := conns[(i+round)%2].Exec(ctx, "COMMIT"); err != nil {
				return false, err
			}
		}
	}
	return changed, nil
}
