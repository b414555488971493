package recovery

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

const ackWait = 2 * time.Second

// newStreams returns a server with the streams and the durable consumer.
func newStreams(t *testing.T) jetstream.JetStream {
	t.Helper()
	js := natstest.JetStream(t, natstest.Start(t))
	testkit.Must(t, handler.Topology{Replicas: 1, Manage: true, AckWait: ackWait}.Ensure(t.Context(), js))
	return js
}

func consumerInfo(t *testing.T, js jetstream.JetStream) *jetstream.ConsumerInfo {
	t.Helper()
	consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	return consumer.CachedInfo()
}

func TestHoldIntake(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	held := func(remaining time.Duration) {
		t.Helper()
		info := consumerInfo(t, js)
		testkit.Equal(t, "paused", info.Paused, remaining > 0)
		if off := info.PauseRemaining - remaining; info.Paused && (off > 0 || off < -time.Minute) {
			t.Errorf("paused for %s, want %s", info.PauseRemaining, remaining)
		}
	}
	hold := func() (release func() error) {
		t.Helper()
		release, err := holdIntake(t.Context(), js, slog.New(slog.DiscardHandler))
		testkit.Must(t, err)
		return release
	}
	release := hold()
	held(pauseTime)
	testkit.Must(t, release())
	held(0)

	// A killed command has left its pause; the next one ends it, whether or not it has to hold intake itself.
	hold()
	testkit.Must(t, endLeftPause(t.Context(), js))
	held(0)
	hold()
	testkit.Must(t, hold()())
	held(0)

	// An operator's own pause stays.
	_, err := js.PauseConsumer(t.Context(), events.StreamRequests, events.DurableConsumer, time.Now().Add(time.Hour))
	testkit.Must(t, err)
	release = hold()
	held(time.Hour)
	testkit.Must(t, release())
	held(time.Hour)
	testkit.Must(t, endLeftPause(t.Context(), js))
	held(time.Hour)
	_, err = js.ResumeConsumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)

	// What is in flight is waited for, until its acknowledgement or ACK_WAIT.
	_, err = js.PublishMsg(t.Context(), &nats.Msg{Subject: events.TypeRequested})
	testkit.Must(t, err)
	consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	_, err = consumer.Next()
	testkit.Must(t, err)
	begun := time.Now()
	testkit.Must(t, hold()())
	if took := time.Since(begun); took < ackWait {
		t.Errorf("waited %s for a request in flight", took)
	}
	msg, err := consumer.Next()
	testkit.Must(t, err)
	released := make(chan error, 1)
	go func() {
		release, err := holdIntake(t.Context(), js, slog.New(slog.DiscardHandler))
		if err == nil {
			err = release()
		}
		released <- err
	}()
	testkit.Eventually(t, "the consumer is paused", func() bool { return consumerInfo(t, js).Paused })
	testkit.Must(t, msg.DoubleAck(t.Context()))
	testkit.Must(t, testkit.Receive(t, "the hold", released))

	// No consumer: no process takes requests.
	testkit.Must(t, js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
	testkit.Must(t, hold()())
	testkit.Must(t, endLeftPause(t.Context(), js))
}
