package handler

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// fakeDatabase is a registry and ledger in memory, which injects faults and counts calls. It implements
// [pipeline.Database]; the real implementations have their own tests.
type fakeDatabase struct {
	// work is step 2 of every build; nil: nothing to do.
	work func(ctx context.Context, tenant string, attempt int) error
	// fails returns the error of a place; nil: nothing fails. id is the tenant's, or the request's key.
	fails func(at faultPlace, id string) error

	mu           sync.Mutex
	unavailable  error // what every method returns, if set
	entries      map[string]*ledgerRow
	tenants      map[string]bool
	claims       int
	pings        int
	confirmFails bool // the confirmation of a dead letter cannot be recorded
	claimPanics  int  // how many claims panic

	renewals   int
	probeFault error // what probes return, if set
}

type ledgerRow struct {
	replay, attempts int
	deliveryID       string
	outcome          pipeline.Outcome
	notes            []pipeline.AttemptNote
}

func newFakeDatabase() *fakeDatabase {
	return &fakeDatabase{entries: map[string]*ledgerRow{}, tenants: map[string]bool{}}
}

// lock locks the database, or returns an error while it is unavailable.
func (d *fakeDatabase) lock() (unlock func(), err error) {
	d.mu.Lock()
	if d.unavailable != nil {
		defer d.mu.Unlock()
		return nil, d.unavailable
	}
	return d.mu.Unlock, nil
}

var errOutage = &pipeline.Fault{Class: pipeline.Outage, Message: "the test has unplugged the database"}

// unplug makes the database unavailable, plug available again.
func (d *fakeDatabase) unplug() { d.set(errOutage) }
func (d *fakeDatabase) plug()   { d.set(nil) }

func (d *fakeDatabase) set(unavailable error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unavailable = unavailable
}

// attempts returns how many attempts at the request with this id the ledger holds.
func (d *fakeDatabase) attempts(id string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entries[events.RequestKey(billing, id)]; e != nil {
		return e.attempts
	}
	return 0
}

func (d *fakeDatabase) Claim(_ context.Context, r pipeline.Request, tenant string, _ pipeline.Limit) (pipeline.Claim, error) {
	unlock, err := d.lock()
	if err != nil {
		return pipeline.Claim{}, err
	}
	defer unlock()
	if err := d.fault("claim", tenant); err != nil {
		return pipeline.Claim{}, err
	}
	d.claims++
	if d.claimPanics > 0 {
		d.claimPanics--
		panic("out of cheese")
	}
	e := d.entries[r.Key()]
	if e == nil {
		e = &ledgerRow{replay: pipeline.FirstReplay(r.Replay)}
		d.entries[r.Key()] = e
	}
	if n := pipeline.NextReplay(r.Replay, e.replay); n > e.replay && !e.outcome.Provisioned() {
		*e = ledgerRow{replay: n}
	}
	if e.outcome.ID != "" {
		return pipeline.Claim{}, &pipeline.AlreadyDecidedError{Outcome: e.recorded()}
	}
	e.attempts++
	e.deliveryID = r.DeliveryID
	c := pipeline.Claim{Key: r.Key(), Replay: e.replay, Attempt: e.attempts}
	if d.tenants[tenant] {
		c.Registered = tenant
	}
	return c, nil
}

func (d *fakeDatabase) RecordFailure(_ context.Context, c pipeline.Claim, f pipeline.Failure) (pipeline.Outcome, error) {
	unlock, err := d.lock()
	if err != nil {
		return pipeline.Outcome{}, err
	}
	defer unlock()
	if err := d.fault("failure", c.Key); err != nil {
		return pipeline.Outcome{}, err
	}
	e := d.entries[c.Key]
	if e.outcome.ID == "" {
		e.record(f.Outcome)
	}
	return e.recorded(), nil
}

func (d *fakeDatabase) Reject(_ context.Context, r pipeline.Rejection) (pipeline.Outcome, error) {
	unlock, err := d.lock()
	if err != nil {
		return pipeline.Outcome{}, err
	}
	defer unlock()
	if err := d.fault("rejection", r.Key); err != nil {
		return pipeline.Outcome{}, err
	}
	e := d.entries[r.Key]
	if e == nil {
		e = &ledgerRow{replay: r.Message.Replay, attempts: 1, deliveryID: r.DeliveryID}
		e.record(r.Failure.Outcome)
		d.entries[r.Key] = e
	}
	return e.recorded(), nil
}

func (e *ledgerRow) record(o pipeline.Outcome) {
	e.outcome = o
	e.outcome.RecordedAt = time.Now()
}

// recorded returns the outcome with the DeliveryID of the delivery that decided it.
func (e *ledgerRow) recorded() pipeline.Outcome {
	o := e.outcome
	o.DeliveryID = e.deliveryID
	return o
}

func (d *fakeDatabase) Recorded(_ context.Context, key string) (pipeline.Outcome, error) {
	unlock, err := d.lock()
	if err != nil {
		return pipeline.Outcome{}, err
	}
	defer unlock()
	if err := d.fault("publication", key); err != nil {
		return pipeline.Outcome{}, err
	}
	if e := d.entries[key]; e != nil && e.outcome.ID != "" {
		return e.recorded(), nil
	}
	return pipeline.Outcome{}, nil
}

func (d *fakeDatabase) Note(_ context.Context, c pipeline.Claim, n pipeline.AttemptNote) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.fault("note", c.Key); err != nil {
		return err
	}
	e := d.entries[c.Key]
	e.notes = append(e.notes, n)
	if n.Refund {
		e.attempts--
	}
	return nil
}

func (d *fakeDatabase) Renew(_ context.Context, c pipeline.Claim) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if e := d.entries[c.Key]; e.attempts == c.Attempt && e.outcome.ID == "" {
		d.renewals++
	}
	return nil
}

func (d *fakeDatabase) LastAttemptVanished(context.Context, pipeline.Request, pipeline.Limit) (bool, error) {
	return false, d.unavailable
}

func (d *fakeDatabase) DeadLetterConfirmed(_ context.Context, key, _, delivery, stream string) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if d.confirmFails {
		return errTransient
	}
	e := d.entries[key]
	e.outcome.DeadLetterConfirmed, e.outcome.DeadLetterStream, e.deliveryID = true, stream, delivery
	return nil
}

func (d *fakeDatabase) Strategy() string { return events.IsolationDatabase }

func (d *fakeDatabase) Definition() string { return "0123456789abcdef" }

func (d *fakeDatabase) Begin(_ context.Context, c pipeline.Claim, tenantID string) (pipeline.Build, error) {
	return &fakeBuild{d, c, tenantID}, nil
}

func (d *fakeDatabase) Locate(tenantID string) pipeline.Boundary {
	return pipeline.Boundary{DatabasePath: "storage/" + tenantID}
}

func (d *fakeDatabase) Ping(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pings++
	if d.probeFault != nil {
		return d.probeFault
	}
	return d.unavailable
}

func (d *fakeDatabase) Rehearse(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unavailable != nil {
		return d.unavailable
	}
	return d.fault("rehearsal", "")
}

// provisioned reports whether the tenant is registered.
func (d *fakeDatabase) provisioned(tenant string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tenants[tenant]
}

// faultPlace is where a fault is injected.
type faultPlace string

func (d *fakeDatabase) fault(at faultPlace, id string) error {
	if d.fails == nil {
		return nil
	}
	return d.fails(at, id)
}

type fakeBuild struct {
	*fakeDatabase
	claim  pipeline.Claim
	tenant string
}

func (b *fakeBuild) CreateBoundary(context.Context) (pipeline.Boundary, error) {
	return pipeline.Boundary{DatabasePath: "storage/" + b.tenant}, b.fault("boundary", b.tenant)
}

func (b *fakeBuild) CreateTables(ctx context.Context, _ []pipeline.Addition) error {
	if err := b.fault("tables", b.tenant); err != nil || b.work == nil {
		return err
	}
	return b.work(ctx, b.tenant, b.claim.Attempt)
}

func (b *fakeBuild) CreateIndexes(context.Context) (map[string]error, error) {
	return nil, b.fault("indexes", b.tenant)
}

func (b *fakeBuild) RunScripts(context.Context, pipeline.Values) (bool, error) { return false, nil }

func (b *fakeBuild) LoadSeeds(context.Context, pipeline.Values) (map[string]int, error) {
	return nil, nil
}

func (b *fakeBuild) CheckConfined(context.Context) error { return nil }

func (b *fakeBuild) Inspect(context.Context) (pipeline.Inspection, error) {
	return pipeline.Inspection{Tables: 11, Indexes: 18}, b.fault("validation", b.tenant)
}

func (b *fakeBuild) Register(ctx context.Context, t pipeline.Tenant, o pipeline.Outcome) error {
	unlock, err := b.lock()
	if err != nil {
		return err
	}
	defer unlock()
	e := b.entries[b.claim.Key]
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case e.outcome.ID != "":
		return &pipeline.AlreadyDecidedError{Outcome: e.outcome}
	case b.tenants[t.ID]:
		return pipeline.TenantExists(t.ID, t.ID)
	}
	if err := b.fault("registration", b.tenant); err != nil {
		return err
	}
	b.tenants[t.ID] = true
	e.record(o)
	return nil
}

func (b *fakeBuild) Close(context.Context) []string { return nil }

var errTransient = &pipeline.Fault{Class: pipeline.Transient, DriverCode: "40P01", Err: errors.New("deadlock")}
