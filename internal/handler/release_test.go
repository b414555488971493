package handler

import (
	"sync"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// The server processes negative acknowledgements in the background and drops pending ones when it stops. Released
// messages must still be redelivered immediately, not after AckWait.
func TestReleasedMessagesSurviveAStoppingServer(t *testing.T) {
	b := newBundle(t)
	const messages = 200
	b.config.Topology.AckWait = 10 * testkit.Patience // longer than the test waits
	err := b.config.Topology.Ensure(t.Context(), b.js)
	testkit.Must(t, err)
	testkit.Equal(t, "AckWait", b.consumer().Config.AckWait, b.config.Topology.AckWait)
	b.publishTenants(messages)
	h := &Handler{Config: b.config}
	fetched, err := fetch(t.Context(), b.js, events.StreamRequests, events.DurableConsumer, messages, testkit.Patience)
	testkit.Must(t, err)
	testkit.Equal(t, "messages fetched", len(fetched), messages)
	var released sync.WaitGroup
	for _, msg := range fetched {
		released.Go(func() { h.release(t.Context(), msg, 0) })
	}
	released.Wait()
	testkit.Must(t, b.js.Conn().Flush()) // as the service does before it stops its own server
	b.server.stop()
	b.server.start(t)
	b.eventually("the client is reconnected", b.js.Conn().IsConnected)

	redelivered := 0
	b.eventually("all messages are redelivered", func() bool {
		more, err := fetch(t.Context(), b.js, events.StreamRequests, events.DurableConsumer, messages, time.Second)
		redelivered += len(more)
		return err == nil && redelivered == messages
	})
}
