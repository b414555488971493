package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// rehearsed begins a rehearsal's tenant id. The id has the form of a tenant's, so that rules on the names of schemas
// and tenants judge both alike. With 100 random bits it is no other tenant's.
const rehearsed = "rehearsal_"

// rehearsedLength is the length of that id: the longest that DocEX makes.
const rehearsedLength = 30

const (
	// rehearsalLockTimeout is how long a rehearsal waits for a lock. Its own objects are visible to no other session, so
	// whatever it waits for blocks all requests.
	rehearsalLockTimeout = 2 * time.Second
	// rehearsalStatementTimeout is how long one of its statements may run. It ends on the server what the caller no
	// longer waits for.
	rehearsalStatementTimeout = 30 * time.Second
)

// noOutcome is the outcome id of a rehearsal.
const noOutcome = "00000000-0000-0000-0000-000000000000"

// Rehearse implements [pipeline.Database]: one transaction, which is rolled back.
func (s *Store) Rehearse(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return connectFault(err)
	}
	_, _, err = s.rehearseOn(ctx, conn, registryMigrated, attemptOnly, "")
	return err
}

// rehearsalOf is what a rehearsal covers.
type rehearsalOf int

const (
	attemptOnly   rehearsalOf = iota // without scripts
	onDemand                         // with scripts
	onDemandAgain                    // with scripts, and with other values that are short
	fromPrepared                     // with scripts, in a boundary that is prepared first
)

// RehearseFurther rehearses an attempt with scripts and seeds, for a tenant with the longest values that a request may
// have; if there are scripts, one of each plan with other values, so that what depends on them is known; and, if
// boundaries are prepared and there are scripts for them, one that takes a boundary from the pool. Each uses a session
// of its own, in which the server counts only what the rehearsal does. What the scripts make becomes the reference.
func (s *Store) RehearseFurther(ctx context.Context) error {
	_, err := s.rehearseFurther(ctx, registryMigrated)
	if err != nil || s.scripts == nil {
		return err
	}
	return s.storeReference(ctx)
}

func (s *Store) rehearseFurther(
	ctx context.Context, registry registryState,
) (missing map[string]error, err error) {
	s.reference.Store(nil)
	plans := s.connector.config.Scripts.Rehearsed()
	one, missing, err := s.rehearseApart(ctx, registry, onDemand, plans[0])
	if err != nil || s.scripts == nil {
		return missing, err
	}
	var others []*build
	for _, plan := range plans {
		other, _, err := s.rehearseApart(ctx, registry, onDemandAgain, plan)
		if err != nil {
			return nil, err
		}
		others = append(others, other)
	}
	s.makeReference(ctx, one, others)
	if s.prepared.target > 0 && len(s.scripts.selected(true)) > 0 {
		if one, missing, err = s.rehearseApart(ctx, registry, fromPrepared, plans[0]); err != nil {
			return nil, fmt.Errorf("with a boundary that is prepared (PREPARED_BOUNDARIES): %w", err)
		}
		s.makePreparedReference(one)
	}
	return missing, nil
}

// rehearseApart rehearses in a session of its own.
func (s *Store) rehearseApart(
	ctx context.Context, registry registryState, of rehearsalOf, plan string,
) (b *build, missing map[string]error, err error) {
	pool, err := s.connector.openPool(ctx, 1, func(context.Context, *pgx.Conn) error { return nil })
	if err != nil {
		return nil, nil, err
	}
	defer pool.Close()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, nil, connectFault(err)
	}
	return s.rehearseOn(ctx, conn, registry, of, plan)
}

// ErrNotRehearsed means that a rehearsal could not begin.
var ErrNotRehearsed = errors.New("no rehearsal has begun")

// Rehearsal is the result of a rehearsal that has succeeded.
type Rehearsal struct {
	// Registered: the tenant was also registered. It cannot be if the registry is still to be migrated, because that
	// would lock its tables.
	Registered bool
	// MissingIndexes are the indexes that a tenant would lack, by name, with the reason. nil: something has removed it.
	MissingIndexes map[string]error
}

// Rehearse makes a rehearsal outside of the service, in a session that is like one of the service. A registry
// that does not exist is created in the same transaction; one that exists is not migrated. It returns
// [ErrNotRehearsed] if it gets no connection.
func Rehearse(ctx context.Context, c Config) (r Rehearsal, err error) {
	names, q, err := c.prepare()
	if err != nil {
		return r, err
	}
	s := &Store{
		q: q, registry: c.Registry, names: names, log: slog.New(slog.DiscardHandler), connector: c.connector(forWork),
		prepared: preparedPool{target: c.Prepared}, seeds: c.Seeds,
	}
	if s.scripts, err = parseScripts(c.Scripts); err != nil {
		return r, err
	}
	none := func(context.Context, *pgx.Conn) error { return nil }
	if s.pool, err = s.connector.openPool(ctx, 1, none); err != nil {
		return r, err
	}
	defer s.Close() //nolint:errcheck // it returns none
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrNotRehearsed, connectFault(err))
	}
	state, err := s.readRegistryState(ctx, conn)
	if err != nil {
		conn.Release()
		return r, fmt.Errorf("read the registry: %w", sharedFault(err))
	}
	r.Registered = state != registryOutdated
	if s.scripts == nil && s.seeds == nil {
		_, r.MissingIndexes, err = s.rehearseOn(ctx, conn, state, attemptOnly, "")
		return r, err
	}
	err = s.checkScripts(ctx, conn)
	conn.Release()
	if err == nil {
		r.MissingIndexes, err = s.rehearseFurther(ctx, state)
	}
	return r, err
}

// registryState is what a rehearsal finds of the registry.
type registryState int

const (
	registryMigrated registryState = iota
	registryMissing
	registryOutdated // or of DocEX
)

// readRegistryState reads the state of the registry, its id, and whether the database has the extension Citus. On Citus
// a missing registry counts as outdated: creating it would change where the transaction's next schema is placed.
func (s *Store) readRegistryState(ctx context.Context, conn *pgxpool.Conn) (state registryState, err error) {
	citus, err := readCitusVersion(ctx, conn)
	if err != nil {
		return state, err
	}
	s.citus = citus != ""
	has, err := s.q.readParts(ctx, conn, s.registry)
	if err == nil {
		err = s.connector.config.checkBase(ctx, conn, s.q)
	}
	switch {
	case err != nil:
		return state, err
	case has.migrated():
		_, err = s.readStamp(ctx, conn)
		return registryMigrated, err
	case has.registry || s.citus:
		return registryOutdated, nil
	}
	return registryMissing, nil
}

// rehearseOn rehearses on a connection, and releases it. It returns the attempt, which has ended.
func (s *Store) rehearseOn(
	ctx context.Context, conn *pgxpool.Conn, registry registryState, of rehearsalOf, plan string,
) (b *build, missing map[string]error, err error) {
	tenant := rehearsed + strings.ToLower(rand.Text())[:rehearsedLength-len(rehearsed)]
	if of != attemptOnly && of != onDemandAgain {
		tenant += strings.Repeat("x", events.MaxTenantID-len(tenant))
	}
	b = &build{
		Store: s, conn: conn, tenant: tenant, schema: s.names.Name(tenant), claim: pipeline.Claim{Key: tenant, Attempt: 1},
		rehearses: true,
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		b.rollback(tidy)
	}()
	if missing, err = b.rehearse(ctx, registry, of, plan); err != nil {
		return b, nil, fmt.Errorf("rehearsal failed: %w", sharedFault(err))
	}
	return b, missing, nil
}

// rehearse does what an attempt does up to the commit. An index that cannot be created fails no attempt, and so no
// rehearsal.
func (b *build) rehearse(
	ctx context.Context, registry registryState, of rehearsalOf, plan string,
) (missing map[string]error, err error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(b.q.BeginRehearsal, milliseconds(rehearsalLockTimeout), milliseconds(rehearsalStatementTimeout))
	if registry == registryMissing {
		if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
			return nil, b.registryFault(err)
		}
		if err := b.createRegistry(ctx, b.conn, b.connector.config.CreatedBy); err != nil {
			return nil, fmt.Errorf("create the registry: %w", err)
		}
		batch = &pgx.Batch{}
	}
	if registry != registryOutdated {
		batch.Queue(b.q.ClaimNew, b.tenant, b.claim.Key, "rehearsal", b.tenant, 0, "")
		batch.Queue(b.q.lockRequest(), b.claim.Key)
		batch.Queue(b.q.CheckAvailable, b.tenant, b.schema)
	}
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return nil, b.registryFault(err)
	}
	missing, err = b.rehearseContents(ctx, of)
	if err != nil {
		return nil, err
	}
	// As long as a request's values may be: this detects a column that was narrowed.
	tenant := pipeline.Tenant{
		ID: b.tenant, DisplayName: strings.Repeat("x", events.MaxDisplayName), IsolationStrategy: events.IsolationSchema,
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond), CreatedBy: strings.Repeat("x", events.MaxCreatedBy),
		Boundary: pipeline.Boundary{SchemaName: b.schema},
		Plan: pipeline.Plan{
			Name:   strings.Repeat("x", pipeline.MaxPlanName),
			Limits: events.PlanLimits{MaxBytes: pipeline.MaxLimit, MaxRows: pipeline.MaxLimit},
		},
	}
	if of == onDemandAgain {
		tenant.DisplayName, tenant.CreatedBy = "y", "y"
	}
	if of != attemptOnly {
		further := tenant
		further.Plan.Name = plan
		if err := b.runFurther(ctx, &further, true); err != nil {
			return nil, err
		}
	}
	if registry == registryOutdated {
		return missing, nil
	}
	batch = &pgx.Batch{}
	b.queueRegister(batch, tenant, pipeline.Outcome{ID: noOutcome, Body: []byte("{}")})
	batch.Queue("SET CONSTRAINTS ALL IMMEDIATE") // as the commit would
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("register the tenant: %w", b.registerFault(err))
	}
	return missing, nil
}

// rehearseContents creates the boundary and everything in it, without the scripts that need a request.
func (b *build) rehearseContents(ctx context.Context, of rehearsalOf) (missing map[string]error, err error) {
	tenantSchema := b.schema
	if of == fromPrepared {
		b.schema = sql.PreparedName(rand.Text())
	}
	failed, in, err := b.buildContents(ctx)
	if err != nil {
		return nil, err
	}
	if err := differing(in.Deviations()); err != nil {
		return nil, err
	}
	missing = map[string]error{}
	for _, name := range in.MissingIndexes {
		missing[name] = failed[name]
	}
	if b.scripts != nil && of != attemptOnly {
		if b.builtIn, err = readStructure(ctx, b.conn.Conn(), b.q, b.schema); err != nil {
			return nil, err
		}
	}
	if of != fromPrepared {
		return missing, nil
	}
	if err := b.runPrepared(ctx, true); err != nil {
		return nil, err
	}
	b.taken, b.schema = b.schema, tenantSchema
	return missing, b.exec(ctx, b.ddl(render(b.q.RenameSchema, "prepared", b.taken)))
}

// runFurther runs scripts and seeds as the pipeline does. thorough: see checkConfined.
func (b *build) runFurther(ctx context.Context, t *pipeline.Tenant, thorough bool) error {
	values := pipeline.Values{
		TenantID: t.ID, DisplayName: t.DisplayName, CreatedBy: t.CreatedBy, Plan: t.Plan.Name, Now: t.CreatedAt,
	}
	if _, err := b.RunScripts(ctx, values); err != nil {
		return err
	}
	if !b.own() {
		in, err := inspect(ctx, b.conn, b.q, b.schema) // not Inspect, which takes what was prepared for one from the pool
		if err != nil {
			return err
		}
		if err := pipeline.DefinitionBroken(in.Differences); err != nil {
			return err
		}
	}
	if _, err := b.LoadSeeds(ctx, values); err != nil {
		return err
	}
	return b.checkConfined(ctx, thorough)
}
