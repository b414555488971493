//go:build bench

package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// patience bounds a round.
const patience = 15 * time.Minute

// load publishes requests and receives their outcomes, as a signup system does.
type load struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	received chan arrival
	last     *nats.Msg // the last request of a burst
}

// arrival is an outcome received.
type arrival struct {
	at   time.Time
	data events.Provisioned
}

// serial numbers the tenants of a run.
var serial atomic.Int64

func newTenant() string { return fmt.Sprintf("t%07d", serial.Add(1)) }

func newLoad(t testing.TB, url string) *load {
	t.Helper()
	nc, err := nats.Connect(url)
	testkit.Must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	testkit.Must(t, err)
	l := &load{nc: nc, js: js, received: make(chan arrival, 20000)}
	consumer, err := js.OrderedConsumer(t.Context(), events.StreamEvents, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverNewPolicy,
	})
	testkit.Must(t, err)
	subscription, err := consumer.Consume(func(msg jetstream.Msg) {
		at := time.Now()
		e, err := events.Decode(msg.Headers(), msg.Data())
		if err != nil {
			panic(err)
		}
		data, err := events.ProvisionedFrom(e)
		if err != nil { // a failure: nothing here may fail
			panic(string(msg.Data()))
		}
		l.received <- arrival{at, data}
	})
	testkit.Must(t, err)
	t.Cleanup(subscription.Stop)
	return l
}

func (l *load) request(t testing.TB) *nats.Msg {
	t.Helper()
	return l.requestFor(t, newTenant())
}

func (l *load) requestFor(t testing.TB, tenant string) *nats.Msg {
	t.Helper()
	e, err := events.NewRequested("/bench", "order-"+tenant, events.Requested{
		TenantID: tenant, DisplayName: "Bench Inc.", CreatedBy: "bench",
	})
	testkit.Must(t, err)
	header, body, err := events.Encode(e)
	testkit.Must(t, err)
	l.last = &nats.Msg{Subject: events.TypeRequested, Header: header, Data: body}
	return l.last
}

// burst publishes n requests at once and waits for all outcomes. It returns the time from the first
// publication to the last outcome.
func (l *load) burst(t testing.TB, n int) (time.Duration, []arrival) {
	t.Helper()
	messages := make([]*nats.Msg, n)
	for i := range messages {
		messages[i] = l.request(t)
	}
	began := time.Now()
	publishAll(t, l.js, n, func(i int) *nats.Msg { return messages[i] })
	arrivals := l.wait(t, n)
	return arrivals[n-1].at.Sub(began), arrivals
}

// one publishes a request and waits for its outcome. It returns the time from the publication's confirmation.
func (l *load) one(t testing.TB) (time.Duration, arrival) {
	t.Helper()
	request := l.request(t)
	_, err := l.js.PublishMsg(context.Background(), request)
	testkit.Must(t, err)
	began := time.Now()
	a := l.wait(t, 1)[0]
	return a.at.Sub(began), a
}

// single is the number of requests that a round sends one after the other.
const single = 40

// latencies sends requests one after the other, and returns how long each took in milliseconds.
func (l *load) latencies(t testing.TB) (all []float64, arrivals []arrival) {
	t.Helper()
	for range single {
		took, a := l.one(t)
		all, arrivals = append(all, milliseconds(took)), append(arrivals, a)
	}
	return all, arrivals
}

func (l *load) wait(t testing.TB, n int) []arrival {
	t.Helper()
	arrivals := make([]arrival, 0, n)
	limit := time.After(patience)
	for len(arrivals) < n {
		select {
		case a := <-l.received:
			arrivals = append(arrivals, a)
		case <-limit:
			t.Fatalf("%d of %d outcomes after %s", len(arrivals), n, patience)
		}
	}
	return arrivals
}

// duplicates delivers n requests that are already finished, and returns the time from the first answer to the last. The
// consumer is paused until all are in the stream. The time starts with the first answer because a consumer does not
// resume immediately.
func (l *load) duplicates(t testing.TB, n int) time.Duration {
	t.Helper()
	answers := make(chan time.Time, n)
	// The stream stores an outcome once. Each publication is visible on its subject.
	subscription, err := l.nc.Subscribe(events.TypeProvisioned, func(*nats.Msg) { answers <- time.Now() })
	testkit.Must(t, err)
	defer subscription.Unsubscribe()
	testkit.Must(t, l.nc.Flush())
	_, err = l.js.PauseConsumer(t.Context(), events.StreamRequests, events.DurableConsumer, time.Now().Add(patience))
	testkit.Must(t, err)
	publishAll(t, l.js, n, func(int) *nats.Msg { return l.last })
	_, err = l.js.ResumeConsumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	var first, last time.Time
	for range n {
		select {
		case last = <-answers:
		case <-time.After(patience):
			t.Fatal("a duplicate has no answer")
		}
		if first.IsZero() {
			first = last
		}
	}
	return last.Sub(first)
}

// stepMeans returns the mean durations of the steps, in milliseconds, as cells of a table.
func stepMeans(arrivals []arrival) (names, cells []string) {
	for i, step := range arrivals[0].data.Steps {
		sum := 0.0
		for _, a := range arrivals {
			sum += a.data.Steps[i].DurationMS
		}
		names, cells = append(names, step.Name), append(cells, figure(sum/float64(len(arrivals))))
	}
	return names, cells
}
