package sql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// setTimes sets when a request was created and last changed.
func (p testDatabase) setTimes(t *testing.T, req pipeline.Request, created, updated string) {
	t.Helper()
	p.raw(t, "", fmt.Sprintf("UPDATE {b}tenant_requests SET created_at = '%s', updated_at = '%s' WHERE request_key = '%s'",
		created, updated, req.Key()))
}

func TestRequestsAreListed(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		var ids []string
		for i := range 6 {
			req := request(t, []string{"acme", "not valid"}[i%2])
			r.decide(t, req)
			// Of two that were created at the same time, the order is that of their keys.
			p.setTimes(t, req, fmt.Sprintf("2026-01-0%d 00:00:00.000000", 1+i/2), "2026-01-09 00:00:00.000000")
			ids = append(ids, req.Event.ID())
		}
		read := p.reader(t)
		list := func(f sql.RequestFilter, limit int) (found []sql.RequestRecord) {
			t.Helper()
			for {
				page, err := read.Requests(t.Context(), f, limit)
				testkit.Must(t, err)
				found = append(found, page...)
				if len(page) < limit {
					return found
				}
				f.Last = page[len(page)-1]
			}
		}
		for _, limit := range []int{1, 2, 4, 6, 100} {
			seen := map[string]bool{}
			var before time.Time
			for _, rec := range list(sql.RequestFilter{}, limit) {
				if seen[rec.ID] || !before.IsZero() && rec.CreatedAt.After(before) {
					t.Errorf("pages of %d: %s of %s comes after %s", limit, rec.ID, rec.CreatedAt, before)
				}
				seen[rec.ID], before = true, rec.CreatedAt
			}
			testkit.Equal(t, "requests", len(seen), len(ids))
		}
		for name, c := range map[string]struct {
			filter sql.RequestFilter
			want   int
		}{
			"tenant":         {sql.RequestFilter{TenantID: "acme"}, 3},
			"unknown tenant": {sql.RequestFilter{TenantID: "x' OR 1 = 1 --\x00"}, 0},
			"state":          {sql.RequestFilter{State: "provisioned"}, 1},
			"cause":          {sql.RequestFilter{Cause: string(events.CauseInvalidTenantID)}, 3},
			"source":         {sql.RequestFilter{Source: "/test"}, 6},
			"other source":   {sql.RequestFilter{Source: "/other"}, 0},
			"since":          {sql.RequestFilter{Since: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}, 4},
			"all":            {sql.RequestFilter{TenantID: "acme", State: "failed", Cause: "TENANT_EXISTS", Source: "/test"}, 2},
		} {
			testkit.Equal(t, name, len(list(c.filter, 2)), c.want)
		}
	})
}

// pruner is a store that forgets requests.
type pruner interface {
	recovery
	Prune(ctx context.Context, from, before time.Time, limit int) (int, time.Time, error)
}

func TestPrune(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		store := as[pruner](t, r.store)
		const old, recent = "2025-01-01 00:00:00.000000", "2026-01-01 00:00:00.000000"
		cutoff := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
		requests := map[string]pipeline.Request{}
		for _, id := range []string{"old1", "old2", "old3", "recent", "changed", "running"} {
			req := request(t, id)
			requests[id] = req
			if id == "running" {
				_, err := r.store.Claim(t.Context(), req, id, pipeline.Limit{Attempts: 3, Lease: time.Minute})
				testkit.Must(t, err)
			} else {
				provisionedOutcome(t, r.decide(t, req))
			}
			created, updated := old, old
			switch id {
			case "recent":
				created, updated = recent, recent
			case "changed":
				updated = recent
			}
			p.setTimes(t, req, created, updated)
		}
		created, err := time.Parse(time.DateTime, old)
		testkit.Must(t, err)
		n, last, err := store.Prune(t.Context(), created.Add(time.Microsecond), cutoff, 2)
		testkit.Must(t, err)
		testkit.Equal(t, "pruned of those created later", n, 0)
		testkit.Equal(t, "place to go on", last.UTC(), created.Add(time.Microsecond))
		var from time.Time
		for _, want := range []int{2, 1, 0} {
			n, from, err = store.Prune(t.Context(), from, cutoff, 2)
			testkit.Must(t, err)
			testkit.Equal(t, "pruned", n, want)
			testkit.Equal(t, "place to go on", from.UTC(), created)
		}
		_, _, err = store.Prune(t.Context(), time.Time{}, cutoff.AddDate(-1, 0, 0), 2) // an earlier time forgets nothing more
		testkit.Must(t, err)
		read := p.reader(t)
		for id, req := range requests {
			_, err := read.Request(t.Context(), req.Key())
			if gone := strings.HasPrefix(id, "old"); gone != errors.Is(err, sql.ErrNotFound) || !gone && err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		for _, from := range []comparison{store, as[comparison](t, read)} {
			stamp, err := from.Stamp(t.Context())
			testkit.Must(t, err)
			testkit.Equal(t, "pruned before", stamp.PrunedBefore, cutoff)
		}
		// Delivered again, it is a new request. Its tenant exists.
		failedOutcome(t, r.decide(t, requests["old1"]), events.CauseTenantExists)
	})
}
