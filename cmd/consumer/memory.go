package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// maxGrowth is how much the heap grows between two collections, in percent of what is live. Allocations are few and
	// short-lived: 15 MB more memory save almost a tenth of the CPU time.
	maxGrowth = 300
	// maxGarbage bounds that growth, in bytes, where much is live, as the buffers of an embedded NATS server are.
	maxGarbage = 16 << 20
	// minGrowth is the growth where so much is live that more collections would cost too much.
	minGrowth = 50
)

// paceCollections sets the heap's growth after each collection, for the live heap that it has found.
func paceCollections() {
	debug.SetGCPercent(maxGrowth)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	last := maxGrowth
	afterCollection(func() {
		metrics.Read(live)
		if percent := growth(live[0].Value.Uint64()); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
	})
}

// growth is the heap's growth in percent of so many live bytes.
func growth(live uint64) int {
	if live == 0 { // before the first collection
		return maxGrowth
	}
	return int(min(max(maxGarbage*100/live, minGrowth), maxGrowth))
}

// afterCollection calls fn after each collection of garbage.
func afterCollection(fn func()) {
	type garbage [64]byte // larger than what Go allocates in groups
	runtime.AddCleanup(new(garbage), func(struct{}) {
		fn()
		afterCollection(fn)
	}, struct{}{})
}
