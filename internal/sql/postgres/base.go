package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// own reports whether the scripts make all that a tenant has.
func (c Config) own() bool { return c.Base == sql.BaseNone }

func (s *Store) own() bool { return s.connector.config.own() }

// withoutBase returns the queries of a service without the built-in definition: they create nothing of it.
func (q queries) withoutBase() queries {
	q.Tables, q.Indexes = "", ""
	return q
}

// readBase returns the base definition of the registry. What an earlier version or DocEX made has the built-in one. It
// is empty if there is no registry.
func (q queries) readBase(ctx context.Context, db querier, registry string) (base string, err error) {
	var exists, recorded bool
	if err := db.QueryRow(ctx, q.HasRelation, registry, "tenant_registry").Scan(&exists); err != nil || !exists {
		return "", err
	}
	err = db.QueryRow(ctx, q.HasColumn, registry, "registry_stamp", "base_definition").Scan(&recorded)
	if err != nil || !recorded {
		return sql.BaseDocEX, err
	}
	err = db.QueryRow(ctx, q.BaseDefinition).Scan(&base)
	if errors.Is(err, pgx.ErrNoRows) { // the registry has lost its id: see readStamp
		return "", nil
	}
	return base, err
}

// checkBase fails if the registry was made with another base definition.
func (c Config) checkBase(ctx context.Context, db querier, q queries) error {
	base, err := q.readBase(ctx, db, c.Registry)
	if err != nil || base == "" {
		return err
	}
	return sql.CheckBase(base, c.Base, c.Registry, "use another REGISTRY_SCHEMA")
}

// recordBase returns the statements that record the base definition in a registry that is created now, if it is not
// the one of registries that record none.
func (s *Store) recordBase() []sql.Statement {
	id := s.newID
	if id == "" {
		id = uuid.NewString()
	}
	all := slices.Concat(messages(s.q.migrations.Stamp)[:1], messages(s.q.migrations.Base))
	return append(all, sql.Statement{Text: s.q.CreateStamp, Args: []any{id}},
		sql.Statement{Text: s.q.SetBase, Args: []any{sql.BaseNone}})
}

// inspectOwn is Inspect, if the scripts make everything. Before them a boundary must be empty or, if it was prepared,
// as in the rehearsal. What they have made, RunScripts has compared.
func (b *build) inspectOwn(ctx context.Context) (in pipeline.Inspection, err error) {
	found, r := b.made, b.reference.Load()
	if !b.scripted {
		if found, err = readStructure(ctx, b.conn.Conn(), b.q, b.schema); err != nil {
			return in, err
		}
		switch {
		case b.taken == "" || r != nil && r.prepared == nil:
			for _, name := range found.Contents() {
				in.Differences = append(in.Differences, name+" exists, and the initialisation scripts need an empty schema")
			}
		case r != nil && r.server == b.serverVersion():
			in.Differences = r.prepared.Altered(found)
		}
		in.Lasting = in.Differences
	}
	in.Tables, in.Indexes = found.Count()
	return in, nil
}

// inspectMade compares what a tenant has with the definition that it was made by: today's, or another one that is
// stored. One that is unknown cannot be compared, nor can one that another version of the server has printed.
func (b *build) inspectMade(ctx context.Context, madeBy string) (in pipeline.Inspection, err error) {
	r := b.reference.Load()
	if r == nil || r.Definition != madeBy {
		if r, err = scanReference(b.conn.QueryRow(ctx, b.q.Definition, madeBy)); err != nil {
			return in, fmt.Errorf("read definition %s: %w", madeBy, sharedFault(err))
		}
	}
	if r == nil || r.server != b.serverVersion() {
		b.log.WarnContext(ctx, "not compared with the definition that the tenant was made by: it is not stored, or by "+
			"another version of the server", "schema", b.schema, "definition", madeBy)
		return in, nil
	}
	found, err := readStructure(ctx, b.conn.Conn(), b.q, b.schema)
	if err != nil {
		return in, err
	}
	r.Inspect(&in, found, madeBy)
	return in, nil
}

// verifyOwn is the comparison of [Reader.Verify], if the scripts make everything.
func (r *Reader) verifyOwn(ctx context.Context, t sql.TenantRow, schema string) (in pipeline.Inspection, err error) {
	if t.ID == sql.BootstrapTenant { // the registry
		return in, nil
	}
	last, err := r.lastReference(ctx)
	if err == nil && last == nil {
		in.Warnings = append(in.Warnings, sql.NoReference)
		return in, nil
	}
	if err != nil {
		return in, err
	}
	var found structure.Structure
	if found, err = r.compareReference(ctx, t, schema, &in); err == nil {
		in.Tables, in.Indexes = last.Count(found)
	}
	return in, err
}
