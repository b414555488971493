package handler

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// often is a CheckInterval for tests that edit settings.
const often = 50 * time.Millisecond

// editConsumer changes settings of the durable consumer as an operator does.
func (b *bundle) editConsumer(change func(*jetstream.ConsumerConfig)) {
	b.t.Helper()
	config := b.consumer().Config
	change(&config)
	_, err := b.js.UpdateConsumer(b.t.Context(), events.StreamRequests, config)
	testkit.Must(b.t, err)
}

// editStream does the same with a stream.
func (b *bundle) editStream(name string, change func(*jetstream.StreamConfig)) {
	b.t.Helper()
	config := b.streamOf(name).CachedInfo().Config
	change(&config)
	_, err := b.js.UpdateStream(b.t.Context(), config)
	testkit.Must(b.t, err)
}

// Others edit streams and consumer while the service runs. Until it is undone, no request is taken, and Err names the
// setting. Then the service resumes by itself.
func TestSettingsThatContradictAtRunTimeStopIntake(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval = often
	h := b.start()
	stream := func(name string, change, undo func(*jetstream.StreamConfig)) [2]func() {
		return [2]func(){func() { b.editStream(name, change) }, func() { b.editStream(name, undo) }}
	}
	consumer := func(change, undo func(*jetstream.ConsumerConfig)) [2]func() {
		return [2]func(){func() { b.editConsumer(change) }, func() { b.editConsumer(undo) }}
	}
	type s = *jetstream.StreamConfig
	type c = *jetstream.ConsumerConfig
	wanted := 0
	for setting, edit := range map[string][2]func(){
		"allow_rollup_hdrs": stream(events.StreamRequests, func(c s) { c.AllowRollup = true }, func(c s) { c.AllowRollup = false }),
		"subject_transform": stream(events.StreamEvents, func(c s) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "tenant.*", Destination: "other.{{wildcard(1)}}"}
		}, func(c s) { c.SubjectTransform = nil }),
		"max_msgs_per_subject": stream(events.StreamDeadLetters,
			func(c s) { c.MaxMsgsPerSubject = 2 }, func(c s) { c.MaxMsgsPerSubject = 1 }),
		"filter_subject":  consumer(func(c c) { c.FilterSubject = "tenant.requested.x" }, func(c c) { c.FilterSubject = "" }),
		"filter_subjects": consumer(func(c c) { c.FilterSubjects = []string{"tenant.a", "tenant.b"} }, func(c c) { c.FilterSubjects = nil }),
		"max_deliver":     consumer(func(c c) { c.MaxDeliver = 2 }, func(c c) { c.MaxDeliver = -1 }),
		"priority_policy": consumer(func(c c) {
			c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"g"}
		}, func(c c) { c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyNone, nil }),
	} {
		edit[0]()
		b.eventually("Err names "+setting, func() bool { return h.Err() != nil && containsText(h.Err(), setting) })
		b.eventually("no pull request waits", func() bool { return b.consumer().NumWaiting == 0 })
		// Two requests, so that both pull requests that show the recovery are answered at once.
		b.publish(b.request(setting+"-1", fmt.Sprint("tenant_", wanted)), b.request(setting+"-2", fmt.Sprint("tenant_", wanted+1)))
		edit[1]()
		b.eventually("the handler is ready", func() bool { return h.Err() == nil })
		b.awaitSettled()
		wanted += 2
		b.counts(wanted, 0)
	}
}

// A request that is delivered without its body is decided later, when it is delivered with its body. The message itself
// shows it, before the next check. What a publisher forges makes no difference.
func TestHeadersOnlyDecidesNothing(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval = time.Hour
	h := b.start()
	b.editConsumer(func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true })
	raw := b.server.rawPublisher(t)
	for i, header := range []string{
		"NATS/1.0\r\nNats-Marker-Reason: MaxAge", "NATS/1.0\r\nno colon", "NATS/1.0\r\nnats-msg-size: 0", "",
	} {
		raw.publish(events.TypeRequested, header, string(b.request(fmt.Sprint(i), fmt.Sprint("tenant_", i)).Data))
	}
	b.eventually("Err names the setting", func() bool { return h.Err() != nil && containsText(h.Err(), "headers_only is true") })
	b.eventually("nothing is in flight here", func() bool { return h.InFlight() == 0 && b.consumer().NumWaiting == 0 })
	b.counts(0, 0)
	b.editConsumer(func(c *jetstream.ConsumerConfig) { c.HeadersOnly = false })
	b.awaitSettled()
	testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 4")
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
}

// Numbers of the consumer that contradict the contract are corrected at run time, and requests are served in the
// meantime.
func TestNumbersAreCorrectedAtRunTime(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval = often
	h := b.start()
	b.editConsumer(func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires, c.InactiveThreshold = time.Second, time.Hour })
	b.publishTenants(3)
	b.awaitSettled()
	b.counts(3, 0)
	b.eventually("the settings are corrected", func() bool {
		c := b.consumer().Config
		return c.MaxRequestExpires == 0 && c.InactiveThreshold == 0
	})
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
}

// The other numbers are set at each start, and not at run time: replicas with different values would correct each other
// for ever.
func TestReplicasDoNotCorrectEachOther(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval = often
	b.start()
	later := b.start(func(c *Config) { c.Topology.AckWait = time.Hour })
	testkit.Equal(t, "ack_wait of the replica that started last", b.consumer().Config.AckWait, time.Hour)
	b.editConsumer(func(c *jetstream.ConsumerConfig) { c.MaxAckPending, c.InactiveThreshold = 5000, time.Hour })
	b.eventually("a contradiction is corrected", func() bool { return b.consumer().Config.InactiveThreshold == 0 })
	c := b.consumer().Config
	testkit.Equal(t, "ack_wait", c.AckWait, time.Hour)
	testkit.Equal(t, "max_ack_pending", c.MaxAckPending, 5000)
	later.stop(t)
	b.start()
	c = b.consumer().Config
	testkit.Equal(t, "ack_wait after a start", c.AckWait, b.config.Topology.AckWait)
	testkit.Equal(t, "max_ack_pending after a start", c.MaxAckPending, -1)
}

// With NATS_MANAGE_STREAMS=false nothing is corrected: what contradicts is named.
func TestNumbersAreNamedAtRunTimeIfUnmanaged(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval, b.config.Topology.Manage = often, false
	h := b.start()
	b.editConsumer(func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires = time.Second })
	b.eventually("Err names the setting", func() bool {
		return h.Err() != nil && containsText(h.Err(), "max_expires is 1s, must be unset, or at least 30s")
	})
	b.editConsumer(func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires = 0 })
	b.publishTenants(2)
	b.awaitSettled()
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
}

// While an operator pauses the consumer the service is not ready, and names the command.
func TestPausedConsumerIsNamed(t *testing.T) {
	b := newBundle(t)
	b.config.CheckInterval = often
	h := b.start()
	_, err := b.js.PauseConsumer(t.Context(), events.StreamRequests, events.DurableConsumer, time.Now().Add(time.Hour))
	testkit.Must(t, err)
	b.eventually("Err names the command", func() bool { return h.Err() != nil && containsText(h.Err(), "nats consumer resume") })
	_, err = b.js.ResumeConsumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
}

// A handler whose pull requests the server does not accept is not ready, although streams and consumer are as they must
// be.
func TestNotReadyUntilAPullRequestIsAnswered(t *testing.T) {
	b := newBundle(t)
	config := b.consumer().Config
	config.MaxWaiting = minWaiting
	testkit.Must(t, b.js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
	_, err := b.js.CreateConsumer(t.Context(), events.StreamRequests, config)
	testkit.Must(t, err)
	nc := b.js.Conn()
	others, err := nc.SubscribeSync(nc.NewInbox())
	testkit.Must(t, err)
	subject := APISubject(b.js, "CONSUMER.MSG.NEXT."+events.StreamRequests+"."+events.DurableConsumer)
	for range minWaiting {
		testkit.Must(t, nc.PublishRequest(subject, others.Subject, []byte(`{"batch": 1, "expires": 3600000000000}`)))
	}
	b.eventually("as many pull requests wait as may", func() bool { return b.consumer().NumWaiting == minWaiting })
	h := b.launch()
	b.eventually("Err has the server's reason", func() bool {
		if h.Err() == nil {
			t.Fatal("the handler is ready although the server does not accept its pull request")
		}
		return containsText(h.Err(), "MaxWaiting")
	})
	testkit.Must(t, others.Unsubscribe())
	b.eventually("the handler is ready", func() bool { return h.Err() == nil })
	b.publish(b.request("order", "acme"))
	b.awaitSettled()
	b.counts(1, 0)
}

// A rejected pull request is not an answer that shows that requests can be taken.
func TestRejectedPullRequestIsNoAnswer(t *testing.T) {
	b := newBundle(t)
	p, err := newPuller(b.js, events.StreamRequests, events.DurableConsumer, pullRequest{Batch: 1, Expires: pullExpiry})
	testkit.Must(t, err)
	defer p.close()
	testkit.Must(t, b.js.Conn().PublishMsg(&nats.Msg{
		Subject: p.sub.Subject, Header: nats.Header{"Status": {"409"}, "Description": {"Exceeded MaxRequestExpires of 1s"}},
	}))
	_, err = p.next(t.Context(), func() { t.Error("it counts as an answer") })
	Contains(t, "next", err, "Exceeded MaxRequestExpires of 1s")
}
