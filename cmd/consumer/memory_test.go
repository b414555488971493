package main

import (
	"runtime"
	"sync/atomic"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// A small heap grows fourfold, a large one by the same number of bytes, and a very large one doubles.
func TestGrowthOfTheHeap(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: 300, 1 << 20: 300, 5 << 20: 300, 8 << 20: 200, 16 << 20: 100, 32 << 20: 50, 1 << 40: 50,
	} {
		testkit.Equal(t, "growth", growth(live), want)
	}
}

func TestEveryCollectionIsNoticed(t *testing.T) {
	t.Parallel()
	var seen atomic.Int32
	afterCollection(func() { seen.Add(1) })
	for n := range int32(3) {
		testkit.Eventually(t, "a collection is noticed", func() bool {
			runtime.GC()
			return seen.Load() > n
		})
	}
}
