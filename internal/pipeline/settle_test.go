package pipeline

import (
	"fmt"
	"testing"
)

var (
	allStates  = []LedgerState{Unread, Claimed, Spent, Busy, Provisioned, Failed}
	allResults = []Result{ResultOK, ResultTransient, ResultPermanent, ResultOutage}
	allPhases  = []Phase{Serving, Draining, Stopping}
	both       = []bool{false, true}
)

// everyFact calls fn with every combination of facts.
func everyFact(fn func(Facts)) (n int) {
	for _, ledger := range allStates {
		for _, result := range allResults {
			for _, last := range both {
				for _, phase := range allPhases {
					fn(Facts{ledger, result, last, phase})
					n++
				}
			}
		}
	}
	return n
}

// rule is a row of the table as a document would have it: an unset field matches any value.
type rule struct {
	ledger []LedgerState
	result []Result
	last   *bool
	phase  []Phase
	want   Verdict
}

func in[T comparable](list []T, v T) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return list == nil
}

func is(want *bool, v bool) bool { return want == nil || *want == v }

func (r rule) covers(f Facts) bool {
	return in(r.ledger, f.Ledger) && in(r.result, f.Result) && is(r.last, f.Last) &&
		in(r.phase, f.Phase)
}

// rules is the table as a document would have it. Its rows neither overlap nor leave gaps, so their order does not
// matter.
func rules() []rule {
	yes, no := new(true), new(false)
	l := func(s ...LedgerState) []LedgerState { return s }
	e := func(s ...Result) []Result { return s }
	p := func(s ...Phase) []Phase { return s }
	return []rule{
		{ledger: l(Provisioned), want: Acknowledge},
		{ledger: l(Failed, Spent), want: Terminate},

		{ledger: l(Busy), phase: p(Serving, Draining), want: Retry},
		{ledger: l(Busy), phase: p(Stopping), want: Release},

		{ledger: l(Claimed), result: e(ResultOK), want: Acknowledge},
		{ledger: l(Claimed), result: e(ResultPermanent), want: Terminate},
		{ledger: l(Claimed), result: e(ResultTransient), last: no, phase: p(Serving, Draining), want: Retry},
		{ledger: l(Claimed), result: e(ResultTransient), last: yes, phase: p(Serving, Draining), want: Terminate},
		{ledger: l(Claimed), result: e(ResultTransient), phase: p(Stopping), want: Release},
		{ledger: l(Claimed), result: e(ResultOutage), phase: p(Serving), want: Pause},
		{ledger: l(Claimed), result: e(ResultOutage), phase: p(Draining, Stopping), want: Release},

		{ledger: l(Unread), result: e(ResultOK), phase: p(Serving), want: Retry},
		{ledger: l(Unread), result: e(ResultOK), phase: p(Draining), want: Release},
		{ledger: l(Unread), result: e(ResultTransient), phase: p(Serving, Draining), want: Retry},
		{ledger: l(Unread), result: e(ResultPermanent, ResultOutage), phase: p(Serving), want: Pause},
		{ledger: l(Unread), result: e(ResultPermanent, ResultOutage), phase: p(Draining), want: Release},
		{ledger: l(Unread), phase: p(Stopping), want: Release},
	}
}

// Invariant 8. Ledger state × result × last attempt × phase: every combination has exactly one row, and its verdict.
func TestSettleIsTheTable(t *testing.T) {
	t.Parallel()
	table := rules()
	used := make([]bool, len(table))
	n := everyFact(func(f Facts) {
		rows := 0
		for i, r := range table {
			if !r.covers(f) {
				continue
			}
			rows++
			used[i] = true
			if got := Settle(f); got != r.want {
				t.Errorf("%+v: %s, want %s", f, got, r.want)
			}
		}
		if rows != 1 {
			t.Errorf("%+v: %d rows of the table", f, rows)
		}
	})
	if n != 6*4*2*3 {
		t.Errorf("%d combinations", n)
	}
	for i, u := range used {
		if !u {
			t.Errorf("row %d covers nothing", i)
		}
	}
}

// Guarantees that hold whatever the table contains.
func TestSettleGuarantees(t *testing.T) {
	t.Parallel()
	everyFact(func(f Facts) {
		v := Settle(f)
		broken := func(guarantee string) { t.Errorf("%+v: %s: %s", f, v, guarantee) }
		decided := f.Ledger == Provisioned || f.Ledger == Failed || f.Ledger == Spent
		if v == Acknowledge && f.Ledger != Provisioned && (f.Ledger != Claimed || f.Result != ResultOK) {
			broken("acknowledged without a tenant")
		}
		if v == Terminate && !decided && f.Ledger != Claimed {
			broken("failed for a fault of the ledger")
		}
		if v == Terminate && f.Ledger == Claimed && f.Result == ResultOutage {
			broken("failed for an outage")
		}
		if v == Terminate && f.Ledger == Claimed && f.Result == ResultTransient && (!f.Last || f.Phase == Stopping) {
			broken("failed although it may be retried")
		}
		if f.Phase != Serving && v == Pause || f.Phase == Stopping && v == Retry {
			broken("kept waiting by a process that stops")
		}
		if decided != (v == Acknowledge || v == Terminate) && f.Ledger != Claimed {
			broken("decided, but not published, or the reverse")
		}
	})
}

func TestVerdictsHaveNames(t *testing.T) {
	t.Parallel()
	names := map[string]Verdict{}
	for v := Acknowledge; v <= Pause; v++ {
		if other, taken := names[v.String()]; taken {
			t.Errorf("%d and %d are both %q", v, other, v)
		}
		names[v.String()] = v
	}
	if got := Verdict(99).String(); got != "verdict 99" {
		t.Error(got)
	}
	// Unknown facts lose no request.
	if got := Settle(Facts{Ledger: 99, Result: 99, Phase: 99}); got != Retry {
		t.Error(fmt.Sprint(got))
	}
}
