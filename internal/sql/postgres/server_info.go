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

// Part is what one query reads of a [ServerInfo].
type Part string

// The parts that a hardened server may hide from the role.
const (
	PartSessions      Part = "sessions"
	PartPrivileges    Part = "privileges"
	PartEventTriggers Part = "event triggers"
	PartPooler        Part = "pooler"
	PartCitus         Part = "citus"
	PartMigrating     Part = "migrating"
	PartTimeZones     Part = "time zones"
	PartNeighbours    Part = "neighbours"
	PartPassword      Part = "password"
	PartCollations    Part = "collations"
)

// ServerInfo are the properties of server, database and role on which provisioning depends. Reading them needs no
// registry and only the privilege to connect.
type ServerInfo struct {
	// Unread are the errors of the parts that the server did not answer, such as for a privilege that was revoked. Their
	// fields are zero.
	Unread map[Part]error `db:"-"`

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

	Transport Transport `db:"-"` // of the session that reads

	Total      int64 `db:"-"` // other sessions now
	ByRole     int64 `db:"-"` // this role's
	InDatabase int64 `db:"-"` // those in this database
	Ours       int64 `db:"-"` // the service's, by application_name
	Waiting    int64 `db:"-"` // those of the service whose commit waits for a synchronous standby
	Dumps      int64 `db:"-"` // sessions of pg_dump in this database
	WalSenders int64 `db:"-"` // standbys and others that receive the write-ahead log
	Standbys   bool  `db:"-"` // at least one of them is not a logical subscriber

	EventTriggers []EventTrigger `db:"-"` // that fire for statements of the service
	Neighbours    []Neighbour    `db:"-"` // other registries in this database

	// Password is nil if it does not expire, or if the role does not log in with one.
	Password        *Password        `db:"-"`
	StaleCollations []StaleCollation `db:"-"`

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

// ReadServerInfo connects as the service does, and reads. It changes nothing. What the server refuses to answer is in
// Unread, and the rest is read.
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
	rows, err := conn.Query(ctx, q.ServerInfo)
	if err == nil {
		v, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[ServerInfo])
	}
	v.Transport = transportOf(conn)
	for _, part := range []struct {
		name Part
		read func() error
	}{
		{PartSessions, func() error { return v.readSessions(ctx, conn, q, application) }},
		{PartPrivileges, func() error { return v.readPrivileges(ctx, conn, q, c) }},
		{PartEventTriggers, func() error { return v.readEventTriggers(ctx, conn, q) }},
		{PartPooler, func() error { return v.readPooler(ctx, conn, q, c) }},
		{PartPassword, func() error { return v.readPassword(ctx, conn, q) }}, // after the pooler
		{PartCollations, func() error { return v.readCollations(ctx, conn, q, c.Registry) }},
		{PartCitus, func() (err error) { v.Citus, err = readCitus(ctx, conn, c.Registry); return err }},
		{PartMigrating, func() (err error) {
			v.Migrating, err = migrationBlockers(ctx, conn, q, c.Registry, false)
			return err
		}},
		{PartTimeZones, func() error { return v.readTimeZones(ctx, conn, q, c.Registry) }},
	} {
		if err == nil {
			err = v.answered(part.name, part.read(), conn)
		}
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
	if v.Neighbours, err = readNeighbours(ctx, conn, q, c.Registry, names, v.readsRegistry()); err != nil {
		v.unread(PartNeighbours, err) // those that were read count
	}
	return v, nil
}

// answered keeps the server's refusal to answer one query. It returns any other error, such as a lost connection, which
// ends the reading.
func (v *ServerInfo) answered(part Part, err error, conn *pgx.Conn) error {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || conn.IsClosed() {
		return err
	}
	v.unread(part, err)
	return nil
}

func (v *ServerInfo) unread(part Part, err error) {
	if v.Unread == nil {
		v.Unread = map[Part]error{}
	}
	v.Unread[part] = sharedFault(err)
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

func (v *ServerInfo) readSessions(ctx context.Context, conn *pgx.Conn, q queries, application string) error {
	return conn.QueryRow(ctx, q.Sessions, application).
		Scan(&v.Total, &v.ByRole, &v.InDatabase, &v.Ours, &v.Waiting, &v.Dumps, &v.WalSenders, &v.Standbys)
}

func (v *ServerInfo) readPrivileges(ctx context.Context, conn *pgx.Conn, q queries, c Config) (err error) {
	has, err := q.readParts(ctx, conn, c.Registry)
	if err != nil {
		return err
	}
	v.Registry, v.Migrated = has.registry, has.migrated()
	if v.Registry && !v.Migrated { // what is missing may have been removed
		pending, err := q.pendingMigrations(ctx, conn, c.Registry)
		if err != nil && sqlState(err) != insufficientPrivilege {
			return err
		}
		v.Migrated = err == nil && len(pending) == 0
	}
	v.MissingPrivileges, err = missingPrivileges(ctx, conn, q, c.Registry, c.Prepared > 0)
	return err
}

func (v *ServerInfo) readPooler(ctx context.Context, conn *pgx.Conn, q queries, c Config) (err error) {
	v.Pooler, err = readPooler(ctx, conn, q, func() (*pgx.Conn, func(), error) {
		second, _, err := connectForServerInfo(ctx, c)
		return second, func() { _ = second.Close(context.WithoutCancel(ctx)) }, err
	})
	return err
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
