package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// reference is what the scripts made for the scratch tenants of the rehearsal.
type reference struct {
	structure.Reference
	// server is the version of the server that printed it. Another one, such as after an upgrade or a failover, may print
	// the same object in another way.
	server string
	made   structure.Structure
	// prepared is what a boundary must have when it is prepared; nil: no scripts run then.
	prepared *structure.Reference
	// tables and indexes are how many a boundary has when it is prepared.
	tables, indexes int
}

// Definition implements [pipeline.Database].
func (s *Store) Definition() string {
	switch r := s.reference.Load(); {
	case r != nil:
		return r.Definition
	case s.scripts != nil: // not rehearsed
		return ""
	}
	return s.builtIn
}

// makeReference remembers what rehearsals have made for different tenants, and logs what they do not have in common.
func (s *Store) makeReference(ctx context.Context, one *build, others []*build) {
	made := one.made
	for _, other := range others {
		made = structure.Common(made, other.made)
	}
	if len(made.Unreadable) > 0 {
		s.log.WarnContext(ctx, "initialisation scripts make objects that cannot be compared between tenants",
			"objects", made.Unreadable)
	}
	s.reference.Store(&reference{
		Reference: structure.NewReference(one.builtIn, made), server: one.server, made: made,
	})
}

// makePreparedReference remembers what a boundary has when it is prepared. What later scripts change, or what is not
// the same in each boundary, is not compared.
func (s *Store) makePreparedReference(b *build) {
	r := *s.reference.Load()
	prepared := structure.NewReference(b.builtIn, structure.Common(b.filled, r.made))
	r.prepared = &prepared
	r.tables, r.indexes = b.filled.Count()
	s.reference.Store(&r)
}

// checkPrepared fails if the scripts of a boundary that is prepared have made something else than in the rehearsal,
// which keeps what they make.
func (b *build) checkPrepared(ctx context.Context) (err error) {
	r := b.reference.Load()
	if !b.rehearses && (r == nil || r.prepared == nil || r.server != b.serverVersion()) {
		return nil
	}
	if b.filled, err = readStructure(ctx, b.conn.Conn(), b.q, b.schema); err != nil || b.rehearses {
		return err
	}
	if drift, _ := r.prepared.Compare(b.filled); len(drift) > 0 {
		return fmt.Errorf("the initialisation scripts make something else than in the rehearsal at start: %s; restart the "+
			"service if what they use has changed since", strings.Join(drift, "; "))
	}
	return nil
}

func (b *build) serverVersion() string {
	return b.conn.Conn().PgConn().ParameterStatus("server_version")
}

// storeReference stores the reference in the registry, for readers.
func (s *Store) storeReference(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r := s.reference.Load()
	text, err := json.Marshal(r.Reference)
	if err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, s.q.StoreDefinition, r.Definition, r.server, string(text)); err != nil {
		return fmt.Errorf("store what the initialisation scripts make: %w", withMissingPrivilege(s.registryFault(err),
			"SELECT, INSERT and UPDATE on definitions in schema "+s.registry))
	}
	return nil
}

// lastReference returns the reference that a service has stored last. It is read once; nil: no service has stored one.
func (r *Reader) lastReference(ctx context.Context) (*reference, error) {
	r.stored.Lock()
	defer r.stored.Unlock()
	if r.stored.read {
		return r.stored.reference, nil
	}
	last, err := scanReference(r.pool.QueryRow(ctx, r.q.LastDefinition))
	if err != nil {
		return nil, fmt.Errorf("read what the initialisation scripts make: %w", r.explainPrivilege(err))
	}
	r.stored.reference, r.stored.read = last, true
	return last, nil
}

// scanReference reads a row of definition.sql or last_definition.sql; nil: there is no row.
func scanReference(row pgx.Row) (*reference, error) {
	var r reference
	var text string
	err := row.Scan(&r.Definition, &r.server, &text)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, json.Unmarshal([]byte(text), &r.Reference)
}

// compareReference adds to an inspection in what a tenant's schema differs from the reference.
func (r *Reader) compareReference(
	ctx context.Context, t sql.TenantRow, schema string, in *pipeline.Inspection,
) (found structure.Structure, err error) {
	last, err := r.lastReference(ctx)
	if err != nil || last == nil {
		return found, err
	}
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return found, connectFault(err)
	}
	defer conn.Release()
	if server := conn.Conn().PgConn().ParameterStatus("server_version"); server != last.server {
		in.Warnings = append(in.Warnings, fmt.Sprintf("not compared with what the initialisation scripts make: the server "+
			"had version %s when the service started, and has %s; restart the service", last.server, server))
		return found, nil
	}
	found, err = readStructure(ctx, conn.Conn(), r.q, schema)
	if fault, ok := errors.AsType[*pipeline.Fault](err); ok && fault.Code == events.CausePermissionDenied {
		in.Warnings = append(in.Warnings, "not compared with what the initialisation scripts make: "+fault.Message)
		return found, nil
	}
	if err != nil {
		return found, err
	}
	last.Inspect(in, found, t.Definition)
	return found, nil
}

// checkReference fails if the scripts have made something else than in the rehearsal. A boundary from the pool may have
// been changed since it was prepared: the next attempt continues without it. A rehearsal keeps what was made.
func (b *build) checkReference(ctx context.Context) (err error) {
	r := b.reference.Load()
	b.server = b.serverVersion()
	compares := r != nil && (b.rehearses || r.server == b.server)
	if !b.rehearses && (!b.scripted || !compares && !b.own()) { // an own definition is read in any case, to count it
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if b.made, err = readStructure(ctx, b.conn.Conn(), b.q, b.schema); err != nil || !compares {
		return err
	}
	drift, _ := r.Compare(b.made)
	if len(drift) > 0 && b.taken != "" && !b.rehearses {
		return b.reject(ctx, drift)
	}
	return sql.ScriptsDiffer(drift)
}
