package pipeline

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
)

// Attempt is one run of the steps for one request. Steps read and write it.
type Attempt struct {
	*Job
	build   Build // nil until step 0 has passed
	started time.Time
	step    int // the number of the running step

	plan          Plan
	createdAt     time.Time // UTC, whole microseconds
	boundary      Boundary
	existing      Inspection // of the boundary before anything is made in it, if it existed
	failedIndexes map[string]error
	scripts       []events.Script
	seeded        map[string]int
	tables        int
	indexes       int
	warnings      []events.Warning
	timings       []events.StepTiming
	stepStarted   time.Time
	outcome       Outcome
}

func newAttempt(j *Job) *Attempt {
	return &Attempt{Job: j, started: j.p.Now()}
}

// run runs the steps. The build opens after step 0 has passed. A panic anywhere becomes this attempt's error;
// closeBuild still closes what is open.
func (a *Attempt) run(ctx context.Context) (err error) {
	defer a.recovered(ctx, "the attempt", &err)
	for number := range a.p.Steps {
		a.step = number
		if a.build == nil && number > 0 { // step 0 touches nothing
			if err := a.openBuild(ctx); err != nil {
				return err
			}
		}
		if err := a.runStep(ctx, number); err != nil {
			return err
		}
	}
	return nil
}

// openBuild opens the build once a worker is free. The request waits here after its claim and step 0, so that no
// worker spends time on those.
func (a *Attempt) openBuild(ctx context.Context) (err error) {
	waiting := a.p.Now()
	if err := a.p.acquire(ctx, a.p.building, 1); err != nil {
		return err
	}
	defer func() {
		if a.build == nil { // an error, or a panic
			a.p.building.Release(1)
		}
	}()
	now := a.p.Now()
	a.started = a.started.Add(now.Sub(waiting)) // the outcome's duration excludes this wait
	a.createdAt = now.UTC().Truncate(time.Microsecond)
	build, err := a.p.Database.Begin(ctx, *a.claim, a.data.TenantID)
	if err == nil {
		a.build = build
	}
	return err
}

// closeBuild closes the build, if there is one, and releases the worker. It returns what exists now that did not
// before. A panic is only logged, because the result of the attempt is already known.
func (a *Attempt) closeBuild(ctx context.Context) (leftBehind []string) {
	if a.build == nil {
		return nil
	}
	defer a.p.building.Release(1)
	defer a.recovered(ctx, "the end of the attempt", new(error))
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	return a.build.Close(tidy)
}

func (a *Attempt) runStep(ctx context.Context, number int) error {
	step := a.p.Steps[number]
	began := a.p.Now()
	a.stepStarted = began
	a.p.lastProgress.Store(&began) // not &a.stepStarted: the next step writes it while others read
	label := fmt.Sprintf("Step %d/%d: %s", number, len(a.p.Steps)-1, step.Name)
	a.log.InfoContext(ctx, label+" …")
	a.p.Observer.StepBegan(a.stepEvent())
	err := a.runRecovering(ctx, step)
	took := a.p.Now().Sub(a.stepStarted)
	a.p.Observer.StepEnded(a.stepEvent(), took, err)
	timing := a.timing(took)
	if err != nil {
		a.log.WarnContext(ctx, label+" failed", "duration_ms", timing.DurationMS, "error", err)
		return err
	}
	a.log.InfoContext(ctx, label+" done", "duration_ms", timing.DurationMS)
	crash.Point(fmt.Sprintf("step %d ended", number), a.data.TenantID)
	if number > 0 {
		a.timings = append(a.timings, timing)
	}
	return nil
}

// runRecovering runs a step in its span. A panic becomes this attempt's error, so that the process and its other
// requests survive.
func (a *Attempt) runRecovering(ctx context.Context, step Step) (err error) {
	ctx, end := a.traceStep(ctx, step)
	defer func() { end(err) }()
	defer a.recovered(ctx, step.Name, &err)
	return step.Run(ctx, a)
}

// recovered is deferred. It turns a panic into the error of the function that panicked.
func (a *Attempt) recovered(ctx context.Context, what string, err *error) {
	if cause := recover(); cause != nil {
		a.log.ErrorContext(ctx, "panic in "+what, "panic", cause, "stack", string(debug.Stack()))
		*err = fmt.Errorf("panic in %s: %v", what, cause)
	}
}

// stepEvent describes the running step for the observer.
func (a *Attempt) stepEvent() StepEvent {
	return StepEvent{
		Request:  events.Request{Source: a.request.Event.Source(), ID: a.request.Event.ID()},
		TenantID: safeTenantID(a.data.TenantID), Attempt: a.claim.Attempt, Replay: a.claim.Replay, Step: a.eventStep(a.step),
	}
}

// timing is the running step with its duration.
func (a *Attempt) timing(took time.Duration) events.StepTiming {
	return events.StepTiming{Step: a.eventStep(a.step), DurationMS: milliseconds(took)}
}

func (a *Attempt) warn(code, message string) {
	a.warnings = append(a.warnings, events.Warning{Step: a.eventStep(a.step), Code: code, Message: message})
	a.log.Warn(message, "code", code)
}

// eventStep is the step with that number as events name it.
func (j *Job) eventStep(number int) events.Step {
	return events.Step{Number: number, Name: j.p.Steps[number].Name}
}

// milliseconds converts a duration to milliseconds for an event, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
