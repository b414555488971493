package pipeline

import (
	"context"
	"time"
)

// rehearsalTimeout bounds a rehearsal: that of a lock which is not given free is bounded by the database.
const rehearsalTimeout = 30 * time.Second

// rehearsal is the last one that was made.
type rehearsal struct {
	turn  chan struct{} // one at a time
	began time.Time
	err   error
}

func newRehearsal() *rehearsal { return &rehearsal{turn: make(chan struct{}, 1)} }

// Rehearse does the work of a request for nobody, and leaves nothing behind. What fails then is no request's fault. Who
// asks at the same time shares one rehearsal, which began after all of them had asked.
func (p *Provisioner) Rehearse(ctx context.Context) error {
	asked := time.Now()
	r := p.rehearsal
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if r.began.After(asked) {
		return r.err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, rehearsalTimeout)
	defer cancel()
	err := p.Database.Rehearse(ctx)
	if ctx.Err() == nil || err == nil {
		r.began, r.err = began, err
	}
	return err
}

// judge decides whose a fault is, where that cannot be told by its code: what fails in a rehearsal as well is
// everybody's, and an outage. trips is how often an outage has held up the same work already, while the database was
// sound: what stays then holds up this request alone. Where that would be charged to it, not so for what all share. why
// is what there is to say.
func (p *Provisioner) judge(ctx context.Context, err error, trips int, charged bool) (_ *Fault, why error) {
	fault := faultOf(err)
	switch {
	case ctx.Err() != nil: // the faults of who is stopped may be our own doing
		return fault, err
	case fault.Class == Outage && trips >= mostTrips && (!fault.Shared || !charged):
		own := *fault
		own.Class = Transient
		return &own, err
	case !fault.isDoubtful():
		return fault, err
	}
	everybodys := p.Rehearse(ctx)
	if everybodys == nil || ctx.Err() != nil {
		return fault, err
	}
	outage := *faultOf(everybodys)
	outage.Class, outage.Code = Outage, ""
	return &outage, everybodys
}

// mostTrips is how often one request's outage may pause everybody while a rehearsal succeeds.
const mostTrips = 3
