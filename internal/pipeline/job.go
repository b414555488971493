package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/propagation"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
)

// Result is what [Job.Run] returns.
type Result struct {
	Verdict Verdict
	Facts   Facts   // what the verdict was made of
	Outcome Outcome // where the verdict is Acknowledge or Terminate
	Attempt int     // the attempt that this was; 0 where none was spent
	Err     error   // the fault, for the other verdicts
}

// Decided reports whether there is an outcome to publish.
func (r Result) Decided() bool { return r.Verdict == Acknowledge || r.Verdict == Terminate }

// Job is one delivery of one request. It remembers its claim, so that running it again after an outage is
// the same attempt.
type Job struct {
	p         *Provisioner
	request   Request
	data      events.Requested
	malformed error
	claim     *Claim
	trips     int                    // how often an outage has held it up
	held      atomic.Pointer[Claim]  // the claim while the attempt is alive; for Renew
	alone     bool                   // the attempt runs alone, also when it is run again
	trace     propagation.MapCarrier // the span in which it is decided; nil where nothing is traced
	log       *slog.Logger
}

// Job prepares a job; nothing happens before [Job.Run].
func (p *Provisioner) Job(r Request) *Job {
	data, err := events.RequestedFrom(r.Event)
	if r.Delivery == "" {
		r.Delivery = rand.Text()
	}
	return &Job{p: p, request: r, data: data, malformed: err, log: p.Log.With(
		"source", r.Event.Source(), "request", r.Event.ID(), "tenant", recordable(data.TenantID))}
}

// Run claims the request and runs the pipeline until it is decided, or returns why that has to wait. It
// blocks as long as the database does; ending ctx stops it, and gives the attempt back.
func (j *Job) Run(ctx context.Context) (result Result) {
	j.follow(ctx)
	defer func() {
		if result.Verdict != Pause { // it is not run again
			j.held.Store(nil)
		}
	}()
	end, err := j.room(ctx)
	if err != nil {
		return j.unclaimed(ctx, err)
	}
	defer end()
	if j.claim == nil {
		claim, err := j.p.Database.Claim(ctx, j.request, recordable(j.data.TenantID), j.p.Limit)
		if err != nil {
			return j.unclaimed(ctx, err)
		}
		j.claim = &claim
		j.held.Store(&claim)
		j.log = j.log.With("attempt", claim.Attempt, "replay", claim.Replay)
		crash.Point("claimed", j.data.TenantID)
	}
	if j.claim.Attempt > j.p.Limit.Attempts {
		return j.conclude(ctx, Facts{Ledger: Spent}, 0, &Fault{
			Class: Permanent, Code: events.CauseAttemptsExhausted,
			Message: fmt.Sprintf("all %d attempts were begun and the last one has no result: did the process end "+
				"while it ran?", j.p.Limit.Attempts),
		}, nil)
	}
	a := newAttempt(j)
	err = a.run(ctx)
	leftBehind := a.end(ctx)
	result = j.ended(ctx, a, err, leftBehind)
	j.p.Observer.AttemptEnded(attemptResult(result.Verdict, err))
	return result
}

// attemptResult is what an attempt came to that ended with this error.
func attemptResult(v Verdict, err error) AttemptResult {
	var settled *Settled
	switch {
	case errors.As(err, &settled):
		return AttemptOvertaken
	case v == Acknowledge:
		return AttemptProvisioned
	case v == Terminate:
		return AttemptFailed
	case v == Pause:
		return AttemptInterrupted
	case v == HandBack:
		return AttemptHandedBack
	}
	return AttemptPostponed
}

// ended judges an attempt that has run.
func (j *Job) ended(ctx context.Context, a *Attempt, err error, leftBehind []string) Result {
	if err != nil {
		return j.failed(ctx, a.step, err, leftBehind)
	}
	for _, w := range a.warnings {
		j.p.Observer.Warned(w.Step.Name, w.Code)
	}
	j.p.Observer.Recorded(a.outcome.Type, "")
	return j.standing(a.outcome)
}

// room waits until the attempt may begin, before it is counted. A suspect runs alone: if it takes the process
// with it once more, only its own attempt is spent, and the requests that it was delivered with still run.
func (j *Job) room(ctx context.Context) (end func(), err error) {
	if j.claim == nil && j.request.Again { // else it is this job's own attempt that has no end yet
		if j.alone, err = j.p.Database.Suspect(ctx, j.request, j.p.Limit); err != nil {
			return nil, err
		}
		if j.alone {
			j.log.WarnContext(ctx, "nothing became of the last attempt: did it end the process? The next one runs alone")
		}
	}
	share := int64(1)
	if j.alone {
		share = everyone
	}
	if err := j.p.acquire(ctx, j.p.running, share); err != nil {
		return nil, err
	}
	return func() { j.p.running.Release(share) }, nil
}

// unclaimed judges an error of the claim itself. No attempt was spent.
func (j *Job) unclaimed(ctx context.Context, err error) Result {
	var settled *Settled
	switch {
	case errors.As(err, &settled):
		return j.standing(settled.Outcome)
	case errors.Is(err, ErrBusy):
		return j.undecided(ctx, Facts{Ledger: Busy}, err, Note{})
	}
	if errors.Is(err, errDraining) {
		return j.undecided(ctx, Facts{Ledger: Unread, Phase: Draining}, fmt.Errorf("claim: %w", err), Note{}) // not begun
	}
	fault, why := j.p.judge(ctx, err, j.trips)
	f := Facts{Ledger: Unread, Ended: ending(fault)}
	return j.undecided(ctx, f, fmt.Errorf("claim: %w", why), Note{Text: why.Error()})
}

// standing is the result where the ledger holds the outcome.
func (j *Job) standing(o Outcome) Result {
	r := j.result(Facts{Ledger: stateOf(o)})
	r.Outcome = o
	return r
}

// undecided is the result where there is no outcome yet. Where the message is handed back, so is the attempt,
// with the note; where the database has committed the outcome after all, nothing is given back, and the next
// delivery finds it.
func (j *Job) undecided(ctx context.Context, f Facts, err error, n Note) Result {
	if ctx.Err() != nil {
		f.Phase, err = Stopping, context.Cause(ctx)
	}
	r := j.result(f)
	r.Err = err
	if r.Verdict == Pause {
		j.trips++
	}
	if r.Verdict == HandBack && j.claim != nil {
		n.Refund = true
		j.note(ctx, n)
	}
	return r
}

func (j *Job) result(f Facts) Result {
	r := Result{Verdict: Settle(f), Facts: f}
	if j.claim != nil {
		r.Attempt = j.claim.Attempt
	}
	return r
}

// failed judges an error of the attempt, at the step with this number.
func (j *Job) failed(ctx context.Context, step int, err error, leftBehind []string) Result {
	var settled *Settled
	if errors.As(err, &settled) {
		j.log.InfoContext(ctx, "another worker finished this request", "outcome", settled.Outcome.ID)
		return j.standing(settled.Outcome)
	}
	if errors.Is(err, ErrBusy) {
		return j.busy(ctx, step, err)
	}
	facts := Facts{Ledger: Claimed, Last: j.claim.Attempt >= j.p.Limit.Attempts}
	fault := faultOf(err)
	if errors.Is(err, errDraining) {
		facts.Ended, facts.Phase = EndedOutage, Draining // no fault of its own held it up
	} else {
		met := fault
		fault, err = j.p.judge(ctx, err, j.trips)
		if met.Lost && fault.Class == Transient {
			return j.busy(ctx, step, err)
		}
		facts.Ended = ending(fault)
	}
	note := Note{Step: j.p.Steps[step].Name, Code: fault.Native, Text: fault.Error()}
	result := j.undecided(ctx, facts, err, note)
	switch result.Verdict {
	case Terminate:
		if fault.Class != Permanent {
			fault = &Fault{
				Class: Permanent, Code: events.CauseAttemptsExhausted,
				Message: fmt.Sprintf("%d attempts failed; the last error is in detail", j.claim.Attempt),
				Native:  fault.Native, Err: err,
			}
		}
		return j.conclude(ctx, result.Facts, step, fault, leftBehind)
	case Postpone:
		j.note(ctx, note)
	case Acknowledge, HandBack, Pause:
	}
	return result
}

// Leave ends a job that was to be run again once the database is back, because the process ends first: the
// attempt is given back, if the database can be told. If it cannot, that attempt stays counted.
func (j *Job) Leave(ctx context.Context, paused Result) Result {
	j.held.Store(nil)
	paused.Facts.Phase = Draining
	fault := faultOf(paused.Err)
	return j.undecided(ctx, paused.Facts, paused.Err, Note{Code: fault.Native, Text: fault.Error()})
}

// note writes to the ledger what would be nice to have there; losing it loses no request.
func (j *Job) note(ctx context.Context, n Note) {
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if err := j.p.Database.Note(tidy, *j.claim, n); err != nil {
		j.log.WarnContext(ctx, "the ledger could not be told of this attempt", "error", err)
	}
}

// conclude records a failure for good; until it is recorded there is none.
func (j *Job) conclude(ctx context.Context, f Facts, step int, fault *Fault, leftBehind []string) Result {
	failure, err := j.failure(step, fault, leftBehind)
	if err != nil {
		return j.undecided(ctx, Facts{Ledger: Unread, Ended: EndedTransient}, err, Note{Text: err.Error()})
	}
	outcome, err := j.p.Database.Conclude(ctx, *j.claim, failure)
	if err == nil {
		crash.Point("failure recorded", j.data.TenantID)
		if outcome.ID == failure.Outcome.ID { // and not one that was there
			j.p.Observer.Recorded(outcome.Type, failure.Cause.Code)
		}
		return j.standing(outcome)
	}
	met, why := j.p.judge(ctx, err, j.trips)
	f.Ledger, f.Ended = Unread, ending(met)
	return j.undecided(ctx, f, fmt.Errorf("record the failure: %w", why),
		Note{Step: failure.Step, Code: string(failure.Cause.Code), Text: failure.Cause.Message})
}

// recordable is a tenant id as ledger and log may keep it: untrusted text stays out.
func recordable(tenantID string) string {
	if events.ValidateTenantID(tenantID) != nil {
		return ""
	}
	return tenantID
}
