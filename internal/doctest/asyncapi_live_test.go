package doctest

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// Promise 6: the document describes what the program receives, publishes, dead-letters and replays.
func TestAsyncAPIDescribesWhatIsSent(t *testing.T) {
	t.Parallel()
	url := startNATS(t)
	env := []string{
		"HOME=" + t.TempDir(), "NATS_URL=" + url, "DATABASE_URL=sqlite:" + t.TempDir(), "HTTP_ADDR=", "LOG_FORMAT=json",
	}
	nc, err := nats.Connect(url)
	testkit.Must(t, err)
	t.Cleanup(nc.Close)
	all, err := nc.SubscribeSync("tenant.>") // also receives what is published to streams
	testkit.Must(t, err)
	testkit.Must(t, nc.Flush())
	startService(t, env)

	js, err := jetstream.New(nc)
	testkit.Must(t, err)
	for _, m := range requests(t) {
		_, err := js.PublishMsg(t.Context(), m)
		testkit.Must(t, err)
	}
	a, _ := readAsyncAPI(t)
	seen := map[string]int{}
	watch := func(subject string, n int) {
		for seen[subject] < n {
			m, err := all.NextMsg(patience)
			testkit.Must(t, err)
			channel, name := described(a, m)
			if channel == "" {
				t.Errorf("%s is not a channel of the document", m.Subject)
			}
			seen[a.Channels[channel].Address]++
			if name != "" {
				checkReal(t, a, name, m)
			}
		}
	}
	watch(events.TypeProvisioned, 2)
	watch(events.TypeProvisioningFailed, 2)

	replay := exec.CommandContext(t.Context(), consumer(t), "dead-letters", "replay", "--reason", "TENANT_EXISTS")
	replay.Env = env
	if out, err := replay.CombinedOutput(); err == nil || replay.ProcessState.ExitCode() != 1 {
		t.Errorf("replay: %v\n%s", err, out)
	}
	watch(events.TypeProvisioningFailed, 3)
	if seen[events.SubjectProgressPrefix+"{tenant_id}"] == 0 {
		t.Error("no progress was published")
	}
	if n := seen[events.TypeRequested]; n != 5 {
		t.Errorf("%d requests, want 5", n)
	}
	// The stream refuses a try if the replay removes the dead letter before it just then: it is published again.
	if n := seen["tenant.dead_letter.{key}"]; n < 3 {
		t.Errorf("%d dead letters, want 3", n)
	}
}

// requests returns two requests that succeed, one in each mode, one that fails, and a message that is not an event.
func requests(t *testing.T) []*nats.Msg {
	t.Helper()
	structured := func(id, tenant string) *nats.Msg {
		e, err := events.NewRequested("/billing", id, events.Requested{TenantID: tenant, DisplayName: "A", CreatedBy: "me"})
		testkit.Must(t, err)
		header, body, err := events.Encode(e)
		testkit.Must(t, err)
		return &nats.Msg{Subject: events.TypeRequested, Header: header, Data: body}
	}
	return []*nats.Msg{
		structured("1", "acme"),
		{Subject: events.TypeRequested, Header: nats.Header{
			"ce-specversion": {"1.0"}, "ce-type": {events.TypeRequested}, "ce-source": {"/billing"}, "ce-id": {"2"},
		}, Data: []byte(`{"tenant_id":"umbrella","display_name":"Umbrella","created_by":"me"}`)},
		structured("3", "acme"),
		{Subject: events.TypeRequested, Data: []byte("hello")},
	}
}

// described returns the channel and the message of the document for a real message. It returns no message for what is
// not an event.
func described(a asyncapi, m *nats.Msg) (channel, name string) {
	for channel, c := range a.Channels {
		prefix, _, hasParameter := strings.Cut(c.Address, "{")
		if m.Subject != c.Address && !(hasParameter && strings.HasPrefix(m.Subject, prefix)) {
			continue
		}
		mode := "structured"
		if m.Header.Get("ce-id") != "" {
			mode = "binary"
		}
		if _, err := events.Decode(m.Header, m.Data); err != nil && channel == "requested" {
			return channel, ""
		}
		for message, ref := range c.Messages {
			if len(c.Messages) == 1 || message == mode {
				return channel, strings.TrimPrefix(ref.Ref, "#/components/messages/")
			}
		}
	}
	return "", ""
}

func checkReal(t *testing.T, a asyncapi, name string, m *nats.Msg) {
	t.Helper()
	headers := map[string]string{}
	_, tree := readAsyncAPI(t)
	known := at(tree, "components", "schemas", strings.TrimPrefix(a.Components.Messages[name].Headers.Ref, "#/components/schemas/"), "properties")
	for header := range m.Header {
		headers[header] = m.Header.Get(header)
		if at(known, header) == nil && (strings.HasPrefix(header, "Dead-Letter-") || name != "deadLetter") {
			t.Errorf("%s: header %s is not in the document", name, header)
		}
	}
	var payload any
	if name != "deadLetter" {
		payload = parse(t, string(m.Data))
	}
	checkMessage(t, a, name, headers, payload)
}
