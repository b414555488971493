package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// messagesPerWorker is how many messages are held for each worker: while it builds one tenant, the request before it is
// published and acknowledged, and the request after it is pulled and claimed.
const messagesPerWorker = 2

// intake pulls messages while fewer are in hand than may be, and hands each to start, until ctx ends. start must
// call done when it is no more in hand.
func (h *Handler) intake(ctx context.Context, start func(msg *Message, done func())) error {
	slots := make(chan struct{}, messagesPerWorker*h.Workers)
	for n := 1; ctx.Err() == nil; n++ {
		if err := h.awaitConnection(ctx); err != nil {
			return err
		}
		err := h.pull(ctx, slots, start)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is none
		}
		why := fmt.Errorf("take requests: %w", err)
		if h.pulling.Swap(&why) == nil {
			n = 1 // it worked for a while: this is a new fault
		}
		if errors.Is(err, errDisconnected) {
			continue // which the connection has logged
		}
		// The consumer or the stream was deleted, or the server is unavailable.
		h.intakeFaults.Error("cannot take requests; retrying", err)
		if sleep(ctx, h.serverBackoff.Delay(n)) != nil {
			return nil //nolint:nilerr // likewise
		}
	}
	return nil
}

// awaitConnection waits until the connection is up or ctx ends. Its error is that of a connection closed for good.
func (h *Handler) awaitConnection(ctx context.Context) error {
	changed := h.Conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer h.Conn.RemoveStatusListener(changed)
	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	for !h.Conn.IsConnected() && ctx.Err() == nil {
		if h.Conn.IsClosed() {
			return fmt.Errorf("take requests: %w", jetstream.ErrConnectionClosed)
		}
		h.watchdog.setState(stateServer)
		select {
		case <-changed:
		case <-alive.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// pull makes sure that the consumer is there and pulls from it until that fails or ctx ends.
func (h *Handler) pull(ctx context.Context, slots chan struct{}, start func(*Message, func())) error {
	h.watchdog.setState(stateServer)
	consumer, err := h.Topology.Ensure(ctx, h.JetStream)
	if err != nil {
		return err
	}
	// One at a time: the next pull request is sent once there is room for its message.
	messages, err := newPuller(h.JetStream, events.StreamRequests, events.DurableConsumer, pullRequest{
		Batch: 1, Expires: pullExpiry, Heartbeat: heartbeat,
	})
	if err != nil {
		return err
	}
	defer func() {
		for _, msg := range messages.drain() {
			h.release(msg, 0)
		}
	}()
	h.ackWait.Store(int64(consumer.CachedInfo().Config.AckWait))
	h.pulling.Store(nil)
	h.intakeFaults.Recovered("requests can be taken again")
	h.Log.InfoContext(ctx, "taking requests", "workers", h.Workers)
	for {
		if err := h.ready(ctx, slots); err != nil {
			return err
		}
		h.watchdog.setState(stateServer)
		msg, err := messages.next(ctx, func() { h.watchdog.setState(stateServer) })
		if err != nil {
			<-slots
			return err
		}
		start(msg, func() { <-slots })
	}
}

// ready waits for the gate to be open and a slot to be free.
func (h *Handler) ready(ctx context.Context, slots chan struct{}) error {
	h.watchdog.setState(placeGate)
	if err := h.breaker.ready(ctx); err != nil {
		return err
	}
	h.watchdog.setState(placeWorkers)
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
	}
	return context.Cause(ctx) // which a free slot does not outweigh
}
