package handler

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/faults"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/repeatlog"
)

// publishTimeout is how long one publication waits for its PubAck.
const publishTimeout = 5 * time.Second

// errSuperseded: the ledger no longer has what was to be published. The request was replayed, or decided
// otherwise.
var errSuperseded = errors.New("the ledger has another outcome of the request, or none")

// errNoAnswer: the publication was given up before the server has answered.
var errNoAnswer = errors.New("the publication was given up")

func outcomeHeader(o pipeline.Outcome) nats.Header {
	return nats.Header{"content-type": {events.ContentType}, jetstream.MsgIDHeader: {o.ID}}
}

// publishOutcome publishes the outcome, as long as the ledger has it, and waits until the stream has it.
func (h *Handler) publishOutcome(ctx context.Context, d delivery, key string, r pipeline.Decision) error {
	o := r.Outcome
	ctx, end := h.traceOutcome(ctx, o)
	err := errNoAnswer // where it panics
	defer func() { end(err) }()
	msg := &nats.Msg{Subject: o.Type, Header: outcomeHeader(o), Data: o.Body}
	allowed := func(ctx context.Context) ([]jetstream.PublishOpt, error) {
		_, err := h.recorded(ctx, key, r)
		crash.Point("outcome allowed", "")
		return nil, err
	}
	var ack *jetstream.PubAck
	ack, err = h.publish(ctx, msg, events.StreamEvents, allowed)
	if err == nil && ack.Duplicate && h.isTaken(ctx, ack, o) {
		msg.Header.Set(jetstream.MsgIDHeader, rand.Text())
		_, err = h.publish(ctx, msg, events.StreamEvents, allowed)
	}
	if isRefusal(err) { // it is short, and has nothing of the request that could be refused: the stream is wrong
		h.outcomes.failing(err)
	}
	if err == nil {
		h.OnPublished(o.Type, max(time.Since(d.stored), 0))
	}
	return err
}

// isTaken reports whether the stream has dropped the outcome because another message has its id as Nats-Msg-Id, which
// can be computed. Where that message cannot be read, it is taken for the outcome, as nearly always.
func (h *Handler) isTaken(ctx context.Context, ack *jetstream.PubAck, o pipeline.Outcome) bool {
	there, err := GetMessage(ctx, h.JetStream, events.StreamEvents, StoredMessage{Sequence: ack.Sequence})
	if err != nil || there.Subject == o.Type && bytes.Equal(there.Data, o.Body) {
		return false
	}
	h.Log.WarnContext(ctx, "outcome id is taken by another message; publishing the outcome under another id",
		"outcome", o.ID, "sequence", ack.Sequence)
	return true
}

// recorded reads the ledger again. It returns the outcome if that is still the one that was decided, else
// [errSuperseded].
func (h *Handler) recorded(ctx context.Context, key string, r pipeline.Decision) (pipeline.Outcome, error) {
	now, err := h.Provisioner.Recorded(ctx, key)
	if err == nil && now.ID != r.Outcome.ID {
		err = errSuperseded
	}
	return now, err
}

// publish publishes a message to the stream until it is confirmed or ctx ends. Each try begins with allowed, which
// looks whether the message may still be published, and says against what the server is to check it.
//
// Trying again is what to do about all that passes: what is recorded in the ledger must get out, and the message is
// still held. Returned at once are the errors of allowed that say that nothing is to be published, what isRefusal knows
// (the same message would be refused for ever), and what isWrongSequence knows (the caller looks again).
func (h *Handler) publish(
	ctx context.Context, msg *nats.Msg, stream string, allowed func(context.Context) ([]jetstream.PublishOpt, error),
) (*jetstream.PubAck, error) {
	state := h.publicationsTo(stream)
	for n := 1; ; n++ {
		options, err := allowed(ctx)
		if errors.Is(err, errSuperseded) || errors.Is(err, errConfirmed) {
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
		err = ExplainPermission(h.Conn, err, msg.Subject)
		switch {
		case isWrongSequence(err):
			return nil, err
		case isRefusal(err):
			return nil, err
		case isStreamMissing(err):
			// Intake, which makes what is missing, may be waiting for this worker.
			if _, failed := h.Topology.Ensure(ctx, h.JetStream); failed != nil {
				err = fmt.Errorf("%w; %w", err, failed)
			}
		}
		state.failing(err)
		if sleep(ctx, h.serverBackoff.Delay(n)) != nil {
			return nil, err
		}
	}
}

// publications is the state of publishing to one stream.
type publications struct {
	why    atomic.Pointer[error] // the last one failed; nil after a success
	faults *repeatlog.Log
}

// failing records why publications do not get through, until one does.
func (p *publications) failing(err error) {
	p.why.Store(&err)
	p.faults.Warn("could not publish event; retrying", err)
}

// succeeded records that publications get through: nothing waits for NATS or the ledger.
func (p *publications) succeeded() {
	p.why.Store(nil)
	p.faults.Recovered("publishing events again")
}

// publicationsTo are those to the stream.
func (h *Handler) publicationsTo(stream string) *publications {
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
	// The client tries once: what is to be looked at before a try is looked at by the caller.
	ack, err := js.PublishMsg(ctx, msg, append(options, jetstream.WithRetryAttempts(0))...)
	// Not WithExpectStream: its header would be stored, and stand in the way of who publishes it again.
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded): // which is not kept: it would go out unchecked
		return nil, nats.ErrDisconnected
	case err == nil && ack.Stream != stream:
		return nil, fmt.Errorf("it went to stream %s", ack.Stream)
	}
	return ack, err
}

// headerExceedsMaximum is an error code of JetStream for which the client has no name. (nats-server 2.15.2,
// server/errors.json)
const headerExceedsMaximum jetstream.ErrorCode = 10097

// apiError is JetStream's own error, or nil.
func apiError(err error) *jetstream.APIError {
	var refused jetstream.JetStreamError
	if errors.As(err, &refused) {
		return refused.APIError()
	}
	return nil
}

// isWrongSequence reports whether the stream has taken another message since it was looked at.
func isWrongSequence(err error) bool { return isPublication(err, pipeline.Transient) }

// isStreamMissing reports whether no stream takes the subject.
func isStreamMissing(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, jetstream.ErrStreamNotFound) ||
		errors.Is(err, nats.ErrNoResponders)
}

// isRefusal reports whether the message itself is refused, by the client or the server, so that it would be refused
// as often as it is published.
func isRefusal(err error) bool { return isPublication(err, pipeline.Permanent) }

// isPublication reports whether an error of publishing is of the class, by the table of faults.
func isPublication(err error, class pipeline.Class) bool {
	if err == nil {
		return false
	}
	row, _ := faults.ByPublication(err)
	return row.Own.Class == class
}

// isTooLarge reports whether the message exceeds what the server, or the stream, takes.
func isTooLarge(err error) bool {
	if api := apiError(err); api != nil {
		return api.ErrorCode == headerExceedsMaximum || api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum
	}
	return errors.Is(err, nats.ErrMaxPayload)
}
