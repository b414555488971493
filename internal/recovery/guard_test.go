package recovery

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// guarded is a database that a guard compares: it has the requests with these ids.
type guarded struct {
	checkpoint sql.Checkpoint
	has        map[string]bool
	accepted   map[string]bool
	compared   int
	moves      int
}

func (g *guarded) Stamp(context.Context) (sql.Stamp, error) {
	return sql.Stamp{ID: "id", Streams: true, Checkpoint: g.checkpoint}, nil
}

func (g *guarded) Entry(_ context.Context, requestKey string) (sql.LedgerEntry, error) {
	g.compared++
	for id := range g.has {
		if key(id) == requestKey {
			return sql.LedgerEntry{
				Key: requestKey, State: stateProvisioned, OutcomeID: events.OutcomeID("/billing", id, 0, events.TypeProvisioned),
			}, nil
		}
	}
	return sql.LedgerEntry{}, sql.ErrNotFound
}

func (g *guarded) IsAccepted(_ context.Context, id string) (bool, error) {
	return g.accepted[id], nil
}

func (g *guarded) SetCheckpoint(_ context.Context, from, to sql.Checkpoint) (bool, error) {
	if g.checkpoint != from {
		return false, nil
	}
	g.checkpoint = to
	g.moves++
	return true, nil
}

func (g *guarded) add(ids ...string) {
	for _, id := range ids {
		g.has[id] = true
	}
}

// guardTest is a stream of outcomes, and a database that is compared with it.
type guardTest struct {
	*testing.T
	js  jetstream.JetStream
	db  *guarded
	log bytes.Buffer
}

func newGuardTest(t *testing.T) *guardTest {
	t.Helper()
	t.Parallel()
	return &guardTest{T: t, js: newStreams(t), db: &guarded{has: map[string]bool{}, accepted: map[string]bool{}}}
}

func (g *guardTest) check() error {
	return Guard{
		JetStream: g.js, Database: g.db, Log: slog.New(slog.NewTextHandler(&g.log, nil)), SetCheckpoint: g.db.SetCheckpoint,
	}.Check(g.Context())
}

func (g *guardTest) expectGreen(checkpoint uint64) {
	g.Helper()
	testkit.Must(g.T, g.check())
	testkit.Equal(g.T, "checkpoint", g.db.checkpoint.Sequence, checkpoint)
}

func (g *guardTest) expectLost(part string, checkpoint uint64) {
	g.Helper()
	err := g.check()
	if !errors.Is(err, handler.ErrRestored) {
		g.Fatalf("error %v", err)
	}
	testkit.Contains(g.T, "error", err.Error(), part, "consumer reconcile")
	testkit.Equal(g.T, "checkpoint", g.db.checkpoint.Sequence, checkpoint)
}

func garbage(subject string) *nats.Msg { return &nats.Msg{Subject: subject, Data: []byte("no event")} }

// An outcome that the ledger lacks is reported until it is restored or accepted, whatever was stored after it: outcomes
// of requests that were served since, a partial repair, or messages that are not outcomes.
func TestNothingHidesALostOutcome(t *testing.T) {
	g := newGuardTest(t)
	g.db.add("1", "2")
	publish(t, g.js, provisionedEvent(t, "1"), provisionedEvent(t, "2"))
	g.expectGreen(2)
	publish(t, g.js, provisionedEvent(t, "lost"), provisionedEvent(t, "given_up"), provisionedEvent(t, "3"))
	g.expectLost(`"t_3"`, 2) // the newest is compared first
	g.db.add("3")
	publish(t, g.js, garbage(events.TypeProvisioned), garbage(events.TypeProvisioningFailed))
	for range 2 {
		g.expectLost(`"t_lost" (request "lost" of "/billing", replay 0; message 3 of stream TENANT_EVENTS, from "`, 2)
	}
	g.db.add("lost")
	g.expectLost(`"t_given_up"`, 3)
	g.db.accepted[acceptIDOf(t, provisionedEvent(t, "given_up"))] = true
	g.expectGreen(7)
	testkit.Contains(t, "log", g.log.String(), "is not an outcome", "sequence=6", "sequence=7")
	g.db.compared = 0
	g.expectGreen(7)
	testkit.Equal(t, "entries read again, if nothing is new", g.db.compared, 0)
}

// An installation without a checkpoint, which an earlier version served, gets one. Its newest outcomes are compared.
func TestGuardWithoutACheckpoint(t *testing.T) {
	g := newGuardTest(t)
	publish(t, g.js, provisionedEvent(t, "before"), provisionedEvent(t, "1"))
	g.expectLost(`"t_1"`, 0)
	testkit.Equal(t, "checkpoint", g.db.checkpoint.Stream.IsZero(), true)
	g.db.add("1")
	g.expectGreen(2)
	testkit.Equal(t, "checkpoint", g.db.checkpoint.Stream.IsZero(), false)
}

// The checkpoint belongs to one stream.
func TestCheckpointAndStream(t *testing.T) {
	g := newGuardTest(t)
	g.db.add("1", "2", "3")
	publish(t, g.js, provisionedEvent(t, "1"), provisionedEvent(t, "2"), provisionedEvent(t, "3"))
	g.expectGreen(3)
	stream, err := g.js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)

	g.db.checkpoint.Sequence = 8 // the stream was restored from an older copy
	g.expectGreen(3)

	testkit.Must(t, stream.DeleteMsg(t.Context(), 2))
	g.db.checkpoint.Sequence = 1
	publish(t, g.js, provisionedEvent(t, "4"), provisionedEvent(t, "5"))
	g.db.add("4", "5")
	testkit.Must(t, stream.DeleteMsg(t.Context(), 5)) // the last one
	g.expectGreen(5)

	g.db.checkpoint = sql.Checkpoint{Stream: g.db.checkpoint.Stream.Add(-time.Hour), Sequence: 5} // it was made again
	delete(g.db.has, "1")
	g.expectLost(`"t_1"`, 0)
	g.db.add("1")
	g.expectGreen(5)

	g.db.checkpoint.Sequence = 1
	testkit.Must(t, stream.Purge(t.Context()))
	g.expectGreen(5)
}

// A check compares a limited number of messages, and the next one goes on from there.
func TestGuardComparesMany(t *testing.T) {
	g := newGuardTest(t)
	g.expectGreen(0)
	publishMany(t, g.js, maxCompared+10, func(int) *nats.Msg { return garbage(events.TypeProvisioned) })
	g.expectGreen(maxCompared)
	g.expectGreen(maxCompared + 10)
}

// Outcomes with ids that no version of this service gives are another publisher's. Only the newest one counts.
func TestOutcomesOfAnotherPublisher(t *testing.T) {
	g := newGuardTest(t)
	g.db.add("1", "2")
	publish(t, g.js, provisionedEvent(t, "1"))
	g.expectGreen(1)
	msg := provisionedEvent(t, "3")
	other, err := events.Decode(msg.Header, msg.Data)
	testkit.Must(t, err)
	other.SetID("00000000-0000-0000-0000-000000000001")
	publish(t, g.js, encoded(t, other))
	g.expectLost(`"t_3"`, 1)
	publish(t, g.js, provisionedEvent(t, "2"))
	g.expectGreen(3)
}

// Doctor compares too, and writes nothing.
func TestCheckOnlyReads(t *testing.T) {
	g := newGuardTest(t)
	g.db.add("1")
	publish(t, g.js, provisionedEvent(t, "1"))
	testkit.Must(t, Guard{JetStream: g.js, Database: g.db, Log: slog.New(slog.DiscardHandler)}.Check(t.Context()))
	testkit.Equal(t, "moves", g.db.moves, 0)
}
