package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ServerInfo are the properties of server, database and role on which provisioning depends. Reading them needs no
// registry and only the privilege to connect.
type ServerInfo struct {
	Version                  int // such as 150018
	Release                  string
	Role, Database           string
	Superuser                bool
	Standby, ReadOnly        bool // in recovery; transactions are read-only by default
	Encoding                 string
	Fsync, FullPageWrites    bool
	SynchronousCommit        string // of this session: by DATABASE_URL, the role, the database or the server
	SynchronousStandbys      string // synchronous_standby_names
	LocksPerTransaction      int64
	PreparedTransactions     int64
	Connections, Reserved    int64 // of the server, and those of them reserved for other roles
	RoleLimit, DatabaseLimit int64 // -1: none
	Total, ByRole            int64 // other sessions now: all, and this role's
	InDatabase, Ours         int64 // those in this database, and the service's, by application_name
	Waiting                  int64 // those of the service whose commit waits for a synchronous standby
	WalSenders               int64 // standbys and others that receive the write-ahead log
	Dumps                    int64 // sessions of pg_dump in this database
	EventTriggers            []string

	Neighbours []Neighbour `db:"-"` // other registries in this database
	// NeighboursErr is the error, if some or all other registries could not be read.
	NeighboursErr error `db:"-"`

	TimeZones  []TimeZone `db:"-"` // other than UTC
	LocalTimes []string   `db:"-"` // columns of the registry's schema that depend on a session's TimeZone

	Citus             *Citus        `db:"-"` // nil: the database does not have the extension
	Migrating         []Blocker     `db:"-"` // sessions that hold the lock of migrations
	Registry          bool          `db:"-"` // there is a registry
	Migrated          bool          `db:"-"` // it is migrated to this version
	MissingPrivileges []Privilege   `db:"-"`
	Pooler            Pooler        `db:"-"`
	Skew              time.Duration `db:"-"` // how far the server's clock is ahead of this one
	ClockError        time.Duration `db:"-"` // the maximum error of Skew, in either direction
}

// IsReadOnlyRole reports whether the role can read the registry but neither write to it nor create a schema: an
// operator's role, which cannot be the service's.
func (v ServerInfo) IsReadOnlyRole() bool {
	lacks := func(kind, object, privilege string) bool {
		return slices.ContainsFunc(v.MissingPrivileges, func(r Privilege) bool {
			return r.Kind == kind && (r.Object == object || object == "") && r.Privilege == privilege
		})
	}
	const registry = "tenant_registry"
	return v.Registry && !lacks("SCHEMA", "", "USAGE") && !lacks("TABLE", registry, "SELECT") &&
		lacks("DATABASE", "", "CREATE") && lacks("TABLE", registry, "INSERT") && lacks("TABLE", registry, "UPDATE")
}

// readsRegistry reports whether there is a registry that the role can read.
func (v ServerInfo) readsRegistry() bool {
	return v.Registry && !slices.ContainsFunc(v.MissingPrivileges, func(r Privilege) bool {
		return r.Kind == "SCHEMA" && r.Privilege == "USAGE" ||
			r.Kind == "TABLE" && r.Object == "tenant_registry" && r.Privilege == "SELECT"
	})
}

// readTimeout is how long reading takes, after connecting.
const readTimeout = 10 * time.Second

// clockTries is how often the clock is read. The fastest reading has the smallest error.
const clockTries = 3

// ReadServerInfo connects as the service does, and reads. It changes nothing.
func ReadServerInfo(ctx context.Context, c Config, now func() time.Time) (v ServerInfo, err error) {
	names, q, err := c.prepare()
	if err != nil {
		return v, err
	}
	conn, application, err := connectForServerInfo(ctx, c)
	if err != nil {
		return v, fmt.Errorf("connect to PostgreSQL: %w", sharedFault(err))
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // everything has been read
	if v, err = readServerInfo(ctx, conn, q, c, application); err == nil {
		v.Pooler, err = readPooler(ctx, conn, q, func() (*pgx.Conn, func(), error) {
			second, _, err := connectForServerInfo(ctx, c)
			return second, func() { _ = second.Close(context.WithoutCancel(ctx)) }, err
		})
	}
	if err == nil {
		v.Citus, err = readCitus(ctx, conn, c.Registry)
	}
	if err == nil {
		v.Migrating, err = migrationBlockers(ctx, conn, q, c.Registry, false)
	}
	if err == nil {
		err = v.readTimeZones(ctx, conn, q, c.Registry)
	}
	if err == nil {
		err = v.readClock(ctx, conn, q, now)
	}
	if v.Pooler.Changes && conn.IsClosed() { // the pooler has refused a transaction
		return v, errSharedSessions
	}
	if err != nil {
		return v, fmt.Errorf("query PostgreSQL: %w", sharedFault(err))
	}
	v.Neighbours, v.NeighboursErr = readNeighbours(ctx, conn, q, c.Registry, names, v.readsRegistry())
	return v, nil
}

// connectForServerInfo opens a session with the service's settings under another application_name. Of several hosts it
// prefers the writable one that the service would use, and falls back to any.
func connectForServerInfo(ctx context.Context, c Config) (conn *pgx.Conn, application string, err error) {
	var several bool
	writable := true
	k := c.connector(func(conn *pgx.ConnConfig) {
		application = conn.RuntimeParams["application_name"]
		conn.RuntimeParams["application_name"] = "tenant-provisioner doctor"
		if several = len(conn.Fallbacks) > 0 && conn.ValidateConnect == nil; several && writable {
			conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
		}
	})
	ctx, cancel := context.WithTimeout(ctx, k.openTimeout())
	defer cancel()
	conn, err = k.connect(ctx)
	if err != nil && several && ctx.Err() == nil {
		writable = false
		conn, err = k.connect(ctx)
	}
	return conn, application, err
}

func readServerInfo(
	ctx context.Context, conn *pgx.Conn, q queries, c Config, application string,
) (v ServerInfo, err error) {
	rows, err := conn.Query(ctx, q.ServerInfo, application)
	if err != nil {
		return v, err
	}
	if v, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[ServerInfo]); err != nil {
		return v, err
	}
	var ledger, pooled, stamped, latest bool
	err = conn.QueryRow(ctx, q.Probe, c.Registry).Scan(&v.Registry, &ledger, &pooled, &stamped, &latest)
	if err != nil {
		return v, err
	}
	v.Migrated = v.Registry && ledger && pooled && stamped && latest
	if v.Registry && !v.Migrated { // what is missing may have been removed
		pending, err := q.pendingMigrations(ctx, conn, c.Registry)
		if err != nil && sqlState(err) != insufficientPrivilege {
			return v, err
		}
		v.Migrated = err == nil && len(pending) == 0
	}
	v.MissingPrivileges, err = missingPrivileges(ctx, conn, q, c.Registry, c.Prepared > 0)
	return v, err
}

func (v *ServerInfo) readClock(ctx context.Context, conn *pgx.Conn, q queries, now func() time.Time) error {
	for i := range clockTries {
		var there time.Time
		before := now()
		if err := conn.QueryRow(ctx, q.Clock).Scan(&there); err != nil {
			return err
		}
		half := now().Sub(before) / 2
		if i == 0 || half < v.ClockError {
			v.Skew, v.ClockError = there.Sub(before.Add(half)), half
		}
	}
	return nil
}

// StartupRefused reports whether the server, or a pooler in front of it, refuses a parameter of the connection.
func StartupRefused(err error) bool {
	var server *pgconn.PgError
	return refusesParameter(err) || isConnecting(err) && errors.As(err, &server) && server.Code == protocolViolation
}
