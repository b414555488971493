package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// rehearsed is the prefix of a rehearsal's tenant id. It is reserved: no request can use it.
const rehearsed = "_docex_rehearsal_"

// rehearsalLockTimeout is how long a rehearsal waits for a lock. Its own objects are visible to no other session, so
// whatever it waits for blocks all requests.
const rehearsalLockTimeout = 2 * time.Second

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
	tenant := rehearsed + strings.ToLower(rand.Text()) + "_"
	b := &build{
		Store: s, conn: conn, tenant: tenant, schema: s.names.Name(tenant), claim: pipeline.Claim{Key: tenant, Attempt: 1},
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		b.rollback(tidy)
	}()
	if err := b.rehearse(ctx); err != nil {
		return fmt.Errorf("rehearsal failed: %w", sharedFault(err))
	}
	return nil
}

// rehearse does what an attempt does up to the commit. An index that cannot be created fails no attempt, and so no
// rehearsal.
func (b *build) rehearse(ctx context.Context) error {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(b.q.LockTimeout, milliseconds(rehearsalLockTimeout))
	batch.Queue(b.q.ClaimNew, b.tenant, b.claim.Key, "rehearsal", b.tenant, 0, "")
	batch.Queue(b.q.lockRequest(), b.claim.Key)
	batch.Queue(b.q.CheckAvailable, b.tenant, b.schema)
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return b.registryFault(err)
	}
	_, in, err := b.buildContents(ctx)
	if err != nil {
		return err
	}
	if err := differing(in.Deviations()); err != nil {
		return err
	}
	// As long as a request's values may be: this detects a column that was narrowed.
	displayName, createdBy := strings.Repeat("x", events.MaxDisplayName), strings.Repeat("x", events.MaxCreatedBy)
	batch = &pgx.Batch{}
	b.queueRegister(batch, pipeline.Tenant{
		ID: b.tenant, DisplayName: displayName, IsolationStrategy: events.IsolationSchema, CreatedAt: time.Now(),
		CreatedBy: createdBy, Boundary: pipeline.Boundary{SchemaName: b.schema},
	}, pipeline.Outcome{ID: noOutcome, Body: []byte("{}")})
	batch.Queue("SET CONSTRAINTS ALL IMMEDIATE") // as the commit would
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return b.registerFault(err)
	}
	return nil
}
