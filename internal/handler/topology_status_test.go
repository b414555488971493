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

// Status finds what Ensure would reject, continues after it, and creates nothing.
func TestSurvey(t *testing.T) {
	js := bare(t)
	asked := 0
	look := func() TopologyStatus {
		return managed.Status(t.Context(), js, time.Now, func(ctx context.Context, fn func(context.Context) error) error {
			asked++
			return fn(ctx)
		})
	}
	s := look()
	for _, stream := range s.Streams {
		if stream.Info != nil || !errors.Is(stream.Err, ErrMissing) {
			t.Errorf("%+v", stream)
		}
	}
	testkit.Equal(t, "streams", len(s.Streams), 3)
	testkit.Equal(t, "questions", asked, 4)
	if !errors.Is(s.Consumer.Err, ErrMissing) {
		t.Error(s.Consumer.Err)
	}
	if _, err := js.Stream(t.Context(), events.StreamRequests); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("it has made a stream: %v", err)
	}

	spoilt := managed.streams()[1]
	spoilt.Storage = jetstream.MemoryStorage
	_, err := js.CreateStream(t.Context(), spoilt)
	testkit.Must(t, err)
	_, err = js.CreateStream(t.Context(), managed.streams()[0])
	testkit.Must(t, err)
	config := managed.consumer()
	config.HeadersOnly = true
	_, err = js.CreateConsumer(t.Context(), events.StreamRequests, config)
	testkit.Must(t, err)
	s = look()
	testkit.Equal(t, "requests", s.Streams[0].Err, nil)
	Contains(t, "outcomes", s.Streams[1].Err, "storage", "Memory")
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
