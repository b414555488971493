package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// twoConsumers starts two services on one NATS and one database.
func twoConsumers(t *testing.T, d testDatabase) jetstream.JetStream {
	t.Helper()
	url := natstest.Start(t)
	env := settings(d.env, with("NATS_URL", url))
	// Concurrently: they race while they create streams and registry.
	first, second := start(t, env, "run"), start(t, env)
	for _, r := range []*running{first, second} {
		testkit.Eventually(t, "both take requests", func() bool { return strings.Contains(r.stderr.String(), "taking requests") })
	}
	return natstest.JetStream(t, url)
}

// publishConcurrently publishes each message from its own goroutine.
func publishConcurrently(t *testing.T, js jetstream.JetStream, messages []*nats.Msg) {
	t.Helper()
	var all sync.WaitGroup
	for _, msg := range messages {
		all.Go(func() {
			if _, err := js.PublishMsg(t.Context(), msg); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// Of several requests for one tenant, on several consumers, one succeeds and the others fail with TENANT_EXISTS.
func TestOneTenantRequestedEightTimesAtOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		js := twoConsumers(t, d)
		for round := range 3 {
			tenant := fmt.Sprintf("acme_%d", round)
			var messages []*nats.Msg
			for i := range 8 {
				messages = append(messages, requestFor(t, fmt.Sprintf("order-%d-%d", round, i), tenant))
			}
			publishConcurrently(t, js, messages)
		}
		awaitSettled(t, js)
		outcomes := storedOutcomes(t, js)
		testkit.Equal(t, "outcomes", countOutcomes(t, outcomes), "TENANT_EXISTS 21, provisioned 3")
		testkit.Equal(t, "registered tenants", strings.Join(d.tenants(), " "), "acme_0 acme_1 acme_2")
		for _, e := range outcomes {
			if e.Type() == events.TypeProvisioned {
				continue
			}
			data, err := events.FailedFrom(e)
			testkit.Must(t, err)
			if data.Step.Number != 0 || len(data.LeftBehind) > 0 {
				t.Errorf("the failed request %s reached step %d and left behind %v", e.ID(), data.Step.Number, data.LeftBehind)
			}
		}
	})
}

// A request has one outcome, however often it is published and on whichever consumer it runs.
func TestOneRequestPublishedEightTimesAtOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		js := twoConsumers(t, d)
		var messages []*nats.Msg
		for round := range 3 {
			for range 8 {
				messages = append(messages, requestFor(t, fmt.Sprintf("order-%d", round), fmt.Sprintf("acme_%d", round)))
			}
		}
		publishConcurrently(t, js, messages)
		awaitSettled(t, js)
		outcomes := storedOutcomes(t, js)
		testkit.Equal(t, "outcomes", countOutcomes(t, outcomes), "provisioned 3")
		for round := range 3 {
			want := events.OutcomeID(billing, fmt.Sprintf("order-%d", round), 0, events.TypeProvisioned)
			if !slices.ContainsFunc(outcomes, func(e event.Event) bool { return e.ID() == want }) {
				t.Errorf("no outcome %s", want)
			}
		}
		testkit.Equal(t, "registered tenants", strings.Join(d.tenants(), " "), "acme_0 acme_1 acme_2")
	})
}

// The service runs its embedded NATS server. Publisher and subscriber have their own connections.
func TestServiceEndToEnd(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		service := serve(t, settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir())))
		url := testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url")
		subscriber, err := nats.Connect(url, nats.Timeout(testkit.Patience))
		testkit.Must(t, err)
		t.Cleanup(subscriber.Close)
		outcomes, err := subscriber.SubscribeSync("tenant.*")
		testkit.Must(t, err)
		testkit.Must(t, subscriber.Flush())

		publisher := natstest.JetStream(t, url)
		for mode, msg := range modes(t) {
			tenant := "tenant_" + mode
			publish(t, publisher, msg)
			got := nextOutcome(t, outcomes)
			testkit.Equal(t, "content-type", got.Header.Get("content-type"), events.ContentType)
			e, err := events.Decode(got.Header, got.Data)
			testkit.Must(t, err)
			data, err := events.ProvisionedFrom(e)
			testkit.Must(t, err)
			testkit.Equal(t, "tenant", data.TenantID, tenant)
			testkit.Equal(t, "outcome id", e.ID(), events.OutcomeID(billing, mode, 0, events.TypeProvisioned))
			testkit.Equal(t, "correlationid", fmt.Sprint(e.Extensions()["correlationid"]), mode)
			testkit.Equal(t, "steps", len(data.Steps), 5)
			testkit.Equal(t, "tables and indexes", fmt.Sprint(data.Tables, data.Indexes), "11 18")
			testkit.Equal(t, "registry rows", fmt.Sprint(d.rows(system,
				"SELECT display_name FROM {b}tenant_registry WHERE tenant_id = '"+tenant+"'")), "[Acme]")
			// The tenant can be used.
			testkit.Equal(t, "rows of a basket", fmt.Sprint(d.rows(tenant,
				"INSERT INTO {b}docbasket (id, name, storage_config) VALUES ('1', 'inbox', '{}') RETURNING status")), "[active]")
		}
		awaitSettled(t, publisher)
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, publisher)), "provisioned 3")
		testkit.Equal(t, "exit code", service.stop(t), 0)
		testkit.Equal(t, "stdout of the service", service.stdout.String(), "")
	})
}

// nextOutcome waits for the next message on a subject of outcomes.
func nextOutcome(t *testing.T, from *nats.Subscription) *nats.Msg {
	t.Helper()
	for {
		msg, err := from.NextMsg(testkit.Patience)
		testkit.Must(t, err)
		if msg.Subject != events.TypeRequested {
			return msg
		}
	}
}

// modes returns one request in each content mode, by the name of the mode.
func modes(t *testing.T) map[string]*nats.Msg {
	t.Helper()
	all := map[string]*nats.Msg{}
	for _, mode := range []string{"binary", "structured", "bare"} {
		e, err := events.NewRequested(billing, mode,
			events.Requested{TenantID: "tenant_" + mode, DisplayName: "Acme", CreatedBy: "test"})
		testkit.Must(t, err)
		encode := events.Encode
		if mode == "binary" {
			encode = events.EncodeBinary
		}
		header, body, err := encode(e)
		testkit.Must(t, err)
		if mode == "bare" {
			header = nil
		}
		all[mode] = &nats.Msg{Subject: events.TypeRequested, Header: header, Data: body}
	}
	return all
}
