package handler

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// TopologyStatus is the state of the topology in JetStream.
type TopologyStatus struct {
	Streams  []StreamStatus // of requests, of outcomes, of dead letters
	Consumer ConsumerStatus
}

// StreamStatus is one stream.
type StreamStatus struct {
	Name string
	Info *jetstream.StreamInfo // nil: it could not be read
	// Err is [ErrMissing], what contradicts the contract (Info is set then), or why the stream could not be read.
	Err error
	// SampledAt is the local time to compare with the time in Info; it may be wrong by ClockError.
	SampledAt  time.Time
	ClockError time.Duration
}

// ConsumerStatus is the durable consumer.
type ConsumerStatus struct {
	Info   *jetstream.ConsumerInfo // nil: it could not be read
	Err    error                   // as in StreamStatus
	Oldest time.Time               // when the stream stored the oldest request in flight; zero: unknown, or none in flight
}

// Status reads the whole topology, and continues after a part that cannot be read. It changes nothing. It makes
// each call through request, which sets the timeout.
func (t Topology) Status(
	ctx context.Context, js jetstream.JetStream, now func() time.Time,
	request func(context.Context, func(context.Context) error) error,
) (s TopologyStatus) {
	for _, want := range t.streams() {
		found := StreamStatus{Name: want.Name}
		err := request(ctx, func(ctx context.Context) error {
			before := now()
			stream, err := js.Stream(ctx, want.Name)
			if err != nil {
				return err
			}
			found.Info, found.ClockError = stream.CachedInfo(), now().Sub(before)/2
			found.SampledAt = before.Add(found.ClockError)
			return streamRules.check(found.Info.Config, want)
		})
		if found.Err = err; errors.Is(err, jetstream.ErrStreamNotFound) {
			found.Err = ErrMissing
		}
		s.Streams = append(s.Streams, found)
	}
	err := request(ctx, func(ctx context.Context) error {
		consumer, err := js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
		if err != nil {
			return err
		}
		s.Consumer.Info = consumer.CachedInfo()
		return t.checkConsumer(s.Consumer.Info.Config)
	})
	s.Consumer.Err = err
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		s.Consumer.Err = ErrMissing
	}
	if s.Consumer.Info != nil {
		//nolint:errcheck // without permission it stays unknown; ReadQueue reports that
		request(ctx, func(ctx context.Context) error { return s.Consumer.addOldest(ctx, js) })
	}
	return s
}
