package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/crash"
)

// provisioned makes the outcome of a tenant that is about to be registered. It is recorded in the commit that registers
// the tenant, so its last duration ends when that commit is sent.
func (a *Attempt) provisioned(t Tenant) (Outcome, error) {
	e := a.request.Event
	data := events.Provisioned{
		TenantID: t.ID, DisplayName: t.DisplayName, IsolationStrategy: t.IsolationStrategy,
		SchemaName: t.Boundary.SchemaName, DatabasePath: t.Boundary.DatabasePath,
		CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy, Plan: t.Plan.Name, PlanLimits: t.Plan.Limits,
		Request:  events.Request{Source: e.Source(), ID: e.ID()},
		Attempts: a.claim.Attempt, Replay: a.claim.Replay, Prepared: t.Boundary.Prepared,
		Definition: t.Definition, Tables: a.tables, Indexes: a.indexes,
		Scripts: t.Scripts, Seeded: a.seeded,
		Warnings: a.warnings, Steps: append(a.timings, a.timing(a.p.Now().Sub(a.stepStarted))),
		DurationMS: milliseconds(a.p.Now().Sub(a.started)),
	}
	o, err := encode(events.NewProvisioned(a.envelope(events.TypeProvisioned), data))
	o.KnownAt = a.p.Now()
	return o, err
}

// failure returns the failure of this request at the step with this number.
func (j *Job) failure(number int, fault *Fault, leftBehind []string) (Failure, error) {
	if name := causes[fault.Code].step; name != "" {
		number = slices.IndexFunc(j.p.Steps, func(s Step) bool { return s.Name == name })
	}
	e := j.request.Event
	cause := events.Cause{Code: fault.Code, Message: fault.Message}
	if fault.Err != nil {
		cause.Detail = fault.Detail()
	}
	data := events.ProvisioningFailed{
		TenantID: j.data.TenantID,
		Request:  &events.Request{Source: e.Source(), ID: e.ID()},
		Step:     j.eventStep(number), Cause: cause, Replayable: causes[fault.Code].replayable,
		// A claim above the limit is not an attempt: it only shows that none is left.
		Attempts: min(j.claim.Attempt, j.p.Limit.Attempts), Replay: j.claim.Replay,
		DeadLetter: deadLetter(j.claim.Key), LeftBehind: leftBehind,
	}
	outcome, err := encode(events.NewProvisioningFailed(j.envelope(events.TypeProvisioningFailed), data))
	return Failure{Step: data.Step.Name, Cause: cause, Outcome: outcome}, err
}

// envelope holds the context attributes of this request's outcome.
func (j *Job) envelope(eventType string) events.Outcome {
	e := j.request.Event
	envelope := events.OutcomeFor(e)
	envelope.ID = events.OutcomeID(e.Source(), e.ID(), j.claim.Replay, eventType)
	envelope.Source, envelope.Time = j.p.Source, j.p.Now()
	if j.trace != nil {
		envelope.TraceParent, envelope.TraceState = j.trace[traceParent], j.trace[traceState]
	}
	return envelope
}

// Message is a stored message that is not a CloudEvent.
type Message struct {
	Stream   string
	Sequence uint64
	Replay   int
	Time     time.Time // when it was stored
	Body     []byte
	Trips    int // how often an outage has already interrupted it
	// Earlier: an earlier version has published the message's dead letter, and perhaps its outcome. It made keys and ids
	// of stream and sequence.
	Earlier bool
}

// Undecodable records the failure of a message that could not be decoded. It returns the message's key in the ledger
// and the decision on the named delivery. The outcome is a pure function of the stored message: every delivery, on any
// replica, makes the same event.
func (p *Provisioner) Undecodable(ctx context.Context, m Message, delivery string, why error) (key string, _ Decision) {
	m.Replay = FirstReplay(m.Replay)
	key = events.UndecodableKey(m.Stream, m.Sequence, m.Time, m.Body)
	id, letter := events.UndecodableOutcomeID(key, m.Replay), key
	if m.Earlier {
		sequence := strconv.FormatUint(m.Sequence, 10)
		id = events.OutcomeID(m.Stream, sequence, m.Replay, events.TypeProvisioningFailed)
		letter = events.RequestKey(m.Stream, sequence)
	}
	envelope := events.Outcome{ID: id, Source: p.Source, Time: m.Time}
	cause := events.Cause{Code: events.CauseUndecodableEvent, Message: why.Error()}
	outcome, err := encode(events.NewProvisioningFailed(envelope, events.ProvisioningFailed{
		Step: events.Step{Name: validateRequestName}, Cause: cause,
		Attempts: 1, Replay: m.Replay, DeadLetter: deadLetter(letter),
	}))
	if err == nil {
		outcome, err = p.Database.Reject(ctx, Rejection{
			Key: key, Message: m, DeliveryID: delivery,
			Failure: Failure{Step: validateRequestName, Cause: cause, Outcome: outcome},
		})
	}
	if err == nil {
		crash.Point("failure recorded", "")
		if outcome.DeliveryID == delivery { // not recorded before
			p.Observer.Recorded(outcome.Type, cause.Code)
		}
		facts := Facts{Ledger: Failed}
		return key, Decision{Verdict: Settle(facts), Facts: facts, Outcome: outcome}
	}
	return key, p.unrecorded(ctx, m, err)
}

// unrecorded is the decision if the failure of an undecodable message could not be recorded.
func (p *Provisioner) unrecorded(ctx context.Context, m Message, err error) Decision {
	fault, err := p.judge(ctx, err, m.Trips)
	facts := Facts{Ledger: Unread, Result: resultOf(fault)}
	select {
	case <-p.draining:
		facts.Phase = Draining
	default:
	}
	if ctx.Err() != nil {
		facts.Phase, err = Stopping, context.Cause(ctx)
	}
	return Decision{Verdict: Settle(facts), Facts: facts, Err: fmt.Errorf("record the failure: %w", err)}
}

// encode encodes the outcome that the events package has made, or returns its error.
func encode(e event.Event, err error) (Outcome, error) {
	if err != nil {
		return Outcome{}, fmt.Errorf("make the outcome: %w", err)
	}
	_, body, err := events.Encode(e)
	if err != nil {
		return Outcome{}, fmt.Errorf("encode the outcome: %w", err)
	}
	return Outcome{ID: e.ID(), Type: e.Type(), Body: body}, nil
}

func deadLetter(key string) events.DeadLetter {
	return events.DeadLetter{Stream: events.StreamDeadLetters, Subject: events.DeadLetterSubject(key)}
}
