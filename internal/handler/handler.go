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
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/repeatlog"
)

const (
	// ackTimeout is how long an acknowledgement waits for the server's confirmation. Without a confirmation the message
	// may be redelivered, which the ledger detects.
	ackTimeout = 5 * time.Second
	// nakTimeout is the same for a negative acknowledgement. It is shorter than abortTimeout: a stopping process waits for
	// it.
	nakTimeout = 2 * time.Second
	// abortTimeout is how long workers may take, after the drain timeout, to release their messages.
	abortTimeout = 5 * time.Second
	// maxServerBackoff is the longest delay before an unavailable server is probed again. Requests may be delayed longer
	// (Backoff.Max), but the end of a fault that blocks all of them must be noticed soon.
	maxServerBackoff = 10 * time.Second
)

// Config is what a [Handler] needs.
type Config struct {
	Conn         *nats.Conn
	Link         Link // the state of Conn
	JetStream    jetstream.JetStream
	Topology     Topology
	Provisioner  *pipeline.Provisioner
	Workers      int // requests that run at once
	Backoff      Backoff
	DrainTimeout time.Duration
	Log          *slog.Logger
	// OnPublished is called for each published outcome with its type and the time since the stream stored the request.
	// That time is the difference between the server's clock and the local one. nil: no callback.
	OnPublished func(eventType string, took time.Duration)
	// OnDeadLetterRefused is called for each failure whose dead letter could not be stored in any form. nil: no callback.
	OnDeadLetterRefused func()
	Tracer              trace.Tracer // nil: no traces
	// CheckInterval is the time between two checks of streams and consumer; 0: 5 seconds.
	CheckInterval time.Duration
	// Guard compares database and streams before requests are taken, after each interruption of intake, before an outage
	// of the database ends, and every GuardInterval. While its error wraps [ErrRestored], no request is taken. nil:
	// nothing is compared.
	Guard         func(context.Context) error
	GuardInterval time.Duration // 0: a minute
}

// Handler pulls requests, runs them, and publishes their outcomes. Use it for one Run.
type Handler struct {
	Config
	breaker               *breaker
	watchdog              *watchdog
	inFlight              atomic.Int64
	serverBackoff         Backoff               // of operations that wait for a server
	ackWait               atomic.Int64          // the consumer's, in nanoseconds; Topology may have another
	pulling               atomic.Pointer[error] // why no request is pulled; nil while intake is up
	intakeFaults          *repeatlog.Log
	unserved              operation     // delivering all requests: some may wait although others are pulled
	doubt                 chan struct{} // receives if streams and consumer must be checked at once
	redelivery            redelivery    // used by intake
	outcomes, deadLetters operation
	seen                  *seenOutcomes
	acks                  operation
}

var errNotTaking = errors.New("not taking requests")

// New returns a handler, or an error that names the missing or invalid setting.
func New(c Config) (*Handler, error) {
	switch {
	case c.Conn == nil, c.Link == nil, c.JetStream == nil, c.Provisioner == nil, c.Log == nil:
		return nil, errors.New("handler: Conn, Link, JetStream, Provisioner and Log are required")
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
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	if c.Guard == nil {
		c.Guard = func(context.Context) error { return nil }
	}
	if c.GuardInterval <= 0 {
		c.GuardInterval = guardInterval
	}
	if c.CheckInterval <= 0 {
		c.CheckInterval = defaultCheckInterval
	}
	c.Topology.Log = c.Log
	serverBackoff := c.Backoff
	serverBackoff.Max = max(serverBackoff.Min, min(serverBackoff.Max, maxServerBackoff))
	h := &Handler{Config: c, serverBackoff: serverBackoff, watchdog: newWatchdog(), seen: newSeenOutcomes()}
	h.doubt = make(chan struct{}, 1)
	h.intakeFaults = repeatlog.New(c.Log)
	h.unserved = newOperation(c.Log, "requests wait", "the server delivers all requests again")
	h.outcomes = newOperation(c.Log, "could not publish event; retrying", "publishing events again")
	h.deadLetters = newOperation(c.Log, "could not publish event; retrying", "publishing events again")
	h.acks = newOperation(c.Log, "could not acknowledge requests; retrying", "acknowledging requests again")
	h.breaker = newBreaker(
		c.Provisioner.Ping, c.Provisioner.Rehearse, c.Guard, serverBackoff, h.watchdog.touch, c.Log)
	h.pulling.Store(&errNotTaking)
	return h, nil
}

// Err returns nil while requests are taken, else the reason why not. They are taken once the server has answered a pull
// request. While it leaves one unanswered, delivers nothing or withholds requests, they are not. Err reads the state
// and calls no client, so that a probe never waits.
func (h *Handler) Err() error {
	if err := h.Link.Err(); err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	if err := h.breaker.err(); errors.Is(err, ErrRestored) {
		return err
	} else if err != nil {
		return fmt.Errorf("waiting for the database: %w", err)
	}
	for _, o := range []*operation{&h.outcomes, &h.deadLetters, &h.acks} {
		if err := o.why.Load(); err != nil {
			return *err
		}
	}
	for _, why := range []*atomic.Pointer[error]{&h.pulling, h.unserved.why} {
		if err := why.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// Liveness returns nil while the process makes progress, which includes waiting for an unavailable server. Otherwise it
// names the state in which the process hangs; restart it then.
func (h *Handler) Liveness() error { return h.watchdog.err(h.Provisioner.LastProgress()) }

// InFlight is the number of requests that were pulled and that no worker has finished.
func (h *Handler) InFlight() int { return int(h.inFlight.Load()) }

// Run takes requests until ctx ends, then drains. It returns when running work is finished or released, at most
// abortTimeout after the drain timeout, which begins with the end of ctx. Work that hangs beyond that is left running,
// and logged. The error of Run is what made intake impossible; the end of ctx is not an error.
func (h *Handler) Run(ctx context.Context) error {
	work, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	var background, workers sync.WaitGroup
	background.Go(func() { h.breaker.run(work) })

	stopped := make(chan time.Time, 1)
	defer context.AfterFunc(ctx, func() { stopped <- time.Now() })()
	err := h.intake(ctx, func(msg *Message, done func()) {
		h.inFlight.Add(1)
		workers.Go(func() {
			defer done()
			defer h.inFlight.Add(-1)
			h.handle(ctx, work, msg)
			h.watchdog.touch()
		})
	})
	began := time.Now()
	if ctx.Err() != nil {
		began = <-stopped // the end of intake has taken some of the time
	}
	h.watchdog.setState(stateDrain)
	h.Provisioner.Drain()
	h.pulling.Store(&errNotTaking)
	timeout := h.DrainTimeout - time.Since(began)
	if errors.Is(err, nats.ErrConnectionClosed) { // nothing can be published or released
		timeout = min(timeout, abortTimeout)
	}
	if !finishes(&workers, timeout) {
		h.Log.WarnContext(ctx, "drain timeout reached; returning running requests to the stream")
		abort(errors.New("shutting down"))
		if !finishes(&workers, abortTimeout) {
			h.Log.WarnContext(ctx, "workers did not stop; their messages will be redelivered after ack_wait")
			return err
		}
	}
	abort(nil)
	background.Wait()
	return err
}

// finishes reports whether the group ends within the timeout.
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
