package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// entriesPage is how many entries of the ledger are read at a time.
const entriesPage = 1000

// readState reads streams and database. db is nil if there is no registry.
//
// The order makes what happens in between invisible. The service commits first, then publishes, then acknowledges. So
// what the consumer has passed is in TENANT_EVENTS when that is read later, and the entry of an outcome that the ledger
// seems to lack is read once more, afterwards. A boundary is built before it is registered, and is looked at again if
// it seems to be missing.
func readState(ctx context.Context, c config.Config, js jetstream.JetStream, db database.Reader) (*state, error) {
	s := &state{
		now: time.Now(), ledger: map[string]sql.LedgerEntry{}, accepted: map[digest]bool{}, tenants: newTenantIndex(),
	}
	var err error
	if s.locate, err = database.BoundaryNames(c); err != nil {
		return nil, err
	}
	if s.service, err = serviceOf(c); err != nil {
		return nil, err
	}
	if s.requests, err = readConsumer(ctx, js, c.AckWait); err != nil {
		return nil, err
	}
	if db != nil {
		stamp, err := db.Stamp(ctx)
		if err != nil {
			return nil, err
		}
		s.pruned = stamp.PrunedBefore
		if err := s.readLedger(ctx, db); err != nil {
			return nil, err
		}
	}
	if s.outcomes, err = readOutcomes(ctx, js); err != nil {
		return nil, err
	}
	s.refuse()
	if s.letters, err = readLetters(ctx, js); err != nil {
		return nil, err
	}
	if err := s.readRequests(ctx, js); err != nil {
		return nil, err
	}
	if db == nil {
		return s, nil
	}
	if err := s.readAgain(ctx, db); err != nil {
		return nil, err
	}
	if err := s.readBoundaries(ctx, db, c.OnPostgres()); err != nil {
		return nil, err
	}
	return s, nil
}

func serviceOf(c config.Config) (s service, err error) {
	s.strategy = events.IsolationDatabase
	if c.OnPostgres() {
		s.strategy = events.IsolationSchema
	}
	s.isBoundary, err = database.BoundaryCheck(c)
	return s, err
}

// readLedger reads the names of the boundaries and the entries of the ledger.
func (s *state) readLedger(ctx context.Context, db database.Reader) (err error) {
	if s.boundaries, err = namedBoundaries(ctx, db); err != nil {
		return err
	}
	for after := ""; ; {
		page, err := db.Entries(ctx, after, entriesPage)
		if err != nil {
			return err
		}
		for _, entry := range page {
			s.ledger[entry.Key] = entry
		}
		if len(page) < entriesPage {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// readAgain reads the entries of outcomes that the ledger seemed to lack, and whether those that it does lack are
// accepted.
func (s *state) readAgain(ctx context.Context, db database.Reader) error {
	for key, all := range s.outcomes.byKey {
		isAgain := false
		for _, o := range all {
			entry, found := s.ledger[key]
			if !isRecorded(o, entry, found) && !isAgain {
				if err := s.readEntry(ctx, db, key); err != nil {
					return err
				}
				isAgain = true
				entry, found = s.ledger[key]
			}
			if isRecorded(o, entry, found) {
				continue
			}
			accepted, err := isAccepted(ctx, db, o.acceptID())
			if err != nil {
				return err
			}
			s.accepted[o.digest] = accepted
		}
	}
	return nil
}

// readEntry reads the entry of a request, if the ledger has one.
func (s *state) readEntry(ctx context.Context, db database.Reader, key string) error {
	entry, err := db.Entry(ctx, key)
	switch {
	case err == nil:
		s.ledger[key] = entry
	case !errors.Is(err, sql.ErrNotFound):
		return err
	}
	return nil
}

func isAccepted(ctx context.Context, db database.Comparable, id string) (bool, error) {
	if id == "" {
		return false, nil
	}
	return db.IsAccepted(ctx, id)
}

// readBoundaries reads the registry, and looks at the boundaries that seem to be missing.
func (s *state) readBoundaries(ctx context.Context, db database.Reader, onPostgres bool) error {
	for page, err := range database.Pages(ctx, db) {
		if err != nil {
			return err
		}
		for _, row := range page {
			if !row.System {
				s.tenants.add(row, s.locate(row.ID))
			}
		}
	}
	look := func(tenant, boundary string) error {
		if s.boundaries[boundary] {
			return nil
		}
		row := sql.TenantRow{Tenant: pipeline.Tenant{ID: tenant, Boundary: boundaryOf(boundary, onPostgres)}}
		found, err := db.Verify(ctx, row)
		if err != nil {
			return fmt.Errorf("tenant %q: %w", tenant, err)
		}
		s.boundaries[boundary] = found.Tables > 0
		return nil
	}
	for _, t := range s.tenants.byID {
		if err := look(t.id, t.boundary); err != nil {
			return err
		}
	}
	for key, all := range s.outcomes.byKey {
		entry, found := s.ledger[key]
		for _, o := range all {
			if !o.provisioned || o.refused != "" || isRecorded(o, entry, found) {
				continue
			}
			if err := look(o.tenant, o.boundary); err != nil {
				return err
			}
		}
	}
	return nil
}
