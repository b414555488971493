package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// Timeouts of calls. The server's timeouts end a statement that waits or runs too long, and leave the connection
// usable; callTimeout is for a server that does not answer at all.
const (
	lockTimeout = 10 * time.Second
	// frozenTimeout is when the server ends an idle transaction, such as that of a machine that has lost power. Until
	// then the transaction keeps its locks. In normal operation a transaction is never idle for a second.
	frozenTimeout    = 30 * time.Second
	statementTimeout = 60 * time.Second
	callTimeout      = 90 * time.Second
	pingTimeout      = 5 * time.Second
	closeTimeout     = time.Second
	connectTimeout   = 5 * time.Second
)

// connectionLifetime bounds the growth of a connection's relation cache: about 0.16 MB for each tenant touched.
const connectionLifetime = 10 * time.Minute

// Idle connections are closed soon, because another replica may be waiting for one. Probes keep one in use.
const (
	connectionIdleTime      = 15 * time.Second
	connectionCheckInterval = 5 * time.Second
)

// Config is what a [Store] needs.
type Config struct {
	URL            string // postgres://…, several hosts allowed
	Registry       string // the registry's schema
	SchemaTemplate string // names the schema of a tenant; holds {tenant_id}
	Connections    int    // for work; one more is opened for probes, and one more if boundaries are prepared
	Prepared       int    // boundaries kept ready by FillPool; 0: none are prepared or taken
	CreatedBy      string // of the bootstrap tenant's row
	Log            *slog.Logger
	Traces         trace.TracerProvider // nil: nothing is traced
}

// Store is a PostgreSQL database as a [pipeline.Database]. It is safe for concurrent use.
type Store struct {
	pool     *pgxpool.Pool
	q        queries
	registry string
	names    sql.SchemaTemplate
	log      *slog.Logger
	// registryID is the registry's id, with which boundaries are stamped.
	registryID string
	prepared   preparedPool
	activity   activity
	migrated   atomic.Bool
	lost       lostSessions
	timeouts   timeouts
}

// MaxPrepared is the maximum size of the pool: each boundary is 63 relations in the catalogue.
const MaxPrepared = 1000

// registryName matches the names allowed for the registry's schema: the migration library does not quote them.
var registryName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// notSynced are the values of synchronous_commit that acknowledge a commit before it is on disk.
var notSynced = map[string]bool{"off": true, "false": true, "no": true, "0": true}

// urlForm is the expected form of DATABASE_URL, with the escapes that passwords need.
const urlForm = "postgres://user:password@host:port/database; in names and passwords write @ as %40, / as %2F, " +
	"a space as %20 and % as %25"

// Check reports every fault of the configuration that can be found without a connection, each with the name of its
// variable. The error contains no password.
func (c Config) Check() error {
	var faults []error
	if !unambiguous(c.URL) {
		faults = append(faults, errors.New("DATABASE_URL: not "+urlForm))
	} else if parsed, err := pgxpool.ParseConfig(c.URL); err != nil {
		faults = append(faults, fmt.Errorf("DATABASE_URL: %w; want %s", err, urlForm))
	} else if notSynced[strings.ToLower(parsed.ConnConfig.RuntimeParams["synchronous_commit"])] {
		faults = append(faults, errors.New("DATABASE_URL: with synchronous_commit=off a server crash loses tenants "+
			"whose outcomes were published; leave it out"))
	}
	if !registryName.MatchString(c.Registry) || strings.HasPrefix(c.Registry, "pg_") ||
		c.Registry == "public" || c.Registry == "information_schema" {
		faults = append(faults, fmt.Errorf("REGISTRY_SCHEMA: %q is not allowed; use a lower-case name such as "+
			"docex_system, not public and not pg_…", c.Registry))
	}
	names, err := sql.NewSchemaTemplate(c.SchemaTemplate, c.Registry)
	if err != nil {
		faults = append(faults, fmt.Errorf("SCHEMA_TEMPLATE: %w", err))
	}
	if c.Prepared < 0 || c.Prepared > MaxPrepared {
		faults = append(faults, fmt.Errorf("PREPARED_BOUNDARIES: %d is not 0 to %d", c.Prepared, MaxPrepared))
	}
	if strings.HasPrefix(c.SchemaTemplate, sql.PreparedPrefix) {
		faults = append(faults, fmt.Errorf("SCHEMA_TEMPLATE: %q can give the name of a prepared boundary, of this or "+
			"another service; begin it with something else, such as tenant_", c.SchemaTemplate))
	} else if c.Prepared > 0 && err == nil && !names.Preparable() {
		faults = append(faults, fmt.Errorf("SCHEMA_TEMPLATE: %q contains a colon, which distinguishes prepared "+
			"boundaries from tenants; write it without one, or set PREPARED_BOUNDARIES to 0", c.SchemaTemplate))
	}
	if c.Connections < 1 {
		faults = append(faults, fmt.Errorf("CONCURRENCY: %d is too low; set at least 1", c.Connections))
	}
	return errors.Join(faults...)
}

// unambiguous reports whether the driver reads a URL as intended. The driver takes everything after the first @ of a
// password as a host, and everything after a / as a database; both are shown in errors.
func unambiguous(raw string) bool {
	_, rest, found := strings.Cut(raw, "://")
	if !found {
		return true // keyword form: host=… user=…
	}
	authority, _, _ := strings.Cut(rest, "/")
	if _, host, found := strings.Cut(authority, "@"); found {
		rest = rest[len(authority)-len(host):]
	}
	where, _, _ := strings.Cut(rest, "?")
	return !strings.Contains(where, "@")
}

// prepare builds everything that needs no connection.
func (c Config) prepare() (names sql.SchemaTemplate, q queries, err error) {
	if err := c.Check(); err != nil {
		return names, q, err
	}
	if names, err = sql.NewSchemaTemplate(c.SchemaTemplate, c.Registry); err != nil {
		return names, q, err
	}
	q, err = loadQueries(c.Registry)
	return names, q, err
}

// Open connects and migrates the registry. If another session keeps it from migrating, it returns an outage that names
// the session; call Open again. Close the store after use.
func Open(ctx context.Context, c Config) (*Store, error) {
	names, q, err := c.prepare()
	if err != nil {
		return nil, err
	}
	s := &Store{
		q: q, registry: c.Registry, names: names, log: c.Log, activity: activity{start: time.Now()},
		prepared: preparedPool{target: c.Prepared, definition: q.definition(), wake: make(chan struct{}, 1)},
	}
	if s.pool, err = openPool(ctx, c, s.prepareStatements); err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, c.CreatedBy); err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("prepare the registry %s: %w", c.Registry, sharedFault(err))
	}
	s.migrated.Store(true)
	s.pool.Reset()
	if s.timeouts, err = s.readTimeouts(ctx); err != nil {
		s.pool.Close()
		return nil, classify(err)
	}
	return s, nil
}

// prepareStatements prepares the statements that every request needs. Each is prepared under its own text, by which the
// driver finds it. Parsing is a third of the cost of these statements. Creating a schema anywhere still invalidates
// their plans.
func (s *Store) prepareStatements(ctx context.Context, conn *pgx.Conn) error {
	if !s.migrated.Load() { // their tables may not exist yet
		return nil
	}
	for _, text := range s.q.perRequest() {
		if _, err := conn.Prepare(ctx, text, text); err != nil {
			s.log.DebugContext(ctx, "could not prepare statement; it will be sent unprepared", "error", err)
			return nil
		}
	}
	return nil
}

func openPool(
	ctx context.Context, c Config, afterConnect func(context.Context, *pgx.Conn) error,
) (*pgxpool.Pool, error) {
	config, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	config.AfterConnect = afterConnect
	config.MaxConns = int32(c.Connections) + 1 //nolint:gosec // bounded by the configuration
	if c.Prepared > 0 {
		config.MaxConns++
	}
	conn := config.ConnConfig
	conn.OnNotice = noteUnconfirmed
	if len(conn.Fallbacks) > 0 && conn.ValidateConnect == nil {
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return pool, nil
}

// poolConfig returns the settings that connections for work and for reading share.
func poolConfig(c Config) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.PingTimeout = pingTimeout
	config.MaxConnLifetime = connectionLifetime
	config.MaxConnLifetimeJitter = connectionLifetime / 5
	config.MaxConnIdleTime, config.HealthCheckPeriod = connectionIdleTime, connectionCheckInterval
	conn := config.ConnConfig
	// DDL differs for each tenant: preparing it would cost a round trip and fill the cache.
	conn.DefaultQueryExecMode = pgx.QueryExecModeExec
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	setDefault(conn.RuntimeParams, "application_name", "tenant-provisioner")
	setDefault(conn.RuntimeParams, "lock_timeout", milliseconds(lockTimeout))
	setDefault(conn.RuntimeParams, "statement_timeout", milliseconds(statementTimeout))
	setDefault(conn.RuntimeParams, "idle_in_transaction_session_timeout", milliseconds(frozenTimeout))
	// Another default isolation level would hide concurrent commits from the second read under the lock. Row security
	// would hide rows from the check that a boundary is empty.
	conn.RuntimeParams["default_transaction_isolation"] = "read committed"
	conn.RuntimeParams["row_security"] = "off"
	conn.RuntimeParams["client_encoding"] = "UTF8" // the default would be the database's encoding
	// Indexes are built on empty tables and no query reads much data, so planning for parallel workers and JIT
	// compilation would be wasted.
	setDefault(conn.RuntimeParams, "max_parallel_maintenance_workers", "0")
	setDefault(conn.RuntimeParams, "jit", "off")
	if c.Traces != nil {
		conn.Tracer = otelpgx.NewTracer(otelpgx.WithTracerProvider(c.Traces), otelpgx.WithDisableAcquireTracer())
	}
	conn.RuntimeParams["DateStyle"] = "ISO, MDY" // times in the ledger's history are text
	// A password file may have changed since: a rotated password is found there without a restart.
	config.BeforeConnect = func(_ context.Context, next *pgx.ConnConfig) error {
		if now, err := pgx.ParseConfig(c.URL); err == nil {
			next.Password = now.Password
		}
		return nil
	}
	return config, nil
}

func setDefault(params map[string]string, name, value string) {
	if _, set := params[name]; !set {
		params[name] = value
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Close closes all connections. It waits only closeTimeout for those in use: the pool can block while the server does
// not answer.
func (s *Store) Close() error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.pool.Close()
	}()
	select {
	case <-closed:
		return nil
	case <-time.After(closeTimeout):
		s.log.Warn("PostgreSQL does not answer; leaving connections open")
		return nil
	}
}

// Stat returns the state of the connection pool, for metrics.
func (s *Store) Stat() *pgxpool.Stat { return s.pool.Stat() }

// Strategy returns [events.IsolationSchema].
func (s *Store) Strategy() string { return events.IsolationSchema }

// Ping reports whether the database answers, can be written to, and completes commits.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	on, done := s.probe(ctx)
	defer done()
	var readOnly, allowed, wait bool
	if err := on.QueryRow(ctx, s.q.Ping).Scan(&readOnly, &allowed, &wait); err != nil {
		return s.ledgerFault(err)
	}
	if !allowed {
		return &pipeline.Fault{Class: pipeline.Outage, Message: missingPrivilege + registryPrivileges(s.registry)}
	}
	if s.prepared.target > 0 {
		if err := on.QueryRow(ctx, s.q.PingPrepared).Scan(&allowed); err != nil {
			return sharedFault(err)
		}
		if !allowed {
			return &pipeline.Fault{Class: pipeline.Outage, Message: missingPrivilege + "SELECT, INSERT, UPDATE and DELETE on " +
				"prepared_boundaries in " + s.registry + ", or set PREPARED_BOUNDARIES to 0"}
		}
	}
	if readOnly {
		// Pooled connections lead to the former primary. New connections find the current one.
		s.pool.Reset()
		return &pipeline.Fault{Class: pipeline.Outage, Message: readOnlyHint(), DriverCode: readOnlyState}
	}
	if wait {
		return &pipeline.Fault{Class: pipeline.Outage, Message: commitsWait}
	}
	return nil
}
