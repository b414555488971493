package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// denyPermission makes every attempt fail for lack of a permission until grant is called.
func (b *bundle) denyPermission() (grant func()) {
	var granted atomic.Bool
	b.db.work = func(context.Context, string, int) error {
		if granted.Load() {
			return nil
		}
		return pipeline.Permanentf(events.CausePermissionDenied, "no permission")
	}
	return func() { granted.Store(true) }
}

// found returns the only dead letter.
func (b *bundle) found() DeadLetter {
	b.t.Helper()
	all := b.list(Filter{})
	if len(all) != 1 {
		b.t.Fatalf("%d dead letters, want 1", len(all))
	}
	return all[0]
}

// replay replays the only dead letter.
func (b *bundle) replay() Replayed {
	b.t.Helper()
	r, err := b.letters().Replay(b.t.Context(), b.found())
	testkit.Must(b.t, err)
	return r
}

// requested returns the message of the stream of requests with this sequence.
func (b *bundle) requested(sequence uint64) *jetstream.RawStreamMsg {
	b.t.Helper()
	msg, err := b.streamOf(events.StreamRequests).GetMsg(b.t.Context(), sequence)
	testkit.Must(b.t, err)
	return msg
}

func TestReplayThatSucceeds(t *testing.T) {
	b := newBundle(t)
	grant := b.denyPermission()
	b.start()
	msg := b.request("order", "acme")
	msg.Header["X-Trace"] = []string{"one", "two"}
	msg.Header["x-lower"] = []string{"kept as it is"}
	msg.Header[jetstream.MsgIDHeader] = []string{"publisher-1"}
	b.publish(msg)
	b.awaitSettled()
	nonce := reasons(b.deadLetter())["Nonce"]
	if len(nonce) < 20 {
		t.Errorf("the nonce %q can be guessed", nonce)
	}
	grant()
	r := b.replay()
	b.awaitSettled()
	testkit.Equal(t, "number", r.Number, 1)
	testkit.Equal(t, "repeated", r.Repeated, false)
	testkit.Equal(t, "request", *r.Request, events.Request{Source: billing, ID: "order"})
	b.counts(2, 0)
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PERMISSION_DENIED 1, PROVISIONED 1")
	testkit.Equal(t, "outcome id", b.outcomes()[1].ID(), events.OutcomeID(billing, "order", 1, events.TypeProvisioned))

	// The contract, header by header.
	replayed := b.requested(r.Sequence)
	testkit.Equal(t, "subject", replayed.Subject, "tenant.requested")
	if !bytes.Equal(replayed.Data, msg.Data) {
		t.Errorf("data: got %q, want %q", replayed.Data, msg.Data)
	}
	want := nats.Header{
		"content-type": {events.ContentType}, "X-Trace": {"one", "two"}, "x-lower": {"kept as it is"},
		"Replay-Number": {"1"}, "Nats-Msg-Id": {"replay.1." + nonce},
	}
	testkit.Equal(t, "header", fmt.Sprint(replayed.Header), fmt.Sprint(want))
}

// Each replay that fails has the next number, and keeps no header of the one before.
func TestReplayThatFailsAgain(t *testing.T) {
	b := newBundle(t)
	grant := b.denyPermission()
	b.start()
	msg := b.request("order", "acme")
	msg.Header["replay-number"] = []string{"not one"}
	msg.Header["nats-msg-id"] = []string{"in other case"}
	b.publish(msg)
	b.awaitSettled()
	for n := 1; n <= 3; n++ {
		nonce := reasons(b.deadLetter())["Nonce"]
		r := b.replay()
		b.awaitSettled()
		testkit.Equal(t, "number", r.Number, n)
		header := b.requested(r.Sequence).Header
		testkit.Equal(t, "header", fmt.Sprint(header), fmt.Sprint(nats.Header{
			"content-type": {events.ContentType}, ReplayHeader: {fmt.Sprint(n)},
			"Nats-Msg-Id": {fmt.Sprintf("replay.%d.%s", n, nonce)},
		}))
		testkit.Equal(t, "replay of the new dead letter", b.found().Replay, n)
	}
	grant()
	b.replay()
	b.awaitSettled()
	b.counts(5, 0)
	testkit.Equal(t, "outcome id", b.outcomes()[4].ID(), events.OutcomeID(billing, "order", 4, events.TypeProvisioned))
}

// Statement 2: two operators replay all dead letters at once.
func TestTwoOperatorsReplayAtOnce(t *testing.T) {
	b := newBundle(t)
	grant := b.denyPermission()
	first := b.start()
	const n = 20
	b.publishTenants(n)
	b.awaitSettled()
	b.counts(n, n)
	first.stop(t)
	grant()

	var operators sync.WaitGroup
	begin := make(chan struct{})
	var published, repeated, gone atomic.Int32
	for range 2 {
		letters, all := b.letters(), b.list(Filter{})
		operators.Go(func() {
			<-begin
			for _, letter := range all {
				switch r, err := letters.Replay(t.Context(), letter); {
				case errors.Is(err, ErrGone):
					gone.Add(1)
				case err != nil:
					t.Error(err)
				case r.Repeated:
					repeated.Add(1)
				default:
					published.Add(1)
				}
			}
		})
	}
	close(begin)
	operators.Wait()
	testkit.Equal(t, "replays", published.Load(), int32(n))
	testkit.Equal(t, "replays that were already published", repeated.Load()+gone.Load(), int32(n))
	testkit.Equal(t, "messages in the stream of requests", b.streamOf(events.StreamRequests).CachedInfo().State.Msgs, uint64(2*n))
	b.start()
	b.awaitSettled()
	b.counts(2*n, 0)
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), fmt.Sprintf("PERMISSION_DENIED %d, PROVISIONED %d", n, n))
}

// undeletable is a JetStream in which no message can be removed, as if the operator's process ended before.
type undeletable struct{ jetstream.JetStream }

type undeletableStream struct{ jetstream.Stream }

func (u undeletable) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := u.JetStream.Stream(ctx, name)
	return undeletableStream{stream}, err
}

func (undeletableStream) DeleteMsg(context.Context, uint64) error { return errInjected }

// Statement 3: a replay is interrupted between publication and removal, and repeated within the stream's duplicate
// window or after it. Before that the first one is undecided, or succeeds, or fails.
func TestReplayInterruptedBeforeTheRemoval(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		runs, grants, windowOver bool
		outcomes, letters        int // at the end
	}{
		"undecided":              {grants: true, outcomes: 2},
		"undecided, window over": {grants: true, windowOver: true, outcomes: 2},
		"succeeded":              {runs: true, grants: true, outcomes: 2},
		"succeeded, window over": {runs: true, grants: true, windowOver: true, outcomes: 2},
		"failed":                 {runs: true, outcomes: 3, letters: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			if c.windowOver {
				config := b.streamOf(events.StreamRequests).CachedInfo().Config
				config.Duplicates = 100 * time.Millisecond
				_, err := b.js.UpdateStream(t.Context(), config)
				testkit.Must(t, err)
			}
			b.config.Workers = 1 // the fake ledger lets two workers have one request at once
			grant := b.denyPermission()
			h := b.start()
			b.publish(b.request("order", "acme"))
			b.awaitSettled()
			letter := b.found()
			if !c.runs {
				h.stop(t)
			}
			if c.grants {
				grant()
			}
			interrupted, err := OpenDeadLetters(t.Context(), undeletable{b.js})
			testkit.Must(t, err)
			r, err := interrupted.Replay(t.Context(), letter)
			if c.runs && !c.grants {
				// It may already have failed, so that a newer one exists.
				if err != nil && !errors.Is(err, ErrNotRemoved) {
					t.Fatal(err)
				}
			} else {
				Contains(t, "its error", err, "could not be removed", "again is safe", "injected")
				testkit.Equal(t, "dead letter", b.found().Sequence, letter.Sequence)
			}
			testkit.Equal(t, "number", r.Number, 1)
			if c.runs {
				b.awaitSettled()
			}
			if c.letters > 0 { // another number: that is a new replay
				testkit.Equal(t, "number", b.replay().Number, 2)
				b.awaitSettled()
				b.counts(c.outcomes, c.letters)
				return
			}
			b.eventually("the replay is repeated, and stored again if the window is over", func() bool {
				again, err := interrupted.Replay(t.Context(), letter)
				if !errors.Is(err, ErrNotRemoved) {
					t.Fatal(err)
				}
				return again.Repeated == !c.windowOver && again.Number == 1
			})
			_, err = b.letters().Replay(t.Context(), letter)
			testkit.Must(t, err)
			if !c.runs {
				b.start()
			}
			b.awaitSettled()
			b.counts(c.outcomes, c.letters)
			if !c.windowOver { // else the second message may be claimed while the first runs
				testkit.Equal(t, "attempts", b.db.attempts("order"), 1)
			}
			testkit.Equal(t, "outcome id", b.outcomes()[1].ID(), events.OutcomeID(billing, "order", 1, events.TypeProvisioned))
		})
	}
}

// Another operator's replay has succeeded: this one publishes that outcome again.
func TestReplayAfterAnotherReplaySucceeded(t *testing.T) {
	b := newBundle(t)
	grant := b.denyPermission()
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	grant()
	msg := b.request("order", "acme")
	msg.Header[ReplayHeader] = []string{"1"}
	b.publish(msg) // by hand
	b.awaitSettled()
	subscription, err := b.config.Conn.SubscribeSync(events.TypeProvisioned)
	testkit.Must(t, err)
	r := b.replay()
	published, err := subscription.NextMsg(testkit.Patience)
	testkit.Must(t, err)
	e, err := events.Decode(published.Header, published.Data)
	testkit.Must(t, err)
	testkit.Equal(t, "outcome id", e.ID(), events.OutcomeID(billing, "order", r.Number, events.TypeProvisioned))
	b.awaitSettled()
	b.counts(2, 0)
}

// Statement 4.
func TestReplayLeavesANewerDeadLetter(t *testing.T) {
	b := newBundle(t)
	b.denyPermission()
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	old := b.found()
	b.replay()
	b.awaitSettled()
	fresh := b.found()
	testkit.Equal(t, "its replay", fresh.Replay, 1)
	gone, err := b.letters().Remove(t.Context(), old)
	testkit.Must(t, err)
	testkit.Equal(t, "the old one no longer existed", gone, true)
	if _, err := b.letters().Replay(t.Context(), old); !errors.Is(err, ErrGone) {
		t.Errorf("replay of the old one: %v", err)
	}
	testkit.Equal(t, "the newer one", b.found().Sequence, fresh.Sequence)
	testkit.Equal(t, "requests", b.streamOf(events.StreamRequests).CachedInfo().State.Msgs, uint64(2))
}

// Statement 1.
func TestReplayThatIsNotPublishedLeavesTheDeadLetter(t *testing.T) {
	b := newBundle(t)
	b.denyPermission()
	h := b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	letter := b.found()
	js := newFaulty(b.js)
	js.before[events.TypeRequested] = 1
	faulty, err := OpenDeadLetters(t.Context(), js)
	testkit.Must(t, err)
	_, err = faulty.Replay(t.Context(), letter)
	if !errors.Is(err, errInjected) {
		t.Errorf("its error: %v", err)
	}
	testkit.Equal(t, "dead letter", b.found().Sequence, letter.Sequence)

	// The same if it is stored and the PubAck is lost.
	h.stop(t)
	js.after[events.TypeRequested] = 1
	_, err = faulty.Replay(t.Context(), letter)
	if !errors.Is(err, errInjected) {
		t.Errorf("its error: %v", err)
	}
	testkit.Equal(t, "dead letter", b.found().Sequence, letter.Sequence)
	r, err := faulty.Replay(t.Context(), letter)
	testkit.Must(t, err)
	testkit.Equal(t, "repeated", r.Repeated, true)
	testkit.Equal(t, "requests", b.streamOf(events.StreamRequests).CachedInfo().State.Msgs, uint64(2))
	b.counts(1, 0)
}

// Requests are stored by a stream with another name, for example after a mistake in its configuration.
func TestReplayThatAnotherStreamStores(t *testing.T) {
	b := newBundle(t)
	b.denyPermission()
	h := b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	h.stop(t)
	letter := b.found()
	testkit.Must(t, b.js.DeleteStream(t.Context(), events.StreamRequests))
	_, err := b.letters().Replay(t.Context(), letter)
	Contains(t, "no stream", err, "TENANT_REQUESTS does not exist")
	_, err = b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"tenant.requested"}})
	testkit.Must(t, err)
	_, err = b.letters().Replay(t.Context(), letter)
	Contains(t, "another stream", err, "it was stored by stream OTHER")
	testkit.Equal(t, "dead letter", b.found().Sequence, letter.Sequence)
}

func TestReplayOfAnOmittedOriginal(t *testing.T) {
	b := newBundle(t)
	grant := b.denyPermission()
	b.start()
	msg := b.request("order", "acme")
	msg.Header["X-Large"] = []string{strings.Repeat("x", 64<<10-300)}
	msg.Header["Nats-Expected-Stream"] = []string{events.StreamRequests}
	msg.Header["Nats-Expected-Last-Sequence"] = []string{"0"}
	b.publish(msg)
	b.awaitSettled()
	letter := b.found()
	testkit.Equal(t, "omitted", letter.Omitted, true)
	grant()
	r := b.replay()
	b.awaitSettled()
	replayed := b.requested(r.Sequence)
	if !bytes.Equal(replayed.Data, msg.Data) {
		t.Errorf("data: got %q, want %q", replayed.Data, msg.Data)
	}
	testkit.Equal(t, "large header", len(replayed.Header.Get("X-Large")), 64<<10-300)
	testkit.Equal(t, "an instruction of the original", replayed.Header.Get("Nats-Expected-Last-Sequence"), "")
	b.counts(2, 0)
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PERMISSION_DENIED 1, PROVISIONED 1")
}

func TestReplayOfAnOmittedOriginalThatIsDeleted(t *testing.T) {
	b := newBundle(t, func(o *server.Options) { o.MaxPayload = 100_000 })
	b.start()
	large := bytes.Repeat([]byte("x"), 99_990) // the new headers do not fit
	first := b.publish(&nats.Msg{Subject: events.TypeRequested, Data: large})
	b.awaitSettled()
	letter := b.found()
	_, err := b.letters().Replay(t.Context(), letter)
	Contains(t, "no space for its new headers", err, "max_payload")
	if !errors.Is(err, ErrUnreplayable) {
		t.Errorf("%v", err)
	}
	testkit.Must(t, b.streamOf(events.StreamRequests).DeleteMsg(t.Context(), first))
	_, err = b.letters().Replay(t.Context(), letter)
	Contains(t, "the original is deleted", err, "TENANT_REQUESTS at sequence 1", "request it again")
	if !errors.Is(err, ErrUnreplayable) {
		t.Errorf("%v", err)
	}
	testkit.Equal(t, "dead letter", b.found().Sequence, letter.Sequence)
}

// An undecodable message fails again, under another key.
func TestReplayOfAnUndecodableMessage(t *testing.T) {
	b := newBundle(t)
	b.start()
	b.publish(&nats.Msg{Subject: events.TypeRequested, Data: []byte("please make me a tenant")})
	b.awaitSettled()
	old := b.found()
	r := b.replay()
	b.awaitSettled()
	if r.Request != nil {
		t.Errorf("request %+v", r.Request)
	}
	fresh := b.found()
	if fresh.Key == old.Key || fresh.Replay != 1 {
		t.Errorf("key %s, replay %d", fresh.Key, fresh.Replay)
	}
	b.counts(2, 1)
	testkit.Equal(t, "the new key", fresh.Key, b.undecodableKey(r.Sequence))
	testkit.Equal(t, "the key that the replay returned", r.Key, fresh.Key)
	testkit.Equal(t, "outcome id", b.outcomes()[1].ID(), events.UndecodableOutcomeID(fresh.Key, 1))
}

// Statement 5: a forged message is rejected with the reason, and stays.
func TestReplayRejectsForgedDeadLetters(t *testing.T) {
	b := newBundle(t)
	order := b.request("order", "acme")
	key := events.RequestKey(billing, "order")
	with := func(name, value string) nats.Header {
		header := nats.Header{
			"content-type": {events.ContentType}, "Dead-Letter-Subject": {"tenant.requested"}, "Dead-Letter-Replay": {"0"},
			"Dead-Letter-Stream": {"TENANT_REQUESTS"}, "Dead-Letter-Sequence": {"7"},
		}
		if value == "" {
			delete(header, name)
		} else {
			header[name] = []string{value}
		}
		return header
	}
	for _, c := range []struct {
		name, key string
		header    nats.Header
		want      string
	}{
		{"no header at all", "whatever", nil, "no header Dead-Letter-Subject"},
		{"no subject", key, with("Dead-Letter-Subject", ""), "no header Dead-Letter-Subject"},
		{"the server's own subject", key, with("Dead-Letter-Subject", "$JS.API.STREAM.DELETE.TENANT_EVENTS"), "requests are on tenant.requested"},
		{"no replay", key, with("Dead-Letter-Replay", ""), "Dead-Letter-Replay"},
		{"a negative replay", key, with("Dead-Letter-Replay", "-1"), "Dead-Letter-Replay"},
		{"the last replay", key, with("Dead-Letter-Replay", "2147483647"), "Dead-Letter-Replay"},
		{"the key of another request", events.RequestKey(billing, "another"), with("", ""), "not that of the request"},
		{"omitted, nowhere", key, with("Dead-Letter-Omitted", "yes"), "not there any more"},
		{"omitted, elsewhere", key, func() nats.Header {
			header := with("Dead-Letter-Omitted", "yes")
			header["Dead-Letter-Stream"] = []string{"OTHER"}
			return header
		}(), "do not name the original's place"},
	} {
		sequence := b.plant(c.key, c.header, string(order.Data))
		letter := b.found()
		_, err := b.letters().Replay(t.Context(), letter)
		Contains(t, c.name, err, c.want)
		if !errors.Is(err, ErrUnreplayable) {
			t.Errorf("%s: %v", c.name, err)
		}
		_, err = b.letters().Check(t.Context(), letter)
		Contains(t, c.name+", checked", err, c.want)
		testkit.Equal(t, c.name, b.found().Sequence, sequence)
		_, err = b.letters().Remove(t.Context(), letter)
		testkit.Must(t, err)
	}
	testkit.Equal(t, "requests", b.streamOf(events.StreamRequests).CachedInfo().State.Msgs, uint64(0))
	names := []string{}
	for name := range b.js.StreamNames(t.Context()).Name() {
		names = append(names, name)
	}
	slices.Sort(names)
	testkit.Equal(t, "streams", fmt.Sprint(names), "[TENANT_DEAD_LETTERS TENANT_EVENTS TENANT_REQUESTS]")

	// This one is valid.
	b.plant(key, with("", ""), string(order.Data))
	number, err := b.letters().Check(t.Context(), b.found())
	testkit.Must(t, err)
	testkit.Equal(t, "number", number, 1)
	testkit.Equal(t, "requests after a check", b.streamOf(events.StreamRequests).CachedInfo().State.Msgs, uint64(0))
	b.replay()
	b.start()
	b.awaitSettled()
	b.counts(1, 0)
}

// An undecodable message is not in the ledger, so it uses up no number.
func TestReplayNumberOfAnUndecodableMessage(t *testing.T) {
	b := newBundle(t)
	b.start()
	for i, c := range []struct {
		number string
		want   int // of the dead letter
		next   int // of the replay
	}{
		{"2147483647", 0, 1},
		{"2147483646", 0, 1},
		{"1000000001", 0, 1},
		{"1000000000", 1_000_000_000, 1},
		{"99999999999999999999", 0, 1},
		{"999999999", 999_999_999, 1_000_000_000},
	} {
		b.publish(&nats.Msg{Subject: events.TypeRequested, Header: nats.Header{ReplayHeader: {c.number}}, Data: []byte("garbage")})
		b.awaitSettled()
		testkit.Equal(t, c.number+": dead letter", b.found().Replay, c.want)
		r := b.replay()
		testkit.Equal(t, c.number+": replay", r.Number, c.next)
		b.awaitSettled()
		testkit.Equal(t, c.number+": the replay's dead letter", b.found().Replay, c.next)
		testkit.Equal(t, c.number+": outcomes", len(b.outcomes()), 2*(i+1))
		_, err := b.letters().Remove(t.Context(), b.found())
		testkit.Must(t, err)
	}
}

// An earlier version let a publisher use up all numbers.
func TestNoReplayNumberIsLeft(t *testing.T) {
	b := newBundle(t)
	plant := func(replay string) {
		t.Helper()
		msg := b.request("order", "acme")
		msg.Subject = events.DeadLetterSubject(events.RequestKey(billing, "order"))
		for name, value := range map[string]string{"Replay": replay, "Subject": events.TypeRequested} {
			msg.Header[deadLetterPrefix+name] = []string{value}
		}
		b.publish(msg)
	}
	for replay, want := range map[string]string{
		"2147483647": "the highest possible number", "2147483648": "is not a replay number",
		"-1": "is not a replay number", "": "is not a replay number",
	} {
		plant(replay)
		_, err := b.letters().Check(t.Context(), b.found())
		if !errors.Is(err, ErrUnreplayable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", replay, err)
		}
	}
	for _, replay := range []int{2147483646, 1_000_000_000, 0} {
		plant(fmt.Sprint(replay))
		number, err := b.letters().Check(t.Context(), b.found())
		testkit.Must(t, err)
		testkit.Equal(t, "number", number, replay+1)
	}
}

// Without a confirmation the replay may be stored. The error says so, the dead letter stays, and a repetition is safe.
func TestReplayWithoutAConfirmation(t *testing.T) {
	b := newBundle(t)
	r := b.start()
	b.publish(b.request("order", "not an id"))
	b.awaitSettled()
	r.stop(t)
	config := b.streamOf(events.StreamRequests).CachedInfo().Config
	config.NoAck = true
	_, err := b.js.UpdateStream(t.Context(), config)
	testkit.Must(t, err)
	letter := b.list(Filter{})[0]
	_, err = b.letters().Replay(t.Context(), letter)
	Contains(t, "its error", err, "publish the replay", "it may be stored all the same: repeat the command, which is safe")
	testkit.Equal(t, "dead letters", len(b.list(Filter{})), 1)
	config.NoAck = false
	_, err = b.js.UpdateStream(t.Context(), config)
	testkit.Must(t, err)
	again, err := b.letters().Replay(t.Context(), letter)
	testkit.Must(t, err)
	testkit.Equal(t, "repeated", again.Repeated, true)
	stored, err := b.streamOf(events.StreamRequests).GetMsg(t.Context(), again.Sequence)
	testkit.Must(t, err)
	testkit.Equal(t, "since", again.Stored, stored.Time.Add(-clockTolerance))
	testkit.Equal(t, "dead letters", len(b.list(Filter{})), 0)
}
