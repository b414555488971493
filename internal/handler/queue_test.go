package handler

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestQueue(t *testing.T) {
	b := newBundle(t)
	read := func() Queue {
		t.Helper()
		q, err := ReadQueue(t.Context(), b.js)
		testkit.Must(t, err)
		return q
	}
	if q := read(); q.Lag() != 0 || !q.Oldest.IsZero() || q.Age(time.Now()) != 0 || q.Pulls != 0 ||
		q.MaxAge != 90*24*time.Hour {
		t.Errorf("empty: %+v", q)
	}
	first := b.publish(b.request("1", "one"))
	b.publish(b.request("2", "two"), b.request("3", "three"))
	stream := b.streamOf(events.StreamRequests)
	stored, err := stream.GetMsg(t.Context(), first)
	testkit.Must(t, err)
	b.eventually("three are pending", func() bool { // the consumer counts them a little later
		q := read()
		return q.Pending == 3 && q.Lag() == 3 && q.Oldest.Equal(stored.Time) &&
			q.Age(stored.Time.Add(time.Minute)) == time.Minute
	})
	// Neither acknowledged nor removed requests count; those in flight do.
	consumer, err := stream.Consumer(t.Context(), events.DurableConsumer)
	testkit.Must(t, err)
	msg, err := consumer.Next()
	testkit.Must(t, err)
	testkit.Must(t, msg.DoubleAck(t.Context()))
	testkit.Must(t, stream.DeleteMsg(t.Context(), first+1))
	_, err = consumer.Next(jetstream.FetchMaxWait(testkit.Patience))
	testkit.Must(t, err)
	stored, err = stream.GetMsg(t.Context(), first+2)
	testkit.Must(t, err)
	b.eventually("only the third is left", func() bool {
		q := read()
		return q.Pending == 0 && q.InFlight == 1 && q.Lag() == 1 && q.Oldest.Equal(stored.Time)
	})

	h := b.start()
	b.eventually("the handler pulls", func() bool { return read().Pulls > 0 })
	h.stop(t) // it would recreate the stream
	testkit.Must(t, b.js.DeleteStream(t.Context(), events.StreamRequests))
	if _, err := ReadQueue(t.Context(), b.js); err == nil {
		t.Error("no error without a stream")
	}
}
