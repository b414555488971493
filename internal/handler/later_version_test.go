package handler

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// A later version adds subjects below tenant.requested to the stream, before it gives this consumer a filter: replicas of
// this version serve what they get, and replay it to its own subject.
func TestFurtherSubjectsOfRequests(t *testing.T) {
	t.Parallel()
	const bulk = events.TypeRequested + ".bulk"
	for name, subject := range map[string]string{"bulk": bulk, "wildcard": events.TypeRequested + ".>"} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			b.config.CheckInterval = often
			h := b.start()
			checked := func() { // a check after the edit, and a start
				b.editConsumer(func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = defaultCheckInterval })
				b.eventually("settings are checked", func() bool { return b.consumer().Config.InactiveThreshold == 0 })
				testkit.Must(t, h.Err())
				h.stop(t)
				h = b.start()
			}
			b.editStream(events.StreamRequests, func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, subject) })
			checked()
			good, bad := b.request("order", "acme"), b.request("refused", "not an id")
			good.Subject, bad.Subject = bulk, bulk
			b.publish(good, bad)
			b.awaitSettled()
			b.counts(2, 1)
			testkit.Equal(t, "subject of the replay", b.requested(b.replay().Sequence).Subject, bulk)
			b.awaitSettled()
			b.counts(3, 1)

			b.editConsumer(func(c *jetstream.ConsumerConfig) { c.FilterSubject = events.TypeRequested })
			checked()
			bad = b.request("of the other consumer", "other")
			bad.Subject = bulk
			b.publish(bad)
			last := b.publish(b.request("order 2", "acme2"))
			b.awaitSettled()
			b.counts(4, 1)
			testkit.Equal(t, "settled", b.consumer().AckFloor.Stream, last)
		})
	}
}

// A replay goes only to subjects of requests.
func TestReplayGoesToSubjectsOfRequests(t *testing.T) {
	b := newBundle(t)
	for subject, is := range map[string]bool{
		"tenant.requested": true, "tenant.requested.bulk": true, "tenant.requested.bulk.eu": true, "tenant.requested.": false,
		"tenant.requested.>": false, "tenant.requested.*": false, "tenant.requested..x": false, "tenant.requestedx": false,
		"tenant.provisioned": false, "tenant": false, "$JS.API.x": false,
	} {
		msg := b.request("order", "acme")
		header := maps.Clone(msg.Header)
		header["Dead-Letter-Replay"], header["Dead-Letter-Subject"] = []string{"0"}, []string{subject}
		b.plant(events.RequestKey(billing, "order"), header, string(msg.Data))
		_, err := b.letters().Check(t.Context(), b.found())
		testkit.Equal(t, fmt.Sprintf("%q is a subject of requests: %v", subject, err), err == nil, is)
	}
}

// Fields, attributes and headers of later versions change nothing.
func TestUnknownFieldsAndHeadersOfRequests(t *testing.T) {
	b := newBundle(t)
	b.start()
	structured, binary := b.request("order", "acme"), b.request("order 2", "acme2")
	structured.Data = []byte(strings.NewReplacer(
		`"tenant_id"`, `"quota":{"bytes":1},"plan":"gold","tenant_id"`, `"specversion"`, `"region":"eu","specversion"`,
	).Replace(string(structured.Data)))
	structured.Header.Set("Tenant-Lane", "bulk")
	binary.Header = map[string][]string{
		"ce-specversion": {"1.0"}, "ce-type": {events.TypeRequested}, "ce-source": {billing}, "ce-id": {"order 2"},
		"ce-datacontenttype": {"application/json"}, "ce-region": {"eu"}, "Tenant-Lane": {"bulk"},
	}
	binary.Data = []byte(`{"tenant_id":"acme2","display_name":"A","created_by":"t","plan":"gold","labels":["x"]}`)
	testkit.Contains(t, "the request", string(structured.Data), "quota", "region")
	b.publish(structured, binary)
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 2")
}
