package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// ErrRestored is wrapped by errors that mean that database and streams are not of the same time or place: one of them
// was restored from a backup, made again or copied. No request is taken until an operator has repaired it.
var ErrRestored = errors.New("database and streams do not belong together")

// Restored reports whether intake has stopped because database and streams do not belong together.
func (h *Handler) Restored() bool {
	why := h.pulling.Load()
	return why != nil && errors.Is(*why, ErrRestored) || errors.Is(h.breaker.err(), ErrRestored)
}

// guardInterval is the time between two calls of the guard.
const guardInterval = time.Minute

// guarded calls the guard. If the database is unavailable, intake pauses as in every outage.
func (h *Handler) guarded(ctx context.Context) error {
	err := h.Guard(ctx)
	if fault, ok := errors.AsType[*pipeline.Fault](err); ok && fault.Class == pipeline.Outage && ctx.Err() == nil {
		h.breaker.trip(err)
	}
	return err
}

// aheadPause is the pause before a consumer that seems to be ahead of its stream is read again: in a cluster the two
// are read from different servers, and one may be behind for a moment.
const aheadPause = 2 * time.Second

// IsAhead reports whether the durable consumer has delivered messages that its stream does not have: the stream was
// restored or made again. The consumer must have been read before the stream: in between, requests are stored and
// delivered.
func IsAhead(consumer *jetstream.ConsumerInfo, stream *jetstream.StreamInfo) bool {
	return consumer.Delivered.Stream > stream.State.LastSeq
}

// CheckAhead returns an error that wraps [ErrRestored] if the durable consumer is ahead of its stream, see [IsAhead].
// Up to NATS 2.12.3 such a consumer acknowledges new requests without delivering them.
func CheckAhead(ctx context.Context, js jetstream.JetStream, found TopologyStatus) error {
	// found has the stream from before the consumer, so that under load the consumer can seem to be ahead.
	if !IsAhead(found.Consumer.Info, found.Streams[0].Info) {
		return nil
	}
	consumer, stream, err := ReadConsumer(ctx, js)
	if err != nil || !IsAhead(consumer, stream) {
		return err
	}
	return fmt.Errorf("%w: the consumer has delivered message %d, and the last message of its stream is %d: the "+
		"stream was restored or made again; consumer reconcile shows what is lost, consumer reconcile --apply repairs "+
		"it", ErrRestored, consumer.Delivered.Stream, stream.State.LastSeq)
}

// ReadConsumer reads the durable consumer and then its stream. If the consumer seems to be ahead of the stream, it
// reads both again after a pause, and [IsAhead] of the result is true only if that was so both times. Its error wraps
// [jetstream.ErrConsumerNotFound] or [jetstream.ErrStreamNotFound] if one of them is missing.
func ReadConsumer(
	ctx context.Context, js jetstream.JetStream,
) (consumer *jetstream.ConsumerInfo, stream *jetstream.StreamInfo, err error) {
	consumer, stream, err = readConsumer(ctx, js)
	if err != nil || !IsAhead(consumer, stream) {
		return consumer, stream, err
	}
	if err := sleep(ctx, aheadPause); err != nil {
		return nil, nil, err
	}
	return readConsumer(ctx, js)
}

// readConsumer reads the durable consumer and then its stream, once.
func readConsumer(
	ctx context.Context, js jetstream.JetStream,
) (*jetstream.ConsumerInfo, *jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*readTimeout) // one for each request
	defer cancel()
	consumer, err := js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
	if err != nil {
		return nil, nil, fmt.Errorf("read consumer %s: %w", DurableName, ExplainAPIPermission(js, err))
	}
	stream, err := js.Stream(ctx, events.StreamRequests)
	if err != nil {
		return nil, nil, fmt.Errorf("read stream %s: %w", events.StreamRequests, ExplainAPIPermission(js, err))
	}
	return consumer.CachedInfo(), stream.CachedInfo(), nil
}
