package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// A prepared boundary is compared in full in the transaction that builds it, and while it waits in the pool. A request
// that takes it asks one question: are its relations still as they were then? Only if not, or if that comparison is too
// old, the request compares it in full.
//
// The question sees everything that changes a relation's row in pg_class or gives it a page: another relation of its
// name, another owner, rows (also if they were removed), a column that was added or rewritten, a check, a rule, row
// security, and so on. It does not see a column or an index that was dropped, a default, a disabled trigger, or a
// relation that was added; these the next full comparison sees.
//
// An attempt that loads seed data or runs scripts in a boundary, and is then rolled back or killed, leaves pages
// without rows. They cost the next request the full comparison, and are harmless. Its numbers from sequences are rolled
// back (sequences.go).

const (
	// maxCompared is the greatest age of a full comparison with which a request asks the question only.
	maxCompared = time.Hour
	// compareInterval is how often a boundary that waits in the pool is compared in full.
	compareInterval = 10 * time.Minute
)

// pooled is a row of the pool.
type pooled struct {
	stamped bool   // it already carries the registry's stamp
	builtBy string // the transaction that built it
	ordered bool   // which was the oldest one (add_prepared.sql)
	// oids and versions of its relations when it was last compared in full, as texts of PostgreSQL; empty: it was not.
	oids, versions string
	recent         bool // that was not longer ago than maxCompared
}

// fields are the columns that take_prepared.sql returns after the name.
func (p *pooled) fields() []any {
	return []any{&p.stamped, &p.builtBy, &p.ordered, &p.oids, &p.versions, &p.recent}
}

// renameTaken sends statements that rename the boundary that was taken, and, in the same round trip, asks whether it is
// as it was when it was last compared in full. The statements are messages of their own, see [sendEach].
func (b *build) renameTaken(ctx context.Context, rename []string) (unaltered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn := b.conn.Conn()
	batch := &pgconn.Batch{}
	for _, text := range rename {
		batch.ExecParams(text, nil, nil, nil, nil)
	}
	asks := b.pooled.recent && b.pooled.oids != ""
	if asks {
		question, err := conn.Prepare(ctx, b.q.Unaltered, b.q.Unaltered) // sends nothing if the session has it already
		if err != nil {
			return false, classify(err)
		}
		filled, err := conn.TypeMap().Encode(question.ParamOIDs[2], pgx.TextFormatCode, b.scripts.filled(), nil)
		if err != nil {
			return false, err
		}
		batch.ExecPrepared(question.Name, [][]byte{[]byte(b.pooled.oids), []byte(b.pooled.versions), filled}, nil, nil)
	}
	sent := time.Now()
	results, err := conn.PgConn().ExecBatch(ctx, batch).ReadAll()
	if err != nil {
		return false, classify(stall(err, sent, b.timeouts))
	}
	return asks && string(results[len(rename)].Rows[0][0]) == "t", nil
}

// complete is the inspection of a boundary that is as it was when it was compared in full.
func (b *build) complete() pipeline.Inspection {
	if !b.own() {
		return pipeline.Inspection{Tables: len(sql.Tables), Indexes: len(sql.Indexes)}
	}
	var in pipeline.Inspection
	if r := b.reference.Load(); r != nil {
		in.Tables, in.Indexes = r.tables, r.indexes
	}
	return in
}

// inspectTaken compares the boundary that was taken in full, and rejects it if anything in it was altered. It returns
// the relations as they were before that.
func (b *build) inspectTaken(ctx context.Context) (in pipeline.Inspection, r relationsRead, err error) {
	if r, err = b.readRelations(ctx); err != nil {
		return in, r, err
	}
	if in, err = b.inspect(ctx); err != nil {
		return in, r, err
	}
	altered, err := b.altered(ctx, r)
	if err != nil {
		return in, r, err
	}
	if altered = append(altered, b.alterations(in)...); len(altered) > 0 {
		return in, r, b.reject(ctx, altered)
	}
	in.Warnings, in.NoDefaults = nil, nil // they are those of the scripts that prepare boundaries
	return in, r, nil
}

// relationsRead is a row of boundary_relations.sql.
type relationsRead struct {
	oids, versions  string
	filled, foreign []string
}

// readRelations reads the relations in the boundary.
func (b *build) readRelations(ctx context.Context) (r relationsRead, err error) {
	row := b.conn.QueryRow(ctx, b.q.BoundaryRelations, b.schema)
	if err := row.Scan(&r.oids, &r.versions, &r.filled, &r.foreign); err != nil {
		return r, fmt.Errorf("read the relations in schema %s: %w", b.schema, sharedFault(err))
	}
	return r, nil
}

// errLocked does not count as an attempt.
var errLocked = fmt.Errorf("another session has locked a table of a prepared boundary: %w", pipeline.ErrBusy)

// altered are the relations that hold rows, except those that scripts have filled, or have another owner. A relation
// with pages is locked against writers: a row that is not committed yet is not visible.
func (b *build) altered(ctx context.Context, r relationsRead) (all []string, err error) {
	for _, name := range r.foreign {
		all = append(all, name+" has another owner")
	}
	filled := b.scripts.filled()
	pages := slices.DeleteFunc(slices.Clone(r.filled), func(name string) bool { return slices.Contains(filled, name) })
	if len(all) > 0 || len(pages) == 0 {
		return all, nil
	}
	looksAt := func(r relation) bool { return slices.Contains(pages, r.Name) }
	name, err := b.q.findRows(ctx, b.conn, b.schema, true, looksAt)
	switch {
	case waitEnded(err):
		return nil, fmt.Errorf("schema %s: %w (%w)", b.taken, errLocked, err)
	case permanent(classify(err)):
		all = append(all, "its tables cannot be locked or read: "+err.Error())
	case err != nil:
		return nil, fmt.Errorf("check whether schema %s holds rows: %w", b.schema, sharedFault(err))
	case name != "":
		all = append(all, name+" holds rows, or is a foreign table")
	}
	return all, nil
}

// alterations are deviations of the boundary that was taken, without those that it had when it was prepared.
func (b *build) alterations(in pipeline.Inspection) (faults []string) {
	faults = in.Faults()
	if b.scripts == nil || b.scripts.prepared.Load() == nil {
		return faults
	}
	accepted := b.scripts.prepared.Load().faults
	return slices.DeleteFunc(b.withoutName(faults), func(f string) bool { return slices.Contains(accepted, f) })
}

// compareDue compares one boundary in full, if one in the pool was not compared for compareInterval, and removes it
// from the pool if it was altered. It reports whether there was one; one that another session has locked is passed over
// until there is no other.
func (s *Store) compareDue(ctx context.Context) (compared bool, err error) {
	if len(s.scripts.selected(true)) > 0 && s.scripts.prepared.Load() == nil { // what they leave is not known yet
		return false, nil
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, connectFault(err)
	}
	b := &build{Store: s, conn: conn}
	defer func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		b.rollback(tidy)
	}()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(b.q.AsyncCommit)
	batch.Queue(b.q.DueComparison, s.prepared.definition, compareInterval.Seconds(), s.prepared.locked).
		QueryRow(scanOptional(&b.taken))
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return false, fmt.Errorf("look for a prepared boundary to compare: %w", sharedFault(err))
	}
	if b.taken == "" {
		s.prepared.locked = []string{}
		return false, nil
	}
	b.schema = b.taken
	var r relationsRead
	if err = b.checkTakenRows(ctx); err == nil {
		_, r, err = b.inspectTaken(ctx)
	}
	switch {
	case errors.Is(err, errUnusable): // it was removed from the pool, which is logged
		return true, nil
	case errors.Is(err, errLocked): // a request that takes it logs that
		s.prepared.locked = append(s.prepared.locked, b.taken)
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("compare %s: %w", b.schema, err)
	}
	batch = &pgx.Batch{}
	batch.Queue(b.q.SetCompared, b.schema, r.oids, r.versions)
	batch.Queue("COMMIT")
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return false, fmt.Errorf("record the comparison of %s: %w", b.schema, sharedFault(err))
	}
	return true, nil
}
