package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// Restore writes ledger row and registry row of a decided request in one transaction, under the lock of the boundary,
// after it has compared the boundary with the definition. See [sql.Restoration]. What the database cannot store is
// escaped, as it is when the request is claimed and its outcome recorded.
func (s *Store) Restore(ctx context.Context, r sql.Restoration) error {
	var at, expected string
	if r.Tenant != nil {
		t := *r.Tenant // changed below if its schema is made again
		r.Tenant = &t
		at, expected = r.Tenant.Boundary.SchemaName, s.names.Name(r.Tenant.ID)
	}
	if err := r.Check(at == expected, expected); err != nil {
		return err
	}
	identity := r
	identity.Source, identity.RequestID = escape(r.Source), escape(r.RequestID)
	all := identity
	all.Text, all.Outcome.Body = escape(r.Text), escapeJSON(r.Outcome.Body)
	var err error
	for _, variant := range []*sql.Restoration{&r, &identity, &all} {
		if err = s.restore(ctx, variant); !isUnstorable(err) || sqlState(err) == divisionByZero {
			break
		}
	}
	return err
}

// restore is Restore for values that the database may be unable to store.
func (s *Store) restore(ctx context.Context, r *sql.Restoration) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return connectFault(err)
	}
	s.endLost(ctx, conn)
	b := &build{Store: s, conn: conn, claim: pipeline.Claim{Key: r.Key, Replay: r.Replay, Attempt: r.Attempts}}
	if r.Tenant != nil {
		b.tenant, b.schema = r.Tenant.ID, r.Tenant.Boundary.SchemaName
	}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		b.rollback(tidy)
	}()
	existing, exists, err := b.lockRestoration(ctx, r)
	if err != nil {
		return err
	}
	ledger, registry, superseded, err := r.Missing(existing)
	if err != nil || superseded {
		return err
	}
	made, err := b.restoreBoundary(ctx, r, exists, ledger || registry)
	if err != nil || !made && !ledger && !registry {
		return err
	}
	crash.Point("restoration ready", b.tenant)
	if made { // by the scripts of today
		r.Tenant.Scripts, r.Tenant.Definition = b.connector.config.Scripts.Records(), b.Definition()
	}
	if err := b.commitRestoration(ctx, r, ledger, registry, made); err != nil {
		return fmt.Errorf("restore request %s: %w", r.Key, b.registerFault(err))
	}
	crash.Point("restoration committed", b.tenant)
	return nil
}

// lockRestoration begins the transaction, locks boundary and ledger row, and reads what there is.
func (b *build) lockRestoration(ctx context.Context, r *sql.Restoration) (e *sql.Existing, exists bool, err error) {
	e = &sql.Existing{}
	batch := &scopedBatch{}
	batch.queue(sharedScope, nil, "BEGIN")
	if r.Tenant != nil {
		batch.queue(lockScope, nil, b.q.LockBoundary, b.boundaryKey(), b.workKey())
	}
	batch.queue(sharedScope, optional(e.Ledger.Scan), b.q.lockRequest(), r.Key)
	if r.Tenant != nil {
		batch.queue(sharedScope, optional(e.Tenant.Scan), b.q.Tenant, b.tenant)
		batch.queue(sharedScope, func(row pgx.Row) error { return row.Scan(nil, &e.Owner, &exists) },
			b.q.CheckAvailable, b.tenant, b.schema)
		batch.queue(sharedScope, scanOptional(&e.OtherSource, &e.OtherID), b.q.ProvisionedBy, b.tenant, r.Key)
	}
	sent := time.Now()
	if at, err := batch.send(ctx, b.conn); err != nil {
		err = b.faultAt(ctx, at, stall(err, sent, b.timeouts))
		return nil, false, fmt.Errorf("read what there is of request %s: %w", r.Key, err)
	}
	return e, exists, nil
}

// restoreBoundary compares the boundary with the definition if rows are missing, and makes one that does not exist.
func (b *build) restoreBoundary(ctx context.Context, r *sql.Restoration, exists, needed bool) (made bool, err error) {
	switch {
	case r.Tenant == nil, exists && !needed:
		return false, nil
	case !exists && !r.Recreate:
		return false, fmt.Errorf("schema %s: %w", b.schema, sql.ErrNoBoundary)
	case !exists:
		_, in, err := b.buildContents(ctx) // as in an attempt, an index that fails is no obstacle
		if err != nil {
			return false, fmt.Errorf("make schema %s again: %w", b.schema, err)
		}
		if err := r.Matches(&in, true); err != nil {
			return false, err
		}
		return true, b.runFurther(ctx, r.Tenant, false)
	}
	if err := b.claimSchema(ctx); err != nil {
		return false, err
	}
	in, err := b.inspectExisting(ctx, r.Tenant.Definition)
	if err != nil {
		return false, err
	}
	return false, r.Matches(&in, false)
}

// inspectExisting compares a boundary with the definition; madeBy is the one that it was made by.
func (b *build) inspectExisting(ctx context.Context, madeBy string) (pipeline.Inspection, error) {
	if b.own() {
		return b.inspectMade(ctx, madeBy)
	}
	return b.Inspect(ctx)
}

// claimSchema fails if the schema belongs to another registry in this database. One with the stamp of a registry that
// is not in it was made for a lost registry of this service, whose events name it: it gets this registry's stamp.
func (b *build) claimSchema(ctx context.Context) error {
	var whose ownership
	batch := &pgx.Batch{}
	b.queueOwnership(batch, b.schema, &whose)
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("read the comment on schema %s: %w", b.schema, classify(err))
	}
	id := stampOf(whose.comment)
	lost := id != "" && id != b.RegistryID() &&
		!slices.ContainsFunc(whose.others, func(o otherRegistry) bool { return stampOf(o.Comment) == id })
	if lost {
		whose.comment = ""
	}
	if err := b.requireOwn(ctx, b.conn, b.schema, whose); err != nil || !lost || !whose.ours {
		return err
	}
	return b.exec(ctx, b.stampSQL(b.schema))
}

// commitRestoration writes the missing rows, and by what a boundary was made again; fails if one is missing afterwards;
// and commits.
func (b *build) commitRestoration(ctx context.Context, r *sql.Restoration, ledger, registry, made bool) error {
	batch := &pgx.Batch{}
	batch.Queue(b.q.DurableCommit)
	if ledger {
		f := r.LedgerText()
		batch.Queue(b.q.RestoreRequest, r.Key, r.Source, r.RequestID, r.TenantID, r.State(), r.Replay, r.Attempts,
			f.Step, f.Cause, f.Text, r.Outcome.ID, string(r.Outcome.Body), timestamp(r.At))
	}
	if registry {
		b.queueTenant(batch, *r.Tenant)
	}
	if made && !registry {
		batch.Queue(b.q.SetDefinition, b.tenant, r.Tenant.Definition)
	}
	if r.Tenant != nil {
		b.queueScripts(batch, *r.Tenant)
		batch.Queue(b.q.CheckRows, b.tenant, b.schema, r.Key, r.Outcome.ID)
	}
	batch.Queue(b.q.CheckRequest, r.Key, r.Outcome.ID)
	batch.Queue("COMMIT")
	sent := time.Now()
	return stall(sendDurable(ctx, b.conn.Conn(), batch), sent, b.timeouts)
}
