// Package eventstest has what tests of publishers and subscribers need: the streams, outcomes as the service makes
// them, and a service that answers requests without a database. The tests bring their own NATS server; this package
// starts none.
//
//	js := … // a JetStream handle on the test's server
//	eventstest.CreateStreams(t, js)
//	eventstest.Serve(t, js, nil) // every request succeeds
package eventstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// CreateStreams creates the streams of requests and outcomes, if they do not exist, in memory.
func CreateStreams(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	for name, subjects := range map[string][]string{
		events.StreamRequests: {events.TypeRequested},
		events.StreamEvents:   {events.TypeProvisioned, events.TypeProvisioningFailed},
	} {
		_, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{
			Name: name, Subjects: subjects, Storage: jetstream.MemoryStorage, Duplicates: 2 * time.Minute,
		})
		must(t, err)
	}
}

// Provisioned is the outcome of a request that succeeded, as the service makes it with PostgreSQL: with the same id and
// key. change, which may be nil, changes its data before.
func Provisioned(t testing.TB, request event.Event, change func(*events.Provisioned)) event.Event {
	t.Helper()
	r, err := events.RequestedFrom(request)
	must(t, err)
	data := events.Provisioned{
		TenantID: r.TenantID, DisplayName: r.DisplayName, CreatedBy: r.CreatedBy, CreatedAt: time.Now(),
		IsolationStrategy: events.IsolationSchema, SchemaName: "tenant_" + r.TenantID, Plan: r.Plan,
		Request:  events.Request{Source: request.Source(), ID: request.ID()},
		Attempts: 1, Tables: 11, Indexes: 18, DurationMS: 12.5,
	}
	if change != nil {
		change(&data)
	}
	e, err := events.NewProvisioned(attributes(request, data.Replay, events.TypeProvisioned), data)
	must(t, err)
	return e
}

// Failed is the outcome of a request that failed for this cause at step 0, as the service makes it. change, which may
// be nil, changes its data before.
func Failed(
	t testing.TB, request event.Event, cause events.CauseCode, change func(*events.ProvisioningFailed),
) event.Event {
	t.Helper()
	r, _ := events.RequestedFrom(request) // what could be read; the request may be the fault
	data := events.ProvisioningFailed{
		TenantID: r.TenantID, Request: &events.Request{Source: request.Source(), ID: request.ID()},
		Step:  events.Step{Number: 0, Name: "validate_request"},
		Cause: events.Cause{Code: cause, Message: "as the test wants it"}, Attempts: 1,
		DeadLetter: events.DeadLetter{
			Stream:  events.StreamDeadLetters,
			Subject: events.DeadLetterSubject(events.RequestKey(request.Source(), request.ID())),
		},
	}
	if change != nil {
		change(&data)
	}
	e, err := events.NewProvisioningFailed(attributes(request, data.Replay, events.TypeProvisioningFailed), data)
	must(t, err)
	return e
}

func attributes(request event.Event, replay int, eventType string) events.Outcome {
	o := events.OutcomeFor(request)
	o.ID = events.OutcomeID(request.Source(), request.ID(), replay, eventType)
	o.Source, o.Time = events.DefaultSource, time.Now()
	return o
}

// Publish publishes an outcome as the service does, and waits until the stream has it. The stream drops one that it has
// already.
func Publish(t testing.TB, js jetstream.JetStream, outcome event.Event) {
	t.Helper()
	must(t, publish(t.Context(), js, outcome))
}

func publish(ctx context.Context, js jetstream.JetStream, outcome event.Event) error {
	header, body, err := events.Encode(outcome)
	if err != nil {
		return err
	}
	_, err = js.PublishMsg(ctx, &nats.Msg{Subject: outcome.Type(), Header: header, Data: body},
		jetstream.WithMsgID(outcome.ID()))
	return err
}

// Serve answers every request of the stream, old and new, with the outcome that decide returns, until the test ends.
// It stands for the service: one outcome for each request, and the same one again for its repeats. With nil, every
// request succeeds that [events.Requested.Validate] accepts. A message that is not an event is passed over.
func Serve(t testing.TB, js jetstream.JetStream, decide func(request event.Event) event.Event) {
	t.Helper()
	if decide == nil {
		decide = func(request event.Event) event.Event { return validate(t, request) }
	}
	consumer, err := js.CreateConsumer(t.Context(), events.StreamRequests, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckExplicitPolicy,
	})
	must(t, err)
	decided := map[string]event.Event{}
	running, err := consumer.Consume(func(msg jetstream.Msg) {
		if request, err := events.Decode(msg.Headers(), msg.Data()); err == nil {
			key := events.RequestKey(request.Source(), request.ID())
			outcome, again := decided[key]
			if !again {
				outcome = decide(request)
				decided[key] = outcome
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := publish(ctx, js, outcome); err != nil && !js.Conn().IsClosed() {
				t.Errorf("publish an outcome: %v", err)
			}
		}
		msg.Ack() //nolint:errcheck // it is delivered again
	})
	must(t, err)
	t.Cleanup(func() {
		running.Stop()
		<-running.Closed()
	})
}

func validate(t testing.TB, request event.Event) event.Event {
	t.Helper()
	data, err := events.RequestedFrom(request)
	if err == nil {
		err = data.Validate()
	}
	var broken *events.RequestError
	if errors.As(err, &broken) {
		return Failed(t, request, broken.Code, nil)
	}
	return Provisioned(t, request, nil)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
