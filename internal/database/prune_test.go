package database

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// paced is a store that takes that long for each request that it prunes.
type paced struct {
	Store
	left    int
	each    time.Duration
	worked  time.Duration
	longest time.Duration // of the batches after the first ones
	batches int
	from    time.Time
	t       *testing.T
}

var errPrune = errors.New("the database is down")

func (p *paced) Prune(_ context.Context, from, _ time.Time, limit int) (int, time.Time, error) {
	testkit.Equal(p.t, "start of the batch", from, p.from)
	if p.left < 0 {
		return 0, from, errPrune
	}
	n := min(limit, p.left)
	took := time.Duration(n) * p.each
	time.Sleep(took)
	p.left -= n
	p.worked += took
	if p.batches++; p.batches > 5 {
		p.longest = max(p.longest, took)
	}
	p.from = from.Add(time.Second)
	return n, p.from, nil
}

// However fast the database is, a batch is short, most of the time belongs to others, and each batch begins where the one
// before has ended.
func TestPruneLeavesTimeForRequests(t *testing.T) {
	t.Parallel()
	for _, each := range []time.Duration{time.Microsecond, 20 * time.Microsecond, 50 * time.Microsecond, 200 * time.Microsecond} {
		synctest.Test(t, func(t *testing.T) {
			db := &paced{t: t, left: 20_001, each: each}
			begun, total := time.Now(), 0
			testkit.Must(t, Prune(t.Context(), db, begun, func(n int) { total += n }))
			testkit.Equal(t, "pruned", total, 20_001)
			if part := float64(db.worked) / float64(time.Since(begun)); part > 0.21 {
				t.Errorf("%s each: pruning takes %.2f of the time", each, part)
			}
			if most := max(pruneTime, minPrune*each); db.longest > most {
				t.Errorf("%s each: a batch takes %s, want at most %s", each, db.longest, most)
			}
		})
	}
}

func TestPruneEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if err := Prune(t.Context(), &paced{t: t, left: -1}, time.Now(), func(int) {}); !errors.Is(err, errPrune) {
			t.Errorf("error %v", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		db := &paced{t: t, left: 1_000_000, each: time.Millisecond}
		err := Prune(ctx, db, time.Now(), func(int) { cancel(errPrune) })
		if !errors.Is(err, errPrune) || db.batches != 1 {
			t.Errorf("error %v after %d batches", err, db.batches)
		}
	})
}
