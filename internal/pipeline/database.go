package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
)

// Request is one delivery of a decoded CloudEvent. Source and id of the event are its identity.
type Request struct {
	Event  event.Event
	Replay int // 0, or the message's replay number; see [NextReplay] for its effect
	// DeliveryID names this delivery uniquely among all deliveries. A claim that is repeated because its confirmation was
	// lost has the same name. [Provisioner.Job] names deliveries that have no name. The part before [DeliverySeparator]
	// names the stored message.
	DeliveryID string
	// Redelivered: the message was delivered before, so the ledger may have an attempt or an outcome of its request.
	Redelivered bool
}

// DeliverySeparator follows the name of the stored message in the name of a delivery.
const DeliverySeparator = "/"

// Message is the prefix, up to and including [DeliverySeparator], that the names of all deliveries of one stored
// message have, and no others. It is empty where the name does not identify the message.
func (r Request) Message() string {
	if i := strings.Index(r.DeliveryID, DeliverySeparator); i > 0 {
		return r.DeliveryID[:i+len(DeliverySeparator)]
	}
	return ""
}

// Key is the request's key in the ledger.
func (r Request) Key() string { return events.RequestKey(r.Event.Source(), r.Event.ID()) }

// MaxReplay is the highest replay number that reopens a request whatever the ledger's number is. A higher number counts
// only if it is exactly the ledger's next. Otherwise a publisher could send the highest possible number, and no
// operator could replay that request again. Above MaxReplay more than 1,000 million replays are left, up to the
// ledger's own limit of 2^31-1.
const MaxReplay = 1_000_000_000

// FirstReplay returns the effective replay number of a message whose request is not in the ledger. A number above
// [MaxReplay] has no effect: the message counts as the original, 0.
func FirstReplay(number int) int {
	if number > MaxReplay {
		return 0
	}
	return number
}

// NextReplay returns the effective replay number of a message whose request is in the ledger at this replay. A result
// above the ledger's number reopens a failed request. Any other result is a redelivery.
func NextReplay(number, ledger int) int {
	if number > MaxReplay && number-1 != ledger {
		return min(number, ledger)
	}
	return number
}

// Outcome is the one event that ends a request, ready to be published. It is recorded once and published at every
// delivery of the request, always with the same bytes.
type Outcome struct {
	ID   string // event id and Nats-Msg-Id
	Type string // event type and subject
	Body []byte // CloudEvent, structured mode
	// DeadLetterConfirmed: the dead letter of this failure was confirmed before. It is not published again to the same
	// stream: otherwise a late redelivery would restore a dead letter that an operator has removed.
	DeadLetterConfirmed bool
	// DeadLetterStream names the stream in which it was confirmed by the time at which that was created: RFC 3339 with
	// nanoseconds, UTC. It is empty where an earlier version confirmed it.
	DeadLetterStream string
	// RecordedAt is when the ledger recorded the outcome, by the database's clock. It is zero where the outcome was not
	// read from the ledger.
	RecordedAt time.Time
	// KnownAt is a time of this process's own clock, just before it claimed the request and found the outcome, or just
	// before it committed the outcome itself. It is zero for an outcome that was found otherwise.
	KnownAt time.Time
	// DeliveryID is the [Request.DeliveryID] of the last attempt, or of the delivery whose dead letter was confirmed last.
	// It is empty where it was not read from the ledger.
	DeliveryID string
}

// Provisioned reports whether the outcome is a success.
func (o Outcome) Provisioned() bool { return o.Type == events.TypeProvisioned }

// Claim is one attempt at a request, committed in the ledger.
type Claim struct {
	Key     string // [events.RequestKey]
	Replay  int    // the ledger's, which may differ from the message's
	Attempt int    // 1, 2, …; above the limit where all attempts are spent
	// DeliveryID is the [Request.DeliveryID] of the delivery that made the claim.
	DeliveryID string
	// Registered is the registered id that equals the tenant's without regard to case, as of the claim, or "" if there is
	// none.
	Registered string
	// Unstorable is the reason why the database cannot store the request's source and id unchanged, so that the ledger has
	// them escaped. It is nil if the database can.
	Unstorable error
}

// Limit bounds the attempts of a request.
type Limit struct {
	Attempts int
	// Lease is how long an attempt that is not renewed may still be running when its own message is delivered again. The
	// redelivery means that its worker no longer holds the message.
	Lease time.Duration
	// CopyLease is the same when another message of the request is delivered; 0: see [Limit.ForCopies].
	CopyLease time.Duration
}

// ForCopies is how long an attempt that is not renewed may still be running when another message of its request is
// delivered. A publisher that repeats a request says nothing about the worker that holds the first message: that worker
// may be disconnected from the database and unable to renew its lease. If it is disconnected for longer than this, it
// loses its last attempt to a copy. Only copies of a request whose attempts have all begun wait that long.
func (l Limit) ForCopies() time.Duration {
	if l.CopyLease > 0 {
		return l.CopyLease
	}
	return max(10*l.Lease, 10*time.Minute)
}

// StaleAfter is the age at which an attempt without a result has ended with its process, if its message is delivered
// again. It is half a lease, because the lease counts from the delivery, which is shortly before the claim.
func (l Limit) StaleAfter() time.Duration { return l.Lease / 2 }

// AttemptNote is what the ledger records about an attempt that did not decide the request.
type AttemptNote struct {
	Step   string
	Code   string // the database's own code
	Text   string
	Refund bool // the attempt does not count: the process stops, or another worker is busy with it
}

// Failure is a failed request as the ledger records it.
type Failure struct {
	Step    string
	Cause   events.Cause
	Outcome Outcome
}

// Rejection is a message that is not a CloudEvent, as the ledger records it: failed at once.
type Rejection struct {
	Key        string
	Message    Message
	Failure    Failure
	DeliveryID string // see [Request.DeliveryID]
}

// Text is the cause for the ledger: the message, and the database's own text if there is one. Characters that no text
// column can hold become U+FFFD.
func (c Failure) Text() string {
	text := c.Cause.Message
	if c.Cause.Detail != "" {
		text += ": " + c.Cause.Detail
	}
	return Storable(text)
}

// Storable returns the text with U+FFFD for what no text column can hold: NUL, and bytes that are not UTF-8.
func Storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// Ledger is the inbox, outbox and audit trail of requests.
type Ledger interface {
	// Claim commits one more attempt at the request. It returns an *[AlreadyDecidedError] if the request has its outcome,
	// or [ErrBusy]. A replay number above the ledger's reopens a failed request. tenantID is looked up in the registry and
	// recorded; it may be empty.
	Claim(ctx context.Context, r Request, tenantID string, limit Limit) (Claim, error)
	// LastAttemptVanished reports whether the last attempt at the request began, left no result and cannot be running any
	// more: it may have crashed its process. It returns [ErrBusy] where Claim would.
	LastAttemptVanished(ctx context.Context, r Request, limit Limit) (bool, error)
	// Renew restarts the lease of a running attempt. An attempt whose transaction locks the ledger row counts as running
	// without it, so Renew waits for no lock. It does nothing for an attempt that is not the request's last.
	Renew(ctx context.Context, c Claim) error
	// RecordFailure records a failure and returns the outcome that stands: this one, or one recorded earlier. It fails if
	// a later attempt has begun, because that attempt decides.
	RecordFailure(ctx context.Context, c Claim, failure Failure) (Outcome, error)
	// Note records the result of an attempt that is to be repeated, unless a later attempt has begun.
	Note(ctx context.Context, c Claim, n AttemptNote) error
	// Reject records the failure of a message that is not a CloudEvent, unless it is already recorded, and returns the
	// outcome that stands.
	Reject(ctx context.Context, r Rejection) (Outcome, error)
	// DeadLetterConfirmed records that the named delivery has confirmed the dead letter of this failure, which must be the
	// outcome that stands. stream is [Outcome].DeadLetterStream.
	DeadLetterConfirmed(ctx context.Context, key, outcomeID, delivery, stream string) error
	// Recorded returns the request's current outcome in the ledger. Its ID is empty if there is none: the request is
	// running or unknown.
	Recorded(ctx context.Context, key string) (Outcome, error)
}

// Database holds tenants, their registry and the ledger. Its errors are *[Fault]s.
type Database interface {
	Ledger
	// Strategy is the one isolation strategy that the database supports.
	Strategy() string
	// Definition is the fingerprint of what boundaries are made by: 16 hex digits. It is empty if scripts are configured
	// that have not been rehearsed.
	Definition() string
	// Locate returns the boundary that the tenant has by the template of names. It touches nothing.
	Locate(tenantID string) Boundary
	// Begin opens an attempt to build a tenant's boundary. It changes nothing yet. The caller always calls Close, whatever
	// happens in between.
	Begin(ctx context.Context, c Claim, tenantID string) (Build, error)
	// Ping reports whether the database can be reached and written to.
	Ping(ctx context.Context) error
	// Rehearse does everything that an attempt does, up to the commit, for a tenant with an id that no request has, and
	// rolls it back. Other sessions see nothing of it.
	Rehearse(ctx context.Context) error
}

// Build is one attempt to build one tenant. Its methods are called in this order, each once; Inspect also after
// CreateBoundary, if the boundary existed, and after RunScripts, if that ran any. RunScripts and CheckConfined are
// called only if there are scripts, LoadSeeds only if there are seeds. A database without the built-in definition makes
// everything by scripts: CreateTables and CreateIndexes are not called.
type Build interface {
	// CreateBoundary locks the boundary and checks again whether the request is decided (*[AlreadyDecidedError]) or the
	// tenant registered. It then creates the boundary, or adopts one that holds no rows, in which it makes nothing yet.
	CreateBoundary(ctx context.Context) (Boundary, error)
	// CreateTables creates the tenant's missing tables, and adds these missing columns to others.
	CreateTables(ctx context.Context, columns []Addition) error
	// CreateIndexes creates the missing indexes. It returns those that failed, by name, with the reason.
	CreateIndexes(ctx context.Context) (map[string]error, error)
	// Inspect compares the boundary with the definition, by the database's catalogue. Without the built-in definition, it
	// compares with what must be there at that point: nothing, what scripts have prepared, or all that they make.
	Inspect(ctx context.Context) (Inspection, error)
	// RunScripts runs the initialisation scripts in the boundary, in the order of their names; in a prepared boundary only
	// those that it does not have already. It fails if they make something else than in the rehearsal at start. It reports
	// whether it ran any.
	RunScripts(ctx context.Context, v Values) (ran bool, err error)
	// LoadSeeds loads the seed data into the boundary's tables. It returns the number of rows of each table.
	LoadSeeds(ctx context.Context, v Values) (map[string]int, error)
	// CheckConfined fails if anything outside of the boundary was touched since RunScripts was called. After it only
	// Register is called.
	CheckConfined(ctx context.Context) error
	// Register adds the tenant to the registry and the outcome to the ledger, in one commit. When it returns nil, both are
	// durable.
	Register(ctx context.Context, t Tenant, o Outcome) error
	// Close abandons what was not registered and returns what exists now that did not before.
	Close(ctx context.Context) (leftBehind []string)
}

// Boundary is what isolates a tenant; one of the two names is set.
type Boundary struct {
	SchemaName   string // PostgreSQL
	DatabasePath string // SQLite
	Prepared     bool   // taken from the pool
	Existed      bool   // it was there before the request, and not in the pool
}

// Name is the schema's name, or the path of the file.
func (b Boundary) Name() string { return cmp.Or(b.SchemaName, b.DatabasePath) }

// Inspection is the result of comparing a boundary with the definition.
type Inspection struct {
	// Differences can lose or refuse rows that DocEX writes. Each names a table, column or constraint, its state and the
	// required state.
	Differences []string
	// Lasting are those of the Differences that remain after the steps have made what is missing: tables, and the Addable
	// columns.
	Lasting []string
	Addable []Addition
	// Warnings are deviations that lose and refuse no row of DocEX. In a boundary that exists already they are accepted.
	Warnings []string
	// NoDefaults are the columns without the default of the definition, as table.column. They are one more warning: see
	// Warned.
	NoDefaults     []string
	MissingIndexes []string // without those whose column is missing: the difference or warning about it names them
	// IndexRemedies are, by the name of a missing index, the SQL that creates it, after what has its name.
	IndexRemedies map[string]string
	Tables        int // tables of the definition that exist
	Indexes       int // indexes of the definition that exist
}

// Addition is a missing column that accepts rows without it: it is nullable or has a default.
type Addition struct{ Table, Column string }

// Warned returns all warnings. The one about missing defaults names at most that many columns, and counts the others;
// 0: it names all.
func (i Inspection) Warned(most int) []string {
	n := len(i.NoDefaults)
	if n == 0 {
		return i.Warnings
	}
	columns := strings.Join(i.NoDefaults, ", ")
	if most > 0 && n > most {
		columns = fmt.Sprintf("%s and %d more", strings.Join(i.NoDefaults[:most], ", "), n-most)
	}
	return append(slices.Clone(i.Warnings),
		"missing server defaults (DocEX sets these columns itself, other programs must too): "+columns)
}

// Deviations are what a boundary that the service has just made must not have. A missing index alone fails no request.
func (i Inspection) Deviations() []string { return slices.Concat(i.Differences, i.Warned(0)) }

// Faults are all deviations from the definition.
func (i Inspection) Faults() []string { return append(i.Deviations(), i.MissingIndexes...) }

// MissingIndex describes a missing index, with its remedy.
func (i Inspection) MissingIndex(name string) string {
	text := "index " + name + " is missing"
	if remedy := i.IndexRemedies[name]; remedy != "" {
		text += "; " + remedy
	}
	return text
}

// Drift are the deviations that make a registered tenant differ from the definition. Without a single index it does:
// something prevented all of them, and every query reads whole tables.
func (i Inspection) Drift() []string {
	if i.Tables > 0 && i.Indexes == 0 && len(i.MissingIndexes) > 0 {
		return append(slices.Clone(i.Differences), "none of its indexes exists")
	}
	return i.Differences
}

// Tenant is a row of the registry.
type Tenant struct {
	ID                string
	DisplayName       string
	IsolationStrategy string
	Boundary          Boundary
	CreatedAt         time.Time // UTC, whole microseconds
	CreatedBy         string
	Plan              Plan
	Definition        string          // the fingerprint of what its boundary was made by; empty: unknown
	Scripts           []events.Script // that its boundary has; the registry records them
}
