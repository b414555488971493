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
	// rehearsalStatementTimeout is how long one of its statements may run. It ends on the server what the caller no longer
	// waits for.
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
	_, err = s.rehearseOn(ctx, conn, registryMigrated)
	return err
}

// ErrNotRehearsed means that a rehearsal could not begin.
var ErrNotRehearsed = errors.New("no rehearsal has begun")

// Rehearsal is the result of a rehearsal that has succeeded.
type Rehearsal struct {
	// Registered: the tenant was also registered. It cannot be if the registry is still to be migrated, because that would
	// lock its tables.
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
	r.MissingIndexes, err = s.rehearseOn(ctx, conn, state)
	r.Registered = state != registryOutdated
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

// rehearseOn rehearses on a connection, and releases it.
func (s *Store) rehearseOn(
	ctx context.Context, conn *pgxpool.Conn, registry registryState,
) (missing map[string]error, err error) {
	tenant := rehearsed + strings.ToLower(rand.Text())[:rehearsedLength-len(rehearsed)]
	b := &build{
		Store: s, conn: conn, tenant: tenant, schema: s.names.Name(tenant), claim: pipeline.Claim{Key: tenant, Attempt: 1},
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		b.rollback(tidy)
	}()
	if missing, err = b.rehearse(ctx, registry); err != nil {
		return nil, fmt.Errorf("rehearsal failed: %w", sharedFault(err))
	}
	return missing, nil
}

// rehearse does what an attempt does up to the commit. An index that cannot be created fails no attempt, and so no
// rehearsal.
func (b *build) rehearse(ctx context.Context, registry registryState) (missing map[string]error, err error) {
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
	if registry == registryOutdated {
		return missing, nil
	}
	// As long as a request's values may be: this detects a column that was narrowed.
	displayName, createdBy := strings.Repeat("x", events.MaxDisplayName), strings.Repeat("x", events.MaxCreatedBy)
	batch = &pgx.Batch{}
	b.queueRegister(batch, pipeline.Tenant{
		ID: b.tenant, DisplayName: displayName, IsolationStrategy: events.IsolationSchema, CreatedAt: time.Now(),
		CreatedBy: createdBy, Boundary: pipeline.Boundary{SchemaName: b.schema},
		Plan: pipeline.Plan{
			Name:   strings.Repeat("x", pipeline.MaxPlanName),
			Limits: events.PlanLimits{MaxBytes: pipeline.MaxLimit, MaxRows: pipeline.MaxLimit},
		},
	}, pipeline.Outcome{ID: noOutcome, Body: []byte("{}")})
	batch.Queue("SET CONSTRAINTS ALL IMMEDIATE") // as the commit would
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("register the tenant: %w", b.registerFault(err))
	}
	return missing, nil
}
