package postgres

import (
	"context"

	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// reference is what the scripts made for the scratch tenants of the rehearsal.
type reference struct {
	structure.Reference
	// server is the version of the server that printed it. Another one, such as after an upgrade or a failover, may print
	// the same object in another way.
	server string
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

// makeReference remembers what two rehearsals have made for different tenants, and logs what they do not have in
// common.
func (s *Store) makeReference(ctx context.Context, one, other *build) {
	made := structure.Common(one.made, other.made)
	if len(made.Unreadable) > 0 {
		s.log.WarnContext(ctx, "initialisation scripts make objects that cannot be compared between tenants",
			"objects", made.Unreadable)
	}
	s.reference.Store(&reference{structure.NewReference(one.builtIn, made), one.server})
}

// checkReference fails if the scripts have made something else than in the rehearsal. A boundary from the pool may have
// been changed since it was prepared: the next attempt continues without it. A rehearsal keeps what was made.
func (b *build) checkReference(ctx context.Context) (err error) {
	r := b.reference.Load()
	b.server = b.conn.Conn().PgConn().ParameterStatus("server_version")
	if !b.rehearses && (r == nil || !b.scripted || r.server != b.server) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if b.made, err = readStructure(ctx, b.conn.Conn(), b.q, b.schema); err != nil || r == nil {
		return err
	}
	drift, _ := r.Compare(b.made)
	if len(drift) > 0 && b.taken != "" && !b.rehearses {
		return b.reject(ctx, drift)
	}
	return sql.ScriptsDiffer(drift)
}
