package handler

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// TopologyStatus is what JetStream holds of the topology.
type TopologyStatus struct {
	Streams  []StreamStatus // of requests, of outcomes, of dead letters
	Consumer ConsumerStatus
}

// StreamStatus is one stream.
type StreamStatus struct {
	Name string
	Info *jetstream.StreamInfo // nil: it could not be read
	// Err is [ErrMissing], what contradicts the contract (Info is set then), or why it could not be read.
	Err error
	// Asked is the moment that the time of Info is to be compared with, and Unsure by how much that may be wrong.
	Asked  time.Time
	Unsure time.Duration
}

// ConsumerStatus is the durable consumer.
type ConsumerStatus struct {
	Info *jetstream.ConsumerInfo // nil: it could not be read
	Err  error                   // as of a stream
}

// Status looks at all of the topology, and goes on where something cannot be looked at. It changes nothing.
// Each question is asked through ask, which gives it a limit in time.
func (t Topology) Status(
	ctx context.Context, js jetstream.JetStream, now func() time.Time,
	ask func(context.Context, func(context.Context) error) error,
) (s TopologyStatus) {
	for _, want := range t.streams() {
		found := StreamStatus{Name: want.Name}
		err := ask(ctx, func(ctx context.Context) error {
			before := now()
			stream, err := js.Stream(ctx, want.Name)
			if err != nil {
				return err
			}
			found.Info, found.Unsure = stream.CachedInfo(), now().Sub(before)/2
			found.Asked = before.Add(found.Unsure)
			return checkStream(found.Info.Config, want)
		})
		if found.Err = err; errors.Is(err, jetstream.ErrStreamNotFound) {
			found.Err = ErrMissing
		}
		s.Streams = append(s.Streams, found)
	}
	err := ask(ctx, func(ctx context.Context) error {
		consumer, err := js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
		if err != nil {
			return err
		}
		s.Consumer.Info = consumer.CachedInfo()
		return checkConsumer(s.Consumer.Info.Config)
	})
	s.Consumer.Err = err
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		s.Consumer.Err = ErrMissing
	}
	return s
}
