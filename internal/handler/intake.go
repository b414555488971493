package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// heartbeat is how often the server says that a pull request still stands. After twice that without a word
// the consumer is looked at again.
const heartbeat = 2 * time.Second

// drainWait bounds the wait for messages that were on their way when the drain began.
const drainWait = time.Second

// inHand is how many messages are held for each worker: while it builds one tenant, the request before it is
// published and acknowledged, and the request after it is pulled and claimed.
const inHand = 2

// intake pulls messages while fewer are in hand than may be, and hands each to start, until ctx ends. start must
// call done when it is no more in hand.
func (h *Handler) intake(ctx context.Context, start func(msg jetstream.Msg, done func())) error {
	slots := make(chan struct{}, inHand*h.Workers)
	for n := 1; ctx.Err() == nil; n++ {
		h.pulse.enter(placeServer)
		err := h.pull(ctx, slots, start)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is none
		}
		why := fmt.Errorf("take requests: %w", err)
		if h.pulling.Swap(&why) == nil {
			n = 1 // it worked for a while: this is a new fault
		}
		if errors.Is(err, jetstream.ErrConnectionClosed) {
			return why
		}
		// Somebody deleted the consumer or the stream, or the server is away: look again.
		h.Log.ErrorContext(ctx, "requests cannot be taken; trying again", "error", err)
		if sleep(ctx, h.again.Delay(n)) != nil {
			return nil //nolint:nilerr // likewise
		}
	}
	return nil
}

// pull makes sure that the consumer is there and pulls from it until that fails or ctx ends.
func (h *Handler) pull(ctx context.Context, slots chan struct{}, start func(jetstream.Msg, func())) error {
	consumer, err := h.Topology.Ensure(ctx, h.JetStream)
	if err != nil {
		return err
	}
	// One at a time: the next pull request is sent by the next call of Next.
	// A consumer that was deleted while no pull request was under way is told by its silence only.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullHeartbeat(heartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer messages.Stop()
	h.ackWait.Store(int64(consumer.CachedInfo().Config.AckWait))
	h.pulling.Store(nil)
	h.Log.InfoContext(ctx, "taking requests", "workers", h.Workers)
	for h.ready(ctx, slots) == nil {
		h.pulse.enter(placeServer)
		msg, err := h.next(ctx, messages)
		if ctx.Err() != nil {
			if err == nil {
				h.handBack(msg, 0)
			}
			break
		}
		if err != nil {
			<-slots
			return err
		}
		start(msg, func() { <-slots })
	}
	// Drain and not Stop: what the server has sent by then is still handed out, and handed back. Where the
	// server is away that is nothing, and the wait for it has a bound.
	messages.Drain()
	for {
		msg, err := messages.Next(jetstream.NextMaxWait(drainWait))
		if err != nil {
			return err
		}
		h.handBack(msg, 0)
	}
}

// askAgain is how long a message is waited for before the client is asked once more, and asked again after ten times
// that, until it is lookUp.
const askAgain = 2 * time.Millisecond

// next waits for a message, or until ctx ends. The client sends no pull request while it takes the one before to
// be on its way, and that one's message may be here by then: nothing would be asked for, and nothing come, until
// the missing heartbeat is noticed after seconds. Asked again, it sends what it has left out. (nats.go 1.55.0, pull.go:
// checkPending, fetchInProgress)
func (h *Handler) next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	for wait := askAgain; ; wait = min(10*wait, lookUp) {
		waiting, end := context.WithTimeout(ctx, wait)
		msg, err := messages.Next(jetstream.NextContext(waiting))
		end()
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return msg, err
		}
		h.pulse.enter(placeServer)
	}
}

// ready waits for the gate to be open and a slot to be free.
func (h *Handler) ready(ctx context.Context, slots chan struct{}) error {
	h.pulse.enter(placeGate)
	if err := h.gate.ready(ctx); err != nil {
		return err
	}
	h.pulse.enter(placeWorkers)
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
	}
	return context.Cause(ctx) // which a free slot does not outweigh
}
