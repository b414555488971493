package pipeline

import (
	"context"
	"errors"
)

// Renew renews the lease of this job's attempt in the ledger, if it has one, also while the job waits for a worker or
// for the end of an outage. It may be called concurrently with Run. A process that is frozen or has crashed does not
// renew.
func (j *Job) Renew(ctx context.Context) error {
	claim := j.held.Load()
	if claim == nil {
		return nil
	}
	return j.p.Database.Renew(ctx, *claim)
}

// busy refunds an attempt that met [ErrBusy] or lost its connection. While the ledger cannot record that, the attempt
// is kept, and continued later: released, it would count.
func (j *Job) busy(ctx context.Context, step int, err error) Decision {
	note := AttemptNote{Step: j.p.Steps[step].Name, Text: err.Error(), Refund: true}
	result := j.notDecided(ctx, Facts{Ledger: Busy}, err, note)
	if result.Verdict == Retry { // otherwise notDecided has refunded it
		if failed := j.note(ctx, note); IsOutage(failed) || errors.Is(failed, context.DeadlineExceeded) {
			return j.notDecided(ctx, Facts{Ledger: Claimed, Result: ResultOutage}, failed, note)
		}
	}
	result.Attempt = 0
	return result
}
