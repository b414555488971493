package pipeline

import (
	"context"
	"fmt"
	"time"

	"example.com/tenant-provisioner/events"
)

// rehearsalTimeout bounds a rehearsal. Waits for locks are bounded by the database, and shorter.
const rehearsalTimeout = 30 * time.Second

// rehearsal is the last rehearsal.
type rehearsal struct {
	running chan struct{} // held while one runs
	began   time.Time
	took    time.Duration
	err     error
}

func newRehearsal() *rehearsal { return &rehearsal{running: make(chan struct{}, 1)} }

// Rehearse provisions a scratch tenant and rolls it back. If that fails, the fault is not one request's. Concurrent
// callers share one rehearsal that begins after all of their calls. A missing permission to create schemas is not an
// outage: by the contract each request fails with PERMISSION_DENIED, which names it.
func (p *Provisioner) Rehearse(ctx context.Context) error {
	_, err := p.rehearse(ctx)
	return err
}

// rehearse is Rehearse, and also returns its duration.
func (p *Provisioner) rehearse(ctx context.Context) (took time.Duration, err error) {
	called := time.Now()
	r := p.rehearsal
	select {
	case r.running <- struct{}{}:
		defer func() { <-r.running }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if r.began.After(called) {
		return r.took, r.err
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, rehearsalTimeout)
	defer cancel()
	err = p.Database.Rehearse(limited)
	if err != nil && faultOf(err).Code == events.CausePermissionDenied {
		err = nil
	}
	took = time.Since(began)
	if ctx.Err() == nil {
		r.began, r.took, r.err = began, took, err
	}
	return took, err
}

// judge decides whether a fault is an outage or one request's own, where its code does not decide: if a rehearsal fails
// as well, it is an outage. trips counts the outages that have already interrupted this work while rehearsals
// succeeded. Once they reach the limit and another rehearsal succeeds, the fault is transient. why is the error to
// report.
func (p *Provisioner) judge(ctx context.Context, err error, trips int) (fault *Fault, why error) {
	fault = faultOf(err)
	limit := maxTrips
	if fault.Lost {
		limit = maxLosses
	}
	ownFault := fault.Class == Outage && trips >= limit
	// After a cancellation the error may be a result of it.
	if ctx.Err() != nil || !ownFault && !fault.needsRehearsal() {
		return fault, err
	}
	took, shared := p.rehearse(ctx)
	if shared == nil && fault.TimedOut && took > slowRehearsal && !ownFault {
		shared = fmt.Errorf("rehearsal was blocked as well, for %s", took.Round(time.Millisecond))
	}
	switch {
	case ctx.Err() != nil:
		return fault, err
	case shared != nil:
		outage := *faultOf(shared)
		outage.Class, outage.Code = Outage, ""
		return &outage, fmt.Errorf("%w (first error: %w)", shared, err)
	case ownFault:
		own := *fault
		own.Class = Transient
		return &own, err
	}
	return fault, err
}

const (
	// maxTrips is how often an outage that affects only one request may pause intake while rehearsals succeed.
	maxTrips = 3
	// maxLosses is the same for lost connections. If connections are scarce or are cut repeatedly, a few losses in a row
	// are no evidence against a request, and its attempt cannot be refunded without a connection.
	maxLosses = 30
)

// slowRehearsal is the duration above which a successful rehearsal has itself waited, for example for a lock on the
// catalogue that was then released. Its success is then no evidence about the earlier wait. A usual rehearsal takes a
// twentieth of it.
const slowRehearsal = time.Second
