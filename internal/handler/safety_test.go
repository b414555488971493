package handler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// A request is acknowledged only after its outcome is stored: invariant 1.
func TestNothingIsSettledBeforeItsOutcomeIsStored(t *testing.T) {
	t.Parallel()
	const always = 1 << 30
	invalid := func(b *bundle) *nats.Msg { return b.request("order", "not an id") }
	garbage := func(*bundle) *nats.Msg { return nats.NewMsg(events.TypeRequested) }
	valid := func(b *bundle) *nats.Msg { return b.request("order", "acme") }
	for name, c := range map[string]struct {
		message                     func(*bundle) *nats.Msg
		fails                       string
		lost                        bool // the publication is stored, its PubAck lost
		outcomes, letters           int  // while it fails
		outcomesAfter, lettersAfter int  // after recovery
	}{
		"success, no outcome":         {message: valid, fails: events.TypeProvisioned, outcomesAfter: 1},
		"success, PubAck lost":        {message: valid, fails: events.TypeProvisioned, lost: true, outcomes: 1, outcomesAfter: 1},
		"failure, no dead letter":     {message: invalid, fails: events.SubjectDeadLetterPrefix, outcomesAfter: 1, lettersAfter: 1},
		"failure, no outcome":         {message: invalid, fails: events.TypeProvisioningFailed, letters: 1, outcomesAfter: 1, lettersAfter: 1},
		"failure, outcome's ack lost": {message: invalid, fails: events.TypeProvisioningFailed, lost: true, outcomes: 1, letters: 1, outcomesAfter: 1, lettersAfter: 1},
		"undecodable, no dead letter": {message: garbage, fails: events.SubjectDeadLetterPrefix, outcomesAfter: 1, lettersAfter: 1},
		"undecodable, no outcome":     {message: garbage, fails: events.TypeProvisioningFailed, letters: 1, outcomesAfter: 1, lettersAfter: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			js := newFaulty(b.js)
			faults := js.before
			if c.lost {
				faults = js.after
			}
			faults[c.fails] = always
			h := b.start(func(c *Config) { c.JetStream = js })
			b.publish(c.message(b))
			for range 3 {
				testkit.Receive(t, "a failed publication", js.failed)
			}
			testkit.Equal(t, "acknowledgements pending", b.consumer().NumAckPending, 1)
			b.counts(c.outcomes, c.letters)
			if err := h.Err(); !errors.Is(err, errInjected) {
				t.Errorf("Err is %v, want the error of the publication", err)
			}
			js.heal()
			b.awaitSettled()
			b.counts(c.outcomesAfter, c.lettersAfter)
			b.eventually("the handler is ready", func() bool { return h.Err() == nil })
			testkit.Equal(t, "deliveries", b.consumer().Delivered.Consumer, 1)
		})
	}
}

// A failure publishes its dead letter, then its outcome.
func TestDeadLetterComesBeforeTheOutcome(t *testing.T) {
	b := newBundle(t)
	js := newFaulty(b.js)
	b.start(func(c *Config) { c.JetStream = js })
	b.publish(b.request("order", "not an id"))
	b.awaitSettled()
	js.mu.Lock()
	defer js.mu.Unlock()
	testkit.Equal(t, "publications", strings.Join(js.published, " "),
		events.DeadLetterSubject(events.RequestKey(billing, "order"))+" "+events.TypeProvisioningFailed)
}

// If a process ends between two durable steps, the next one completes the delivery with the same outcome and no second
// dead letter.
func TestNextProcessCompletesAnInterruptedDelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tenant, fails string
		lost          bool
	}{
		"success recorded":          {tenant: "acme", fails: events.TypeProvisioned},
		"success published":         {tenant: "acme", fails: events.TypeProvisioned, lost: true},
		"failure recorded":          {tenant: "not an id", fails: events.SubjectDeadLetterPrefix},
		"dead letter stored":        {tenant: "not an id", fails: events.SubjectDeadLetterPrefix, lost: true},
		"dead letter confirmed":     {tenant: "not an id", fails: events.TypeProvisioningFailed},
		"failed outcome published":  {tenant: "not an id", fails: events.TypeProvisioningFailed, lost: true},
		"dead letter with a msg id": {tenant: "not an id", fails: events.TypeProvisioningFailed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			js := newFaulty(b.js)
			if c.lost {
				js.after[c.fails] = 1 << 30
			} else {
				js.before[c.fails] = 1 << 30
			}
			first := b.start(func(c *Config) { c.JetStream, c.DrainTimeout = js, time.Millisecond })
			msg := b.request("order", c.tenant)
			if strings.HasSuffix(name, "msg id") {
				msg.Header.Set(jetstream.MsgIDHeader, "publisher-1")
			}
			b.publish(msg)
			testkit.Receive(t, "a failed publication", js.failed)
			first.stop(t)

			begin := time.Now()
			b.start()
			b.awaitSettled()
			if took := time.Since(begin); took > b.config.Topology.AckWait/2 {
				t.Errorf("the message was redelivered after %s: it was not released", took)
			}
			want := events.OutcomeID(billing, "order", 0, events.TypeProvisioningFailed)
			letters := 1
			if c.tenant == "acme" {
				want, letters = events.OutcomeID(billing, "order", 0, events.TypeProvisioned), 0
			}
			testkit.Equal(t, "outcome id", b.outcome().ID(), want)
			b.counts(1, letters)
		})
	}
}

// While a stream is deleted, requests wait. The handler recreates it, or, if it may not, continues once an operator
// recreates it.
func TestDeletedStreamStopsAcknowledging(t *testing.T) {
	t.Parallel()
	for stream, tenant := range map[string]string{events.StreamEvents: "acme", events.StreamDeadLetters: "not an id"} {
		for _, manage := range []bool{true, false} {
			t.Run(fmt.Sprint(stream, ", managed ", manage), func(t *testing.T) {
				b := newBundle(t)
				b.config.Topology.Manage = manage
				h := b.start()
				testkit.Must(t, b.js.DeleteStream(t.Context(), stream))
				b.publish(b.request("order", tenant))
				if !manage {
					b.eventually("Err names the stream", func() bool {
						err := h.Err()
						return err != nil && strings.Contains(err.Error(), stream)
					})
					testkit.Equal(t, "acknowledgements pending", b.consumer().NumAckPending, 1)
					again := b.config.Topology
					again.Manage = true
					err := again.Ensure(t.Context(), b.js)
					testkit.Must(t, err)
				}
				b.awaitSettled()
				testkit.Equal(t, "outcomes", len(b.outcomes()), 1)
				b.eventually("ready", func() bool { return h.Err() == nil })
			})
		}
	}
}

// The server becomes unavailable before an outcome is published, and restarts with its files.
func TestServerRestartLosesNothing(t *testing.T) {
	b := newBundle(t)
	entered, release := b.block()
	h := b.start()
	b.publishTenants(4)
	testkit.Receive(t, "work begins", entered)
	testkit.Receive(t, "work begins on the second worker", entered)
	b.server.stop()
	release()
	b.eventually("not ready", func() bool { return h.Err() != nil })
	b.server.start(t)
	b.eventually("the client is reconnected", b.config.Conn.IsConnected)
	b.awaitSettled()
	b.counts(4, 0)
	b.eventually("ready", func() bool { return h.Err() == nil })
	testkit.Equal(t, "attempts of a request", b.db.attempts("order-tenant_0"), 1)
}

// A publication without a PubAck ends at its own timeout, or at the end of the drain.
func TestPublicationWaitsNoLongerThanTheDrain(t *testing.T) {
	b := newBundle(t)
	js := &silent{JetStream: b.js, published: make(chan struct{}, 10), ended: make(chan error, 10)}
	h := b.start(func(c *Config) { c.JetStream, c.DrainTimeout = js, time.Millisecond })
	b.publish(b.request("order", "acme"))
	testkit.Receive(t, "a publication", js.published)
	h.stop(t)
	testkit.Equal(t, "error of the publication", testkit.Receive(t, "its error", js.ended), context.Canceled) // not its timeout
	b.start()
	b.awaitSettled()
	b.counts(1, 0)
}

// silent is a JetStream that never confirms.
type silent struct {
	jetstream.JetStream
	published chan struct{}
	ended     chan error
}

func (s *silent) PublishMsg(ctx context.Context, _ *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	s.published <- struct{}{}
	<-ctx.Done()
	s.ended <- ctx.Err()
	return nil, ctx.Err()
}

// A panic between the steps affects one delivery: its message is redelivered, other work continues.
func TestPanicAffectsOneDelivery(t *testing.T) {
	b := newBundle(t)
	b.db.claimPanics = 2
	b.start()
	b.publishTenants(5)
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 5")
	testkit.Equal(t, "deliveries", b.delivered(), 7)
}

// The worker for which a half-open breaker waits may panic.
func TestPanicWhileTheBreakerIsHalfOpen(t *testing.T) {
	b := newBundle(t)
	b.config.Workers = 1
	h := b.start()
	b.db.unplug()
	b.publish(b.request("order-a", "a"))
	b.eventually("the outage is detected", func() bool { return h.Err() != nil })
	b.db.mu.Lock()
	b.db.claimPanics, b.db.unavailable = 3, nil
	b.db.mu.Unlock()
	b.publish(b.request("order-b", "b"))
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 2")
	b.eventually("Err is nil again", func() bool { return h.Err() == nil })
}

// However many requests wait for a retry, others are pulled.
func TestRetriedRequestsBlockNoOthers(t *testing.T) {
	b := newBundle(t)
	const most, postponed = 10, 30
	was := b.consumer().Config
	testkit.Equal(t, "max_ack_pending of the consumer", was.MaxAckPending, -1)
	was.MaxAckPending = most // as an earlier version set it, with a smaller number
	_, err := b.js.UpdateConsumer(t.Context(), events.StreamRequests, was)
	testkit.Must(t, err)
	b.config.Backoff.Min, b.config.Backoff.Max = time.Hour, time.Hour
	b.db.work = func(_ context.Context, tenant string, _ int) error {
		if tenant == "good" {
			return nil
		}
		return errTransient
	}
	b.start()
	for i := range postponed {
		b.publish(b.request(fmt.Sprint(i), fmt.Sprintf("bad-%d", i)))
	}
	b.publish(b.request("good", "good"))
	b.eventually("the good request is provisioned", func() bool { return len(b.outcomes()) == 1 })
}
