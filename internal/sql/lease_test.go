package sql_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// deliveredRequest returns a new request with this delivery id.
func deliveredRequest(t *testing.T, tenant, delivery string) pipeline.Request {
	t.Helper()
	req := request(t, tenant)
	req.DeliveryID = delivery
	return req
}

// withDelivery returns the request as another delivery of it.
func withDelivery(req pipeline.Request, delivery string) pipeline.Request {
	req.DeliveryID = delivery
	return req
}

var anyFailure = pipeline.Failure{
	Step:    "validate_schema",
	Cause:   events.Cause{Code: events.CauseSchemaInvalid, Message: "no"},
	Outcome: pipeline.Outcome{ID: "00000000-0000-5000-8000-000000000000", Body: []byte("{}")},
}

// A late write of an attempt that is no longer the last changes nothing, whether it is a refund, a note, a renewal or a
// failure.
func TestLateWritesOfAnEarlierAttempt(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		limit := pipeline.Limit{Attempts: 5, Lease: time.Minute}
		claim := func(req pipeline.Request) pipeline.Claim {
			t.Helper()
			c, err := r.store.Claim(t.Context(), req, "acme", limit)
			testkit.Must(t, err)
			return c
		}
		req := deliveredRequest(t, "acme", "1@1/a")
		row := func() string {
			t.Helper()
			return p.lines(t, "", "SELECT attempts || ' ' || coalesce(last_error, '-') || ' ' || state || ' ' || updated_at || ' ' || history "+
				"FROM {b}tenant_requests WHERE request_key = '"+req.Key()+"'")[0]
		}
		first := claim(req)
		second := claim(withDelivery(req, "1@1/b"))
		refunded := claim(withDelivery(req, "1@1/c"))
		testkit.Must(t, r.store.Note(t.Context(), refunded, pipeline.AttemptNote{Refund: true, Text: "stopped"}))
		third := claim(withDelivery(req, "1@1/d")) // has the number of the refunded one
		if first.Attempt != 1 || second.Attempt != 2 || refunded.Attempt != 3 || third.Attempt != 3 {
			t.Fatalf("attempts %d %d %d %d", first.Attempt, second.Attempt, refunded.Attempt, third.Attempt)
		}
		before := row()
		for name, late := range map[string]pipeline.Claim{"first": first, "second": second, "refunded": refunded} {
			testkit.Must(t, r.store.Note(t.Context(), late, pipeline.AttemptNote{Refund: true, Text: name}))
			testkit.Must(t, r.store.Note(t.Context(), late, pipeline.AttemptNote{Text: name}))
			testkit.Must(t, r.store.Renew(t.Context(), late))
			if late.Attempt != third.Attempt {
				if o, err := r.store.RecordFailure(t.Context(), late, anyFailure); err == nil {
					t.Errorf("%s: its failure is recorded for a later attempt: %+v", name, o)
				}
			}
			if after := row(); after != before {
				t.Errorf("%s: before %s\nafter %s", name, before, after)
			}
		}
		testkit.Must(t, r.store.Note(t.Context(), third, pipeline.AttemptNote{Text: "deadlock"}))
		if n := p.count(t, "", "SELECT attempts FROM {b}tenant_requests WHERE last_error = 'deadlock'"); n != 3 {
			t.Errorf("%d attempts", n)
		}
		testkit.Must(t, r.store.Note(t.Context(), third, pipeline.AttemptNote{Refund: true}))
		if n := p.count(t, "", "SELECT attempts FROM {b}tenant_requests"); n != 2 {
			t.Errorf("%d attempts after a refund", n)
		}
		last := claim(withDelivery(req, "1@1/e"))
		o, err := r.store.RecordFailure(t.Context(), last, anyFailure)
		if err != nil || o.ID != anyFailure.Outcome.ID {
			t.Errorf("%+v, %v", o, err)
		}
		// An overtaken attempt that has done the work may register it.
		req = request(t, "swift")
		hooked := r.withHook(t, only(claimed, once(func(ctx context.Context) error {
			_, err := r.store.Claim(ctx, withDelivery(req, "1@1/b"), "swift", limit)
			return err
		})))
		if got := provisionedOutcome(t, decided(t, hooked.Job(req)).Outcome); got.Attempts != 1 {
			t.Errorf("%d attempts", got.Attempts)
		}
	})
}

// The last attempt may be alive until its lease expires. The lease is short for its own message, which is redelivered
// only if its worker is unavailable, and long for every other message.
func TestLeaseOfTheLastAttempt(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		const short, long = 10 * time.Minute, time.Hour
		limit := pipeline.Limit{Attempts: 1, Lease: short, CopyLease: long}
		for name, c := range map[string]struct {
			by    string
			age   time.Duration
			renew bool
			spent bool
		}{
			"own message, lease valid":                 {by: "7@9/b", age: short / 2},
			"own message, lease expired":               {by: "7@9/b", age: short + time.Minute, spent: true},
			"own message, renewed":                     {by: "7@9/b", age: short + time.Minute, renew: true},
			"a copy, short lease expired":              {by: "8@9/b", age: short + time.Minute},
			"a copy, long lease expired":               {by: "8@9/b", age: long + time.Minute, spent: true},
			"a copy, renewed":                          {by: "8@9/b", age: long + time.Minute, renew: true},
			"a copy, its id begins with the message's": {by: "7@99/b", age: short + time.Minute},
			"an id without a sequence":                 {by: "x", age: short + time.Minute},
			"a clock was a little ahead":               {by: "7@9/b", age: -short / 2},
			"a clock was ahead":                        {by: "7@9/b", age: -short - time.Minute, spent: true},
			"a copy, a clock was a little ahead":       {by: "8@9/b", age: -short - time.Minute},
			"a copy, a clock was ahead":                {by: "8@9/b", age: -long - time.Minute, spent: true},
		} {
			req := deliveredRequest(t, "acme", "7@9/a")
			first, err := r.store.Claim(t.Context(), req, "acme", limit)
			testkit.Must(t, err)
			if first.DeliveryID != "7@9/a" {
				t.Errorf("%s: claimed by %q", name, first.DeliveryID)
			}
			p.age(t, req, c.age)
			if c.renew {
				testkit.Must(t, r.store.Renew(t.Context(), first))
			}
			// A busy request is not isolated.
			if _, err := r.store.LastAttemptVanished(t.Context(), withDelivery(req, c.by), limit); errors.Is(err, pipeline.ErrBusy) == c.spent {
				t.Errorf("%s: vanished: %v", name, err)
			}
			if _, err := r.store.LastAttemptVanished(t.Context(), req, limit); err != nil { // its own claim, not confirmed
				t.Errorf("%s: vanished, own claim: %v", name, err)
			}
			got, err := r.store.Claim(t.Context(), withDelivery(req, c.by), "acme", limit)
			switch {
			case c.spent && (err != nil || got.Attempt != 2):
				t.Errorf("%s: not spent: %+v, %v", name, got, err)
			case !c.spent && !errors.Is(err, pipeline.ErrBusy):
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		// A replay restarts the request: it is not busy.
		replayed := deliveredRequest(t, "acme", "7@9/a")
		_, err := r.store.Claim(t.Context(), replayed, "acme", limit)
		testkit.Must(t, err)
		replayed.Replay, replayed.DeliveryID = 1, "8@9/a"
		if _, err := r.store.LastAttemptVanished(t.Context(), replayed, limit); err != nil {
			t.Errorf("a replay: %v", err)
		}
		// A renewed attempt has not vanished.
		req := deliveredRequest(t, "acme", "7@9/a")
		c, err := r.store.Claim(t.Context(), req, "acme", limit)
		testkit.Must(t, err)
		for _, age := range []time.Duration{time.Hour, -time.Hour} { // a clock was ahead
			p.age(t, req, age)
			if vanished, err := r.store.LastAttemptVanished(t.Context(), req, limit); err != nil || !vanished {
				t.Errorf("of %s ago: vanished: %v, %v", age, vanished, err)
			}
		}
		testkit.Must(t, r.store.Renew(t.Context(), c))
		if vanished, err := r.store.LastAttemptVanished(t.Context(), req, limit); err != nil || vanished {
			t.Errorf("vanished: %v, %v", vanished, err)
		}
	})
}

// age moves the last renewal of a request's attempt into the past.
func (p testDatabase) age(t *testing.T, req pipeline.Request, by time.Duration) {
	t.Helper()
	at := time.Now().UTC().Add(-by).Format("2006-01-02 15:04:05.000000")
	p.raw(t, "", "UPDATE {b}tenant_requests SET updated_at = '"+at+"' WHERE request_key = '"+req.Key()+"'")
}
