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

// noService is the finding where no service runs.
const noService = "consumer_service warning"

func TestDoctorOfMissingStreams(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t)
	testkit.Equal(t, "findings", findings(runDoctor(t, with("NATS_URL", url)), aboutStreams...),
		"dead_letters_stream warning, durable_consumer warning, events_stream warning, requests_stream warning")
	unmanaged := runDoctor(t, with("NATS_URL", url), with("NATS_MANAGE_STREAMS", "false"))
	testkit.Equal(t, "findings", findings(unmanaged, aboutStreams...),
		"dead_letters_stream fault, durable_consumer fault, events_stream fault, requests_stream fault")
	js := natstest.JetStream(t, url)
	if _, err := js.Stream(t.Context(), events.StreamRequests); err == nil {
		t.Error("doctor has created a stream")
	}
	ensureTopology(t, url)
	testkit.Equal(t, "findings", findings(runDoctor(t, with("NATS_URL", url)), aboutStreams...), noService)
}

// Doctor reports in advance what the service rejects at its start, and what loses messages.
func TestDoctorOfStreams(t *testing.T) {
	t.Parallel()
	type config = jetstream.StreamConfig
	for name, c := range map[string]struct {
		stream  string
		change  func(*config)
		publish int // messages on the stream's subject
		want    string
		message string // a part of it
	}{
		"contradiction": {events.StreamRequests, func(c *config) { c.MaxAge = time.Hour }, 0, "requests_stream fault", "max_age is 1h0m0s"},
		"outcomes are rejected": {
			events.StreamEvents, func(c *config) { c.Discard = jetstream.DiscardNew }, 0, "events_stream fault", "discard",
		},
		"room":                 {events.StreamRequests, func(c *config) { c.MaxMsgs = 10 }, 7, "", ""},
		"little room":          {events.StreamRequests, func(c *config) { c.MaxMsgs = 10 }, 8, "requests_room warning", "8 of 10"},
		"no room":              {events.StreamRequests, func(c *config) { c.MaxMsgs = 10 }, 10, "requests_room fault", "publishers"},
		"few bytes":            {events.StreamRequests, func(c *config) { c.MaxBytes = 100_000 }, 200, "requests_room fault", "max_bytes"},
		"a day":                {events.StreamEvents, func(c *config) { c.MaxAge = 24 * time.Hour }, 0, "", ""},
		"an hour":              {events.StreamEvents, func(c *config) { c.MaxAge = 2 * time.Hour }, 0, "events_retention warning", "2h0m0s"},
		"outcomes are dropped": {events.StreamEvents, func(c *config) { c.MaxMsgs = 10 }, 9, "events_retention warning", "9 of 10"},
		"dead letters expire":  {events.StreamDeadLetters, func(c *config) { c.MaxAge = time.Hour }, 0, "dead_letters_retention warning", "1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := natstest.Start(t)
			js := ensureTopology(t, url)
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
			checks := runDoctor(t, with("NATS_URL", url))
			testkit.Equal(t, "findings", findings(checks, "jetstream", "requests", "events", "dead_letters", "durable"), c.want)
			if check, _, _ := strings.Cut(c.want, " "); check != "" {
				testkit.Contains(t, "message", checks[check].Message, c.message)
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
		"as it should be": {func(*config) {}, nil, noService},
		"backoff": {
			func(c *config) { c.BackOff = []time.Duration{time.Second}; c.MaxDeliver = 2 }, nil, "consumer_limits warning, " + noService + ", durable_consumer fault",
		},
		"one at a time":       {func(c *config) { c.MaxAckPending = 1 }, nil, "consumer_limits warning, " + noService},
		"a thousand":          {func(c *config) { c.MaxAckPending = 1000 }, nil, "consumer_limits warning, " + noService},
		"another wait":        {func(c *config) { c.AckWait = time.Minute }, nil, "consumer_limits warning, " + noService},
		"the wait configured": {func(c *config) { c.AckWait = time.Minute }, with("ACK_WAIT", "1m"), noService},
		"short wait":          {func(c *config) { c.AckWait = time.Second }, with("ACK_WAIT", "1s"), "consumer_limits warning, " + noService},
		"paused":              {func(c *config) { later := time.Now().Add(time.Hour); c.PauseUntil = &later }, nil, "consumer_paused fault"},
		"pause has ended":     {func(c *config) { before := time.Now().Add(-time.Hour); c.PauseUntil = &before }, nil, noService},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := natstest.Start(t)
			js := ensureTopology(t, url)
			consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
			testkit.Must(t, err)
			config := consumer.CachedInfo().Config
			c.change(&config)
			testkit.Must(t, js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
			_, err = js.CreateConsumer(t.Context(), events.StreamRequests, config)
			testkit.Must(t, err)
			checks := runDoctor(t, with("NATS_URL", url), c.env)
			testkit.Equal(t, "findings", findings(checks, "consumer", "durable"), c.want)
		})
	}
}

// Doctor checks whether a client takes requests, the redeliveries, and the age of the oldest request.
func TestDoctorOfTheQueue(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t)
	js := ensureTopology(t, url)
	env := with("NATS_URL", url)
	about := []string{"consumer", "requests"}
	const requests = 10 // doctor warns of as many redeliveries
	for range requests {
		publish(t, js, &nats.Msg{Subject: events.TypeRequested})
	}
	checks := runDoctor(t, env)
	testkit.Equal(t, "findings", findings(checks, about...), noService)
	testkit.Contains(t, "message", checks["consumer_service"].Message, "10 wait")
	testkit.Contains(t, "message", checks["requests_age"].Message, "10 are not settled", "dropped after 2160h")

	consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	batch, err := consumer.Fetch(requests)
	testkit.Must(t, err)
	taken := 0
	for range batch.Messages() { // without an acknowledgement
		taken++
	}
	testkit.Equal(t, "taken", taken, requests)
	checks = runDoctor(t, env) // all workers are busy: no pull request waits
	testkit.Equal(t, "findings", findings(checks, about...), "")
	testkit.Contains(t, "message", checks["consumer_service"].Message, "all workers are busy: 10 in flight")

	// The workers have ended, and ACK_WAIT has passed without progress.
	c, err := config.Load(t.Context(), envconfig.MapLookuper(settings(env)))
	testkit.Must(t, err)
	const day = 24 * time.Hour
	for later, want := range map[time.Duration]string{
		time.Second: "",
		time.Minute: noService,
		46 * day:    noService + ", requests_age warning",
		82 * day:    noService + ", requests_age fault",
	} {
		found := map[string]doctor.Finding{}
		for _, one := range doctor.Examine(t.Context(), c, func() time.Time { return time.Now().Add(later) }) {
			found[one.Name] = one
		}
		testkit.Equal(t, "findings after "+later.String(), findings(found, about...), want)
	}

	info, err := consumer.Info(t.Context())
	testkit.Must(t, err)
	config := info.Config
	config.AckWait = 100 * time.Millisecond // the messages in flight are redelivered
	_, err = js.UpdateConsumer(t.Context(), events.StreamRequests, config)
	testkit.Must(t, err)
	testkit.Eventually(t, "all are redelivered", func() bool {
		batch, err := consumer.Fetch(requests, jetstream.FetchMaxWait(time.Second))
		testkit.Must(t, err)
		for range batch.Messages() {
			taken++ // again without an acknowledgement
		}
		q, err := handler.ReadQueue(t.Context(), js)
		testkit.Must(t, err)
		return q.Redelivered == requests
	})
	checks = runDoctor(t, env)
	testkit.Contains(t, "findings", findings(checks, about...), "consumer_redelivered warning")
	testkit.Contains(t, "hint", checks["consumer_redelivered"].Hint, "consumer requests show")
}
