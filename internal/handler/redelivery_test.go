package handler

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// restartAhead restarts the server as if its clock had been ahead when it delivered the messages in flight: it changes
// the times of their deliveries in the consumer's stored state. (nats-server 2.15.2, store.go, encodeConsumerState)
func (b *bundle) restartAhead(ahead time.Duration) {
	b.t.Helper()
	b.server.stop()
	path := filepath.Join(b.server.options.StoreDir, "jetstream", "$G", "streams", events.StreamRequests, "obs",
		events.DurableConsumer, "o.dat")
	state, err := os.ReadFile(path)
	testkit.Must(b.t, err)
	at, inFlight := 2, uint64(0) // behind the magic number and the version
	for range 5 {                // the acknowledged floor, what was delivered, and how much is in flight
		value, n := binary.Uvarint(state[at:])
		inFlight, at = value, at+n
	}
	if inFlight == 0 {
		b.t.Fatal("nothing is in flight")
	}
	base, n := binary.Varint(state[at:]) // the time to which all times of deliveries are relative, in seconds
	changed := binary.AppendVarint(slices.Clone(state[:at]), base+int64(ahead.Seconds()))
	testkit.Must(b.t, os.WriteFile(path, append(changed, state[at+n:]...), 0o600))
	b.server.start(b.t)
	b.eventually("the server answers", func() bool { // the client may not have noticed yet that it has stopped
		_, err := b.js.Consumer(b.t.Context(), events.StreamRequests, events.DurableConsumer)
		return err == nil
	})
}

// holdAhead has requests in flight that the server withholds for an hour, behind two that are settled.
func (b *bundle) holdAhead() {
	b.t.Helper()
	b.publishTenants(5)
	held, err := fetch(b.t.Context(), b.js, events.StreamRequests, events.DurableConsumer, 5, testkit.Patience)
	testkit.Must(b.t, err)
	for _, msg := range held[:2] {
		testkit.Must(b.t, msg.ack(b.t.Context()))
	}
	b.restartAhead(time.Hour)
}

// Nothing shows that the clock was ahead, except that nothing is redelivered.
func TestWithheldRequestsAreFoundByTheirSilence(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval, b.config.Topology.AckWait = often, shortAckWait
	err := b.config.Topology.Ensure(t.Context(), b.js)
	testkit.Must(t, err)
	b.holdAhead()
	b.start()
	b.eventually("the consumer is recreated", func() bool {
		consumer, err := b.js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
		return err == nil && consumer.CachedInfo().Config.OptStartSeq > 0
	})
	b.awaitSettled()
	b.counts(3, 0)
	config := b.consumer().Config
	testkit.Equal(t, "start sequence", config.OptStartSeq, 3)
	testkit.Equal(t, "delivered by the new consumer", b.delivered(), 3)
	testkit.Equal(t, "AckWait", config.AckWait, shortAckWait)
}

// If the service may not change the consumer, it names the fault and continues with other requests.
func TestWithheldRequestsAreNamedIfUnmanaged(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval, b.config.Topology.AckWait = often, time.Second
	err := b.config.Topology.Ensure(t.Context(), b.js)
	testkit.Must(t, err)
	b.config.Topology.Manage = false
	b.holdAhead()
	created := b.consumer().Created
	h := b.start()
	b.eventually("Err names the command", func() bool { return h.Err() != nil && containsText(h.Err(), "nats consumer rm") })
	b.publish(b.request("other", "other"))
	b.eventually("another request is served", func() bool { return len(b.stored(events.StreamEvents)) == 1 })
	testkit.Equal(t, "the consumer's creation", b.consumer().Created, created)
	// What Err says helps.
	testkit.Must(t, b.js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
	_, err = b.js.CreateConsumer(t.Context(), events.StreamRequests, b.config.Topology.consumer())
	testkit.Must(t, err)
	b.awaitSettled()
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
	b.counts(6, 0)
}

// slowClock is a JetStream whose consumer reports a time an hour ago, so that all its times are of the future, until it
// is recreated.
type slowClock struct {
	jetstream.JetStream
	recreated atomic.Int32
}

func (s *slowClock) Consumer(ctx context.Context, stream, name string) (jetstream.Consumer, error) {
	c, err := s.JetStream.Consumer(ctx, stream, name)
	if err != nil || s.recreated.Load() > 0 {
		return c, err
	}
	return slowConsumer{c}, nil
}

func (s *slowClock) CreateConsumer(ctx context.Context, stream string, c jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	s.recreated.Add(1)
	return s.JetStream.CreateConsumer(ctx, stream, c)
}

type slowConsumer struct{ jetstream.Consumer }

func (c slowConsumer) CachedInfo() *jetstream.ConsumerInfo {
	info := *c.Consumer.CachedInfo()
	info.TimeStamp = info.TimeStamp.Add(-time.Hour)
	return &info
}

// Times of the future show at once that requests may be withheld.
func TestTimesOfTheFutureRecreateTheConsumer(t *testing.T) {
	b := newBundle(t) // AckWait is longer than the test waits
	b.holdAhead()
	slow := &slowClock{JetStream: b.js}
	b.config.JetStream = slow
	b.start()
	b.awaitSettled()
	b.counts(3, 0)
	testkit.Equal(t, "recreated", slow.recreated.Load(), 1)
	config := b.consumer().Config
	testkit.Equal(t, "start sequence", config.OptStartSeq, 3)
	if handled := handledTime(config); handled.IsZero() {
		t.Errorf("metadata: %v", config.Metadata)
	}
}

// If only the oldest request in flight shows that the clock was ahead, the recreated consumer records that time: the next
// check must not find it again.
func TestOldestRequestIsRecorded(t *testing.T) {
	b := newBundle(t)
	err := b.config.Topology.Ensure(t.Context(), b.js)
	testkit.Must(t, err)
	b.publishTenants(1)
	_, err = fetch(t.Context(), b.js, events.StreamRequests, events.DurableConsumer, 1, testkit.Patience)
	testkit.Must(t, err)
	found, err := b.config.Topology.ensure(t.Context(), b.js, nil)
	testkit.Must(t, err)
	earlier := time.Now().Add(-time.Hour) // as if the server's clock had been corrected
	for _, stream := range found.Streams {
		stream.Info.TimeStamp, stream.Info.Created, stream.Info.State.LastTime = earlier, earlier, earlier
	}
	info := found.Consumer.Info
	info.TimeStamp, info.Created, info.Delivered.Last, info.AckFloor.Last = earlier, earlier, nil, nil
	h := &Handler{Config: b.config}
	if err := h.withheld(t.Context(), &found); err == nil || !strings.Contains(err.Error(), "oldest request") {
		t.Errorf("withheld: %v", err)
	}
	if handledTime(fromFloor(info, 1, found.latest().At)).IsZero() {
		t.Error("the time is not recorded")
	}
}

// Several replicas recreate the consumer at once, and lose nothing.
func TestReplicasRecreateTheConsumer(t *testing.T) {
	b := newBundle(t)
	b.holdAhead()
	found, err := b.config.Topology.ensure(t.Context(), b.js, nil)
	testkit.Must(t, err)
	var replicas sync.WaitGroup
	for range 4 {
		replicas.Go(func() {
			h := &Handler{Config: b.config, serverBackoff: b.config.Backoff}
			if err := h.recreate(t.Context(), found, nil); err != nil {
				t.Log(err) // the server may fail to create a consumer while another client deletes one of that name
			}
		})
	}
	replicas.Wait()
	b.start() // it creates a consumer if all have been deleted
	if start := b.consumer().Config.OptStartSeq; start > 3 {
		t.Errorf("the consumer starts at %d", start)
	}
	b.awaitSettled()
	for _, tenant := range tenants(5)[2:] {
		testkit.Equal(t, "attempts at "+tenant, b.db.attempts("order-"+tenant), 1)
	}
}

// earlierState is a server that reads the state of the deleted consumer into the next ones.
type earlierState struct {
	jetstream.JetStream
	left, created int
}

type consumerWith struct {
	jetstream.Consumer
	info *jetstream.ConsumerInfo
}

func (c consumerWith) CachedInfo() *jetstream.ConsumerInfo { return c.info }

func (s *earlierState) CreateConsumer(
	ctx context.Context, stream string, config jetstream.ConsumerConfig,
) (jetstream.Consumer, error) {
	s.created++
	created, err := s.JetStream.CreateConsumer(ctx, stream, config)
	if err != nil || s.created > s.left {
		return created, err
	}
	info := *created.CachedInfo()
	info.Delivered.Consumer = 5
	return consumerWith{created, &info}, nil
}

// A consumer with the state of the one that was deleted would withhold requests again.
func TestConsumerWithEarlierStateIsReplaced(t *testing.T) {
	b := newBundle(t)
	config := b.consumer().Config
	js := &earlierState{JetStream: b.js, left: 2}
	testkit.Must(t, replaceConsumer(t.Context(), js, config))
	testkit.Equal(t, "consumers that were created", js.created, 3)
	js = &earlierState{JetStream: b.js, left: replaceTries}
	err := replaceConsumer(t.Context(), js, config)
	testkit.Contains(t, "error", fmt.Sprint(err), "still has the state of the one that was deleted")
}

func TestFutureTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later := now.Add(time.Hour)
	status := func(change func(*jetstream.StreamInfo, *jetstream.ConsumerInfo)) TopologyStatus {
		stream := &jetstream.StreamInfo{Created: now, TimeStamp: now, State: jetstream.StreamState{LastTime: now.Add(clockTolerance)}}
		consumer := &jetstream.ConsumerInfo{Created: now, TimeStamp: now, NumAckPending: 1, Config: managed.consumer()}
		change(stream, consumer)
		return TopologyStatus{
			Streams:  []StreamStatus{{Name: events.StreamRequests, Info: stream}, {Name: events.StreamEvents}},
			Consumer: ConsumerStatus{Info: consumer, Oldest: now},
		}
	}
	type s = *jetstream.StreamInfo
	type c = *jetstream.ConsumerInfo
	for name, test := range map[string]struct {
		change      func(s, c)
		times       int
		withholding bool
	}{
		"none":                   {func(s, c) {}, 0, false},
		"the stream":             {func(s s, _ c) { s.Created = later }, 1, true},
		"the last message":       {func(s s, _ c) { s.State.LastTime = later }, 1, true},
		"the consumer":           {func(_ s, c c) { c.Created = later }, 1, true},
		"the last delivery":      {func(_ s, c c) { c.Delivered.Last = &later }, 1, true},
		"the last ack":           {func(_ s, c c) { c.AckFloor.Last = &later }, 1, true},
		"nothing is in flight":   {func(s s, c c) { s.State.LastTime, c.NumAckPending = later, 0 }, 1, false},
		"it was recreated":       {func(s s, c c) { s.State.LastTime, c.Config = later, fromFloor(c, 9, later) }, 1, false},
		"recreated, a later one": {func(s s, c c) { s.State.LastTime, c.Config = later, fromFloor(c, 9, later.Add(-1)) }, 1, true},
		"an old server":          {func(s s, c c) { s.State.LastTime, s.TimeStamp, c.TimeStamp = later, time.Time{}, time.Time{} }, 0, false},
	} {
		found := status(test.change)
		testkit.Equal(t, name, len(found.FutureTimes()), test.times)
		_, withholding := found.Withholding()
		testkit.Equal(t, name+" may withhold requests", withholding, test.withholding)
	}
	oldest := status(func(s, c) {}) // the stream's own clock counts
	oldest.Consumer.Oldest = later
	testkit.Equal(t, "the oldest request", len(oldest.FutureTimes()), 1)
}
