package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// build is one attempt: one transaction on one connection.
type build struct {
	*Store
	conn   *pgxpool.Conn
	claim  pipeline.Claim
	tenant string
	schema string
	taken  string // the prepared boundary that was taken; empty: none
	pooled pooled // its row in the pool
	// unaltered means that the prepared boundary is as it was when it was last compared in full.
	unaltered bool
	// keepComment means that the schema has a comment already, or this role may not comment on it: it is not stamped.
	keepComment bool
	foreign     []foreignOwner // of a schema that existed
	// scripted means that scripts have run in the session, so nothing else may use it; before is what preceded them, and
	// restore sets again what the rest of the attempt depends on.
	scripted bool
	before   footprint
	restore  string
	// rehearses means that the attempt is rolled back; then builtIn, filled and made are what was in the boundary before
	// the scripts, after those that run when one is prepared, and after all.
	rehearses             bool
	builtIn, filled, made structure.Structure
	server                string // the version of the server that printed them
}

// Locate implements [pipeline.Database].
func (s *Store) Locate(tenantID string) pipeline.Boundary {
	return pipeline.Boundary{SchemaName: s.names.Name(tenantID)}
}

// Begin implements [pipeline.Database]. It acquires a connection and sends nothing.
func (s *Store) Begin(ctx context.Context, c pipeline.Claim, tenantID string) (pipeline.Build, error) {
	s.activity.touch()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	schema := s.names.Name(tenantID)
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, connectFault(err)
	}
	s.endLost(ctx, conn)
	return &build{Store: s, conn: conn, claim: c, tenant: tenantID, schema: schema}, nil
}

// CreateBoundary locks the boundary, reads ledger and registry again, and creates the schema, in one round trip. If the
// rows forbid the attempt, the transaction is rolled back and nothing has changed. If boundaries are prepared, the same
// round trip takes one, and a second renames it. If that fails, the schema is created without the pool.
func (b *build) CreateBoundary(ctx context.Context) (pipeline.Boundary, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	boundary, err := b.createBoundary(ctx, b.usesPool())
	if !errors.Is(err, errPoolUnusable) {
		return boundary, err
	}
	b.prepared.disable(err)
	b.taken = ""
	if _, err := b.conn.Exec(ctx, "ROLLBACK"); err != nil {
		return pipeline.Boundary{}, fmt.Errorf("create schema %s: %w", b.schema, sharedFault(err))
	}
	return b.createBoundary(ctx, false)
}

// createBoundary tries to take a prepared boundary if usePool is set. Only then can it return [errPoolUnusable].
func (b *build) createBoundary(ctx context.Context, usePool bool) (pipeline.Boundary, error) {
	var (
		ledger             sql.LedgerRow
		caseVariant, owner string
		existed            bool
	)
	batch := &scopedBatch{}
	batch.queue(sharedScope, nil, "BEGIN")
	batch.queue(lockScope, nil, b.q.LockBoundary, b.boundaryKey(), b.workKey())
	batch.queue(sharedScope, func(row pgx.Row) error { return ledger.Scan(row) }, b.q.lockRequest(), b.claim.Key)
	batch.queue(sharedScope, func(row pgx.Row) error { return row.Scan(&caseVariant, &owner, &existed) },
		b.q.CheckAvailable, b.tenant, b.schema)
	if usePool {
		batch.queue(poolScope, scanOptional(append([]any{&b.taken}, b.pooled.fields()...)...), b.q.TakePrepared,
			b.prepared.definition, b.schema, maxCompared.Seconds())
	} else {
		b.queueLeaveSchema(func(text string, args ...any) { batch.queue(sharedScope, nil, text, args...) })
		batch.queue(tenantScope, nil, b.ddl(b.q.CreateSchema))
	}
	sent := time.Now()
	if at, err := batch.send(ctx, b.conn); err != nil {
		err = b.faultAt(ctx, at, stall(err, sent, b.timeouts))
		return pipeline.Boundary{}, fmt.Errorf("create schema %s: %w", b.schema, err)
	}
	if err := ledger.CheckAvailable(b.claim, b.tenant, caseVariant, "schema "+b.schema, owner); err != nil {
		return pipeline.Boundary{}, b.confirmed(ctx, err)
	}
	if usePool && (!existed || b.taken != "") {
		var err error
		if existed, err = b.openBoundary(ctx); err != nil {
			return pipeline.Boundary{}, err
		}
	}
	if existed {
		if err := b.requireEmpty(ctx); err != nil {
			return pipeline.Boundary{}, err
		}
	}
	if b.own() { // there is no step that creates tables
		if err := b.CreateTables(ctx, nil); err != nil {
			return pipeline.Boundary{}, err
		}
	}
	return pipeline.Boundary{SchemaName: b.schema, Prepared: b.taken != "", Existed: existed}, nil
}

// errPoolUnusable means that taking a prepared boundary failed; the attempt can still create one without the pool.
var errPoolUnusable = errors.New("the prepared boundary could not be used")

// faultAt returns the fault of a statement that failed in that scope.
func (b *build) faultAt(ctx context.Context, at scope, err error) error {
	switch at {
	case tenantScope:
		return withMissingPrivilege(classify(err), createPrivilege)
	case lockScope, sharedScope:
		err = b.blocked(ctx, err)
		var outage *pipeline.Fault
		if at == lockScope && waitEnded(err) && !errors.As(err, &outage) {
			return fmt.Errorf("another session is working on the boundary: %w", pipeline.ErrBusy)
		}
	case poolScope:
		var fault *pipeline.Fault
		err = b.registryFault(err)
		if errors.As(err, &fault) && (fault.Class != pipeline.Outage || stale[fault.DriverCode]) {
			return fmt.Errorf("%w: %w", errPoolUnusable, err)
		}
		return err
	}
	return b.ledgerFault(err)
}

// scanner is a row.
type scanner = interface{ Scan(dest ...any) error }

// optional returns a scan of one row that may be missing.
func optional(scan func(row scanner) error) func(pgx.Row) error {
	return func(row pgx.Row) error {
		if err := scan(row); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return nil
	}
}

// scanOptional returns a scan of the columns of one row that may be missing.
func scanOptional(into ...any) func(pgx.Row) error {
	return optional(func(row scanner) error { return row.Scan(into...) })
}

// requireEmpty fails if the schema belongs to another registry, or anything in it holds rows. It first locks the tables
// against writers, but not those of another registry.
func (b *build) requireEmpty(ctx context.Context) error {
	var relations []relation
	var whose ownership
	batch := &pgx.Batch{}
	b.queueOwnership(batch, b.schema, &whose)
	b.q.queueForeignOwners(batch, b.schema, &b.foreign)
	b.q.queueRelations(batch, b.schema, &relations)
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("list what is in schema %s: %w", b.schema, classify(err))
	}
	if err := b.requireOwn(ctx, b.conn, b.schema, whose); err != nil {
		return err
	}
	b.keepComment = !whose.unstamped()
	batch = &pgx.Batch{}
	batch.Queue(b.q.LockTimeout, milliseconds(ownLockTimeout))
	full := b.q.queueHasRows(batch, b.schema, relations, true)
	sent := time.Now()
	if err := stall(b.conn.SendBatch(ctx, batch).Close(), sent, b.timeouts); err != nil {
		return fmt.Errorf("check whether schema %s holds rows: %w", b.schema, b.withTransfer(classify(err)))
	}
	if name := full(); name != "" {
		return pipeline.Permanentf(events.CauseBoundaryNotEmpty, "schema %s exists, is not registered, and holds "+
			"rows or a foreign table: %s; nothing was touched: move them away or choose another id", b.schema, name)
	}
	return nil
}

// relation is something in a schema that can hold rows.
type relation struct{ Name, Kind string }

func (q queries) queueRelations(batch *pgx.Batch, schema string, into *[]relation) {
	batch.Queue(q.Relations, schema).Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
		return err
	})
}

// queueHasRows queries each relation for rows, after locking it against writers if lock is set. Once the batch has run,
// full returns the name of the first that holds rows or is a foreign table, or "" if all are empty.
func (q queries) queueHasRows(batch *pgx.Batch, schema string, all []relation, lock bool) (full func() string) {
	found := make([]bool, len(all))
	for i, r := range all {
		if r.Kind == "f" { // a query would depend on another server, where nothing can be locked
			found[i] = true
			continue
		}
		if lock && (r.Kind == "r" || r.Kind == "p") {
			batch.Queue(render(q.LockTable, "relation", schema, r.Name))
		}
		batch.Queue(render(q.HasRows, "relation", schema, r.Name)).QueryRow(func(row pgx.Row) error {
			return row.Scan(&found[i])
		})
	}
	return func() string {
		if i := slices.Index(found, true); i >= 0 {
			return all[i].Name
		}
		return ""
	}
}

// findRows returns the name of a relation in the schema that holds rows or is a foreign table, or "" if none does, of
// those that looksAt selects. If lock is set, it first locks them against writers, and waits ownLockTimeout for that.
func (q queries) findRows(
	ctx context.Context, db batcher, schema string, lock bool, looksAt func(relation) bool,
) (string, error) {
	var all []relation
	batch := &pgx.Batch{}
	q.queueRelations(batch, schema, &all)
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return "", err
	}
	all = slices.DeleteFunc(all, func(r relation) bool { return !looksAt(r) })
	batch = &pgx.Batch{}
	if lock {
		batch.Queue(q.LockTimeout, milliseconds(ownLockTimeout))
	}
	full := q.queueHasRows(batch, schema, all, lock)
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return "", err
	}
	return full(), nil
}

// ownLockTimeout is the wait for locks on one tenant's tables. It is short because the wait blocks a worker.
const ownLockTimeout = time.Second

// ddl inserts the schema's name.
func (b *build) ddl(text string) string { return render(text, "schema", b.schema) }

// exec sends statements in one round trip, see [sendEach]. An error aborts the transaction, or what was done since the
// last savepoint.
func (b *build) exec(ctx context.Context, statements ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sent := time.Now()
	err := sendEach(ctx, b.conn.Conn(), statements...)
	return classify(stall(err, sent, b.timeouts))
}

// CreateTables implements [pipeline.Build] in one round trip. A prepared boundary has its tables.
func (b *build) CreateTables(ctx context.Context, columns []pipeline.Addition) error {
	if b.taken != "" {
		return nil
	}
	var stamp []string
	if !b.keepComment {
		stamp = append(stamp, b.stampSQL(b.schema))
	}
	statements := sql.Statements(b.ddl(b.q.Tables + sql.AddColumns(b.q.Tables, columns...)))
	if statements = append(stamp, statements...); len(statements) == 0 {
		return nil
	}
	if err := b.exec(ctx, statements...); err != nil {
		return fmt.Errorf("create the tables of schema %s: %w", b.schema, b.withTransfer(err))
	}
	return nil
}

// CreateIndexes implements [pipeline.Build], in one round trip. After an error that is specific to one index, it
// creates them one by one, each with a savepoint. A prepared boundary has its indexes.
func (b *build) CreateIndexes(ctx context.Context) (failed map[string]error, err error) {
	if b.taken != "" {
		return nil, nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("create the indexes of schema %s: %w", b.schema, err)
		}
	}()
	statements := sql.Statements(b.ddl(b.q.Indexes))
	if len(statements) == 0 {
		return nil, nil
	}
	err = b.exec(ctx, slices.Concat([]string{"SAVEPOINT step"}, statements, []string{"RELEASE SAVEPOINT step"})...)
	if err == nil || !permanent(err) {
		return nil, err
	}
	if err := b.rollbackTo(ctx, "step", err); err != nil {
		return nil, err
	}
	positions := map[int]error{}
	for i, statement := range statements {
		err := b.exec(ctx, "SAVEPOINT one", statement, "RELEASE SAVEPOINT one")
		switch {
		case err == nil:
		case !permanent(err):
			return nil, err
		default:
			positions[i] = err
			if err := b.rollbackTo(ctx, "one", err); err != nil {
				return nil, err
			}
		}
	}
	return sql.FailedIndexes(positions), nil
}

// rollbackTo undoes what failed with cause since the savepoint. If it cannot, its error decides what becomes of the
// attempt, and names the cause: on Citus, what broke the statement on a worker can break its rollback too.
func (b *build) rollbackTo(ctx context.Context, savepoint string, cause error) error {
	err := b.exec(ctx, "ROLLBACK TO SAVEPOINT "+savepoint)
	if err == nil {
		return nil
	}
	return fmt.Errorf("roll back to savepoint %s: %w (after: %w)", savepoint, err, cause)
}

// permanent reports whether an error is specific to an index. An error that would fail the whole transaction, or that
// may not recur in the next attempt, does not justify continuing without the index.
func permanent(err error) bool {
	var fault *pipeline.Fault
	return errors.As(err, &fault) && fault.DriverCode != "" && fault.Class != pipeline.Outage &&
		!passing[fault.DriverCode[:2]]
}

// Inspect implements [pipeline.Build]. A prepared boundary that is as the pool has recorded it is not compared again.
// An altered one is not the request's fault: the next attempt continues without it.
func (b *build) Inspect(ctx context.Context) (in pipeline.Inspection, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sent := time.Now()
	switch {
	case b.taken == "" || b.scripted: // scripts of the request may add what is a deviation
		in, err = b.inspect(ctx)
	case b.unaltered:
		return b.complete(), nil
	default:
		if in, _, err = b.inspectTaken(ctx); errors.Is(err, errLocked) {
			b.prepared.disable(err)
		}
	}
	return in, stall(err, sent, b.timeouts)
}

func (b *build) inspect(ctx context.Context) (in pipeline.Inspection, err error) {
	if b.own() {
		in, err = b.inspectOwn(ctx)
	} else {
		in, err = inspect(ctx, b.conn, b.q, b.schema)
	}
	if len(b.foreign) > 0 {
		in.Warnings = append(in.Warnings, ownersText(b.schema, b.foreign))
	}
	return in, err
}

// Register implements [pipeline.Build]: two rows and the commit, in one round trip.
func (b *build) Register(ctx context.Context, t pipeline.Tenant, o pipeline.Outcome) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(b.q.DurableCommit)
	checking := b.queueRegister(batch, t, o)
	batch.Queue("COMMIT")
	sent := time.Now()
	if err := stall(sendDurable(ctx, b.conn.Conn(), batch), sent, b.timeouts); err != nil {
		if checking() && sqlState(err) == negativeRoot {
			return fmt.Errorf("%w: a pg_dump has begun that may see the prepared boundary %s", errUnusable, b.taken)
		}
		return fmt.Errorf("register the tenant: %w", b.registerFault(err))
	}
	return nil
}

// queueRegister writes both rows, and fails if one is missing afterwards. With a prepared boundary it also fails if a
// pg_dump has begun since that was taken: the dump may already have read the old name, and would end with an error.
// Once the batch has been sent, checking reports whether it has ended at that check.
func (b *build) queueRegister(batch *pgx.Batch, t pipeline.Tenant, o pipeline.Outcome) (checking func() bool) {
	b.queueTenant(batch, t)
	b.queueScripts(batch, t)
	b.queueOutcome(batch, b.claim, "provisioned", pipeline.Failure{Outcome: o})
	rows := []any{t.ID, t.Boundary.SchemaName, b.claim.Key, o.ID}
	if b.taken == "" {
		batch.Queue(b.q.CheckRows, rows...)
		return func() bool { return false }
	}
	var began, passed bool
	done := func(what *bool) func(pgconn.CommandTag) error {
		return func(pgconn.CommandTag) error {
			*what = true
			return nil
		}
	}
	batch.Queue(b.q.ClearActivity).Exec(done(&began))
	batch.Queue(b.q.CheckTaken, append(rows, b.pooled.builtBy, b.pooled.ordered)...).Exec(done(&passed))
	return func() bool { return began && !passed }
}

// queueTenant writes the registry row.
func (b *build) queueTenant(batch *pgx.Batch, t pipeline.Tenant) {
	batch.Queue(b.q.Register, t.ID, t.DisplayName, t.IsolationStrategy, t.Boundary.SchemaName, timestamp(t.CreatedAt),
		t.CreatedBy, t.Plan.Name, t.Plan.Limits.MaxBytes, t.Plan.Limits.MaxRows, t.Definition)
}

// queueScripts records the scripts that the boundary has.
func (b *build) queueScripts(batch *pgx.Batch, t pipeline.Tenant) {
	if len(t.Scripts) > 0 {
		names, hashes := make([]string, len(t.Scripts)), make([]string, len(t.Scripts))
		for i, script := range t.Scripts {
			names[i], hashes[i] = script.Name, script.SHA256
		}
		batch.Queue(b.q.RecordScripts, t.ID, names, hashes, timestamp(t.CreatedAt))
	}
}

// timestamp formats a time for a column without a zone, which is UTC.
func timestamp(t time.Time) string { return t.UTC().Format(time.DateTime + ".000000") }

// registerFault returns the fault of a registration. It is the registry's, unless the request's own values caused it.
func (b *build) registerFault(err error) error {
	err = b.registryFault(err)
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.DriverCode != divisionByZero {
		return err
	}
	lost := *fault
	lost.Class, lost.Code = pipeline.Transient, ""
	lost.Message = "a row written to the registry or the ledger is missing; look for a trigger, a rule or a row " +
		"policy on tenant_registry and tenant_requests in " + b.registry
	return &lost
}

// SQLSTATEs with which check_rows.sql and check_taken.sql fail: division by zero, and the root of a negative number.
const (
	divisionByZero = "22012"
	negativeRoot   = "2201F"
)

// Close rolls back an uncommitted transaction. If the rollback cannot be sent, the server rolls back when the
// connection ends, so nothing remains.
func (b *build) Close(ctx context.Context) []string {
	b.rollback(ctx)
	b.activity.touch()
	if b.usesPool() {
		b.prepared.attemptEnded()
	}
	return nil
}

// rollback ends the transaction, if there is one, and releases the connection.
func (b *build) rollback(ctx context.Context) {
	defer b.conn.Release() // destroys a connection that is not idle
	if b.conn.Conn().PgConn().TxStatus() != 'I' {
		if _, err := b.conn.Exec(ctx, "ROLLBACK"); err != nil {
			b.log.DebugContext(ctx, "could not roll back", "error", err)
		}
	}
	if b.conn.Conn().IsClosed() {
		b.noteLost()
	} else if spent := isSpent(b.conn.Conn()); b.scripted || spent {
		_ = b.conn.Conn().Close(ctx) // it is closed in any case
	}
}

// maxBuilds is the number of boundaries after which a session ends: the server keeps in its memory what the session has
// read of each relation, about 60 KB a boundary.
const maxBuilds = 250

// buildsKey counts the boundaries of a connection.
const buildsKey = "example.com/tenant-provisioner: boundaries"

// isSpent counts one boundary more, and reports whether the session ends after it.
func isSpent(conn *pgx.Conn) bool {
	data := conn.PgConn().CustomData()
	n, _ := data[buildsKey].(int)
	data[buildsKey] = n + 1
	return n+1 == maxBuilds
}
