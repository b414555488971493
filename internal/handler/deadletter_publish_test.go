package handler

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// reasons returns the headers that a dead letter adds to the original, by name without prefix.
func reasons(letter *jetstream.RawStreamMsg) map[string]string {
	all := map[string]string{}
	for name, values := range letter.Header {
		if rest, ok := strings.CutPrefix(name, "Dead-Letter-"); ok {
			all[rest] = strings.Join(values, "|")
		}
	}
	return all
}

func TestDeadLetterIsTheOriginalWithReasons(t *testing.T) {
	b := newBundle(t)
	b.publishTenants(1)
	msg := b.request("order", "Not an id\nat all")
	msg.Header["X-Trace"] = []string{"one", "two"}
	msg.Header["x-lower"] = []string{"kept as it is"}
	msg.Header["Dead-Letter-Reason"] = []string{"an earlier one"}
	msg.Header["dead-letter-step"] = []string{"an earlier one"}
	msg.Header[ReplayHeader] = []string{"3"}
	msg.Header[jetstream.MsgIDHeader] = []string{"publisher-1"}
	sequence := b.publish(msg)
	b.start()
	b.awaitSettled()

	letter := b.deadLetter()
	sum := sha256.Sum256([]byte(billing + "\norder"))
	key := hex.EncodeToString(sum[:])
	testkit.Equal(t, "subject", letter.Subject, "tenant.dead_letter."+key)
	if !bytes.Equal(letter.Data, msg.Data) {
		t.Errorf("data: got %q, want %q", letter.Data, msg.Data)
	}
	for name, want := range map[string]string{
		"content-type": events.ContentType, "X-Trace": "one|two", "x-lower": "kept as it is",
		ReplayHeader: "3", jetstream.MsgIDHeader: "publisher-1", "dead-letter-step": "",
	} {
		testkit.Equal(t, name, strings.Join(letter.Header[name], "|"), want)
	}
	var failed events.ProvisioningFailed
	for _, e := range b.outcomes() {
		if e.Type() == events.TypeProvisioningFailed {
			var err error
			failed, err = events.FailedFrom(e)
			testkit.Must(t, err)
		}
	}
	got := reasons(letter)
	when, err := time.Parse(time.RFC3339Nano, got["Time"])
	testkit.Must(t, err)
	if age := time.Since(when); age < 0 || age > testkit.Patience || when.Location() != time.UTC {
		t.Errorf("Dead-Letter-Time is %s", got["Time"])
	}
	delete(got, "Time")
	delete(got, "Nonce")
	want := map[string]string{
		"Key": key, "Reason": "INVALID_TENANT_ID", "Step": "validate_request", "Attempts": "1", "Replay": "3",
		"Stream": "TENANT_REQUESTS", "Sequence": fmt.Sprint(sequence), "Subject": "tenant.requested",
		"Message": headerText(failed.Cause.Message), "Tenant": `Not an id\nat all`,
		"Header-Dead-Letter-Reason": "an earlier one", "Header-dead-letter-step": "an earlier one",
		"Stored": b.requested(sequence).Time.UTC().Format(time.RFC3339Nano),
	}
	testkit.Equal(t, "reasons", fmt.Sprint(got), fmt.Sprint(want))
	testkit.Equal(t, "dead letter that the outcome names", failed.DeadLetter, events.DeadLetter{Stream: "TENANT_DEAD_LETTERS", Subject: letter.Subject})
}

// The original's instructions to the server are only for its own stream.
func TestDeadLetterHasNoInstructionOfTheOriginal(t *testing.T) {
	b := newBundle(t)
	// JetStream acts on these at publication, so the original arrives through a source that the operator configured.
	original := nats.Header{
		"Nats-Expected-Stream": {"TENANT_REQUESTS"}, "Nats-Expected-Last-Sequence": {"0"},
		"nats-expected-last-msg-id": {"x"}, "Nats-TTL": {"1s"}, "Nats-Rollup": {"all"},
		"Nats-Schedule": {"@at 2030-01-01T00:00:00Z"}, "Nats-Msg-Id": {"id"}, "Native": {"stays"}, "X-Nats-TTL": {"stays"},
	}
	for name := range keepHeader(original, false) {
		if instructs(name) {
			t.Errorf("the dead letter has %s", name)
		}
	}

	msg := b.request("order", "not an id")
	msg.Header["Nats-Expected-Stream"] = []string{events.StreamRequests}
	msg.Header["Nats-Expected-Last-Sequence"] = []string{"0"}
	b.publish(msg)
	b.start()
	b.awaitSettled()
	b.counts(1, 1)
	testkit.Equal(t, "deliveries", b.delivered(), 1)
}

// A publisher uses a Nats-Msg-Id for two requests. The stream of requests detects a duplicate within 2 minutes, and not
// after a purge.
func TestTwoRequestsWithOneMsgIDHaveTwoDeadLetters(t *testing.T) {
	b := newBundle(t)
	stream, err := b.js.Stream(t.Context(), events.StreamRequests)
	testkit.Must(t, err)
	config := stream.CachedInfo().Config
	config.Duplicates = 100 * time.Millisecond
	_, err = b.js.UpdateStream(t.Context(), config)
	testkit.Must(t, err)
	b.start()
	for _, id := range []string{"order-1", "order-2"} {
		msg := b.request(id, "not an id")
		msg.Header[jetstream.MsgIDHeader] = []string{"the same"}
		b.eventually("the duplicate window is over", func() bool {
			ack, err := b.js.PublishMsg(t.Context(), msg)
			testkit.Must(t, err)
			return !ack.Duplicate
		})
	}
	b.awaitSettled()
	b.counts(2, 2)
}

// Invariant 8: a request that is delivered twice has one dead letter. Once removed, a redelivery does not restore it.
func TestRepeatedRequestHasOneDeadLetter(t *testing.T) {
	b := newBundle(t)
	b.start()
	first := b.publish(b.request("order", "not an id"))
	b.awaitSettled()
	b.publish(b.request("order", "not an id"))
	b.awaitSettled()
	b.counts(1, 1)
	letter := b.deadLetter()
	testkit.Equal(t, "sequence", reasons(letter)["Sequence"], fmt.Sprint(first))
	testkit.Must(t, b.streamOf(events.StreamDeadLetters).DeleteMsg(t.Context(), letter.Sequence))
	b.publish(b.request("order", "not an id"))
	b.awaitSettled()
	b.counts(1, 0)
}

// If the ledger did not record the confirmation, the stream detects the duplicate, even after a removal.
func TestDeadLetterWhoseConfirmationIsNotRecorded(t *testing.T) {
	b := newBundle(t)
	b.db.confirmFails = true
	b.start()
	b.publish(b.request("order", "not an id"))
	b.awaitSettled()
	testkit.Must(t, b.streamOf(events.StreamDeadLetters).DeleteMsg(t.Context(), b.deadLetter().Sequence))
	b.publish(b.request("order", "not an id"))
	b.awaitSettled()
	b.counts(1, 0)
}

// The request is within the server's max_payload, but not together with the reasons.
func TestDeadLetterOfTheLargestRequest(t *testing.T) {
	const most = 100_000
	b := newBundle(t, func(o *server.Options) { o.MaxPayload = most })
	msg := nats.NewMsg(events.TypeRequested)
	msg.Data = bytes.Repeat([]byte("x"), most)
	sequence := b.publish(msg)
	b.start()
	b.awaitSettled()
	letter := b.deadLetter()
	got := reasons(letter)
	testkit.Equal(t, "data", len(letter.Data), 0)
	testkit.Equal(t, "sequence", got["Sequence"], fmt.Sprint(sequence))
	testkit.Equal(t, "reason", got["Reason"], "UNDECODABLE_EVENT")
	if got["Omitted"] == "" {
		t.Error("no header Dead-Letter-Omitted")
	}
	testkit.Equal(t, "cause", b.failure().Cause.Code, events.CauseUndecodableEvent)
	testkit.Equal(t, "deliveries", b.delivered(), 1)
}

// The operator has limited the size of messages in the stream of dead letters.
func TestDeadLetterOfARequestFullOfHeaders(t *testing.T) {
	b := newBundle(t)
	b.start()
	msg := b.request("order", "not an id")
	msg.Header["X-Large"] = []string{strings.Repeat("x", 64<<10-200)}
	b.publish(msg)
	b.awaitSettled()
	b.counts(1, 1)
	if reasons(b.deadLetter())["Omitted"] == "" {
		t.Error("no header Dead-Letter-Omitted")
	}
	testkit.Equal(t, "deliveries", b.delivered(), 1)
}

func TestDeadLetterLargerThanItsStreamAllows(t *testing.T) {
	b := newBundle(t)
	stream, err := b.js.Stream(t.Context(), events.StreamDeadLetters)
	testkit.Must(t, err)
	config := stream.CachedInfo().Config
	config.MaxMsgSize = 4000
	_, err = b.js.UpdateStream(t.Context(), config)
	testkit.Must(t, err)
	b.start()
	msg := b.request("order", "not an id")
	msg.Header["X-Large"] = []string{strings.Repeat("x", 8000)}
	b.publish(msg)
	b.awaitSettled()
	b.counts(1, 1)
	if reasons(b.deadLetter())["Omitted"] == "" {
		t.Error("no header Dead-Letter-Omitted")
	}
}

func TestUndecodableMessages(t *testing.T) {
	t.Parallel()
	for name, msg := range map[string]*nats.Msg{
		"empty":      {},
		"text":       {Data: []byte("please make me a tenant")},
		"binary":     {Data: []byte{0xff, 0x00, 0xfe}},
		"batch":      {Header: nats.Header{"Content-Type": {"application/cloudevents-batch+json"}}, Data: []byte("[]")},
		"half event": {Header: nats.Header{"ce-id": {"1"}, "ce-specversion": {"1.0"}}, Data: []byte("{}")},
		"header":     {Header: nats.Header{"ce-id": {"%zz"}, "ce-x_y": {"a\tb"}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			b.publishTenants(2) // so that the two sequences differ
			msg.Subject = events.TypeRequested
			sequence := b.publish(msg)
			testkit.Must(t, b.streamOf(events.StreamEvents).Purge(t.Context()))
			b.start()
			b.awaitSettled()
			key := b.undecodableKey(sequence)
			letter := b.deadLetter()
			got := reasons(letter)
			testkit.Equal(t, "subject", letter.Subject, "tenant.dead_letter."+key)
			testkit.Equal(t, "key", got["Key"], key)
			testkit.Equal(t, "reason", got["Reason"], "UNDECODABLE_EVENT")
			testkit.Equal(t, "tenant", got["Tenant"], "")
			if !bytes.Equal(letter.Data, msg.Data) {
				t.Errorf("data: got %q, want %q", letter.Data, msg.Data)
			}
			for _, e := range b.outcomes() {
				if e.Type() == events.TypeProvisioned {
					continue
				}
				failed, err := events.FailedFrom(e)
				testkit.Must(t, err)
				if failed.Request != nil || failed.TenantID != "" || e.Subject() != "" {
					t.Errorf("the failure names a request or a tenant: %+v", failed)
				}
				testkit.Equal(t, "cause", failed.Cause.Code, events.CauseUndecodableEvent)
				testkit.Equal(t, "outcome id", e.ID(), events.UndecodableOutcomeID(key, 0))
			}
			testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 2, UNDECODABLE_EVENT 1")
		})
	}
}

func (b *bundle) streamOf(name string) jetstream.Stream {
	b.t.Helper()
	stream, err := b.js.Stream(b.t.Context(), name)
	testkit.Must(b.t, err)
	return stream
}

// A newline ends a header, and NATS does not escape it: untrusted text must not inject headers.
func TestReasonsAreSafeInAHeader(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"plain, with \"it\"": `plain, with "it"`,
		"two\r\nlines":       `two\r\nlines`,
		"Zürich":             `Z\u00fcrich`,
		"back\\slash":        `back\\slash`,
		"\xff\x00":           `\xff\x00`,
		`\"\\"`:              `\\"\\\\"`,
	} {
		testkit.Equal(t, fmt.Sprintf("%q", in), headerText(in), want)
		testkit.Equal(t, "restored", readHeaderText(want), in)
	}
	if n := len(headerText(strings.Repeat("ü", 10_000))); n > maxHeaderText+3 {
		t.Errorf("%d bytes", n)
	}

	b := newBundle(t)
	b.db.work = func(context.Context, string, int) error {
		return pipeline.Permanentf(events.CausePermissionDenied, "no right\r\nInjected: yes\r\n\r\nto Zürich")
	}
	b.start()
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	letter := b.deadLetter()
	got := reasons(letter)
	testkit.Equal(t, "Message", got["Message"], `no right\r\nInjected: yes\r\n\r\nto Z\u00fcrich`)
	testkit.Equal(t, "Reason", got["Reason"], "PERMISSION_DENIED")
	testkit.Equal(t, "Step", got["Step"], "initialize_schema")
	testkit.Equal(t, "Tenant", got["Tenant"], "acme")
	testkit.Equal(t, "Injected", letter.Header.Get("Injected"), "")
	Contains(t, "the cause in the outcome", fmt.Errorf("%s", b.failure().Cause.Message), "Zürich")
}
