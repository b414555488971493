package database

import (
	"context"
	"time"
)

const (
	// pruneBatch is how many requests one commit removes: their rows are locked until then.
	pruneBatch = 1000
	// prunePause is the pause between two batches. Requests that are served in the meantime are not slowed down by much.
	prunePause = 50 * time.Millisecond
)

// Prune removes all requests that were decided before that time, in batches. It calls pruned after each batch with its
// number, and returns when none is left, after an error, or with the cause of the end of ctx.
func Prune(ctx context.Context, db Store, before time.Time, pruned func(n int)) error {
	for {
		n, err := db.Prune(ctx, before, pruneBatch)
		if err != nil {
			return err
		}
		pruned(n)
		if n < pruneBatch {
			return nil
		}
		select {
		case <-time.After(prunePause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
