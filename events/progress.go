package events

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// TypeProgress is the type of events that tell how a request gets on. They travel on core NATS, on
// [ProgressSubject], and are lossy by design: nobody stores them, nobody waits for them, and what counts is the
// outcome.
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

// Progress is the data of a tenant.progress event: what a step of an attempt has come to. An attempt begins with
// step 0 and stops at the first step that fails; the next attempt, or replay, begins with step 0 again.
type Progress struct {
	TenantID   string  `json:"tenant_id"`
	Request    Request `json:"request"`
	Attempt    int     `json:"attempt"`
	Replay     int     `json:"replay"`
	Step       Step    `json:"step"`
	State      string  `json:"state"`                 // StepStarted, StepDone or StepFailed
	DurationMS float64 `json:"duration_ms,omitempty"` // of the step, in milliseconds, once it has ended
}

// ProgressSubject is the subject on which the progress of requests for a tenant is told. The id must be valid.
func ProgressSubject(tenantID string) string { return SubjectProgressPrefix + tenantID }

// ProgressID is the id of the event that tells this of the request with that source and id: a UUIDv5, as
// [OutcomeID] is. Who waits for a request compares it with the event's: in the data, source and id may be cut.
func ProgressID(source, id string, data Progress) string {
	what := fmt.Sprintf("%s/%d/%d/%s", TypeProgress, data.Attempt, data.Step.Number, data.State)
	return OutcomeID(source, id, data.Replay, what)
}

// NewProgress makes a tenant.progress event. Texts in data are cut to 1 KiB.
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

// EncodeProgress is [Encode] of [NewProgress], to the byte, for who tells a dozen for each tenant: a tenth of the time.
// The errors are theirs.
func EncodeProgress(source string, at time.Time, data Progress) (header map[string][]string, body []byte, err error) {
	whole := progressEvent{
		SpecVersion: event.CloudEventsVersionV1, ID: ProgressID(data.Request.Source, data.Request.ID, data),
		Source: source, Type: TypeProgress, Subject: data.TenantID, Time: types.FormatTime(at),
		ContentType: jsonContentType, CausationID: cut(legal(data.Request.ID), maxText), Data: data,
	}
	whole.Data.Request = bounded(data.Request)
	// Anything but the usual is left to what judges any event.
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

// printable reports whether a text is of ASCII's visible characters, and not empty.
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
