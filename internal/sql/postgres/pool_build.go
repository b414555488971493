package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// prepareOne builds one boundary and adds it to the pool in one transaction, so that no boundary is incomplete or
// unknown to the pool. It reports false if another replica is building, or the pool is full.
func (s *Store) prepareOne(ctx context.Context) (built bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, connectFault(err)
	}
	b := &build{Store: s, conn: conn, schema: sql.PreparedName(rand.Text())}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		b.rollback(tidy)
	}()
	if wanted, err := b.beginFilling(ctx); err != nil || !wanted {
		return false, err
	}
	if err := b.buildComplete(ctx); err != nil {
		return false, fmt.Errorf("prepare a boundary: %w", err)
	}
	crash.Point("boundary prepared", b.schema)
	if err := b.addToPool(ctx); err != nil {
		return false, err
	}
	crash.Point("boundary pooled", b.schema)
	s.prepared.ready.Add(1)
	s.log.DebugContext(ctx, "boundary prepared", "schema", b.schema)
	return true, nil
}

// beginFilling begins the transaction, and reports whether this replica is the one that builds and a boundary is
// missing. The commit is asynchronous, except on Citus: a crash loses row and schema together, and an attempt that
// takes the boundary commits after it.
func (b *build) beginFilling(ctx context.Context) (wanted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var mine bool
	var pool poolCount
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(b.fillerCommit())
	batch.Queue(b.q.BeginFilling, lockKey("pool", b.registry)).QueryRow(func(row pgx.Row) error { return row.Scan(&mine) })
	batch.Queue(b.q.CountPrepared, b.prepared.definition).QueryRow(pool.scan)
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return false, fmt.Errorf("begin to prepare a boundary: %w", sharedFault(err))
	}
	return mine && !pool.isFull(b.prepared.target), nil
}

// buildComplete creates the schema and everything in it, as the steps of an attempt do, and fails on any difference. It
// runs the scripts that depend on no request.
func (b *build) buildComplete(ctx context.Context) error {
	failed, in, err := b.buildContents(ctx)
	if err != nil {
		return err
	}
	for name, err := range failed {
		return fmt.Errorf("index %s: %w", name, err)
	}
	if err := differing(in.Faults()); err != nil {
		return err
	}
	return b.runPrepared(ctx, false)
}

// runPrepared runs the scripts that depend on no request, and fails if the boundary then differs from the definition,
// or they reach outside of it. It remembers what they leave.
func (b *build) runPrepared(ctx context.Context, thorough bool) error {
	files := b.scripts.selected(true)
	if len(files) == 0 {
		return nil
	}
	if err := b.runScripts(ctx, files, nil); err != nil {
		return err
	}
	in, err := b.Inspect(ctx)
	if err != nil {
		return err
	}
	if err := differing(in.Differences); err != nil {
		return fmt.Errorf("after the initialisation scripts: %w", err)
	}
	if err := b.checkPrepared(ctx); err != nil {
		return err
	}
	if err := b.checkConfined(ctx, thorough); err != nil {
		return err
	}
	left := preparedResult{faults: b.withoutName(in.Faults())}
	r, err := b.readRelations(ctx)
	if err != nil {
		return fmt.Errorf("read what the initialisation scripts have left: %w", err)
	}
	left.filled = r.filled
	b.scripts.prepared.Store(&left)
	return nil
}

// preparedResult is what the scripts leave in a boundary that is prepared. It is the same in each.
type preparedResult struct {
	faults []string // deviations from the definition that are no differences
	filled []string // relations that have pages
}

// filled are the relations that have pages in a boundary that is prepared.
func (s *scripts) filled() []string {
	if s == nil || s.prepared.Load() == nil {
		return []string{}
	}
	return s.prepared.Load().filled
}

// withoutName replaces the schema's name in texts, so that those of two boundaries can be compared.
func (b *build) withoutName(texts []string) []string {
	texts = slices.Clone(texts)
	for i, text := range texts {
		texts[i] = strings.ReplaceAll(text, b.schema, "{schema}")
	}
	return texts
}

// buildContents creates the schema and everything in it, and inspects it. It returns the indexes that failed.
func (b *build) buildContents(ctx context.Context) (failed map[string]error, in pipeline.Inspection, err error) {
	if err := b.exec(ctx, b.ddl(b.q.CreateSchema)); err != nil {
		return nil, in, fmt.Errorf("create schema %s: %w", b.schema, withMissingPrivilege(classify(err), createPrivilege))
	}
	if err := b.CreateTables(ctx, nil); err != nil {
		return nil, in, err
	}
	if failed, err = b.CreateIndexes(ctx); err != nil {
		return nil, in, err
	}
	in, err = b.Inspect(ctx)
	return failed, in, err
}

func differing(differences []string) error {
	if len(differences) == 0 {
		return nil
	}
	return errors.New("the boundary differs from the definition: " + strings.Join(differences, "; "))
}

// addToPool adds the boundary to the pool and commits.
func (b *build) addToPool(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := b.readRelations(ctx)
	if err != nil {
		return fmt.Errorf("put %s into the pool: %w", b.schema, err)
	}
	batch := &pgx.Batch{}
	batch.Queue(b.q.AddPrepared, b.schema, b.prepared.definition, r.oids, r.versions)
	batch.Queue("COMMIT")
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("put %s into the pool: %w", b.schema, sharedFault(err))
	}
	return nil
}
