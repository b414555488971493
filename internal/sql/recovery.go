package sql

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// MaxForeign is how many boundaries of other registries are named when a registry is to be created.
const MaxForeign = 20

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

// ParseRegistryID returns the id in the form in which it is stored.
func ParseRegistryID(id string) (string, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return "", fmt.Errorf("the registry's id %q is not a UUID: %w", id, err)
	}
	return parsed.String(), nil
}

// Stamp identifies a registry and the streams that belong to it.
type Stamp struct {
	ID string // a random UUID; a copy of the database has the same
	// Streams: the streams have been given the id. Streams without one are then another registry's.
	Streams bool
	// Bound: the streams have been given the id while the registry was in this database.
	Bound bool
	// CopyOf names the database in which the registry was when the streams got its id, if that is another one that may
	// still be in use. It is empty if this is that database, and where an engine cannot detect a copy.
	CopyOf string
	// PrunedBefore: the ledger may lack requests that were decided before it, because they were pruned; zero: none were.
	PrunedBefore time.Time
	// Checkpoint is that of the registry; zero: it has none yet.
	Checkpoint Checkpoint
}

// Times are what pruned_before and the columns of the checkpoint are scanned into.
func (s *Stamp) Times() []any {
	return append([]any{(*utc)(&s.PrunedBefore)}, s.Checkpoint.Targets()...)
}

// Checkpoint is a place in TENANT_EVENTS: the ledger is known to have all outcomes up to it. It is in the database, so
// that a restore takes it back together with the ledger.
type Checkpoint struct {
	Stream   time.Time // when the stream was created; zero: there is no checkpoint yet
	Sequence uint64    // of the last message that was compared; 0: no message was
}

// Before reports whether c is an earlier place than d.
func (c Checkpoint) Before(d Checkpoint) bool {
	return c.Stream.Before(d.Stream) || c.Stream.Equal(d.Stream) && c.Sequence < d.Sequence
}

// Equal reports whether c and d are the same place.
func (c Checkpoint) Equal(d Checkpoint) bool {
	return c.Stream.Equal(d.Stream) && c.Sequence == d.Sequence
}

// Columns are the values of checkpoint_stream and checkpoint_sequence.
func (c Checkpoint) Columns() []any {
	stream := ""
	if !c.Stream.IsZero() {
		stream = c.Stream.UTC().Format(time.DateTime + ".999999999")
	}
	return []any{stream, int64(c.Sequence)} //nolint:gosec // a stream has fewer messages
}

// Targets are what checkpoint_stream and checkpoint_sequence are scanned into.
func (c *Checkpoint) Targets() []any { return []any{(*utc)(&c.Stream), &c.Sequence} }

// WentBack returns an error if the checkpoint is earlier than one that this process has seen: the database was restored
// while it was in use. It is an outage, which ends after a comparison with the streams.
func (c Checkpoint) WentBack(seen *Checkpoint) error {
	if seen == nil || !c.Before(*seen) {
		return nil
	}
	return &pipeline.Fault{Class: pipeline.Outage, Shared: true, Message: fmt.Sprintf("the database was restored while "+
		"it was in use: the registry's checkpoint was message %d of stream TENANT_EVENTS, and is message %d", seen.Sequence,
		c.Sequence)}
}

// AcceptedOutcome is a published outcome that the ledger does not have, and that an operator has accepted as lost.
type AcceptedOutcome struct {
	OutcomeID string
	Key       string
	TenantID  string
	Reason    string
}

// Restoration is a decided request, read from its published outcome, to be written to ledger and registry in one
// commit. Nothing is published.
type Restoration struct {
	Key, Source, RequestID string
	TenantID               string // empty if the requested id is invalid
	Outcome                pipeline.Outcome
	Replay, Attempts       int
	Step                   string // of a failure: its last step
	Cause                  events.CauseCode
	Text                   string    // of a failure, see [pipeline.Failure.Text]
	At                     time.Time // of the event
	// Tenant is registered, unless it is registered already with the same values; nil: no tenant is registered. Its
	// boundary must be the one that the template of names gives.
	Tenant *pipeline.Tenant
	// Recreate: a boundary that is missing is built again, empty, by the steps that build every boundary.
	Recreate bool
}

// Existing is what ledger and registry have about a restoration, read under the locks of the database.
type Existing struct {
	Ledger LedgerRow // of the request; its State is empty if there is no row
	Tenant TenantRow // of the id, or of one that differs only in case; its ID is empty if there is no row
	Owner  string    // the tenant for which the boundary is registered; empty: no tenant
	// OtherSource and OtherID identify another request that has provisioned the tenant; empty: no other request.
	OtherSource, OtherID string
}

// Missing decides what a restoration writes: the ledger row, the registry row, both or nothing. It returns an error
// that wraps [ErrOtherRequest] if another request, or another outcome of this one, has the tenant or its boundary.
// superseded means that the ledger has a later replay of the request: nothing is restored.
func (r *Restoration) Missing(e *Existing) (ledger, registry, superseded bool, err error) {
	row := &e.Ledger
	switch {
	case row.State == "":
		ledger = true
	case row.Replay > r.Replay:
		return false, false, true, nil
	case row.OutcomeID == r.Outcome.ID: // this outcome is recorded
	case row.State == "provisioned", row.State == "failed" && row.Replay == r.Replay && !r.Outcome.Provisioned():
		return false, false, false, fmt.Errorf("the ledger has request %s as %s at replay %d by outcome %s, "+
			"the stream at replay %d by outcome %s: the tenant %w",
			r.Key, row.State, row.Replay, row.OutcomeID, r.Replay, r.Outcome.ID, ErrOtherRequest)
	default:
		ledger = true
	}
	if r.Tenant == nil {
		return ledger, false, false, nil
	}
	registry, err = r.missesTenant(e)
	return ledger, registry, false, err
}

// missesTenant reports whether the tenant has yet to be registered.
func (r *Restoration) missesTenant(e *Existing) (bool, error) {
	want, got := r.Tenant, &e.Tenant
	named := fmt.Sprintf("tenant %q of request (%s, %s)", want.ID, r.Source, r.RequestID)
	switch {
	case e.OtherID != "" || e.OtherSource != "":
		return false, fmt.Errorf("%s %w: (%s, %s) has provisioned it", named, ErrOtherRequest, e.OtherSource, e.OtherID)
	case got.ID == "" && e.Owner != "":
		return false, fmt.Errorf("%s %w: %s is registered for tenant %q", named, ErrOtherRequest,
			want.Boundary.Name(), e.Owner)
	case got.ID == "":
		return true, nil
	case got.ID != want.ID:
		return false, fmt.Errorf("%s %w: %q, which differs only in case, is registered", named, ErrOtherRequest, got.ID)
	case !got.CreatedAt.Equal(want.CreatedAt.Truncate(time.Microsecond)), got.CreatedBy != want.CreatedBy,
		got.Boundary.Name() != want.Boundary.Name():
		return false, fmt.Errorf("%s %w: it was created %s by %q in %s, the event says %s by %q in %s",
			named, ErrOtherRequest, got.CreatedAt.Format(time.RFC3339Nano), got.CreatedBy, got.Boundary.Name(),
			want.CreatedAt.UTC().Format(time.RFC3339Nano), want.CreatedBy, want.Boundary.Name())
	}
	return false, nil
}

// Check returns a permanent fault if the values of the event cannot be those of a tenant whose boundary is expected
// there: another publisher can have made it, or the template of names has changed.
func (r *Restoration) Check(isExpected bool, expected string) error {
	if r.Tenant == nil {
		return nil
	}
	var invalid *events.RequestError
	if errors.As(events.ValidateTenantID(r.Tenant.ID), &invalid) {
		return &pipeline.Fault{Class: pipeline.Permanent, Code: invalid.Code, Message: invalid.Error()}
	}
	if !isExpected {
		return pipeline.Permanentf(events.CauseSchemaInvalid, "the boundary of tenant %q in its outcome is %q, want %q, "+
			"which is what the template of names gives; set the template, or the storage directory, that it was made with",
			r.Tenant.ID, r.Tenant.Boundary.Name(), expected)
	}
	return nil
}

// Matches returns a permanent fault that names what differs, as step 4 does. Missing indexes are no obstacle. A
// boundary that was just made must not even deviate.
func (r *Restoration) Matches(in *pipeline.Inspection, made bool) error {
	differences := in.Differences
	if made {
		differences = in.Deviations()
	}
	if len(differences) == 0 {
		return nil
	}
	return pipeline.Permanentf(events.CauseSchemaInvalid, "the structure of %s differs from the definition: %s; correct "+
		"it, then run consumer reconcile again", r.Tenant.Boundary.Name(), strings.Join(differences, "; "))
}

// State is the state of the ledger row.
func (r *Restoration) State() string {
	if r.Outcome.Provisioned() {
		return "provisioned"
	}
	return "failed"
}

// LedgerText is what the ledger records about the last attempt, which is nothing after a success.
type LedgerText struct{ Step, Cause, Text string }

// LedgerText returns what the ledger records about the last attempt.
func (r *Restoration) LedgerText() LedgerText {
	if r.Outcome.Provisioned() {
		return LedgerText{}
	}
	return LedgerText{Step: r.Step, Cause: string(r.Cause), Text: r.Text}
}

// Errors of a restoration that changes nothing.
var (
	// ErrNoBoundary: the tenant's boundary is missing, and is not to be recreated.
	ErrNoBoundary = errors.New("its boundary is missing")
	// ErrOtherRequest is wrapped if another request has the tenant, or its boundary.
	ErrOtherRequest = errors.New("is registered by another request")
)
