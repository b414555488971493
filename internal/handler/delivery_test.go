package handler

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestReplayNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header nats.Header
		want   int
	}{
		{nil, 0},
		{nats.Header{"Replay-Number": {"1"}}, 1},
		{nats.Header{"replay-number": {"12"}}, 12},
		{nats.Header{"REPLAY-NUMBER": {"2147483647"}}, 2147483647},
		{nats.Header{"Replay-Number": {"2147483648"}}, 0},
		{nats.Header{"Replay-Number": {"-1"}}, 0},
		{nats.Header{"Replay-Number": {"0"}}, 0},
		{nats.Header{"Replay-Number": {"1.5"}}, 0},
		{nats.Header{"Replay-Number": {"2147483646"}}, 2147483646},
		{nats.Header{"Replay-Number": {"1000000000"}}, 1000000000},
		{nats.Header{"Replay-Number": {"1000000001"}}, 1000000001}, // the ledger decides whether it counts
		{nats.Header{"Replay-Number": {"4294967297"}}, 0},          // truncated to 32 bits it would be 1
		{nats.Header{"Replay-Number": {"9223372036854775807"}}, 0},
		{nats.Header{"Replay-Number": {"9223372036854775808"}}, 0},
		{nats.Header{"Replay-Number": {"18446744073709551617"}}, 0}, // truncated to 64 bits it would be 1
		{nats.Header{"Replay-Number": {"99999999999999999999"}}, 0},
		{nats.Header{"Replay-Number": {"-2147483648"}}, 0},
		{nats.Header{"Replay-Number": {" 1"}}, 1},
		{nats.Header{"Replay-Number": {"1 "}}, 1},
		{nats.Header{"Replay-Number": {"\t 1 \t"}}, 1},
		{nats.Header{"Replay-Number": {"1 2"}}, 0},
		{nats.Header{"Replay-Number": {"\u00a01"}}, 0}, // a no-break space
		{nats.Header{"Replay-Number": {" "}}, 0},
		{nats.Header{"Replay-Number": {"007"}}, 7},
		{nats.Header{"Replay-Number": {"+1"}}, 0},
		{nats.Header{"Replay-Number": {"-0"}}, 0},
		{nats.Header{"Replay-Number": {"0x1"}}, 0},
		{nats.Header{"Replay-Number": {"1e3"}}, 0},
		{nats.Header{"Replay-Number": {"1_000"}}, 0},
		{nats.Header{"Replay-Number": {"1,2"}}, 0},
		{nats.Header{"Replay-Number": {"١"}}, 0},
		{nats.Header{"Replay-Number": {"１"}}, 0},
		{nats.Header{"Replay-Number": {"1\x00"}}, 0},
		{nats.Header{"Replay-Number": {"1", "3", "2"}}, 3},
		{nats.Header{"Replay-Number": {"x", "9223372036854775807", "2", "-7"}}, 2},
		{nats.Header{"Replay-Number": {"1"}, "replay-number": {"3"}, "REPLAY-NUMBER": {"2"}}, 3},
		{nats.Header{"Replay-Number": {"x"}, "rePlay-number": {"4", "5"}, "X-Replay-Number": {"9"}}, 5},
		{nats.Header{"Replay-Number ": {"1"}}, 0},
		{nats.Header{"Replay-Number": {"one"}}, 0},
		{nats.Header{"Replay-Number": {""}}, 0},
		{nats.Header{"Replay-Number": {}}, 0},
		{nats.Header{"X-Replay-Number": {"1"}}, 0},
	} {
		for range 20 { // the order of a map must not matter
			if got := replayNumber(c.header); got != c.want {
				t.Errorf("%q: got %d, want %d", c.header, got, c.want)
			}
		}
	}
}

// All encodings of a request have the same result.
func TestEveryInputMode(t *testing.T) {
	t.Parallel()
	data := events.Requested{TenantID: "acme", DisplayName: "Zürich “North”", CreatedBy: "test"}
	e, err := events.NewRequested("/billing/ä b", "order 1%", data)
	testkit.Must(t, err)
	e.SetExtension("correlationid", "c-1")
	e.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	header, structured, err := events.Encode(e)
	testkit.Must(t, err)
	binaryHeader, body, err := events.EncodeBinary(e)
	testkit.Must(t, err)
	upper := nats.Header{}
	for name, values := range binaryHeader {
		upper[strings.ToUpper(name)] = values
	}
	for name, msg := range map[string]*nats.Msg{
		"structured":             {Header: header, Data: structured},
		"structured, parameters": {Header: nats.Header{"Content-Type": {"application/CloudEvents+json; charset=utf-8"}}, Data: structured},
		"binary":                 {Header: binaryHeader, Data: body},
		"binary, upper case":     {Header: upper, Data: body},
		"bare":                   {Data: structured},
		"bare, JSON":             {Header: nats.Header{"Content-Type": {"application/json"}}, Data: structured},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			msg.Subject = events.TypeRequested
			b.publish(msg)
			b.start()
			b.awaitSettled()
			outcome := b.outcome()
			got, err := events.ProvisionedFrom(outcome)
			testkit.Must(t, err)
			testkit.Equal(t, "request", got.Request, events.Request{
				Source: "/billing/ä b", ID: "order 1%", Key: events.RequestKey("/billing/ä b", "order 1%"),
			})
			testkit.Equal(t, "display name", got.DisplayName, data.DisplayName)
			testkit.Equal(t, "outcome id", outcome.ID(), events.OutcomeID("/billing/ä b", "order 1%", 0, events.TypeProvisioned))
			testkit.Equal(t, "subject", outcome.Subject(), "acme")
			for extension, want := range map[string]any{
				"correlationid": "c-1", "causationid": "order 1%", "traceparent": e.Extensions()["traceparent"],
			} {
				testkit.Equal(t, extension, outcome.Extensions()[extension], want)
			}
		})
	}
}

func TestUnsupportedEventType(t *testing.T) {
	b := newBundle(t)
	msg := b.request("order", "acme")
	var fields map[string]any
	testkit.Must(t, json.Unmarshal(msg.Data, &fields))
	fields["type"] = "tenant.deleted"
	var err error
	msg.Data, err = json.Marshal(fields)
	testkit.Must(t, err)
	b.publish(msg)
	b.start()
	b.awaitSettled()
	failed := b.failure()
	testkit.Equal(t, "cause", failed.Cause.Code, events.CauseUnsupportedEventType)
	testkit.Equal(t, "step", failed.Step, events.Step{Number: 0, Name: "validate_request"})
	testkit.Equal(t, "reason", reasons(b.deadLetter())["Reason"], "UNSUPPORTED_EVENT_TYPE")
}

// A redelivery of a decided request publishes the recorded outcome, once.
func TestFinishedRequestKeepsItsOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tenant  string
		letters int
	}{"provisioned": {"acme", 0}, "failed": {"not an id", 1}} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			b.start()
			b.publish(b.request("order", c.tenant))
			b.awaitSettled()
			first := b.outcome()
			// If the stream of outcomes no longer has it, the same bytes are published again.
			testkit.Must(t, b.streamOf(events.StreamEvents).Purge(t.Context()))
			b.publish(b.request("order", c.tenant), b.request("order", c.tenant))
			b.awaitSettled()
			// Within the duplicate window the stream stores an id once.
			b.counts(0, c.letters)
			testkit.Equal(t, "deliveries", b.delivered(), 3)
			testkit.Equal(t, "attempts", b.db.attempts("order"), 1)

			testkit.Must(t, b.js.DeleteStream(t.Context(), events.StreamEvents))
			err := b.config.Topology.Ensure(t.Context(), b.js)
			testkit.Must(t, err)
			b.publish(b.request("order", c.tenant))
			b.awaitSettled()
			again := b.outcome()
			testkit.Equal(t, "outcome", again.String(), first.String())
		})
	}
}

// A replay above the ledger's number is a new run with its own outcome; the same number again is a redelivery of it.
func TestReplay(t *testing.T) {
	b := newBundle(t)
	b.db.tenants["acme"] = true
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	b.counts(1, 1)
	b.db.mu.Lock()
	delete(b.db.tenants, "acme")
	b.db.mu.Unlock()

	for range 2 {
		again := b.request("order", "acme")
		again.Header[ReplayHeader] = []string{"1"}
		b.publish(again)
		b.awaitSettled()
		all := b.outcomes()
		testkit.Equal(t, "outcomes", causes(t, all), "PROVISIONED 1, TENANT_EXISTS 1")
		data, err := events.ProvisionedFrom(all[1])
		testkit.Must(t, err)
		testkit.Equal(t, "replay", data.Replay, 1)
		testkit.Equal(t, "outcome id", all[1].ID(), events.OutcomeID(billing, "order", 1, events.TypeProvisioned))
	}
}
