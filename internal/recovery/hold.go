package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
)

const (
	// pauseTime is for how long the consumer is paused at a time, so that a killed process holds it no longer.
	pauseTime = 3 * time.Minute
	// renewEvery is the time between two renewals of the pause.
	renewEvery = time.Minute
	// pollEvery is the time between two looks at what is in flight.
	pollEvery = 100 * time.Millisecond
)

// holdIntake pauses the durable consumer, so that the service takes no requests, and waits until none is in flight, for
// ACK_WAIT at most. release ends the pause, even if ctx has ended. An operator's own, longer pause stays.
func holdIntake(ctx context.Context, js jetstream.JetStream, log *slog.Logger) (release func() error, err error) {
	h := &hold{js: js, log: log}
	info, err := h.info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) { // no process takes requests
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	if version := js.Conn().ConnectedServerVersion(); !natsconn.CanPause(version) {
		if info.NumWaiting > 0 || info.NumAckPending > 0 {
			return nil, fmt.Errorf("NATS server %s cannot pause a consumer, and the service is taking requests; stop the "+
				"service, on all replicas, then repeat", version)
		}
		return func() error { return nil }, nil
	}
	if info.Paused && info.PauseRemaining > pauseTime {
		h.before = info.TimeStamp.Add(info.PauseRemaining)
	}
	if err := h.pause(ctx); err != nil {
		return nil, err
	}
	crash.Point("intake held", "")
	renewing, stop := context.WithCancel(ctx)
	var renewals sync.WaitGroup
	renewals.Go(func() { h.renew(renewing) })
	release = func() error {
		stop()
		renewals.Wait()
		return h.end(ctx)
	}
	if err := h.awaitIdle(ctx, info.Config.AckWait); err != nil {
		return nil, errors.Join(err, release())
	}
	return release, nil
}

// endLeftPause ends the pause that a killed command has left. It is shorter than an operator's.
func endLeftPause(ctx context.Context, js jetstream.JetStream) error {
	h := &hold{js: js}
	info, err := h.info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err != nil || !info.Paused || info.PauseRemaining > pauseTime {
		return err
	}
	return h.end(ctx)
}

type hold struct {
	js     jetstream.JetStream
	log    *slog.Logger
	before time.Time // the end of an operator's own pause; zero: there is none
}

func (h *hold) info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	consumer, err := h.js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
	if err != nil {
		return nil, fmt.Errorf("read consumer %s: %w", handler.DurableName, handler.ExplainAPIPermission(h.js.Conn(), err))
	}
	return consumer.CachedInfo(), nil
}

// pause pauses the consumer from now on. The time is the server's, whose clock may differ.
func (h *hold) pause(ctx context.Context) error {
	info, err := h.info(ctx)
	if err != nil {
		return err
	}
	until := info.TimeStamp.Add(pauseTime)
	if h.before.After(until) {
		until = h.before
	}
	return h.pauseUntil(ctx, until)
}

func (h *hold) pauseUntil(ctx context.Context, until time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if _, err := h.js.PauseConsumer(ctx, events.StreamRequests, events.DurableConsumer, until); err != nil {
		return fmt.Errorf("pause consumer %s: %w", handler.DurableName, handler.ExplainAPIPermission(h.js.Conn(), err))
	}
	return nil
}

// renew renews the pause until ctx ends. A renewal that fails is repeated before the pause ends.
func (h *hold) renew(ctx context.Context) {
	for sleep(ctx, renewEvery) == nil {
		if err := h.pause(ctx); err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "could not renew the pause of the consumer; retrying", "error", err)
		}
	}
}

// awaitIdle waits until no request is in flight, for ackWait at most: what is not acknowledged then is delivered again.
func (h *hold) awaitIdle(ctx context.Context, ackWait time.Duration) error {
	for begun := time.Now(); time.Since(begun) < ackWait; {
		info, err := h.info(ctx)
		if err != nil || info.NumAckPending == 0 {
			return err
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
	return nil
}

func (h *hold) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer cancel()
	if !h.before.IsZero() {
		return h.pauseUntil(ctx, h.before)
	}
	_, err := h.js.ResumeConsumer(ctx, events.StreamRequests, events.DurableConsumer)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("resume consumer %s: %w; its pause ends by itself within %s", handler.DurableName,
			handler.ExplainAPIPermission(h.js.Conn(), err), pauseTime)
	}
	return nil
}
