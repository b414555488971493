package pipeline

import (
	"context"
	"fmt"
	"time"

	"example.com/tenant-provisioner/events"
)

// rehearsalTimeout bounds a rehearsal: that of a lock which is not given free is bounded by the database.
const rehearsalTimeout = 30 * time.Second

// rehearsal is the last one that was made.
type rehearsal struct {
	turn  chan struct{} // one at a time
	began time.Time
	took  time.Duration
	err   error
}

func newRehearsal() *rehearsal { return &rehearsal{turn: make(chan struct{}, 1)} }

// Rehearse does the work of a request for nobody, and leaves nothing behind. What fails then is no request's fault. Who
// asks at the same time shares one rehearsal, which began after all of them had asked. That the role may not make
// schemas is no outage by the contract: each request fails for it, and is told which right is missing.
func (p *Provisioner) Rehearse(ctx context.Context) error {
	_, err := p.rehearse(ctx)
	return err
}

// rehearse is Rehearse, and tells how long it took.
func (p *Provisioner) rehearse(ctx context.Context) (took time.Duration, err error) {
	asked := time.Now()
	r := p.rehearsal
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if r.began.After(asked) {
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

// judge decides whose a fault is, where that cannot be told by its code: what fails in a rehearsal as well is
// everybody's, and an outage. trips is how often an outage has held up the same work already, while the database was
// sound: what stays then, although a rehearsal succeeds once more, holds up this request alone, and is transient. why
// is what there is to say.
func (p *Provisioner) judge(ctx context.Context, err error, trips int) (fault *Fault, why error) {
	fault = faultOf(err)
	most := mostTrips
	if fault.Lost {
		most = mostLosses
	}
	alone := fault.Class == Outage && trips >= most
	// The faults of who is stopped may be our own doing.
	if ctx.Err() != nil || !alone && !fault.isDoubtful() {
		return fault, err
	}
	took, everybodys := p.rehearse(ctx)
	if everybodys == nil && fault.Waited && took > slowRehearsal && !alone {
		everybodys = fmt.Errorf("the work takes %s for nobody's tenant", took.Round(time.Millisecond))
	}
	switch {
	case ctx.Err() != nil:
		return fault, err
	case everybodys != nil:
		outage := *faultOf(everybodys)
		outage.Class, outage.Code = Outage, ""
		return &outage, fmt.Errorf("%w (met first: %w)", everybodys, err)
	case alone:
		own := *fault
		own.Class = Transient
		return &own, err
	}
	return fault, err
}

const (
	// mostTrips is how often one request's outage may pause everybody while a rehearsal succeeds.
	mostTrips = 3
	// mostLosses is the same for lost connections: where they are scarce, or cut again and again, a few in a row say
	// nothing of a request, and its attempt cannot be given back without one.
	mostLosses = 30
)

// slowRehearsal is what a rehearsal takes that has waited, too, such as for a lock on the catalogue that was given free
// just then: that it succeeds says nothing of the wait before. The usual one takes a twentieth of it.
const slowRehearsal = time.Second
