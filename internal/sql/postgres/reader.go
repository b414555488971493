package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

const (
	// readers is the number of connections of a [Reader]: operators' queries must not crowd out the service.
	readers = 2
)

// Reader reads registry, ledger and boundaries. It writes nothing: its sessions are read-only. It needs only USAGE on
// the registry's schema and SELECT on its tables. A standby is sufficient, but may lag behind. It is safe for
// concurrent use.
type Reader struct {
	pool     *pgxpool.Pool
	q        queries
	registry string
	names    sql.SchemaTemplate
	has      registryParts
	// definition is the fingerprint of prepared boundaries. emptyRelations are those in one that must hold no rows: if
	// scripts prepare it, they may fill others; nil: all.
	definition     string
	emptyRelations []string

	openTimeout time.Duration
	scripted    bool // scripts are configured
	own         bool // the scripts make all that a tenant has
	stored      struct {
		sync.Mutex
		read      bool
		reference *reference
	}
}

// OpenReader connects, and checks that there is a registry; it does not create one. Close the reader after use.
func OpenReader(ctx context.Context, c Config) (*Reader, error) {
	names, q, err := c.prepare()
	if err != nil {
		return nil, err
	}
	k := c.connector(func(*pgx.ConnConfig) {})
	pool, err := k.openPool(ctx, readers, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, q.ReadOnly)
		return err
	})
	if err != nil {
		return nil, err
	}
	r := &Reader{
		pool: pool, q: q, registry: c.Registry, names: names, openTimeout: k.openTimeout(),
		scripted: c.Scripts != nil, own: c.own(),
	}
	prepare := c.Scripts.Prepared()
	r.definition = q.definition(prepare...)
	if len(prepare) > 0 {
		r.emptyRelations = []string{}
		for _, table := range sql.Tables {
			if !r.own { // otherwise scripts may fill any
				r.emptyRelations = append(r.emptyRelations, table.Name)
			}
		}
	}
	if err := r.probe(ctx, c); err != nil {
		pool.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) probe(ctx context.Context, c Config) error {
	ctx, cancel := context.WithTimeout(ctx, r.openTimeout)
	defer cancel()
	var err error
	if r.has, err = r.q.readParts(ctx, r.pool, r.registry); err != nil {
		return fmt.Errorf("read the database: %w", sharedFault(err))
	}
	if !r.has.registry {
		return fmt.Errorf("%w in schema %s: check DATABASE_URL and REGISTRY_SCHEMA; the service creates "+
			"the registry when it starts", sql.ErrNoRegistry, r.registry)
	}
	if err := c.checkBase(ctx, r.pool, r.q); err != nil && sqlState(err) != insufficientPrivilege {
		return sharedFault(err)
	}
	if !r.has.planned {
		for _, text := range []*string{&r.q.Tenant, &r.q.Tenants} {
			*text = strings.Replace(*text, r.q.PlanColumns, sql.NoPlan, 1)
		}
	}
	if !r.has.scripted {
		for _, text := range []*string{&r.q.Tenant, &r.q.Tenants} {
			*text = strings.Replace(*text, r.q.DefinitionColumn, sql.NoDefinition, 1)
		}
	}
	return nil
}

// Close closes all connections. It blocks until those in use are released.
func (r *Reader) Close() error {
	r.pool.Close()
	return nil
}

// CheckTables implements [database.Registry]. Of registry and ledger it needs only what every reader needs.
func (r *Reader) CheckTables(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return connectFault(err)
	}
	defer conn.Release()
	prepare := func(text string) error { // it checks the names of tables and columns, and no privileges
		_, err := conn.Conn().Prepare(ctx, "", text)
		return sharedFault(err)
	}
	if err := prepare(r.q.CheckRegistry); err != nil {
		return err
	}
	missing := prepare(r.q.CheckTables)
	if missing == nil {
		return nil
	}
	pending, err := r.q.pendingMigrations(ctx, conn, r.registry)
	if err == nil && len(pending) == 0 {
		return missing
	}
	var shared bool // the role of an operator may not read the table of migrations
	if err := conn.QueryRow(ctx, r.q.SharesBoundary).Scan(&shared); err != nil || !shared {
		return cmp.Or(r.explainPrivilege(err), sql.ErrNotMigrated)
	}
	return sql.SharedBoundary(sql.ErrShared, quote(r.registry, "tenant_registry"))
}

// Count returns the number of registered tenants.
func (r *Reader) Count(ctx context.Context) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := r.pool.QueryRow(ctx, r.q.CountTenants).Scan(&n); err != nil {
		return 0, fmt.Errorf("read the registry: %w", r.explainPrivilege(err))
	}
	return n, nil
}

// Tenants returns a page of the registry: at most limit rows, ordered by id, after that id.
func (r *Reader) Tenants(ctx context.Context, after string, limit int) ([]sql.TenantRow, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := r.pool.Query(ctx, r.q.Tenants, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", r.explainPrivilege(err))
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t sql.TenantRow, err error) {
		err = t.Scan(row)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", r.explainPrivilege(err))
	}
	return page, nil
}

// CountPlans implements [database.Registry].
func (r *Reader) CountPlans(ctx context.Context, limit int) ([]sql.PlanCount, error) {
	if !r.has.planned {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	rows, err := r.pool.Query(ctx, r.q.CountPlans, limit)
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", r.explainPrivilege(err))
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sql.PlanCount])
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", r.explainPrivilege(err))
	}
	return all, nil
}

// Tenant returns the row whose id equals id without regard to case, preferring the exact spelling, or
// [sql.ErrNotFound].
func (r *Reader) Tenant(ctx context.Context, id string) (sql.TenantRow, error) {
	t, err := r.q.readTenant(ctx, r.pool, id)
	if err != nil {
		return t, fmt.Errorf("read the registry: %w", r.absent(err))
	}
	return t, nil
}

// Request returns the ledger's row with this key, or [sql.ErrNotFound].
func (r *Reader) Request(ctx context.Context, key string) (rec sql.RequestRecord, err error) {
	if !r.has.ledger {
		return rec, sql.ErrNoLedger
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := rec.Scan(r.pool.QueryRow(ctx, r.q.Record, key)); err != nil {
		return rec, fmt.Errorf("read the ledger: %w", r.absent(err))
	}
	return rec, nil
}

// Requests returns at most limit requests, the latest first, without outcome and history.
func (r *Reader) Requests(ctx context.Context, f sql.RequestFilter, limit int) ([]sql.RequestRecord, error) {
	if !r.has.ledger {
		return nil, sql.ErrNoLedger
	}
	all, err := r.q.readRequests(ctx, r.pool, f, limit)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", r.explainPrivilege(err))
	}
	return all, nil
}

// absent is explainPrivilege, except for a missing row: [sql.ErrNotFound].
func (r *Reader) absent(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return sql.ErrNotFound
	}
	return r.explainPrivilege(err)
}

// explainPrivilege converts the error to a fault. If a privilege is missing, the fault names those that a reader needs.
func (r *Reader) explainPrivilege(err error) error {
	return withMissingPrivilege(sharedFault(err),
		"USAGE on schema "+r.registry+", and SELECT on tenant_registry, tenant_requests, "+
			"prepared_boundaries, registry_stamp, accepted_outcomes, applied_scripts and definitions in it")
}

// expected returns the schema in which DocEX looks for the tenant.
func (r *Reader) expected(t sql.TenantRow) string {
	if t.ID == sql.BootstrapTenant {
		return r.registry
	}
	return r.names.Name(t.ID)
}

// Verify compares the tenant's registered schema with the definition, as step 4 does, and, if scripts are configured,
// with what they made when the service started last. A registered name other than the
// template's is a difference, because DocEX uses the template. An error means that the schema could not be read, never
// that it differs.
func (r *Reader) Verify(ctx context.Context, t sql.TenantRow) (pipeline.Inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	expected := r.expected(t)
	schema := t.Boundary.SchemaName
	if schema == "" {
		schema = expected
	}
	var in pipeline.Inspection
	var exists bool
	err := r.pool.QueryRow(ctx, r.q.SchemaExists, schema).Scan(&exists)
	if err != nil {
		return in, fmt.Errorf("read the catalogue of schema %s: %w", schema, classify(err))
	}
	switch {
	case exists && r.own:
		in, err = r.verifyOwn(ctx, t, schema)
	case exists:
		in, err = inspect(ctx, r.pool, r.q, schema)
	default:
		in.Differences = []string{fmt.Sprintf("schema %q is missing", schema)}
	}
	if err != nil {
		return in, err
	}
	if exists && !r.own && r.scripted && r.has.scripted && t.ID != sql.BootstrapTenant {
		if _, err := r.compareReference(ctx, t, schema, &in); err != nil {
			return in, err
		}
	}
	if schema != expected {
		in.Differences = append(in.Differences, fmt.Sprintf("the registered schema_name is %q, want %q, which is "+
			"what SCHEMA_TEMPLATE gives and where applications look", schema, expected))
	}
	in.Differences = append(in.Differences, t.StrategyDrift(events.IsolationSchema)...)
	return in, nil
}
