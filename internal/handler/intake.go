package handler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/tenant-provisioner/events"
)

// messagesPerWorker is how many messages are held for each worker. While it builds one tenant, the request before it is
// published and acknowledged, and the request after it is pulled and claimed.
const messagesPerWorker = 2

// intake pulls messages and passes each to start, until ctx ends. At most messagesPerWorker for each worker are in
// flight: start must call done when its message no longer is.
func (h *Handler) intake(ctx context.Context, start func(msg *Message, done func())) error {
	slots := make(chan struct{}, messagesPerWorker*h.Workers)
	required := 1 // answers of the server that show that pull requests work
	for n := 1; ctx.Err() == nil; n++ {
		if err := h.awaitLink(ctx); err != nil {
			return err
		}
		err := h.pull(ctx, slots, required, start)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is not an error
		}
		err = h.explain(err, time.Now().Add(-2*maxSilence), APISubject(h.JetStream, "CONSUMER.MSG.NEXT."))
		why := fmt.Errorf("take requests: %w", err)
		if h.pulling.Swap(&why) == nil {
			n, required = 1, 1 // it worked in between: this is a new fault
		}
		if errors.Is(err, errDisconnected) {
			continue // the connection has logged it
		}
		// The consumer or the stream was deleted or contradicts the contract, or the server is unavailable. It may answer
		// the trial although it rejects all other pull requests.
		required = 2
		h.intakeFaults.Error("cannot take requests; retrying", err)
		if sleep(ctx, h.serverBackoff.Delay(n)) != nil {
			return nil //nolint:nilerr // the end of ctx is not an error
		}
	}
	return nil
}

// pull ensures that streams and consumer are as the contract says, and pulls from the consumer until that fails, they
// are no longer so, or ctx ends. Requests are taken once the server has answered as often as required.
func (h *Handler) pull(ctx context.Context, slots chan struct{}, required int, start func(*Message, func())) error {
	h.watchdog.setState(stateServer)
	if err := h.prepareToPull(ctx); err != nil {
		return err
	}
	// One message per pull request: the next request is sent only once a slot is free for its message.
	messages, err := newPuller(h.JetStream, events.StreamRequests, events.DurableConsumer, pullRequest{
		Batch: 1, Expires: pullExpiry, Heartbeat: heartbeat, Trial: true,
	})
	if err != nil {
		return err
	}
	shutdown := ctx
	defer func() {
		for _, msg := range messages.drain() {
			h.release(shutdown, msg, 0)
		}
	}()
	ctx, stop := context.WithCancelCause(ctx)
	var checks sync.WaitGroup
	defer checks.Wait()
	defer stop(nil)
	checks.Go(func() { h.recheck(ctx, stop) })
	answers := 0
	answered := func() {
		h.watchdog.setState(stateServer)
		if answers++; answers == required {
			h.pulling.Store(nil)
			h.intakeFaults.Recovered("requests can be taken again")
			h.Log.InfoContext(ctx, "taking requests", "workers", h.Workers)
		}
	}
	for {
		if err := h.ready(ctx, slots); err != nil {
			return err
		}
		h.watchdog.setState(stateServer)
		msg, err := messages.next(ctx, answered)
		if err != nil {
			<-slots
			return err
		}
		start(msg, func() { <-slots })
	}
}

// ready waits until there is no outage and a slot is free.
func (h *Handler) ready(ctx context.Context, slots chan struct{}) error {
	h.watchdog.setState(stateBreaker)
	if err := h.breaker.ready(ctx); err != nil {
		return err
	}
	h.watchdog.setState(stateWorkers)
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := context.Cause(ctx) // it takes precedence over a free slot
	if err != nil {
		<-slots
	}
	return err
}
