package pipeline

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/tenant-provisioner/events"
)

// fake is a database in memory with one request. It records its calls. The engines' rules are tested on the engines.
type fake struct {
	mu      sync.Mutex
	calls   []string
	fail    map[string]error // by call
	slow    map[string]time.Duration
	tenants map[string]Tenant
	outcome *Outcome
	claim   Claim
	notes   []AttemptNote
	failed  Failure
	failing map[string]error // indexes
	found   Inspection
	existed bool // the boundary
	added   []Addition
	values  Values

	onScripts func()
	scripted  bool // the boundary has all scripts already
	left      []string
	vanished  bool
	panics    string // the call that panics
}

func newFake() *fake {
	return &fake{
		fail: map[string]error{}, slow: map[string]time.Duration{}, tenants: map[string]Tenant{},
		found: Inspection{Tables: 11, Indexes: 18},
	}
}

func (f *fake) call(name string) error {
	time.Sleep(f.slow[name])
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
	if f.panics == name {
		panic("out of cheese")
	}
	return f.fail[name]
}

func (f *fake) Claim(_ context.Context, r Request, tenant string, _ Limit) (Claim, error) {
	if err := f.call("claim"); err != nil {
		return Claim{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outcome != nil {
		return Claim{}, &AlreadyDecidedError{*f.outcome}
	}
	f.claim = Claim{Key: r.Key(), Replay: r.Replay, Attempt: f.claim.Attempt + 1, Registered: f.tenants[tenant].ID}
	return f.claim, nil
}

func (f *fake) RecordFailure(_ context.Context, _ Claim, c Failure) (Outcome, error) {
	if err := f.call("record_failure"); err != nil {
		return Outcome{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outcome == nil {
		f.outcome, f.failed = &c.Outcome, c
	}
	return *f.outcome, nil
}

func (f *fake) Note(_ context.Context, _ Claim, n AttemptNote) error {
	f.mu.Lock()
	f.notes = append(f.notes, n)
	f.mu.Unlock()
	return f.call("note")
}

func (f *fake) Renew(context.Context, Claim) error { return f.call("renew") }

func (f *fake) LastAttemptVanished(context.Context, Request, Limit) (bool, error) {
	return f.vanished, f.call("vanished")
}

func (f *fake) Reject(_ context.Context, r Rejection) (Outcome, error) {
	if err := f.call("reject"); err != nil {
		return Outcome{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outcome == nil {
		f.outcome = &r.Failure.Outcome
		f.outcome.DeliveryID = r.DeliveryID
	}
	return *f.outcome, nil
}

func (f *fake) DeadLetterConfirmed(context.Context, string, string, string, string) error {
	return f.call("confirmed")
}

func (f *fake) Recorded(context.Context, string) (Outcome, error) {
	return Outcome{}, f.call("recorded")
}
func (f *fake) Strategy() string { return events.IsolationSchema }

func (f *fake) Definition() string { return "0123456789abcdef" }

func (f *fake) Locate(tenantID string) Boundary { return Boundary{SchemaName: "tenant_" + tenantID} }

func (f *fake) Begin(context.Context, Claim, string) (Build, error) {
	if err := f.call("begin"); err != nil {
		return nil, err
	}
	return f, nil
}
func (f *fake) Ping(context.Context) error     { return f.call("ping") }
func (f *fake) Rehearse(context.Context) error { return f.call("rehearse") }

func (f *fake) CreateBoundary(context.Context) (Boundary, error) {
	return Boundary{SchemaName: "tenant_acme", Existed: f.existed}, f.call("boundary")
}

func (f *fake) CreateTables(_ context.Context, columns []Addition) error {
	f.added = columns
	return f.call("tables")
}

func (f *fake) CreateIndexes(context.Context) (map[string]error, error) {
	return f.failing, f.call("indexes")
}
func (f *fake) Inspect(context.Context) (Inspection, error) { return f.found, f.call("inspect") }

func (f *fake) RunScripts(_ context.Context, v Values) (ran bool, err error) {
	f.values = v
	if f.onScripts != nil {
		f.onScripts()
	}
	return !f.scripted, f.call("scripts")
}

func (f *fake) LoadSeeds(_ context.Context, v Values) (map[string]int, error) {
	f.values = v
	return map[string]int{"docbasket": 2}, f.call("seeds")
}

func (f *fake) CheckConfined(context.Context) error { return f.call("confined") }

func (f *fake) Register(_ context.Context, t Tenant, o Outcome) error {
	if err := f.call("register"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tenants[t.ID], f.outcome = t, &o
	return nil
}

func (f *fake) Close(ctx context.Context) []string {
	if ctx.Err() != nil {
		panic("closed with an ended context")
	}
	f.call("close")
	return f.left
}

// testbed is a provisioner on a fake, with its log.
type testbed struct {
	*fake
	config Config
	log    bytes.Buffer
}

func newTestbed() *testbed {
	b := &testbed{fake: newFake()}
	b.config = Config{
		Database: b.fake, Source: "/test", Limit: Limit{Attempts: 3, Lease: time.Minute}, Now: time.Now, Steps: Steps(),
		Workers: 100,
		Log:     slog.New(slog.NewTextHandler(&b.log, nil)),
	}
	return b
}

func (b *testbed) provisioner(t *testing.T) *Provisioner {
	t.Helper()
	p, err := New(b.config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *testbed) run(t *testing.T) Decision {
	t.Helper()
	return b.provisioner(t).Job(request(t)).Run(t.Context())
}

const secretName = "Confidential Customer"

func request(t testing.TB) Request {
	t.Helper()
	e, err := events.NewRequested("/billing", "order-1",
		events.Requested{TenantID: "acme", DisplayName: secretName, CreatedBy: "confidential clerk"})
	if err != nil {
		t.Fatal(err)
	}
	return Request{Event: e}
}

// failure is the data of a decided failure.
func failure(t *testing.T, r Decision) events.ProvisioningFailed {
	t.Helper()
	data, err := events.FailedFrom(decoded(t, r))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func success(t *testing.T, r Decision) events.Provisioned {
	t.Helper()
	data, err := events.ProvisionedFrom(decoded(t, r))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// withFakeClock runs a test on a fake clock, which advances only while every goroutine waits.
func withFakeClock(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}
