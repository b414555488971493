package sql_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// point is a moment in the processing of a request: right after the call of that name has succeeded.
type point string

const (
	claimed         point = "claim"
	begun           point = "begin"
	boundary        point = "boundary"
	tables          point = "tables"
	indexes         point = "indexes"
	inspected       point = "inspect"
	ready           point = "ready" // before the registration is sent
	committed       point = "committed"
	failureRecorded point = "failure recorded"
)

// hookedDatabase calls hook after each point. A call returns the hook's error although the database has done the work,
// as when a reply is lost.
type hookedDatabase struct {
	pipeline.Database
	hook func(ctx context.Context, p point) error
}

func (s hookedDatabase) Claim(ctx context.Context, r pipeline.Request, tenant string, l pipeline.Limit) (pipeline.Claim, error) {
	c, err := s.Database.Claim(ctx, r, tenant, l)
	if err == nil {
		err = s.hook(ctx, claimed)
	}
	return c, err
}

func (s hookedDatabase) RecordFailure(ctx context.Context, c pipeline.Claim, f pipeline.Failure) (pipeline.Outcome, error) {
	o, err := s.Database.RecordFailure(ctx, c, f)
	if err == nil {
		err = s.hook(ctx, failureRecorded)
	}
	return o, err
}

func (s hookedDatabase) Begin(ctx context.Context, c pipeline.Claim, tenant string) (pipeline.Build, error) {
	b, err := s.Database.Begin(ctx, c, tenant)
	if err != nil {
		return nil, err
	}
	if err := s.hook(ctx, begun); err != nil {
		b.Close(ctx)
		return nil, err
	}
	return hookedBuild{b, s.hook}, nil
}

type hookedBuild struct {
	pipeline.Build
	hook func(ctx context.Context, p point) error
}

func (b hookedBuild) CreateBoundary(ctx context.Context) (pipeline.Boundary, error) {
	got, err := b.Build.CreateBoundary(ctx)
	if err == nil {
		err = b.hook(ctx, boundary)
	}
	return got, err
}

func (b hookedBuild) CreateTables(ctx context.Context, columns []pipeline.Addition) error {
	if err := b.Build.CreateTables(ctx, columns); err != nil {
		return err
	}
	return b.hook(ctx, tables)
}

func (b hookedBuild) CreateIndexes(ctx context.Context) (map[string]error, error) {
	failed, err := b.Build.CreateIndexes(ctx)
	if err == nil {
		err = b.hook(ctx, indexes)
	}
	return failed, err
}

func (b hookedBuild) Inspect(ctx context.Context) (pipeline.Inspection, error) {
	got, err := b.Build.Inspect(ctx)
	if err == nil {
		err = b.hook(ctx, inspected)
	}
	return got, err
}

func (b hookedBuild) Register(ctx context.Context, t pipeline.Tenant, o pipeline.Outcome) error {
	if err := b.hook(ctx, ready); err != nil {
		return err
	}
	if err := b.Build.Register(ctx, t, o); err != nil {
		return err
	}
	return b.hook(ctx, committed)
}

// only calls do at one point.
func only(at point, do func(ctx context.Context) error) func(context.Context, point) error {
	return func(ctx context.Context, p point) error {
		if p != at {
			return nil
		}
		return do(ctx)
	}
}

// once calls do the first time only.
func once(do func(ctx context.Context) error) func(context.Context) error {
	done := false
	return func(ctx context.Context) error {
		if done {
			return nil
		}
		done = true
		return do(ctx)
	}
}

var (
	errTransient = &pipeline.Fault{Class: pipeline.Transient, DriverCode: "40P01", Err: errors.New("deadlock detected")}
	errPermanent = &pipeline.Fault{
		Class: pipeline.Permanent, Code: events.CausePermissionDenied, DriverCode: "42501",
		Message: "not allowed", Err: errors.New("permission denied"),
	}
	errOutage = &pipeline.Fault{Class: pipeline.Outage, DriverCode: "57P01", Err: errors.New("terminating connection")}
)

// stepPoints are the points after which nothing may remain, with the step to which an error there belongs.
var stepPoints = map[point]int{begun: 1, boundary: 1, tables: 2, indexes: 3, inspected: 4, ready: 5}

// expectNoTenant fails the test if a boundary or a registration of the tenant exists (invariants 1 and 3).
func (r fixture) expectNoTenant(t *testing.T, tenant string) {
	t.Helper()
	if left := r.boundaryState(t, tenant); left != "" {
		t.Errorf("left behind: %s", left)
	}
	if n := r.count(t, "", "SELECT count(*) FROM {b}tenant_registry WHERE tenant_id = '"+tenant+"'"); n != 0 {
		t.Error("it is registered")
	}
}

// verdict runs the job and requires that verdict.
func verdict(t *testing.T, j *pipeline.Job, want pipeline.Verdict) pipeline.Decision {
	t.Helper()
	got := j.Run(t.Context())
	if got.Verdict != want {
		t.Fatalf("%s (%v; %s), want %s", got.Verdict, got.Err, got.Outcome.Body, want)
	}
	return got
}

// decided runs the job to its outcome.
func decided(t *testing.T, j *pipeline.Job) pipeline.Decision {
	t.Helper()
	got := j.Run(t.Context())
	if !got.Decided() {
		t.Fatalf("%s: %v", got.Verdict, got.Err)
	}
	return got
}

// eachStep runs one test at every point within the steps, on both engines. The tests of an engine share a store, so a
// connection that is not released, or left in a transaction, fails later tests.
func eachStep(t *testing.T, test func(t *testing.T, r fixture, at point, tenant string)) {
	t.Helper()
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		store := p.newFixture(t)
		for at := range stepPoints {
			t.Run(string(at), func(t *testing.T) {
				test(t, store, at, "at_"+string(at))
			})
		}
	})
}

func (r fixture) withHook(t *testing.T, hook func(context.Context, point) error) *pipeline.Provisioner {
	t.Helper()
	return r.newFixtureOn(t, r.store, hookedDatabase{r.store, hook}).provisioner
}

func TestTransientFaultIsRetried(t *testing.T) {
	eachStep(t, func(t *testing.T, r fixture, at point, tenant string) {
		p := r.withHook(t, only(at, once(func(context.Context) error { return errTransient })))
		req := request(t, tenant)
		if got := verdict(t, p.Job(req), pipeline.Retry); got.Attempt != 1 || !errors.Is(got.Err, errTransient) {
			t.Errorf("%+v", got)
		}
		r.expectNoTenant(t, tenant)
		if got := provisionedOutcome(t, decided(t, p.Job(req)).Outcome); got.Attempts != 2 {
			t.Errorf("%d attempts, want 2", got.Attempts)
		}
	})
}

func TestTransientFaultsExhaustTheAttempts(t *testing.T) {
	eachStep(t, func(t *testing.T, r fixture, at point, tenant string) {
		p := r.withHook(t, only(at, func(context.Context) error { return errTransient }))
		req := request(t, tenant)
		for range maxAttempts - 1 {
			verdict(t, p.Job(req), pipeline.Retry)
			r.expectNoTenant(t, tenant)
		}
		o := decided(t, p.Job(req)).Outcome
		f := failedOutcome(t, o, events.CauseAttemptsExhausted)
		if f.Attempts != maxAttempts || f.Step.Number != stepPoints[at] || f.Cause.Detail != "40P01: deadlock detected" ||
			!f.Replayable || len(f.LeftBehind) != 0 {
			t.Errorf("%+v", f)
		}
		r.expectNoTenant(t, tenant)
		if again := r.decide(t, req); string(again.Body) != string(o.Body) {
			t.Error("another outcome on redelivery")
		}
	})
}

func TestPermanentFaultIsNotRetried(t *testing.T) {
	eachStep(t, func(t *testing.T, r fixture, at point, tenant string) {
		p := r.withHook(t, only(at, once(func(context.Context) error { return errPermanent })))
		req := request(t, tenant)
		f := failedOutcome(t, decided(t, p.Job(req)).Outcome, events.CausePermissionDenied)
		if f.Attempts != 1 || f.Step.Number != stepPoints[at] || f.Cause.Detail != "42501: permission denied" ||
			len(f.LeftBehind) != 0 {
			t.Errorf("%+v", f)
		}
		r.expectNoTenant(t, tenant)
		req.Replay = 1
		if got := provisionedOutcome(t, decided(t, p.Job(req)).Outcome); got.Attempts != 1 || got.Replay != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestOutageSpendsNoAttempt(t *testing.T) {
	eachStep(t, func(t *testing.T, r fixture, at point, tenant string) {
		calls := 0
		p := r.withHook(t, only(at, func(context.Context) error {
			if calls++; calls <= 2 {
				return errOutage
			}
			return nil
		}))
		job := p.Job(request(t, tenant))
		for range 2 {
			verdict(t, job, pipeline.Pause)
			r.expectNoTenant(t, tenant)
		}
		if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
			t.Errorf("%d attempts, want 1", got.Attempts)
		}
	})
}

func TestShutdownSpendsNoAttempt(t *testing.T) {
	eachStep(t, func(t *testing.T, r fixture, at point, tenant string) {
		req := request(t, tenant)
		for range 2 {
			ctx, stop := context.WithCancelCause(t.Context())
			p := r.withHook(t, only(at, func(context.Context) error {
				stop(errors.New("told to stop"))
				return nil // the next call fails with the context's error
			}))
			got := p.Job(req).Run(ctx)
			if got.Verdict != pipeline.Release || got.Err.Error() != "told to stop" {
				t.Fatalf("%+v", got)
			}
			r.expectNoTenant(t, tenant)
		}
		if got := provisionedOutcome(t, r.decide(t, req)); got.Attempts != 1 {
			t.Errorf("%d attempts, want 1", got.Attempts)
		}
	})
}

// The reply to the commit of step 5 is lost, with each error that this can cause: the tenant exists, and there is one
// outcome (invariant 1).
func TestReplyToTheCommitIsLost(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		for name, fault := range map[string]error{"transient": errTransient, "permanent": errPermanent, "outage": errOutage} {
			hooked := r.withHook(t, only(committed, once(func(context.Context) error { return fault })))
			req := request(t, name)
			job := hooked.Job(req)
			result := job.Run(t.Context())
			if !result.Decided() {
				result = job.Run(t.Context())
			}
			if !result.Decided() {
				t.Fatalf("%s: %+v", name, result)
			}
			if got := provisionedOutcome(t, result.Outcome); got.Attempts != 1 {
				t.Errorf("%s: %d attempts", name, got.Attempts)
			}
			if again := r.decide(t, req); string(again.Body) != string(result.Outcome.Body) {
				t.Errorf("%s: two outcomes", name)
			}
		}
		if n := r.countRegistered(t); n != 3 {
			t.Errorf("%d registered, want 3", n)
		}
	})
}

// The reply to the recording of a failure is lost.
func TestReplyToTheFailureIsLost(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.provision(t, "taken")
		for name, fault := range map[string]error{"transient": errTransient, "outage": errOutage} {
			hooked := r.withHook(t, only(failureRecorded, once(func(context.Context) error { return fault })))
			req := request(t, "taken")
			job := hooked.Job(req)
			if got := job.Run(t.Context()); got.Decided() {
				t.Fatalf("%s: decided without a reply", name)
			}
			first := job.Run(t.Context())
			failedOutcome(t, first.Outcome, events.CauseTenantExists)
			if again := r.decide(t, req); string(again.Body) != string(first.Outcome.Body) {
				t.Errorf("%s: two outcomes", name)
			}
		}
	})
}

// Invariant 5: a registry that cannot be read decides nothing about tenants, whatever the error is.
func TestUnreadableRegistryIsAnOutage(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		job := r.provisioner.Job(request(t, "acme"))
		p.raw(t, "", "ALTER TABLE {b}tenant_registry RENAME TO hidden")
		verdict(t, job, pipeline.Pause)
		if err := r.provisioner.Ping(t.Context()); err == nil {
			t.Error("a probe succeeds")
		}
		p.raw(t, "", "ALTER TABLE {b}hidden RENAME TO tenant_registry")
		testkit.Must(t, r.provisioner.Ping(t.Context()))
		if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
			t.Errorf("%d attempts", got.Attempts)
		}
	})
}

// A context that ends at any moment leaves a working store, at most one registration, and one outcome.
func TestStoppedAtAnyMoment(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		begin := time.Now()
		r.provision(t, "measure")
		full := time.Since(begin)
		const moments = 16
		for i := range moments {
			tenant := "moment_" + strings.Repeat("x", i)
			req := request(t, tenant)
			ctx, stop := context.WithTimeout(t.Context(), full*time.Duration(i)/(moments-3))
			got := r.provisioner.Job(req).Run(ctx)
			stop()
			if !got.Decided() && got.Verdict != pipeline.Release {
				t.Errorf("%s: %v", got.Verdict, got.Err)
			}
			// Only an attempt whose claim was never confirmed cannot be refunded.
			first := runUntilDecided(t, r, req)
			if data := provisionedOutcome(t, first); data.Attempts > 2 {
				t.Errorf("%d attempts", data.Attempts)
			}
			if again := r.decide(t, req); string(again.Body) != string(first.Body) {
				t.Error("two outcomes")
			}
		}
		if n := r.countRegistered(t); n != moments+1 {
			t.Errorf("%d registered, want %d", n, moments+1)
		}
	})
}
