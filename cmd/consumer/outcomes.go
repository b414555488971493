package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

// outcomes reads the stream of outcomes, in order, without acknowledging.
type outcomes struct {
	reader *handler.Reader
	log    *slog.Logger
}

// openOutcomes reads new outcomes, with all after those that the stream already holds.
func openOutcomes(ctx context.Context, js jetstream.JetStream, all bool, log *slog.Logger) (*outcomes, error) {
	// Without a timeout the client retries for ever, even without permission.
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	reader, err := handler.OpenReader(ctx, js, events.StreamEvents, handler.ReadFrom{Start: all})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s does not exist; run the service once to create it", events.StreamEvents)
	}
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", events.StreamEvents, handler.ExplainAPIPermission(js, err))
	}
	return &outcomes{reader, log}, nil
}

// next waits for the next outcome, or until ctx ends. It logs and skips messages that are not events: they must not
// hide the outcomes after them.
func (o *outcomes) next(ctx context.Context) (event.Event, error) {
	for {
		msg, err := o.reader.Next(ctx)
		if err != nil {
			return event.Event{}, err
		}
		e, err := events.Decode(msg.Header, msg.Data)
		if err != nil {
			o.log.WarnContext(ctx, "a message in stream "+events.StreamEvents+" is not an outcome", "error", err)
			continue
		}
		return e, nil
	}
}

// follow passes outcomes to receive, in the background, until stop is called. The error that ends it is sent to failed:
// that the stream does not exist any more, or the end of ctx.
func (o *outcomes) follow(ctx context.Context, receive func(event.Event)) (failed <-chan error, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	end, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			e, err := o.next(ctx)
			if err != nil {
				end <- err
				return
			}
			receive(e)
		}
	}()
	return end, func() { cancel(); <-ended }
}

func (o *outcomes) close(ctx context.Context) { o.reader.Close(ctx) }

// outcomeIDs returns the possible ids of a request's outcome: one for success, one for failure.
func outcomeIDs(source, id string, replay int) map[string]bool {
	return map[string]bool{
		events.OutcomeID(source, id, replay, events.TypeProvisioned):        true,
		events.OutcomeID(source, id, replay, events.TypeProvisioningFailed): true,
	}
}
