package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"

	"example.com/tenant-provisioner/events"
)

// tidyTimeout bounds what is still said to the database after the caller's context has ended.
const tidyTimeout = 2 * time.Second

// Config is what a [Provisioner] needs.
type Config struct {
	Database Database
	Source   string // CloudEvents source of the outcomes
	Limit    Limit
	Workers  int // tenants built at once
	Log      *slog.Logger
	Now      func() time.Time
	Steps    []Step       // see [Steps]
	Observer Observer     // nil: nobody looks
	Tracer   trace.Tracer // nil: nothing is traced
}

// StepEvent is a step of an attempt that runs, or has just ended.
type StepEvent struct {
	Request  events.Request
	TenantID string // empty where the request names none that is valid
	Attempt  int
	Replay   int
	Step     events.Step
}

// AttemptResult is what an attempt came to.
type AttemptResult string

// The results of attempts.
const (
	AttemptProvisioned AttemptResult = "provisioned"
	AttemptFailed      AttemptResult = "failed"      // for good
	AttemptPostponed   AttemptResult = "postponed"   // after a transient fault
	AttemptInterrupted AttemptResult = "interrupted" // by an outage
	AttemptHandedBack  AttemptResult = "handed_back" // because the process ends
	AttemptOvertaken   AttemptResult = "overtaken"   // another delivery's attempt has decided the request
)

// AttemptResults are all results of attempts.
func AttemptResults() []AttemptResult {
	return []AttemptResult{
		AttemptProvisioned, AttemptFailed, AttemptPostponed, AttemptInterrupted, AttemptHandedBack, AttemptOvertaken,
	}
}

// Observer is told what happens, for metrics and for who waits. Its methods return at once.
type Observer interface {
	// StepBegan tells that a step has begun.
	StepBegan(r StepEvent)
	// StepEnded tells how long a step took, and its error.
	StepEnded(r StepEvent, took time.Duration, err error)
	// AttemptEnded tells what an attempt came to, once it has run. One that is held up by an outage, and goes on
	// after it, has ended with each.
	AttemptEnded(result AttemptResult)
	// Warned tells of a warning that an outcome carries.
	Warned(step, code string)
	// Recorded tells of an outcome that this process has recorded; cause is empty for a success. That of an
	// undecodable message is recorded nowhere, and told of at each delivery.
	Recorded(eventType string, cause events.CauseCode)
}

type noopObserver struct{}

func (noopObserver) StepBegan(StepEvent)                       {}
func (noopObserver) StepEnded(StepEvent, time.Duration, error) {}
func (noopObserver) AttemptEnded(AttemptResult)                {}
func (noopObserver) Warned(string, string)                     {}
func (noopObserver) Recorded(string, events.CauseCode)         {}

// exclusive is the share of an attempt that runs alone: far more than there are workers.
const exclusive = 1 << 30

// Provisioner runs the pipeline. It is safe for concurrent use; all that it remembers is how many attempts
// are running and building, and that it has been told to begin no more.
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
	draining := make(chan struct{})
	return &Provisioner{
		Config: c, running: semaphore.NewWeighted(exclusive), building: semaphore.NewWeighted(int64(c.Workers)),
		draining: draining, drain: sync.OnceFunc(func() { close(draining) }),
		rehearsal: newRehearsal(),
	}, nil
}

// LastProgress is when a step last began; zero if none has.
func (p *Provisioner) LastProgress() time.Time {
	if at := p.lastProgress.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Ping reports whether the database can be reached and written to.
func (p *Provisioner) Ping(ctx context.Context) error { return p.Database.Ping(ctx) }

// DeadLetterConfirmed tells the ledger that the dead letter of a recorded failure is confirmed. Where that cannot be
// told, it is published once more by a redelivery, which changes nothing.
func (p *Provisioner) DeadLetterConfirmed(ctx context.Context, key string, o Outcome, delivery string) {
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if err := p.Database.DeadLetterConfirmed(tidy, key, o.ID, delivery); err != nil {
		p.Log.WarnContext(ctx, "could not record confirmed dead letter in the ledger", "key", key, "error", err)
	}
}

// Recorded is [Ledger].Recorded: what is about to be published is compared with it.
func (p *Provisioner) Recorded(ctx context.Context, key string) (Outcome, error) {
	return p.Database.Recorded(ctx, key)
}

// errDraining says that an attempt was not begun because the process is about to end.
var errDraining = errors.New("no new attempts: the process is stopping")

// Drain keeps attempts from beginning that still wait for room or for a worker. Those that build are not touched.
func (p *Provisioner) Drain() { p.drain() }

// acquire waits for a share of s until ctx ends or the process drains.
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
	case <-p.draining: // and the share became free before the wait was ended
		s.Release(share)
		return errDraining
	default:
		return nil
	}
}
