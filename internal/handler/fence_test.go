package handler

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// intercepted is a JetStream that calls before ahead of the first publication on a subject with the prefix, as if the
// process froze there.
type intercepted struct {
	jetstream.JetStream
	prefix string
	msg    *nats.Msg    // the message to be published
	before func() error // on an error that publication fails, unsent
	after  func()       // called once the publication is stored; its confirmation is lost
	once   sync.Once
}

func (i *intercepted) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	var err error
	if strings.HasPrefix(msg.Subject, i.prefix) {
		i.once.Do(func() {
			i.msg = msg
			if i.before != nil {
				err = i.before()
				return
			}
			if _, err = i.JetStream.PublishMsg(ctx, msg, opts...); err == nil {
				i.after()
				err = errInjected
			}
		})
	}
	if err != nil {
		return nil, err
	}
	return i.JetStream.PublishMsg(ctx, msg, opts...)
}

// ledger changes the ledger's row of the request "order", as another replica would.
func (b *bundle) ledger(change func(e *ledgerRow)) {
	b.db.mu.Lock()
	defer b.db.mu.Unlock()
	change(b.db.entries[events.RequestKey(billing, "order")])
}

// provisionedBy is the success that another replica has recorded for that replay.
func provisionedBy(replay int) pipeline.Outcome {
	e, err := events.NewProvisioned(events.Outcome{
		ID: events.OutcomeID(billing, "order", replay, events.TypeProvisioned), Source: "/other", Time: time.Now(),
	}, events.Provisioned{TenantID: "acme", Replay: replay, Request: events.Request{Source: billing, ID: "order"}})
	if err != nil {
		panic(err)
	}
	_, body, err := events.Encode(e)
	if err != nil {
		panic(err)
	}
	return pipeline.Outcome{ID: e.ID(), Type: e.Type(), Body: body}
}

// Other processes act while a replica is about to publish or is disconnected from NATS: each try checks again.
func TestPublicationsMatchTheLedger(t *testing.T) {
	t.Parallel()
	superseded := func(b *bundle, _ *nats.Msg) { // replayed, and provisioned
		b.ledger(func(e *ledgerRow) { *e = ledgerRow{replay: 1, attempts: 1, outcome: provisionedBy(1)} })
	}
	running := func(b *bundle, _ *nats.Msg) { // replayed, and running
		b.ledger(func(e *ledgerRow) { *e = ledgerRow{replay: 1, attempts: 1} })
	}
	published := func(b *bundle, by *nats.Msg) *jetstream.RawStreamMsg { // the same dead letter, by another replica
		msg := nats.NewMsg(by.Subject)
		for _, name := range []string{nonceHeader, replayHeader, jetstream.MsgIDHeader} {
			msg.Header.Set(name, by.Header.Get(name))
		}
		msg.Header.Set("Dead-Letter-By", "another replica")
		b.publish(msg)
		in := b.deadLetterStream()
		b.ledger(func(e *ledgerRow) { e.outcome.DeadLetterConfirmed, e.outcome.DeadLetterStream = true, in })
		return b.deadLetter()
	}
	removed := func(b *bundle, by *nats.Msg) { // and removed by an operator
		testkit.Must(b.t, b.streamOf(events.StreamDeadLetters).DeleteMsg(b.t.Context(), published(b, by).Sequence))
	}
	for name, c := range map[string]struct {
		tenant   string // "not an id": the request fails
		at       string // the publication before which change is called
		fails    bool   // that publication fails, unsent: the next try checks again
		change   func(b *bundle, by *nats.Msg)
		outcomes string
		letters  int
		by       string // Dead-Letter-By of the remaining dead letter
	}{
		"dead letter, provisioned since": {
			"not an id", events.SubjectDeadLetterPrefix, true, superseded, "PROVISIONED 1", 0, "",
		},
		"dead letter in flight, published and removed by others": {
			"not an id", events.SubjectDeadLetterPrefix, false, removed, "INVALID_TENANT_ID 1", 0, "",
		},
		"dead letter in flight, published by others": {
			"not an id", events.SubjectDeadLetterPrefix, false, func(b *bundle, by *nats.Msg) { published(b, by) },
			"INVALID_TENANT_ID 1", 1, "another replica",
		},
		"dead letter, published and removed by others": {
			"not an id", events.SubjectDeadLetterPrefix, true, removed, "INVALID_TENANT_ID 1", 0, "",
		},
		"dead letter, replayed and running": {
			"not an id", events.SubjectDeadLetterPrefix, true, func(b *bundle, by *nats.Msg) {
				running(b, by)
				b.db.set(nil)
			}, "INVALID_TENANT_ID 1", 1, "", // of the replay, by the next delivery
		},
		"failed event, provisioned since": {
			"not an id", events.TypeProvisioningFailed, true, func(b *bundle, by *nats.Msg) {
				testkit.Must(b.t, b.streamOf(events.StreamDeadLetters).Purge(b.t.Context()))
				superseded(b, by)
			}, "PROVISIONED 1", 0, "",
		},
		"success, lost by the ledger": {
			"acme", events.TypeProvisioned, true, func(b *bundle, _ *nats.Msg) {
				b.db.mu.Lock()
				defer b.db.mu.Unlock()
				delete(b.db.entries, events.RequestKey(billing, "order"))
				delete(b.db.tenants, "acme")
			}, "PROVISIONED 1", 0, "", // of the attempt of the next delivery
		},
		"no change": {"not an id", events.SubjectDeadLetterPrefix, true, func(*bundle, *nats.Msg) {}, "INVALID_TENANT_ID 1", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			js := &intercepted{JetStream: b.js, prefix: c.at}
			js.before = func() error {
				c.change(b, js.msg)
				if c.fails {
					return errInjected
				}
				return nil
			}
			b.start(func(c *Config) { c.JetStream = js })
			b.publish(b.request("order", c.tenant))
			b.awaitSettled()
			testkit.Equal(t, "outcomes", causes(t, b.outcomes()), c.outcomes)
			b.db.mu.Lock()
			testkit.Equal(t, "acme is registered, as its outcome says", b.db.tenants["acme"], c.tenant == "acme")
			b.db.mu.Unlock()
			letters := b.stored(events.StreamDeadLetters)
			testkit.Equal(t, "dead letters", len(letters), c.letters)
			if len(letters) == 1 {
				testkit.Equal(t, "Dead-Letter-By", letters[0].Header.Get("Dead-Letter-By"), c.by)
			}
		})
	}
}

// The confirmation of a dead letter is lost, and an operator acts before the next try.
func TestDeadLetterWhoseConfirmationIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id     string // Nats-Msg-Id of the original
		remove bool
	}{
		"removed": {"", true}, "removed, with an id": {"publisher-1", true}, "stored": {"", false}, "stored, with an id": {"publisher-1", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			var sequence uint64
			js := &intercepted{JetStream: b.js, prefix: events.SubjectDeadLetterPrefix, after: func() {
				sequence = b.deadLetter().Sequence
				if c.remove {
					testkit.Must(t, b.streamOf(events.StreamDeadLetters).DeleteMsg(t.Context(), sequence))
				}
			}}
			b.start(func(config *Config) { config.JetStream = js })
			msg := b.request("order", "not an id")
			if c.id != "" {
				msg.Header.Set(jetstream.MsgIDHeader, c.id)
			}
			b.publish(msg)
			b.awaitSettled()
			if c.remove {
				b.counts(1, 0)
			} else {
				b.counts(1, 1)
				testkit.Equal(t, "sequence", b.deadLetter().Sequence, sequence)
			}
			b.ledger(func(e *ledgerRow) { testkit.Equal(t, "confirmed", e.outcome.DeadLetterConfirmed, true) })
		})
	}
}

// contended is a JetStream in which another message is published ahead of a dead letter, on its subject, left times.
type contended struct {
	jetstream.JetStream
	left atomic.Int64
}

func (c *contended) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if strings.HasPrefix(msg.Subject, events.SubjectDeadLetterPrefix) && c.left.Add(-1) >= 0 {
		if _, err := c.JetStream.Publish(ctx, msg.Subject, nil); err != nil {
			return nil, err
		}
	}
	return c.JetStream.PublishMsg(ctx, msg, opts...)
}

// A try that was rejected because another message was stored first is not stored. Here the original has the Nats-Msg-Id
// of a removed dead letter; this one must not count as stored.
func TestDeadLetterWithATakenIDAfterAConflict(t *testing.T) {
	b := newBundle(t)
	other := nats.NewMsg(events.DeadLetterSubject("other"))
	other.Header.Set(jetstream.MsgIDHeader, "50%41")
	ack, err := b.js.PublishMsg(t.Context(), other)
	testkit.Must(t, err)
	testkit.Must(t, b.streamOf(events.StreamDeadLetters).DeleteMsg(t.Context(), ack.Sequence))
	js := &contended{JetStream: b.js}
	js.left.Store(1)
	b.start(func(c *Config) { c.JetStream = js })
	msg := b.request("order", "not an id")
	msg.Header.Set(jetstream.MsgIDHeader, "50%41")
	b.publish(msg)
	b.awaitSettled()
	letter, err := b.letters().Find(t.Context(), events.RequestKey(billing, "order"))
	testkit.Must(t, err)
	original, err := b.letters().Original(t.Context(), letter)
	testkit.Must(t, err)
	testkit.Equal(t, "the original's id", original.Header.Get(jetstream.MsgIDHeader), "50%41")
}

// A client that publishes to the stream of dead letters continuously delays a dead letter: the service is not ready.
func TestNotReadyWhileEveryPublicationConflicts(t *testing.T) {
	b := newBundle(t)
	js := &contended{JetStream: b.js}
	js.left.Store(1 << 30)
	h := b.start(func(c *Config) { c.JetStream = js })
	b.publish(b.request("order", "not an id"))
	b.eventually("the service is not ready", func() bool { return isWrongSequence(h.Err()) })
	js.left.Store(0)
	b.awaitSettled()
	b.eventually("the service is ready", func() bool { return h.Err() == nil })
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "INVALID_TENANT_ID 1")
}

// In each form a dead letter has an id by which the server detects a duplicate after a lost confirmation.
func TestEachFormOfADeadLetterHasAnID(t *testing.T) {
	full := nats.NewMsg(events.DeadLetterSubject("key"))
	full.Header.Set(nonceHeader, "nonce")
	full.Header.Set(jetstream.MsgIDHeader, "the publisher's")
	for i, form := range deadLetterForms(full)[1:] {
		testkit.Equal(t, fmt.Sprint("id of form ", i), form.Header.Get(jetstream.MsgIDHeader), "dead-letter.nonce")
	}
}

// If nothing is left to publish after a failed try, the service is ready again.
func TestReadyAfterAPublicationThatIsDropped(t *testing.T) {
	b := newBundle(t)
	h := b.start()
	for _, last := range []error{errSuperseded, errStored, errConfirmed} {
		tries := 0
		_, err := h.publish(t.Context(), nats.NewMsg(events.TypeProvisioned), events.StreamEvents,
			func(context.Context) ([]jetstream.PublishOpt, error) {
				if tries++; tries > 1 {
					return nil, last
				}
				return nil, errInjected
			})
		if !errors.Is(err, last) || h.Err() != nil {
			t.Errorf("after %v: %v, not ready: %v", last, err, h.Err())
		}
	}
}

// While the ledger cannot be read, nothing is published.
func TestNothingIsPublishedWhileTheLedgerCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{events.SubjectDeadLetterPrefix, events.TypeProvisioningFailed} {
		t.Run(subject, func(t *testing.T) {
			b := newBundle(t)
			var unplugged atomic.Bool
			js := &intercepted{JetStream: b.js, prefix: subject, before: func() error {
				b.db.unplug()
				unplugged.Store(true)
				return errInjected
			}}
			h := b.start(func(c *Config) { c.JetStream = js })
			b.publish(b.request("order", "not an id"))
			b.eventually("Err reports the outage", func() bool {
				err := h.Err()
				return unplugged.Load() && err != nil && strings.Contains(err.Error(), errOutage.Message)
			})
			testkit.Equal(t, "outcomes", len(b.outcomes()), 0)
			b.db.plug()
			b.awaitSettled()
			b.counts(1, 1)
			b.eventually("the service is ready", func() bool { return h.Err() == nil })
		})
	}
}

// Replicas that publish many dead letters at once conflict with each other, and all of them succeed.
func TestManyDeadLettersOfManyReplicas(t *testing.T) {
	b := newBundle(t)
	b.config.Workers = 8
	for range 3 {
		b.start()
	}
	const n = 300
	for i := range n {
		_, err := b.js.PublishMsgAsync(b.request(fmt.Sprint(i), "not an id"))
		testkit.Must(t, err)
	}
	testkit.Receive(t, "all are stored", b.js.PublishAsyncComplete())
	b.awaitSettled()
	b.counts(n, n)
	testkit.Equal(t, "delivered", b.delivered(), n)
}

// A dead letter that the stream rejects blocks no worker: the request continues with a smaller one, or without one,
// which is logged.
func TestDeadLetterThatIsRejected(t *testing.T) {
	t.Parallel()
	limit := func(size int32) func(*jetstream.StreamConfig) {
		return func(c *jetstream.StreamConfig) { c.MaxMsgSize = size }
	}
	for name, c := range map[string]struct {
		change   func(*jetstream.StreamConfig)
		letters  int
		unstored int32
	}{
		"max_msg_size 1":    {limit(1), 0, 1},
		"max_msg_size 100":  {limit(100), 0, 1},
		"max_msg_size 900":  {limit(900), 1, 0}, // only the headers that identify it
		"max_msg_size 4000": {limit(4000), 1, 0},
		"sealed":            {func(c *jetstream.StreamConfig) { c.Sealed = true }, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			b.config.CheckInterval = time.Hour // most of these limits contradict the contract
			var unstored atomic.Int32
			h := b.start(func(c *Config) { c.OnDeadLetterRefused = func() { unstored.Add(1) } })
			config := b.streamOf(events.StreamDeadLetters).CachedInfo().Config
			c.change(&config)
			_, err := b.js.UpdateStream(t.Context(), config)
			testkit.Must(t, err)
			bad := b.request("order", strings.Repeat("not an id ", 200))
			bad.Header["X-Large"] = []string{strings.Repeat("x", 8000)}
			b.publish(bad, b.request("good", "acme"))
			b.awaitSettled()
			testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "INVALID_TENANT_ID 1, PROVISIONED 1")
			testkit.Equal(t, "dead letters", len(b.stored(events.StreamDeadLetters)), c.letters)
			testkit.Equal(t, "failures without a dead letter", unstored.Load(), c.unstored)
			if err := h.Err(); err != nil {
				t.Errorf("not ready: %v", err)
			}
			if c.letters == 1 {
				replayed := b.replay()
				b.awaitSettled()
				testkit.Equal(t, "replay", replayed.Number, 1)
				testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "INVALID_TENANT_ID 2, PROVISIONED 1")
			}
		})
	}
}

// Every error with which JetStream can reject a publication. A refusal is permanent: the message itself is at fault.
// Temporary errors are retried.
func TestEveryErrorOfPublishing(t *testing.T) {
	t.Parallel()
	temporary := map[server.ErrorIdentifier]bool{ // of the 4xx
		server.JSAccountResourcesExceededErr: true, server.JSNoLimitsErr: true, server.JSStreamWrongLastSequenceErrF: true,
		server.JSStreamWrongLastSequenceConstantErr: true,
	}
	for id, known := range server.ApiErrors {
		api := &jetstream.APIError{Code: known.Code, ErrorCode: jetstream.ErrorCode(known.ErrCode), Description: known.Description}
		want := (known.Code == 400 || known.Code == 412) && !temporary[id]
		if got := isRefusal(fmt.Errorf("publish: %w", api)); got != want {
			t.Errorf("%d %s: refusal %v, want %v", known.ErrCode, known.Description, got, want)
		}
	}
	for err, want := range map[error]bool{
		nats.ErrMaxPayload: true, nats.ErrBadHeaderMsg: true, nats.ErrBadSubject: true, nats.ErrHeadersNotSupported: true,
		nats.ErrTimeout: false, nats.ErrNoResponders: false, jetstream.ErrNoStreamResponse: false, nats.ErrDisconnected: false,
		nats.ErrConnectionClosed: false, nats.ErrPermissionViolation: false, context.DeadlineExceeded: false,
		errors.New("anything else"): false,
	} {
		if got := isRefusal(fmt.Errorf("publish: %w", err)); got != want {
			t.Errorf("%v: refusal %v, want %v", err, got, want)
		}
	}
}

// Header names that the client library cannot write block no worker. A replay escapes them and reports them.
func TestHeaderNamesThatCannotBeWritten(t *testing.T) {
	b := newBundle(t)
	grant := b.denyPermission()
	b.start()
	raw := b.server.rawPublisher(t)
	names := []string{
		"Content Type", "Ünï", "X\x1b[31m", "X\tY", "X\x00Y", "X\x7fY", " X", "X ", "X/Y", "X(Y)", "X@Y", "X\"Y", "X{Y}", "X\\Y",
		"Status", "Description", "Nats-Pin-Id",
	}
	for i, name := range names {
		body := string(b.request(fmt.Sprint(i), fmt.Sprintf("tenant_%d", i)).Data)
		raw.publish(events.TypeRequested, "NATS/1.0\r\n"+name+": v%0A1\r\nX-Plain: stays", body)
	}
	b.eventually("all messages are stored", func() bool {
		return b.streamOf(events.StreamRequests).CachedInfo().State.LastSeq == uint64(len(names))
	})
	b.awaitSettled()
	b.counts(len(names), len(names))
	letters := b.list(Filter{})
	for _, letter := range letters {
		original, err := b.letters().Original(t.Context(), letter)
		testkit.Must(t, err)
		delete(original.Header, "X-Plain")
		for name, values := range original.Header {
			if !slices.Contains(names, name) || values[0] != "v%0A1" {
				t.Errorf("the original has the header %q: %q", name, values)
			}
		}
		testkit.Equal(t, "headers", len(original.Header), 1)
	}
	// Fails again under its escaped name, then succeeds.
	for _, letter := range letters {
		_, err := b.letters().Replay(t.Context(), letter)
		testkit.Must(t, err)
	}
	b.awaitSettled()
	b.counts(2*len(names), len(names))
	grant()
	seen := map[string]bool{}
	for _, letter := range b.list(Filter{}) {
		r, err := b.letters().Replay(t.Context(), letter)
		testkit.Must(t, err)
		testkit.Equal(t, "headers not restored", len(r.NotRestored), 1)
		seen[r.NotRestored[0]] = true
		testkit.Equal(t, "another header", b.requested(r.Sequence).Header.Get("X-Plain"), "stays")
	}
	testkit.Equal(t, "names", strings.Join(slices.Sorted(maps.Keys(seen)), "|"), strings.Join(slices.Sorted(slices.Values(names)), "|"))
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), fmt.Sprintf("PERMISSION_DENIED %d, PROVISIONED %d", 2*len(names), len(names)))
}

// A replay without an attribute, whose header cannot be written, would be a different event: it is rejected.
func TestReplayPublishesNoOtherEvent(t *testing.T) {
	b := newBundle(t)
	b.start()
	raw := b.server.rawPublisher(t)
	raw.publish(events.TypeRequested, "NATS/1.0\r\nce-bad name: v\r\nX-Y: z", string(b.request("order", "acme").Data))
	b.eventually("the message is stored", func() bool { return b.streamOf(events.StreamRequests).CachedInfo().State.LastSeq == 1 })
	b.awaitSettled()
	testkit.Equal(t, "cause", b.failure().Cause.Code, events.CauseUndecodableEvent)
	if _, err := b.letters().Replay(t.Context(), b.found()); !errors.Is(err, ErrUnreplayable) || !containsText(err, "ce-bad name") {
		t.Errorf("replayed: %v", err)
	}
	b.counts(1, 1)
}

// A publisher that could predict the id of a replay could make the server drop it. None can; if the server reports
// a duplicate, the stored message is compared.
func TestReplayWhoseIDIsTaken(t *testing.T) {
	b := newBundle(t)
	grant := b.denyPermission()
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	grant()
	letter := b.found()
	taken := nats.NewMsg(events.TypeRequested)
	taken.Header.Set(jetstream.MsgIDHeader, "replay.1."+reasons(b.deadLetter())["Nonce"])
	b.publish(taken)
	r, err := b.letters().Replay(t.Context(), letter)
	testkit.Must(t, err)
	testkit.Equal(t, "repeated", r.Repeated, false)
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PERMISSION_DENIED 1, PROVISIONED 1, UNDECODABLE_EVENT 1")
}

// An operator replays a dead letter that is older than the ledger's state. Its number is known, so it is a redelivery,
// and no dead letter is lost.
func TestReplayWhoseNumberIsKnownKeepsTheDeadLetter(t *testing.T) {
	b := newBundle(t)
	grant := b.denyPermission()
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	stale := b.deadLetter()
	b.replay() // fails: the ledger is at 1
	b.awaitSettled()
	// An earlier version, or another client with permission, publishes the first one again.
	again := &nats.Msg{Subject: stale.Subject, Header: stale.Header, Data: stale.Data}
	again.Header.Del(jetstream.ExpectedLastSubjSeqHeader)
	again.Header.Del(jetstream.MsgIDHeader)
	b.publish(again)
	testkit.Equal(t, "replay of the stale dead letter", b.found().Replay, 0)
	testkit.Equal(t, "number", b.replay().Number, 1)
	b.awaitSettled()
	testkit.Equal(t, "replay of the dead letter", b.found().Replay, 1)
	b.counts(2, 1)
	// A redelivery of that message does not restore a removed dead letter.
	testkit.Must(t, b.streamOf(events.StreamDeadLetters).DeleteMsg(t.Context(), b.deadLetter().Sequence))
	testkit.Must(t, b.js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
	b.eventually("all messages are redelivered", func() bool {
		consumer, err := b.js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
		return err == nil && consumer.CachedInfo().AckFloor.Stream == b.streamOf(events.StreamRequests).CachedInfo().State.LastSeq
	})
	grant()
}

// The marker of TestMarkersAreNotRequests, stored by the server itself.
func TestMarkerOfAnExpiredMessage(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval = time.Hour // such a stream contradicts the contract
	b.start()
	b.editStream(events.StreamRequests, func(c *jetstream.StreamConfig) {
		c.AllowMsgTTL, c.SubjectDeleteMarkerTTL = true, 2*time.Second
	})
	request := b.request("order", "acme")
	request.Header.Set("Nats-TTL", "5s") // after it is delivered
	b.publish(request)
	b.eventually("the server has stored a marker", func() bool {
		return b.streamOf(events.StreamRequests).CachedInfo().State.LastSeq == 2
	})
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 1")
}

// A marker that the server stores for messages that expired or were purged is not a request, and has no dead letter.
func TestMarkersAreNotRequests(t *testing.T) {
	b := newBundle(t)
	b.start()
	raw := b.server.rawPublisher(t)
	for _, reason := range []string{"MaxAge", "Purge", "Remove"} {
		raw.publish(events.TypeRequested, "NATS/1.0\r\nNats-Marker-Reason: "+reason, "")
		raw.publish(events.DeadLetterSubject(strings.ToLower(reason)), "NATS/1.0\r\nNats-Marker-Reason: "+reason, "")
	}
	// A publisher's own message is a request, whatever its headers.
	forged := string(b.request("order", "acme").Data)
	raw.publish(events.TypeRequested, "NATS/1.0\r\nNats-Marker-Reason: MaxAge", forged)
	b.eventually("all messages are stored", func() bool { return b.streamOf(events.StreamRequests).CachedInfo().State.LastSeq == 4 })
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 1")
	testkit.Equal(t, "dead letters listed", len(b.list(Filter{})), 0)
}

// A message with the ledger's number is a redelivery: it replaces no dead letter with its own body.
func TestReplayNumberReplacesNoDeadLetter(t *testing.T) {
	b := newBundle(t)
	b.denyPermission()
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	b.replay()
	b.awaitSettled()
	letter := b.deadLetter()
	for _, number := range []string{"1", "0", "-1"} {
		forged := b.request("order", "acme")
		forged.Data = append(forged.Data, ' ')
		forged.Header.Set(ReplayHeader, number)
		b.publish(forged)
	}
	b.awaitSettled()
	testkit.Equal(t, "sequence of the dead letter", b.deadLetter().Sequence, letter.Sequence)
	b.counts(2, 1)
}

// A client that may publish outcomes can use the computable id of one first. The outcome is still published.
func TestOutcomeWhoseIDIsTaken(t *testing.T) {
	b := newBundle(t)
	b.start()
	taken := nats.NewMsg(events.TypeProvisioned)
	taken.Header.Set(jetstream.MsgIDHeader, events.OutcomeID(billing, "order", 0, events.TypeProvisioned))
	taken.Data = []byte("something else")
	b.publish(taken)
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	msg, err := GetMessage(t.Context(), b.js, events.StreamEvents, StoredMessage{LastFor: events.TypeProvisioned})
	testkit.Must(t, err)
	e, err := events.Decode(msg.Header, msg.Data)
	testkit.Must(t, err)
	testkit.Equal(t, "id", e.ID(), events.OutcomeID(billing, "order", 0, events.TypeProvisioned))
}

// Headers that the client cannot parse are dropped. The dead letter names the stream and sequence of the original.
func TestHeadersThatCannotBeRead(t *testing.T) {
	b := newBundle(t)
	b.start()
	raw := b.server.rawPublisher(t)
	raw.publish(events.TypeRequested, "NATS/1.0\r\nce-id: 1\r\nno colon\r\nX: y", "not JSON")
	raw.publish(events.TypeRequested, "NATS/1.0\r\nno colon", string(b.request("order", "acme").Data))
	b.eventually("all messages are stored", func() bool { return b.streamOf(events.StreamRequests).CachedInfo().State.LastSeq == 2 })
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 1, UNDECODABLE_EVENT 1")
	if got := reasons(b.deadLetter()); got["Unreadable-Headers"] == "" || !strings.Contains(got["Message"], "headers cannot be read") {
		t.Errorf("the dead letter does not report it: %v", got)
	}
	_, r, err := b.letters().prepare(t.Context(), b.found())
	testkit.Must(t, err)
	testkit.Equal(t, "not restored", strings.Join(r.NotRestored, "|"), "all, which cannot be read")
}

// A reader of a stream that was deleted and recreated reads the messages of the new one.
func TestReaderOfARecreatedStream(t *testing.T) {
	b := newBundle(t)
	for range 5 {
		b.publish(nats.NewMsg(events.TypeProvisioned))
	}
	reader, err := OpenReader(t.Context(), b.js, events.StreamEvents, ReadFrom{Start: true})
	testkit.Must(t, err)
	defer reader.Close(t.Context())
	for range 5 {
		_, err := reader.Next(t.Context())
		testkit.Must(t, err)
	}
	testkit.Must(t, b.js.DeleteStream(t.Context(), events.StreamEvents))
	err = b.config.Topology.Ensure(t.Context(), b.js)
	testkit.Must(t, err)
	msg := nats.NewMsg(events.TypeProvisioned)
	msg.Data = []byte("new")
	b.publish(msg)
	got, err := reader.Next(t.Context())
	testkit.Must(t, err)
	testkit.Equal(t, "message", string(got.Data), "new")
}
