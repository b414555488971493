package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// outcomes reads the stream of outcomes, in order, without leaving anything on the server.
type outcomes struct{ messages jetstream.MessagesContext }

// openOutcomes reads from now on, or all that the stream holds first.
func openOutcomes(ctx context.Context, js jetstream.JetStream, all bool) (*outcomes, error) {
	policy := jetstream.DeliverNewPolicy
	if all {
		policy = jetstream.DeliverAllPolicy
	}
	consumer, err := js.OrderedConsumer(ctx, events.StreamEvents, jetstream.OrderedConsumerConfig{DeliverPolicy: policy})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s is not there: run the service once, which creates it", events.StreamEvents)
	}
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", events.StreamEvents, err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", events.StreamEvents, err)
	}
	return &outcomes{messages}, nil
}

// next waits for the next outcome, or until ctx ends.
func (o *outcomes) next(ctx context.Context) (event.Event, error) {
	for {
		msg, err := o.messages.Next(jetstream.NextContext(ctx))
		if errors.Is(err, jetstream.ErrNoHeartbeat) { // the server is away; the consumer sees to it
			continue
		}
		if err != nil {
			return event.Event{}, err
		}
		return events.Decode(msg.Headers(), msg.Data())
	}
}

// of waits for the outcome of a request, whichever of the two it is.
func (o *outcomes) of(ctx context.Context, ids map[string]bool) (event.Event, error) {
	for {
		e, err := o.next(ctx)
		if err != nil || ids[e.ID()] {
			return e, err
		}
	}
}

func (o *outcomes) close() { o.messages.Stop() }

// outcomeIDs are the ids that the outcome of a request can have.
func outcomeIDs(source, id string, replay int) map[string]bool {
	return map[string]bool{
		events.OutcomeID(source, id, replay, events.TypeProvisioned):        true,
		events.OutcomeID(source, id, replay, events.TypeProvisioningFailed): true,
	}
}
