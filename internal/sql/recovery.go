package sql

import (
	"errors"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// LedgerEntry is what the comparison of the ledger with the streams needs of a request.
type LedgerEntry struct {
	Key       string
	TenantID  string // empty if the requested id is invalid
	State     string // running, provisioned or failed
	Replay    int
	OutcomeID string // empty while running
	UpdatedAt time.Time
	// DeadLetterConfirmed: the dead letter of this failure is confirmed, in the stream that was created at
	// DeadLetterStream. That is empty where an earlier version confirmed it.
	DeadLetterConfirmed bool
	DeadLetterStream    string
}

// Scan reads a row as each engine's entry.sql and entries.sql select it.
func (e *LedgerEntry) Scan(row interface{ Scan(dest ...any) error }) error {
	return row.Scan(&e.Key, &e.TenantID, &e.State, &e.Replay, &e.OutcomeID, (*utc)(&e.UpdatedAt),
		&e.DeadLetterConfirmed, &e.DeadLetterStream)
}

// Stamp identifies a registry and the streams that belong to it.
type Stamp struct {
	ID string // a random UUID; a copy of the database has the same
	// Streams: the streams have been given the id. Streams without one are then another registry's.
	Streams bool
	// CopyOf names the database in which the registry was when the streams got its id, if that is another one that may
	// still be in use. It is empty if this is that database, and where an engine cannot tell.
	CopyOf string
}

// AcceptedOutcome is a published outcome that the ledger does not have, and that an operator has accepted as lost.
type AcceptedOutcome struct {
	OutcomeID string
	Key       string
	TenantID  string
	Reason    string
}

// Restoration is a decided request as its published outcome says, to be written to ledger and registry in one commit.
// Nothing is published.
type Restoration struct {
	Key, Source, RequestID string
	TenantID               string // empty if the requested id is invalid
	Outcome                pipeline.Outcome
	Replay, Attempts       int
	Step                   string // of a failure: its last step
	Cause                  events.CauseCode
	Text                   string    // of a failure, see [pipeline.Failure.Text]
	At                     time.Time // of the event
	// Tenant is registered, unless it is registered already with the same values; nil: no tenant is registered.
	Tenant *pipeline.Tenant
	// Recreate: a boundary that is missing is built again, empty, by the steps that build every boundary.
	Recreate bool
}

// Errors of a restoration that changes nothing.
var (
	// ErrNoBoundary: the tenant's boundary is missing, and is not to be recreated.
	ErrNoBoundary = errors.New("its boundary is missing")
	// ErrOtherRequest is wrapped if another request has the tenant, or its boundary.
	ErrOtherRequest = errors.New("is registered by another request")
)
