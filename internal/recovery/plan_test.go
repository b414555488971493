package recovery

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// The times of the table: a day ago everything was decided and published.
var (
	now      = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	dayAgo   = now.Add(-24 * time.Hour)
	hourAgo  = now.Add(-time.Hour)
	just     = now.Add(-time.Second)
	lettersA = now.Add(-48 * time.Hour) // when the stream of dead letters was created
)

func key(id string) string { return events.RequestKey("/billing", id) }

// world is a state in the making. Its methods add what they are named after, of the request with that id, for tenant acme
// unless they name another.
type world struct{ *state }

func newWorld() world {
	return world{&state{
		now:      now,
		requests: requestIndex{byKey: map[string][]storedRequest{}, floor: 100, ackWait: 30 * time.Second},
		outcomes: newOutcomeIndex(),
		letters:  letterIndex{replays: map[string]int{}, created: lettersA, last: now},
		ledger:   map[string]sql.LedgerEntry{}, accepted: map[digest]bool{}, tenants: newTenantIndex(),
		boundaries: map[string]bool{},
		locate:     func(id string) string { return "tenant_" + id },
	}}
}

func outcomeID(id string, replay int, provisioned bool) string {
	kind := events.TypeProvisioningFailed
	if provisioned {
		kind = events.TypeProvisioned
	}
	return events.OutcomeID("/billing", id, replay, kind)
}

func (w world) event(id, tenant string, replay int, provisioned bool) world {
	o := outcome{
		id: outcomeID(id, replay, provisioned), key: key(id), tenant: tenant, replay: replay, provisioned: provisioned,
		request: events.Request{Source: "/billing", ID: id, Key: key(id)}, at: dayAgo, sequence: uint64(len(w.outcomes.ids) + 1),
	}
	o.digest = digestOfID(o.id)
	if provisioned {
		o.boundary, o.createdAt, o.createdBy = "tenant_"+tenant, dayAgo, id // each request has its own creator
	}
	w.outcomes.add(o)
	return w
}

func digestOfID(id string) digest {
	sum := sha256.Sum256([]byte(id))
	return digest(sum[:len(digest{})])
}

func (w world) success(id string) world { return w.event(id, "acme", 0, true) }
func (w world) failure() world          { return w.event("1", "acme", 0, false) }

func (w world) row(id, tenant, state string, replay int, change ...func(*sql.LedgerEntry)) world {
	entry := sql.LedgerEntry{Key: key(id), TenantID: tenant, State: state, Replay: replay, UpdatedAt: dayAgo}
	if state != stateRunning {
		entry.OutcomeID = outcomeID(id, replay, state == stateProvisioned)
	}
	if state == stateFailed {
		entry.DeadLetterConfirmed, entry.DeadLetterStream = true, lettersA.Format(time.RFC3339Nano)
	}
	for _, fn := range change {
		fn(&entry)
	}
	w.ledger[entry.Key] = entry
	return w
}

func (w world) registered(id, tenant string) world {
	w.tenants.add(sql.TenantRow{Tenant: pipeline.Tenant{
		ID: tenant, CreatedAt: dayAgo, CreatedBy: id, Boundary: pipeline.Boundary{SchemaName: "tenant_" + tenant},
	}}, "")
	return w
}

func (w world) boundary(names ...string) world {
	for _, name := range names {
		w.boundaries[name] = true
	}
	return w
}

// message stores a message of the request at that sequence.
func (w world) message(id string, sequence uint64, replay int, change ...func(*storedRequest)) world {
	m := storedRequest{
		storedRef: storedRef{sequence, dayAgo}, replay: replay, tenant: "acme",
		request: events.Request{Source: "/billing", ID: id},
	}
	for _, fn := range change {
		fn(&m)
	}
	w.requests.byKey[key(id)] = append(w.requests.byKey[key(id)], m)
	return w
}

func (w world) letter(id string, replay int) world {
	w.letters.replays[key(id)] = replay
	return w
}

func (w world) with(change func(*state)) world {
	change(w.state)
	return w
}

// whole is a world in which everything agrees.
func whole() world {
	return newWorld().success("1").row("1", "acme", stateProvisioned, 0).registered("1", "acme").boundary("tenant_acme").
		message("1", 1, 0).
		event("2", "beta", 1, false).row("2", "beta", stateFailed, 1).letter("2", 1).message("2", 2, 0).message("2", 3, 1)
}

func updated(at time.Time) func(*sql.LedgerEntry) {
	return func(e *sql.LedgerEntry) { e.UpdatedAt = at }
}

// Every case of the contract, and its neighbours, which must not be found.
func TestPlan(t *testing.T) {
	const (
		restore       = "provisioned_not_recorded restore"
		recreate      = "data_lost recreate"
		lost          = "data_lost left"
		failed        = "failure_not_recorded restore"
		letter        = "dead_letter_missing publish_dead_letter"
		letterLost    = "dead_letter_missing left"
		refused       = "provisioned_not_recorded left"
		conflict      = "conflict left"
		unpublished   = "outcome_not_published publish_outcome"
		undecided     = "request_not_decided publish_request"
		undecidedLeft = "request_not_decided left"
		gone          = "request_missing left"
		ahead         = "consumer_ahead recreate_consumer"
		unknown       = "unknown_boundary left"
	)
	for name, c := range map[string]struct {
		given world
		want  string // kinds and actions, in order
	}{
		"nothing at all":      {newWorld(), ""},
		"everything agrees":   {whole(), ""},
		"all requests passed": {whole().message("1", 4, 0), ""},

		// 1
		"1 not in the ledger": {newWorld().success("1").boundary("tenant_acme"), restore},
		"1 registered, not in the ledger": {
			newWorld().success("1").boundary("tenant_acme").registered("1", "acme"), restore,
		},
		"1 a lower replay": {
			newWorld().event("1", "acme", 2, true).boundary("tenant_acme").row("1", "acme", stateFailed, 1), restore,
		},
		"1 running at the same replay": {
			newWorld().success("1").boundary("tenant_acme").row("1", "acme", stateRunning, 0), restore,
		},
		"1 failed at the same replay": {
			newWorld().success("1").boundary("tenant_acme").row("1", "acme", stateFailed, 0), restore,
		},
		"1 the success counts, not an earlier failure": {
			newWorld().event("1", "acme", 0, false).event("1", "acme", 1, true).boundary("tenant_acme"), restore,
		},
		"1 without a registry nothing is known of boundaries": {
			newWorld().success("1").with(func(s *state) { s.boundaries = nil }), restore,
		},
		"1 accepted":                 {newWorld().success("1").boundary("tenant_acme").with(accept(outcomeID("1", 0, true))), ""},
		"1 the replay is running":    {newWorld().failure().row("1", "acme", stateRunning, 1, updated(just)), ""},
		"1 an outcome without a key": {newWorld().with(func(s *state) { s.outcomes.add(outcome{id: "x"}) }), ""},

		// 2
		"2 announced, no boundary":                     {newWorld().success("1"), recreate},
		"2 registered, not in the ledger, no boundary": {newWorld().success("1").registered("1", "acme"), recreate},
		"2 recorded and registered, no boundary": {
			newWorld().success("1").row("1", "acme", stateProvisioned, 0).registered("1", "acme"), recreate,
		},
		"2 made by another program, no boundary": {newWorld().registered("docex", "acme"), lost},

		// 3
		"3 not in the ledger":           {newWorld().failure().letter("1", 0), failed},
		"3 not in the ledger, replayed": {newWorld().event("1", "acme", 0, false).message("1", 1, 0).message("1", 200, 1), failed},
		"3 not in the ledger, no letter": {
			newWorld().failure().message("1", 1, 0), failed + ", " + letter,
		},
		"3 not in the ledger, the letter is of an earlier replay": {
			newWorld().event("1", "acme", 1, false).letter("1", 0).message("1", 1, 1), failed + ", " + letter,
		},
		"3 not in the ledger, no letter, no original": {newWorld().failure(), failed + ", " + letterLost},
		"3 running at the same replay":                {newWorld().failure().row("1", "acme", stateRunning, 0).letter("1", 0), failed},
		"3 the ledger has the success":                {newWorld().failure().row("1", "acme", stateProvisioned, 0, updated(just)), ""},
		"3 letter removed by an operator":             {newWorld().failure().row("1", "acme", stateFailed, 0).message("1", 1, 0), ""},
		"3 letter confirmed in another stream": {
			newWorld().failure().row("1", "acme", stateFailed, 0, func(e *sql.LedgerEntry) {
				e.DeadLetterStream = hourAgo.Format(time.RFC3339Nano)
			}).message("1", 1, 0), letter,
		},
		"3 letter confirmed by an earlier version in this stream": {
			newWorld().failure().row("1", "acme", stateFailed, 0, func(e *sql.LedgerEntry) { e.DeadLetterStream = "" }).
				message("1", 1, 0), "",
		},
		"3 letter confirmed by an earlier version in another stream": {
			newWorld().failure().row("1", "acme", stateFailed, 0, func(e *sql.LedgerEntry) { e.DeadLetterStream = "" }).
				message("1", 1, 0).with(func(s *state) { s.letters.created = hourAgo }), letter,
		},
		"3 letter confirmed in this stream before it was restored": {
			newWorld().failure().row("1", "acme", stateFailed, 0).message("1", 1, 0).
				with(func(s *state) { s.letters.last = dayAgo.Add(-time.Hour) }), letter,
		},
		"3 letter not confirmed, passed": {
			newWorld().failure().row("1", "acme", stateFailed, 0, unconfirmed).message("1", 1, 0), letter,
		},
		"3 letter not confirmed, pending": {
			newWorld().failure().row("1", "acme", stateFailed, 0, unconfirmed).message("1", 101, 0), "",
		},
		"3 letter not confirmed yet": {
			newWorld().failure().row("1", "acme", stateFailed, 0, unconfirmed, updated(just)).message("1", 1, 0), "",
		},

		// Several outcomes of one request
		"a lost success hides no earlier failure": {
			newWorld().failure().event("1", "acme", 1, true), recreate + ", " + failed,
		},
		"an accepted success hides no earlier failure": {
			newWorld().failure().event("1", "acme", 1, true).with(accept(outcomeID("1", 1, true))), failed,
		},
		"an accepted outcome hides no genuine one": {
			newWorld().success("1").event("1", "acme", 7, true).boundary("tenant_acme").with(accept(outcomeID("1", 7, true))),
			restore,
		},
		"a forged outcome": {newWorld().success("1").boundary("tenant_acme").with(refuse), refused},
		"a forged outcome hides no genuine one": {
			newWorld().event("1", "acme", 7, true).with(refuse).success("1").boundary("tenant_acme"), refused + ", " + restore,
		},
		"a forged failure": {newWorld().failure().with(refuse), "failure_not_recorded left"},
		"a forged outcome decides no request": {
			newWorld().failure().with(refuse).message("1", 1, 0), "failure_not_recorded left, " + undecided,
		},
		"a later success of a provisioned request": {
			whole().event("1", "acme", 1, true), conflict,
		},
		"a later failure of a provisioned request": {whole().event("1", "acme", 1, false), conflict},

		// 4
		"4 registered by another request": {
			newWorld().success("1").registered("2", "acme").boundary("tenant_acme"), conflict,
		},
		"4 registered in another case": {
			newWorld().success("1").registered("2", "ACME").boundary("tenant_acme", "tenant_ACME"), conflict,
		},
		"4 its boundary is registered for another": {
			newWorld().success("1").boundary("tenant_acme").with(func(s *state) {
				s.tenants.add(sql.TenantRow{Tenant: pipeline.Tenant{
					ID: "beta", Boundary: pipeline.Boundary{SchemaName: "tenant_acme"},
				}}, "")
			}), conflict,
		},
		"4 another request in the ledger has it, unregistered": {
			newWorld().success("1").success("2").row("2", "acme", stateProvisioned, 0).boundary("tenant_acme"), conflict,
		},
		"4 two announced, none recorded: the earlier one counts": {
			newWorld().success("1").success("2").boundary("tenant_acme"), restore + ", " + conflict,
		},
		"4 two announced, the later one is registered": {
			newWorld().success("1").success("2").registered("2", "acme").boundary("tenant_acme"), restore + ", " + conflict,
		},
		"4 two recorded": {
			newWorld().success("1").row("1", "acme", stateProvisioned, 0).success("2").row("2", "acme", stateProvisioned, 0).
				registered("2", "acme").boundary("tenant_acme"), "",
		},

		// 5
		"5 a success is not published": {
			newWorld().row("1", "acme", stateProvisioned, 0).registered("1", "acme").boundary("tenant_acme").message("1", 1, 0),
			unpublished,
		},
		"5 a failure is not published": {newWorld().row("1", "acme", stateFailed, 0).message("1", 1, 0), unpublished},
		"5 an earlier replay was":      {newWorld().failure().row("1", "acme", stateFailed, 1).message("1", 1, 1), unpublished},
		"5 recorded just now":          {newWorld().row("1", "acme", stateFailed, 0, updated(just)).message("1", 1, 0), ""},
		"5 its request is pending":     {newWorld().row("1", "acme", stateFailed, 0).message("1", 101, 0), ""},
		"5 expired":                    {newWorld().row("1", "acme", stateFailed, 0).message("1", 1, 0).with(expired(hourAgo)), ""},
		"5 younger than what the stream keeps": {
			newWorld().row("1", "acme", stateFailed, 0).message("1", 1, 0).with(expired(dayAgo.Add(-time.Hour))), unpublished,
		},

		// 6
		"6 passed without a trace":       {newWorld().message("1", 1, 0), undecided},
		"6 passed, a replay":             {newWorld().failure().row("1", "acme", stateFailed, 0).message("1", 1, 0).message("1", 2, 1), undecided},
		"6 pending":                      {newWorld().message("1", 101, 0), ""},
		"6 a copy is pending":            {newWorld().message("1", 1, 0).message("1", 101, 0), ""},
		"6 passed, and long expired":     {newWorld().message("1", 1, 0).with(expired(hourAgo)), undecidedLeft},
		"6 undecodable":                  {newWorld().message("1", 1, 0, func(m *storedRequest) { m.request = events.Request{} }), ""},
		"6 running, passed":              {newWorld().row("1", "acme", stateRunning, 0).message("1", 1, 0), undecided},
		"6 running, passed, in time":     {newWorld().row("1", "acme", stateRunning, 0, updated(just)).message("1", 1, 0), ""},
		"6 running, pending":             {newWorld().row("1", "acme", stateRunning, 0).message("1", 101, 0), ""},
		"6 running, no message":          {newWorld().row("1", "acme", stateRunning, 0), gone},
		"6 running, no message, in time": {newWorld().row("1", "acme", stateRunning, 0, updated(just)), ""},
		"6 only the event":               {newWorld().failure().letter("1", 0).message("1", 1, 0), failed},

		// 7, after all others
		"7 ahead": {newWorld().message("1", 1, 0).with(func(s *state) { s.requests.ahead = true }), undecided + ", " + ahead},

		// 8
		"8 unknown":                {whole().boundary("tenant_stranger"), unknown},
		"8 of a registered tenant": {newWorld().registered("1", "acme").boundary("tenant_acme"), ""},
		"8 being built":            {newWorld().row("1", "acme", stateRunning, 0, updated(just)).boundary("tenant_acme"), ""},
		"8 of a conflict": {
			newWorld().success("1").registered("2", "ACME").boundary("tenant_ACME", "tenant_acme"), conflict,
		},
		"8 seen as missing": {newWorld().registered("1", "acme").with(func(s *state) { s.boundaries["tenant_acme"] = false }), lost},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range plan(c.given.state) {
				action := string(f.Action)
				if action == "" {
					action = "left"
				}
				got = append(got, fmt.Sprintf("%s %s", f.Kind, action))
				if f.Problem == "" || (f.Action == "") != (f.Left != "") {
					t.Errorf("%s: problem %q, action %q, left %q", f.Kind, f.Problem, f.Action, f.Left)
				}
				if f.Kind != KindConsumerAhead && f.Tenant == "" && f.Boundary == "" {
					t.Errorf("%s names no tenant", f.Kind)
				}
			}
			testkit.Equal(t, "findings", strings.Join(got, ", "), c.want)
		})
	}
}

func accept(id string) func(*state) { return func(s *state) { s.accepted[digestOfID(id)] = true } }

func refuse(s *state) { s.outcomes.byKey[key("1")][0].refused = "it is forged" }

func expired(before time.Time) func(*state) {
	return func(s *state) { s.outcomes.expiredBefore = before }
}

func unconfirmed(e *sql.LedgerEntry) { e.DeadLetterConfirmed, e.DeadLetterStream = false, "" }

// A conflict names both requests.
func TestConflictNamesBoth(t *testing.T) {
	found := plan(newWorld().success("1").success("2").row("2", "acme", stateProvisioned, 0).registered("2", "acme").
		boundary("tenant_acme").state)
	testkit.Equal(t, "findings", len(found), 1)
	testkit.Equal(t, "request", found[0].Request.ID, "1")
	testkit.Contains(t, "problem", found[0].Problem, `registered by "2"`, `request "2" of "/billing"`)
}

// The decisions of the operator.
func TestOptions(t *testing.T) {
	id := outcomeID("1", 0, true)
	for name, c := range map[string]struct {
		options Options
		given   Finding
		want    Action
	}{
		"restore":               {Options{}, Finding{Kind: KindNotRecorded, Action: ActionRestore}, ActionRestore},
		"recreate":              {Options{Recreate: true}, Finding{Kind: KindDataLost, Action: ActionRecreate}, ActionRecreate},
		"not recreate":          {Options{}, Finding{Kind: KindDataLost, Action: ActionRecreate}, ""},
		"not recreate, accept":  {Options{Accept: true}, Finding{Kind: KindDataLost, Action: ActionRecreate, OutcomeID: id}, ActionAccept},
		"republish":             {Options{Republish: true}, Finding{Kind: KindNotPublished, Action: ActionPublishOutcome}, ActionPublishOutcome},
		"not republish":         {Options{}, Finding{Kind: KindNotPublished, Action: ActionPublishOutcome}, ""},
		"conflict":              {Options{}, Finding{Kind: KindConflict, Left: "x", OutcomeID: id}, ""},
		"conflict, accept":      {Options{Accept: true}, Finding{Kind: KindConflict, Left: "x", OutcomeID: id}, ActionAccept},
		"no outcome, accept":    {Options{Accept: true}, Finding{Kind: KindDataLost, Left: "x"}, ""},
		"only listed, accept":   {Options{Accept: true}, Finding{Kind: KindUnknownBoundary, Left: "x", OutcomeID: id}, ""},
		"to be done and accept": {Options{Accept: true}, Finding{Kind: KindNotRecorded, Action: ActionRestore, OutcomeID: id}, ActionRestore},
	} {
		f := c.given
		c.options.choose(&f)
		testkit.Equal(t, name, f.Action, c.want)
		testkit.Equal(t, name+": has the reason", f.Left != "", c.want == "" || c.want == ActionAccept)
	}
	old, acme := Finding{At: dayAgo, Tenant: "acme"}, Options{Tenant: "acme", Since: hourAgo}
	testkit.Equal(t, "older", acme.selects(&old), false)
	testkit.Equal(t, "of no time", acme.selects(&Finding{Tenant: "acme"}), true)
	testkit.Equal(t, "another tenant", acme.selects(&Finding{Tenant: "beta"}), false)
}
