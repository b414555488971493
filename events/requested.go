package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

const jsonContentType = "application/json"

// NewRequested makes a tenant.requested event. Source (a URI reference) and id together identify the request:
// publishing it again with the same two has no further effect. The event's time is the current time; use SetTime for
// another.
//
// The error is a *[RequestError] if the data breaks a rule of [Requested.Validate]. Otherwise it names the attribute
// that [Decode] would reject.
func NewRequested(source, id string, data Requested) (event.Event, error) {
	if err := data.Validate(); err != nil {
		return event.Event{}, err
	}
	return newEvent(map[string]any{
		"id": id, "source": source, "type": TypeRequested, "subject": data.TenantID,
	}, time.Now(), data)
}

// RequestedFrom reads the data of a tenant.requested event. It checks the presence and types of fields, but not their
// content: see [Requested.Validate]. Names are case-sensitive; unknown fields are ignored.
//
// The error is a *[RequestError] with CauseInvalidRequest that names the field. The Requested then has the fields that
// could be read, so that the outcome can name the tenant. An error about the field "plan" is returned only if all
// others are right: a service without plans ignores the field, and with it the error.
func RequestedFrom(e event.Event) (Requested, error) {
	if !isJSON(e.DataContentType()) {
		return Requested{}, invalid("datacontenttype", "is %s; send %s", Quote(e.DataContentType()), jsonContentType)
	}
	if len(e.Data()) == 0 {
		return Requested{}, invalid("data", "is missing; send a JSON object with tenant_id, display_name, created_by")
	}
	fields, malformed := readObject(e.Data())

	var r Requested
	var first error
	for _, f := range []struct {
		name     string
		required bool
		value    *string
	}{
		{"tenant_id", true, &r.TenantID},
		{"display_name", true, &r.DisplayName},
		{"created_by", true, &r.CreatedBy},
		{"isolation_strategy", false, &r.IsolationStrategy},
	} {
		if err := readField(fields, f.name, f.required, f.value); err != nil && first == nil {
			first = err
		}
	}
	if malformed != nil {
		return r, invalid("data", "%s; publish the corrected data as a new request", malformed)
	}
	if first != nil {
		return r, first
	}
	// An invalid id gets its own cause from Validate, whatever the subject is.
	if s := e.Subject(); s != "" && s != r.TenantID && ValidateTenantID(r.TenantID) == nil {
		return r, invalid("subject", "is %s but tenant_id is %s; send the same, or no subject", Quote(s), Quote(r.TenantID))
	}
	return r, readField(fields, "plan", false, &r.Plan)
}

// readField reads a string. Null counts as absent: serialisers write it for a value that is not set.
func readField(fields map[string]json.RawMessage, name string, required bool, value *string) error {
	raw := fields[name]
	if raw == nil || string(raw) == "null" {
		if required {
			return invalid(name, "is missing; it is required and a string")
		}
		return nil
	}
	s, err := readString(raw)
	if err != nil {
		return invalid(name, "%s", err)
	}
	*value = s
	if s == "" && !required { // Validate checks a required one
		return invalid(name, "is empty; omit it or set a value")
	}
	return nil
}

// newEvent makes an event with JSON data. Attributes must satisfy the rules of [Decode]; empty strings are omitted.
func newEvent(attributes map[string]any, at time.Time, data any) (event.Event, error) {
	for name, value := range attributes {
		if value == "" {
			delete(attributes, name)
		}
	}
	attributes["specversion"] = event.CloudEventsVersionV1
	attributes["datacontenttype"] = jsonContentType
	attributes["time"] = types.FormatTime(at)
	e, err := fromAttributes(attributes)
	if err != nil {
		return event.Event{}, err
	}
	e.DataEncoded, err = marshal(data)
	return e, err
}

// dataFrom reads the data of an event of the given type, for subscribers. It ignores unknown fields, which a later
// version may add.
func dataFrom(e event.Event, eventType string, data any) error {
	if e.Type() != eventType {
		return fmt.Errorf("event type is %s, not %s", Quote(e.Type()), eventType)
	}
	if !isJSON(e.DataContentType()) {
		return fmt.Errorf("%s: datacontenttype %s is not JSON", eventType, Quote(e.DataContentType()))
	}
	if _, err := readObject(e.Data()); err != nil {
		return fmt.Errorf("%s: data %w", eventType, err)
	}
	if err := json.Unmarshal(withoutMark(e.Data()), data); err != nil {
		return fmt.Errorf("%s: data: %w", eventType, errors.New(cut(err.Error(), maxErrorText)))
	}
	return nil
}
