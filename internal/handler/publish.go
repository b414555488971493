package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/pipeline"
)

// publishTimeout is how long one publication waits for its PubAck.
const publishTimeout = 5 * time.Second

// errSuperseded: the ledger no longer has what was to be published. The request was replayed, or decided
// otherwise.
var errSuperseded = errors.New("the ledger has another outcome of the request, or none")

func outcomeHeader(o pipeline.Outcome) nats.Header {
	return nats.Header{"content-type": {events.ContentType}, jetstream.MsgIDHeader: {o.ID}}
}

// publishOutcome publishes the outcome, as long as the ledger has it, and waits until the stream has it.
func (h *Handler) publishOutcome(ctx context.Context, d delivery, key string, r pipeline.Result) error {
	o := r.Outcome
	ctx, end := h.traceOutcome(ctx, o)
	msg := &nats.Msg{Subject: o.Type, Header: outcomeHeader(o), Data: o.Body}
	_, err := h.publish(ctx, msg, events.StreamEvents, func(ctx context.Context) ([]jetstream.PublishOpt, error) {
		_, err := h.recorded(ctx, key, r)
		crash.Point("outcome allowed", "")
		return nil, err
	})
	end(err)
	if isRefusal(err) { // not for anything in the request: all outcomes are
		h.publishing.Store(&err)
	}
	if err == nil {
		h.Settled(o.Type, max(time.Since(d.stored), 0))
	}
	return err
}

// recorded reads the ledger again. It returns the outcome if that is still the one that was decided, else
// [errSuperseded].
func (h *Handler) recorded(ctx context.Context, key string, r pipeline.Result) (pipeline.Outcome, error) {
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
	for n := 1; ; n++ {
		options, err := allowed(ctx)
		if errors.Is(err, errSuperseded) || errors.Is(err, errConfirmed) {
			h.published()
			return nil, err
		}
		var ack *jetstream.PubAck
		if err == nil {
			ack, err = publishOnce(ctx, h.JetStream, msg, stream, options...)
		}
		h.pulse.beat()
		if err == nil {
			h.published()
			return ack, nil
		}
		err = fmt.Errorf("publish to %s on stream %s: %w", msg.Subject, stream, err)
		err = Refused(h.Conn, err, msg.Subject)
		switch {
		case isWrongSequence(err):
			return nil, err
		case isRefusal(err):
			h.published()
			return nil, err
		}
		h.failing(err)
		if sleep(ctx, h.again.Delay(n)) != nil {
			return nil, err
		}
	}
}

// failing records why publications do not get through, until one does.
func (h *Handler) failing(err error) {
	h.publishing.Store(&err)
	h.publishFaults.Warn("an event could not be published; trying again", err)
}

// published says that publications get through: nothing waits for NATS or the ledger.
func (h *Handler) published() {
	h.publishing.Store(nil)
	h.publishFaults.Recovered("events are published again")
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

// Error codes of JetStream for which the client has no name. (nats-server 2.15.2, server/errors.json)
const (
	accountResourcesExceeded jetstream.ErrorCode = 10002
	headerExceedsMaximum     jetstream.ErrorCode = 10097
	noLimits                 jetstream.ErrorCode = 10120
)

// apiError is JetStream's own error, or nil.
func apiError(err error) *jetstream.APIError {
	var refused jetstream.JetStreamError
	if errors.As(err, &refused) {
		return refused.APIError()
	}
	return nil
}

// isWrongSequence reports whether the stream has taken another message since it was looked at.
func isWrongSequence(err error) bool {
	api := apiError(err)
	return api != nil && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// isRefusal reports whether the message itself is refused, by the client or the server, so that it would be refused
// as often as it is published. Server: a bad request (4xx), but for what others can end: a stream that is missing, an
// account that is full or has no limits, a message id that is being processed, too many requests.
func isRefusal(err error) bool {
	if api := apiError(err); api != nil {
		return (api.Code == 400 || api.Code == 412) && !isWrongSequence(err) &&
			api.ErrorCode != accountResourcesExceeded && api.ErrorCode != noLimits
	}
	for _, refusal := range []error{
		nats.ErrMaxPayload, nats.ErrBadHeaderMsg, nats.ErrBadSubject, nats.ErrHeadersNotSupported, nats.ErrInvalidMsg,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// isTooLarge reports whether the message exceeds what the server, or the stream, takes.
func isTooLarge(err error) bool {
	if api := apiError(err); api != nil {
		return api.ErrorCode == headerExceedsMaximum || api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum
	}
	return errors.Is(err, nats.ErrMaxPayload)
}
