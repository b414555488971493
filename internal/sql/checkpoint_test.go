package sql_test

import (
	"errors"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

var streamOfOutcomes = time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)

// The checkpoint moves only from where it is, and every store and reader sees it.
func TestCheckpoint(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		store := as[recovery](t, r.store)
		at := func(sequence uint64) sql.Checkpoint {
			return sql.Checkpoint{Stream: streamOfOutcomes, Sequence: sequence}
		}
		for _, c := range []struct {
			from, to sql.Checkpoint
			moved    bool
		}{
			{sql.Checkpoint{}, at(0), true},
			{sql.Checkpoint{}, at(9), false},
			{at(0), at(7), true},
			{at(6), at(9), false},
			{sql.Checkpoint{Stream: streamOfOutcomes.Add(1), Sequence: 7}, at(9), false},
			{at(7), at(3), true},
		} {
			moved, err := store.SetCheckpoint(t.Context(), c.from, c.to)
			testkit.Must(t, err)
			testkit.Equal(t, "moved", moved, c.moved)
		}
		for _, from := range []comparison{store, as[comparison](t, p.reader(t)), as[comparison](t, p.newFixture(t).store)} {
			stamp, err := from.Stamp(t.Context())
			testkit.Must(t, err)
			testkit.Equal(t, "checkpoint", stamp.Checkpoint, at(3))
		}
	})
}

// No request is claimed in a database whose checkpoint went back: it was restored while the service used it.
func TestClaimInARestoredDatabase(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		store := as[recovery](t, r.store)
		claim := func(req pipeline.Request) error {
			req.DeliveryID = "the same" // a redelivery may claim again
			_, err := r.store.Claim(t.Context(), req, "acme", pipeline.Limit{Attempts: 3, Lease: time.Minute})
			return err
		}
		known := request(t, "acme")
		testkit.Must(t, claim(known))
		_, err := store.SetCheckpoint(t.Context(), sql.Checkpoint{}, sql.Checkpoint{Stream: streamOfOutcomes, Sequence: 7})
		testkit.Must(t, err)
		testkit.Must(t, claim(known))
		for name, statement := range map[string]string{
			"lower sequence": "UPDATE {b}registry_stamp SET checkpoint_sequence = 6",
			"no checkpoint":  "UPDATE {b}registry_stamp SET checkpoint_sequence = 0, checkpoint_stream = NULL",
		} {
			p.raw(t, "", statement)
			for what, req := range map[string]pipeline.Request{"known": known, "new": request(t, "acme")} {
				fault, ok := errors.AsType[*pipeline.Fault](claim(req))
				if !ok || fault.Class != pipeline.Outage {
					t.Errorf("%s, %s request: %v", name, what, fault)
				} else {
					testkit.Contains(t, "fault", fault.Error(), "restored while it was in use")
				}
			}
		}
		_, err = store.Stamp(t.Context()) // the guard has compared it
		testkit.Must(t, err)
		testkit.Must(t, claim(known))
		testkit.Must(t, claim(request(t, "acme")))
	})
}
