package recovery

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/sql"
)

// settleTime is the age below which what follows a row of the ledger is not reported as missing: it may not have been
// published yet.
const settleTime = time.Minute

// remedyForged is what to do about an event of another publisher.
const remedyForged = "if this service did not publish it, repeat with --accept, and check which NATS users can " +
	"publish outcomes"

// plan compares what was read. It returns the findings in the order in which they are repaired.
func plan(s *state) []Finding {
	p := &planner{state: s, repaired: map[string]bool{}, lost: map[string]bool{}}
	p.planOutcomes()
	p.planRegistry()
	p.planLedger()
	p.planRequests()
	p.planConsumer()
	p.planBoundaries()
	slices.SortStableFunc(p.findings, func(a, b Finding) int {
		return slices.Index(Kinds, a.Kind) - slices.Index(Kinds, b.Kind)
	})
	return p.findings
}

type planner struct {
	*state
	findings []Finding
	repaired map[string]bool // keys of requests whose ledger row is written from an outcome
	lost     map[string]bool // ids of tenants, in lower case, whose boundary is missing, which is a finding already
}

func (p *planner) add(f Finding) { p.findings = append(p.findings, f) }

// planOutcomes finds announced outcomes that the database lacks, in the order in which they were announced.
func (p *planner) planOutcomes() {
	owners := p.ledgerOwners()
	var requests [][]*outcome // of each, what the ledger lacks
	for key, all := range p.outcomes.byKey {
		entry, found := p.ledger[key]
		missing := slices.DeleteFunc(slices.Clone(all), func(o *outcome) bool {
			return isRecorded(o, entry, found) || p.accepted[o.digest] || p.isPruned(o)
		})
		if len(missing) > 0 {
			requests = append(requests, missing)
		}
	}
	slices.SortFunc(requests, func(a, b []*outcome) int { return cmp.Compare(a[0].sequence, b[0].sequence) })
	for _, missing := range requests {
		entry, found := p.ledger[missing[0].key]
		for _, o := range missing {
			if isRecorded(o, entry, found) {
				continue
			}
			if p.planOutcome(o, entry, owners) {
				entry, found = o.entry(), true
			}
		}
	}
}

// planOutcome decides about an announced outcome that the ledger lacks. It reports whether the ledger will have it.
func (p *planner) planOutcome(o *outcome, entry sql.LedgerEntry, owners map[string]string) (restored bool) {
	kind := KindFailureNotRecorded
	if o.provisioned {
		kind = KindNotRecorded
	}
	f := p.finding(kind, o)
	f.Problem, f.Action = "its failure was published, and the ledger does not have it", ActionRestore
	if o.provisioned {
		f.Problem = "it was announced, and ledger and registry do not have it"
	}
	switch {
	case o.refused != "":
		f.Problem = "its outcome was published, and the ledger does not have it"
		f.Action, f.Left = "", o.refused+"; "+remedyForged
	case o.contradicts(entry):
		f.Kind, f.Action = KindConflict, ""
		f.Problem = fmt.Sprintf("this outcome was published, and the ledger has its request as %s at replay %d by outcome %s",
			entry.State, entry.Replay, entry.OutcomeID)
		f.Left = "a request has one outcome; " + remedyForged
	case o.provisioned:
		return p.planSuccess(o, f, owners)
	default:
		p.repaired[o.key] = true
		p.add(f)
		p.planDeadLetter(f)
		return true
	}
	p.add(f)
	return false
}

// isPruned reports whether the ledger has forgotten the request, as it should. The registry keeps its tenant.
func (p *planner) isPruned(o *outcome) bool {
	t := p.tenants.byID[strings.ToLower(o.tenant)]
	return o.isPruned(p.pruned) && (!o.provisioned || t != nil && t.isOf(o))
}

// ledgerOwners returns the keys of the requests that the ledger has as provisioned, by tenant in lower case.
func (p *planner) ledgerOwners() map[string]string {
	owners := map[string]string{}
	for key, entry := range p.ledger {
		if entry.State == stateProvisioned {
			owners[strings.ToLower(entry.TenantID)] = key
		}
	}
	return owners
}

// finding returns a finding about an announced outcome that the ledger lacks.
func (p *planner) finding(kind Kind, o *outcome) Finding {
	f := Finding{
		Kind: kind, Tenant: o.tenant, Boundary: o.boundary, Request: o.request, OutcomeID: o.id, Replay: o.replay, At: o.at,
		EventSource: o.source, outcome: o.sequence, unrecorded: true, acceptID: o.acceptID(),
	}
	f.Request.Key = o.key
	return f
}

// planSuccess decides about an announced tenant. owners has the requests that have the other tenants, and gets this
// one.
func (p *planner) planSuccess(o *outcome, f Finding, owners map[string]string) (restored bool) {
	id := strings.ToLower(o.tenant)
	if other := p.owner(o, owners); other != "" {
		f.Kind, f.Action, f.Problem = KindConflict, "", "it was announced for this request, and "+other
		f.Left = "decide which of the two has the tenant, tell the other's publisher, then repeat with --apply --accept"
		p.add(f)
		return false
	}
	owners[id], p.repaired[o.key] = o.key, true
	if !p.exists(o.boundary) {
		p.lost[id] = true
		p.add(p.dataLost(o, "it was announced, and its boundary is missing: its data is lost"))
		return false
	}
	if p.tenants.byID[id] != nil {
		f.Problem = "it was announced and is registered, and the ledger does not have its request"
	}
	p.add(f)
	return true
}

// owner names what has the tenant of an announced outcome, or its boundary, instead of the outcome's request; empty:
// nothing has.
func (p *planner) owner(o *outcome, owners map[string]string) string {
	id := strings.ToLower(o.tenant)
	if t := p.tenants.byID[id]; t != nil && !t.isOf(o) {
		text := fmt.Sprintf("%s was registered by %s at %s", events.Quote(t.id), events.Quote(t.createdBy),
			timeText(t.createdAt))
		if key := owners[id]; key != "" {
			text += " for " + p.describe(key)
		}
		return text
	}
	if t := p.tenants.byBoundary[o.boundary]; t != nil && t.id != o.tenant {
		return fmt.Sprintf("%s is registered for tenant %s", o.boundary, events.Quote(t.id))
	}
	if key := owners[id]; key != "" && key != o.key {
		return "the tenant was provisioned for " + p.describe(key)
	}
	return ""
}

// describe names a request by source and id if a stream has them, else by its key.
func (p *planner) describe(key string) string {
	r := p.requestOf(key)
	if r.Source == "" {
		return "the request with the key " + key
	}
	return fmt.Sprintf("request %s of %s", events.Quote(r.ID), events.Quote(r.Source))
}

// requestOf returns the request with that key; source and id are empty if no stream has them.
func (p *planner) requestOf(key string) (r events.Request) {
	if all := p.outcomes.byKey[key]; len(all) > 0 {
		r = cmp.Or(p.outcomes.counting(key), all[0]).request
	} else if all := p.requests.byKey[key]; len(all) > 0 {
		r = all[0].request
	}
	r.Key = key
	return r
}

func (p *planner) dataLost(o *outcome, problem string) Finding {
	f := p.finding(KindDataLost, o)
	f.Problem, f.Action = problem, ActionRecreate
	return f
}

// planRegistry finds registered tenants whose boundary is missing.
func (p *planner) planRegistry() {
	provisioned := map[string]*outcome{} // of each tenant, the success that the registry has
	for key := range p.outcomes.byKey {
		o := p.outcomes.counting(key)
		if o == nil || !o.provisioned {
			continue
		}
		t := p.tenants.byID[strings.ToLower(o.tenant)]
		if t != nil && t.isOf(o) && (provisioned[t.id] == nil || p.ledger[key].OutcomeID == o.id) {
			provisioned[t.id] = o
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.tenants.byID)) {
		t := p.tenants.byID[id]
		if p.exists(t.boundary) || p.lost[id] {
			continue
		}
		const problem = "it is registered, and its boundary is missing: its data is lost"
		if o := provisioned[t.id]; o != nil {
			f := p.dataLost(o, problem)
			f.unrecorded = false
			p.add(f)
			continue
		}
		p.add(Finding{
			Kind: KindDataLost, Tenant: t.id, Boundary: t.boundary, At: t.updatedAt, Problem: problem,
			Left: "stream TENANT_EVENTS does not have its outcome, so it cannot be built again; restore its boundary from a " +
				"backup",
		})
	}
}

// planLedger finds what the ledger has decided, or has begun, and the streams lack.
func (p *planner) planLedger() {
	for _, key := range slices.Sorted(maps.Keys(p.ledger)) {
		entry := p.ledger[key]
		if p.repaired[key] {
			continue
		}
		f := Finding{
			Tenant: entry.TenantID, Request: p.requestOf(key), OutcomeID: entry.OutcomeID, Replay: entry.Replay,
			At: entry.UpdatedAt,
		}
		switch entry.State {
		case stateRunning:
			p.planRunning(f)
			continue
		case stateFailed:
			if !entry.DeadLetterConfirmed && p.isSettled(key, entry) || entry.DeadLetterConfirmed && p.isLetterLost(entry) {
				p.planDeadLetter(f)
			}
		}
		if !p.outcomes.ids[entry.OutcomeID] && p.isSettled(key, entry) &&
			!entry.UpdatedAt.Before(p.outcomes.expiredBefore) {
			f.Kind, f.Action = KindNotPublished, ActionPublishOutcome
			f.Problem = "the ledger has its outcome, and stream TENANT_EVENTS does not"
			p.add(f)
		}
	}
}

// isSettled reports whether nothing is expected to follow the row: it is older than settleTime, and no message of its
// request is pending.
func (p *planner) isSettled(key string, entry sql.LedgerEntry) bool {
	return p.now.Sub(entry.UpdatedAt) > settleTime && !p.requests.isPending(key)
}

// planRunning finds a request that has begun, and of which there is no message.
func (p *planner) planRunning(f Finding) {
	if p.now.Sub(f.At) <= p.requests.ackWait || len(p.requests.byKey[f.Request.Key]) > 0 {
		return // it may be running, or planRequests decides
	}
	f.Kind, f.running = KindRequestMissing, true
	f.Problem = "the ledger has it as running, and stream TENANT_REQUESTS does not have its message"
	f.Left = "its publisher must send the request again"
	p.add(f)
}

// isLetterLost reports whether the stream has lost a confirmed dead letter: it was confirmed in another stream, or in
// this one before it was restored, so that it has stored nothing since. Otherwise an operator has removed it.
func (p *planner) isLetterLost(entry sql.LedgerEntry) bool {
	in, err := time.Parse(time.RFC3339Nano, entry.DeadLetterStream)
	isOther := !p.letters.created.Equal(in)
	if err != nil { // an earlier version confirmed it, in the stream of that time
		isOther = p.letters.created.After(entry.UpdatedAt)
	}
	return isOther || p.letters.last.Before(entry.UpdatedAt.Add(-settleTime))
}

// planDeadLetter adds a finding about the dead letter of the failure, unless the stream has it or the request was
// replayed.
func (p *planner) planDeadLetter(failure Finding) {
	f := failure
	f.unrecorded, f.acceptID = false, ""
	key := f.Request.Key
	if o := p.outcomes.counting(key); o != nil && (o.provisioned || o.replay > f.Replay) {
		return
	}
	if there, found := p.letters.replays[key]; found && there >= f.Replay {
		return
	}
	messages, highest := p.requests.withReplay(key, f.Replay)
	if highest > f.Replay {
		return
	}
	f.Kind, f.Action, f.messages = KindDeadLetterMissing, ActionPublishDeadLetter, messages
	f.Problem = "its dead letter is missing; if an operator had removed it, it comes back"
	if len(messages) == 0 {
		f.Action, f.Problem = "", "its dead letter is missing"
		f.Left = "stream TENANT_REQUESTS no longer has the message that failed; if the request is still wanted, its " +
			"publisher must send it again under a new id"
	}
	p.add(f)
}

// planRequests finds requests that the consumer has passed and that have no outcome.
func (p *planner) planRequests() {
	var found []Finding
	for key, all := range p.requests.byKey {
		if all[0].request.Source == "" || p.requests.isPending(key) { // undecodable, or about to be decided
			continue
		}
		last := all[0]
		for _, m := range all {
			if m.replay >= last.replay {
				last = m
			}
		}
		if p.isDecided(key, last.replay) {
			continue
		}
		f := Finding{
			Kind: KindNotDecided, Tenant: last.tenant, Request: p.requestOf(key), Replay: last.replay, At: last.stored,
			Problem: "the consumer has passed the request, and neither ledger nor stream TENANT_EVENTS has its outcome",
			Action:  ActionPublishRequest, messages: []storedRef{last.storedRef},
		}
		if last.stored.Before(p.outcomes.expiredBefore) {
			f.Action = ""
			f.Left = "its outcome may have left stream TENANT_EVENTS by the stream's limits; if the request is still wanted, " +
				"its publisher must send it again under a new id"
		}
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b Finding) int { return cmp.Compare(a.messages[0].sequence, b.messages[0].sequence) })
	p.findings = append(p.findings, found...)
}

// isDecided reports whether the request has an outcome of that replay or a later one, or may be running.
func (p *planner) isDecided(key string, replay int) bool {
	if o := p.outcomes.counting(key); o != nil && (o.provisioned || o.replay >= replay) {
		return true
	}
	entry, found := p.ledger[key]
	switch {
	case !found:
		return false
	case entry.State == stateRunning:
		return p.now.Sub(entry.UpdatedAt) <= p.requests.ackWait
	}
	return entry.State == stateProvisioned || entry.Replay >= replay
}

func (p *planner) planConsumer() {
	if p.requests.ahead {
		p.add(Finding{
			Kind: KindConsumerAhead, Action: ActionRecreateConsumer,
			Problem: "the consumer has delivered messages that stream TENANT_REQUESTS does not have: the stream was restored " +
				"or made again",
		})
	}
}

// planBoundaries lists boundaries that belong to no tenant and to no outcome.
func (p *planner) planBoundaries() {
	known := map[string]bool{} // also by the template: the storage directory may have moved since
	for _, entry := range p.ledger {
		if entry.State == stateRunning && entry.TenantID != "" {
			known[p.locate(entry.TenantID)] = true // it is being built
		}
	}
	for _, t := range p.tenants.byID {
		known[p.locate(t.id)] = true
	}
	for _, all := range p.outcomes.byKey {
		for _, o := range all {
			if o.provisioned {
				known[p.locate(o.tenant)] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.boundaries)) {
		if !p.boundaries[name] || known[name] || p.tenants.byBoundary[name] != nil || p.outcomes.boundaries[name] {
			continue
		}
		p.add(Finding{
			Kind: KindUnknownBoundary, Boundary: name,
			Problem: "no registered tenant and no outcome has this boundary",
			Left:    "nothing touches it; remove it yourself if it is of no use",
		})
	}
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
