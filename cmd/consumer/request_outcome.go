package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// requestOutcome waits for the outcome of a request that is published after it was opened.
type requestOutcome struct {
	source, id string
	published  *publishedOutcomes
	found      chan event.Event
}

func openRequestOutcome(
	ctx context.Context, js jetstream.JetStream, source, id string, log *slog.Logger,
) (_ *requestOutcome, err error) {
	o := &requestOutcome{source: source, id: id, found: make(chan event.Event, 1)}
	o.published, err = openPublishedOutcomes(ctx, js, log, o.receive)
	return o, err
}

// receive keeps the first event that is an outcome of the request, of any replay.
func (o *requestOutcome) receive(e event.Event) {
	replay := describeOutcome(e).replay
	if e.ID() != events.OutcomeID(o.source, o.id, replay, e.Type()) {
		return
	}
	select {
	case o.found <- e:
	default:
	}
}

// next waits for the outcome, or until ctx ends.
func (o *requestOutcome) next(ctx context.Context) (event.Event, error) {
	failed, stop := o.published.follow(ctx)
	defer stop()
	select {
	case e := <-o.found:
		return e, nil
	case err := <-failed:
		return event.Event{}, err
	}
}

func (o *requestOutcome) close(ctx context.Context) { o.published.close(ctx) }

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
	of := describeOutcome(outcome).tenant
	isValid := func(id string) bool { return events.ValidateTenantID(id) == nil }
	if of == tenant || !isValid(of) && !isValid(tenant) { // an invalid id may be cut in the outcome
		return nil
	}
	return fmt.Errorf("source %s and id %s identify an earlier request, for tenant %s, whose outcome this is. Tenant %s "+
		"was not requested; repeat the command with another --id", f.source, f.id, events.Quote(of), events.Quote(tenant))
}
