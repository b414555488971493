package events

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// TypeProgress is the type of progress events. They are published on core NATS, on [ProgressSubject], and are lossy by
// design: they are not stored, nothing waits for them, and only the outcome counts.
const (
	TypeProgress          = "tenant.progress"
	SubjectProgressPrefix = "tenant.progress."
)

// States of a step.
const (
	StepStarted = "started"
	StepDone    = "done"
	StepFailed  = "failed"
)

// Progress is the data of a tenant.progress event: the state of one step of an attempt. An attempt begins with step 0
// and stops at the first step that fails. The next attempt, or replay, begins with step 0 again.
type Progress struct {
	TenantID   string  `json:"tenant_id"`
	Request    Request `json:"request"`
	Attempt    int     `json:"attempt"`
	Replay     int     `json:"replay"`
	Step       Step    `json:"step"`
	State      string  `json:"state"`                 // StepStarted, StepDone or StepFailed
	DurationMS float64 `json:"duration_ms,omitempty"` // of the step, in milliseconds, once it has ended
}

// ProgressSubject is the subject of progress events of a tenant's requests. The id must be valid.
func ProgressSubject(tenantID string) string { return SubjectProgressPrefix + tenantID }

// ProgressID is the id of the progress event with this data, of the request with this source and id. It is a UUIDv5,
// like [OutcomeID]. Compare it with an event's id to find the events of your request: source and id in the data may be
// cut.
func ProgressID(source, id string, data Progress) string {
	what := fmt.Sprintf("%s/%d/%d/%s", TypeProgress, data.Attempt, data.Step.Number, data.State)
	return OutcomeID(source, id, data.Replay, what)
}

// NewProgress makes a tenant.progress event. Source and id of the request in data are cut to 1 KiB.
func NewProgress(source string, at time.Time, data Progress) (event.Event, error) {
	attributes := map[string]any{
		"id":     ProgressID(data.Request.Source, data.Request.ID, data),
		"source": source, "type": TypeProgress, "subject": data.TenantID,
		"causationid": cut(legal(data.Request.ID), maxText),
	}
	data.Request = bounded(data.Request)
	e, err := newEvent(attributes, at, data)
	if err != nil {
		return event.Event{}, fmt.Errorf("make %s: %w", TypeProgress, err)
	}
	return e, nil
}

// EncodeProgress returns the same bytes and errors as [NewProgress] followed by [Encode], in a tenth of the time: the
// service publishes a dozen progress events for each tenant.
func EncodeProgress(source string, at time.Time, data Progress) (header map[string][]string, body []byte, err error) {
	whole := progressEvent{
		SpecVersion: event.CloudEventsVersionV1, ID: ProgressID(data.Request.Source, data.Request.ID, data),
		Source: source, Type: TypeProgress, Subject: data.TenantID, Time: types.FormatTime(at),
		ContentType: jsonContentType, CausationID: cut(legal(data.Request.ID), maxText), Data: data,
	}
	whole.Data.Request = bounded(data.Request)
	// Unusual values take the path that applies all rules.
	_, err = verbatimURL(source)
	if err != nil || !printable(source) || !printable(data.TenantID) || at.UTC().Year() < 0 || at.UTC().Year() > 9999 {
		return encodeEvent(NewProgress(source, at, data))
	}
	if body, err = marshal(whole); err != nil {
		return nil, nil, fmt.Errorf("make %s: %w", TypeProgress, err)
	}
	return map[string][]string{headerContentType: {ContentType}}, body, nil
}

// progressEvent has the attributes in the order of [Encode].
type progressEvent struct {
	SpecVersion string   `json:"specversion"`
	ID          string   `json:"id"`
	Source      string   `json:"source"`
	Type        string   `json:"type"`
	Subject     string   `json:"subject,omitempty"`
	Time        string   `json:"time"`
	ContentType string   `json:"datacontenttype"`
	CausationID string   `json:"causationid,omitempty"`
	Data        Progress `json:"data"`
}

// printable reports whether a text is not empty and has only visible ASCII characters.
func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}

func encodeEvent(e event.Event, err error) (header map[string][]string, body []byte, _ error) {
	if err != nil {
		return nil, nil, err
	}
	return Encode(e)
}

// ProgressFrom reads the data of a tenant.progress event.
func ProgressFrom(e event.Event) (Progress, error) {
	var data Progress
	if err := dataFrom(e, TypeProgress, &data); err != nil {
		return Progress{}, err
	}
	if data.State == "" {
		return Progress{}, errors.New(TypeProgress + ": data has no state")
	}
	return data, nil
}
