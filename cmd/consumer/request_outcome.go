package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// requestOutcome waits for the outcome of a request that is published after it was opened.
//
// It subscribes to the subjects of outcomes, because a request that was decided before has its outcome published again
// under the same id, and the stream drops that as a duplicate. It also reads what the stream stores from now on: a
// subscription misses what is published while the connection is lost, and a user may lack the permission for it.
type requestOutcome struct {
	source, id string
	stream     *outcomes
	subjects   []*nats.Subscription
	found      chan event.Event
}

func openRequestOutcome(
	ctx context.Context, js jetstream.JetStream, source, id string, log *slog.Logger,
) (*requestOutcome, error) {
	stream, err := openOutcomes(ctx, js, false, log)
	if err != nil {
		return nil, err
	}
	o := &requestOutcome{source: source, id: id, stream: stream, found: make(chan event.Event, 1)}
	for _, subject := range []string{events.TypeProvisioned, events.TypeProvisioningFailed} {
		sub, err := js.Conn().Subscribe(subject, func(msg *nats.Msg) {
			if e, err := events.Decode(msg.Header, msg.Data); err == nil {
				o.receive(e)
			}
		})
		if err != nil {
			o.close(ctx)
			return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		o.subjects = append(o.subjects, sub)
	}
	return o, nil
}

// receive keeps the first event that is an outcome of the request, of any replay.
func (o *requestOutcome) receive(e event.Event) {
	_, replay := describeOutcome(e)
	if e.ID() != events.OutcomeID(o.source, o.id, replay, e.Type()) {
		return
	}
	select {
	case o.found <- e:
	default:
	}
}

// describeOutcome returns the tenant and the replay that an outcome names.
func describeOutcome(e event.Event) (tenant string, replay int) {
	if data, err := events.ProvisionedFrom(e); err == nil {
		return data.TenantID, data.Replay
	}
	if data, err := events.FailedFrom(e); err == nil {
		return data.TenantID, data.Replay
	}
	return "", 0
}

// next waits for the outcome, or until ctx ends.
func (o *requestOutcome) next(ctx context.Context) (event.Event, error) {
	ctx, cancel := context.WithCancel(ctx)
	failed, ended := make(chan error, 1), make(chan struct{})
	defer func() { cancel(); <-ended }()
	go func() {
		defer close(ended)
		for {
			e, err := o.stream.next(ctx)
			if err != nil {
				failed <- err
				return
			}
			o.receive(e)
		}
	}()
	select {
	case e := <-o.found:
		return e, nil
	case err := <-failed:
		return event.Event{}, err
	}
}

func (o *requestOutcome) close(ctx context.Context) {
	for _, sub := range o.subjects {
		sub.Unsubscribe() //nolint:errcheck // the connection closes with the command
	}
	o.stream.close(ctx)
}

// awaitOutcome waits for the outcome of the request as long as the flags say.
func awaitOutcome(ctx context.Context, o *requestOutcome, f requestFlags) (event.Event, error) {
	waiting, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	outcome, err := o.next(waiting)
	again := fmt.Sprintf("the request is in the stream and will be decided: repeat the command with --source %s --id %s",
		f.source, f.id)
	switch {
	case err == nil:
		return outcome, nil
	case ctx.Err() != nil:
		return outcome, fmt.Errorf("interrupted; %s", again)
	case errors.Is(err, context.DeadlineExceeded):
		return outcome, fmt.Errorf("no outcome within %s; %s", f.wait, again)
	}
	return outcome, fmt.Errorf("%w; %s", err, again)
}

// checkIdentity fails if the outcome is that of an earlier request of the same source and id, for another tenant.
func checkIdentity(tenant string, f requestFlags, outcome event.Event) error {
	of, _ := describeOutcome(outcome)
	isValid := func(id string) bool { return events.ValidateTenantID(id) == nil }
	if of == tenant || !isValid(of) && !isValid(tenant) { // an invalid id may be cut in the outcome
		return nil
	}
	return fmt.Errorf("source %s and id %s identify an earlier request, for tenant %s, whose outcome this is. Tenant %s "+
		"was not requested; repeat the command with another --id", f.source, f.id, events.Quote(of), events.Quote(tenant))
}
