package events

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// DefaultSource is the source of outcomes unless the operator sets another (EVENT_SOURCE).
const DefaultSource = "/tenant-provisioner"

// Outcome is what an outcome event says about itself, beside its data. ID, Time and Source are required;
// of the rest, what is empty, not legal in a CloudEvent, or (the trace) too long, is left out.
type Outcome struct {
	ID            string    // from [OutcomeID], with the type of the event to be made, or [UndecodableOutcomeID]
	Source        string    // a URI reference, e.g. [DefaultSource]
	Time          time.Time // written in UTC
	CorrelationID string
	CausationID   string
	TraceParent   string
	TraceState    string
}

// OutcomeFor takes from a request what its outcome repeats: its correlationid, else its id, as
// correlationid; its id as causationid; its trace. ID, Source and Time are left to the caller. A message
// that could not be decoded has nothing to repeat: its Outcome starts empty.
func OutcomeFor(request event.Event) Outcome {
	o := Outcome{
		CorrelationID: extensionText(request, "correlationid"),
		CausationID:   request.ID(),
		TraceParent:   extensionText(request, "traceparent"),
		TraceState:    extensionText(request, "tracestate"),
	}
	if o.CorrelationID == "" {
		o.CorrelationID = request.ID()
	}
	return o
}

// NewProvisioned makes a tenant.provisioned event. It takes the whole source and id in data.Request, computes the
// key of them, and cuts them to 1 KiB. Errors: an attribute of o that [Decode] would refuse.
func NewProvisioned(o Outcome, data Provisioned) (event.Event, error) {
	data.CreatedAt = data.CreatedAt.UTC()
	data.Request = keyed(data.Request)
	data.Warnings = nonNil(slices.Clone(data.Warnings))
	for i := range data.Warnings {
		data.Warnings[i].Message = cut(data.Warnings[i].Message, maxText)
	}
	data.Steps = nonNil(data.Steps)
	return o.event(TypeProvisioned, data.TenantID, data)
}

// NewProvisioningFailed makes a tenant.provisioning_failed event. It takes the whole source and id in
// data.Request and computes the key of them. Texts in data are cut to 1 KiB and LeftBehind to its first entries,
// so the event stays below 64 KiB whatever the request held. Errors: an attribute of o that [Decode] would refuse.
func NewProvisioningFailed(o Outcome, data ProvisioningFailed) (event.Event, error) {
	tenant := data.TenantID
	if data.Request != nil {
		request := keyed(*data.Request)
		data.Request = &request
	}
	for _, s := range []*string{
		&data.TenantID, &data.Step.Name, (*string)(&data.Cause.Code), &data.Cause.Message, &data.Cause.Detail,
		&data.DeadLetter.Stream, &data.DeadLetter.Subject,
	} {
		*s = cut(*s, maxText)
	}
	left := nonNil(slices.Clone(data.LeftBehind))
	if more := len(left) - maxLeftBehind; more > 0 {
		left = append(left[:maxLeftBehind], fmt.Sprintf("… and %d more", more))
	}
	for i := range left {
		left[i] = cut(left[i], maxText)
	}
	data.LeftBehind = left
	return o.event(TypeProvisioningFailed, tenant, data)
}

// ProvisionedFrom reads the data of a tenant.provisioned event.
func ProvisionedFrom(e event.Event) (Provisioned, error) {
	var data Provisioned
	if err := dataFrom(e, TypeProvisioned, &data); err != nil {
		return Provisioned{}, err
	}
	if data.TenantID == "" {
		return Provisioned{}, errors.New(TypeProvisioned + ": data has no tenant_id")
	}
	return data, nil
}

// FailedFrom reads the data of a tenant.provisioning_failed event.
func FailedFrom(e event.Event) (ProvisioningFailed, error) {
	var data ProvisioningFailed
	if err := dataFrom(e, TypeProvisioningFailed, &data); err != nil {
		return ProvisioningFailed{}, err
	}
	if data.Cause.Code == "" {
		return ProvisioningFailed{}, errors.New(TypeProvisioningFailed + ": data has no cause.code")
	}
	return data, nil
}

func (o Outcome) event(eventType, tenant string, data any) (event.Event, error) {
	if o.Time.IsZero() {
		return event.Event{}, fmt.Errorf("make %s: Outcome.Time is not set", eventType)
	}
	if n := max(len(o.Source), len(o.ID)); n > maxText {
		return event.Event{}, fmt.Errorf("make %s: Source or ID has %d bytes; %d are allowed", eventType, n, maxText)
	}
	e, err := newEvent(map[string]any{
		"id": o.ID, "source": o.Source, "type": eventType,
		"subject":       cut(legal(tenant), maxText),
		"correlationid": cut(legal(o.CorrelationID), maxText),
		"causationid":   cut(legal(o.CausationID), maxText),
		// Half a trace context is none.
		"traceparent": short(legal(o.TraceParent)),
		"tracestate":  short(legal(o.TraceState)),
	}, o.Time, data)
	if err != nil {
		return event.Event{}, fmt.Errorf("make %s: %w", eventType, err)
	}
	return e, nil
}

// legal returns s, or "" if it cannot be an attribute's value.
func legal(s string) string {
	if checkText(s) != nil || strings.TrimSpace(s) == "" {
		return ""
	}
	return s
}

func short(s string) string {
	if len(s) > maxText {
		return ""
	}
	return s
}

// bounded is the request with source and id cut, and without its key.
func bounded(r Request) Request {
	return Request{Source: cut(r.Source, maxText), ID: cut(r.ID, maxText)}
}

// keyed is the request with source and id cut, and the key of the whole ones: two long ids with the same beginning
// are cut to the same text.
func keyed(r Request) Request {
	key := RequestKey(r.Source, r.ID)
	r = bounded(r)
	r.Key = key
	return r
}

// extensionText is an extension as text; publishers may send a correlationid that is a number.
func extensionText(e event.Event, name string) string {
	s, err := types.Format(e.Extensions()[name])
	if err != nil {
		return ""
	}
	return s
}

// nonNil makes a list that is written as [] where there is nothing.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
