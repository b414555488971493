package handler

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// Status reports everything that Ensure would reject, and creates nothing.
func TestTopologyStatus(t *testing.T) {
	js := bare(t)
	requests := 0
	status := func() TopologyStatus {
		return managed.Status(t.Context(), js, time.Now, func(ctx context.Context, fn func(context.Context) error) error {
			requests++
			return fn(ctx)
		})
	}
	s := status()
	for _, stream := range s.Streams {
		if stream.Info != nil || !errors.Is(stream.Err, ErrMissing) {
			t.Errorf("%+v", stream)
		}
	}
	testkit.Equal(t, "streams", len(s.Streams), 3)
	testkit.Equal(t, "requests", requests, 4)
	if !errors.Is(s.Consumer.Err, ErrMissing) {
		t.Error(s.Consumer.Err)
	}
	if _, err := js.Stream(t.Context(), events.StreamRequests); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("Status created a stream: %v", err)
	}

	invalid := managed.streams()[1]
	invalid.Storage = jetstream.MemoryStorage
	_, err := js.CreateStream(t.Context(), invalid)
	testkit.Must(t, err)
	_, err = js.CreateStream(t.Context(), managed.streams()[0])
	testkit.Must(t, err)
	config := managed.consumer()
	config.HeadersOnly = true
	_, err = js.CreateConsumer(t.Context(), events.StreamRequests, config)
	testkit.Must(t, err)
	s = status()
	testkit.Equal(t, "stream of requests", s.Streams[0].Err, nil)
	Contains(t, "stream of outcomes", s.Streams[1].Err, "storage", "Memory")
	Contains(t, "consumer", s.Consumer.Err, "headers_only")
	for _, stream := range s.Streams[:2] {
		if ahead := stream.Info.TimeStamp.Sub(stream.SampledAt).Abs(); ahead > stream.ClockError+time.Second {
			t.Errorf("the server's clock, which is this one, is off by %s", ahead)
		}
	}
	if s.Consumer.Info == nil || !errors.Is(s.Streams[2].Err, ErrMissing) {
		t.Errorf("%+v", s)
	}
}
