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

// handle decides one message and settles it. intake ends when shutdown begins, work at the end of the drain timeout.
func (h *Handler) handle(intake, work context.Context, msg *Message) {
	d, err := newDelivery(msg)
	if err != nil {
		h.Log.ErrorContext(work, "ignoring message without JetStream metadata", "error", err)
		return
	}
	log := h.Log.With("sequence", d.sequence)
	alive, stop := context.WithCancel(work)
	var lease sync.WaitGroup
	lease.Go(func() { d.keepAlive(alive, time.Duration(h.ackWait.Load()), log) })
	defer lease.Wait()
	defer stop()

	endSpan := func(pipeline.Decision, error) {}
	defer func() { // a panic must not end the work on other messages
		if cause := recover(); cause != nil {
			endSpan(pipeline.Decision{Verdict: pipeline.Release}, fmt.Errorf("panic: %v", cause))
			log.ErrorContext(work, "panic while handling a message; returning it to the stream",
				"panic", cause, "stack", string(debug.Stack()))
			h.release(work, msg, h.Backoff.Delay(d.deliveries))
		}
	}()
	if err := h.checkBody(work, d); err != nil {
		log.ErrorContext(work, "returning a message to the stream undecided", "error", err)
		h.doubtSettings()
		h.giveBack(intake, work, msg, h.Backoff.Delay(d.deliveries))
		return
	}
	if isMarker(msg) {
		if err := h.acknowledge(intake, work, msg.ack); err != nil {
			log.WarnContext(work, "could not acknowledge a server marker; it will be redelivered", "error", err)
		}
		return
	}
	crash.Point("delivered", "")
	e, malformed := decode(msg)
	if malformed != nil && d.unreadable {
		malformed = fmt.Errorf("%w; its headers cannot be read (for example, a line has no colon)", malformed)
	}
	work, endSpan = h.traceDelivery(work, d, e)
	key, result := h.decide(intake, work, d, e, malformed)
	if result.Verdict == pipeline.Terminate {
		log.WarnContext(work, "request failed; see its dead letter", "key", key, "outcome", result.Outcome.ID)
	}
	err = h.perform(intake, work, d, key, result)
	endSpan(result, err)
	switch {
	case errors.Is(err, errSuperseded):
		log.InfoContext(work, "the ledger has a newer state of the request; returning it to the stream",
			"key", key, "outcome", result.Outcome.ID)
		h.giveBack(intake, work, d.msg, h.Backoff.Delay(1))
	case err != nil:
		log.ErrorContext(work, "could not complete the request; it will be redelivered", "verdict", result.Verdict.String(),
			"key", key, "error", err)
		delay := h.Backoff.Delay(d.deliveries)
		if work.Err() != nil {
			delay = 0 // the drain timeout ended it, not a fault of the message
		}
		h.giveBack(intake, work, d.msg, delay)
	}
}

// isMarker reports whether the server itself stored the message to record that messages expired or were purged. Such a
// marker is not a request. (nats-server 2.15.2, JSMarkerReason) A forged marker has no body and no event, so nothing is
// lost with it.
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

// decode reads the event. A panic in the reader would repeat at every delivery, so it counts as undecodable.
func decode(msg *Message) (e event.Event, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: panic in the reader: %v", events.ErrUndecodable, cause)
		}
	}()
	return events.Decode(msg.Header, msg.Data)
}

// decide runs the job of a message, which holds the event e or is malformed. During an outage it waits for the breaker
// and runs the job again, until shutdown begins.
func (h *Handler) decide(
	intake, work context.Context, d delivery, e event.Event, malformed error,
) (key string, _ pipeline.Decision) {
	trips := 0
	run := func() (string, pipeline.Decision) {
		earlier, err := h.decidedEarlier(work, d)
		if err != nil {
			return "", pipeline.Decision{Verdict: pipeline.Retry, Err: err}
		}
		return h.Provisioner.Undecodable(work, pipeline.Message{
			Stream: d.stream, Sequence: d.sequence, Replay: d.replay, Time: d.stored, Body: d.msg.Data, Trips: trips,
			Earlier: earlier,
		}, d.name, malformed)
	}
	abandon := func(r pipeline.Decision) pipeline.Decision { return r }
	if malformed != nil {
		h.Log.WarnContext(work, "could not decode message", "sequence", d.sequence, "error", malformed)
	} else {
		request := pipeline.Request{Event: e, Replay: d.replay, DeliveryID: d.name, Redelivered: d.deliveries > 1}
		job := h.Provisioner.Job(request)
		d.job.Store(job)
		run = func() (string, pipeline.Decision) { return request.Key(), job.Run(work) }
		abandon = func(r pipeline.Decision) pipeline.Decision { return job.Abandon(work, r) }
	}
	ended := func() {}
	defer func() { ended() }()
	for {
		key, result := run()
		if result.Verdict != pipeline.Pause {
			if work.Err() == nil {
				h.breaker.succeeded()
			}
			return key, result
		}
		if trips++; trips == 1 {
			ended = h.breaker.interrupt()
		}
		h.breaker.trip(result.Err)
		if h.breaker.wait(intake) != nil { // shutdown ends the wait
			return key, abandon(result)
		}
	}
}

// perform carries out the decision. After an error the message is still unacknowledged.
func (h *Handler) perform(intake, ctx context.Context, d delivery, key string, r pipeline.Decision) error {
	switch r.Verdict {
	case pipeline.Acknowledge:
		if err := h.publishOutcome(ctx, d, key, r); err != nil {
			return err
		}
		crash.Point("outcome published", "")
		if err := h.acknowledge(intake, ctx, d.msg.ack); err != nil {
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
		return h.acknowledge(intake, ctx, func(ctx context.Context) error {
			return d.msg.term(ctx, "dead letter "+key)
		})
	case pipeline.Retry:
		delay := h.Backoff.Delay(h.failures(d, r))
		h.Log.WarnContext(ctx, "returning request to the stream",
			"delay", delay.String(), "sequence", d.sequence, "error", r.Err)
		h.giveBack(intake, ctx, d.msg, delay)
	case pipeline.Release, pipeline.Pause:
		h.giveBack(intake, ctx, d.msg, 0)
	}
	return nil
}

// failures returns how often the request has failed in this way, which determines its delay.
func (h *Handler) failures(d delivery, r pipeline.Decision) int {
	switch r.Facts.Ledger {
	case pipeline.Busy: // it has not failed: another worker has it
		return 1
	case pipeline.Unread: // no attempt counts these failures
		return d.deliveries
	case pipeline.Claimed, pipeline.Spent, pipeline.Provisioned, pipeline.Failed:
	}
	return max(r.Attempt, 1)
}

// immediately is the delay of a released message. It is not zero: the server keeps a negative acknowledgement without a
// delay only in memory, and loses it on a restart or a change of leader. One with a delay is stored. (nats-server
// 2.15.2, consumer.go, processNak)
const immediately = time.Millisecond

// giveBack returns a message to the stream, for redelivery after the delay. It waits while the user may not, until
// intake ends.
func (h *Handler) giveBack(intake, ctx context.Context, msg *Message, delay time.Duration) {
	h.released(ctx, h.acknowledge(intake, ctx, func(ctx context.Context) error {
		return msg.nak(ctx, max(delay, immediately))
	}))
}

// release is giveBack with one try.
func (h *Handler) release(ctx context.Context, msg *Message, delay time.Duration) {
	h.released(ctx, msg.nak(ctx, max(delay, immediately)))
}

// released logs a return that the server has not confirmed: the message is redelivered after AckWait at the latest.
func (h *Handler) released(ctx context.Context, err error) {
	if err != nil {
		h.Log.WarnContext(ctx, "the return of a message to the stream was not confirmed; it will be redelivered after "+
			"ack_wait at the latest", "error", err)
	}
}
