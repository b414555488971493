package pipeline

import "context"

// Renew tells the ledger that the attempt of this job is alive, if there is one: also while it waits for a worker or
// for the end of an outage. It may be called beside Run. A process that is frozen does not renew, and neither does
// one that is gone.
func (j *Job) Renew(ctx context.Context) error {
	claim := j.held.Load()
	if claim == nil {
		return nil
	}
	return j.p.Database.Renew(ctx, *claim)
}

// busy gives back an attempt that found the boundary or the request in another worker's hands.
func (j *Job) busy(ctx context.Context, step int, err error) Decision {
	note := AttemptNote{Step: j.p.Steps[step].Name, Text: err.Error(), Refund: true}
	result := j.notDecided(ctx, Facts{Ledger: Busy}, err, note)
	if result.Verdict == Retry { // else undecided has given it back
		j.note(ctx, note)
	}
	result.Attempt = 0
	return result
}
