package recovery

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// fakeReader is a database that commits the late entries after Entries was called.
type fakeReader struct {
	database.Reader
	names    []string
	entries  []sql.LedgerEntry
	late     map[string]sql.LedgerEntry
	tenants  []sql.TenantRow
	tables   map[string]int // of boundaries that Boundaries does not return
	accepted map[string]bool
}

func (f *fakeReader) Stamp(context.Context) (sql.Stamp, error)     { return sql.Stamp{}, nil }
func (f *fakeReader) Boundaries(context.Context) ([]string, error) { return f.names, nil }
func (f *fakeReader) IsAccepted(_ context.Context, id string) (bool, error) {
	return f.accepted[id], nil
}

func (f *fakeReader) Entries(_ context.Context, after string, limit int) (page []sql.LedgerEntry, _ error) {
	for _, e := range f.entries {
		if e.Key > after && len(page) < limit {
			page = append(page, e)
		}
	}
	return page, nil
}

func (f *fakeReader) Entry(_ context.Context, key string) (sql.LedgerEntry, error) {
	if e, found := f.late[key]; found {
		return e, nil
	}
	return sql.LedgerEntry{}, sql.ErrNotFound
}

func (f *fakeReader) Tenants(_ context.Context, after string, _ int) ([]sql.TenantRow, error) {
	if after != "" {
		return nil, nil
	}
	return f.tenants, nil
}

func (f *fakeReader) Verify(_ context.Context, t sql.TenantRow) (pipeline.Inspection, error) {
	return pipeline.Inspection{Tables: f.tables[t.Boundary.Name()]}, nil
}

func postgresConfig() config.Config {
	return config.Config{
		DatabaseURL: "postgres://db/x", SchemaTemplate: "tenant_{tenant_id}", RegistrySchema: "docex_system", AckWait: ackWait,
		EventSource: events.DefaultSource,
	}
}

// provisionedEvent is the outcome of the request with that id, for the tenant of that name.
func provisionedEvent(t *testing.T, id string) *nats.Msg {
	t.Helper()
	e, err := events.NewProvisioned(events.Outcome{
		ID: events.OutcomeID("/billing", id, 0, events.TypeProvisioned), Source: events.DefaultSource, Time: dayAgo,
	}, events.Provisioned{
		TenantID: "t_" + id, DisplayName: "Acme", IsolationStrategy: "schema", SchemaName: "tenant_t_" + id, CreatedAt: dayAgo,
		CreatedBy: "test", Request: events.Request{Source: "/billing", ID: id}, Attempts: 1,
	})
	testkit.Must(t, err)
	return encoded(t, e)
}

func encoded(t *testing.T, e event.Event) *nats.Msg {
	t.Helper()
	header, body, err := events.Encode(e)
	testkit.Must(t, err)
	return &nats.Msg{Subject: e.Type(), Header: header, Data: body}
}

func publish(t *testing.T, js jetstream.JetStream, messages ...*nats.Msg) {
	t.Helper()
	for _, msg := range messages {
		_, err := js.PublishMsg(t.Context(), msg)
		testkit.Must(t, err)
	}
}

// publishMany publishes n messages, and waits for the server before the client would give up on a busy machine.
func publishMany(t *testing.T, js jetstream.JetStream, n int, message func(i int) *nats.Msg) {
	t.Helper()
	const most = 500
	for i := range n {
		_, err := js.PublishMsgAsync(message(i))
		testkit.Must(t, err)
		if i%most == most-1 {
			testkit.Receive(t, "these are stored", js.PublishAsyncComplete())
		}
	}
	testkit.Receive(t, "all are stored", js.PublishAsyncComplete())
}

func read(t *testing.T, js jetstream.JetStream, db database.Reader) *state {
	t.Helper()
	s, err := readState(t.Context(), postgresConfig(), js, db)
	testkit.Must(t, err)
	return s
}

// acceptIDOf is under what the outcome is accepted.
func acceptIDOf(t *testing.T, msg *nats.Msg) string {
	t.Helper()
	o, ok := readOutcome(&jetstream.RawStreamMsg{Subject: msg.Subject, Header: msg.Header, Data: msg.Data})
	testkit.Equal(t, "an outcome", ok, true)
	return o.acceptID()
}

// kinds are the findings of a plan.
func kinds(found []Finding) string {
	var all []string
	for _, f := range found {
		all = append(all, fmt.Sprintf("%s %s", f.Kind, f.Tenant))
	}
	return strings.Join(all, ", ")
}

// What a running service does between two reads is no finding.
func TestReadBesideAService(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	publish(t, js, provisionedEvent(t, "1"), provisionedEvent(t, "2"), provisionedEvent(t, "3"))
	recorded := func(id string) sql.LedgerEntry {
		return sql.LedgerEntry{
			Key: key(id), TenantID: "t_" + id, State: stateProvisioned, UpdatedAt: time.Now(),
			OutcomeID: events.OutcomeID("/billing", id, 0, events.TypeProvisioned),
		}
	}
	db := &fakeReader{
		entries: []sql.LedgerEntry{recorded("1")},
		late:    map[string]sql.LedgerEntry{key("2"): recorded("2")},
		names:   []string{"tenant_t_1", "tenant_t_3"},
		tables:  map[string]int{"tenant_t_2": 11}, // made after the boundaries were read
	}
	for _, id := range []string{"1", "2"} {
		db.tenants = append(db.tenants, sql.TenantRow{Tenant: pipeline.Tenant{
			ID: "t_" + id, Boundary: pipeline.Boundary{SchemaName: "tenant_t_" + id}, CreatedAt: dayAgo, CreatedBy: "test",
		}})
	}
	testkit.Equal(t, "findings", kinds(plan(read(t, js, db))), "provisioned_not_recorded t_3")
	db.accepted = map[string]bool{acceptIDOf(t, provisionedEvent(t, "3")): true}
	testkit.Equal(t, "accepted", kinds(plan(read(t, js, db))), "")
	db.accepted, db.names, db.tables = nil, nil, nil
	testkit.Equal(t, "without boundaries", kinds(plan(read(t, js, db))), "data_lost t_3, data_lost t_1, data_lost t_2")
	testkit.Equal(t, "without a registry", kinds(plan(read(t, js, nil))),
		"provisioned_not_recorded t_1, provisioned_not_recorded t_2, provisioned_not_recorded t_3")
}

// A request that an earlier version failed as undecodable is decided, also if this version could decode it.
func TestReadWhatWasUndecodable(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	e, err := events.NewRequested("/billing", "1", events.Requested{TenantID: "acme", DisplayName: "Acme", CreatedBy: "test"})
	testkit.Must(t, err)
	publish(t, js, encoded(t, e))
	stream, err := js.Stream(t.Context(), events.StreamRequests)
	testkit.Must(t, err)
	stored, err := stream.GetMsg(t.Context(), 1)
	testkit.Must(t, err)
	undecodable := events.UndecodableKey(events.StreamRequests, 1, stored.Time, stored.Data)
	outcome := events.UndecodableOutcomeID(undecodable, 0)
	passed := func(db database.Reader) string {
		s := read(t, js, db)
		s.requests.floor = 1
		return kinds(plan(s))
	}
	testkit.Equal(t, "without a trace", passed(&fakeReader{}), "request_not_decided acme")
	testkit.Equal(t, "in the ledger, without its dead letter", passed(&fakeReader{entries: []sql.LedgerEntry{
		{Key: undecodable, State: stateFailed, UpdatedAt: time.Now(), OutcomeID: outcome, DeadLetterConfirmed: true},
	}}), "dead_letter_missing ")
	failed, err := events.NewProvisioningFailed(
		events.Outcome{ID: outcome, Source: events.DefaultSource, Time: dayAgo}, events.ProvisioningFailed{
			Cause: events.Cause{Code: events.CauseUndecodableEvent},
		})
	testkit.Must(t, err)
	publish(t, js, encoded(t, failed))
	testkit.Equal(t, "only announced", passed(&fakeReader{}), "")
}

// Streams in unusual states are read to their end.
func TestReadUnusualStreams(t *testing.T) {
	t.Parallel()
	js := newStreams(t)
	begun := time.Now()
	empty := read(t, js, &fakeReader{})
	testkit.Equal(t, "requests until the creation of the stream", empty.requests.last.Before(begun), true)
	publish(t, js, &nats.Msg{Subject: events.TypeProvisioned, Data: []byte("no event")}, provisionedEvent(t, "1"),
		provisionedEvent(t, "2"), provisionedEvent(t, "3"),
		&nats.Msg{Subject: events.TypeRequested, Data: []byte("no event")})
	stream, err := js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	testkit.Must(t, stream.DeleteMsg(t.Context(), 4)) // the last one
	s := read(t, js, &fakeReader{})
	testkit.Equal(t, "outcomes", len(s.outcomes.byKey), 2)
	testkit.Equal(t, "requests", len(s.requests.byKey), 1)
	testkit.Equal(t, "nothing has expired", s.outcomes.expiredBefore.IsZero(), true)
	testkit.Must(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(3)))
	s = read(t, js, &fakeReader{})
	testkit.Equal(t, "outcomes", len(s.outcomes.byKey), 1)
	testkit.Equal(t, "what was removed has not expired", s.outcomes.expiredBefore.IsZero(), true)
	testkit.Must(t, stream.Purge(t.Context()))
	s = read(t, js, &fakeReader{})
	testkit.Equal(t, "outcomes", len(s.outcomes.byKey), 0)
	testkit.Equal(t, "a purged stream has not expired", s.outcomes.expiredBefore.IsZero(), true)
	testkit.Must(t, js.DeleteStream(t.Context(), events.StreamEvents))
	_, err = readState(t.Context(), postgresConfig(), js, &fakeReader{})
	testkit.Contains(t, "error", fmt.Sprint(err), "stream TENANT_EVENTS does not exist")
}

// Only a stream with limits drops messages by itself.
func TestExpiredBefore(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first := now.Add(-time.Hour)
	for name, c := range map[string]struct {
		config jetstream.StreamConfig
		state  jetstream.StreamState
		want   time.Time
	}{
		"no limits":               {jetstream.StreamConfig{MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1}, jetstream.StreamState{FirstSeq: 5, Msgs: 3, FirstTime: first}, time.Time{}},
		"number":                  {jetstream.StreamConfig{MaxMsgs: 3}, jetstream.StreamState{FirstSeq: 5, Msgs: 3, FirstTime: first}, first},
		"number, nothing dropped": {jetstream.StreamConfig{MaxMsgs: 3}, jetstream.StreamState{FirstSeq: 1, Msgs: 3, FirstTime: first}, time.Time{}},
		"size":                    {jetstream.StreamConfig{MaxBytes: 3}, jetstream.StreamState{FirstSeq: 5, Msgs: 3, FirstTime: first}, first},
		"number a subject":        {jetstream.StreamConfig{MaxMsgsPerSubject: 1}, jetstream.StreamState{FirstSeq: 5, Msgs: 3, FirstTime: first}, first},
		"size, empty":             {jetstream.StreamConfig{MaxBytes: 3}, jetstream.StreamState{FirstSeq: 5}, now},
		"age":                     {jetstream.StreamConfig{MaxAge: time.Minute}, jetstream.StreamState{FirstSeq: 5, Msgs: 3, FirstTime: first}, now.Add(-time.Minute)},
		"age, nothing dropped":    {jetstream.StreamConfig{MaxAge: time.Minute}, jetstream.StreamState{}, now.Add(-time.Minute)},
		"age and number":          {jetstream.StreamConfig{MaxAge: 2 * time.Hour, MaxMsgs: 3}, jetstream.StreamState{FirstSeq: 5, Msgs: 3, FirstTime: first}, first},
	} {
		got := expiredBefore(&jetstream.StreamInfo{Config: c.config, State: c.state}, now)
		testkit.Equal(t, name, got, c.want)
	}
}

// What is kept of ten thousand outcomes that the database lacks.
func TestReadManyOutcomes(t *testing.T) {
	const n, most = 10_000, 100 << 20
	js := newStreams(t)
	publishMany(t, js, n, func(i int) *nats.Msg { return provisionedEvent(t, fmt.Sprint(i)) })
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, begun := heap(), time.Now()
	s := read(t, js, &fakeReader{})
	took := time.Since(begun)
	found := plan(s)
	after := heap()
	more := after - min(before, after)
	t.Logf("%d outcomes: read in %s, compared in %s, %d KiB more", n, took, time.Since(begun)-took, more>>10)
	testkit.Equal(t, "findings", len(found), n)
	if more > most {
		t.Errorf("%d bytes more", more)
	}
	runtime.KeepAlive(s)
}
