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

// Timeouts of calls. The server's end a statement that waits or runs too long, and leave the connection
// usable; callTimeout is for a server that does not answer at all.
const (
	lockTimeout = 10 * time.Second
	// frozenTimeout is when the server gives up a transaction whose client says nothing, such as one on a machine
	// that has lost its power: until then it keeps its locks. A transaction here is never idle for a second.
	frozenTimeout    = 30 * time.Second
	statementTimeout = 60 * time.Second
	callTimeout      = 90 * time.Second
	pingTimeout      = 5 * time.Second
	closeTimeout     = time.Second
	connectTimeout   = 5 * time.Second
)

// connectionLifetime ends connections whose relation cache has grown: about 0.16 MB a tenant touched.
const connectionLifetime = 10 * time.Minute

// Where connections are scarce, those that one replica has no work for are what another one waits for. Probes keep one
// in use.
const (
	connectionIdleTime  = 15 * time.Second
	connectionLookEvery = 5 * time.Second
)

// Config is what a [Store] needs.
type Config struct {
	URL            string // postgres://…, several hosts allowed
	Registry       string // the registry's schema
	SchemaTemplate string // names the schema of a tenant; holds {tenant_id}
	Connections    int    // for work; one more is opened for probes, and one where boundaries are prepared
	Prepared       int    // boundaries kept ready by Fill; 0: none are prepared or taken
	CreatedBy      string // of the bootstrap tenant's row
	Log            *slog.Logger
	Traces         trace.TracerProvider // nil: nothing is traced
}

// Store is a PostgreSQL database as [pipeline.Database]. It is safe for concurrent use.
type Store struct {
	pool     *pgxpool.Pool
	q        queries
	registry string
	names    sql.SchemaTemplate
	log      *slog.Logger
	// registryID is that of the registry, with which boundaries are stamped.
	registryID string
	prepared   preparedPool
	activity   activity
	migrated   atomic.Bool
	lost       lostSessions
	timeouts   timeouts
}

// MaxPrepared bounds the pool: each boundary is 63 relations in the catalogue.
const MaxPrepared = 1000

// registryName is what a registry schema may be called: the migration library does not quote it.
var registryName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// notSynced are the values of synchronous_commit with which a commit is confirmed before it is on the disk.
var notSynced = map[string]bool{"off": true, "false": true, "no": true, "0": true}

// urlForm is what a URL is to look like, for who has a password with such characters in it.
const urlForm = "postgres://user:password@host:port/database; in names and passwords write @ as %40, / as %2F, " +
	"a space as %20 and % as %25"

// Check reports every fault of the configuration that can be seen without a connection, by the name of
// the variable. The error holds no password.
func (c Config) Check() error {
	var faults []error
	if !unambiguous(c.URL) {
		faults = append(faults, errors.New("DATABASE_URL: not "+urlForm))
	} else if parsed, err := pgxpool.ParseConfig(c.URL); err != nil {
		faults = append(faults, fmt.Errorf("DATABASE_URL: %w; want %s", err, urlForm))
	} else if notSynced[strings.ToLower(parsed.ConnConfig.RuntimeParams["synchronous_commit"])] {
		faults = append(faults, errors.New("DATABASE_URL: with synchronous_commit=off a server that dies loses tenants "+
			"whose outcomes were published; leave it out"))
	}
	if !registryName.MatchString(c.Registry) || strings.HasPrefix(c.Registry, "pg_") ||
		c.Registry == "public" || c.Registry == "information_schema" {
		faults = append(faults, fmt.Errorf("REGISTRY_SCHEMA: %q will not do; use a lower-case name such as "+
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
		faults = append(faults, fmt.Errorf("SCHEMA_TEMPLATE: %q holds a colon, which tells the names of prepared "+
			"boundaries from those of tenants; write it without one, or set PREPARED_BOUNDARIES to 0", c.SchemaTemplate))
	}
	if c.Connections < 1 {
		faults = append(faults, fmt.Errorf("CONCURRENCY: %d will not do; at least 1", c.Connections))
	}
	return errors.Join(faults...)
}

// unambiguous reports whether a URL is read as it was meant: the driver takes what follows the first @ of a password
// for a host, and what follows a / for a database, and those are shown.
func unambiguous(raw string) bool {
	_, rest, found := strings.Cut(raw, "://")
	if !found {
		return true // words, as in host=… user=…
	}
	authority, _, _ := strings.Cut(rest, "/")
	if _, host, found := strings.Cut(authority, "@"); found {
		rest = rest[len(authority)-len(host):]
	}
	where, _, _ := strings.Cut(rest, "?")
	return !strings.Contains(where, "@")
}

// prepare makes what needs no connection.
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

// Open connects and brings the registry up to date, waiting for other replicas that do the same. Close
// the store after use.
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

// prepareStatements has the server keep what every request needs, under the statements' own texts, by which the driver
// finds them: a third of what they cost is to be understood. They are planned anew whenever a schema is made anywhere.
func (s *Store) prepareStatements(ctx context.Context, conn *pgx.Conn) error {
	if !s.migrated.Load() { // what they speak of is not there yet
		return nil
	}
	for _, text := range s.q.hot() {
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

// poolConfig is what connections for work and for reading have in common.
func poolConfig(c Config) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.PingTimeout = pingTimeout
	config.MaxConnLifetime = connectionLifetime
	config.MaxConnLifetimeJitter = connectionLifetime / 5
	config.MaxConnIdleTime, config.HealthCheckPeriod = connectionIdleTime, connectionLookEvery
	conn := config.ConnConfig
	// DDL differs from tenant to tenant: preparing it would cost a round trip and fill the cache.
	conn.DefaultQueryExecMode = pgx.QueryExecModeExec
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	setDefault(conn.RuntimeParams, "application_name", "tenant-provisioner")
	setDefault(conn.RuntimeParams, "lock_timeout", milliseconds(lockTimeout))
	setDefault(conn.RuntimeParams, "statement_timeout", milliseconds(statementTimeout))
	setDefault(conn.RuntimeParams, "idle_in_transaction_session_timeout", milliseconds(frozenTimeout))
	// A session default of another isolation level would blind the second look under the lock; row
	// security would hide rows from the check that a boundary has none.
	conn.RuntimeParams["default_transaction_isolation"] = "read committed"
	conn.RuntimeParams["row_security"] = "off"
	conn.RuntimeParams["client_encoding"] = "UTF8" // that of the database is the default
	// Every index is made on an empty table, and no query here reads much: planning for helpers and for compiled
	// code would be in vain.
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

// Close closes all connections. It waits for those in use, but not for long: the pool has been seen to wait for
// a server that does not answer.
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

// Stat is the state of the pool of connections, for metrics.
func (s *Store) Stat() *pgxpool.Stat { return s.pool.Stat() }

// Strategy is [events.IsolationSchema].
func (s *Store) Strategy() string { return events.IsolationSchema }

// Ping reports whether the database answers and can be written to, and whether commits get through.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	on, done := s.probe(ctx)
	defer done()
	var readOnly, allowed, wait bool
	if err := on.QueryRow(ctx, s.q.ping).Scan(&readOnly, &allowed, &wait); err != nil {
		return s.ledgerFault(err)
	}
	if !allowed {
		return &pipeline.Fault{Class: pipeline.Outage, Message: lacks + rightsInRegistry(s.registry)}
	}
	if s.prepared.target > 0 {
		if err := on.QueryRow(ctx, s.q.pingPrepared).Scan(&allowed); err != nil {
			return sharedFault(err)
		}
		if !allowed {
			return &pipeline.Fault{Class: pipeline.Outage, Message: lacks + "SELECT, INSERT, UPDATE and DELETE on " +
				"prepared_boundaries in " + s.registry + ", or set PREPARED_BOUNDARIES to 0"}
		}
	}
	if readOnly {
		// What is pooled leads to the server that was the primary once. New connections look for the present one.
		s.pool.Reset()
		return &pipeline.Fault{Class: pipeline.Outage, Message: readOnlyHint(), DriverCode: readOnlyState}
	}
	if wait {
		return &pipeline.Fault{Class: pipeline.Outage, Message: commitsWait}
	}
	return nil
}
