package recovery

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
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

func holdNow(t *testing.T, js jetstream.JetStream) (held context.Context, release func() error) {
	t.Helper()
	held, release, err := holdIntake(t.Context(), js, renewEvery, slog.New(slog.DiscardHandler))
	testkit.Must(t, err)
	return held, release
}

// pauseFor pauses the consumer as an operator does, and returns the end of the pause.
func pauseFor(t *testing.T, js jetstream.JetStream, d time.Duration) time.Time {
	t.Helper()
	paused, err := js.PauseConsumer(t.Context(), events.StreamRequests, events.DurableConsumer, time.Now().Add(d))
	testkit.Must(t, err)
	return paused.PauseUntil
}

func resume(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	_, err := js.ResumeConsumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
}

func TestHoldIntake(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	_, release := holdNow(t, js)
	if left := consumerInfo(t, js).PauseRemaining; left > pauseTime || left < pauseTime-time.Minute {
		t.Errorf("paused for %s", left)
	}
	testkit.Must(t, release())
	testkit.Equal(t, "paused", consumerInfo(t, js).Paused, false)

	// What is in flight is waited for, until its acknowledgement or ACK_WAIT.
	_, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: events.TypeRequested})
	testkit.Must(t, err)
	consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	begun := time.Now() // before the server counts ACK_WAIT
	_, err = consumer.Next()
	testkit.Must(t, err)
	_, release = holdNow(t, js)
	testkit.Must(t, release())
	if took := time.Since(begun); took < ackWait {
		t.Errorf("waited %s for a request in flight", took)
	}
	msg, err := consumer.Next()
	testkit.Must(t, err)
	released := make(chan error, 1)
	go func() {
		_, release, err := holdIntake(t.Context(), js, renewEvery, slog.New(slog.DiscardHandler))
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
	_, release = holdNow(t, js)
	testkit.Must(t, release())
}

// An operator's own pause ends when the operator has set it to end, however long it is.
func TestHoldKeepsAnOperatorsPause(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	for _, d := range []time.Duration{time.Minute, pauseTime, time.Hour} {
		own := pauseFor(t, js, d)
		_, release := holdNow(t, js)
		if until := pausedUntil(consumerInfo(t, js)); until.Before(own) || d == time.Hour && !until.Equal(own) {
			t.Errorf("held until %s, the operator's pause ends at %s", until, own)
		}
		testkit.Must(t, release())
		testkit.Equal(t, "end of the pause", pausedUntil(consumerInfo(t, js)), own)
	}
}

// Two commands at once: the second is refused, and the pause of the first stays. One that was killed has left its pause:
// the error names its end, and how to end it now.
func TestHoldIsRefusedToASecondCommand(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	_, release := holdNow(t, js)
	first := pausedUntil(consumerInfo(t, js))
	_, _, err := holdIntake(t.Context(), js, renewEvery, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("a second command holds intake")
	}
	testkit.Contains(t, "error", err.Error(), first.Add(-pauseTime).Format(time.RFC3339), first.Format(time.RFC3339),
		"nats consumer resume TENANT_REQUESTS tenant-provisioner")
	testkit.Equal(t, "end of the pause", pausedUntil(consumerInfo(t, js)), first)
	testkit.Must(t, release())
	_, release = holdNow(t, js)
	testkit.Must(t, release())

	holdNow(t, js) // and is killed
	resume(t, js)
	_, release = holdNow(t, js)
	testkit.Must(t, release())
	testkit.Equal(t, "paused", consumerInfo(t, js).Paused, false)
}

// Of several commands that begin at the same time, one holds intake.
func TestHoldsThatBeginTogether(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	const commands = 4
	var mu sync.Mutex
	releases := map[context.Context]func() error{}
	var all sync.WaitGroup
	for range commands {
		all.Go(func() {
			held, release, err := holdIntake(t.Context(), js, pollEvery, slog.New(slog.DiscardHandler))
			if err == nil {
				mu.Lock()
				releases[held] = release
				mu.Unlock()
			}
		})
	}
	all.Wait()
	testkit.Eventually(t, "one holds it", func() bool { // another one whose pause came first loses it when it renews
		maps.DeleteFunc(releases, func(held context.Context, _ func() error) bool { return held.Err() != nil })
		return len(releases) == 1
	})
	for _, release := range releases {
		testkit.Must(t, release())
	}
	testkit.Equal(t, "paused", consumerInfo(t, js).Paused, false)
}

// The pause is renewed while the work lasts. The work ends if another process ends or replaces the pause, which stays as
// it is then.
func TestHoldIsRenewedUntilItIsLost(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	for name, lose := range map[string]func() time.Time{
		"resumed":  func() time.Time { resume(t, js); return time.Time{} },
		"replaced": func() time.Time { return pauseFor(t, js, time.Hour) },
	} {
		resume(t, js)
		held, release, err := holdIntake(t.Context(), js, pollEvery, slog.New(slog.DiscardHandler))
		testkit.Must(t, err)
		first := pausedUntil(consumerInfo(t, js))
		testkit.Eventually(t, name+": the pause is renewed", func() bool { return pausedUntil(consumerInfo(t, js)).After(first) })
		testkit.Must(t, held.Err())
		var want time.Time
		testkit.Eventually(t, name+": the hold is lost", func() bool {
			if held.Err() == nil { // a renewal may have overtaken it
				want = lose()
			}
			return held.Err() != nil
		})
		if cause := context.Cause(held); !errors.Is(cause, errNotHeld) {
			t.Errorf("%s: %v", name, cause)
		}
		testkit.Must(t, release())
		testkit.Equal(t, name+": end of the pause", pausedUntil(consumerInfo(t, js)), want)
	}
}
