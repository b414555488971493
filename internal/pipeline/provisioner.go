package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.com/tenant-provisioner/events"
)

// tidyTimeout bounds what is still said to the database after the caller's context has ended.
const tidyTimeout = 2 * time.Second

// Config is what a [Provisioner] needs.
type Config struct {
	Database Database
	Source   string // CloudEvents source of the outcomes
	Limit    Limit
	Log      *slog.Logger
	Now      func() time.Time
	Steps    []Step   // see [Steps]
	Observer Observer // nil: nobody looks
}

// Observer is told what happens, for metrics. Its methods return at once.
type Observer interface {
	// StepEnded tells how long a step took, and its error.
	StepEnded(step string, took time.Duration, err error)
	// Warned tells of a warning that an outcome carries.
	Warned(step, code string)
	// Recorded tells of an outcome that this process has recorded; cause is empty for a success. That of an
	// undecodable message is recorded nowhere, and told of at each delivery.
	Recorded(eventType string, cause events.CauseCode)
}

type nobody struct{}

func (nobody) StepEnded(string, time.Duration, error) {}
func (nobody) Warned(string, string)                  {}
func (nobody) Recorded(string, events.CauseCode)      {}

// Provisioner runs the pipeline. It keeps no state between requests and is safe for concurrent use.
type Provisioner struct{ Config }

// New returns a provisioner, or an error that names what is missing.
func New(c Config) (*Provisioner, error) {
	switch {
	case c.Database == nil, c.Log == nil, c.Now == nil:
		return nil, errors.New("pipeline: Database, Log and Now are required")
	case c.Source == "":
		return nil, errors.New("pipeline: Source is required")
	case c.Limit.Attempts < 1 || c.Limit.Lease <= 0:
		return nil, errors.New("pipeline: Limit needs at least one attempt and a lease above zero")
	case len(c.Steps) < 2:
		return nil, errors.New("pipeline: Steps needs step 0 and at least one more")
	}
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	return &Provisioner{c}, nil
}

// Ping reports whether the database can be reached and written to.
func (p *Provisioner) Ping(ctx context.Context) error { return p.Database.Ping(ctx) }

// Verdict says what became of a job.
type Verdict int

// The verdicts.
const (
	Decided Verdict = iota // the outcome is recorded: publish it
	Retry                  // a transient fault: deliver again, later
	Held                   // an outage: run the same job again once the database is back
	Aborted                // the context ended first: hand the message back at once
)

// Result is what [Job.Run] returns.
type Result struct {
	Verdict Verdict
	Outcome Outcome // where Decided
	Attempt int     // the attempt that this was; 0 where none was spent
	Err     error   // the fault, where not Decided
}

// Job is one delivery of one request. It remembers its claim, so that running it again after an outage is
// the same attempt.
type Job struct {
	p         *Provisioner
	request   Request
	data      events.Requested
	malformed error
	claim     *Claim
	log       *slog.Logger
}

// Job prepares a job; nothing happens before [Job.Run].
func (p *Provisioner) Job(r Request) *Job {
	data, err := events.RequestedFrom(r.Event)
	return &Job{p: p, request: r, data: data, malformed: err, log: p.Log.With(
		"source", r.Event.Source(), "request", r.Event.ID(), "tenant", recordable(data.TenantID))}
}

// Run claims the request and runs the pipeline until it is decided, or returns why that has to wait. It
// blocks as long as the database does; ending ctx stops it, and gives the attempt back.
func (j *Job) Run(ctx context.Context) Result {
	if j.claim == nil {
		claim, err := j.p.Database.Claim(ctx, j.request, recordable(j.data.TenantID), j.p.Limit)
		if err != nil {
			return j.unclaimed(ctx, err)
		}
		j.claim = &claim
		j.log = j.log.With("attempt", claim.Attempt, "replay", claim.Replay)
	}
	if j.claim.Attempt > j.p.Limit.Attempts {
		return j.conclude(ctx, 0, &Fault{
			Class: Permanent, Code: events.CauseAttemptsExhausted,
			Message: fmt.Sprintf("all %d attempts were begun and the last one has no result: did the process end "+
				"while it ran?", j.p.Limit.Attempts),
		}, nil)
	}
	a := newAttempt(j)
	err := a.run(ctx)
	var leftBehind []string
	if a.build != nil {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
		leftBehind = a.build.Close(tidy)
		cancel()
	}
	if err == nil {
		for _, w := range a.warnings {
			j.p.Observer.Warned(w.Step.Name, w.Code)
		}
		j.p.Observer.Recorded(a.outcome.Type, "")
		return Result{Verdict: Decided, Outcome: a.outcome, Attempt: j.claim.Attempt}
	}
	return j.failed(ctx, a.step, err, leftBehind)
}

// unclaimed judges an error of the claim itself. No attempt was spent.
func (j *Job) unclaimed(ctx context.Context, err error) Result {
	var settled *Settled
	switch {
	case errors.As(err, &settled):
		return Result{Verdict: Decided, Outcome: settled.Outcome}
	case ctx.Err() != nil:
		return Result{Verdict: Aborted, Err: context.Cause(ctx)}
	case faultOf(err).Class == Outage:
		return Result{Verdict: Held, Err: err}
	}
	return Result{Verdict: Retry, Err: fmt.Errorf("claim: %w", err)}
}

// failed judges an error of the attempt, at the step with this number.
func (j *Job) failed(ctx context.Context, step int, err error, leftBehind []string) Result {
	var settled *Settled
	if errors.As(err, &settled) {
		j.log.InfoContext(ctx, "another worker finished this request", "outcome", settled.Outcome.ID)
		return Result{Verdict: Decided, Outcome: settled.Outcome}
	}
	fault := faultOf(err)
	note := Note{Step: j.p.Steps[step].Name, Code: fault.Native, Text: fault.Error()}
	switch {
	case fault.Class == Permanent:
		return j.conclude(ctx, step, fault, leftBehind)
	case ctx.Err() != nil:
		return j.aborted(ctx, note)
	case fault.Class == Outage:
		return Result{Verdict: Held, Attempt: j.claim.Attempt, Err: err}
	case j.claim.Attempt >= j.p.Limit.Attempts:
		return j.conclude(ctx, step, &Fault{
			Class: Permanent, Code: events.CauseAttemptsExhausted,
			Message: fmt.Sprintf("%d attempts failed; the last error is in detail", j.claim.Attempt),
			Native:  fault.Native, Err: err,
		}, leftBehind)
	}
	j.note(ctx, note)
	return Result{Verdict: Retry, Attempt: j.claim.Attempt, Err: err}
}

// aborted gives the attempt back. Where the database has committed the outcome after all, nothing is given
// back, and the next delivery finds it.
func (j *Job) aborted(ctx context.Context, n Note) Result {
	n.Refund = true
	j.note(ctx, n)
	return Result{Verdict: Aborted, Err: context.Cause(ctx)}
}

// note writes to the ledger what would be nice to have there; losing it loses no request.
func (j *Job) note(ctx context.Context, n Note) {
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if err := j.p.Database.Note(tidy, *j.claim, n); err != nil {
		j.log.WarnContext(ctx, "the ledger could not be told of this attempt", "error", err)
	}
}

// conclude records a failure for good.
func (j *Job) conclude(ctx context.Context, step int, fault *Fault, leftBehind []string) Result {
	failure, err := j.failure(step, fault, leftBehind)
	if err != nil {
		return Result{Verdict: Retry, Attempt: j.claim.Attempt, Err: err}
	}
	outcome, err := j.p.Database.Conclude(ctx, *j.claim, failure)
	switch {
	case err == nil:
		if outcome.ID == failure.Outcome.ID { // and not one that was there
			j.p.Observer.Recorded(outcome.Type, failure.Cause.Code)
		}
		return Result{Verdict: Decided, Outcome: outcome, Attempt: j.claim.Attempt}
	case ctx.Err() != nil:
		return j.aborted(ctx, Note{Step: failure.Step, Code: string(failure.Cause.Code), Text: failure.Cause.Message})
	case faultOf(err).Class == Outage:
		return Result{Verdict: Held, Attempt: j.claim.Attempt, Err: err}
	}
	return Result{Verdict: Retry, Attempt: j.claim.Attempt, Err: fmt.Errorf("record the failure: %w", err)}
}

// recordable is a tenant id as ledger and log may keep it: untrusted text stays out.
func recordable(tenantID string) string {
	if events.ValidateTenantID(tenantID) != nil {
		return ""
	}
	return tenantID
}
