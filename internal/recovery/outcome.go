package recovery

import (
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// outcome is the outcome of a request in a message of TENANT_EVENTS.
type outcome struct {
	id          string
	key         string // of the request in the ledger; empty: unknown
	tenant      string // as requested: of a failure it may be invalid
	request     events.Request
	replay      int
	provisioned bool
	at          time.Time // of the event
	source      string    // of the event: the service that published it
	sequence    uint64    // in the stream

	// Of a success: what the registry has.
	boundary  string
	createdAt time.Time
	createdBy string
}

// readOutcome reads an outcome. It reports false for a message that is not one.
func readOutcome(msg *jetstream.RawStreamMsg) (o outcome, ok bool) {
	e, err := events.Decode(msg.Header, msg.Data)
	if err != nil || e.Type() != msg.Subject {
		return o, false
	}
	if o, ok = outcomeOf(e); ok {
		o.sequence = msg.Sequence
	}
	return o, ok
}

func outcomeOf(e event.Event) (o outcome, ok bool) {
	o = outcome{id: e.ID(), source: e.Source(), at: e.Time()}
	switch e.Type() {
	case events.TypeProvisioned:
		data, err := events.ProvisionedFrom(e)
		if err != nil {
			return o, false
		}
		o.provisioned = true
		o.tenant, o.request, o.replay = data.TenantID, data.Request, data.Replay
		o.boundary, o.createdAt, o.createdBy = data.SchemaName+data.DatabasePath, data.CreatedAt, data.CreatedBy
	case events.TypeProvisioningFailed:
		data, err := events.FailedFrom(e)
		if err != nil || data.Request == nil { // an undecodable message, which the ledger may no longer have
			return o, err == nil
		}
		o.tenant, o.request, o.replay = data.TenantID, *data.Request, data.Replay
	default:
		return o, false
	}
	o.key = keyOf(o.request)
	return o, true
}

// keyOf returns the request's key in the ledger, or "" if it is unknown: the earlier version wrote no key,
// and cut long ids, which ends them in an ellipsis.
func keyOf(r events.Request) string {
	switch {
	case r.Key != "":
		return r.Key
	case strings.HasSuffix(r.Source, "…"), strings.HasSuffix(r.ID, "…"):
		return ""
	}
	return events.RequestKey(r.Source, r.ID)
}

// isGenuine reports whether the outcome has the id that every version of this service gives to it. Other publishers
// make up ids of their own.
func (o *outcome) isGenuine() bool {
	kind := events.TypeProvisioningFailed
	if o.provisioned {
		kind = events.TypeProvisioned
	}
	return o.key != "" && o.id == events.OutcomeID(o.request.Source, o.request.ID, o.replay, kind)
}

// clockTolerance is how far the clocks of services and database may differ.
const clockTolerance = time.Hour

// isPruned reports whether the ledger may lack the outcome because requests that were decided before that time were
// pruned. Zero: none were.
func (o *outcome) isPruned(before time.Time) bool {
	return !before.IsZero() && o.at.Before(before.Add(clockTolerance))
}

// supersedes reports whether the outcome counts, and not the other of the same request: the higher replay, and of one
// replay the success.
func (o *outcome) supersedes(other *outcome) bool {
	if o.replay != other.replay {
		return o.replay > other.replay
	}
	return o.provisioned && !other.provisioned
}
