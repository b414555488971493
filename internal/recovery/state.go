package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/sql"
)

// state is what was read of streams and database: one small struct for each message and row, without bodies.
type state struct {
	now      time.Time
	requests requestIndex
	outcomes outcomeIndex
	letters  letterIndex

	ledger   map[string]sql.LedgerEntry // by key; empty if there is no ledger
	pruned   time.Time                  // see [sql.Stamp]
	accepted map[digest]bool            // outcomes that the ledger lacks, and that an operator has accepted as lost
	tenants  tenantIndex
	// boundaries are those that exist; nil: unknown, because there is no registry. Then all count as existing.
	boundaries map[string]bool
	locate     func(tenantID string) string // the boundary's name by the template
	service    service
}

// service is what this service's configuration says of its outcomes.
type service struct {
	strategy   string                               // of the database
	isBoundary func(tenantID, boundary string) bool // by the template of names
}

// refuse sets of each outcome why it cannot be restored: this service, as it is configured, did not publish it.
func (s *state) refuse() {
	for _, all := range s.outcomes.byKey {
		for _, o := range all {
			if o.refused == "" {
				o.refused = s.refusal(o)
			}
		}
	}
}

func (s *state) refusal(o *outcome) string {
	service := &s.service
	switch {
	case !o.provisioned:
		return ""
	case o.strategy != service.strategy:
		return fmt.Sprintf("it was provisioned with the strategy %s, and this database has %q", events.Quote(o.strategy),
			service.strategy)
	case !service.isBoundary(o.tenant, o.boundary):
		return fmt.Sprintf("its boundary is %s, want %s, which is what the template of names gives; set the template, or "+
			"the storage directory, that it was made with", events.Quote(o.boundary), events.Quote(s.locate(o.tenant)))
	}
	return ""
}

// storedRequest is a message of TENANT_REQUESTS.
type storedRequest struct {
	storedRef
	replay  int
	request events.Request // without key; empty: undecodable
	tenant  string
}

// requestIndex has the messages of TENANT_REQUESTS by the key of their request, in the order of the stream.
type requestIndex struct {
	byKey map[string][]storedRequest
	// floor: the consumer has acknowledged all messages up to it. 0: no message, or all are delivered again.
	floor   uint64
	ahead   bool          // the consumer has delivered messages that the stream does not have
	ackWait time.Duration // of the consumer
	// last is when the stream stored its last message, or when it was created.
	last time.Time
}

// isPending reports whether the consumer still has to settle a message of the request.
func (x *requestIndex) isPending(key string) bool {
	for _, m := range x.byKey[key] {
		if m.sequence > x.floor {
			return true
		}
	}
	return false
}

// withReplay returns the messages of the request with that replay number, and the highest number of any.
func (x *requestIndex) withReplay(key string, replay int) (found []storedRef, highest int) {
	for _, m := range x.byKey[key] {
		highest = max(highest, m.replay)
		if m.replay == replay {
			found = append(found, m.storedRef)
		}
	}
	return found, highest
}

// outcomeIndex has the messages of TENANT_EVENTS.
type outcomeIndex struct {
	ids   map[string]bool       // of all events that this service can have published
	byKey map[string][]*outcome // of each request, those that supersede others first
	// boundaries are those of all announced tenants, whether or not their outcome counts.
	boundaries map[string]bool
	// expiredBefore: outcomes of an earlier time may have left the stream by its limits; zero: no outcome has.
	expiredBefore time.Time
	read          sql.Checkpoint // the last one
}

func newOutcomeIndex() outcomeIndex {
	return outcomeIndex{ids: map[string]bool{}, byKey: map[string][]*outcome{}, boundaries: map[string]bool{}}
}

func (x *outcomeIndex) add(o outcome) {
	if o.refused == "" {
		x.ids[o.id] = true
	}
	if o.key == "" {
		return
	}
	if o.provisioned {
		x.boundaries[o.boundary] = true
	}
	all := x.byKey[o.key]
	at := len(all)
	for i, other := range all {
		if other.digest == o.digest { // stored twice
			return
		}
		if at == len(all) && o.supersedes(other) {
			at = i
		}
	}
	x.byKey[o.key] = slices.Insert(all, at, &o)
}

// counting returns the outcome that counts of the request with that key; nil: no outcome counts.
func (x *outcomeIndex) counting(key string) *outcome {
	for _, o := range x.byKey[key] {
		if o.refused == "" {
			return o
		}
	}
	return nil
}

// letterIndex has the messages of TENANT_DEAD_LETTERS.
type letterIndex struct {
	replays map[string]int // by key
	created time.Time      // of the stream
	// last is when the stream stored its last message, which may have been removed; zero: it never had one.
	last time.Time
}

// storedTenant is a row of the registry.
type storedTenant struct {
	id        string
	boundary  string
	createdAt time.Time
	createdBy string
	updatedAt time.Time
}

// isOf reports whether the row is that of the announced tenant. The registry has whole microseconds.
func (t *storedTenant) isOf(o *outcome) bool {
	return t.id == o.tenant && t.createdBy == o.createdBy && t.createdAt.Equal(o.createdAt.Truncate(time.Microsecond))
}

// tenantIndex has the rows of the registry, without the system's own.
type tenantIndex struct {
	byID       map[string]*storedTenant // by id in lower case
	byBoundary map[string]*storedTenant
}

func newTenantIndex() tenantIndex {
	return tenantIndex{byID: map[string]*storedTenant{}, byBoundary: map[string]*storedTenant{}}
}

// add adds a row. located is the name of its boundary by the template, which counts where the registry has none.
func (x *tenantIndex) add(t sql.TenantRow, located string) {
	stored := &storedTenant{
		id: t.ID, boundary: cmp.Or(t.Boundary.Name(), located),
		createdAt: t.CreatedAt, createdBy: t.CreatedBy, updatedAt: t.UpdatedAt,
	}
	x.byID[strings.ToLower(t.ID)], x.byBoundary[stored.boundary] = stored, stored
}

// isRecorded reports whether the ledger's row of the request has the outcome, or a later state of the request.
func isRecorded(o *outcome, entry sql.LedgerEntry, found bool) bool {
	switch {
	case !found || entry.Replay < o.replay:
		return false
	case entry.Replay > o.replay:
		return true
	case entry.State == stateRunning:
		return false
	}
	// Of one replay and type there is one id. A ledger that has the success is ahead of an announced failure.
	return entry.OutcomeID == o.id || entry.State == stateProvisioned && !o.provisioned
}

// States of a ledger row.
const (
	stateRunning     = "running"
	stateProvisioned = "provisioned"
	stateFailed      = "failed"
)

// exists reports whether the boundary exists, as far as that is known.
func (s *state) exists(boundary string) bool { return s.boundaries == nil || s.boundaries[boundary] }
