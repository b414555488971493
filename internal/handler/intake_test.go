package handler

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// delivered counts deliveries, redeliveries included.
func (b *bundle) delivered() int {
	b.t.Helper()
	return int(b.consumer().Delivered.Consumer) // a handful
}

// realWait waits by the real clock, for tests of the server's timers.
func realWait(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
}

// shortAckWait is the AckWait of tests in which work lasts longer. The first extension is due after a part of it, and
// must not be late on a busy machine.
const shortAckWait = 5 * time.Second

// Invariants 2 and 3.
func TestTwoMessagesForEachWorker(t *testing.T) {
	b := newBundle(t)
	b.config.Topology.AckWait = shortAckWait
	entered, release := b.block()
	b.start()
	b.publishTenants(8)
	testkit.Receive(t, "the first worker begins", entered)
	testkit.Receive(t, "the second worker begins", entered)
	realWait(t, 2*shortAckWait)
	info := b.consumer()
	testkit.Equal(t, "acknowledgements pending", info.NumAckPending, 4)
	testkit.Equal(t, "redelivered", info.NumRedelivered, 0)
	testkit.Equal(t, "delivered", b.delivered(), 4)
	testkit.Equal(t, "waiting", info.NumPending, 4)
	testkit.Equal(t, "further running attempts", len(entered), 0)
	release()
	b.awaitSettled()
	testkit.Equal(t, "delivered at the end", b.delivered(), 8)
	b.counts(8, 0)
}

// If the operator manages the consumer, the operator's AckWait applies.
func TestAckWaitOfTheConsumerApplies(t *testing.T) {
	b := newBundle(t)
	managed := b.config.Topology
	managed.AckWait = shortAckWait
	err := managed.Ensure(t.Context(), b.js)
	testkit.Must(t, err)
	b.config.Topology.Manage = false // and AckWait is longer
	entered, release := b.block()
	b.start()
	b.publish(b.request("order", "acme"))
	testkit.Receive(t, "work begins", entered)
	realWait(t, 2*shortAckWait)
	testkit.Equal(t, "delivered", b.delivered(), 1)
	release()
	b.awaitSettled()
	b.counts(1, 0)
}

func TestTwoHandlersShareTheWork(t *testing.T) {
	b := newBundle(t)
	entered, release := b.block()
	b.start()
	b.start()
	b.publishTenants(20)
	for range 4 { // two handlers with two workers each
		testkit.Receive(t, "a worker begins", entered)
	}
	b.eventually("each handler holds two messages for each worker", func() bool { return b.consumer().NumAckPending == 8 })
	release()
	b.awaitSettled()
	b.counts(20, 0)
	testkit.Equal(t, "delivered", b.delivered(), 20)
	testkit.Equal(t, "claims", b.db.claims, 20)
}

// The consumer is deleted while the handler waits for messages, or while all workers are busy.
func TestDeletedConsumerIsRecreated(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]bool{"idle": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			entered, release := b.block()
			if !busy {
				release()
			}
			h := b.start()
			b.publishTenants(2)
			testkit.Receive(t, "work begins", entered)
			testkit.Receive(t, "work begins", entered)
			if !busy {
				b.awaitSettled()
			}
			testkit.Must(t, b.js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
			release()
			b.eventually("the consumer exists again", func() bool {
				_, err := b.js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
				return err == nil
			})
			b.eventually("the handler is ready", func() bool { return h.Err() == nil })
			b.publish(b.request("order", "late"))
			// The new consumer starts at the first message: decided requests keep their outcome.
			b.awaitSettled()
			b.counts(3, 0)
		})
	}
}

// The stream of requests is deleted, and another stream has its subject: the handler reports that.
func TestContradictionAtRunTimeStopsIntake(t *testing.T) {
	b := newBundle(t)
	h := b.start()
	ctx := t.Context()
	testkit.Must(t, b.js.DeleteStream(ctx, events.StreamRequests))
	wrong := b.config.Topology.streams()[0]
	wrong.Storage = jetstream.MemoryStorage
	b.eventually("the wrong stream exists", func() bool {
		_, err := b.js.CreateStream(ctx, wrong)
		if err != nil { // the handler was first
			testkit.Must(t, b.js.DeleteStream(ctx, events.StreamRequests))
			return false
		}
		return true
	})
	b.eventually("Err names the setting", func() bool {
		// The handler may have checked its own stream and then created its consumer on this one.
		err := b.js.DeleteConsumer(ctx, events.StreamRequests, events.DurableConsumer)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Fatal(err)
		}
		err = h.Err()
		return err != nil && containsText(err, "storage")
	})
	testkit.Must(t, b.js.DeleteStream(ctx, events.StreamRequests))
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	b.counts(1, 0)
}

func TestManyRequestsAtOnce(t *testing.T) {
	b := newBundle(t)
	b.config.Workers = 8
	b.start()
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			for j := range 10 {
				if _, err := b.js.PublishMsg(t.Context(), b.request(fmt.Sprintf("%d-%d", i, j), fmt.Sprintf("tenant_%d", j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 10, TENANT_EXISTS 90")
	testkit.Equal(t, "dead letters", len(b.stored(events.StreamDeadLetters)), 90)
}

// The client may lose a pull request that the server answers immediately, about one in ten thousand; see next. make
// soak sends many more.
func TestNoPullRequestIsLost(t *testing.T) { checkPulls(t, 3) }

// checkPulls pulls thousands of messages, each sent immediately. A lost pull request would be logged as an error.
func checkPulls(t *testing.T, thousands int) {
	t.Helper()
	b := newBundle(t)
	b.config.Workers = 4
	faults := make(lines, 100)
	b.config.Log = slog.New(slog.NewTextHandler(faults, &slog.HandlerOptions{Level: slog.LevelError}))
	b.publish(b.request("order", "acme"))
	b.start()
	for range thousands {
		for range 1000 {
			_, err := b.js.PublishMsgAsync(b.request("order", "acme"), jetstream.WithStallWait(testkit.Patience))
			testkit.Must(t, err)
		}
		testkit.Receive(t, "all are stored", b.js.PublishAsyncComplete())
		b.awaitSettled()
	}
	if len(faults) > 0 {
		t.Errorf("%d faults, the first: %s", len(faults), <-faults)
	}
}

// lines receives what is written, one value for each call.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
