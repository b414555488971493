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

// load publishes valid requests at a steady rate, each for another tenant.
type load struct {
	requests  int
	published atomic.Int64
	began     time.Time
	finished  chan struct{} // closed when all are stored, or the test has ended
}

// startLoad publishes requests in the background, and retries each until the stream has it. It returns when the first
// is stored.
func startLoad(t *testing.T, js jetstream.JetStream, requests int, every time.Duration) *load {
	t.Helper()
	return startLoadFrom(t, js, 0, requests, every)
}

// startLoadFrom is startLoad with requests numbered from first.
func startLoadFrom(t *testing.T, js jetstream.JetStream, first, requests int, every time.Duration) *load {
	t.Helper()
	f := &load{requests: requests, began: time.Now(), finished: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		<-f.finished
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
		defer close(f.finished)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for i := range requests {
			if !publishOne(fmt.Sprintf("order_%d", first+i)) {
				return
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	}()
	f.awaitPublished(t, 1)
	return f
}

// awaitPublished waits until n requests have been published.
func (f *load) awaitPublished(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("%d requests are published", n), func() bool { return f.published.Load() >= int64(n) })
}

func (f *load) awaitAllPublished(t *testing.T, limit time.Duration) {
	t.Helper()
	testkit.Within(t, limit, "all requests are published", func() bool { return f.published.Load() == int64(f.requests) })
}

// finish waits until all requests are published, and then as awaitFirstAttempts.
func (f *load) finish(t *testing.T, d testDatabase, js jetstream.JetStream, limit time.Duration) {
	t.Helper()
	f.awaitAllPublished(t, limit)
	awaitFirstAttempts(t, d, js, f.requests, limit)
	t.Logf("settled %s after the first was published", time.Since(f.began).Round(time.Millisecond))
}

// awaitFirstAttempts is awaitAllProvisioned, each at the first attempt.
func awaitFirstAttempts(t *testing.T, d testDatabase, js jetstream.JetStream, requests int, limit time.Duration) {
	t.Helper()
	attempts := awaitAllProvisioned(t, d, js, requests, limit)
	testkit.Equal(t, "requests by attempts", fmt.Sprint(attempts), fmt.Sprintf("map[1:%d]", requests))
}

// awaitAllProvisioned waits until all requests are settled. It asserts that each was provisioned, with one outcome and
// no dead letter, and that the registry matches the outcomes. It returns the number of requests by attempts.
func awaitAllProvisioned(
	t *testing.T, d testDatabase, js jetstream.JetStream, requests int, limit time.Duration,
) (attempts map[int]int) {
	t.Helper()
	testkit.Within(t, limit, "all requests are settled", func() bool { return isSettled(t, js) })
	outcomes := storedOutcomes(t, js)
	testkit.Equal(t, "outcomes", countOutcomes(t, outcomes), fmt.Sprintf("provisioned %d", requests))
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
	verifyTenants(t, d, requests+1)
	letters := deadLetters(t, js)
	testkit.Equal(t, "dead letters", letters, 0)
	t.Logf("requests %d, lost %d, duplicated %d, dead letters %d, by attempts %v", requests, requests-len(seen),
		len(outcomes)-len(seen), letters, attempts)
	return attempts
}

func deadLetters(t *testing.T, js jetstream.JetStream) int {
	t.Helper()
	stream := retryUntilDone(t, "stream "+events.StreamDeadLetters, func(ctx context.Context) (jetstream.Stream, error) {
		return js.Stream(ctx, events.StreamDeadLetters)
	})
	return int(stream.CachedInfo().State.Msgs)
}

// replica is the running real program, with its probes.
type replica struct {
	*process
	http string
}

// startReplicas starts replicas, and waits until all of them take requests.
func startReplicas(t *testing.T, n int, env map[string]string) []*replica {
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

// awaitReady waits until all are ready.
func awaitReady(t *testing.T, fleet ...*replica) {
	t.Helper()
	for _, r := range fleet {
		testkit.Eventually(t, "the replica is ready again", func() bool {
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
	// The counters of pending messages may lag behind the stream.
	consumer, err := js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
	return err == nil && consumer.CachedInfo().AckFloor.Stream == stream.CachedInfo().State.LastSeq
}
