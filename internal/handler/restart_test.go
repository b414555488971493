package handler

import (
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// A stopped handler holds no resources, in this process or on the server.
func TestThousandStartsAndStops(t *testing.T) { //nolint:paralleltest // it counts resources of the process
	const most = 1000
	b := newBundleAlone(t)
	round := func() {
		h := b.start()
		h.stop(t)
	}
	round() // creates the client's permanent resources
	level := b.resources()
	ignore := goleak.IgnoreCurrent()
	for range most {
		round()
	}
	if err := goleak.Find(ignore); err != nil {
		t.Error(err)
	}
	b.eventually("no resource is leaked", func() bool {
		now := b.resources()
		return now.subscriptions <= level.subscriptions && now.files <= level.files
	})
	t.Logf("before %+v, after %d restarts %+v", level, most, b.resources())
	testkit.Equal(t, "consumers", b.streamOf(events.StreamRequests).CachedInfo().State.Consumers, 1)
	testkit.Equal(t, "connections", b.server.NumClients(), 1)
	// The next request is served.
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	b.counts(1, 0)
	testkit.Equal(t, "deliveries", b.delivered(), 1)
}

// resources are the resources that a handler could leave behind.
type resources struct {
	goroutines, files int
	subscriptions     uint32
	pulls             int // pull requests that the server still holds
}

func (b *bundle) resources() resources {
	b.t.Helper()
	files, _ := os.ReadDir("/proc/self/fd") // empty on systems that have no such directory
	return resources{
		goroutines: runtime.NumGoroutine(), files: len(files), subscriptions: b.server.NumSubscriptions(),
		pulls: b.consumer().NumWaiting,
	}
}
