package events

import (
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
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

// Progress is the data of a tenant.progress event: what a step of an attempt has come to.
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

// NewProgress makes a tenant.progress event. Its id is a function of what it tells.
func NewProgress(source string, at time.Time, data Progress) (event.Event, error) {
	what := fmt.Sprintf("%s/%d/%d/%s", TypeProgress, data.Attempt, data.Step.Number, data.State)
	e, err := newEvent(map[string]any{
		"id":     OutcomeID(data.Request.Source, data.Request.ID, data.Replay, what),
		"source": source, "type": TypeProgress, "subject": data.TenantID,
		"causationid": cut(legal(data.Request.ID), maxText),
	}, at, data)
	if err != nil {
		return event.Event{}, fmt.Errorf("make %s: %w", TypeProgress, err)
	}
	return e, nil
}

// ProgressFrom reads the data of a tenant.progress event.
func ProgressFrom(e event.Event) (data Progress, err error) {
	err = dataFrom(e, TypeProgress, &data)
	return data, err
}
