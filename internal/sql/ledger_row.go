package sql

import (
	"errors"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// LedgerRow is a row of the ledger, as each engine's request.sql selects it.
type LedgerRow struct {
	State               string // running, provisioned or failed
	Replay              int
	Attempts            int
	OutcomeID           string // empty while running
	Outcome             string // the event
	DeadLetterConfirmed bool   // the dead letter of this failure is confirmed
	DeadLetterStream    string // in which; see [pipeline.Outcome]
	UpdatedAt           time.Time
	DeliveryID          string // see [pipeline.Outcome]
}

// Scan reads the row.
func (e *LedgerRow) Scan(row interface{ Scan(dest ...any) error }) error {
	return row.Scan(&e.State, &e.Replay, &e.Attempts, &e.OutcomeID, &e.Outcome, &e.DeadLetterConfirmed,
		&e.DeadLetterStream, (*utc)(&e.UpdatedAt), &e.DeliveryID)
}

// Decided reports whether the outcome of that replay is final.
func (e *LedgerRow) Decided(replay int) bool {
	return e.State == "provisioned" || e.State == "failed" && replay <= e.Replay
}

// AlreadyDecided returns the outcome that the row holds as an error, or nil.
func (e *LedgerRow) AlreadyDecided() *pipeline.AlreadyDecidedError {
	if e.OutcomeID == "" {
		return nil
	}
	kind := events.TypeProvisioned
	if e.State == "failed" {
		kind = events.TypeProvisioningFailed
	}
	return &pipeline.AlreadyDecidedError{Outcome: pipeline.Outcome{
		ID: e.OutcomeID, Type: kind, Body: []byte(e.Outcome),
		DeadLetterConfirmed: e.DeadLetterConfirmed, DeadLetterStream: e.DeadLetterStream,
		RecordedAt: e.UpdatedAt, DeliveryID: e.DeliveryID,
	}}
}

// CurrentOutcome returns the outcome that the row holds. Its ID is empty if there is none.
func (e *LedgerRow) CurrentOutcome() pipeline.Outcome {
	if decided := e.AlreadyDecided(); decided != nil {
		return decided.Outcome
	}
	return pipeline.Outcome{}
}

// CheckAvailable decides, from the rows read again under the lock, whether the attempt may continue. It returns nil, or
// the reason why not. twin is the registered id that differs from the tenant's only in case; holder is the tenant that
// the boundary is registered for. Both may be empty.
func (e *LedgerRow) CheckAvailable(c pipeline.Claim, tenant, caseVariant, boundary, owner string) error {
	decided := e.AlreadyDecided()
	switch {
	case decided != nil:
		return decided
	case e.Replay != c.Replay:
		return ErrReopened
	case caseVariant != "":
		return pipeline.TenantExists(tenant, caseVariant)
	case owner != "":
		return pipeline.Permanentf(events.CauseBoundaryNotEmpty, "%s is registered for tenant %q", boundary, owner)
	}
	return nil
}

// ClaimResult converts what a claim read into its result: an attempt if one was granted; otherwise the stored outcome;
// otherwise [pipeline.ErrBusy]. registered is the id in the registry that equals the tenant's without regard to case.
func (e *LedgerRow) ClaimResult(key string, granted bool, registered string) (pipeline.Claim, error) {
	if granted {
		return pipeline.Claim{
			Key: key, Replay: e.Replay, Attempt: e.Attempts, DeliveryID: e.DeliveryID, Registered: registered,
		}, nil
	}
	if decided := e.AlreadyDecided(); decided != nil {
		return pipeline.Claim{}, decided
	}
	return pipeline.Claim{}, pipeline.ErrBusy
}

// ErrReopened means that a replay or a later attempt has restarted the request, so an earlier attempt may no longer
// record an outcome. The next delivery finds the replay, the attempt or the outcome.
var ErrReopened = errors.New("a replay or a later attempt has restarted this request")

// StoredOutcome returns the outcome in the ledger after an attempt to record one. An outcome that is not in the ledger
// must not be published: it could differ from one already published under the same id.
func (e *LedgerRow) StoredOutcome() (pipeline.Outcome, error) {
	decided := e.AlreadyDecided()
	if decided == nil {
		return pipeline.Outcome{}, ErrReopened
	}
	return decided.Outcome, nil
}
