package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// publishTimeout is how long one publication waits for its PubAck.
const publishTimeout = 5 * time.Second

func outcomeHeader(o pipeline.Outcome) nats.Header {
	return nats.Header{"content-type": {events.ContentType}, jetstream.MsgIDHeader: {o.ID}}
}

// publishOutcome publishes the outcome and waits until the stream has it.
func (h *Handler) publishOutcome(ctx context.Context, d delivery, o pipeline.Outcome) error {
	ctx, end := h.traceOutcome(ctx, o)
	_, err := h.publish(ctx, &nats.Msg{Subject: o.Type, Header: outcomeHeader(o), Data: o.Body}, events.StreamEvents)
	end(err)
	if err == nil {
		h.Settled(o.Type, max(time.Since(d.stored), 0))
	}
	return err
}

// headerExceedsMaximum is JetStream's error code for more than 64 KiB of headers; the client has no name for it.
const headerExceedsMaximum jetstream.ErrorCode = 10097

// tooLarge reports whether the message exceeds what the server, or the stream, takes. Trying it again
// would go on for ever.
func tooLarge(err error) bool {
	var refused jetstream.JetStreamError
	if errors.As(err, &refused) && refused.APIError() != nil {
		code := refused.APIError().ErrorCode
		return code == headerExceedsMaximum || code == jetstream.JSErrCodeStreamMessageExceedsMaximum
	}
	return errors.Is(err, nats.ErrMaxPayload)
}

// publish publishes a message to the stream until it is confirmed or ctx ends. Trying again is what to do
// about every error but one: what is recorded in the ledger must get out, and the message is still held.
func (h *Handler) publish(ctx context.Context, msg *nats.Msg, stream string) (*jetstream.PubAck, error) {
	for n := 1; ; n++ {
		ack, err := publishOnce(ctx, h.JetStream, msg, stream)
		h.pulse.beat()
		if err == nil {
			h.publishing.Store(nil)
			return ack, nil
		}
		err = fmt.Errorf("publish to %s on stream %s: %w", msg.Subject, stream, err)
		err = Refused(h.Conn, err, msg.Subject)
		h.publishing.Store(&err)
		if tooLarge(err) {
			return nil, err
		}
		h.Log.WarnContext(ctx, "an event could not be published; trying again", "error", err)
		if sleep(ctx, h.again.Delay(n)) != nil {
			return nil, err
		}
	}
}

func publishOnce(ctx context.Context, js jetstream.JetStream, msg *nats.Msg, stream string) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	ack, err := js.PublishMsg(ctx, msg)
	// Not WithExpectStream: its header would be stored, and stand in the way of who publishes it again.
	if err == nil && ack.Stream != stream {
		return nil, fmt.Errorf("it went to stream %s", ack.Stream)
	}
	return ack, err
}
