package client

import (
	"fmt"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
)

// Outcome is the end of a request, or of a replay of it. Exactly one of Provisioned and Failed is not nil.
type Outcome struct {
	Provisioned *events.Provisioned
	Failed      *events.ProvisioningFailed // with step, cause, and whether the request can be replayed
	Event       event.Event                // with its id, by which subscribers drop repeats
}

// ID is the event's id: the same however often the outcome is published or delivered.
func (o Outcome) ID() string { return o.Event.ID() }

// TenantID is empty if the request could not be decoded. An invalid one may be cut.
func (o Outcome) TenantID() string {
	if o.Provisioned != nil {
		return o.Provisioned.TenantID
	}
	return o.Failed.TenantID
}

// Replay is 0 for the request itself, n for its nth replay. It orders the outcomes of one request.
func (o Outcome) Replay() int {
	if o.Provisioned != nil {
		return o.Provisioned.Replay
	}
	return o.Failed.Replay
}

// Key is the [events.RequestKey] of the request, or the [events.UndecodableKey]. It is empty in a success of an earlier
// version whose source or id was cut.
func (o Outcome) Key() string {
	if o.Failed != nil {
		return strings.TrimPrefix(o.Failed.DeadLetter.Subject, events.SubjectDeadLetterPrefix)
	}
	r := o.Provisioned.Request
	if r.Key == "" && !strings.HasSuffix(r.Source, "…") && !strings.HasSuffix(r.ID, "…") {
		return events.RequestKey(r.Source, r.ID)
	}
	return r.Key
}

// decidesRequest reports whether it is an outcome of the request with this source and id. An event of another publisher
// may claim to be one, but has another id.
func (o Outcome) decidesRequest(source, id string) bool {
	return o.ID() == events.OutcomeID(source, id, o.Replay(), o.Event.Type())
}

// Skipped is a message in the stream of outcomes that is not one.
type Skipped struct {
	Sequence uint64
	Event    *event.Event // nil: it is not a CloudEvent
	Err      error        // what is wrong with it
}

// readOutcome reads an outcome, or what is wrong with the message.
func readOutcome(msg *nats.Msg) (Outcome, *Skipped) {
	e, err := events.Decode(msg.Header, msg.Data)
	if err != nil {
		return Outcome{}, &Skipped{Err: err}
	}
	o := Outcome{Event: e}
	switch e.Type() {
	case events.TypeProvisioned:
		var data events.Provisioned
		data, err = events.ProvisionedFrom(e)
		o.Provisioned = &data
	case events.TypeProvisioningFailed:
		var data events.ProvisioningFailed
		data, err = events.FailedFrom(e)
		o.Failed = &data
	default:
		err = fmt.Errorf("event type is %s, not an outcome's", events.Quote(e.Type()))
	}
	if err != nil {
		return Outcome{}, &Skipped{Event: &e, Err: err}
	}
	return o, nil
}
