package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
}

// Begin implements [pipeline.Database]. It takes a connection and sends nothing.
func (s *Store) Begin(ctx context.Context, c pipeline.Claim, tenantID string) (pipeline.Build, error) {
	s.activity.now()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", classify(err))
	}
	return &build{Store: s, conn: conn, claim: c, tenant: tenantID, schema: s.names.Name(tenantID)}, nil
}

// CreateBoundary locks the boundary, looks again, and creates the schema, in one round trip. Whatever the
// look brings to light, nothing has happened yet: the transaction is rolled back. Where boundaries are prepared,
// one of them is taken in that round trip, and becomes the schema in a second.
func (b *build) CreateBoundary(ctx context.Context) (pipeline.Boundary, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var (
		ledger       sql.Entry
		twin, holder string
		existed      bool
	)
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	batch.Queue(b.q.lockBoundary, lockKey("boundary", strings.ToLower(b.schema)), b.workKey())
	batch.Queue(b.q.lockRequest(), b.claim.Key).QueryRow(func(row pgx.Row) error { return ledger.Scan(row) })
	batch.Queue(b.q.look, b.tenant, b.schema).QueryRow(func(row pgx.Row) error {
		return row.Scan(&twin, &holder, &existed)
	})
	asks := b.asksPool()
	if asks {
		b.queueTake(batch)
	} else {
		batch.Queue(b.ddl(b.q.createSchema))
	}
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return pipeline.Boundary{}, fmt.Errorf("create schema %s: %w", b.schema, lacking(b.blocked(ctx, err), createRight))
	}
	if err := ledger.Vacant(b.claim, b.tenant, twin, "schema "+b.schema, holder); err != nil {
		return pipeline.Boundary{}, b.confirmed(ctx, err)
	}
	if asks && (!existed || b.taken != "") {
		var err error
		if existed, err = b.open(ctx); err != nil {
			return pipeline.Boundary{}, err
		}
	}
	if existed {
		if err := b.requireEmpty(ctx); err != nil {
			return pipeline.Boundary{}, err
		}
	}
	return pipeline.Boundary{SchemaName: b.schema, Prepared: b.taken != ""}, nil
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

// requireEmpty fails if anything in the schema holds rows. Tables are locked against writers first.
func (b *build) requireEmpty(ctx context.Context) error {
	rows, err := b.conn.Query(ctx, b.q.relations, b.schema)
	if err != nil {
		return classify(err)
	}
	type relation struct{ Name, Kind string }
	relations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
	if err != nil {
		return fmt.Errorf("list what is in schema %s: %w", b.schema, classify(err))
	}
	batch := &pgx.Batch{}
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
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("see whether schema %s holds rows: %w", b.schema, classify(err))
	}
	for i, r := range relations {
		if full[i] {
			return pipeline.Failure(events.CauseBoundaryNotEmpty, "schema %s exists, is not registered, and holds "+
				"rows or a foreign table: %s; nothing was touched: move them away or choose another id", b.schema, r.Name)
		}
	}
	return nil
}

// ddl fills in the schema's name.
func (b *build) ddl(text string) string { return render(text, "schema", b.schema) }

// exec sends statements as one message. An error aborts the transaction, or what was done since the last
// savepoint.
func (b *build) exec(ctx context.Context, statements string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := b.conn.Conn().PgConn().Exec(ctx, statements).ReadAll()
	return classify(err)
}

// CreateTables implements [pipeline.Build] in one round trip. Where something that was there is in the way
// of a table, the others are created: step 4 then names what differs, and what is missing for it. A prepared
// boundary has its tables.
func (b *build) CreateTables(ctx context.Context) error {
	if b.taken != "" {
		return nil
	}
	failed, err := b.create(ctx, b.ddl(b.q.tables), conflicting)
	if err != nil {
		return fmt.Errorf("create the tables of schema %s: %w", b.schema, err)
	}
	for i, err := range failed {
		b.log.WarnContext(ctx, "a table could not be created", "schema", b.schema, "table", sql.Tables[i].Name, "error", err)
	}
	return nil
}

// CreateIndexes implements [pipeline.Build] in one round trip, unless one fails. A prepared boundary has its indexes.
func (b *build) CreateIndexes(ctx context.Context) (map[string]error, error) {
	if b.taken != "" {
		return nil, nil
	}
	failed, err := b.create(ctx, b.ddl(b.q.indexes), permanent)
	if err != nil {
		return nil, fmt.Errorf("create the indexes of schema %s: %w", b.schema, err)
	}
	return sql.FailedIndexes(failed), nil
}

// create runs the statements as one message if all goes well. After an error that may be passed over they
// run one by one, each with a savepoint, and those that fail are returned by their place.
func (b *build) create(ctx context.Context, ddl string, passOver func(error) bool) (map[int]error, error) {
	err := b.exec(ctx, "SAVEPOINT step;\n"+ddl+"RELEASE SAVEPOINT step")
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

// conflicting reports whether what stands in the schema is in the way of a table.
func conflicting(err error) bool {
	var fault *pipeline.Fault
	return errors.As(err, &fault) && fault.Code == events.CauseSchemaInvalid
}

// permanent reports whether an index's error is its own: whatever would fail the whole transaction
// anyway, or would pass on the next attempt, is not a reason to go on without the index.
func permanent(err error) bool {
	var fault *pipeline.Fault
	return errors.As(err, &fault) && fault.Native != "" && fault.Class != pipeline.Outage &&
		!passing[fault.Native] && !passing[fault.Native[:2]]
}

// Inspect implements [pipeline.Build]. That a prepared boundary has been changed is no fault of the request: the
// next attempt goes on without it.
func (b *build) Inspect(ctx context.Context) (pipeline.Inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in, err := inspect(ctx, b.conn, b.q, b.schema)
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
	batch.Queue(b.q.register, t.ID, t.DisplayName, t.IsolationStrategy, t.Boundary.SchemaName,
		t.CreatedAt.UTC().Format(time.DateTime+".000000"), t.CreatedBy)
	b.queueConclude(batch, b.claim, "provisioned", pipeline.Conclusion{Outcome: o})
	batch.Queue("COMMIT")
	if err := sendDurable(ctx, b.conn.Conn(), batch); err != nil {
		return fmt.Errorf("register the tenant: %w", classify(err))
	}
	return nil
}

// Close rolls back what was not committed. Nothing stays behind: if the rollback cannot be sent, the
// server does it when the connection ends.
func (b *build) Close(ctx context.Context) []string {
	b.rollback(ctx)
	b.activity.now()
	if b.asksPool() {
		b.prepared.asked()
	}
	return nil
}

// rollback ends the transaction, if there is one, and gives the connection back.
func (b *build) rollback(ctx context.Context) {
	if b.conn.Conn().PgConn().TxStatus() != 'I' {
		if _, err := b.conn.Exec(ctx, "ROLLBACK"); err != nil {
			b.log.DebugContext(ctx, "rollback", "error", err)
		}
	}
	b.conn.Release() // destroys a connection that is not idle
}
