package handler

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// redeliver has all requests delivered again, by a consumer that is created again, to another replica.
func (b *bundle) redeliver(h *running) *running {
	b.t.Helper()
	h.stop(b.t)
	testkit.Must(b.t, b.js.DeleteConsumer(b.t.Context(), events.StreamRequests, events.DurableConsumer))
	h = b.start()
	b.awaitSettled()
	return h
}

// recreateDeadLetters deletes the stream of dead letters and creates it again, empty.
func (b *bundle) recreateDeadLetters() {
	b.t.Helper()
	testkit.Must(b.t, b.js.DeleteStream(b.t.Context(), events.StreamDeadLetters))
	testkit.Must(b.t, b.config.Topology.Ensure(b.t.Context(), b.js))
}

// A confirmed dead letter belongs to the stream that has stored it. It is published again if that stream was lost, and
// not if an operator has removed it.
func TestDeadLetterBelongsToAStream(t *testing.T) {
	t.Parallel()
	remove := func(b *bundle) {
		testkit.Must(b.t, b.streamOf(events.StreamDeadLetters).DeleteMsg(b.t.Context(), b.deadLetter().Sequence))
	}
	byEarlierVersion := func(b *bundle) { // which does not record the stream
		for _, e := range b.db.entries {
			e.outcome.DeadLetterStream = ""
		}
	}
	for name, c := range map[string]struct {
		change  []func(*bundle)
		letters int
	}{
		"there":   {nil, 1},
		"removed": {[]func(*bundle){remove}, 0},
		"removed, and the server restarted": {[]func(*bundle){remove, func(b *bundle) {
			b.server.stop()
			b.server.start(b.t)
			b.eventually("the server answers", func() bool {
				_, err := b.js.Stream(b.t.Context(), events.StreamDeadLetters)
				return err == nil
			})
		}}, 0},
		"removed, and the stream edited": {[]func(*bundle){remove, func(b *bundle) {
			b.editStream(events.StreamDeadLetters, func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute })
		}}, 0},
		"stream made again":                  {[]func(*bundle){(*bundle).recreateDeadLetters}, 1},
		"removed, and the stream made again": {[]func(*bundle){remove, (*bundle).recreateDeadLetters}, 1},
		"earlier version, there":             {[]func(*bundle){byEarlierVersion}, 1},
		"earlier version, removed":           {[]func(*bundle){byEarlierVersion, remove}, 0},
		"earlier version, stream made again": {[]func(*bundle){byEarlierVersion, (*bundle).recreateDeadLetters}, 1},
		"stream lost, and made again when required": {[]func(*bundle){func(b *bundle) {
			testkit.Must(b.t, b.js.DeleteStream(b.t.Context(), events.StreamDeadLetters))
		}}, 1},
	} {
		for kind, msg := range map[string]func(*bundle) *nats.Msg{
			"request":          func(b *bundle) *nats.Msg { return b.request("order", "not an id") },
			"request, with id": func(b *bundle) *nats.Msg { return withID(b.request("order", "not an id"), "order-1") },
			"undecodable":      func(*bundle) *nats.Msg { return garbage("please", "") },
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				b := newBundle(t)
				h := b.start()
				b.publish(msg(b))
				b.awaitSettled()
				b.counts(1, 1)
				h.stop(t)
				for _, change := range c.change {
					change(b)
				}
				h = b.redeliver(h)
				b.counts(1, c.letters)
				// Whatever was lost then, what is removed now stays removed.
				if c.letters > 0 {
					remove(b)
				}
				b.redeliver(h)
				b.counts(1, 0)
			})
		}
	}
}

func withID(msg *nats.Msg, id string) *nats.Msg {
	msg.Header.Set(jetstream.MsgIDHeader, id)
	return msg
}

// A dead letter that is lost with its stream is published again and can be replayed.
func TestReplayOfADeadLetterWhoseStreamWasLost(t *testing.T) {
	b := newBundle(t)
	grant := b.denyPermission()
	h := b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	b.counts(1, 1)
	h.stop(t)
	b.recreateDeadLetters()
	b.redeliver(h)
	grant()
	b.replay()
	b.awaitSettled()
	b.counts(2, 0)
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PERMISSION_DENIED 1, PROVISIONED 1")
}

// replaced is a JetStream whose stream of dead letters is deleted and created again once, before or after a dead letter
// is stored.
type replaced struct {
	jetstream.JetStream
	recreate func()
	before   bool
	once     sync.Once
}

func (r *replaced) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	isLetter := strings.HasPrefix(msg.Subject, events.SubjectDeadLetterPrefix)
	if isLetter && r.before {
		r.once.Do(r.recreate)
	}
	ack, err := r.JetStream.PublishMsg(ctx, msg, opts...)
	if isLetter && err == nil {
		r.once.Do(r.recreate)
	}
	return ack, err
}

// The stream of dead letters is deleted and created again while a dead letter is published: the new one has it, and the
// ledger names the new one.
func TestDeadLetterWhoseStreamIsReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"before it is stored": true, "after it is stored": false} {
		for _, id := range []string{"", "order-1"} {
			t.Run(name+", id "+id, func(t *testing.T) {
				b := newBundle(t)
				msg := b.request("order", "not an id")
				if id != "" {
					withID(msg, id)
				}
				js := &replaced{JetStream: b.js, before: before, recreate: b.recreateDeadLetters}
				h := b.start(func(c *Config) { c.JetStream = js })
				b.publish(msg)
				b.awaitSettled()
				b.counts(1, 1)
				b.ledger(func(e *ledgerRow) {
					testkit.Equal(t, "confirmed", e.outcome.DeadLetterConfirmed, true)
					testkit.Equal(t, "stream", e.outcome.DeadLetterStream, b.deadLetterStream())
				})
				b.redeliver(h)
				b.counts(1, 1)
			})
		}
	}
}
