package database

import (
	"context"
	"time"
)

const (
	// pruneTime is how long a batch should take: until its commit its rows are locked, and on SQLite the file.
	pruneTime = 10 * time.Millisecond
	// pruneRest is how many times as long as a batch the pause after it takes, at most maxPruneRest: the rest of the time
	// belongs to requests.
	pruneRest    = 4
	maxPruneRest = 100 * time.Millisecond
	// minPrune and maxPrune are numbers of requests in a batch. The first one has minPrune.
	minPrune, maxPrune = 100, 1000
)

// Prune removes all requests that were decided before that time, in batches that are as large as the database is fast.
// It calls pruned after each batch with its number, and returns when none is left, after an error, or with the cause of
// the end of ctx.
func Prune(ctx context.Context, db Store, before time.Time, pruned func(n int)) error {
	var from time.Time
	for limit := minPrune; ; {
		begun := time.Now()
		n, last, err := db.Prune(ctx, from, before, limit)
		if err != nil {
			return err
		}
		pruned(n)
		if n < limit {
			return nil
		}
		took := time.Since(begun)
		from, limit = last, nextPrune(limit, took)
		select {
		case <-time.After(min(pruneRest*took, maxPruneRest)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// nextPrune returns the number of requests in the batch after one that took so long. That includes the time that the
// batch waited for others, so pruning recedes while the database is busy, but still ends.
func nextPrune(limit int, took time.Duration) int {
	fit := int(float64(limit) * float64(pruneTime) / float64(max(took, time.Microsecond)))
	return min(max(fit, limit/2, minPrune), 2*limit, maxPrune)
}
