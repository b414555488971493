package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// own reports whether the scripts make all that a tenant has.
func (c Config) own() bool { return c.Base == sql.BaseNone }

// base returns the statements that make the base definition. An empty file has at least its header.
func (c Config) base() string {
	if c.own() {
		return "PRAGMA user_version = 0;"
	}
	return q.Tables + q.Indexes
}

// checkBase fails if the registry was made with another base definition. What an earlier version or DocEX made has the
// built-in one. A file without a registry can get any.
func (c Config) checkBase(ctx context.Context, from queryRower) error {
	var registry, recorded bool
	if err := from.QueryRowContext(ctx, q.HasRegistry).Scan(&registry); err != nil || !registry {
		return err
	}
	column := hasColumn("registry_stamp", "base_definition")
	if err := from.QueryRowContext(ctx, column.Text, column.Args...).Scan(&recorded); err != nil {
		return err
	}
	base := sql.BaseDocEX
	if recorded {
		err := from.QueryRowContext(ctx, q.BaseDefinition).Scan(&base)
		if errors.Is(err, databasesql.ErrNoRows) { // the registry has lost its id: see readStamp
			return nil
		}
		if err != nil {
			return err
		}
	}
	return sql.CheckBase(base, c.Base, c.RegistryFile(), "use another directory in DATABASE_URL")
}

// recordBase returns the statements that record the base definition in a registry that is created now, if it is not
// the one of registries that record none.
func (s *Store) recordBase() []sql.Statement {
	if !s.own() {
		return nil
	}
	id := s.Config.RegistryID
	if id == "" {
		id = uuid.NewString()
	}
	return []sql.Statement{
		{Text: sql.Statements(migrations.Stamp)[0]},
		{Text: migrations.Base, Unless: hasColumn("registry_stamp", "base_definition")},
		{Text: q.CreateStamp, Args: []any{id}},
		{Text: q.SetBase, Args: []any{s.Base}},
	}
}

// bootstrap returns the statements that create what is missing of the bootstrap tenant. DocEX's document has no
// related_po.
func (s *Store) bootstrap(registry string) (all []sql.Statement) {
	if !s.own() {
		all = []sql.Statement{
			{Text: q.Tables},
			{Text: sql.AddColumns(q.Tables, sql.RelatedPo), Unless: hasColumn(sql.RelatedPo.Table, sql.RelatedPo.Column)},
			{Text: q.Indexes},
		}
	}
	return append(all, sql.Statement{
		Text: migrations.Bootstrap, Args: []any{registry, s.CreatedBy, formatTime(s.Now())},
	})
}

// inspectOwn is Inspect, if the scripts make everything, on the open transaction. A file that existed must be empty
// before they run; one that this request finished before a crash has all. What they have made, RunScripts has compared.
func (b *build) inspectOwn(ctx context.Context) (in pipeline.Inspection, err error) {
	found := b.content
	if b.settings == "" { // no script has run
		if found, err = readStructure(ctx, b.tx); err != nil {
			return in, err
		}
		if b.whole {
			in, err = b.compareOwn(ctx, found, b.Definition())
		} else {
			for _, name := range found.Contents() {
				in.Differences = append(in.Differences, name+" exists, and the initialisation scripts need an empty file")
			}
		}
		in.Lasting = in.Differences
	}
	in.Tables, in.Indexes = found.Count()
	return in, err
}

// compareOwn compares what is in a file with the definition that it was made by: today's, or another one that is
// stored. One that is unknown cannot be compared.
func (s *Store) compareOwn(
	ctx context.Context, found structure.Structure, madeBy string,
) (in pipeline.Inspection, err error) {
	r := s.reference.Load()
	if r == nil || r.Definition != madeBy {
		if r, err = s.storedReference(ctx, madeBy); err != nil {
			return in, err
		}
	}
	if r == nil {
		s.Log.WarnContext(ctx, "not compared with the definition that the tenant was made by, which is not stored",
			"definition", madeBy)
		return in, nil
	}
	r.Inspect(&in, found, madeBy)
	return in, nil
}

// storedReference returns the reference with that fingerprint; nil: it is not stored.
func (s *Store) storedReference(ctx context.Context, definition string) (*structure.Reference, error) {
	r, err := scanReference(s.readDB.QueryRowContext(ctx, q.Definition, definition))
	switch {
	case errors.Is(err, databasesql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read definition %s: %w", definition, registryFault(err))
	}
	return &r, nil
}
