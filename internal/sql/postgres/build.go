package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// build is one attempt: one transaction on one connection.
type build struct {
	*Store
	conn   *pgxpool.Conn
	claim  pipeline.Claim
	tenant string
	schema string
	taken  string // the prepared boundary that the schema was made of; empty: none
	found  bool   // the schema was there already
	// takenStamped says that the boundary that was taken carries the registry's stamp.
	takenStamped bool
	// keepComment says that the schema has a comment already, or is another role's: it gets no stamp.
	keepComment bool
}

// Begin implements [pipeline.Database]. It takes a connection and sends nothing.
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

// CreateBoundary locks the boundary, looks again, and creates the schema, in one round trip. Whatever the look brings
// to light, nothing has happened yet: the transaction is rolled back. Where boundaries are prepared, one of them is
// taken in that round trip, and becomes the schema in a second. Where that way is refused, the schema is made in the
// ordinary one.
func (b *build) CreateBoundary(ctx context.Context) (pipeline.Boundary, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	boundary, err := b.createBoundary(ctx, b.asksPool())
	if !errors.Is(err, errPoolRefuses) {
		return boundary, err
	}
	b.prepared.refuse(b.log, err)
	b.taken = ""
	if _, err := b.conn.Exec(ctx, "ROLLBACK"); err != nil {
		return pipeline.Boundary{}, fmt.Errorf("create schema %s: %w", b.schema, sharedFault(err))
	}
	return b.createBoundary(ctx, false)
}

// createBoundary asks the pool for a prepared boundary or not. Where it asks, [errPoolRefuses] may be returned.
func (b *build) createBoundary(ctx context.Context, asks bool) (pipeline.Boundary, error) {
	var (
		ledger       sql.LedgerRow
		twin, holder string
		existed      bool
	)
	batch := &placed{}
	batch.queue(ofAll, nil, "BEGIN")
	batch.queue(ofLock, nil, b.q.lockBoundary, b.boundaryKey(), b.workKey())
	batch.queue(ofAll, func(row pgx.Row) error { return ledger.Scan(row) }, b.q.lockRequest(), b.claim.Key)
	batch.queue(ofAll, func(row pgx.Row) error { return row.Scan(&twin, &holder, &existed) }, b.q.look, b.tenant, b.schema)
	if asks {
		batch.queue(ofPool, b.scanTaken, b.q.takePrepared, b.prepared.definition, b.schema)
	} else {
		batch.queue(ofTenant, nil, b.ddl(b.q.createSchema))
	}
	sent := time.Now()
	if at, err := batch.send(ctx, b.conn); err != nil {
		err = b.faultAt(ctx, at, stall(err, sent, b.timeouts))
		return pipeline.Boundary{}, fmt.Errorf("create schema %s: %w", b.schema, err)
	}
	if err := ledger.CheckAvailable(b.claim, b.tenant, twin, "schema "+b.schema, holder); err != nil {
		return pipeline.Boundary{}, b.confirmed(ctx, err)
	}
	if asks && (!existed || b.taken != "") {
		var err error
		if existed, err = b.open(ctx); err != nil {
			return pipeline.Boundary{}, err
		}
	}
	if b.found = existed; existed {
		if err := b.requireEmpty(ctx); err != nil {
			return pipeline.Boundary{}, err
		}
	}
	return pipeline.Boundary{SchemaName: b.schema, Prepared: b.taken != ""}, nil
}

// errPoolRefuses is wrapped where the way of prepared boundaries has failed, and the ordinary one has not.
var errPoolRefuses = errors.New("the prepared boundary could not be used")

// faultAt is the fault of a statement that works in that place.
func (b *build) faultAt(ctx context.Context, at place, err error) error {
	switch at {
	case ofTenant:
		return withMissingPrivilege(classify(err), createRight)
	case ofLock, ofAll:
		err = b.blocked(ctx, err)
		var outage *pipeline.Fault
		if at == ofLock && waitEnded(err) && !errors.As(err, &outage) {
			return fmt.Errorf("another session is working on the boundary: %w", pipeline.ErrBusy)
		}
	case ofPool:
		var fault *pipeline.Fault
		err = b.registryFault(err)
		if errors.As(err, &fault) && (fault.Class != pipeline.Outage || stale[fault.DriverCode]) {
			return fmt.Errorf("%w: %w", errPoolRefuses, err)
		}
		return err
	}
	return b.ledgerFault(err)
}

// optional scans a row that need not be there.
func optional(into *string) func(pgx.Row) error {
	return func(row pgx.Row) error {
		if err := row.Scan(into); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return nil
	}
}

// requireEmpty fails if the schema is another registry's, or anything in it holds rows. Tables are locked against
// writers first, but not those of another registry.
func (b *build) requireEmpty(ctx context.Context) error {
	type relation struct{ Name, Kind string }
	var relations []relation
	var whose ownership
	batch := &pgx.Batch{}
	b.queueOwnership(batch, b.schema, &whose)
	batch.Queue(b.q.relations, b.schema).Query(func(rows pgx.Rows) (err error) {
		relations, err = pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
		return err
	})
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("list what is in schema %s: %w", b.schema, classify(err))
	}
	if err := b.requireOwn(ctx, b.conn, b.schema, whose); err != nil {
		return err
	}
	b.keepComment = !whose.unstamped()
	batch = &pgx.Batch{}
	batch.Queue(b.q.lockTimeout, milliseconds(ownLockTimeout))
	full := make([]bool, len(relations))
	for i, r := range relations {
		if r.Kind == "f" { // asking would depend on another server, and that cannot be locked
			full[i] = true
			continue
		}
		if r.Kind == "r" || r.Kind == "p" {
			batch.Queue(render(b.q.lockTable, "relation", b.schema, r.Name))
		}
		batch.Queue(render(b.q.hasRows, "relation", b.schema, r.Name)).QueryRow(func(row pgx.Row) error {
			return row.Scan(&full[i])
		})
	}
	sent := time.Now()
	if err := stall(b.conn.SendBatch(ctx, batch).Close(), sent, b.timeouts); err != nil {
		return fmt.Errorf("see whether schema %s holds rows: %w", b.schema, classify(err))
	}
	for i, r := range relations {
		if full[i] {
			return pipeline.Permanentf(events.CauseBoundaryNotEmpty, "schema %s exists, is not registered, and holds "+
				"rows or a foreign table: %s; nothing was touched: move them away or choose another id", b.schema, r.Name)
		}
	}
	return nil
}

// ownLockTimeout is how long the locks on one tenant's tables are waited for: a worker is not there for others
// meanwhile.
const ownLockTimeout = time.Second

// ddl fills in the schema's name.
func (b *build) ddl(text string) string { return render(text, "schema", b.schema) }

// exec sends statements as one message. An error aborts the transaction, or what was done since the last
// savepoint.
func (b *build) exec(ctx context.Context, statements string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sent := time.Now()
	_, err := b.conn.Conn().PgConn().Exec(ctx, statements).ReadAll()
	return classify(stall(err, sent, b.timeouts))
}

// CreateTables implements [pipeline.Build] in one round trip. Where something that was there is in the way
// of a table, the others are created: step 4 then names what differs, and what is missing for it. A prepared
// boundary has its tables.
func (b *build) CreateTables(ctx context.Context) error {
	if b.taken != "" {
		return nil
	}
	stamp := ""
	if !b.keepComment {
		stamp = b.stampSQL(b.schema)
	}
	failed, err := b.create(ctx, stamp, b.ddl(b.q.tables), b.inTheWay)
	if err != nil {
		return fmt.Errorf("create the tables of schema %s: %w", b.schema, err)
	}
	for i, err := range failed {
		b.log.WarnContext(ctx, "could not create table", "schema", b.schema, "table", sql.Tables[i].Name, "error", err)
	}
	return nil
}

// CreateIndexes implements [pipeline.Build] in one round trip, unless one fails. A prepared boundary has its indexes.
func (b *build) CreateIndexes(ctx context.Context) (map[string]error, error) {
	if b.taken != "" {
		return nil, nil
	}
	failed, err := b.create(ctx, "", b.ddl(b.q.indexes), permanent)
	if err != nil {
		return nil, fmt.Errorf("create the indexes of schema %s: %w", b.schema, err)
	}
	return sql.FailedIndexes(failed), nil
}

// create runs the statements as one message if all goes well. After an error that may be passed over they
// run one by one, each with a savepoint, and those that fail are returned by their place. What comes first must
// succeed.
func (b *build) create(ctx context.Context, first, ddl string, passOver func(error) bool) (map[int]error, error) {
	err := b.exec(ctx, first+"SAVEPOINT step;\n"+ddl+"RELEASE SAVEPOINT step")
	if err == nil || !passOver(err) {
		return nil, err
	}
	if err := b.exec(ctx, "ROLLBACK TO SAVEPOINT step"); err != nil {
		return nil, err
	}
	failed := map[int]error{}
	for i, statement := range sql.Statements(ddl) {
		err := b.exec(ctx, "SAVEPOINT one; "+statement+"; RELEASE SAVEPOINT one")
		switch {
		case err == nil:
		case !passOver(err):
			return nil, err
		default:
			failed[i] = err
			if err := b.exec(ctx, "ROLLBACK TO SAVEPOINT one"); err != nil {
				return nil, err
			}
		}
	}
	return failed, nil
}

// inTheWay reports whether what stood in the schema is in the way of a table.
func (b *build) inTheWay(err error) bool {
	var fault *pipeline.Fault
	return b.found && errors.As(err, &fault) && fault.Code == events.CauseSchemaInvalid
}

// permanent reports whether an index's error is its own: whatever would fail the whole transaction
// anyway, or would pass on the next attempt, is not a reason to go on without the index.
func permanent(err error) bool {
	var fault *pipeline.Fault
	return errors.As(err, &fault) && fault.DriverCode != "" && fault.Class != pipeline.Outage &&
		!passing[fault.DriverCode[:2]]
}

// Inspect implements [pipeline.Build]. That a prepared boundary has been changed is no fault of the request: the
// next attempt goes on without it.
func (b *build) Inspect(ctx context.Context) (pipeline.Inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sent := time.Now()
	in, err := inspect(ctx, b.conn, b.q, b.schema)
	err = stall(err, sent, b.timeouts)
	if err == nil && b.taken != "" && len(in.Faults()) > 0 {
		err = b.reject(ctx, in)
	}
	return in, err
}

// Register implements [pipeline.Build]: two rows and the commit, in one round trip.
func (b *build) Register(ctx context.Context, t pipeline.Tenant, o pipeline.Outcome) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(b.q.durableCommit)
	b.queueRegister(batch, t, o)
	batch.Queue("COMMIT")
	sent := time.Now()
	if err := stall(sendDurable(ctx, b.conn.Conn(), batch), sent, b.timeouts); err != nil {
		return fmt.Errorf("register the tenant: %w", b.registerFault(err))
	}
	return nil
}

// queueRegister writes both rows, and fails where one is not there then.
func (b *build) queueRegister(batch *pgx.Batch, t pipeline.Tenant, o pipeline.Outcome) {
	batch.Queue(b.q.register, t.ID, t.DisplayName, t.IsolationStrategy, t.Boundary.SchemaName,
		t.CreatedAt.UTC().Format(time.DateTime+".000000"), t.CreatedBy)
	b.queueConclude(batch, b.claim, "provisioned", pipeline.Failure{Outcome: o})
	batch.Queue(b.q.checkRows, t.ID, t.Boundary.SchemaName, b.claim.Key, o.ID)
}

// registerFault is the fault of a registration: the registry's, but for what the request holds.
func (b *build) registerFault(err error) error {
	err = b.registryFault(err)
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.DriverCode != rowsMissing {
		return err
	}
	lost := *fault
	lost.Class, lost.Code = pipeline.Transient, ""
	lost.Message = "the registry or the ledger has not kept what was written; look for a trigger, a rule or a row " +
		"policy on tenant_registry and tenant_requests in " + b.registry
	return &lost
}

// rowsMissing is the SQLSTATE by which check_rows.sql fails: division by zero.
const rowsMissing = "22012"

// Close rolls back what was not committed. Nothing stays behind: if the rollback cannot be sent, the
// server does it when the connection ends.
func (b *build) Close(ctx context.Context) []string {
	b.rollback(ctx)
	b.activity.touch()
	if b.asksPool() {
		b.prepared.attemptEnded()
	}
	return nil
}

// rollback ends the transaction, if there is one, and gives the connection back.
func (b *build) rollback(ctx context.Context) {
	defer b.conn.Release() // destroys a connection that is not idle
	if b.conn.Conn().PgConn().TxStatus() != 'I' {
		if _, err := b.conn.Exec(ctx, "ROLLBACK"); err != nil {
			b.log.DebugContext(ctx, "could not roll back", "error", err)
		}
	}
	if b.conn.Conn().IsClosed() {
		b.noteLost()
	}
}
