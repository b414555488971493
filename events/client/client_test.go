package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/events/eventstest"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

const billing = "/billing"

// patient is a context that ends only in a failing test.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	t.Cleanup(cancel)
	return ctx
}

// streams returns a JetStream handle of a new server with the streams of the contract.
func streams(t *testing.T) jetstream.JetStream {
	t.Helper()
	js := natstest.JetStream(t, natstest.Start(t))
	eventstest.CreateStreams(t, js)
	return js
}

func open(t *testing.T, js jetstream.JetStream) *client.Client {
	t.Helper()
	c, err := client.Open(patient(t), js)
	testkit.Must(t, err)
	t.Cleanup(c.Close)
	return c
}

func requested(tenant string) events.Requested {
	return events.Requested{TenantID: tenant, DisplayName: "Acme", CreatedBy: "test"}
}

func request(t *testing.T, id, tenant string) event.Event {
	t.Helper()
	e, err := events.NewRequested(billing, id, requested(tenant))
	testkit.Must(t, err)
	return e
}

// consumers are those of the stream of outcomes.
func consumers(t *testing.T, js jetstream.JetStream) int {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	return stream.CachedInfo().State.Consumers
}

func TestRequestAndAwait(t *testing.T) {
	t.Parallel()
	js := streams(t)
	eventstest.Serve(t, js, nil)
	c, ctx := open(t, js), patient(t)

	receipt, err := c.Request(ctx, billing, "order-1", requested("acme"))
	testkit.Must(t, err)
	testkit.Equal(t, "sequence", receipt.Sequence, 1)
	testkit.Equal(t, "key", receipt.Key(), events.RequestKey(billing, "order-1"))
	outcome, err := c.Await(ctx, receipt)
	testkit.Must(t, err)
	testkit.Equal(t, "schema", outcome.Provisioned.SchemaName, "tenant_acme")
	testkit.Equal(t, "id", outcome.ID(), events.OutcomeID(billing, "order-1", 0, events.TypeProvisioned))
	again, err := c.Await(ctx, receipt) // a receipt keeps its outcome
	testkit.Must(t, err)
	testkit.Equal(t, "id again", again.ID(), outcome.ID())

	// A failure is an outcome, not an error.
	e := request(t, "order-2", "acme")
	testkit.Must(t, e.SetData(event.ApplicationJSON, requested("not an id")))
	e.SetSubject("")
	receipt, err = c.Publish(ctx, e)
	testkit.Must(t, err)
	outcome, err = c.Await(ctx, receipt)
	testkit.Must(t, err)
	testkit.Equal(t, "cause", outcome.Failed.Cause.Code, events.CauseInvalidTenantID)
	testkit.Equal(t, "step", outcome.Failed.Step.Name, "validate_request")
	testkit.Equal(t, "provisioned", outcome.Provisioned == nil, true)
}

// Guarantee 1: the same source and id have the same outcome, also for another client.
func TestRequestIsRepeated(t *testing.T) {
	t.Parallel()
	js := streams(t)
	eventstest.Serve(t, js, nil)
	ctx := patient(t)
	for n := range 3 {
		c := open(t, js)
		receipt, err := c.Request(ctx, billing, "order-1", requested("acme"))
		testkit.Must(t, err)
		testkit.Equal(t, "duplicate", receipt.Duplicate, n > 0)
		outcome, err := c.Await(ctx, receipt)
		testkit.Must(t, err)
		testkit.Equal(t, "id", outcome.ID(), events.OutcomeID(billing, "order-1", 0, events.TypeProvisioned))
	}
	stream, err := js.Stream(ctx, events.StreamEvents)
	testkit.Must(t, err)
	testkit.Equal(t, "outcomes", stream.CachedInfo().State.Msgs, 1)

	// Another tenant under the same source and id was not requested.
	c := open(t, js)
	receipt, err := c.Request(ctx, billing, "order-1", requested("other"))
	testkit.Must(t, err)
	outcome, err := c.Await(ctx, receipt)
	if !errors.Is(err, client.ErrOtherTenant) || outcome.TenantID() != "acme" {
		t.Errorf("%v, %v", outcome.TenantID(), err)
	}

	// Without a client, a repeat within the stream's window is dropped.
	receipt, err = client.Request(ctx, js, billing, "order-1", requested("acme"))
	testkit.Must(t, err)
	testkit.Equal(t, "duplicate", receipt.Duplicate, true)
	testkit.Equal(t, "sequence", receipt.Sequence, 1)
}

// A repeated request has its outcome also if the connection was lost when the service published that again: the stream
// has only the first publication.
func TestRepeatOverALostConnection(t *testing.T) {
	t.Parallel()
	js, ctx := streams(t), patient(t)
	_, err := client.Request(ctx, js, billing, "order-0", requested("other")) // so that the sequence is not 1
	testkit.Must(t, err)
	first, err := client.Request(ctx, js, billing, "order-1", requested("acme"))
	testkit.Must(t, err)
	eventstest.Publish(t, js, eventstest.Provisioned(t, request(t, "order-1", "acme"), nil))
	c := open(t, js)
	receipt, err := c.Request(ctx, billing, "order-1", requested("acme"))
	testkit.Must(t, err)
	testkit.Equal(t, "duplicate", receipt.Duplicate, true)
	testkit.Equal(t, "sequence", receipt.Sequence, first.Sequence) // by which another process finds the outcome
	testkit.Must(t, js.Conn().ForceReconnect())
	outcome, err := c.Await(ctx, receipt)
	testkit.Must(t, err)
	testkit.Equal(t, "tenant", outcome.TenantID(), "acme")
}

// Guarantee 3: an outcome from before the client is found, of the highest replay; the receipt may have been stored.
func TestAwaitFindsEarlierOutcomes(t *testing.T) {
	t.Parallel()
	js := streams(t)
	ctx := patient(t)
	for i := range 50 { // of other requests
		eventstest.Publish(t, js, eventstest.Provisioned(t, request(t, fmt.Sprint("other-", i), "other"), nil))
	}
	var stored [][]byte
	for _, id := range []string{"succeeded", "failed", "replayed", "fixed"} {
		receipt, err := client.Request(ctx, js, billing, id, requested(id))
		testkit.Must(t, err)
		text, err := json.Marshal(receipt)
		testkit.Must(t, err)
		stored = append(stored, text)
	}
	replay := func(n int) func(*events.ProvisioningFailed) {
		return func(data *events.ProvisioningFailed) { data.Replay = n }
	}
	failed := func(id string, n int) event.Event {
		return eventstest.Failed(t, request(t, id, id), events.CauseTenantExists, replay(n))
	}
	eventstest.Publish(t, js, eventstest.Provisioned(t, request(t, "succeeded", "succeeded"), nil))
	for _, e := range []event.Event{failed("failed", 0), failed("replayed", 1), failed("replayed", 0), failed("fixed", 0)} {
		eventstest.Publish(t, js, e)
	}
	eventstest.Publish(t, js, eventstest.Provisioned(t, request(t, "fixed", "fixed"), func(data *events.Provisioned) { data.Replay = 1 }))
	_, err := js.Publish(ctx, events.TypeProvisioned, []byte("garbage"))
	testkit.Must(t, err)
	last, err := js.Stream(ctx, events.StreamRequests)
	testkit.Must(t, err)

	c := open(t, js)
	want := []string{
		events.OutcomeID(billing, "succeeded", 0, events.TypeProvisioned),
		events.OutcomeID(billing, "failed", 0, events.TypeProvisioningFailed),
		events.OutcomeID(billing, "replayed", 1, events.TypeProvisioningFailed),
		events.OutcomeID(billing, "fixed", 1, events.TypeProvisioned),
	}
	await := func(what string, change func(*client.Receipt)) {
		for i, text := range stored {
			var receipt client.Receipt
			testkit.Must(t, json.Unmarshal(text, &receipt))
			change(&receipt)
			outcome, err := c.Await(ctx, receipt)
			testkit.Must(t, err)
			testkit.Equal(t, what+": "+receipt.ID, outcome.ID(), want[i])
		}
	}
	await("with its sequence", func(*client.Receipt) {})
	await("without its sequence", func(r *client.Receipt) { r.Sequence = 0 })
	testkit.Must(t, last.Purge(ctx))
	await("after the request has expired", func(*client.Receipt) {})
	testkit.Eventually(t, "one consumer is left", func() bool { return consumers(t, js) == 1 })

	// What is not decided yet is awaited.
	receipt, err := client.Request(ctx, js, billing, "later", requested("later"))
	testkit.Must(t, err)
	got := make(chan string, 1)
	go func() {
		outcome, err := c.Await(ctx, receipt)
		got <- fmt.Sprint(err, " ", outcome.ID())
	}()
	eventstest.Publish(t, js, eventstest.Provisioned(t, request(t, "later", "later"), nil))
	testkit.Equal(t, "a later outcome", testkit.Receive(t, "the outcome", got),
		"<nil> "+events.OutcomeID(billing, "later", 0, events.TypeProvisioned))
}

// Guarantees 2 and 4: hundreds wait with one consumer, and each has its outcome.
func TestManyAwaitWithOneConsumer(t *testing.T) {
	t.Parallel()
	js := streams(t)
	c, ctx := open(t, js), patient(t)
	const n = 300
	var all sync.WaitGroup
	errs := make(chan error, 2*n)
	for i := range n {
		receipt, err := c.Request(ctx, billing, fmt.Sprint(i), requested(fmt.Sprint("t", i)))
		testkit.Must(t, err)
		elsewhere := receipt
		if i%2 == 1 { // as if it came from another process
			text, err := json.Marshal(receipt)
			testkit.Must(t, err)
			elsewhere = client.Receipt{}
			testkit.Must(t, json.Unmarshal(text, &elsewhere))
		}
		all.Go(func() {
			outcome, err := c.Await(ctx, elsewhere)
			if err == nil && outcome.TenantID() != receipt.TenantID {
				err = fmt.Errorf("%s has the outcome of %s", receipt.TenantID, outcome.TenantID())
			}
			errs <- err
		})
	}
	testkit.Eventually(t, "earlier outcomes are read", func() bool { return consumers(t, js) == 1 })
	eventstest.Serve(t, js, nil)
	all.Wait()
	for range n {
		testkit.Must(t, <-errs)
	}
	if left := consumers(t, js); left > 2 {
		t.Errorf("%d consumers", left)
	}
}

// The end of a context ends Await, and the next one has the outcome.
func TestAwaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	js := streams(t)
	c, ctx := open(t, js), patient(t)
	receipt, err := c.Request(ctx, billing, "order-1", requested("acme"))
	testkit.Must(t, err)
	stored := client.Receipt{Source: receipt.Source, ID: receipt.ID}
	short, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("the caller has left"))
	for _, r := range []client.Receipt{receipt, stored} {
		if _, err := c.Await(short, r); err == nil || err.Error() != "the caller has left" {
			t.Error(err)
		}
	}
	eventstest.Serve(t, js, nil)
	for _, r := range []client.Receipt{receipt, stored} {
		_, err := c.Await(ctx, r)
		testkit.Must(t, err)
	}
	c.Close()
	receipt, err = c.Request(ctx, billing, "order-2", requested("acme"))
	testkit.Must(t, err)
	if _, err := c.Await(ctx, receipt); !errors.Is(err, client.ErrClosed) {
		t.Error(err)
	}
	// A server may delete a consumer that it is still creating: this one expires.
	testkit.Eventually(t, "no consumer is left", func() bool { return consumers(t, js) == 0 })
}

// Guarantee 2: a lost connection and a restarted server are waited out.
func TestReadersSurviveARestart(t *testing.T) {
	t.Parallel()
	host, port, err := net.SplitHostPort(testkit.FreeAddr(t))
	testkit.Must(t, err)
	number, err := strconv.Atoi(port)
	testkit.Must(t, err)
	dir := t.TempDir()
	start := func() *server.Server {
		return natstest.StartServer(t, func(o *server.Options) { o.Host, o.Port, o.StoreDir = host, number, dir })
	}
	s := start()
	js := natstest.JetStream(t, s.ClientURL())
	ctx := patient(t)
	for name, subjects := range map[string][]string{
		events.StreamRequests: {events.TypeRequested}, events.StreamEvents: {events.TypeProvisioned, events.TypeProvisioningFailed},
	} {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: subjects})
		testkit.Must(t, err)
	}
	c := open(t, js)
	receipt, err := c.Request(ctx, billing, "order-1", requested("acme"))
	testkit.Must(t, err)
	durable, err := client.Outcomes(ctx, js, client.Options{Durable: "crm"})
	testkit.Must(t, err)
	defer durable.Close()
	all, err := client.Outcomes(ctx, js, client.Options{All: true})
	testkit.Must(t, err)
	defer all.Close()
	awaited, read := make(chan error, 1), make(chan error, 2)
	go func() { _, err := c.Await(ctx, receipt); awaited <- err }()
	for _, s := range []*client.Subscription{durable, all} {
		go func() { _, err := s.Next(ctx); read <- err }()
	}
	s.Shutdown()
	s.WaitForShutdown()
	testkit.Eventually(t, "the connection is lost", func() bool { return !js.Conn().IsConnected() })
	published := make(chan error, 1)
	go func() { // waits for the server
		_, err := client.Request(ctx, js, billing, "order-2", requested("umbrella"))
		published <- err
	}()
	start()
	testkit.Must(t, testkit.Receive(t, "a request that was published while NATS was down", published))
	eventstest.Publish(t, js, eventstest.Provisioned(t, request(t, "order-1", "acme"), nil))
	testkit.Must(t, testkit.Receive(t, "Await", awaited))
	for range 2 {
		testkit.Must(t, testkit.Receive(t, "Next", read))
	}
}

// Errors say what is missing.
func TestErrors(t *testing.T) {
	t.Parallel()
	js := natstest.JetStream(t, natstest.Start(t))
	ctx := patient(t)
	_, err := client.Request(ctx, js, billing, "1", requested("acme"))
	if !errors.Is(err, client.ErrNoStream) {
		t.Error(err)
	}
	testkit.Contains(t, "the error", err.Error(), "TENANT_REQUESTS", "run the service once")
	_, err = client.Open(ctx, js)
	if !errors.Is(err, client.ErrNoStream) {
		t.Error(err)
	}
	for _, durable := range []string{"", "crm"} {
		if _, err = client.Outcomes(ctx, js, client.Options{Durable: durable}); !errors.Is(err, client.ErrNoStream) {
			t.Errorf("%q: %v", durable, err)
		}
	}
	var broken *events.RequestError
	if _, err = client.Request(ctx, js, billing, "1", requested("not an id")); !errors.As(err, &broken) {
		t.Error(err)
	}
	if _, err = client.Request(ctx, js, "", "1", requested("acme")); err == nil {
		t.Error("a request without a source")
	}

	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: events.StreamRequests, Subjects: []string{events.TypeRequested}, MaxMsgs: 1, Discard: jetstream.DiscardNew,
	})
	testkit.Must(t, err)
	_, err = client.Request(ctx, js, billing, "1", requested("acme"))
	testkit.Must(t, err)
	_, err = client.Request(ctx, js, billing, "2", requested("acme"))
	if !errors.Is(err, client.ErrNotStored) {
		t.Error(err)
	}
	js.Conn().Close()
	if _, err = client.Request(ctx, js, billing, "3", requested("acme")); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Error(err)
	}
}

// The end of the stream ends what waits for it.
func TestTheStreamIsDeleted(t *testing.T) {
	t.Parallel()
	js := streams(t)
	c, ctx := open(t, js), patient(t)
	s, err := client.Outcomes(ctx, js, client.Options{})
	testkit.Must(t, err)
	defer s.Close()
	receipt, err := c.Request(ctx, billing, "1", requested("acme"))
	testkit.Must(t, err)
	testkit.Must(t, js.DeleteStream(ctx, events.StreamEvents))
	if _, err := c.Await(ctx, receipt); !errors.Is(err, client.ErrNoStream) {
		t.Error(err)
	}
	if _, err := s.Next(ctx); !errors.Is(err, client.ErrNoStream) {
		t.Error(err)
	}
}
