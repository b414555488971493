package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// nats-server waits 30 s for the consumer of a mirror or a source, also after it was shut down.
func TestMain(m *testing.M) {
	const stream = "github.com/nats-io/nats-server/v2/server.(*stream)."
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(stream+"setupMirrorConsumer.func3"),
		goleak.IgnoreAnyFunction(stream+"trySetupSourceConsumer.func3"))
}

const (
	billing = "/billing"
)

// natsServer is a real server in this process. It can be stopped, and restarted with its files.
type natsServer struct {
	options server.Options

	mu sync.Mutex
	*server.Server
}

func startNATS(t *testing.T, change ...func(*server.Options)) *natsServer {
	t.Helper()
	s := &natsServer{options: server.Options{
		ServerName: "test", JetStream: true, StoreDir: t.TempDir(), DontListen: true, NoSigs: true, NoLog: true,
	}}
	for _, fn := range change {
		fn(&s.options)
	}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

func (s *natsServer) start(t *testing.T) {
	t.Helper()
	options := s.options
	started, err := server.NewServer(&options)
	testkit.Must(t, err)
	started.Start()
	if !started.ReadyForConnections(testkit.Patience) {
		t.Fatal("the NATS server is not ready")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Server = started
}

func (s *natsServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Shutdown()
	s.WaitForShutdown()
}

// InProcessConn connects to the current server, so that clients reconnect after a restart.
func (s *natsServer) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.Running() {
		return nil, errors.New("the server is stopped")
	}
	return s.Server.InProcessConn()
}

func (s *natsServer) connect(t *testing.T) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	testkit.Must(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// bundle is a server, a database, and the configuration of a handler on them.
type bundle struct {
	t      *testing.T
	server *natsServer
	js     jetstream.JetStream // the test's own, without injected faults
	db     *fakeDatabase
	config Config
	limit  pipeline.Limit

	observer pipeline.Observer // nil: no observer
	now      func() time.Time  // the clock of the pipeline
}

func newBundle(t *testing.T, change ...func(*server.Options)) *bundle {
	t.Helper()
	t.Parallel()
	return newBundleAlone(t, change...)
}

// newBundleAlone is for a test that counts resources of the process.
func newBundleAlone(t *testing.T, change ...func(*server.Options)) *bundle {
	t.Helper()
	s := startNATS(t, change...)
	nc := s.connect(t)
	js, err := jetstream.New(nc)
	testkit.Must(t, err)
	b := &bundle{
		t: t, server: s, js: js, db: newFakeDatabase(), limit: pipeline.Limit{Attempts: 8, Lease: time.Minute}, now: time.Now,
		config: Config{
			Conn: nc, Link: clientLink{nc}, JetStream: js, Workers: 2, DrainTimeout: testkit.Patience,
			Topology: Topology{Replicas: 1, Manage: true, AckWait: testkit.Patience},
			Backoff:  Backoff{Min: 10 * time.Millisecond, Max: 40 * time.Millisecond, Random: func() float64 { return 0 }},
			Log:      slog.New(slog.DiscardHandler),
		},
	}
	err = b.config.Topology.Ensure(t.Context(), js)
	testkit.Must(t, err)
	return b
}

// running is a running handler.
type running struct {
	*Handler
	cancel  context.CancelFunc // stops it, as SIGTERM does
	stopped chan struct{}
	err     error // of Run, once it has returned
}

// start starts a handler, which is stopped at the end of the test, and waits until it is ready.
func (b *bundle) start(change ...func(*Config)) *running {
	b.t.Helper()
	r := b.launch(change...)
	b.eventually("the handler is ready", func() bool { return r.Err() == nil })
	return r
}

// launch does not wait.
func (b *bundle) launch(change ...func(*Config)) *running {
	b.t.Helper()
	config := b.config
	for _, fn := range change {
		fn(&config)
	}
	var err error
	config.Provisioner, err = pipeline.New(pipeline.Config{
		Database: b.db, Source: events.DefaultSource, Limit: b.limit,
		Log: config.Log, Now: b.now, Steps: pipeline.Steps(), Workers: config.Workers,
		Observer: b.observer,
	})
	testkit.Must(b.t, err)
	h, err := New(config)
	testkit.Must(b.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Handler: h, cancel: cancel, stopped: make(chan struct{})}
	go func() {
		defer close(r.stopped)
		r.err = h.Run(ctx)
	}()
	b.t.Cleanup(func() { r.stop(b.t) })
	return r
}

// stop stops the handler and waits until Run has returned.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case <-r.stopped:
		testkit.Must(t, r.err)
	case <-time.After(testkit.Patience + abortTimeout):
		t.Error("Run did not return")
	}
}

// request is a request for a tenant as a structured-mode message. Invalid values are not rejected.
func (b *bundle) request(id, tenant string) *nats.Msg {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "type": events.TypeRequested, "source": billing, "id": id,
		"data": events.Requested{TenantID: tenant, DisplayName: "Acme", CreatedBy: "test"},
	})
	testkit.Must(b.t, err)
	return &nats.Msg{Subject: events.TypeRequested, Header: nats.Header{"content-type": {events.ContentType}}, Data: body}
}

// publish publishes messages and returns the sequence of the last.
func (b *bundle) publish(messages ...*nats.Msg) (sequence uint64) {
	b.t.Helper()
	for _, msg := range messages {
		ack, err := b.js.PublishMsg(b.t.Context(), msg)
		testkit.Must(b.t, err)
		sequence = ack.Sequence
	}
	return sequence
}

// Eventually polls until the condition holds.
func (b *bundle) eventually(what string, condition func() bool) {
	b.t.Helper()
	testkit.Eventually(b.t, what, condition)
}

func (b *bundle) consumer() *jetstream.ConsumerInfo {
	b.t.Helper()
	consumer, err := b.js.Consumer(context.Background(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(b.t, err)
	return consumer.CachedInfo()
}

// awaitSettled waits until every request in the stream is acknowledged. The pending counters are not enough: the
// consumer may not have counted a message that was just stored.
func (b *bundle) awaitSettled() {
	b.t.Helper()
	b.eventually("all requests are settled", func() bool {
		last := b.streamOf(events.StreamRequests).CachedInfo().State.LastSeq
		return b.consumer().AckFloor.Stream == last
	})
}

// stored returns the messages of a stream.
func (b *bundle) stored(name string) []*jetstream.RawStreamMsg {
	b.t.Helper()
	ctx := context.Background()
	var all []*jetstream.RawStreamMsg
	// While a dead letter is replaced, neither the old nor the new one may be listed.
	b.eventually("all of "+name+" is read", func() bool {
		stream, err := b.js.Stream(ctx, name)
		testkit.Must(b.t, err)
		all = b.read(ctx, stream)
		return len(all) == int(stream.CachedInfo().State.Msgs) // a handful
	})
	return all
}

func (b *bundle) read(ctx context.Context, stream jetstream.Stream) (all []*jetstream.RawStreamMsg) {
	b.t.Helper()
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
		msg, err := stream.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		testkit.Must(b.t, err)
		all = append(all, msg)
	}
	return all
}

// outcomes returns the outcomes in their stream. Each must be on the subject that equals its type, with its id as
// Nats-Msg-Id, and be stored once.
func (b *bundle) outcomes() []event.Event {
	b.t.Helper()
	var all []event.Event
	ids := map[string]bool{}
	for _, msg := range b.stored(events.StreamEvents) {
		e, err := events.Decode(msg.Header, msg.Data)
		testkit.Must(b.t, err)
		if msg.Subject != e.Type() || msg.Header.Get(jetstream.MsgIDHeader) != e.ID() || ids[e.ID()] {
			b.t.Errorf("outcome %s of type %s: on subject %s, Nats-Msg-Id %s, already stored: %v",
				e.ID(), e.Type(), msg.Subject, msg.Header.Get(jetstream.MsgIDHeader), ids[e.ID()])
		}
		ids[e.ID()] = true
		all = append(all, e)
	}
	return all
}

// outcome is the only outcome in the stream.
func (b *bundle) outcome() event.Event {
	b.t.Helper()
	all := b.outcomes()
	if len(all) != 1 {
		b.t.Fatalf("%d outcomes, want 1: %v", len(all), all)
	}
	return all[0]
}

// failure is the data of the only outcome, which is a failure.
func (b *bundle) failure() events.ProvisioningFailed {
	b.t.Helper()
	data, err := events.FailedFrom(b.outcome())
	testkit.Must(b.t, err)
	return data
}

// deadLetter is the only dead letter.
func (b *bundle) deadLetter() *jetstream.RawStreamMsg {
	b.t.Helper()
	all := b.stored(events.StreamDeadLetters)
	if len(all) != 1 {
		b.t.Fatalf("%d dead letters, want 1", len(all))
	}
	return all[0]
}

// deadLetterStream names the stream of dead letters as the ledger does.
func (b *bundle) deadLetterStream() string {
	b.t.Helper()
	return storedText(b.streamOf(events.StreamDeadLetters).CachedInfo().Created)
}

// counts asserts how many outcomes and dead letters there are.
func (b *bundle) counts(outcomes, letters int) {
	b.t.Helper()
	if o, l := len(b.outcomes()), len(b.stored(events.StreamDeadLetters)); o != outcomes || l != letters {
		b.t.Errorf("%d outcomes and %d dead letters, want %d and %d", o, l, outcomes, letters)
	}
}

// block makes every attempt wait until release is called or its context ends. entered receives a value from each.
func (b *bundle) block() (entered <-chan string, release func()) {
	in, out := make(chan string, 100), make(chan struct{})
	b.db.work = func(ctx context.Context, tenant string, _ int) error {
		in <- tenant
		select {
		case <-out:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	release = sync.OnceFunc(func() { close(out) })
	b.t.Cleanup(release)
	return in, release
}

// faulty is a JetStream whose publications can fail, before or after they are sent.
type faulty struct {
	jetstream.JetStream
	mu        sync.Mutex
	before    map[string]int // by prefix of the subject: how many publications fail unsent
	after     map[string]int // by prefix of the subject: how many are stored, but their PubAck is lost
	published []string       // subjects of stored messages, in order
	failed    chan string    // subjects of failed publications
}

func newFaulty(js jetstream.JetStream) *faulty {
	return &faulty{JetStream: js, before: map[string]int{}, after: map[string]int{}, failed: make(chan string, 1000)}
}

var errInjected = errors.New("injected")

// take uses up one fault for the subject.
func (f *faulty) take(faults map[string]int, subject string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for prefix, n := range faults {
		if strings.HasPrefix(subject, prefix) && n > 0 {
			faults[prefix]--
			f.failed <- subject
			return true
		}
	}
	return false
}

// heal ends all faults.
func (f *faulty) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.before)
	clear(f.after)
}

func (f *faulty) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if f.take(f.before, msg.Subject) {
		return nil, errInjected
	}
	ack, err := f.JetStream.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.published = append(f.published, msg.Subject)
	f.mu.Unlock()
	if f.take(f.after, msg.Subject) {
		return nil, errInjected
	}
	return ack, nil
}

func tenants(n int) []string {
	var names []string
	for i := range n {
		names = append(names, "tenant_"+strconv.Itoa(i))
	}
	return names
}

func (b *bundle) publishTenants(n int) {
	b.t.Helper()
	for _, name := range tenants(n) {
		b.publish(b.request("order-"+name, name))
	}
}

func causes(t *testing.T, all []event.Event) string {
	t.Helper()
	found := map[string]int{}
	for _, e := range all {
		if e.Type() == events.TypeProvisioned {
			found["PROVISIONED"]++
			continue
		}
		data, err := events.FailedFrom(e)
		testkit.Must(t, err)
		found[string(data.Cause.Code)]++
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, found[name]))
	}
	return strings.Join(parts, ", ")
}
