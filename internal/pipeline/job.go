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

// Decision is what [Job.Run] returns.
type Decision struct {
	Verdict Verdict
	Facts   Facts   // what the verdict is based on
	Outcome Outcome // where the verdict is Acknowledge or Terminate
	Attempt int     // the number of the attempt; 0 if none was spent
	Err     error   // the fault, for the other verdicts
}

// Decided reports whether there is an outcome to publish.
func (r Decision) Decided() bool { return r.Verdict == Acknowledge || r.Verdict == Terminate }

// Job is one delivery of one request. It keeps its claim, so that running it again after an outage continues the same
// attempt.
type Job struct {
	p         *Provisioner
	request   Request
	data      events.Requested
	malformed error
	claim     *Claim
	trips     int                    // how often an outage has interrupted it
	held      atomic.Pointer[Claim]  // the claim while the attempt is alive; for Renew
	isolated  bool                   // the attempt runs in isolation, also when it is run again
	trace     propagation.MapCarrier // the span in which it is decided; nil: not traced
	log       *slog.Logger
}

// Job prepares a job. Nothing happens before [Job.Run].
func (p *Provisioner) Job(r Request) *Job {
	data, err := events.RequestedFrom(r.Event)
	if r.DeliveryID == "" {
		r.DeliveryID = rand.Text()
	}
	return &Job{p: p, request: r, data: data, malformed: err, log: p.Log.With(
		"source", r.Event.Source(), "request", r.Event.ID(), "tenant", safeTenantID(data.TenantID),
	)}
}

// Run claims the request and runs the pipeline until the request is decided, or returns why that has to wait. It blocks
// as long as the database does. A cancelled ctx stops it and refunds the attempt.
func (j *Job) Run(ctx context.Context) (result Decision) {
	j.captureTrace(ctx)
	defer func() {
		if result.Verdict != Pause { // the job is not run again
			j.held.Store(nil)
		}
	}()
	end, err := j.admit(ctx)
	if err != nil {
		return j.claimFailed(ctx, err)
	}
	defer end()
	if j.claim == nil {
		asked := j.p.Now()
		claim, err := j.p.Database.Claim(ctx, j.request, safeTenantID(j.data.TenantID), j.p.Limit)
		if err != nil {
			decision := j.claimFailed(ctx, err)
			decision.Outcome.KnownAt = asked
			return decision
		}
		j.claim = &claim
		j.held.Store(&claim)
		j.log = j.log.With("attempt", claim.Attempt, "replay", claim.Replay)
		crash.Point("claimed", j.data.TenantID)
	}
	if j.claim.Attempt > j.p.Limit.Attempts {
		return j.recordFailure(ctx, Facts{Ledger: Spent}, 0, &Fault{
			Class: Permanent, Code: events.CauseAttemptsExhausted,
			Message: fmt.Sprintf("all %d attempts have started and the last one left no result; it may have crashed "+
				"the process", j.p.Limit.Attempts),
		}, nil)
	}
	a := newAttempt(j)
	err = a.run(ctx)
	leftBehind := a.closeBuild(ctx)
	result = j.finish(ctx, a, err, leftBehind)
	j.p.Observer.AttemptEnded(attemptResult(result.Verdict, err))
	return result
}

// attemptResult is the result of an attempt that ended with this verdict and error.
func attemptResult(v Verdict, err error) AttemptResult {
	var decided *AlreadyDecidedError
	switch {
	case errors.As(err, &decided):
		return AttemptOvertaken
	case v == Acknowledge:
		return AttemptProvisioned
	case v == Terminate:
		return AttemptFailed
	case v == Pause:
		return AttemptInterrupted
	case v == Release:
		return AttemptReleased
	}
	return AttemptRetried
}

// finish returns the decision on an attempt that has run.
func (j *Job) finish(ctx context.Context, a *Attempt, err error, leftBehind []string) Decision {
	if err != nil {
		return j.attemptFailed(ctx, a.step, err, leftBehind)
	}
	for _, w := range a.warnings {
		j.p.Observer.Warned(w.Step.Name, w.Code)
	}
	j.p.Observer.Recorded(a.outcome.Type, "")
	return j.alreadyDecided(a.outcome)
}

// admit waits until the attempt may begin, before it is counted. An attempt after one that vanished runs in isolation:
// if it crashes the process again, it spends only its own attempt, and the requests delivered together with it can
// still run.
func (j *Job) admit(ctx context.Context) (end func(), err error) {
	if j.claim == nil && j.request.Redelivered { // otherwise the attempt without a result is this job's own
		if j.isolated, err = j.p.Database.LastAttemptVanished(ctx, j.request, j.p.Limit); err != nil {
			return nil, err
		}
		if j.isolated {
			j.log.WarnContext(ctx, "previous attempt left no result and may have crashed the process; "+
				"running the next one in isolation")
		}
	}
	share := int64(1)
	if j.isolated {
		share = exclusive
	}
	if err := j.p.acquire(ctx, j.p.running, share); err != nil {
		return nil, err
	}
	return func() { j.p.running.Release(share) }, nil
}

// claimFailed returns the decision on an error of the claim itself. No attempt was spent.
func (j *Job) claimFailed(ctx context.Context, err error) Decision {
	var decided *AlreadyDecidedError
	switch {
	case errors.As(err, &decided):
		return j.alreadyDecided(decided.Outcome)
	case errors.Is(err, ErrBusy):
		return j.notDecided(ctx, Facts{Ledger: Busy}, err, AttemptNote{})
	}
	if errors.Is(err, errDraining) {
		f := Facts{Ledger: Unread, Phase: Draining}
		return j.notDecided(ctx, f, fmt.Errorf("claim: %w", err), AttemptNote{}) // not begun
	}
	fault, why := j.p.judge(ctx, err, j.trips)
	f := Facts{Ledger: Unread, Result: resultOf(fault)}
	return j.notDecided(ctx, f, fmt.Errorf("claim: %w", why), AttemptNote{Text: why.Error()})
}

// alreadyDecided is the decision if the ledger has the outcome.
func (j *Job) alreadyDecided(o Outcome) Decision {
	r := j.result(Facts{Ledger: stateOf(o)})
	r.Outcome = o
	return r
}

// notDecided is the decision if there is no outcome yet. If the message is released, the attempt is refunded, with the
// note. If the database has committed the outcome after all, nothing is refunded, and the next delivery finds the
// outcome.
func (j *Job) notDecided(ctx context.Context, f Facts, err error, n AttemptNote) Decision {
	if ctx.Err() != nil {
		f.Phase, err = Stopping, context.Cause(ctx)
	}
	r := j.result(f)
	r.Err = err
	if r.Verdict == Pause {
		j.trips++
	}
	if r.Verdict == Release && j.claim != nil {
		n.Refund = true
		j.note(ctx, n) //nolint:errcheck // the attempt stays counted
	}
	return r
}

func (j *Job) result(f Facts) Decision {
	r := Decision{Verdict: Settle(f), Facts: f}
	if j.claim != nil {
		r.Attempt = j.claim.Attempt
	}
	return r
}

// attemptFailed returns the decision on an error of the attempt, at the step with this number.
func (j *Job) attemptFailed(ctx context.Context, step int, err error, leftBehind []string) Decision {
	var decided *AlreadyDecidedError
	if errors.As(err, &decided) {
		j.log.InfoContext(ctx, "another worker finished this request", "outcome", decided.Outcome.ID)
		return j.alreadyDecided(decided.Outcome)
	}
	if errors.Is(err, ErrBusy) {
		return j.busy(ctx, step, err)
	}
	facts := Facts{Ledger: Claimed, Last: j.claim.Attempt >= j.p.Limit.Attempts}
	fault := faultOf(err)
	if errors.Is(err, errDraining) {
		facts.Result, facts.Phase = ResultOutage, Draining // it was not interrupted by a fault
	} else {
		first := fault
		fault, err = j.p.judge(ctx, err, j.trips)
		if first.Lost && fault.Class == Transient {
			return j.busy(ctx, step, err)
		}
		facts.Result = resultOf(fault)
	}
	note := AttemptNote{Step: j.p.Steps[step].Name, Code: fault.DriverCode, Text: fault.Error()}
	result := j.notDecided(ctx, facts, err, note)
	switch result.Verdict {
	case Terminate:
		if fault.Class != Permanent {
			fault = &Fault{
				Class: Permanent, Code: events.CauseAttemptsExhausted,
				Message:    fmt.Sprintf("%d attempts failed; the last error is in detail", j.claim.Attempt),
				DriverCode: fault.DriverCode, Err: err,
			}
		}
		return j.recordFailure(ctx, result.Facts, step, fault, leftBehind)
	case Retry:
		j.note(ctx, note) //nolint:errcheck // it is counted in any case
	case Acknowledge, Release, Pause:
	}
	return result
}

// Abandon ends a paused job because the process ends before the database is back. It refunds the attempt if it can
// reach the database; otherwise that attempt stays counted.
func (j *Job) Abandon(ctx context.Context, paused Decision) Decision {
	j.held.Store(nil)
	paused.Facts.Phase = Draining
	fault := faultOf(paused.Err)
	return j.notDecided(ctx, paused.Facts, paused.Err, AttemptNote{Code: fault.DriverCode, Text: fault.Error()})
}

// note records an attempt's result in the ledger. It may fail: a lost note loses no request.
func (j *Job) note(ctx context.Context, n AttemptNote) error {
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	err := j.p.Database.Note(tidy, *j.claim, n)
	if err != nil {
		j.log.WarnContext(ctx, "could not record attempt in the ledger", "error", err)
	}
	return err
}

// recordFailure records a permanent failure. The request has not failed before that is recorded.
func (j *Job) recordFailure(ctx context.Context, f Facts, step int, fault *Fault, leftBehind []string) Decision {
	failure, err := j.failure(step, fault, leftBehind)
	if err != nil {
		return j.notDecided(ctx, Facts{Ledger: Unread, Result: ResultTransient}, err, AttemptNote{Text: err.Error()})
	}
	outcome, err := j.p.Database.RecordFailure(ctx, *j.claim, failure)
	if err == nil {
		crash.Point("failure recorded", j.data.TenantID)
		if outcome.ID == failure.Outcome.ID { // not one recorded earlier
			j.p.Observer.Recorded(outcome.Type, failure.Cause.Code)
		}
		return j.alreadyDecided(outcome)
	}
	judged, why := j.p.judge(ctx, err, j.trips)
	f.Ledger, f.Result = Unread, resultOf(judged)
	return j.notDecided(ctx, f, fmt.Errorf("record the failure: %w", why),
		AttemptNote{Step: failure.Step, Code: string(failure.Cause.Code), Text: failure.Cause.Message})
}

// safeTenantID is the tenant id for the ledger and the log: "" if it is not valid, so that untrusted text stays out.
func safeTenantID(tenantID string) string {
	if events.ValidateTenantID(tenantID) != nil {
		return ""
	}
	return tenantID
}
