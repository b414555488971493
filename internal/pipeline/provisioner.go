package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/semaphore"

	"example.com/tenant-provisioner/events"
)

// tidyTimeout bounds database calls that are made after the caller's context has ended.
const tidyTimeout = 2 * time.Second

// Config is what a [Provisioner] needs.
type Config struct {
	Database Database
	Source   string // CloudEvents source of the outcomes
	Limit    Limit
	Workers  int // how many tenants are built concurrently
	Log      *slog.Logger
	Now      func() time.Time
	Steps    []Step       // see [Steps]
	Scripts  *Scripts     // nil: run_init_scripts is not among the steps
	Plans    *Plans       // nil: tenants have no plan
	Observer Observer     // nil: no observer
	Tracer   trace.Tracer // nil: no tracing
}

// StepEvent describes a step of an attempt that is running or has just ended.
type StepEvent struct {
	Request  events.Request
	TenantID string // empty if the request has no valid one
	Attempt  int
	Replay   int
	Step     events.Step
}

// AttemptResult is how an attempt ended.
type AttemptResult string

// The results of attempts.
const (
	AttemptProvisioned AttemptResult = "provisioned"
	AttemptFailed      AttemptResult = "failed"      // permanently
	AttemptRetried     AttemptResult = "postponed"   // after a transient fault
	AttemptInterrupted AttemptResult = "interrupted" // by an outage
	AttemptReleased    AttemptResult = "handed_back" // because the process stops
	AttemptOvertaken   AttemptResult = "overtaken"   // another delivery's attempt decided the request
)

// AttemptResults are all results of attempts.
func AttemptResults() []AttemptResult {
	return []AttemptResult{
		AttemptProvisioned, AttemptFailed, AttemptRetried, AttemptInterrupted, AttemptReleased, AttemptOvertaken,
	}
}

// Observer receives what happens, for metrics and progress events. Its methods must return at once.
type Observer interface {
	// StepBegan is called when a step begins.
	StepBegan(r StepEvent)
	// StepEnded is called when a step ends, with its duration and error.
	StepEnded(r StepEvent, took time.Duration, err error)
	// AttemptEnded is called each time an attempt has run. An attempt that an outage interrupts is reported once for each
	// interruption, and once more when it ends.
	AttemptEnded(result AttemptResult)
	// Warned is called for each warning of a recorded success.
	Warned(step, code string)
	// Recorded is called for each outcome that this process has recorded; cause is empty for a success.
	Recorded(eventType string, cause events.CauseCode)
}

type noopObserver struct{}

func (noopObserver) StepBegan(StepEvent)                       {}
func (noopObserver) StepEnded(StepEvent, time.Duration, error) {}
func (noopObserver) AttemptEnded(AttemptResult)                {}
func (noopObserver) Warned(string, string)                     {}
func (noopObserver) Recorded(string, events.CauseCode)         {}

// exclusive is the share of an attempt that runs in isolation: all of them, far more than there are workers.
const exclusive = 1 << 30

// Provisioner runs the pipeline. It is safe for concurrent use. Its only state is how many attempts are running and
// building, the last rehearsal, and whether it is draining.
type Provisioner struct {
	Config
	running      *semaphore.Weighted
	building     *semaphore.Weighted
	draining     chan struct{}
	drain        func()
	lastProgress atomic.Pointer[time.Time]

	rehearsal *rehearsal
}

// New returns a provisioner, or an error that names what is missing.
func New(c Config) (*Provisioner, error) {
	switch {
	case c.Database == nil, c.Log == nil, c.Now == nil:
		return nil, errors.New("pipeline: Database, Log and Now are required")
	case c.Source == "":
		return nil, errors.New("pipeline: Source is required")
	case c.Limit.Attempts < 1 || c.Limit.Lease <= 0:
		return nil, errors.New("pipeline: Limit needs at least one attempt and a lease above zero")
	case c.Workers < 1:
		return nil, errors.New("pipeline: Workers must be at least 1")
	case len(c.Steps) < 2:
		return nil, errors.New("pipeline: Steps needs step 0 and at least one more")
	}
	if c.Observer == nil {
		c.Observer = noopObserver{}
	}
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	draining := make(chan struct{})
	return &Provisioner{
		Config: c, running: semaphore.NewWeighted(exclusive), building: semaphore.NewWeighted(int64(c.Workers)),
		draining: draining, drain: sync.OnceFunc(func() { close(draining) }),
		rehearsal: newRehearsal(),
	}, nil
}

// LastProgress is the time when a step last began; zero if none has.
func (p *Provisioner) LastProgress() time.Time {
	if at := p.lastProgress.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Ping reports whether the database can be reached and written to.
func (p *Provisioner) Ping(ctx context.Context) error { return p.Database.Ping(ctx) }

// DeadLetterConfirmed records in the ledger that the dead letter of a recorded failure is confirmed. If that fails, a
// redelivery publishes the dead letter once more, which changes nothing. stream is [Outcome].DeadLetterStream.
func (p *Provisioner) DeadLetterConfirmed(ctx context.Context, key string, o Outcome, delivery, stream string) {
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if err := p.Database.DeadLetterConfirmed(tidy, key, o.ID, delivery, stream); err != nil {
		p.Log.WarnContext(ctx, "could not record confirmed dead letter in the ledger", "key", key, "error", err)
	}
}

// Recorded is [Ledger].Recorded, to compare an outcome with before it is published.
func (p *Provisioner) Recorded(ctx context.Context, key string) (Outcome, error) {
	return p.Database.Recorded(ctx, key)
}

// errDraining means that an attempt did not begin because the process is stopping.
var errDraining = errors.New("no new attempts: the process is stopping")

// Drain prevents attempts that wait for admission or for a worker from beginning. Attempts that are being built
// continue.
func (p *Provisioner) Drain() { p.drain() }

// acquire waits for a share of s until ctx ends or the provisioner drains.
func (p *Provisioner) acquire(ctx context.Context, s *semaphore.Weighted, share int64) error {
	if s.TryAcquire(share) {
		return nil
	}
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-p.draining:
			stop(errDraining)
		case <-waiting.Done():
		}
	}()
	if s.Acquire(waiting, share) != nil {
		return context.Cause(waiting)
	}
	select {
	case <-p.draining: // the share became free before the wait was cancelled
		s.Release(share)
		return errDraining
	default:
		return nil
	}
}
