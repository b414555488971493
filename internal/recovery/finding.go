package recovery

import (
	"cmp"
	"time"

	"example.com/tenant-provisioner/events"
)

// Kind names what database and streams disagree about.
type Kind string

// The kinds of findings, in the order in which they are repaired.
const (
	// KindNotRecorded: a tenant was announced, and ledger or registry lack it. Its boundary is there, or the event is not
	// this service's.
	KindNotRecorded Kind = "provisioned_not_recorded"
	// KindDataLost: a tenant was announced or is registered, and its boundary is missing.
	KindDataLost Kind = "data_lost"
	// KindFailureNotRecorded: a failure was announced, and the ledger lacks it.
	KindFailureNotRecorded Kind = "failure_not_recorded"
	// KindDeadLetterMissing: a request failed, was not replayed, and its dead letter is missing.
	KindDeadLetterMissing Kind = "dead_letter_missing"
	// KindConflict: a tenant was announced, and another request has it, or its boundary. Or another outcome of the same
	// request is recorded.
	KindConflict Kind = "conflict"
	// KindNotPublished: the ledger has an outcome that its stream lacks.
	KindNotPublished Kind = "outcome_not_published"
	// KindNotDecided: the consumer has passed a request that has neither a ledger row nor an outcome.
	KindNotDecided Kind = "request_not_decided"
	// KindRequestMissing: the ledger has a request as running, and its message is missing.
	KindRequestMissing Kind = "request_missing"
	// KindConsumerAhead: the consumer has delivered messages that its stream does not have.
	KindConsumerAhead Kind = "consumer_ahead"
	// KindUnknownBoundary: a boundary of the template's name that no tenant and no outcome has. It is only listed.
	KindUnknownBoundary Kind = "unknown_boundary"
)

// Kinds are all kinds, in the order in which they are repaired.
var Kinds = []Kind{
	KindNotRecorded, KindDataLost, KindFailureNotRecorded, KindDeadLetterMissing, KindConflict, KindNotPublished,
	KindNotDecided, KindRequestMissing, KindConsumerAhead, KindUnknownBoundary,
}

// Action is how a finding is repaired.
type Action string

// The actions. The empty one means that the finding is left to the operator.
const (
	// ActionRestore writes ledger and registry from the published outcome, in one commit.
	ActionRestore Action = "restore"
	// ActionRecreate builds the boundary again, empty, and does what ActionRestore does in the same commit.
	ActionRecreate Action = "recreate"
	// ActionPublishDeadLetter makes the dead letter again from the stored request.
	ActionPublishDeadLetter Action = "publish_dead_letter"
	// ActionPublishOutcome publishes the ledger's outcome again.
	ActionPublishOutcome Action = "publish_outcome"
	// ActionPublishRequest publishes the stored request again.
	ActionPublishRequest Action = "publish_request"
	// ActionRecreateConsumer deletes the durable consumer and creates it again at its acknowledged floor.
	ActionRecreateConsumer Action = "recreate_consumer"
	// ActionAccept records that an outcome is lost, so that it is not found again.
	ActionAccept Action = "accept"
)

// Finding is one disagreement of database and streams.
type Finding struct {
	Kind      Kind
	Tenant    string // id, as requested; empty: unknown or of no tenant
	Boundary  string // schema or file, where the finding is about one
	Request   events.Request
	OutcomeID string
	Replay    int
	// EventSource is the source of the published outcome that the finding is about; empty: it is about none.
	EventSource string
	At          time.Time // of the outcome, the ledger row or the stored request; zero: of no time
	Problem     string    // one sentence, without a period
	Action      Action
	// Left is why nothing is done, or was done, and what the operator can do; empty if Action repairs the finding.
	Left string
	Done bool // Action was carried out

	outcome    uint64      // sequence of the published outcome
	unrecorded bool        // the ledger lacks the outcome, so that the guard reports it
	acceptID   string      // under what it is accepted; empty: under OutcomeID
	messages   []storedRef // stored messages of the request
	running    bool        // the outcome does not exist yet
}

// IsListed reports whether the finding only informs: it is no disagreement, and leaves the result as it is.
func (f *Finding) IsListed() bool { return f.Kind == KindUnknownBoundary }

// Sequence is the message of TENANT_EVENTS that the finding is about; 0: it is about none.
func (f *Finding) Sequence() uint64 { return f.outcome }

// acceptedAs is under what the finding is recorded as accepted; empty: it cannot be.
func (f *Finding) acceptedAs() string { return cmp.Or(f.acceptID, f.OutcomeID) }

// storedRef is the place of a message in TENANT_REQUESTS.
type storedRef struct {
	sequence uint64
	stored   time.Time
}

// Options select what is repaired.
type Options struct {
	Tenant    string    // only findings of this tenant; empty: all
	Since     time.Time // only findings of this time or later, and those of no time
	Recreate  bool      // build boundaries that are missing again, empty
	Republish bool      // publish outcomes again that TENANT_EVENTS lacks
	Accept    bool      // record what is left
}

// selects reports whether the finding is one of the selected.
func (o *Options) selects(f *Finding) bool {
	return (o.Tenant == "" || f.Tenant == o.Tenant) && (f.At.IsZero() || !f.At.Before(o.Since))
}

// choose sets what is done about the finding.
func (o *Options) choose(f *Finding) {
	switch {
	case f.Action == ActionRecreate && !o.Recreate:
		f.Action, f.Left = "", "no stream has the data; restore the boundary from a backup, or build it again, empty, with "+
			"--recreate"
	case f.Action == ActionPublishOutcome && !o.Republish:
		f.Action, f.Left = "", "--republish publishes it again; subscribers that have received it drop it by its id"
	}
	if f.Action == "" && o.Accept && f.isAcceptable() {
		f.Action = ActionAccept
	}
}

// isAcceptable reports whether the finding can be recorded as accepted: it has the id of an outcome.
func (f *Finding) isAcceptable() bool { return !f.IsListed() && f.acceptedAs() != "" }
