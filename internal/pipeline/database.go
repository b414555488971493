package pipeline

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
)

// Request is one delivery of a decoded CloudEvent. Source and id of the event are its identity.
type Request struct {
	Event  event.Event
	Replay int // 0, or the replay number that the message has; see [NextReplay] for what it counts as
	// DeliveryID names this delivery among all there ever are: what claims an attempt twice under one name,
	// because the first confirmation was lost, has one. [Provisioner.Job] names those that have no name. Up to
	// [DeliverySeparator] it names the stored message.
	DeliveryID string
	// Again: the message was delivered before, and something may have become of it.
	Redelivered bool
}

// DeliverySeparator stands in the name of a delivery after that of the stored message.
const DeliverySeparator = "/"

// Message is what the names of all deliveries of the same stored message begin with, and no others. Empty: the name
// does not say.
func (r Request) Message() string {
	if i := strings.Index(r.DeliveryID, DeliverySeparator); i > 0 {
		return r.DeliveryID[:i+len(DeliverySeparator)]
	}
	return ""
}

// Key is the request's key in the ledger.
func (r Request) Key() string { return events.RequestKey(r.Event.Source(), r.Event.ID()) }

// MaxReplay is the highest replay number that reopens a request wherever the ledger is. A number above it counts only
// as the ledger's next: a publisher could otherwise send the highest number that there is, and no operator could replay
// that request again. Up to the ledger's own limit, 2^31-1, more than a thousand million replays are left above it.
const MaxReplay = 1_000_000_000

// FirstReplay returns what a message's replay number counts as where the ledger does not know the request: one that
// does not count is the original.
func FirstReplay(number int) int {
	if number > MaxReplay {
		return 0
	}
	return number
}

// NextReplay returns what a message's replay number counts as where the ledger has the request at this replay. A result
// above the ledger's reopens a request that has failed, all others are a redelivery.
func NextReplay(number, ledger int) int {
	if number > MaxReplay && number-1 != ledger {
		return min(number, ledger)
	}
	return number
}

// Outcome is the one event a request ends in, ready to be published: recorded once, published as often as
// the request is delivered, always the same bytes.
type Outcome struct {
	ID   string // event id and Nats-Msg-Id
	Type string // event type and subject
	Body []byte // CloudEvent, structured mode
	// Buried: a failure whose dead letter was confirmed before. It is not published again, or one that an
	// operator has removed would come back with a late redelivery.
	DeadLetterConfirmed bool
	// DeliveryID is [Request.Delivery] of the last attempt, or of the delivery whose dead letter was confirmed last.
	// Empty: not read from the ledger.
	DeliveryID string
}

// Provisioned reports whether the outcome is a success.
func (o Outcome) Provisioned() bool { return o.Type == events.TypeProvisioned }

// Claim is one attempt at a request, committed in the ledger.
type Claim struct {
	Key     string // [events.RequestKey]
	Replay  int    // the ledger's, which may differ from the message's
	Attempt int    // 1, 2, …; above the limit where all attempts are spent
	// DeliveryID is [Request.Delivery] of the delivery that claimed it.
	DeliveryID string
	// Registered is the id in the registry that equals the tenant's without regard to case, or "", as it was then.
	Registered string
	// Unstorable is why the database cannot store source and id of the request as they are; nil: it can. They are
	// escaped in the ledger then.
	Unstorable error
}

// Limit bounds the attempts of a request.
type Limit struct {
	Attempts int
	// Lease is how long an attempt without a sign of life may still be running, where its own message is delivered
	// again: its worker keeps that message no more.
	Lease time.Duration
	// CopyLease is the same where another message of the request is delivered; 0: see [Limit.ForCopies].
	CopyLease time.Duration
}

// ForCopies is how long an attempt without a sign of life may still be running where another message of its request is
// delivered. That a publisher repeats a request says nothing of the worker that has the first message: it may be cut
// off from the database, and cannot renew its lease. One that is cut off for longer than this loses its last attempt to
// a copy. Only copies of a request whose attempts have all begun wait that long.
func (l Limit) ForCopies() time.Duration {
	if l.CopyLease > 0 {
		return l.CopyLease
	}
	return max(10*l.Lease, 10*time.Minute)
}

// StaleAfter is the age at which an attempt that nothing became of has ended with its process, if its message
// comes again. Half a lease: that is counted from the delivery, which is a little before the claim.
func (l Limit) StaleAfter() time.Duration { return l.Lease / 2 }

// AttemptNote is what the ledger keeps of an attempt that did not end the request.
type AttemptNote struct {
	Step   string
	Code   string // the database's own code
	Text   string
	Refund bool // the attempt does not count: the process was told to stop
}

// Failure is a failed request as the ledger records it.
type Failure struct {
	Step    string
	Cause   events.Cause
	Outcome Outcome
}

// Rejection is a message that is not an event, as the ledger records it: failed at once.
type Rejection struct {
	Key        string
	Message    Message
	Failure    Failure
	DeliveryID string // see [Request.Delivery]
}

// Text is the cause for the ledger: the message, and the database's own words where there are some. What no text column
// can hold is U+FFFD.
func (c Failure) Text() string {
	text := c.Cause.Message
	if c.Cause.Detail != "" {
		text += ": " + c.Cause.Detail
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// Ledger is inbox, outbox and audit trail of requests.
type Ledger interface {
	// Claim commits one more attempt at the request, or returns *[Settled] where it has its outcome, or
	// [ErrBusy]. A replay number above the ledger's reopens a failed request. tenantID is looked for in the
	// registry, and for the record; it may be empty.
	Claim(ctx context.Context, r Request, tenantID string, limit Limit) (Claim, error)
	// LastAttemptVanished reports whether the last attempt at the request began and nothing became of it, and it cannot be
	// running any more: perhaps it took the process with it. It returns [ErrBusy] where Claim would.
	LastAttemptVanished(ctx context.Context, r Request, limit Limit) (bool, error)
	// Renew says that the attempt is alive: its lease counts from now. Where its transaction holds the row, that says
	// so already. It does nothing for an attempt that is not the request's last, and waits for no lock.
	Renew(ctx context.Context, c Claim) error
	// RecordFailure records a failure and returns the outcome that stands: this one, or one that was there. It fails where
	// a later attempt has begun: that one decides.
	RecordFailure(ctx context.Context, c Claim, failure Failure) (Outcome, error)
	// AttemptNote records what became of an attempt that is to be repeated, unless another one has begun.
	Note(ctx context.Context, c Claim, n AttemptNote) error
	// Reject records the failure of a message that is not an event, unless that is recorded already, and returns the
	// outcome that stands.
	Reject(ctx context.Context, r Rejection) (Outcome, error)
	// DeadLetterConfirmed records that the dead letter of this failure, which stands, is confirmed, for the delivery of
	// that name.
	DeadLetterConfirmed(ctx context.Context, key, outcomeID, delivery string) error
	// Recorded returns the outcome that the ledger has of the request now. Its ID is empty where there is none: the
	// request runs, or is not known.
	Recorded(ctx context.Context, key string) (Outcome, error)
}

// Database holds tenants, their registry and the ledger. Its errors are *[Fault]s.
type Database interface {
	Ledger
	// Strategy is the one isolation strategy it can do.
	Strategy() string
	// Begin opens the attempt to build the boundary of a tenant. Nothing is touched yet. The caller ends
	// it with Close, whatever happened.
	Begin(ctx context.Context, c Claim, tenantID string) (Build, error)
	// Ping reports whether the database can be reached and written to.
	Ping(ctx context.Context) error
	// Rehearse does all that an attempt does, up to the commit, for a tenant with a reserved id, and rolls it back. Other
	// sessions see nothing of it.
	Rehearse(ctx context.Context) error
}

// Build is one attempt to build one tenant. Its methods are called in this order, each once.
type Build interface {
	// CreateBoundary locks the boundary, looks again whether the request is settled (*[Settled]) or the
	// tenant registered, and creates the boundary or takes one over that holds no rows.
	CreateBoundary(ctx context.Context) (Boundary, error)
	// CreateTables creates those of the tenant's tables that are missing.
	CreateTables(ctx context.Context) error
	// CreateIndexes creates the missing indexes and returns those that failed by name, with the reason.
	CreateIndexes(ctx context.Context) (map[string]error, error)
	// Inspect compares what is there with the definition, by catalogue.
	Inspect(ctx context.Context) (Inspection, error)
	// Register enters the tenant in the registry and the outcome in the ledger, in one commit. When it
	// returns nil, both are durable.
	Register(ctx context.Context, t Tenant, o Outcome) error
	// Close gives up what was not registered and returns what exists now that did not before.
	Close(ctx context.Context) (leftBehind []string)
}

// Boundary is what isolates a tenant; one of the two names is set.
type Boundary struct {
	SchemaName   string // PostgreSQL
	DatabasePath string // SQLite
	Prepared     bool   // taken from the pool
}

// Inspection is the result of comparing a boundary with the definition.
type Inspection struct {
	Differences    []string // each names table, column or constraint, what it is and what it must be
	MissingIndexes []string
	Tables         int // tables of the definition that are there
	Indexes        int // likewise
}

// Faults are all that keeps the boundary from being as defined, missing indexes among it.
func (i Inspection) Faults() []string { return slices.Concat(i.Differences, i.MissingIndexes) }

// Tenant is a row of the registry.
type Tenant struct {
	ID                string
	DisplayName       string
	IsolationStrategy string
	Boundary          Boundary
	CreatedAt         time.Time // UTC, whole microseconds
	CreatedBy         string
}
