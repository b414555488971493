package handler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// garbage is a message that cannot be decoded. msgID may be empty.
func garbage(body, msgID string) *nats.Msg {
	msg := &nats.Msg{Subject: events.TypeRequested, Header: nats.Header{}, Data: []byte(body)}
	if msgID != "" {
		msg.Header.Set(jetstream.MsgIDHeader, msgID)
	}
	return msg
}

// requestOf is a request that fails, with that source and id.
func (b *bundle) requestOf(source, id string) *nats.Msg {
	b.t.Helper()
	text, err := json.Marshal(source)
	testkit.Must(b.t, err)
	msg := b.request(id, "not an id")
	msg.Data = bytes.Replace(msg.Data, []byte(`"`+billing+`"`), text, 1)
	return msg
}

// undecodableKey returns the key of the message with that sequence, as the contract defines it.
func (b *bundle) undecodableKey(sequence uint64) string {
	b.t.Helper()
	msg := b.requested(sequence)
	return events.UndecodableKey(events.StreamRequests, sequence, msg.Time, msg.Data)
}

// bodies returns the bodies of the dead letters, sorted.
func (b *bundle) bodies() (all []string) {
	b.t.Helper()
	for _, msg := range b.stored(events.StreamDeadLetters) {
		all = append(all, string(msg.Data))
	}
	slices.Sort(all)
	return all
}

// keysOf returns the keys of dead letters and of outcomes, sorted. They must be the same.
func (b *bundle) keysOf() string {
	b.t.Helper()
	var letters, outcomes []string
	for _, msg := range b.stored(events.StreamDeadLetters) {
		letters = append(letters, msg.Subject)
	}
	for _, e := range b.outcomes() {
		failed, err := events.FailedFrom(e)
		testkit.Must(b.t, err)
		outcomes = append(outcomes, failed.DeadLetter.Subject)
	}
	slices.Sort(letters)
	slices.Sort(outcomes)
	testkit.Equal(b.t, "keys of dead letters and of outcomes", strings.Join(letters, "\n"), strings.Join(outcomes, "\n"))
	return strings.Join(letters, "\n")
}

// recreateRequests deletes and recreates the stream of requests, so that its sequences start at 1. The server may
// restore messages of a stream that is recreated at once (seen with 2.15.2), so this repeats it until the stream is
// empty.
func (b *bundle) recreateRequests() {
	b.t.Helper()
	b.eventually("the stream of requests is empty", func() bool {
		testkit.Must(b.t, b.js.DeleteStream(b.t.Context(), events.StreamRequests))
		err := b.config.Topology.Ensure(b.t.Context(), b.js)
		testkit.Must(b.t, err)
		return b.streamOf(events.StreamRequests).CachedInfo().State.LastSeq == 0
	})
}

// A publisher that knows how keys are computed cannot replace another's dead letter or suppress another's outcome, not
// even in advance. Earlier versions computed them from stream and sequence, in place of source and id.
func TestNoPublisherTakesTheKeyOfAnUndecodableMessage(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		events.StreamRequests, strings.ToLower(events.StreamRequests), "Tenant_Requests", "undecodable", "%00undecodable",
	} {
		t.Run(source, func(t *testing.T) {
			b := newBundle(t)
			b.start()
			b.publish(b.requestOf(source, "2"), garbage("of a customer", ""), garbage("of another", ""),
				b.requestOf(source, "3"), b.requestOf(source, "5"), garbage("of a third", "5"))
			b.awaitSettled()
			b.counts(6, 6)
			testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "INVALID_TENANT_ID 3, UNDECODABLE_EVENT 3")
			for _, body := range []string{"of a customer", "of another", "of a third"} {
				if !slices.Contains(b.bodies(), body) {
					t.Errorf("no dead letter of the message %q", body)
				}
			}
			b.keysOf()
		})
	}
}

// Each undecodable message has its own key, whatever its body and headers.
func TestEachUndecodableMessageHasItsOwnDeadLetter(t *testing.T) {
	t.Parallel()
	for name, messages := range map[string][]*nats.Msg{
		"identical":               {garbage("the same", ""), garbage("the same", "")},
		"empty":                   {garbage("", ""), garbage("", "")},
		"with a Nats-Msg-Id":      {garbage("the same", "1"), garbage("the same", "2"), garbage("the same", "TENANT_REQUESTS.1")},
		"with a Replay-Number":    {garbage("x", ""), {Subject: events.TypeRequested, Header: nats.Header{ReplayHeader: {"1"}}, Data: []byte("x")}},
		"with dead letter header": {{Subject: events.TypeRequested, Header: nats.Header{storedHeader: {"never"}, "dead-letter-stored": {"x"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			b.start()
			last := b.publish(messages...)
			b.awaitSettled()
			b.counts(len(messages), len(messages))
			var want []string
			for sequence := range last {
				want = append(want, events.DeadLetterSubject(b.undecodableKey(sequence+1)))
			}
			slices.Sort(want)
			testkit.Equal(t, "keys", b.keysOf(), strings.Join(want, "\n"))
			for _, letter := range b.list(Filter{}) {
				testkit.Equal(t, "stored", letter.Stored, b.requested(letter.OriginalSequence).Time)
				original, err := b.letters().Original(t.Context(), letter)
				testkit.Must(t, err)
				want := messages[letter.OriginalSequence-1].Header
				for header, values := range want {
					testkit.Equal(t, header, strings.Join(original.Header[header], "|"), strings.Join(values, "|"))
				}
				testkit.Equal(t, "headers", len(original.Header), len(want))
			}
		})
	}
}

// A recreated stream of requests counts from 1 again, and holds other messages.
func TestUndecodableMessagesOfARecreatedStream(t *testing.T) {
	b := newBundle(t)
	h := b.start()
	// By sequence: the same bodies, the same Nats-Msg-Id, both, other bodies, empty ones.
	b.publish(garbage("the same", ""), garbage("third", "m3"), garbage("the same", "m4"), garbage("one", ""), garbage("", ""))
	b.awaitSettled()
	b.counts(5, 5)
	before := b.keysOf()
	h.stop(t)
	b.recreateRequests()
	b.start()
	b.publish(garbage("the same", ""), garbage("sixth", "m3"), garbage("the same", "m4"), garbage("another", ""), garbage("", ""))
	b.awaitSettled()
	b.counts(10, 10)
	testkit.Equal(t, "bodies", fmt.Sprintf("%q", b.bodies()),
		`["" "" "another" "one" "sixth" "the same" "the same" "the same" "the same" "third"]`)
	after := b.keysOf()
	for _, key := range strings.Split(before, "\n") {
		if !strings.Contains(after, key) {
			t.Errorf("dead letter %s is missing", key)
		}
	}
}

// A stored message has one key and one outcome id, however often it is delivered, by any consumer, to any replica,
// after any restart.
func TestUndecodableMessageHasOneKey(t *testing.T) {
	b := newBundle(t)
	b.publish(garbage("please", ""), garbage("", "m2"))
	js := newFaulty(b.js)
	js.after[events.TypeProvisioningFailed] = 2 // stored, with the PubAck lost: published again
	h := b.start(func(c *Config) { c.JetStream = js })
	b.awaitSettled()
	b.counts(2, 2)
	keys := b.keysOf()
	for _, between := range []func(){
		func() {}, // the consumer is recreated
		func() { b.server.stop(); b.server.start(t) },
	} {
		h.stop(t)
		testkit.Must(t, b.js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
		between()
		b.eventually("the server is available", func() bool {
			_, err := b.js.Stream(t.Context(), events.StreamRequests)
			return err == nil
		})
		h = b.start()
		b.awaitSettled()
		testkit.Equal(t, "deliveries of the new consumer", b.delivered(), 2)
		b.counts(2, 2)
		testkit.Equal(t, "keys", b.keysOf(), keys)
	}
}

// plantOld publishes a dead letter in the form of earlier versions: without stored time and hash.
func (b *bundle) plantOld(key string, sequence uint64, body string, more ...string) {
	b.t.Helper()
	header := nats.Header{
		"Dead-Letter-Key": {key}, "Dead-Letter-Reason": {"UNDECODABLE_EVENT"}, "Dead-Letter-Step": {"validate_request"},
		"Dead-Letter-Message": {"not a CloudEvent: no specversion"}, "Dead-Letter-Attempts": {"1"}, "Dead-Letter-Replay": {"0"},
		"Dead-Letter-Stream": {events.StreamRequests}, "Dead-Letter-Sequence": {fmt.Sprint(sequence)},
		"Dead-Letter-Subject": {events.TypeRequested}, "Dead-Letter-Time": {"2026-03-04T12:00:00.25Z"}, "Dead-Letter-Tenant": {""},
	}
	for i := 0; i < len(more); i += 2 {
		header["Dead-Letter-"+more[i]] = []string{more[i+1]}
	}
	b.plant(key, header, body)
}

// Dead letters of earlier versions stay readable and replayable.
func TestDeadLettersOfEarlierVersions(t *testing.T) {
	b := newBundle(t)
	oldKey := func(sequence uint64) string { return events.RequestKey(events.StreamRequests, fmt.Sprint(sequence)) }
	first := b.publish(garbage("first", ""), garbage("left there", ""), garbage("third", "")) - 2
	b.plantOld(oldKey(first), first, "first")
	b.plantOld(oldKey(first+1), first+1, "", "Omitted", "the original is too large",
		"Time", storedText(b.requested(first+1).Time))
	b.plantOld(oldKey(first+2), first+2, "third")
	for sequence, body := range map[uint64]string{first: "first", first + 1: "left there", first + 2: "third"} {
		letter, err := b.letters().Find(t.Context(), oldKey(sequence)[:12])
		testkit.Must(t, err)
		testkit.Equal(t, "original sequence", letter.OriginalSequence, sequence)
		testkit.Equal(t, "stored", letter.Stored, time.Time{})
		original, err := b.letters().Original(t.Context(), letter)
		testkit.Must(t, err)
		testkit.Equal(t, "body", string(original.Data), body)
		number, err := b.letters().Check(t.Context(), letter)
		testkit.Must(t, err)
		testkit.Equal(t, "number", number, 1)
	}
	third, err := b.letters().Find(t.Context(), oldKey(first+2))
	testkit.Must(t, err)
	gone, err := b.letters().Remove(t.Context(), third)
	testkit.Must(t, err)
	testkit.Equal(t, "no longer existed", gone, false)

	for _, sequence := range []uint64{first, first + 1} {
		letter, err := b.letters().Find(t.Context(), oldKey(sequence))
		testkit.Must(t, err)
		r, err := b.letters().Replay(t.Context(), letter)
		testkit.Must(t, err)
		testkit.Equal(t, "key of the replay", r.Key, b.undecodableKey(r.Sequence))
	}
	testkit.Equal(t, "dead letters after the replays", len(b.list(Filter{})), 0)
	for sequence := first; sequence <= first+2; sequence++ { // earlier versions had acknowledged them
		testkit.Must(t, b.streamOf(events.StreamRequests).DeleteMsg(t.Context(), sequence))
	}
	b.start()
	b.awaitSettled()
	testkit.Equal(t, "bodies", strings.Join(b.bodies(), ", "), "first, left there")
	if keys := b.keysOf(); strings.Contains(keys, oldKey(first)) || strings.Contains(keys, oldKey(first+1)) {
		t.Errorf("a replay failed under an old key:\n%s", keys)
	}
}

// An earlier version was killed after it had published a dead letter, and perhaps the outcome: both stay the only ones of
// the message. A dead letter of another message on that subject has no effect.
func TestUndecodableMessageOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		published bool // the outcome too
		another   bool
	}{"dead letter": {}, "dead letter and outcome": {published: true}, "of another message": {another: true}} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			sequence := b.publish(garbage("please", ""))
			key, stored := events.RequestKey(events.StreamRequests, "1"), b.requested(sequence).Time
			if c.another {
				stored = stored.Add(-time.Hour)
			}
			b.plantOld(key, sequence, "please", "Time", storedText(stored))
			id := events.OutcomeID(events.StreamRequests, "1", 0, events.TypeProvisioningFailed)
			if c.published {
				e, err := events.NewProvisioningFailed(events.Outcome{ID: id, Source: events.DefaultSource, Time: stored}, events.ProvisioningFailed{
					Step:  events.Step{Name: "validate_request"},
					Cause: events.Cause{Code: events.CauseUndecodableEvent, Message: "x"}, Attempts: 1,
					DeadLetter: events.DeadLetter{Stream: events.StreamDeadLetters, Subject: events.DeadLetterSubject(key)},
				})
				testkit.Must(t, err)
				header, body, err := events.Encode(e)
				testkit.Must(t, err)
				msg := &nats.Msg{Subject: e.Type(), Header: header, Data: body}
				_, err = b.js.PublishMsg(t.Context(), msg, jetstream.WithMsgID(id))
				testkit.Must(t, err)
			}
			b.start()
			b.awaitSettled()
			if c.another {
				b.counts(1, 2)
				return
			}
			b.counts(1, 1)
			testkit.Equal(t, "outcome", b.outcome().ID(), id)
			testkit.Equal(t, "dead letter", b.keysOf(), events.DeadLetterSubject(key))
			number, err := b.letters().Check(t.Context(), b.found())
			testkit.Must(t, err)
			testkit.Equal(t, "number of a replay", number, 1)
		})
	}
}

// The key of an undecodable message is compared with what the dead letter holds.
func TestReplayRejectsAChangedUndecodableMessage(t *testing.T) {
	b := newBundle(t)
	h := b.start()
	b.publish(garbage("please", ""))
	b.awaitSettled()
	h.stop(t)
	unchanged := b.deadLetter()
	key := strings.TrimPrefix(unchanged.Subject, events.SubjectDeadLetterPrefix)
	for name, change := range map[string]func(m *nats.Msg){
		"body":            func(m *nats.Msg) { m.Data = []byte("something else") },
		"body, a request": func(m *nats.Msg) { m.Data = b.request("order", "acme").Data },
		"sequence":        func(m *nats.Msg) { m.Header.Set(deadLetterPrefix+"Sequence", "2") },
		"stream":          func(m *nats.Msg) { m.Header.Set(deadLetterPrefix+"Stream", "OTHER") },
		"stored time":     func(m *nats.Msg) { m.Header.Set(storedHeader, "2026-03-04T12:00:00.25Z") },
		"stored, no time": func(m *nats.Msg) { m.Header.Set(storedHeader, "yesterday") },
		"no stored time":  func(m *nats.Msg) { m.Header.Del(storedHeader) },
		"another's key":   func(m *nats.Msg) { m.Subject = events.DeadLetterSubject(events.RequestKey(billing, "order")) },
		"an old key":      func(m *nats.Msg) { m.Subject = events.DeadLetterSubject(events.RequestKey(events.StreamRequests, "1")) },
		"another stream's": func(m *nats.Msg) {
			m.Subject = events.DeadLetterSubject(events.UndecodableKey("OTHER", 1, b.found().Stored, m.Data))
		},
	} {
		unchanged.Header.Del(jetstream.ExpectedLastSubjSeqHeader)
		unchanged.Header.Del(jetstream.MsgIDHeader)
		msg := &nats.Msg{Subject: unchanged.Subject, Header: nats.Header{}, Data: unchanged.Data}
		for name, values := range unchanged.Header {
			msg.Header[name] = slices.Clone(values)
		}
		change(msg)
		testkit.Must(t, b.streamOf(events.StreamDeadLetters).Purge(t.Context()))
		b.publish(msg)
		_, err := b.letters().Replay(t.Context(), b.found())
		Contains(t, name, err, "its key is not that of the request that it holds")
		if !errors.Is(err, ErrUnreplayable) {
			t.Errorf("%s: %v", name, err)
		}
		testkit.Must(t, b.streamOf(events.StreamDeadLetters).Purge(t.Context()))
		b.publish(&nats.Msg{Subject: events.DeadLetterSubject(key), Header: unchanged.Header, Data: unchanged.Data})
	}
	testkit.Equal(t, "requests", b.streamOf(events.StreamRequests).CachedInfo().State.Msgs, uint64(1))
	r := b.replay()
	testkit.Equal(t, "the unchanged one", r.Number, 1)
}

// large makes the headers so long that the reasons of a dead letter do not fit.
func large(msg *nats.Msg) *nats.Msg {
	msg.Header["X-Large"] = []string{strings.Repeat("x", 64<<10-300)}
	return msg
}

// A dead letter that refers to its original is not replayed with the message of a recreated stream at that sequence.
func TestReplayRejectsAnotherMessageAtItsSequence(t *testing.T) {
	t.Parallel()
	for name, msg := range map[string]func(b *bundle) *nats.Msg{
		"undecodable": func(*bundle) *nats.Msg { return large(garbage("please", "")) },
		"a request":   func(b *bundle) *nats.Msg { return large(b.request("order", "not an id")) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			h := b.start()
			sequence := b.publish(msg(b))
			b.awaitSettled()
			letter := b.found()
			testkit.Equal(t, "omitted", letter.Omitted, true)
			testkit.Equal(t, "hash", letter.Header.Get(hashHeader), bodyHash(msg(b).Data))
			number, err := b.letters().Check(t.Context(), letter)
			testkit.Must(t, err)
			testkit.Equal(t, "number", number, 1)
			h.stop(t)

			refused := func(what string) {
				t.Helper()
				_, err := b.letters().Replay(t.Context(), letter)
				Contains(t, what, err, fmt.Sprintf("another message at sequence %d", sequence), "request it again")
				if !errors.Is(err, ErrUnreplayable) {
					t.Errorf("%s: %v", what, err)
				}
				if _, err = b.letters().Check(t.Context(), letter); !errors.Is(err, ErrUnreplayable) {
					t.Errorf("%s, checked: %v", what, err)
				}
				if original, err := b.letters().Original(t.Context(), letter); !errors.Is(err, ErrUnreplayable) {
					t.Errorf("%s: the original is %.100v, %v", what, original, err)
				}
				testkit.Equal(t, "dead letter", b.found().Sequence, letter.Sequence)
			}
			letter.Header.Set(hashHeader, bodyHash([]byte("other")))
			refused("another hash")
			letter.Header.Del(hashHeader)
			testkit.Must(t, func() error { _, err := b.letters().Check(t.Context(), letter); return err }())
			letter.Stored = letter.Stored.Add(time.Nanosecond)
			refused("another time")
			letter = b.found()

			b.recreateRequests()
			testkit.Equal(t, "sequence of another customer's", b.publish(b.request("another", "umbrella")), sequence)
			refused("another message")
			b.recreateRequests()
			testkit.Equal(t, "sequence of the same again", b.publish(msg(b)), sequence)
			refused("the same body, stored later")
			testkit.Equal(t, "requests", b.streamOf(events.StreamRequests).CachedInfo().State.Msgs, uint64(1))

			// A dead letter of an earlier version has neither the stored time nor the hash.
			letter.Header.Del(storedHeader)
			letter.Header.Del(hashHeader)
			there := b.requested(sequence).Time
			if name == "undecodable" {
				letter.Key = events.RequestKey(events.StreamRequests, fmt.Sprint(sequence))
				refused("of an earlier version, stored later")
				letter.Time = there
			} else {
				letter.taken = there.Add(-clockTolerance - time.Nanosecond)
				refused("of an earlier version, stored after its dead letter")
				letter.taken = there.Add(-clockTolerance)
			}
			number, err = b.letters().Check(t.Context(), letter)
			testkit.Must(t, err)
			testkit.Equal(t, "number", number, 1)
		})
	}
}

// An undecodable message that is too large for its dead letter: the key is that of the original, which a replay
// publishes.
func TestReplayOfAnOmittedUndecodableMessage(t *testing.T) {
	b := newBundle(t)
	b.start()
	sequence := b.publish(large(garbage("please", "")))
	b.awaitSettled()
	old := b.found()
	testkit.Equal(t, "omitted", old.Omitted, true)
	testkit.Equal(t, "key", old.Key, b.undecodableKey(sequence))
	r := b.replay()
	b.awaitSettled()
	fresh := b.found()
	testkit.Equal(t, "key of the replay", fresh.Key, b.undecodableKey(r.Sequence))
	testkit.Equal(t, "returned", r.Key, fresh.Key)
	testkit.Equal(t, "replay", fresh.Replay, 1)
	b.counts(2, 1)
}
