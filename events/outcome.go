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

// DefaultSource is the source of outcomes unless the operator sets EVENT_SOURCE.
const DefaultSource = "/tenant-provisioner"

// Outcome has the context attributes of an outcome event. ID, Source and Time are required. An optional field is
// omitted if it is empty or not legal in a CloudEvent. The trace fields are omitted as W3C Trace Context says: both if
// TraceParent is invalid, and TraceState if it is invalid; also those longer than 1 KiB.
type Outcome struct {
	ID            string    // from [OutcomeID], with the type of the event to make, or [UndecodableOutcomeID]
	Source        string    // a URI reference, e.g. [DefaultSource]
	Time          time.Time // written in UTC
	CorrelationID string
	CausationID   string
	TraceParent   string
	TraceState    string
}

// OutcomeFor returns the attributes that an outcome repeats from its request: correlationid (or else the id) as
// correlationid, the id as causationid, and the trace context. The caller sets ID, Source and Time. A message that
// could not be decoded has nothing to repeat: use an empty Outcome.
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

// NewProvisioned makes a tenant.provisioned event. data.Request must have the whole source and id: NewProvisioned
// computes the key from them and cuts them to 1 KiB. The error names an attribute of o that [Decode] would reject.
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

// NewProvisioningFailed makes a tenant.provisioning_failed event. data.Request must have the whole source and id:
// NewProvisioningFailed computes the key from them. It cuts texts in data to 1 KiB and LeftBehind to its first entries,
// so that the event stays below 64 KiB whatever the request contained. The error names an attribute of o that [Decode]
// would reject.
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
	parent, state := traceContext(o.TraceParent, o.TraceState)
	e, err := newEvent(map[string]any{
		"id": o.ID, "source": o.Source, "type": eventType,
		"subject":       cut(legal(tenant), maxText),
		"correlationid": cut(legal(o.CorrelationID), maxText),
		"causationid":   cut(legal(o.CausationID), maxText),
		"traceparent":   parent,
		"tracestate":    state,
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

// bounded returns the request with source and id cut, and without its key.
func bounded(r Request) Request {
	return Request{Source: cut(r.Source, maxText), ID: cut(r.ID, maxText)}
}

// keyed returns the request with source and id cut, and the key of the whole ones: two long ids with the same beginning
// are cut to the same text.
func keyed(r Request) Request {
	key := RequestKey(r.Source, r.ID)
	r = bounded(r)
	r.Key = key
	return r
}

// extensionText is an extension as text. A publisher may send a correlationid that is a number.
func extensionText(e event.Event, name string) string {
	s, err := types.Format(e.Extensions()[name])
	if err != nil {
		return ""
	}
	return s
}

// nonNil makes an empty list encode as [], not null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
