package pipeline

import (
	"errors"
	"testing"
	"testing/synctest"

	"golang.org/x/sync/semaphore"
)

// A share that is released after the drain has begun is not taken by a waiter, however close the two events are.
func TestNoShareIsTakenAfterTheDrain(t *testing.T) {
	t.Parallel()
	for range 200 { // the scheduler decides which of the two is detected first
		synctest.Test(t, func(t *testing.T) {
			p, share := newTestbed().provisioner(t), semaphore.NewWeighted(1)
			share.TryAcquire(1)
			ended := make(chan error, 1)
			go func() { ended <- p.acquire(t.Context(), share, 1) }()
			synctest.Wait() // until it waits
			p.Drain()
			share.Release(1)
			if err := <-ended; !errors.Is(err, errDraining) {
				t.Fatalf("got %v", err)
			}
			if !share.TryAcquire(1) {
				t.Fatal("the share is not released")
			}
		})
	}
}
