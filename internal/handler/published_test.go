package handler

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// forgetOutcomes has the server forget the ids of all outcomes, as it does after the duplicate window, and the ledger
// say that they were recorded before it.
func (b *bundle) forgetOutcomes(ago time.Duration) {
	b.t.Helper()
	natstest.PassDuplicateWindow(b.t, b.js, events.StreamEvents, events.TypeProvisioned)
	b.db.mu.Lock()
	defer b.db.mu.Unlock()
	for _, e := range b.db.entries {
		e.outcome.RecordedAt = e.outcome.RecordedAt.Add(-ago)
	}
}

// A request is delivered again after the duplicate window: its outcome is not stored a second time. Clients
// that subscribe to the subject receive it.
func TestOutcomeIsStoredOnceAfterTheDuplicateWindow(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *bundle){
		"at once": func(*bundle) {},
		"after others": func(b *bundle) { // in the middle of the stream
			for i := range 100 {
				_, err := b.js.Publish(b.t.Context(), events.TypeProvisioned, fmt.Append(nil, i))
				testkit.Must(b.t, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			change(b)
			before := b.streamOf(events.StreamEvents).CachedInfo().State.Msgs
			h := b.start()
			b.publish(b.request("order", "acme"), b.request("bad", "not an id"), garbage("please", ""))
			b.awaitSettled()
			stored := func() uint64 { return b.streamOf(events.StreamEvents).CachedInfo().State.Msgs - before }
			testkit.Equal(t, "outcomes", stored(), 3)
			h.stop(t)
			b.forgetOutcomes(2 * outcomeWindow)
			heard, err := b.config.Conn.SubscribeSync("tenant.*")
			testkit.Must(t, err)
			h = b.redeliver(h)
			testkit.Equal(t, "outcomes", stored(), 3)
			for range 3 {
				_, err := heard.NextMsg(testkit.Patience)
				testkit.Must(t, err)
			}
			testkit.Must(t, h.Err())
			testkit.Must(t, heard.Unsubscribe())

			// It is stored again if it is not there any more.
			testkit.Must(t, b.streamOf(events.StreamEvents).Purge(t.Context()))
			before = 0
			b.redeliver(h)
			testkit.Equal(t, "outcomes", stored(), 3)
		})
	}
}

// An outcome that the stream has already is compared with what is stored there, unless this process has stored or
// compared it before.
func TestStoredOutcomeIsReadOnce(t *testing.T) {
	b := newBundle(t)
	nc := b.server.connect(t)
	heard, err := nc.SubscribeSync(APISubject(b.js, "STREAM.MSG.GET."+events.StreamEvents))
	testkit.Must(t, err)
	testkit.Must(t, nc.Flush())
	before := 0
	reads := func() int {
		b.awaitSettled()
		testkit.Must(t, nc.Flush())
		all, _, err := heard.Pending()
		testkit.Must(t, err)
		n := all - before
		before = all
		return n
	}
	h := b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	b.publish(b.request("order", "acme"))
	testkit.Equal(t, "reads of what this process has stored", reads(), 0)
	h.stop(t)
	b.start()
	b.publish(b.request("order", "acme"))
	testkit.Equal(t, "reads of what another process has stored", reads(), 1)
	b.publish(b.request("order", "acme"))
	testkit.Equal(t, "reads of what was read before", reads(), 0)
}

// The attempt or the claim has seen the success in the ledger a moment ago, so it is not read again. A failure can be
// replayed.
func TestLedgerIsReadBeforePublishing(t *testing.T) {
	b := newBundle(t)
	var reads atomic.Int64
	b.db.fails = func(where faultPlace, _ string) error {
		if where == "publication" {
			reads.Add(1)
		}
		return nil
	}
	h := b.start()
	expect := func(what string, want int64) {
		t.Helper()
		b.awaitSettled()
		testkit.Equal(t, "reads of the ledger, "+what, reads.Swap(0), want)
	}
	b.publish(b.request("order", "acme"))
	expect("a success", 0)
	h = b.redeliver(h)
	expect("a success that is delivered again", 0)
	h.stop(t)
	b.now = func() time.Time { return time.Now().Add(-knownFor) } // the process is suspended before it publishes
	h = b.start()
	b.publish(b.request("later", "beta"))
	expect("a success of a process that was suspended", 1)
	h = b.redeliver(h)
	expect("successes that are delivered again to such a process", 2)
	h.stop(t)
	b.now = time.Now
	b.start()
	b.publish(b.request("bad", "not an id"))
	expect("a failure with its dead letter", 2)
}

func TestIsKnown(t *testing.T) {
	t.Parallel()
	const margin = 5 * time.Second // for a busy machine
	for name, c := range map[string]struct {
		verdict pipeline.Verdict
		known   time.Time
		want    bool
	}{
		"now":                           {pipeline.Acknowledge, time.Now(), true},
		"seconds ago":                   {pipeline.Acknowledge, time.Now().Add(margin - knownFor), true},
		"before the process was frozen": {pipeline.Acknowledge, time.Now().Add(-knownFor), false},
		"before the clock was set back": {pipeline.Acknowledge, time.Now().Add(time.Hour), false},
		"never":                         {pipeline.Acknowledge, time.Time{}, false},
		"a failure":                     {pipeline.Terminate, time.Now(), false},
	} {
		got := isKnown(pipeline.Decision{Verdict: c.verdict, Outcome: pipeline.Outcome{KnownAt: c.known}})
		testkit.Equal(t, name, got, c.want)
	}
}

// slow is a JetStream whose reads of messages each take that long.
type slow struct {
	jetstream.JetStream
	each *atomic.Int64
}

func (s slow) Conn() *nats.Conn {
	time.Sleep(time.Duration(s.each.Load()))
	return s.JetStream.Conn()
}

// Only a server that leaves a read unanswered ends the search, not one that takes its time for each of many.
func TestSlowSearchForAnOutcome(t *testing.T) {
	b := newBundle(t)
	js := slow{b.js, new(atomic.Int64)}
	h := b.start(func(c *Config) { c.JetStream = js })
	o := pipeline.Outcome{ID: "id", Type: events.TypeProvisioned, Body: []byte("the outcome")}
	const n = 100
	b.storeOutcomes(n, n, o)
	o.RecordedAt = time.Now().Add(-2 * outcomeWindow) // before all of them
	js.each.Store(int64(11 * readTimeout / 10 / n))
	testkit.Equal(t, "found", h.publishedAs(t.Context(), "key", o), n)
}

// Within the duplicate window the server drops the second copy, and nothing is read before it.
func TestNothingIsReadWithinTheDuplicateWindow(t *testing.T) {
	b := newBundle(t)
	js := &unreadable{JetStream: b.js}
	b.config.CheckInterval = time.Hour // the checks read it too
	h := b.start(func(c *Config) { c.JetStream = js })
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	key := events.RequestKey(billing, "order")
	o := b.db.entries[key].recorded()
	for ago, sequence := range map[time.Duration]uint64{0: 0, outcomeWindow - 2*clockTolerance: 0, outcomeWindow: 1} {
		before := js.reads.Load()
		o.RecordedAt = time.Now().Add(-ago)
		testkit.Equal(t, fmt.Sprint("sequence after ", ago), h.publishedAs(t.Context(), key, o), sequence)
		testkit.Equal(t, fmt.Sprint("read after ", ago), js.reads.Load() > before, sequence > 0)
	}
}

// storeOutcomes stores n messages, the outcome as the one with that number, 0 for none.
func (b *bundle) storeOutcomes(n, number int, o pipeline.Outcome) (stored []time.Time) {
	b.t.Helper()
	for i := 1; i <= n; i++ {
		body := fmt.Append(nil, i)
		if i == number {
			body = o.Body
		}
		ack, err := b.js.Publish(b.t.Context(), o.Type, body)
		testkit.Must(b.t, err)
		there, err := GetMessage(b.t.Context(), b.js, events.StreamEvents, StoredMessage{Sequence: ack.Sequence})
		testkit.Must(b.t, err)
		stored = append(stored, there.Time)
	}
	return stored
}

// The outcome is found wherever it is next to the time at which it was recorded.
func TestFindOutcome(t *testing.T) {
	b := newBundle(t)
	h := b.start()
	o := pipeline.Outcome{ID: "id", Type: events.TypeProvisioned, Body: []byte("the outcome")}
	find := func() uint64 {
		t.Helper()
		sequence, err := h.findOutcome(t.Context(), "key", o)
		testkit.Must(t, err)
		return sequence
	}
	testkit.Equal(t, "in an empty stream", find(), 0)

	const n, number = 2*maxLook + 100, maxLook + 50
	stored := b.storeOutcomes(n, number, o)
	stream := b.streamOf(events.StreamEvents)
	nearest := func(sequence int) { o.RecordedAt = stored[sequence-1] } // the first that is read
	for sequence, want := range map[int]uint64{
		1: 0, number - maxLook: 0, number - maxLook + 1: number, number - 1: number, number: number,
		number + 1: number, number + maxLook: number, number + maxLook + 1: 0,
	} {
		nearest(sequence)
		testkit.Equal(t, fmt.Sprint("recorded at message ", sequence), find(), want)
	}
	// Messages beside it are deleted.
	for sequence := uint64(number - 40); sequence < number+40; sequence++ {
		if sequence != number {
			testkit.Must(t, stream.DeleteMsg(t.Context(), sequence))
		}
	}
	for _, sequence := range []int{number - 40, number - 1, number, number + 1, number + 40} {
		nearest(sequence)
		testkit.Equal(t, fmt.Sprint("beside deleted ones, recorded at message ", sequence), find(), number)
	}
	testkit.Must(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(number))) // as if they had expired
	nearest(1)
	testkit.Equal(t, "the first one left", find(), number)
	o.Type = events.TypeProvisioningFailed
	testkit.Equal(t, "on another subject", find(), 0)
	o.Type = events.TypeProvisioned
	o.RecordedAt = time.Now().Add(outcomeWindow)
	testkit.Must(t, stream.DeleteMsg(t.Context(), number))
	testkit.Equal(t, "deleted", find(), 0)
}

// If the stream cannot be read, the outcome is published.
func TestOutcomeIsPublishedIfTheStreamCannotBeRead(t *testing.T) {
	b := newBundle(t)
	js := &unreadable{JetStream: b.js}
	b.config.CheckInterval = time.Hour // the checks read it too
	b.start(func(c *Config) { c.JetStream = js })
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	b.forgetOutcomes(2 * outcomeWindow)
	js.broken.Store(true)
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	testkit.Equal(t, "outcomes", b.streamOf(events.StreamEvents).CachedInfo().State.Msgs, 2)
}

// unreadable is a JetStream without permission to read the stream of outcomes, once it is broken. It counts the reads.
type unreadable struct {
	jetstream.JetStream
	broken atomic.Bool
	reads  atomic.Int64
}

func (u *unreadable) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	if name == events.StreamEvents {
		u.reads.Add(1)
		if u.broken.Load() {
			return nil, errInjected
		}
	}
	return u.JetStream.Stream(ctx, name)
}
