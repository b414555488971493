package sql_test

import (
	"context"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// The running requests come first, then those that changed last.
func TestRecentEntriesOfTheLedger(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		running := request(t, "busy")
		_, err := r.store.Claim(t.Context(), running, "busy", pipeline.Limit{Attempts: 3, Lease: time.Minute})
		testkit.Must(t, err)
		want := []string{running.Key()}
		for _, tenant := range []string{"first", "second", "third"} {
			req := request(t, tenant)
			r.decide(t, req)
			want = append(want[:1], append([]string{req.Key()}, want[1:]...)...)
		}
		type recent interface {
			Recent(ctx context.Context, limit int) ([]sql.LedgerEntry, error)
		}
		reader := p.reader(t)
		for limit := range 6 {
			entries, err := as[recent](t, reader).Recent(t.Context(), limit)
			testkit.Must(t, err)
			testkit.Equal(t, "number", len(entries), min(limit, len(want)))
			for i, e := range entries {
				testkit.Equal(t, "key", e.Key, want[i])
				one, err := as[comparison](t, reader).Entry(t.Context(), e.Key)
				testkit.Must(t, err)
				testkit.Equal(t, "entry alone", e, one)
			}
		}
	})
}
