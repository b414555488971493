package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/repeatlog"
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
	maxProbeTimeout  = 20 * time.Second
	closeTimeout     = time.Second
)

// Config is what a [Store] needs.
type Config struct {
	URL string // postgres://…, several hosts allowed
	// CurrentURL returns the URL for a connection that is to be made now; nil: it stays URL.
	CurrentURL     func() (string, error)
	Registry       string // the registry's schema
	SchemaTemplate string // names the schema of a tenant; holds {tenant_id}
	Connections    int    // for work; one more is opened for probes, and one more if boundaries are prepared
	Prepared       int    // boundaries kept ready by FillPool; 0: none are prepared or taken
	// PreparedByDefault means that Prepared is the default: no boundary is prepared or taken while a standby is connected.
	PreparedByDefault bool
	CreatedBy         string // of the bootstrap tenant's row
	Log               *slog.Logger
	Traces            trace.TracerProvider // nil: nothing is traced
	// AllowNew is called before a registry is created in a database that has none, and before anything else is created.
	// foreign are schemas with the stamp of a registry that is not in the database, at most [sql.MaxForeign]. [Open]
	// returns its error. nil: it is allowed.
	AllowNew   func(ctx context.Context, foreign []string) error
	RegistryID string            // the id of a registry that is created, a UUID; empty: a random one
	Scripts    *pipeline.Scripts // run in each new boundary; nil: none
	Seeds      *pipeline.Seeds   // nil: tenants get no seed data
	// Base is [sql.BaseDocEX], or [sql.BaseNone], which needs Scripts; empty: [sql.BaseDocEX].
	Base string
}

// Store is a PostgreSQL database as a [pipeline.Database]. It is safe for concurrent use.
type Store struct {
	pool      *pgxpool.Pool
	connector *connector
	q         queries
	registry  string
	names     sql.SchemaTemplate
	log       *slog.Logger
	// registryID is the registry's id, with which boundaries are stamped. [Store.SetStamp] changes it.
	registryID atomic.Pointer[string]
	// checkpoint is the registry's, as last read by [Store.Stamp] or set; nil: neither was done.
	checkpoint atomic.Pointer[sql.Checkpoint]
	newID      string // the id of a registry that is created; empty: a random one
	prepared   preparedPool
	activity   activity
	repeated   atomic.Bool // the ledger already had the last request that was claimed
	migrated   atomic.Bool
	lost       lostSessions
	timeouts   timeouts
	citus      bool // the database has the extension
	scripts    *scripts
	reference  atomic.Pointer[reference] // nil: no scripts have been rehearsed
	builtIn    string                    // the fingerprint of the definition without scripts
	seeds      *pipeline.Seeds           // nil: tenants get no seed data
	seedPlan   atomic.Pointer[seedPlan]
	// probeTimeout is how long [Store.Ping] takes, with a new connection.
	probeTimeout time.Duration
}

// MaxPrepared is the maximum size of the pool: each boundary is 63 relations in the catalogue.
const MaxPrepared = 1000

// registryName matches the names allowed for the registry's schema. Earlier versions, which may run beside this one, do
// not quote it in their migrations.
var registryName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Check reports every fault of the configuration that can be found without a connection, each with the name of its
// variable. The error contains no password.
func (c Config) Check() error {
	var faults []error
	if !unambiguous(c.URL) {
		faults = append(faults, errors.New("DATABASE_URL: not "+urlForm))
	} else {
		faults = append(faults, c.checkConnection())
	}
	faults = append(faults, checkVariables(), c.CheckNames())
	if c.Connections < 1 {
		faults = append(faults, fmt.Errorf("CONCURRENCY: %d is too low; set at least 1", c.Connections))
	}
	return errors.Join(faults...)
}

// checkConnection returns the faults of the URL, of its parameters and of the files that it names. The driver's parser
// returns only its first.
func (c Config) checkConnection() error {
	files, parameters := c.checkFiles(), c.checkQuery()
	if files == nil {
		var parsing *pgconn.ParseConfigError
		if _, err := c.connConfig(); errors.As(err, &parsing) || parameters == nil {
			parameters = errors.Join(withURLForm(err), parameters)
		}
	}
	return errors.Join(files, parameters)
}

// CheckNames is Check for everything but the URL and the number of connections.
func (c Config) CheckNames() error {
	var faults []error
	if !registryName.MatchString(c.Registry) || strings.HasPrefix(c.Registry, "pg_") ||
		c.Registry == "public" || c.Registry == "information_schema" {
		faults = append(faults, fmt.Errorf("REGISTRY_SCHEMA: %q is not allowed; use a lower-case name such as "+
			"docex_system, of letters, digits and _, without quotation marks, not public and not pg_…", c.Registry))
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
	return errors.Join(faults...)
}

// prepare builds everything that needs no connection.
func (c Config) prepare() (names sql.SchemaTemplate, q queries, err error) {
	if err := c.Check(); err != nil {
		return names, q, err
	}
	if names, err = sql.NewSchemaTemplate(c.SchemaTemplate, c.Registry); err != nil {
		return names, q, err
	}
	if q, err = loadQueries(c.Registry); c.own() {
		q = q.withoutBase()
	}
	return names, q, err
}

// Open connects and migrates the registry. If another session keeps it from migrating, it returns an outage that names
// the session; call Open again. It fails if the encoding of the database is not UTF8, or if a pooler shares sessions
// between clients. Close the store after use.
func Open(ctx context.Context, c Config) (*Store, error) {
	names, q, err := c.prepare()
	if err != nil {
		return nil, err
	}
	if err := c.CheckTarget(); err != nil {
		return nil, err
	}
	scripts, err := parseScripts(c.Scripts)
	if err != nil {
		return nil, err
	}
	s := &Store{
		q: q, registry: c.Registry, names: names, log: c.Log, activity: activity{start: time.Now()},
		prepared: preparedPool{
			target: c.Prepared, byDefault: c.PreparedByDefault, definition: q.definition(c.Scripts.Prepared()...),
			locked: []string{}, wake: make(chan struct{}, 1),
		},
		connector: c.connector(forWork), scripts: scripts, seeds: c.Seeds, builtIn: q.definition(),
	}
	if c.RegistryID != "" {
		if s.newID, err = sql.ParseRegistryID(c.RegistryID); err != nil {
			return nil, err
		}
		s.registryID.Store(&s.newID) // a schema that carries this id is not another registry's
	}
	// A new connection that fails does so first, with an error that names its host.
	s.probeTimeout = min(max(pingTimeout, s.connector.connectTime())+time.Second, maxProbeTimeout)
	connections := c.Connections + 1
	if c.Prepared > 0 {
		connections++
	}
	s.prepared.unusable.Store(c.PreparedByDefault)
	s.prepared.faults = repeatlog.NewWithQuiet(s.log, 2*poolPause, "using prepared boundaries again")
	if s.pool, err = s.connector.openPool(ctx, connections, s.prepareStatements); err != nil {
		return nil, err
	}
	if err := s.checkSession(ctx); err != nil {
		s.Close() //nolint:errcheck // it returns none
		return nil, opening(err)
	}
	if err := s.checkScripts(ctx, s.pool); err != nil {
		s.Close() //nolint:errcheck // it returns none
		return nil, opening(err)
	}
	if err := s.detectCitus(ctx); err != nil {
		s.Close() //nolint:errcheck // it returns none
		return nil, opening(fmt.Errorf("prepare the registry %s: %w", c.Registry, err))
	}
	if c.AllowNew != nil {
		lacks, foreign, err := s.lacksRegistry(ctx)
		if err != nil {
			err = opening(fmt.Errorf("prepare the registry %s: %w", c.Registry, err))
		} else if lacks {
			err = c.AllowNew(ctx, foreign)
		}
		if err != nil {
			s.Close() //nolint:errcheck // it returns none
			return nil, err
		}
	}
	if err := s.migrate(ctx, c.CreatedBy); err != nil {
		s.Close() //nolint:errcheck // it returns none
		return nil, opening(fmt.Errorf("prepare the registry %s: %w", c.Registry, sharedFault(err)))
	}
	s.migrated.Store(true)
	s.pool.Reset()
	if s.timeouts, err = s.readTimeouts(ctx); err != nil {
		s.Close() //nolint:errcheck // it returns none
		return nil, classify(err)
	}
	return s, nil
}

// CheckTarget fails if the configuration selects servers that cannot be written to.
func (c Config) CheckTarget() error {
	attrs, from := c.parameter("target_session_attrs", "PGTARGETSESSIONATTRS")
	if !readOnlyTargets[attrs] {
		return nil
	}
	return fmt.Errorf("%s: %s selects servers that cannot be written to; remove it: of several hosts the service uses "+
		"the writable one", from, attrs)
}

// readOnlyTargets are the values of target_session_attrs with which the driver may choose a read-only server.
var readOnlyTargets = map[string]bool{"read-only": true, "standby": true, "prefer-standby": true}

// opening returns the error of [Open]. A parameter that the server refuses is wrong when the service starts, and an
// outage later.
func opening(err error) error {
	if !refusesParameter(err) {
		return err
	}
	var server *pgconn.PgError
	errors.As(err, &server)
	return fmt.Errorf("%s: %w", parameterHint, server)
}

// prepareStatements prepares the statements that every request needs. Each is prepared under its own text, by which the
// driver finds it. Parsing is a third of the cost of these statements. Creating a schema anywhere still invalidates
// their plans.
func (s *Store) prepareStatements(ctx context.Context, conn *pgx.Conn) error {
	if !s.migrated.Load() { // their tables may not exist yet
		return nil
	}
	if len(s.scripts.selected(false)) > 0 { // each request ends its session
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

// withUnanswered adds to a timeout the names that it was waiting for.
func (s *Store) withUnanswered(err error) error {
	if names := s.connector.unanswered(); names != "" && errors.Is(err, context.DeadlineExceeded) {
		return &pipeline.Fault{Class: pipeline.Outage, Message: names, Shared: true, Lost: true, Err: err}
	}
	return err
}

// Stat returns the state of the connection pool, for metrics.
func (s *Store) Stat() *pgxpool.Stat { return s.pool.Stat() }

// Strategy returns [events.IsolationSchema].
func (s *Store) Strategy() string { return events.IsolationSchema }

// Ping reports whether the database answers, can be written to, and completes commits.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.probeTimeout)
	defer cancel()
	on, done := s.probe(ctx)
	defer done()
	var readOnly, allowed, wait bool
	if err := on.QueryRow(ctx, s.q.Ping).Scan(&readOnly, &allowed, &wait); err != nil {
		return s.withUnanswered(s.ledgerFault(err))
	}
	if !allowed {
		return &pipeline.Fault{Class: pipeline.Outage, Message: missingPrivilege + registryPrivileges(s.registry)}
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
