package handler

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// The guard runs before the first request and at intervals. While it finds that the database was restored, no
// request is taken, and Err has its reason. A guard that cannot compare stops only a start.
func TestGuardStopsIntake(t *testing.T) {
	b := newBundle(t)
	var finding atomic.Pointer[error]
	set := func(err error) { finding.Store(&err) }
	b.config.Guard = func(context.Context) error { return *finding.Load() }
	b.config.CheckInterval, b.config.GuardInterval = often, often
	older := fmt.Errorf("%w: the database is older", ErrRestored)
	set(older)
	h := b.launch()
	b.publish(b.request("r1", "one"))
	b.eventually("Err names the reason", func() bool { return errors.Is(h.Err(), ErrRestored) })
	testkit.Equal(t, "delivered", b.consumer().Delivered.Consumer, 0)

	set(errors.New("the stream cannot be read"))
	b.eventually("Err names the other reason", func() bool { return h.Err() != nil && containsText(h.Err(), "cannot be read") })
	testkit.Equal(t, "delivered", b.consumer().Delivered.Consumer, 0)

	set(nil)
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
	b.awaitSettled()

	set(errors.New("the stream cannot be read"))
	b.publish(b.request("r2", "two"))
	b.awaitSettled()
	testkit.Equal(t, "Err", h.Err(), nil)

	set(older)
	b.eventually("intake stops", func() bool { return errors.Is(h.Err(), ErrRestored) })
	b.eventually("no pull request waits", func() bool { return b.consumer().NumWaiting == 0 })
	b.publish(b.request("r3", "three"))
	b.counts(2, 0)
	set(nil)
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
	b.awaitSettled()
	b.counts(3, 0)
}

// An outage that only the guard has met ends without work: none was interrupted, and intake would wait for it forever.
func TestOutageThatOnlyTheGuardMet(t *testing.T) {
	t.Parallel()
	for name, running := range map[string]bool{"at the start": false, "while the service runs": true} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			var failures atomic.Int32
			b.config.Guard = func(context.Context) error {
				if failures.Add(-1) >= 0 {
					return errOutage
				}
				return nil
			}
			b.config.CheckInterval, b.config.GuardInterval = often, often
			if running {
				b.start()
				failures.Store(2)
			} else {
				failures.Store(2)
				b.launch()
			}
			b.eventually("the guard meets the outage", func() bool { return failures.Load() < 0 })
			b.publish(b.request("r1", "one"))
			b.awaitSettled()
			b.counts(1, 0)
		})
	}
}

// aheadJetStream has a durable consumer that has delivered messages which its stream does not have.
type aheadJetStream struct {
	jetstream.JetStream
	by *atomic.Uint64
}

func (j aheadJetStream) Consumer(ctx context.Context, stream, name string) (jetstream.Consumer, error) {
	c, err := j.JetStream.Consumer(ctx, stream, name)
	if err != nil {
		return nil, err
	}
	info := *c.CachedInfo()
	info.Delivered.Stream += j.by.Load()
	return aheadConsumer{c, &info}, nil
}

type aheadConsumer struct {
	jetstream.Consumer
	info *jetstream.ConsumerInfo
}

func (c aheadConsumer) CachedInfo() *jetstream.ConsumerInfo { return c.info }

// Up to NATS 2.12.3 a consumer that is ahead of its stream acknowledges requests without delivering them.
func TestConsumerAheadOfItsStream(t *testing.T) {
	b := newBundle(t)
	var by atomic.Uint64
	by.Store(5)
	b.config.JetStream = aheadJetStream{b.js, &by}
	b.config.CheckInterval = often
	h := b.launch()
	b.eventually("Err names the consumer", func() bool { return errors.Is(h.Err(), ErrRestored) })
	Contains(t, "Err", h.Err(), "has delivered message 5", "last message of its stream is 0", "consumer reconcile")
	by.Store(0)
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
	by.Store(5)
	b.eventually("it is noticed while the service runs", func() bool { return errors.Is(h.Err(), ErrRestored) })
}

// Requests that are stored while consumer and stream are read make no consumer ahead.
func TestConsumerIsNotAheadUnderLoad(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval = 1
	h := b.start()
	var restored atomic.Bool
	settled, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-settled:
				return
			default:
			}
			if errors.Is(h.Err(), ErrRestored) {
				restored.Store(true)
			}
			runtime.Gosched()
		}
	}()
	b.publishTenants(200)
	b.awaitSettled()
	close(settled)
	<-done
	testkit.Equal(t, "taken for ahead", restored.Load(), false)
}

// The streams get the registry's id when they are created, or later. Nothing else of them changes.
func TestStampsOfStreams(t *testing.T) {
	js := bare(t)
	const registry, other = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	stamps := func() StreamStamps {
		found, err := ReadStamps(t.Context(), js)
		testkit.Must(t, err)
		checked, err := managed.Check(t.Context(), js)
		testkit.Must(t, err)
		testkit.Equal(t, "stamps that the check has read", fmt.Sprint(checked), fmt.Sprint(found))
		return found
	}
	testkit.Equal(t, "without streams", fmt.Sprint(stamps()), fmt.Sprint(StreamStamps{}))
	testkit.Must(t, WriteStamps(t.Context(), js, registry))
	testkit.Equal(t, "no stream was created", fmt.Sprint(stamps()), fmt.Sprint(StreamStamps{}))

	testkit.Must(t, managed.Ensure(t.Context(), js))
	testkit.Equal(t, "unstamped", len(stamps().Unstamped), 3)
	edited := config(t, js, events.StreamEvents)
	edited.Description, edited.MaxBytes, edited.MaxAge = "ours", 1<<30, 30*days
	edited.Metadata = map[string]string{"team": "billing"}
	_, err := js.UpdateStream(t.Context(), edited)
	testkit.Must(t, err)
	before := config(t, js, events.StreamEvents)
	testkit.Must(t, WriteStamps(t.Context(), js, registry))
	testkit.Equal(t, "stamps", fmt.Sprint(stamps()), fmt.Sprint(StreamStamps{ID: registry}))
	after := config(t, js, events.StreamEvents)
	testkit.Equal(t, "other metadata", after.Metadata["team"], "billing")
	after.Metadata, before.Metadata = nil, nil
	testkit.Equal(t, "other settings", fmt.Sprintf("%+v", after), fmt.Sprintf("%+v", before))

	own, strange := managed, managed
	own.Registry, strange.Registry = registry, other
	testkit.Must(t, own.Ensure(t.Context(), js))
	Contains(t, "of another registry", strange.Ensure(t.Context(), js), registry, other, "--accept-streams", "--accept-database")

	testkit.Must(t, js.DeleteStream(t.Context(), events.StreamDeadLetters))
	testkit.Must(t, own.Ensure(t.Context(), js))
	testkit.Equal(t, "a stream that was created again", fmt.Sprint(stamps()), fmt.Sprint(StreamStamps{ID: registry}))

	testkit.Must(t, writeStamp(t.Context(), js, events.StreamRequests, other))
	_, err = ReadStamps(t.Context(), js)
	Contains(t, "two registries", err, events.StreamRequests, events.StreamEvents, registry, other)
	_, checked := managed.Check(t.Context(), js)
	testkit.Equal(t, "the error of the check", checked.Error(), err.Error())
	for _, line := range strings.Split(StampCommands(registry), "\n") {
		Contains(t, "command", errors.New(line), "nats stream edit TENANT_", "--metadata="+StampMetadata+"="+registry)
	}
}
