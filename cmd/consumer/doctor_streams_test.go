package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// aboutStreams are the checks of streams and consumer.
var aboutStreams = []string{"jetstream", "requests", "events", "dead_letters", "durable", "consumer"}

// nobodyTakes is what is found where no service runs.
const nobodyTakes = "consumer_service warning"

func TestDoctorOfMissingStreams(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t)
	testkit.Equal(t, "findings", ailing(examined(t, with("NATS_URL", url)), aboutStreams...),
		"dead_letters_stream warning, durable_consumer warning, events_stream warning, requests_stream warning")
	unmanaged := examined(t, with("NATS_URL", url), with("NATS_MANAGE_STREAMS", "false"))
	testkit.Equal(t, "findings", ailing(unmanaged, aboutStreams...),
		"dead_letters_stream fault, durable_consumer fault, events_stream fault, requests_stream fault")
	js := natstest.JetStream(t, url)
	if _, err := js.Stream(t.Context(), events.StreamRequests); err == nil {
		t.Error("it has made a stream")
	}
	arranged(t, url)
	testkit.Equal(t, "findings", ailing(examined(t, with("NATS_URL", url)), aboutStreams...), nobodyTakes)
}

// Doctor reports in advance what the service would refuse to run on, and what loses messages.
func TestDoctorOfStreams(t *testing.T) {
	t.Parallel()
	type config = jetstream.StreamConfig
	for name, c := range map[string]struct {
		stream  string
		change  func(*config)
		publish int // messages on the stream's subject
		want    string
		says    string
	}{
		"contradicts": {events.StreamRequests, func(c *config) { c.MaxAge = time.Hour }, 0, "requests_stream fault", "max_age is 1h0m0s"},
		"outcomes that are refused": {
			events.StreamEvents, func(c *config) { c.Discard = jetstream.DiscardNew }, 0, "events_stream fault", "discard",
		},
		"room":           {events.StreamRequests, func(c *config) { c.MaxMsgs = 10 }, 7, "", ""},
		"little room":    {events.StreamRequests, func(c *config) { c.MaxMsgs = 10 }, 8, "requests_room warning", "8 of 10"},
		"no room":        {events.StreamRequests, func(c *config) { c.MaxMsgs = 10 }, 10, "requests_room fault", "publishers"},
		"few bytes":      {events.StreamRequests, func(c *config) { c.MaxBytes = 100_000 }, 200, "requests_room fault", "max_bytes"},
		"a day":          {events.StreamEvents, func(c *config) { c.MaxAge = 24 * time.Hour }, 0, "", ""},
		"an hour":        {events.StreamEvents, func(c *config) { c.MaxAge = 2 * time.Hour }, 0, "events_retention warning", "2h0m0s"},
		"outcomes drop":  {events.StreamEvents, func(c *config) { c.MaxMsgs = 10 }, 9, "events_retention warning", "9 of 10"},
		"letters expire": {events.StreamDeadLetters, func(c *config) { c.MaxAge = time.Hour }, 0, "dead_letters_retention warning", "1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := natstest.Start(t)
			js := arranged(t, url)
			stream, err := js.Stream(t.Context(), c.stream)
			testkit.Must(t, err)
			config := stream.CachedInfo().Config
			c.change(&config)
			_, err = js.UpdateStream(t.Context(), config)
			testkit.Must(t, err)
			for range c.publish {
				_, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: config.Subjects[0], Data: make([]byte, 500)})
				if err != nil {
					break // full
				}
			}
			checks := examined(t, with("NATS_URL", url))
			testkit.Equal(t, "findings", ailing(checks, "jetstream", "requests", "events", "dead_letters", "durable"), c.want)
			if check, _, _ := strings.Cut(c.want, " "); check != "" {
				testkit.Contains(t, "what is said", checks[check].Message, c.says)
			}
		})
	}
}

func TestDoctorOfTheConsumer(t *testing.T) {
	t.Parallel()
	type config = jetstream.ConsumerConfig
	for name, c := range map[string]struct {
		change func(*config)
		env    map[string]string
		want   string
	}{
		"as it should be": {func(*config) {}, nil, nobodyTakes},
		"backoff": {
			func(c *config) { c.BackOff = []time.Duration{time.Second}; c.MaxDeliver = 2 }, nil, "consumer_limits warning, " + nobodyTakes + ", durable_consumer fault",
		},
		"one at a time":     {func(c *config) { c.MaxAckPending = 1 }, nil, "consumer_limits warning, " + nobodyTakes},
		"a thousand":        {func(c *config) { c.MaxAckPending = 1000 }, nil, "consumer_limits warning, " + nobodyTakes},
		"another wait":      {func(c *config) { c.AckWait = time.Minute }, nil, "consumer_limits warning, " + nobodyTakes},
		"the wait's match":  {func(c *config) { c.AckWait = time.Minute }, with("ACK_WAIT", "1m"), nobodyTakes},
		"short wait":        {func(c *config) { c.AckWait = time.Second }, with("ACK_WAIT", "1s"), "consumer_limits warning, " + nobodyTakes},
		"paused":            {func(c *config) { later := time.Now().Add(time.Hour); c.PauseUntil = &later }, nil, "consumer_paused fault"},
		"paused until late": {func(c *config) { before := time.Now().Add(-time.Hour); c.PauseUntil = &before }, nil, nobodyTakes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := natstest.Start(t)
			js := arranged(t, url)
			consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
			testkit.Must(t, err)
			config := consumer.CachedInfo().Config
			c.change(&config)
			testkit.Must(t, js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
			_, err = js.CreateConsumer(t.Context(), events.StreamRequests, config)
			testkit.Must(t, err)
			checks := examined(t, with("NATS_URL", url), c.env)
			testkit.Equal(t, "findings", ailing(checks, "consumer", "durable"), c.want)
		})
	}
}

// Whether a client takes requests, redeliveries, and the age of the oldest request.
func TestDoctorOfTheQueue(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t)
	js := arranged(t, url)
	env := with("NATS_URL", url)
	about := []string{"consumer", "requests"}
	const requests = 10 // as many as the doctor finds too many
	for range requests {
		publish(t, js, &nats.Msg{Subject: events.TypeRequested})
	}
	checks := examined(t, env)
	testkit.Equal(t, "findings", ailing(checks, about...), nobodyTakes)
	testkit.Contains(t, "what waits", checks["consumer_service"].Message, "10 wait")
	testkit.Contains(t, "what waits", checks["requests_age"].Message, "10 are not settled", "dropped after 2160h")

	consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	batch, err := consumer.Fetch(requests)
	testkit.Must(t, err)
	taken := 0
	for range batch.Messages() { // and held
		taken++
	}
	testkit.Equal(t, "taken", taken, requests)
	checks = examined(t, env) // they are busy: no pull waits, which is expected
	testkit.Equal(t, "findings", ailing(checks, about...), "")
	testkit.Contains(t, "what is said", checks["consumer_service"].Message, "all workers are busy: 10 in flight")

	// The workers are gone, and ACK_WAIT has passed without a sign of progress.
	c, err := config.Load(t.Context(), envconfig.MapLookuper(settings(env)))
	testkit.Must(t, err)
	const day = 24 * time.Hour
	for later, want := range map[time.Duration]string{
		time.Second: "",
		time.Minute: nobodyTakes,
		46 * day:    nobodyTakes + ", requests_age warning",
		82 * day:    nobodyTakes + ", requests_age fault",
	} {
		found := map[string]doctor.Finding{}
		for _, one := range doctor.Examine(t.Context(), c, func() time.Time { return time.Now().Add(later) }) {
			found[one.Name] = one
		}
		testkit.Equal(t, "findings after "+later.String(), ailing(found, about...), want)
	}

	info, err := consumer.Info(t.Context())
	testkit.Must(t, err)
	config := info.Config
	config.AckWait = 100 * time.Millisecond // those that are held are given out again
	_, err = js.UpdateConsumer(t.Context(), events.StreamRequests, config)
	testkit.Must(t, err)
	testkit.Eventually(t, "all are delivered again", func() bool {
		batch, err := consumer.Fetch(requests, jetstream.FetchMaxWait(time.Second))
		testkit.Must(t, err)
		for range batch.Messages() {
			taken++ // and held again
		}
		q, err := handler.ReadQueue(t.Context(), js)
		testkit.Must(t, err)
		return q.Redelivered == requests
	})
	checks = examined(t, env)
	testkit.Contains(t, "findings", ailing(checks, about...), "consumer_redelivered warning")
	testkit.Contains(t, "what to do", checks["consumer_redelivered"].Hint, "consumer requests show")
}
