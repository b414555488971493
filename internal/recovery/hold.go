package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
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
	// pollEvery is the time between two checks of what is in flight.
	pollEvery = 100 * time.Millisecond
)

// leaseMark is what the time at which a pause of this command ends has below leaseUnit. It tells it from an operator's,
// and so the pause is a lease: while it lasts, no other command begins. The time is the only part of a pause that the
// server stores in one step with it.
const (
	leaseMark = 7217 * time.Nanosecond
	leaseUnit = 10 * time.Microsecond
)

var errNotHeld = errors.New("the pause of consumer " + handler.DurableName + " is no longer this command's: another " +
	"process has changed or ended it, so that the service may take requests; repeat the command")

// holdIntake pauses the durable consumer, so that the service takes no requests, and waits until none is in flight, for
// ACK_WAIT at most. It fails if another command holds intake. It renews the pause that often. held ends with
// [errNotHeld] as its cause if another process ends or changes the pause. release ends the pause, even if ctx has
// ended. An operator's own pause stays.
func holdIntake(
	ctx context.Context, js jetstream.JetStream, every time.Duration, log *slog.Logger,
) (held context.Context, release func() error, err error) {
	h := &hold{js: js, log: log}
	info, err := h.info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) { // no process takes requests
		return ctx, func() error { return nil }, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if version := js.Conn().ConnectedServerVersion(); !natsconn.CanPause(version) {
		if info.NumWaiting > 0 || info.NumAckPending > 0 {
			return nil, nil, fmt.Errorf("NATS server %s cannot pause a consumer, and the service is taking requests; stop "+
				"the service, on all replicas, then repeat", version)
		}
		return ctx, func() error { return nil }, nil
	}
	if err := errIfLeased(info); err != nil {
		return nil, nil, err
	}
	h.before = pausedUntil(info)
	if err := h.pause(ctx, info); err != nil {
		return nil, nil, err
	}
	// Of commands that began together, the pause is that of the last one.
	if err := sleep(ctx, pollEvery); err != nil {
		return nil, nil, errors.Join(err, h.end(ctx))
	}
	if info, err = h.info(ctx); err != nil {
		return nil, nil, errors.Join(err, h.end(ctx))
	}
	if !h.owns(info) {
		return nil, nil, cmp.Or(errIfLeased(info), errNotHeld)
	}
	crash.Point("intake held", "")
	held, stop := context.WithCancelCause(ctx)
	var renewals sync.WaitGroup
	renewals.Go(func() { h.renew(held, every, stop) })
	release = func() error {
		stop(nil)
		renewals.Wait()
		return h.end(ctx)
	}
	if err := h.awaitIdle(held, info.Config.AckWait); err != nil {
		return nil, nil, errors.Join(cmp.Or(context.Cause(held), err), release())
	}
	return held, release, nil
}

// errIfLeased returns an error if the pause of the consumer is that of another command.
func errIfLeased(info *jetstream.ConsumerInfo) error {
	until := pausedUntil(info)
	if until.Sub(until.Truncate(leaseUnit)) != leaseMark {
		return nil
	}
	return fmt.Errorf("another consumer reconcile --apply is at work: it paused consumer %s at %s, and renews that every "+
		"%s; repeat the command when it has ended. If it was killed, its pause ends by itself at %s, or at once with "+
		"nats consumer resume %s", handler.DurableName, until.Add(-pauseTime).Format(time.RFC3339), renewEvery,
		until.Format(time.RFC3339), handler.DurableName)
}

type hold struct {
	js     jetstream.JetStream
	log    *slog.Logger
	before time.Time   // the end of an operator's own pause; zero: there was none
	ends   []time.Time // of each pause that this command has set, or found and left
}

// pausedUntil returns the end of the consumer's pause; zero: it is not paused.
func pausedUntil(info *jetstream.ConsumerInfo) time.Time {
	if !info.Paused || info.Config.PauseUntil == nil {
		return time.Time{}
	}
	return *info.Config.PauseUntil
}

// owns reports whether the consumer is paused as this command has set or found it.
func (h *hold) owns(info *jetstream.ConsumerInfo) bool {
	return info.Paused && slices.ContainsFunc(h.ends, pausedUntil(info).Equal)
}

func (h *hold) info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	consumer, err := h.js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
	if err != nil {
		return nil, fmt.Errorf("read consumer %s: %w", handler.DurableName, handler.ExplainAPIPermission(h.js, err))
	}
	return consumer.CachedInfo(), nil
}

// pause pauses the consumer from the time of info on, which is the server's: its clock may differ. An operator's pause
// that is longer stays.
func (h *hold) pause(ctx context.Context, info *jetstream.ConsumerInfo) error {
	apart := rand.N(time.Second) //nolint:gosec // commands that begin together set different times
	until := info.TimeStamp.Add(pauseTime - apart).Truncate(leaseUnit).Add(leaseMark)
	if h.before.After(until) {
		h.ends = []time.Time{h.before}
		return nil
	}
	h.ends = append(h.ends, until) // whether or not the answer arrives
	return h.pauseUntil(ctx, until)
}

func (h *hold) pauseUntil(ctx context.Context, until time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if _, err := h.js.PauseConsumer(ctx, events.StreamRequests, events.DurableConsumer, until); err != nil {
		return fmt.Errorf("pause consumer %s: %w", handler.DurableName, handler.ExplainAPIPermission(h.js, err))
	}
	return nil
}

// renew renews the pause until ctx ends, or until it is lost. A renewal that fails is repeated before the pause ends.
func (h *hold) renew(ctx context.Context, every time.Duration, lost context.CancelCauseFunc) {
	for sleep(ctx, every) == nil {
		info, err := h.info(ctx)
		if err == nil && !h.owns(info) {
			lost(errNotHeld)
			return
		}
		if err == nil {
			err = h.pause(ctx, info)
		}
		if err != nil && ctx.Err() == nil {
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

// end ends the pause, if it is still this command's, and restores an operator's.
func (h *hold) end(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	info, err := h.info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err == nil && (!h.owns(info) || pausedUntil(info).Equal(h.before)) {
		return nil
	}
	if err == nil {
		err = h.pauseUntil(ctx, h.before) // one that has ended, or zero, resumes it
	}
	if err != nil {
		return fmt.Errorf("%w; the pause ends by itself within %s", err, pauseTime)
	}
	return nil
}
