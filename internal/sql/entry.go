package sql

import (
	"errors"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// Entry is a row of the ledger, as request.sql of each engine selects it.
type Entry struct {
	State     string // running, provisioned or failed
	Replay    int
	Attempts  int
	OutcomeID string // empty while running
	Outcome   string // the event
}

// Scan reads the row.
func (e *Entry) Scan(row interface{ Scan(dest ...any) error }) error {
	return row.Scan(&e.State, &e.Replay, &e.Attempts, &e.OutcomeID, &e.Outcome)
}

// Settled returns the outcome that the row holds, or nil.
func (e *Entry) Settled() *pipeline.Settled {
	if e.OutcomeID == "" {
		return nil
	}
	kind := events.TypeProvisioned
	if e.State == "failed" {
		kind = events.TypeProvisioningFailed
	}
	return &pipeline.Settled{Outcome: pipeline.Outcome{ID: e.OutcomeID, Type: kind, Body: []byte(e.Outcome)}}
}

// Claimed turns what a claim found into its result: an attempt where one was granted, else the outcome
// that is there, else busy.
func (e *Entry) Claimed(key string, granted bool) (pipeline.Claim, error) {
	if granted {
		return pipeline.Claim{Key: key, Replay: e.Replay, Attempt: e.Attempts}, nil
	}
	if settled := e.Settled(); settled != nil {
		return pipeline.Claim{}, settled
	}
	return pipeline.Claim{}, pipeline.ErrBusy
}

// ErrReopened says that a replay has begun the request anew: whoever works on what went before has no say
// any more. The next delivery finds the replay, or its outcome.
var ErrReopened = errors.New("a replay has reopened this request meanwhile")

// Concluded is the outcome that stands after a conclusion was tried. An outcome that is not in the ledger
// is none: published, it could differ from one that went out under the same id.
func (e *Entry) Concluded() (pipeline.Outcome, error) {
	settled := e.Settled()
	if settled == nil {
		return pipeline.Outcome{}, ErrReopened
	}
	return settled.Outcome, nil
}
