package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// stampPrefix begins the comment on a schema that belongs to a registry. The registry's id follows.
const stampPrefix = "tenant-provisioner registry "

// stampOf returns the id of the registry that the comment on a schema names; empty: none. It ignores text after the id,
// so that a stamp with an operator's remark still protects its schema.
func stampOf(comment string) (registryID string) {
	rest, found := strings.CutPrefix(comment, stampPrefix)
	const length = 36
	if !found || len(rest) < length || len(rest) > length && !strings.ContainsRune(" \t\r\n", rune(rest[length])) {
		return ""
	}
	id, err := uuid.Parse(rest[:length])
	if err != nil {
		return ""
	}
	return id.String()
}

// stampSQL returns the statement that stamps the schema. COMMENT takes no parameters.
func (s *Store) stampSQL(schema string) string {
	return "COMMENT ON SCHEMA " + quote(schema) + " IS " + literal(stampPrefix+s.RegistryID())
}

// RegistryID identifies the registry, as last read. A copy of the database has the same id. It is empty until the
// registry exists.
func (s *Store) RegistryID() string {
	if id := s.registryID.Load(); id != nil {
		return *id
	}
	return ""
}

// readStamp reads the registry's id. It reports whether the registry's schema has yet to be stamped with it: not if it
// has a comment or another owner.
func (s *Store) readStamp(ctx context.Context, conn *pgxpool.Conn) (unstamped bool, err error) {
	var id string
	err = conn.QueryRow(ctx, s.q.Stamp).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("the registry has lost its id; if it is not in a backup, create another: "+
			"INSERT INTO %s DEFAULT VALUES", quote(s.registry, "registry_stamp"))
	}
	if err != nil {
		return false, withMissingPrivilege(sharedFault(err), "SELECT on registry_stamp in schema "+s.registry)
	}
	s.registryID.Store(&id)
	var o ownership
	err = o.scan(conn.QueryRow(ctx, s.q.SchemaComment, s.registry))
	return o.unstamped(), err
}

// ownership is what indicates the owner of an existing schema.
type ownership struct {
	comment string
	ours    bool // this role may comment on it
	others  []otherRegistry
}

// otherRegistry is a registry of another service, or of DocEX, in this database.
type otherRegistry struct {
	Schema, Comment string
	Readable        bool
}

func (o *ownership) scan(row scanner) error { return row.Scan(&o.comment, &o.ours) }

// unstamped reports whether the schema should be stamped. Other comments are kept.
func (o *ownership) unstamped() bool { return o.comment == "" && o.ours }

// isUnstamped reports whether the boundary that was taken should be stamped. It rejects a boundary that carries another
// registry's stamp.
func (b *build) isUnstamped(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var o ownership
	if err := o.scan(b.conn.QueryRow(ctx, b.q.SchemaComment, b.taken)); err != nil {
		return false, fmt.Errorf("read the comment on schema %s: %w", b.taken, b.faultAt(ctx, poolScope, err))
	}
	if id := stampOf(o.comment); id != "" && id != b.RegistryID() {
		return false, b.reject(ctx, []string{"it carries the stamp of another registry"})
	}
	return o.unstamped(), nil
}

// queueOwnership queues the queries for ownership that do not read other registries' tables.
func (s *Store) queueOwnership(batch *pgx.Batch, schema string, o *ownership) {
	batch.Queue(s.q.SchemaComment, schema).QueryRow(optional(o.scan)) // it may be dropped in the meantime
	batch.Queue(s.q.Registries, s.registry).Query(func(rows pgx.Rows) (err error) {
		o.others, err = pgx.CollectRows(rows, pgx.RowToStructByPos[otherRegistry])
		return err
	})
}

// batcher is a connection or a pool.
type batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// requireOwn fails if the tenant's schema belongs to another registry.
func (s *Store) requireOwn(ctx context.Context, db batcher, schema string, o ownership) error {
	why, err := s.ownedElsewhere(ctx, db, schema, o)
	if err != nil || why == "" {
		return err
	}
	return pipeline.Permanentf(events.CauseBoundaryNotEmpty,
		"schema %s belongs to another service in this database: it %s; "+
			"nothing was touched: give each service a SCHEMA_TEMPLATE of its own, or choose another id", schema, why)
}

// requireFree fails if the registry is to be created in a schema that belongs to another registry.
func (s *Store) requireFree(ctx context.Context, conn *pgxpool.Conn) error {
	// An existing registry is shared by all services that are configured with it.
	if has, err := s.q.readParts(ctx, conn, s.registry); err != nil || has.registry || has.stamped {
		return err
	}
	var o ownership
	batch := &pgx.Batch{}
	s.queueOwnership(batch, s.registry, &o)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	why, err := s.ownedElsewhere(ctx, conn, s.registry, o)
	if err != nil || why == "" {
		return err
	}
	return pipeline.Permanentf(events.CauseBoundaryNotEmpty,
		"schema %s belongs to another service in this database: it %s; "+
			"nothing was touched: choose another REGISTRY_SCHEMA, or drop the schema if nothing is in it", s.registry, why)
}

// ownedElsewhere returns why the schema belongs to another registry: it carries its stamp, it is that registry, or it
// is registered there; empty: it does not. The last check costs a round trip, and is made only if there are other
// registries. A registry that this role may not read protects only the schemas that it has stamped.
func (s *Store) ownedElsewhere(ctx context.Context, db batcher, schema string, o ownership) (why string, err error) {
	if id := stampOf(o.comment); id != "" && id != s.RegistryID() {
		return "carries the stamp of " + namedRegistry(o.others, id), nil
	}
	batch := &pgx.Batch{}
	owners := make([]string, len(o.others))
	for i, other := range o.others {
		if other.Schema == schema {
			return "is a registry", nil
		}
		if other.Readable {
			batch.Queue(render(s.q.RegisteredElsewhere, "neighbour", other.Schema), schema).QueryRow(scanOptional(&owners[i]))
		}
	}
	if batch.Len() == 0 {
		return "", nil
	}
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return "", fmt.Errorf("read the other registries in this database: %w", sharedFault(err))
	}
	for i, owner := range owners {
		if owner != "" {
			return fmt.Sprintf("is registered for tenant %q in another registry, schema %s", owner, o.others[i].Schema), nil
		}
	}
	return "", nil
}

// namedRegistry describes the registry with that id by its schema, if that is stamped and in this database.
func namedRegistry(others []otherRegistry, id string) string {
	for _, other := range others {
		if stampOf(other.Comment) == id {
			return "another registry, schema " + other.Schema
		}
	}
	return "another registry, " + id
}
