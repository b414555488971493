package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/repeatlog"
)

const (
	// ackTimeout is how long an acknowledgement waits for the server's word. Without it the message is
	// delivered again, which the ledger catches.
	ackTimeout = 5 * time.Second
	// abortTimeout is how long workers get to hand back what the drain timeout cut short.
	abortTimeout = 5 * time.Second
	// maxServerBackoff is the longest pause before a server that is away is asked again. Requests may wait longer
	// (Backoff.Max), but what holds up all of them is to be noticed soon once it is over.
	maxServerBackoff = 10 * time.Second
)

// Config is what a [Handler] needs.
type Config struct {
	Conn         *nats.Conn
	JetStream    jetstream.JetStream
	Topology     Topology
	Provisioner  *pipeline.Provisioner
	Workers      int // requests worked on at once
	Backoff      Backoff
	DrainTimeout time.Duration
	Log          *slog.Logger
	// OnPublished is told of each outcome that was published, by its type, and how long after the stream took the
	// request, by the server's clock and this one. nil: nobody is told.
	OnPublished func(eventType string, took time.Duration)
	// OnDeadLetterRefused is called for each failure whose dead letter no form of could be stored. nil: nothing is called.
	OnDeadLetterRefused func()
	Tracer              trace.Tracer // nil: nothing is traced
}

// Handler takes requests and settles them. Use it for one Run.
type Handler struct {
	Config
	breaker               *breaker
	watchdog              *watchdog
	inFlight              atomic.Int64
	serverBackoff         Backoff               // of what waits for a server
	ackWait               atomic.Int64          // the consumer's, in nanoseconds: that of Topology may differ
	pulling               atomic.Pointer[error] // why no request is taken; nil while intake is up
	intakeFaults          *repeatlog.Log
	outcomes, deadLetters publications
}

var errNotTaking = errors.New("not taking requests")

// New returns a handler, or an error that names what is missing.
func New(c Config) (*Handler, error) {
	switch {
	case c.Conn == nil, c.JetStream == nil, c.Provisioner == nil, c.Log == nil:
		return nil, errors.New("handler: Conn, JetStream, Provisioner and Log are required")
	case c.Workers < 1:
		return nil, errors.New("handler: Workers must be at least 1")
	case c.Backoff.Min <= 0, c.Backoff.Max < c.Backoff.Min, c.Backoff.Random == nil:
		return nil, errors.New("handler: Backoff needs 0 < Min ≤ Max and Random")
	case c.DrainTimeout <= 0, c.Topology.AckWait <= 0:
		return nil, errors.New("handler: DrainTimeout and AckWait must be above zero")
	}
	if c.OnPublished == nil {
		c.OnPublished = func(string, time.Duration) {}
	}
	if c.OnDeadLetterRefused == nil {
		c.OnDeadLetterRefused = func() {}
	}
	again := c.Backoff
	again.Max = max(again.Min, min(again.Max, maxServerBackoff))
	h := &Handler{Config: c, serverBackoff: again, watchdog: newWatchdog()}
	h.intakeFaults = repeatlog.New(c.Log)
	h.outcomes.faults, h.deadLetters.faults = repeatlog.New(c.Log), repeatlog.New(c.Log)
	h.breaker = newBreaker(c.Provisioner.Ping, c.Provisioner.Rehearse, again, h.watchdog.touch, c.Log)
	h.pulling.Store(&errNotTaking)
	return h, nil
}

// Err is nil while requests are taken, else the reason why they are not.
func (h *Handler) Err() error {
	if !h.Conn.IsConnected() {
		return errors.New("NATS: " + h.Conn.Status().String())
	}
	if err := h.breaker.err(); err != nil {
		return fmt.Errorf("waiting for the database: %w", err)
	}
	for _, stream := range []*publications{&h.outcomes, &h.deadLetters} {
		if err := stream.why.Load(); err != nil {
			return *err
		}
	}
	if err := h.pulling.Load(); err != nil {
		return *err
	}
	return nil
}

// Liveness is nil while the program gets on, be it that it waits for a server which is away; else it tells where it
// hangs. What hangs has to be restarted.
func (h *Handler) Liveness() error { return h.watchdog.err(h.Provisioner.LastProgress()) }

// InFlight is how many requests are in hand: pulled, and not yet settled.
func (h *Handler) InFlight() int { return int(h.inFlight.Load()) }

// Run takes requests until ctx ends, then drains: it returns when the running work is finished or handed
// back, at the latest a few seconds after the drain timeout. Its error is what made intake impossible;
// the end of ctx is none.
func (h *Handler) Run(ctx context.Context) error {
	work, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	var background, workers sync.WaitGroup
	background.Go(func() { h.breaker.run(work) })

	err := h.intake(ctx, func(msg *Message, done func()) {
		h.inFlight.Add(1)
		workers.Go(func() {
			defer done()
			defer h.inFlight.Add(-1)
			h.handle(ctx, work, msg)
			h.watchdog.touch()
		})
	})
	h.watchdog.setState(placeEnd)
	h.Provisioner.Drain()
	h.pulling.Store(&errNotTaking)
	if !finishes(&workers, h.DrainTimeout) {
		h.Log.WarnContext(ctx, "drain timeout reached; returning running requests to the stream")
		abort(errors.New("shutting down"))
		if !finishes(&workers, abortTimeout) {
			return errors.Join(err, errors.New("workers did not stop; what they held is delivered again after AckWait"))
		}
	}
	abort(nil)
	background.Wait()
	return err
}

// finishes waits for the group, but not longer than the timeout.
func finishes(group *sync.WaitGroup, timeout time.Duration) bool {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
