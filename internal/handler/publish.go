package handler

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/faults"
	"example.com/tenant-provisioner/internal/pipeline"
)

// publishTimeout is how long one try to publish waits for its PubAck.
const publishTimeout = 5 * time.Second

// errSuperseded means that the ledger no longer has what was to be published: the request was replayed, or another
// delivery decided it.
var errSuperseded = errors.New("the ledger has another outcome of the request, or none")

// errNoAnswer means that publishing was abandoned before the server answered.
var errNoAnswer = errors.New("publishing was abandoned before the server answered")

func outcomeHeader(o pipeline.Outcome) nats.Header {
	return nats.Header{"content-type": {events.ContentType}, jetstream.MsgIDHeader: {o.ID}}
}

// knownFor is how long after the ledger was read, or written, the first publication of a success does not read it
// again. It only has to be much shorter than outcomeWindow, also if the process was suspended in between.
const knownFor = 10 * time.Second

// isKnown reports whether the ledger had the outcome a moment ago, by the wall clock. Only a success is final: a
// failure can be replayed.
func isKnown(r pipeline.Decision) bool {
	age := time.Now().Round(0).Sub(r.Outcome.KnownAt.Round(0))
	return r.Verdict == pipeline.Acknowledge && age >= 0 && age < knownFor
}

// publishOutcome publishes the outcome and waits for its confirmation, as long as the ledger still has it. An outcome
// that the stream holds already is not stored again, also after its duplicate window.
func (h *Handler) publishOutcome(ctx context.Context, d delivery, key string, r pipeline.Decision) error {
	o := r.Outcome
	ctx, end := h.traceOutcome(ctx, o)
	err := errNoAnswer // the result if publishing panics
	defer func() { end(err) }()
	msg := &nats.Msg{Subject: o.Type, Header: outcomeHeader(o), Data: o.Body}
	known := isKnown(r)
	allowed := func(ctx context.Context) (options []jetstream.PublishOpt, err error) {
		current := o
		if !known {
			current, err = h.recorded(ctx, key, r)
		}
		known = false
		if err == nil && !current.RecordedAt.IsZero() { // otherwise it was committed a moment ago
			if sequence := h.publishedAs(ctx, key, current); sequence > 0 {
				// The stream rejects it, because it has that outcome. Clients that subscribe to the subject itself receive it, such
				// as consumer dead-letters replay.
				options = append(options, jetstream.WithExpectLastSequence(sequence-1))
			}
		}
		crash.Point("outcome allowed", "")
		return options, err
	}
	var ack *jetstream.PubAck
	ack, err = h.publish(ctx, msg, events.StreamEvents, allowed)
	switch {
	case err == nil && !ack.Duplicate:
		h.seen.add(o.Body, ack.Sequence)
	case err == nil && h.isTaken(ctx, ack, key, o):
		msg.Header.Set(jetstream.MsgIDHeader, rand.Text())
		_, err = h.publish(ctx, msg, events.StreamEvents, allowed)
	}
	if isWrongSequence(err) {
		h.outcomes.succeeded()
		err = nil
	}
	if isRefusal(err) { // an outcome is short and holds no request data that could be rejected: the stream is wrong
		h.outcomes.failing(err)
	}
	if err == nil {
		h.OnPublished(o.Type, max(time.Since(d.stored), 0))
	}
	return err
}

// isTaken reports whether the stream dropped the outcome because another message has used its id, which can be
// computed, as Nats-Msg-Id. If that message cannot be read, it is assumed to be the outcome, which is nearly always so.
func (h *Handler) isTaken(ctx context.Context, ack *jetstream.PubAck, key string, o pipeline.Outcome) bool {
	if h.seen.has(o.Body, ack.Sequence) {
		return false
	}
	there, err := GetMessage(ctx, h.JetStream, events.StreamEvents, StoredMessage{Sequence: ack.Sequence})
	if err != nil {
		return false
	}
	if isOutcome(there, key, o) {
		h.seen.add(o.Body, ack.Sequence)
		return false
	}
	h.Log.WarnContext(ctx, "outcome id is taken by another message; publishing the outcome under another id",
		"outcome", o.ID, "sequence", ack.Sequence)
	return true
}

// recorded reads the ledger again. It returns the ledger's outcome, and [errSuperseded] if that is not the decided one.
func (h *Handler) recorded(ctx context.Context, key string, r pipeline.Decision) (pipeline.Outcome, error) {
	current, err := h.Provisioner.Recorded(ctx, key)
	if err == nil && current.ID != r.Outcome.ID {
		err = errSuperseded
	}
	return current, err
}

// publish publishes a message to the stream until it is confirmed or ctx ends. Each try first calls allowed, which
// checks whether the message may still be published and returns the conditions that the server must check.
//
// Errors that can pass are retried: what the ledger records must be published, and the worker still holds the message.
// Three kinds of errors are returned at once: those of allowed that forbid publishing; those of isRefusal, because the
// same message would be rejected for ever; and those of isWrongSequence, because the caller must read the sequence
// again.
func (h *Handler) publish(
	ctx context.Context, msg *nats.Msg, stream string, allowed func(context.Context) ([]jetstream.PublishOpt, error),
) (*jetstream.PubAck, error) {
	state := h.publicationsTo(stream)
	for n := 1; ; n++ {
		began := time.Now()
		options, err := allowed(ctx)
		if errors.Is(err, errSuperseded) || errors.Is(err, errStored) {
			state.succeeded()
			return nil, err
		}
		var ack *jetstream.PubAck
		if err == nil {
			ack, err = publishOnce(ctx, h.JetStream, msg, stream, options...)
		}
		h.watchdog.touch()
		if err == nil {
			state.succeeded()
			return ack, nil
		}
		err = fmt.Errorf("publish to %s on stream %s: %w", msg.Subject, stream, err)
		err = h.explain(err, began, msg.Subject, // and what allowed queries
			APISubject(h.JetStream, "STREAM.INFO."+stream), APISubject(h.JetStream, "STREAM.MSG.GET."+stream))
		switch {
		case isWrongSequence(err):
			return nil, err
		case isRefusal(err):
			return nil, err
		case isStreamMissing(err):
			// Intake, which also creates missing streams, may be waiting for this worker.
			if failed := h.Topology.Ensure(ctx, h.JetStream); failed != nil {
				err = fmt.Errorf("%w; %w", err, failed)
			}
		}
		state.failing(err)
		if sleep(ctx, h.serverBackoff.Delay(n)) != nil {
			return nil, err
		}
	}
}

// publicationsTo returns the state of publishing to the stream.
func (h *Handler) publicationsTo(stream string) *operation {
	if stream == events.StreamDeadLetters {
		return &h.deadLetters
	}
	return &h.outcomes
}

func publishOnce(
	ctx context.Context, js jetstream.JetStream, msg *nats.Msg, stream string, options ...jetstream.PublishOpt,
) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	// The client must not retry: each try needs the caller's checks.
	ack, err := js.PublishMsg(ctx, msg, append(options, jetstream.WithRetryAttempts(0))...)
	// Not WithExpectStream: its header would be stored, and would prevent publishing the message again to another stream.
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded): // there is no reconnect buffer: it would send unchecked messages
		return nil, nats.ErrDisconnected
	case err == nil && ack.Stream != stream:
		return nil, fmt.Errorf("it was stored by stream %s", ack.Stream)
	}
	return ack, err
}

// headerExceedsMaximum is a JetStream error code that the client does not name. (nats-server 2.15.2,
// server/errors.json)
const headerExceedsMaximum jetstream.ErrorCode = 10097

// apiError returns JetStream's own error, or nil.
func apiError(err error) *jetstream.APIError {
	var jsErr jetstream.JetStreamError
	if errors.As(err, &jsErr) {
		return jsErr.APIError()
	}
	return nil
}

// isWrongSequence reports whether the stream has stored another message since its last sequence was read.
func isWrongSequence(err error) bool { return isPublication(err, pipeline.Transient) }

// isStreamMissing reports whether no stream has the subject.
func isStreamMissing(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrStreamNotFound) ||
		errors.Is(err, nats.ErrNoResponders)
}

// isRefusal reports whether the client or the server rejects the message itself, so that every retry would be rejected.
func isRefusal(err error) bool { return isPublication(err, pipeline.Permanent) }

// isPublication reports whether the table of faults assigns a publication error to the class.
func isPublication(err error, class pipeline.Class) bool {
	if err == nil {
		return false
	}
	row, _ := faults.ByPublication(err)
	return row.Own.Class == class
}

// isTooLarge reports whether the message exceeds a limit of the server or the stream.
func isTooLarge(err error) bool {
	if api := apiError(err); api != nil {
		return api.ErrorCode == headerExceedsMaximum || api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum
	}
	return errors.Is(err, nats.ErrMaxPayload)
}
