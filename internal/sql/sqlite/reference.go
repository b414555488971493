package sqlite

import (
	"context"
	databasesql "database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// builtIn returns the fingerprint of the definition without scripts.
var builtIn = sync.OnceValue(func() string { return sql.Fingerprint(q.Tables, q.Indexes) })

// Definition implements [pipeline.Database].
func (s *Store) Definition() string {
	switch r := s.reference.Load(); {
	case r != nil:
		return r.Definition
	case s.Scripts != nil: // not rehearsed
		return ""
	}
	return builtIn()
}

// makeReference remembers what rehearsals have made for different tenants, and logs what they do not have in common.
func (s *Store) makeReference(ctx context.Context, made structure.Structure) error {
	var before structure.Structure
	err := s.buildTemplate(ctx, func(conn *databasesql.Conn) (err error) {
		before, err = readStructure(ctx, conn)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the definition without scripts: %w", err)
	}
	if len(made.Unreadable) > 0 {
		s.Log.WarnContext(ctx, "initialisation scripts make objects that cannot be compared between tenants",
			"objects", made.Unreadable)
	}
	r := structure.NewReference(before, made)
	s.reference.Store(&r)
	return nil
}

// storeReference stores the reference in the registry, for readers.
func (s *Store) storeReference(ctx context.Context) error {
	r := s.reference.Load()
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	err = s.write(ctx, &pendingChange{durable: true, do: func(ctx context.Context, registry *transaction) error {
		_, err := registry.ExecContext(ctx, q.StoreDefinition, r.Definition, string(text), formatTime(s.Now()))
		return err
	}})
	if err != nil {
		return fmt.Errorf("store what the initialisation scripts make: %w", registryFault(err))
	}
	return nil
}

// lastReference returns the reference that a service has stored last. It is read once; nil: no service has stored one.
func (r *Reader) lastReference(ctx context.Context) (*structure.Reference, error) {
	r.stored.Lock()
	defer r.stored.Unlock()
	if r.stored.read {
		return r.stored.reference, nil
	}
	var last structure.Reference
	err := r.read(ctx, "definitions", func(tx *databasesql.Tx) (err error) {
		last, err = scanReference(tx.QueryRowContext(ctx, q.LastDefinition))
		return err
	})
	if errors.Is(err, sql.ErrNotFound) {
		r.stored.read = true
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what the initialisation scripts make: %w", err)
	}
	r.stored.reference, r.stored.read = &last, true
	return &last, nil
}

// scanReference reads a row of definition.sql or last_definition.sql.
func scanReference(row scanner) (r structure.Reference, err error) {
	var text string
	if err := row.Scan(&r.Definition, &text); err != nil {
		return r, err
	}
	err = json.Unmarshal([]byte(text), &r)
	return r, err
}

// checkReference fails if scripts that have run made something else than in the rehearsal. The template, and a file
// that this request finished before a crash, are as they should be. A rehearsal keeps what was made.
func (b *build) checkReference(ctx context.Context) (err error) {
	r := b.reference.Load()
	if !b.rehearses && (r == nil || b.settings == "") {
		return nil
	}
	if b.tx != nil {
		b.content, err = readStructure(ctx, b.tx)
	} else {
		err = read(ctx, b.temp.Name(), immutable, busyTimeout, func(tx *databasesql.Tx) (err error) {
			b.content, err = readStructure(ctx, tx)
			return err
		})
	}
	if err != nil || r == nil {
		return classify(err)
	}
	drift, _ := r.Compare(b.content)
	return sql.ScriptsDiffer(drift)
}
