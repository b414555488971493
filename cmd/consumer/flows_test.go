package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// flow is requests that arrive steadily, each valid and for a tenant of its own.
type flow struct {
	requests  int
	published atomic.Int64
	began     time.Time
	poured    chan struct{} // closed when all are stored, or the test has ended
}

// pour publishes requests in the background, one every so often, each until the stream has it. The test goes
// on when the first is stored.
func pour(t *testing.T, js jetstream.JetStream, requests int, every time.Duration) *flow {
	t.Helper()
	f := &flow{requests: requests, began: time.Now(), poured: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		<-f.poured
	})
	publishOne := func(id string) bool {
		msg := requestFor(t, id, "tenant_"+id)
		msg.Header.Set(jetstream.MsgIDHeader, id)
		for ctx.Err() == nil {
			once, cancel := context.WithTimeout(ctx, 2*time.Second)
			_, err := js.PublishMsg(once, msg)
			cancel()
			if err == nil {
				f.published.Add(1)
				return true
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		return false
	}
	go func() {
		defer close(f.poured)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for i := range requests {
			if !publishOne(fmt.Sprintf("order_%d", i)) {
				return
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	}()
	f.reaches(t, 1)
	return f
}

// reaches waits until so many requests have been published.
func (f *flow) reaches(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("%d requests are published", n), func() bool { return f.published.Load() >= int64(n) })
}

func (f *flow) isPublished(t *testing.T, limit time.Duration) {
	t.Helper()
	testkit.Within(t, limit, "all requests are published", func() bool { return f.published.Load() == int64(f.requests) })
}

// ends waits until all requests are published and settled, and judges.
func (f *flow) ends(t *testing.T, d testDatabase, js jetstream.JetStream, limit time.Duration) {
	t.Helper()
	f.isPublished(t, limit)
	allAtFirst(t, d, js, f.requests, limit)
	t.Logf("settled %s after the first was published", time.Since(f.began).Round(time.Millisecond))
}

// allAtFirst is allProvisioned, each at the first attempt.
func allAtFirst(t *testing.T, d testDatabase, js jetstream.JetStream, requests int, limit time.Duration) {
	t.Helper()
	attempts := allProvisioned(t, d, js, requests, limit)
	testkit.Equal(t, "requests by attempts", fmt.Sprint(attempts), fmt.Sprintf("map[1:%d]", requests))
}

// allProvisioned waits until all requests are settled, and judges: each was provisioned, with one outcome;
// none is in the dead letters; and the registry is what the outcomes say. It returns how many requests took
// how many attempts.
func allProvisioned(
	t *testing.T, d testDatabase, js jetstream.JetStream, requests int, limit time.Duration,
) (attempts map[int]int) {
	t.Helper()
	testkit.Within(t, limit, "all requests are settled", func() bool { return isSettled(t, js) })
	outcomes := stored(t, js)
	testkit.Equal(t, "outcomes", census(t, outcomes), fmt.Sprintf("provisioned %d", requests))
	attempts = map[int]int{}
	seen := map[string]bool{}
	var named []string
	for _, e := range outcomes {
		if e.Type() != events.TypeProvisioned {
			continue
		}
		data, err := events.ProvisionedFrom(e)
		testkit.Must(t, err)
		attempts[data.Attempts]++
		seen[data.Request.ID] = true
		named = append(named, data.TenantID)
	}
	slices.Sort(named)
	if registered := d.tenants(); !slices.Equal(registered, named) {
		t.Errorf("%d are registered, %d have outcomes: %v, %v", len(registered), len(named), registered, named)
	}
	verified(t, d, requests+1)
	letters := deadLetters(t, js)
	testkit.Equal(t, "dead letters", letters, 0)
	t.Logf("requests %d, lost %d, doubled %d, dead letters %d, by attempts %v", requests, requests-len(seen),
		len(outcomes)-len(seen), letters, attempts)
	return attempts
}

func deadLetters(t *testing.T, js jetstream.JetStream) int {
	t.Helper()
	stream := untilDone(t, "stream "+events.StreamDeadLetters, func(ctx context.Context) (jetstream.Stream, error) {
		return js.Stream(ctx, events.StreamDeadLetters)
	})
	return int(stream.CachedInfo().State.Msgs)
}

// replica is the real program at work, with its probes.
type replica struct {
	*process
	http string
}

// enlist starts replicas, and waits until all of them take requests.
func enlist(t *testing.T, n int, env map[string]string) []*replica {
	t.Helper()
	env = maps.Clone(env)
	env["HTTP_ADDR"] = "127.0.0.1:0"
	fleet := make([]*replica, n)
	for i := range fleet {
		fleet[i] = &replica{process: launch(t, env)}
	}
	for _, r := range fleet {
		r.http = "http://" + testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
		testkit.Logged(t, &r.stderr, "taking requests", "workers")
	}
	return fleet
}

// ready waits until all take requests again.
func ready(t *testing.T, fleet ...*replica) {
	t.Helper()
	for _, r := range fleet {
		testkit.Eventually(t, "it is ready again", func() bool {
			code, _ := get(t, r.http+"/readyz")
			return code == http.StatusOK
		})
	}
}

// isSettled reports whether all requests in the stream are settled. It reports false while the server is
// unavailable.
func isSettled(t *testing.T, js jetstream.JetStream) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, events.StreamRequests)
	if err != nil {
		return false
	}
	// The counters of pending messages would not do: the consumer may not have heard yet of what was stored
	// just now.
	consumer, err := js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
	return err == nil && consumer.CachedInfo().AckFloor.Stream == stream.CachedInfo().State.LastSeq
}
