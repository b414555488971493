package page

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a page on a real server, with a clock that the test moves.
type bundle struct {
	*Page
	t      *testing.T
	server *server.Server
	js     jetstream.JetStream
	reason atomic.Pointer[error] // why requests are not taken
	offset atomic.Int64          // of the clock, in nanoseconds
}

// newBundle returns a page without a connection.
func newBundle(t *testing.T) *bundle {
	t.Helper()
	t.Parallel()
	b := &bundle{t: t}
	var err error
	b.Page, err = New(Config{
		Version: "v1.2.3", NATS: "nats://xxxxx@nats.example", Database: "sqlite:storage",
		Steps: []string{"boundary", "tables", "indexes", "validate", "register"},
		Ready: func() error {
			if reason := b.reason.Load(); reason != nil {
				return *reason
			}
			return nil
		},
		Now: func() time.Time { return time.Now().Add(time.Duration(b.offset.Load())) },
	})
	testkit.Must(t, err)
	b.timeout = testkit.Patience // a busy machine answers late
	t.Cleanup(b.Close)
	return b
}

// newConnected returns a page with a connection and empty streams.
func newConnected(t *testing.T) *bundle {
	t.Helper()
	b := newBundle(t)
	b.server = startServer(t)
	nc, err := nats.Connect("", nats.InProcessServer(b.server), nats.MaxReconnects(-1))
	testkit.Must(t, err)
	t.Cleanup(nc.Close)
	b.js, err = jetstream.New(nc)
	testkit.Must(t, err)
	ensureStreams(t, b.js)
	b.Connect(b.js)
	b.Watch(func() Database { return Database{} })
	return b
}

func startServer(t testing.TB) *server.Server {
	t.Helper()
	return natstest.StartServer(t, func(o *server.Options) { o.ServerName, o.DontListen = "test", true })
}

// ensureStreams creates what the service creates.
func ensureStreams(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	testkit.Must(t, handler.Topology{Replicas: 1, Manage: true, AckWait: time.Minute}.Ensure(t.Context(), js))
}

// pass advances the clock.
func (b *bundle) pass(d time.Duration) { b.offset.Add(int64(d)) }

// get requests a path.
func (b *bundle) get(path string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.request(http.MethodGet, path, nil)
}

func (b *bundle) request(method, path string, header http.Header) *httptest.ResponseRecorder {
	b.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, http.NoBody)
	for name, values := range header {
		r.Header[name] = values
	}
	b.ServeHTTP(w, r)
	return w
}

// html returns the current page, after everything cached has expired.
func (b *bundle) html() string {
	b.t.Helper()
	b.pass(time.Minute)
	w := b.get("/")
	if w.Code != http.StatusOK {
		b.t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// shows asserts that the page has every part.
func (b *bundle) shows(parts ...string) (html string) {
	b.t.Helper()
	html = b.html()
	testkit.Contains(b.t, "the page", html, parts...)
	return html
}

// publish publishes an event to the stream of outcomes.
func (b *bundle) publish(subject, body string) (sequence uint64) {
	b.t.Helper()
	ack, err := b.js.Publish(b.t.Context(), subject, []byte(body))
	testkit.Must(b.t, err)
	return ack.Sequence
}

// publishSuccess publishes a success.
func (b *bundle) publishSuccess(tenant string, change func(*events.Provisioned)) (sequence uint64) {
	b.t.Helper()
	data := events.Provisioned{
		TenantID: tenant, DisplayName: "Acme", Request: events.Request{Source: "/billing", ID: tenant}, Attempts: 1,
		DurationMS: 10, Steps: []events.StepTiming{
			{Step: events.Step{Number: 1, Name: "create_isolation_boundary"}, DurationMS: 1.5},
			{Step: events.Step{Number: 2, Name: "initialize_schema"}, DurationMS: 6.25},
		},
	}
	if change != nil {
		change(&data)
	}
	e, err := events.NewProvisioned(outcomeOf(tenant, events.TypeProvisioned), data)
	testkit.Must(b.t, err)
	_, body, err := events.Encode(e)
	testkit.Must(b.t, err)
	return b.publish(events.TypeProvisioned, string(body))
}

// publishFailure publishes a failure.
func (b *bundle) publishFailure(tenant string, code events.CauseCode, message string) (key string) {
	b.t.Helper()
	key = events.RequestKey("/billing", tenant)
	e, err := events.NewProvisioningFailed(outcomeOf(tenant, events.TypeProvisioningFailed), events.ProvisioningFailed{
		TenantID: tenant, Request: &events.Request{Source: "/billing", ID: tenant}, Attempts: 3,
		Step: events.Step{Number: 4, Name: "validate_schema"}, Cause: events.Cause{Code: code, Message: message},
		DeadLetter: events.DeadLetter{Stream: events.StreamDeadLetters, Subject: events.DeadLetterSubject(key)},
	})
	testkit.Must(b.t, err)
	_, body, err := events.Encode(e)
	testkit.Must(b.t, err)
	b.publish(events.TypeProvisioningFailed, string(body))
	return key
}

func outcomeOf(tenant, eventType string) events.Outcome {
	return events.Outcome{
		ID: events.OutcomeID("/billing", tenant, 0, eventType), Source: events.DefaultSource, Time: time.Now(),
	}
}

// publishDeadLetter publishes a dead letter.
func (b *bundle) publishDeadLetter(key, reason string, age time.Duration) {
	b.t.Helper()
	_, err := b.js.PublishMsg(b.t.Context(), &nats.Msg{
		Subject: events.DeadLetterSubject(key), Data: []byte("x"),
		Header: nats.Header{
			"Dead-Letter-Reason": {reason}, "Dead-Letter-Time": {b.Now().Add(-age).Format(time.RFC3339Nano)},
		},
	})
	testkit.Must(b.t, err)
}

// faulty is a JetStream that counts requests, and blocks them while stalled, whatever their context.
type faulty struct {
	jetstream.JetStream
	stalled atomic.Pointer[chan struct{}]
	streams atomic.Int64 // lookups of streams
	lists   atomic.Int64 // consumers created to read dead letters
}

// injectFault puts a faulty JetStream between the page and its server.
func (b *bundle) injectFault() *faulty {
	f := &faulty{JetStream: b.js}
	b.Connect(f)
	return f
}

func (f *faulty) stall() (proceed func()) {
	stalled := make(chan struct{})
	f.stalled.Store(&stalled)
	return func() {
		f.stalled.Store(nil)
		close(stalled)
	}
}

func (f *faulty) wait() {
	if stalled := f.stalled.Load(); stalled != nil {
		<-*stalled
	}
}

func (f *faulty) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	f.streams.Add(1)
	f.wait()
	return f.JetStream.Stream(ctx, name)
}

func (f *faulty) CreateConsumer(
	ctx context.Context, stream string, c jetstream.ConsumerConfig,
) (jetstream.Consumer, error) {
	if stream == events.StreamDeadLetters {
		f.lists.Add(1)
	}
	f.wait()
	return f.JetStream.CreateConsumer(ctx, stream, c)
}

var errDown = errors.New("the database is down")
