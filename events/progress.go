package events

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
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

// EncodeProgress encodes a tenant.progress event in structured mode. Source and id of the request in data are cut to 1
// KiB. The error names what is not allowed.
func EncodeProgress(source string, at time.Time, data Progress) (header map[string][]string, body []byte, err error) {
	if err := ValidateTenantID(data.TenantID); err != nil {
		return nil, nil, fmt.Errorf("make %s: %w", TypeProgress, err)
	}
	id, causation := ProgressID(data.Request.Source, data.Request.ID, data), cut(legal(data.Request.ID), maxText)
	data.Request = bounded(data.Request)
	e, err := newEvent(map[string]any{
		"id": id, "source": source, "type": TypeProgress, "subject": data.TenantID, "causationid": causation,
	}, at, data)
	if err != nil {
		return nil, nil, fmt.Errorf("make %s: %w", TypeProgress, err)
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
