package service

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/testkit"
)

// running is a service on SQLite.
type running struct {
	*service
	t     *testing.T
	log   *testkit.Output
	ended chan error
}

// run starts a service on the NATS server at url, and stops it at the end of the test.
func run(t *testing.T, url string, more ...map[string]string) *running {
	t.Helper()
	env := map[string]string{
		"NATS_URL": url, "DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "storage"), "ACK_WAIT": "2s",
		"BACKOFF_MIN": "10ms", "BACKOFF_MAX": "100ms",
	}
	for _, settings := range more {
		for name, value := range settings {
			env[name] = value
		}
	}
	c, err := config.Load(t.Context(), envconfig.MapLookuper(env))
	testkit.Must(t, err)
	r := &running{t: t, log: &testkit.Output{}, ended: make(chan error, 1)}
	r.service, err = newService(c, nil, slog.New(slog.NewTextHandler(r.log, nil)), &parts{})
	testkit.Must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	go func() { r.ended <- r.serve(ctx) }()
	t.Cleanup(func() {
		stop()
		testkit.Receive(t, "the service ends", r.ended)
		testkit.Must(t, r.service.running.stop(context.Background(), slog.New(slog.DiscardHandler)))
		r.page.Close()
		if t.Failed() {
			t.Logf("service:\n%s", testkit.Tail(r.log.String()))
		}
	})
	return r
}

// awaitReady waits until /readyz would answer 200.
func (r *running) awaitReady() {
	r.t.Helper()
	var why error
	defer func() {
		if why != nil {
			r.t.Logf("not ready: %v", why)
		}
	}()
	testkit.Eventually(r.t, "the service is ready", func() bool {
		why = r.serving.Load().ready()
		return why == nil
	})
}

// awaitNotReady waits until /readyz would answer 503 with this part of its reason. The process is alive all the time.
func (r *running) awaitNotReady(reason string) {
	r.t.Helper()
	var why error
	defer func() {
		if r.t.Failed() {
			r.t.Logf("readiness: %v", why)
		}
	}()
	testkit.Eventually(r.t, "the service is not ready for "+reason, func() bool {
		testkit.Must(r.t, r.serving.Load().alive())
		why = r.serving.Load().ready()
		return why != nil && strings.Contains(why.Error(), reason)
	})
}

// awaitOutcomes waits until the streams have as many different outcomes and dead letters, and every request is settled.
func awaitOutcomes(t *testing.T, js jetstream.JetStream, outcomes, letters int) {
	t.Helper()
	stored := func(name string) int {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			return -1
		}
		return int(stream.CachedInfo().State.Msgs)
	}
	testkit.Eventually(t, "all outcomes are published, and all requests are settled", func() bool {
		consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
		if err != nil {
			return false
		}
		info := consumer.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0 && stored(events.StreamEvents) >= outcomes
	})
	testkit.Equal(t, "outcomes", stored(events.StreamEvents), outcomes)
	testkit.Equal(t, "dead letters", stored(events.StreamDeadLetters), letters)
}

// publishRequests publishes a valid request for each tenant. An empty tenant makes it a message that is no event.
func publishRequests(t *testing.T, js jetstream.JetStream, tenants ...string) {
	t.Helper()
	for _, tenant := range tenants {
		body := []byte("no event")
		var header nats.Header
		if tenant != "" {
			e, err := events.NewRequested("/test", tenant,
				events.Requested{TenantID: tenant, DisplayName: "Acme", CreatedBy: "test"})
			testkit.Must(t, err)
			header, body, err = events.Encode(e)
			testkit.Must(t, err)
		}
		_, err := js.PublishMsg(t.Context(), message(header, body))
		testkit.Must(t, err)
	}
}

func message(header nats.Header, body []byte) *nats.Msg {
	return &nats.Msg{Subject: events.TypeRequested, Header: header, Data: body}
}
