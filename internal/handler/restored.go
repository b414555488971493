package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

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

// aheadPause is the pause between two looks at a consumer that seems to be ahead of its stream: in a cluster the two
// are read from different servers, and one may be behind for a moment.
const aheadPause = 2 * time.Second

// CheckAhead returns an error that wraps [ErrRestored] if the durable consumer has delivered messages that its stream
// does not have: the stream was restored or made again. Up to NATS 2.12.3 such a consumer acknowledges new requests
// without delivering them.
func CheckAhead(ctx context.Context, js jetstream.JetStream, found TopologyStatus) error {
	for n := 0; ; n++ {
		delivered, last := found.Consumer.Info.Delivered.Stream, found.Streams[0].Info.State.LastSeq
		switch {
		case delivered <= last:
			return nil
		case n > 1:
			return fmt.Errorf("%w: the consumer has delivered message %d, and the last message of its stream is %d: the "+
				"stream was restored or made again; consumer reconcile shows what is lost, consumer reconcile --apply repairs "+
				"it", ErrRestored, delivered, last)
		case n > 0:
			if err := sleep(ctx, aheadPause); err != nil {
				return err
			}
		}
		// The consumer is read before the stream: in between, requests are stored and delivered.
		consumer, err := js.Consumer(ctx, found.Streams[0].Name, found.Consumer.Info.Name)
		if err != nil {
			return err
		}
		stream, err := js.Stream(ctx, found.Streams[0].Name)
		if err != nil {
			return err
		}
		found.Consumer.Info, found.Streams[0].Info = consumer.CachedInfo(), stream.CachedInfo()
	}
}
