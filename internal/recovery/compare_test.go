package recovery

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

func (f *fakeReader) Recent(_ context.Context, limit int) ([]sql.LedgerEntry, error) {
	entries := slices.SortedFunc(slices.Values(f.entries), func(a, b sql.LedgerEntry) int {
		if a, b := a.State == stateRunning, b.State == stateRunning; a != b {
			return map[bool]int{true: -1, false: 1}[a]
		}
		return cmp.Or(b.UpdatedAt.Compare(a.UpdatedAt), cmp.Compare(a.Key, b.Key))
	})
	return entries[:min(limit, len(entries))], nil
}

func (f *fakeReader) Request(_ context.Context, key string) (sql.RequestRecord, error) {
	return sql.RequestRecord{Source: "/billing", ID: key}, nil
}

// ledgerRow is the row of the request with that id, for the tenant of that name.
func ledgerRow(id, state string, updated time.Time) sql.LedgerEntry {
	e := sql.LedgerEntry{Key: key(id), TenantID: "t_" + id, State: state, UpdatedAt: updated}
	if state != stateRunning {
		e.OutcomeID = outcomeID(id, 0, state == stateProvisioned)
	}
	return e
}

func requestMessage(id string) *nats.Msg {
	return &nats.Msg{Subject: events.TypeRequested, Data: fmt.Appendf(nil, `{"specversion":"1.0","type":%q,"source":"/billing",`+
		`"id":%q,"data":{"tenant_id":"t_%s","display_name":"A","created_by":"t"}}`, events.TypeRequested, id, id)}
}

// comparer compares an hour after the messages were stored.
func comparer(js jetstream.JetStream, db *fakeReader, limit int) Comparer {
	return Comparer{
		Config: postgresConfig(), JetStream: js, Database: db, Now: time.Now().Add(time.Hour), Limit: limit, Most: 100,
	}
}

func compare(t *testing.T, c Comparer) Comparison {
	t.Helper()
	result, err := c.Compare(t.Context())
	testkit.Must(t, err)
	return result
}

// Of large streams and ledgers the newest part is compared, and what is earlier is not reported as missing.
func TestCompareTheNewest(t *testing.T) {
	t.Parallel()
	const published = 30
	js := newStreams(t)
	begun := time.Now()
	db := &fakeReader{entries: []sql.LedgerEntry{
		ledgerRow("new", stateProvisioned, begun.Add(30*time.Minute)),
		ledgerRow("old", stateProvisioned, begun.Add(-time.Hour)),
	}}
	for i := range published {
		id := fmt.Sprint(i)
		publish(t, js, provisionedEvent(t, id))
		db.entries = append(db.entries, ledgerRow(id, stateProvisioned, time.Now()))
	}
	all := compare(t, comparer(js, db, published+3))
	testkit.Equal(t, "findings", kinds(all.Findings), ledgerOrder("outcome_not_published", "new", "old"))
	testkit.Equal(t, "of all", fmt.Sprint(all.Outcomes, all.Stored, all.Partial), "32 30 false")

	part := compare(t, comparer(js, db, published/3))
	testkit.Equal(t, "findings", kinds(part.Findings), "outcome_not_published t_new")
	testkit.Equal(t, "of the newest", fmt.Sprint(part.Outcomes, part.Stored, part.Partial), "1 30 true")

	// The ledger is small, and the stream is large.
	db.entries = db.entries[:2]
	part = compare(t, comparer(js, db, published/3))
	testkit.Equal(t, "findings", kinds(part.Findings), "outcome_not_published t_new")
	testkit.Equal(t, "a part", part.Partial, true)

	one := comparer(js, db, published+3)
	one.Most = 1
	testkit.Equal(t, "findings", len(compare(t, one).Findings), 1)
}

// ledgerOrder are findings of a kind about the requests with these ids, in the order of the ledger.
func ledgerOrder(kind string, ids ...string) string {
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(key(a), key(b)) })
	text := ""
	for _, id := range ids {
		text += ", " + kind + " t_" + id
	}
	return text[2:]
}

// What the service may still do about a request is not missing.
func TestComparePendingRequests(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	lost := ledgerRow("failed", stateFailed, time.Now())
	lost.DeadLetterConfirmed, lost.DeadLetterStream = true, dayAgo.Format(time.RFC3339Nano) // in a stream that was lost
	db := &fakeReader{entries: []sql.LedgerEntry{
		ledgerRow("decided", stateProvisioned, time.Now()), ledgerRow("busy", stateRunning, time.Now()), lost,
		ledgerRow("begun", stateRunning, time.Now().Add(time.Hour)),
	}}
	const limit = 10
	found := compare(t, comparer(js, db, limit)).Findings
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(a.Kind+Kind(a.Tenant), b.Kind+Kind(b.Tenant)) })
	testkit.Equal(t, "without messages", kinds(found), "dead_letter_missing t_failed, outcome_not_published t_decided, "+
		"outcome_not_published t_failed, request_missing t_busy")

	publish(t, js, requestMessage("decided"), requestMessage("busy"), requestMessage("failed"))
	found = compare(t, comparer(js, db, limit)).Findings
	testkit.Equal(t, "while the requests are pending", kinds(found), "")

	for i := range limit {
		publish(t, js, requestMessage(fmt.Sprint(i)))
	}
	result := compare(t, comparer(js, db, limit))
	testkit.Equal(t, "while many are pending", fmt.Sprintf("%q %d", kinds(result.Findings), result.Undecided), `"" 4`)

	letter := &nats.Msg{Subject: events.DeadLetterSubject(key("failed")), Header: nats.Header{"Dead-Letter-Replay": {"0"}}}
	publish(t, js, letter)
	result = compare(t, comparer(js, db, limit))
	testkit.Equal(t, "with the dead letter", fmt.Sprintf("%q %d", kinds(result.Findings), result.Undecided), `"" 3`)
}

// A boundary that is being built, or that an attempt removes again, is not one without a tenant.
func TestCompareBoundaries(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	publish(t, js, provisionedEvent(t, "announced"))
	db := &fakeReader{
		names:   []string{"tenant_t_announced", "tenant_t_built", "tenant_t_stranger"},
		entries: []sql.LedgerEntry{ledgerRow("built", stateRunning, time.Now().Add(time.Hour))},
	}
	testkit.Equal(t, "findings", boundaryNames(compare(t, comparer(js, db, 10))), "tenant_t_stranger")
	testkit.Equal(t, "while others may be running", boundaryNames(compare(t, comparer(js, db, 1))), "")
	removing := comparer(js, nil, 10)
	removing.Database = &removingReader{fakeReader: db}
	testkit.Equal(t, "once it is removed", boundaryNames(compare(t, removing)), "")
}

func boundaryNames(c Comparison) (names string) {
	for _, f := range c.Findings {
		names += f.Boundary
	}
	return names
}

// removingReader is a database in which boundaries are removed once they were read.
type removingReader struct{ *fakeReader }

func (r *removingReader) Boundaries(context.Context) ([]string, error) {
	names := r.names
	r.names = nil
	return names, nil
}
