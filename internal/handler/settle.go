package handler

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
)

// handle decides one message and settles it. intake ends when shutdown begins, work when it must be over.
func (h *Handler) handle(intake, work context.Context, msg *Message) {
	d, err := newDelivery(msg)
	if err != nil {
		h.Log.ErrorContext(work, "not a message of the stream; it is left alone", "error", err)
		return
	}
	log := h.Log.With("sequence", d.sequence)
	alive, stop := context.WithCancel(work)
	var lease sync.WaitGroup
	lease.Go(func() { d.keepAlive(alive, time.Duration(h.ackWait.Load()), log) })
	defer lease.Wait()
	defer stop()

	endSpan := func(pipeline.Decision, error) {}
	defer func() { // one message's trouble is not the end of the others' work
		if cause := recover(); cause != nil {
			endSpan(pipeline.Decision{Verdict: pipeline.Release}, fmt.Errorf("panic: %v", cause))
			log.ErrorContext(work, "panic; the message goes back", "panic", cause, "stack", string(debug.Stack()))
			h.breaker.succeeded() // it may be the one whose word the gate waits for
			h.release(msg, h.Backoff.Delay(d.deliveries))
		}
	}()
	if isMarker(msg) {
		if err := msg.ack(work); err != nil {
			log.WarnContext(work, "a marker of the server's could not be acknowledged; it is delivered again", "error", err)
		}
		return
	}
	crash.Point("delivered", "")
	e, malformed := decode(msg)
	if malformed != nil && d.unreadable {
		malformed = fmt.Errorf("%w; its headers cannot be read, such as one without a colon", malformed)
	}
	work, endSpan = h.traceDelivery(work, d, e)
	key, result := h.decide(intake, work, d, e, malformed)
	if result.Verdict == pipeline.Terminate {
		log.WarnContext(work, "request failed; see its dead letter", "key", key, "outcome", result.Outcome.ID)
	}
	err = h.perform(work, d, key, result)
	endSpan(result, err)
	switch {
	case errors.Is(err, errSuperseded):
		log.InfoContext(work, "the request was decided otherwise in the meantime; its next delivery finds the outcome",
			"key", key, "outcome", result.Outcome.ID)
		h.release(d.msg, h.Backoff.Delay(1))
	case err != nil:
		log.ErrorContext(work, "the request is not settled and will be delivered again", "verdict", result.Verdict.String(),
			"key", key, "error", err)
		delay := h.Backoff.Delay(d.deliveries)
		if work.Err() != nil {
			delay = 0 // it was not the message's fault
		}
		h.release(d.msg, delay)
	}
}

// isMarker reports whether the server has stored the message itself, to say that messages were removed: their time
// was over, or they were purged. It is not a request. (nats-server 2.15.2, JSMarkerReason) A publisher's
// own message that only looks so has no body and no event, and nothing is lost with it.
func isMarker(msg *Message) bool {
	if len(msg.Data) > 0 || msg.Header.Get(jetstream.MarkerReasonHeader) == "" {
		return false
	}
	for name := range msg.Header {
		if hasPrefixFold(name, "ce-") || hasPrefixFold(name, deadLetterPrefix) {
			return false
		}
	}
	return true
}

// decode reads the event. What makes the reader panic would do so at every delivery: it cannot be read.
func decode(msg *Message) (e event.Event, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: panic in the reader: %v", events.ErrUndecodable, cause)
		}
	}()
	return events.Decode(msg.Header, msg.Data)
}

// decide runs the job of a message, which holds the event e or is malformed, until it is more than held up by an
// outage.
func (h *Handler) decide(
	intake, work context.Context, d delivery, e event.Event, malformed error,
) (key string, _ pipeline.Decision) {
	trips := 0
	run := func() (string, pipeline.Decision) {
		return h.Provisioner.Undecodable(work, pipeline.Message{
			Stream: d.stream, Sequence: d.sequence, Replay: d.replay, Time: d.stored, Body: d.msg.Data, Trips: trips,
		}, d.name, malformed)
	}
	leave := func(r pipeline.Decision) pipeline.Decision { return r }
	if malformed != nil {
		h.Log.WarnContext(work, "a message could not be decoded", "sequence", d.sequence, "error", malformed)
	} else {
		request := pipeline.Request{Event: e, Replay: d.replay, DeliveryID: d.name, Redelivered: d.deliveries > 1}
		job := h.Provisioner.Job(request)
		d.job.Store(job)
		run = func() (string, pipeline.Decision) { return request.Key(), job.Run(work) }
		leave = func(r pipeline.Decision) pipeline.Decision { return job.Abandon(work, r) }
	}
	for {
		key, result := run()
		if result.Verdict != pipeline.Pause {
			if work.Err() == nil {
				h.breaker.succeeded()
			}
			return key, result
		}
		trips++
		h.breaker.trip(result.Err)
		if h.breaker.wait(intake) != nil { // waiting is over when shutdown begins
			return key, leave(result)
		}
	}
}

// perform does what was decided. After an error the message is still unacknowledged.
func (h *Handler) perform(ctx context.Context, d delivery, key string, r pipeline.Decision) error {
	switch r.Verdict {
	case pipeline.Acknowledge:
		if err := h.publishOutcome(ctx, d, key, r); err != nil {
			return err
		}
		crash.Point("outcome published", "")
		if err := d.msg.ack(ctx); err != nil {
			return err
		}
		crash.Point("acknowledged", "")
		return nil
	case pipeline.Terminate:
		if err := h.publishDeadLetter(ctx, d, key, r); err != nil {
			return err
		}
		if err := h.publishOutcome(ctx, d, key, r); err != nil {
			return err
		}
		crash.Point("outcome published", "")
		return d.msg.term(ctx, "dead letter "+key)
	case pipeline.Retry:
		delay := h.Backoff.Delay(h.failures(d, r))
		h.Log.WarnContext(ctx, "returning request to the stream",
			"delay", delay.String(), "sequence", d.sequence, "error", r.Err)
		return d.msg.nak(delay)
	case pipeline.Release, pipeline.Pause:
		return d.msg.nak(immediately)
	}
	return nil
}

// failures is how often the request has failed in this way, for its delay.
func (h *Handler) failures(d delivery, r pipeline.Decision) int {
	switch r.Facts.Ledger {
	case pipeline.Busy: // it has not failed: somebody is at work on it
		return 1
	case pipeline.Unread: // no attempt counts these
		return d.deliveries
	case pipeline.Claimed, pipeline.Spent, pipeline.Provisioned, pipeline.Failed:
	}
	return max(r.Attempt, 1)
}

// immediately is the delay of what is handed back. Not zero: the server keeps a negative acknowledgement without a
// delay in memory alone, and forgets it when it restarts or loses the lead; one with a delay is stored.
// (nats-server 2.15.2, consumer.go, processNak)
const immediately = time.Millisecond

// release returns a message after the delay; failing that, AckWait does.
func (h *Handler) release(msg *Message, delay time.Duration) {
	if err := msg.nak(max(delay, immediately)); err != nil {
		h.Log.Warn("could not return message to the stream; it will be redelivered after ack_wait", "error", err)
	}
}
