package sql_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// Invariant 2.
func TestAttemptIsCountedBeforeTheWork(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		store := p.newFixture(t)
		counted := 0
		hooked := store.withHook(t, only(claimed, func(context.Context) error {
			counted = p.count(t, "", "SELECT attempts FROM {b}tenant_requests")
			return nil
		}))
		provisionedOutcome(t, decided(t, hooked.Job(request(t, "acme"))).Outcome)
		if counted != 1 {
			t.Errorf("%d attempts in the ledger when the work began", counted)
		}
	})
}

// The process crashes in every attempt, so no attempt gets a result.
func TestAttemptsWithoutAResult(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		req := request(t, "killer")
		limit := pipeline.Limit{Attempts: maxAttempts, Lease: time.Minute}
		for want := 1; want <= maxAttempts; want++ {
			c, err := r.store.Claim(t.Context(), req, "killer", limit)
			testkit.Must(t, err)
			if c.Attempt != want || c.Replay != 0 || c.Key != req.Key() {
				t.Errorf("%+v, want attempt %d", c, want)
			}
		}
		if _, err := r.store.Claim(t.Context(), req, "killer", limit); !errors.Is(err, pipeline.ErrBusy) {
			t.Errorf("the last attempt may still be running, but: %v", err)
		}
		if got := verdict(t, r.provisioner.Job(req), pipeline.Retry); got.Attempt != 0 ||
			!errors.Is(got.Err, pipeline.ErrBusy) {
			t.Errorf("%+v", got)
		}
		// When its lease has expired the request fails, without another attempt, also after an outage.
		late := p.newFixtureWith(t, r.store, hookedDatabase{r.store, func() func(context.Context, point) error {
			out := once(func(context.Context) error { return errOutage })
			return func(ctx context.Context, at point) error {
				switch at { //nolint:exhaustive // reaching any other point is an error
				case claimed:
					return nil
				case failureRecorded:
					return out(ctx)
				}
				t.Errorf("an attempt reached %s", at)
				return nil
			}
		}()}, time.Nanosecond)
		job := late.provisioner.Job(req)
		verdict(t, job, pipeline.Pause)
		f := failedOutcome(t, decided(t, job).Outcome, events.CauseAttemptsExhausted)
		if f.Attempts != maxAttempts || f.Step.Number != 0 || !f.Replayable {
			t.Errorf("%+v", f)
		}
		r.expectNoTenant(t, "killer")
	})
}

func TestReplayReopensAFailedRequest(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		p.createBoundary(t, "full")
		p.raw(t, "full", "CREATE TABLE {b}precious (n integer)", "INSERT INTO {b}precious VALUES (1)")
		req := request(t, "full")
		deliver := func(replay int) pipeline.Outcome {
			t.Helper()
			req.Replay = replay
			return r.decide(t, req)
		}
		same := func(a, b pipeline.Outcome) {
			t.Helper()
			if a.ID != b.ID || string(a.Body) != string(b.Body) {
				t.Errorf("two outcomes:\n%s\n%s", a.Body, b.Body)
			}
		}
		first := deliver(0)
		failedOutcome(t, first, events.CauseBoundaryNotEmpty)
		p.raw(t, "full", "DELETE FROM {b}precious")
		same(deliver(0), first) // no attempt is made

		p.raw(t, "full", "INSERT INTO {b}precious VALUES (2)")
		second := deliver(2)
		if f := failedOutcome(t, second, events.CauseBoundaryNotEmpty); f.Replay != 2 || f.Attempts != 1 || second.ID == first.ID {
			t.Errorf("%+v", f)
		}
		same(deliver(2), second)
		same(deliver(1), second) // lower: a redelivery
		same(deliver(0), second)

		p.raw(t, "full", "DELETE FROM {b}precious")
		third := deliver(3)
		if got := provisionedOutcome(t, third); got.Replay != 3 || got.Attempts != 1 {
			t.Errorf("%+v", got)
		}
		for _, replay := range []int{0, 3, 4, 9} { // a registered tenant is never provisioned again
			same(deliver(replay), third)
		}
		if n := p.count(t, "", "SELECT replay FROM {b}tenant_requests"); n != 3 {
			t.Errorf("the ledger is at replay %d, want 3", n)
		}
	})
}

// A publisher cannot exhaust the replay numbers: one above [pipeline.MaxReplay] counts only as the ledger's next
// number.
func TestHighReplayNumbers(t *testing.T) {
	const most = math.MaxInt32
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		limit := pipeline.Limit{Attempts: maxAttempts, Lease: time.Minute}
		for i, c := range []struct {
			deliver []int // the replay numbers of a failing request's deliveries
			want    []int // the replay in the ledger after each
		}{
			{[]int{most, 1, 2}, []int{0, 1, 2}},
			{[]int{most - 1, 1}, []int{0, 1}},
			{[]int{0, most, most - 1, 1}, []int{0, 0, 0, 1}},
			{[]int{0, pipeline.MaxReplay + 1, pipeline.MaxReplay + 2, 1}, []int{0, 0, 0, 1}},
			{[]int{pipeline.MaxReplay + 1, pipeline.MaxReplay + 2, 1}, []int{0, 0, 1}},
			{
				[]int{pipeline.MaxReplay, pipeline.MaxReplay + 2, most, pipeline.MaxReplay + 1, pipeline.MaxReplay + 1},
				[]int{pipeline.MaxReplay, pipeline.MaxReplay, pipeline.MaxReplay, pipeline.MaxReplay + 1, pipeline.MaxReplay + 1},
			},
			{
				[]int{1, pipeline.MaxReplay, pipeline.MaxReplay + 1, pipeline.MaxReplay + 2, pipeline.MaxReplay, 7, pipeline.MaxReplay + 3},
				[]int{
					1, pipeline.MaxReplay, pipeline.MaxReplay + 1, pipeline.MaxReplay + 2, pipeline.MaxReplay + 2, pipeline.MaxReplay + 2,
					pipeline.MaxReplay + 3,
				},
			},
		} {
			req := request(t, fmt.Sprintf("not valid %d", i)) // fails each time
			var before pipeline.Outcome
			for n, replay := range c.deliver {
				req.Replay = replay
				got := r.decide(t, req)
				if f := failedOutcome(t, got, events.CauseInvalidTenantID); f.Replay != c.want[n] {
					t.Errorf("%v: replay %d after delivery %d, want %d", c.deliver, f.Replay, n+1, c.want[n])
				}
				if same := n > 0 && c.want[n] == c.want[n-1]; n > 0 && same != (got.ID == before.ID && string(got.Body) == string(before.Body)) {
					t.Errorf("%v: delivery %d is a redelivery: %v", c.deliver, n+1, same)
				}
				before = got
			}
			if n := p.count(t, "", "SELECT replay FROM {b}tenant_requests WHERE request_key = '"+req.Key()+"'"); n != c.want[len(c.want)-1] {
				t.Errorf("%v: the ledger is at replay %d", c.deliver, n)
			}
		}
		// Also while an attempt is running or has vanished: this is another attempt of the same replay.
		req := request(t, "running")
		for i, replay := range []int{0, most, pipeline.MaxReplay + 1} {
			req.Replay, req.DeliveryID = replay, fmt.Sprint(i)
			c, err := r.store.Claim(t.Context(), req, "running", limit)
			testkit.Must(t, err)
			if c.Replay != 0 || c.Attempt != i+1 {
				t.Errorf("%+v", c)
			}
		}
		// The maximum: the ledger of an earlier version may be close to it.
		p.raw(t, "", fmt.Sprintf("UPDATE {b}tenant_requests SET replay = %d WHERE request_key = '%s'", most-1, req.Key()))
		for _, n := range []struct{ replay, want, attempt int }{
			{most - 1, most - 1, 0}, {most, most, 1}, {most, most, 2}, {0, most, 3},
		} {
			req.Replay, req.DeliveryID = n.replay, rand.Text()
			c, err := r.store.Claim(t.Context(), req, "running", limit)
			if n.attempt == 0 {
				if !errors.Is(err, pipeline.ErrBusy) {
					t.Errorf("%+v, %v", c, err)
				}
				continue
			}
			testkit.Must(t, err)
			if c.Replay != n.want || c.Attempt != n.attempt {
				t.Errorf("replay %d: %+v", n.replay, c)
			}
		}
	})
}

// A worker that still runs an attempt which a replay has superseded must not publish an outcome that the ledger does
// not have.
func TestReplayDuringAnAttempt(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		moments := []point{claimed}
		if p.engine == "sqlite" { // PostgreSQL has the request's row locked from step 1 on
			moments = append(moments, boundary, ready)
		}
		for _, moment := range moments {
			tenant := "at_" + string(moment)
			req := request(t, tenant)
			replay := req
			replay.Replay = 1
			hooked := r.withHook(t, only(moment, once(func(ctx context.Context) error {
				_, err := r.store.Claim(ctx, replay, tenant, pipeline.Limit{Attempts: maxAttempts, Lease: time.Minute})
				return err
			})))
			verdict(t, hooked.Job(req), pipeline.Retry)
			if got := provisionedOutcome(t, r.decide(t, replay)); got.Replay != 1 {
				t.Errorf("%+v", got)
			}
		}
		// The same for a failure of the superseded attempt.
		req := request(t, "stale")
		c, err := r.store.Claim(t.Context(), req, "stale", pipeline.Limit{Attempts: 1, Lease: time.Minute})
		testkit.Must(t, err)
		req.Replay = 1
		_, err = r.store.Claim(t.Context(), req, "stale", pipeline.Limit{Attempts: 1, Lease: time.Minute})
		testkit.Must(t, err)
		o, err := r.store.RecordFailure(t.Context(), c, pipeline.Failure{
			Step:    "validate_request",
			Cause:   events.Cause{Code: events.CauseSchemaInvalid, Message: "old"},
			Outcome: pipeline.Outcome{ID: "00000000-0000-5000-8000-000000000000", Body: []byte("{}")},
		})
		if err == nil {
			t.Errorf("an outcome that the ledger does not have: %+v", o)
		}
	})
}

func TestLedgerRowShowsTheState(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		row := func() string {
			t.Helper()
			return strings.Join(p.lines(t, "", "SELECT state || ' ' || attempts || ' ' || coalesce(tenant_id, '-') || ' ' || "+
				"coalesce(last_step, '-') || ' ' || coalesce(last_cause, '-') || ' ' || coalesce(last_error, '-') "+
				"FROM {b}tenant_requests"), "\n")
		}
		hooked := r.withHook(t, only(tables, once(func(context.Context) error { return errTransient })))
		req := request(t, "acme")
		verdict(t, hooked.Job(req), pipeline.Retry)
		if got, want := row(), "running 1 acme initialize_schema 40P01 deadlock detected"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		decided(t, hooked.Job(req))
		if got, want := row(), "provisioned 2 acme - - -"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// The history keeps what later updates of the row overwrite.
func TestLedgerKeepsTheHistory(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		history := func() []string {
			t.Helper()
			var entries []map[string]any
			testkit.Must(t, json.Unmarshal([]byte(p.lines(t, "", "SELECT history FROM {b}tenant_requests")[0]), &entries))
			var lines []string
			for _, e := range entries {
				if _, err := time.Parse("2006-01-02 15:04:05.999999", fmt.Sprint(e["at"])); err != nil {
					t.Error(err)
				}
				lines = append(lines, fmt.Sprint(e["event"], " ", e["replay"], ".", e["attempt"], " ", e["step"], " ", e["cause"], " ", e["error"]))
			}
			return lines
		}
		req := request(t, "acme")
		stopped, stop := context.WithCancel(t.Context())
		hooked := r.withHook(t, only(tables, once(func(context.Context) error { stop(); return context.Canceled })))
		if got := hooked.Job(req).Run(stopped); got.Verdict != pipeline.Release {
			t.Errorf("%s", got.Verdict)
		}
		verdict(t, r.withHook(t, only(indexes, once(func(context.Context) error { return errTransient }))).Job(req), pipeline.Retry)
		decided(t, r.withHook(t, only(inspected, once(func(context.Context) error { return errPermanent }))).Job(req))
		req.Replay = 1
		decided(t, r.provisioner.Job(req))
		want := []string{
			"begun 0.1 <nil> <nil> <nil>", "refunded 0.1 initialize_schema <nil> context canceled",
			"begun 0.1 <nil> <nil> <nil>", "retry 0.1 create_indexes 40P01 deadlock detected",
			"begun 0.2 <nil> <nil> <nil>", "failed 0.2 validate_schema PERMISSION_DENIED not allowed: 42501: permission denied",
			"begun 1.1 <nil> <nil> <nil>", "provisioned 1.1 <nil> <nil> <nil>",
		}
		if got := history(); !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}

		p.raw(t, "", "DELETE FROM {b}tenant_requests")
		busy := request(t, "busy")
		for range 120 { // each attempt is refunded, so their number is unlimited
			c, err := r.store.Claim(t.Context(), busy, "busy", pipeline.Limit{Attempts: 3, Lease: time.Minute})
			testkit.Must(t, err)
			testkit.Must(t, r.store.Note(t.Context(), c, pipeline.AttemptNote{Refund: true, Text: strings.Repeat("x", 5000)}))
		}
		if got := history(); len(got) != 100 || !strings.HasPrefix(got[99], "refunded 0.1") {
			t.Errorf("%d entries, the last %.80s", len(got), got[len(got)-1])
		}
	})
}

// An attempt without a result isolates the next one, once it can no longer be running.
func TestAttemptWithoutAResultHasVanished(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		req := request(t, "acme")
		claim := func() pipeline.Claim {
			t.Helper()
			c, err := r.store.Claim(t.Context(), req, "acme", pipeline.Limit{Attempts: 100, Lease: time.Minute})
			testkit.Must(t, err)
			return c
		}
		vanished := func(want bool, lease time.Duration, when string) {
			t.Helper()
			if got, err := r.store.LastAttemptVanished(t.Context(), req, pipeline.Limit{Attempts: 100, Lease: lease}); err != nil || got != want {
				t.Errorf("%s: %v, %v", when, got, err)
			}
		}
		vanished(false, time.Nanosecond, "before the first attempt")
		c := claim()
		vanished(false, time.Minute, "while it may be running")
		vanished(true, time.Nanosecond, "when it cannot be running")
		testkit.Must(t, r.store.Note(t.Context(), c, pipeline.AttemptNote{Step: "x"}))
		vanished(false, time.Nanosecond, "after it has ended")
		claim()
		vanished(true, time.Nanosecond, "when the second cannot be running")
		provisionedOutcome(t, r.decide(t, req))
		vanished(false, time.Nanosecond, "after the outcome")
	})
}

// A claim whose confirmation was lost is claimed again by the same job: one attempt.
func TestRepeatedClaim(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		lost := &pipeline.Fault{Class: pipeline.Outage, Message: "the connection broke"}
		const times = 3
		claims := 0
		hooked := r.withHook(t, only(claimed, func(context.Context) error {
			if claims++; claims <= times {
				return lost
			}
			return nil
		}))
		job := hooked.Job(request(t, "acme"))
		for range times {
			verdict(t, job, pipeline.Pause)
		}
		if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
			t.Errorf("%d attempts", got.Attempts)
		}
		if n := strings.Count(p.lines(t, "", "SELECT history FROM {b}tenant_requests")[0], "begun"); n != 1 {
			t.Errorf("%d attempts in the history", n)
		}
		// Another delivery is another attempt, also where it is the last.
		req := request(t, "umbrella")
		var got pipeline.Claim
		for _, delivery := range []string{"a", "a", "b", "b", "c", "c"} {
			var err error
			req.DeliveryID = delivery
			got, err = r.store.Claim(t.Context(), req, "umbrella", pipeline.Limit{Attempts: 3, Lease: time.Minute})
			testkit.Must(t, err)
		}
		if got.Attempt != 3 {
			t.Errorf("attempt %d of three deliveries", got.Attempt)
		}
		req.DeliveryID = "d"
		if _, err := r.store.Claim(t.Context(), req, "umbrella", pipeline.Limit{Attempts: 3, Lease: time.Minute}); !errors.Is(err, pipeline.ErrBusy) {
			t.Errorf("fourth claim: %v", err)
		}
	})
}

// stream names a stream of dead letters in the ledger.
const stream = "2026-01-02T03:04:05.123456789Z"

// The confirmation of a dead letter is recorded for the current failure, with its stream, and a replay clears it.
func TestDeadLetterConfirmation(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		req := request(t, "not valid")
		o := r.decide(t, req)
		testkit.Must(t, r.store.DeadLetterConfirmed(t.Context(), req.Key(), "00000000-0000-5000-8000-000000000000", "delivery", stream))
		if r.decide(t, req).DeadLetterConfirmed {
			t.Error("the dead letter of another outcome is confirmed for this one")
		}
		testkit.Must(t, r.store.DeadLetterConfirmed(t.Context(), req.Key(), o.ID, "delivery", stream))
		if again := r.decide(t, req); !again.DeadLetterConfirmed || again.DeadLetterStream != stream || again.ID != o.ID ||
			time.Since(again.RecordedAt).Abs() > 10*time.Minute {
			t.Errorf("%+v", again)
		}
		p.raw(t, "", "UPDATE {b}tenant_requests SET buried_in = NULL") // as an earlier version confirms it
		if again := r.decide(t, req); !again.DeadLetterConfirmed || again.DeadLetterStream != "" {
			t.Errorf("by an earlier version: %+v", again)
		}
		req.Replay = 1
		if r.decide(t, req).DeadLetterConfirmed {
			t.Error("confirmed before the replay failed")
		}
	})
}

// A message that is not an event is recorded once, by the first delivery, and is otherwise a failure like any other.
func TestRejection(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		rejection := func(delivery string) pipeline.Rejection {
			return pipeline.Rejection{
				Key: "a key", Message: pipeline.Message{Stream: "TENANT_REQUESTS", Sequence: 1 << 63, Replay: 2}, DeliveryID: delivery,
				Failure: pipeline.Failure{
					Step:    "validate_request",
					Cause:   events.Cause{Code: events.CauseUndecodableEvent, Message: "not JSON: \x00 “\\"},
					Outcome: pipeline.Outcome{ID: "00000000-0000-5000-8000-000000000000", Body: []byte(`{"a":"\u0000"}`)},
				},
			}
		}
		if got, err := r.store.Recorded(t.Context(), "a key"); err != nil || got.ID != "" {
			t.Errorf("before it is recorded: %+v, %v", got, err)
		}
		for _, delivery := range []string{"first", "second"} {
			got, err := r.store.Reject(t.Context(), rejection(delivery))
			testkit.Must(t, err)
			if got.DeliveryID != "first" || got.DeadLetterConfirmed || got.Type != events.TypeProvisioningFailed || string(got.Body) != `{"a":"\u0000"}` {
				t.Errorf("%s: %+v", delivery, got)
			}
		}
		testkit.Must(t, r.store.DeadLetterConfirmed(t.Context(), "a key", "00000000-0000-5000-8000-000000000000", "third", stream))
		got, err := r.store.Recorded(t.Context(), "a key")
		testkit.Must(t, err)
		if !got.DeadLetterConfirmed || got.DeadLetterStream != stream || got.DeliveryID != "third" {
			t.Errorf("recorded: %+v", got)
		}
	})
}

// A replica of an earlier version reopens a request without clearing the confirmation of its dead letter. The failure
// that it then records counts as unconfirmed.
func TestDeadLetterConfirmationIsForOneOutcome(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		req := request(t, "not valid")
		testkit.Must(t, r.store.DeadLetterConfirmed(t.Context(), req.Key(), r.decide(t, req).ID, "delivery", stream))
		p.raw(t, "", "UPDATE {b}tenant_requests SET state = 'running', replay = 1, attempts = 1, outcome = NULL, outcome_id = NULL")
		_, err := r.store.RecordFailure(t.Context(), pipeline.Claim{Key: req.Key(), Replay: 1, Attempt: 1}, pipeline.Failure{
			Step: "validate_request", Cause: events.Cause{Code: events.CauseInvalidTenantID, Message: "no"},
			Outcome: pipeline.Outcome{ID: "00000000-0000-5000-8000-000000000000", Body: []byte("{}")},
		})
		testkit.Must(t, err)
		req.Replay = 1
		if r.decide(t, req).DeadLetterConfirmed {
			t.Error("confirmed by the dead letter of another outcome")
		}
	})
}

// An invalid tenant id is not stored as one; the request is stored.
func TestInvalidTenantIsNotStored(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		for _, id := range []string{"a b", "_docex_x_", strings.Repeat("x", 300), "'; --"} {
			r.decide(t, request(t, id))
		}
		if n := p.count(t, "", "SELECT count(*) FROM {b}tenant_requests "+
			"WHERE tenant_id IS NULL AND state = 'failed'"); n != 4 {
			t.Errorf("%d requests without a tenant, want 4", n)
		}
	})
}

func TestLongSourceAndID(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		long := strings.Repeat("x", 100_000)
		for i, tail := range []string{"1", "2"} {
			req := request(t, "long"+tail)
			req.Event.SetSource("/" + long)
			req.Event.SetID(long + tail)
			first := r.decide(t, req)
			provisionedOutcome(t, first)
			if again := r.decide(t, req); string(again.Body) != string(first.Body) || len(again.Body) > 64_000 {
				t.Errorf("another outcome, or a long one (%d bytes)", len(again.Body))
			}
			if n := p.count(t, "", "SELECT count(*) FROM {b}tenant_requests WHERE length(source) = 100001 "+
				"AND length(request_id) = 100001"); n != i+1 {
				t.Errorf("%d requests stored in full, want %d", n, i+1)
			}
		}
	})
}

// A row that an operator removed from the ledger is created again by the next delivery.
func TestRequestRemovedFromTheLedger(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		hooked := r.withHook(t, only(claimed, once(func(context.Context) error {
			p.raw(t, "", "DELETE FROM {b}tenant_requests")
			return nil
		})))
		req := request(t, "acme")
		verdict(t, hooked.Job(req), pipeline.Retry)
		provisionedOutcome(t, decided(t, hooked.Job(req)).Outcome)
	})
}
