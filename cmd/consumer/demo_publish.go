package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/terminal"
)

// demoPublisher publishes messages one after the other and shows the outcome of each.
type demoPublisher struct {
	*app
	js     jetstream.JetStream
	stream *outcomes
	seen   map[string]event.Event // outcomes received, by id
	asJSON bool
}

func (s *demoPublisher) publishAll(ctx context.Context, messages []message) error {
	for i, m := range messages {
		if !s.asJSON {
			if _, err := fmt.Fprintf(s.Out, "%d. %s\n", i+1, m.title); err != nil {
				return err
			}
		}
		if err := s.publishOne(ctx, m.msg); err != nil {
			return fmt.Errorf("%s: %w", m.title, err)
		}
	}
	return s.summary(ctx, len(messages))
}

// publishOne publishes a message, waits until it is settled, and shows its outcome.
func (s *demoPublisher) publishOne(ctx context.Context, msg *nats.Msg) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, demoTimeout, fmt.Errorf("no outcome within %s", demoTimeout))
	defer cancel()
	defer func() { // the timeout may pass in any of the calls
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	ack, err := s.js.PublishMsg(ctx, msg)
	if err != nil {
		return err
	}
	if err := s.awaitSettled(ctx, ack.Sequence); err != nil {
		return err
	}
	ids, err := s.idsOf(ctx, msg, ack.Sequence)
	if err != nil {
		return err
	}
	for id := range maps.Keys(ids) {
		if e, ok := s.seen[id]; ok {
			return s.show(e, true)
		}
	}
	for {
		e, err := s.stream.next(ctx)
		if err != nil {
			return err
		}
		s.seen[e.ID()] = e
		if ids[e.ID()] {
			return s.show(e, false)
		}
	}
}

// idsOf returns the possible ids of the outcome of a message, which the stream of requests has at that sequence.
func (s *demoPublisher) idsOf(ctx context.Context, msg *nats.Msg, sequence uint64) (map[string]bool, error) {
	if e, err := events.Decode(msg.Header, msg.Data); err == nil {
		return outcomeIDs(e.Source(), e.ID(), 0), nil
	}
	stored, err := handler.GetMessage(ctx, s.js, events.StreamRequests, handler.StoredMessage{Sequence: sequence})
	if err != nil {
		return nil, err
	}
	key := events.UndecodableKey(events.StreamRequests, sequence, stored.Time, stored.Data)
	return map[string]bool{events.UndecodableOutcomeID(key, 0): true}, nil
}

// awaitSettled waits until the service has acknowledged everything up to the sequence.
func (s *demoPublisher) awaitSettled(ctx context.Context, sequence uint64) error {
	const poll = 10 * time.Millisecond
	for {
		consumer, err := s.js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
		if err != nil {
			return err
		}
		if consumer.CachedInfo().AckFloor.Stream >= sequence {
			return nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *demoPublisher) show(e event.Event, repeated bool) error {
	if repeated && !s.asJSON {
		p := s.Palette(s.Out)
		_, err := fmt.Fprintf(s.Out, "%s the outcome it had before\n    %s\n", p.Mark(terminal.MarkOK),
			p.Dim.Sprintf("outcome id: %s", e.ID()))
		return err
	}
	return s.app.show(e, s.asJSON)
}

// summary checks the number of outcomes in the stream, and prints it.
func (s *demoPublisher) summary(ctx context.Context, published int) error {
	stream, err := s.js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return err
	}
	if info.State.Msgs != uint64(len(s.seen)) {
		return fmt.Errorf("the stream holds %d outcomes with %d ids", info.State.Msgs, len(s.seen))
	}
	if s.asJSON {
		return nil
	}
	_, err = fmt.Fprintf(s.Out, "\nMessages published: %d, every one has its outcome. "+
		"Outcomes in the stream: %d, no id twice.\n",
		published, info.State.Msgs)
	return err
}
