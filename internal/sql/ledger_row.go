package sql

import (
	"errors"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// LedgerRow is a row of the ledger, as request.sql of each engine selects it.
type LedgerRow struct {
	State               string // running, provisioned or failed
	Replay              int
	Attempts            int
	OutcomeID           string // empty while running
	Outcome             string // the event
	DeadLetterConfirmed bool   // a failure whose dead letter is confirmed
	Delivery            string // see [pipeline.Outcome]
}

// Scan reads the row.
func (e *LedgerRow) Scan(row interface{ Scan(dest ...any) error }) error {
	return row.Scan(&e.State, &e.Replay, &e.Attempts, &e.OutcomeID, &e.Outcome, &e.DeadLetterConfirmed, &e.Delivery)
}

// Decided reports whether the replay with that number has its outcome, for good.
func (e *LedgerRow) Decided(replay int) bool {
	return e.State == "provisioned" || e.State == "failed" && replay <= e.Replay
}

// AlreadyDecided returns the outcome that the row holds, or nil.
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
		DeadLetterConfirmed: e.DeadLetterConfirmed, DeliveryID: e.Delivery,
	}}
}

// CurrentOutcome is the outcome that the row holds; its ID is empty where there is none.
func (e *LedgerRow) CurrentOutcome() pipeline.Outcome {
	if settled := e.AlreadyDecided(); settled != nil {
		return settled.Outcome
	}
	return pipeline.Outcome{}
}

// CheckAvailable decides, from what the second look under the lock has found, whether the attempt may go on: nil, or
// why not. twin is the registered id that equals the tenant's but for case, holder the tenant that the
// boundary is registered for; both may be empty.
func (e *LedgerRow) CheckAvailable(c pipeline.Claim, tenant, twin, boundary, holder string) error {
	settled := e.AlreadyDecided()
	switch {
	case settled != nil:
		return settled
	case e.Replay != c.Replay:
		return ErrReopened
	case twin != "":
		return pipeline.TenantExists(tenant, twin)
	case holder != "":
		return pipeline.Permanentf(events.CauseBoundaryNotEmpty, "%s is registered for tenant %q", boundary, holder)
	}
	return nil
}

// ClaimResult turns what a claim found into its result: an attempt where one was granted, else the outcome
// that is there, else busy. registered is the id in the registry that equals the tenant's but for case.
func (e *LedgerRow) ClaimResult(key string, granted bool, registered string) (pipeline.Claim, error) {
	if granted {
		return pipeline.Claim{
			Key: key, Replay: e.Replay, Attempt: e.Attempts, DeliveryID: e.Delivery, Registered: registered,
		}, nil
	}
	if settled := e.AlreadyDecided(); settled != nil {
		return pipeline.Claim{}, settled
	}
	return pipeline.Claim{}, pipeline.ErrBusy
}

// ErrReopened says that a replay has begun the request anew, or a later attempt: whoever works on what went before has
// no say any more. The next delivery finds the replay, the attempt, or the outcome.
var ErrReopened = errors.New("a replay or a later attempt has restarted this request")

// StoredOutcome is the outcome that stands after a conclusion was tried. An outcome that is not in the ledger
// is none: published, it could differ from one that went out under the same id.
func (e *LedgerRow) StoredOutcome() (pipeline.Outcome, error) {
	settled := e.AlreadyDecided()
	if settled == nil {
		return pipeline.Outcome{}, ErrReopened
	}
	return settled.Outcome, nil
}
