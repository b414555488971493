package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// requestArgs are the arguments of consumer request.
func requestArgs(tenant string, more ...string) []string {
	return append([]string{"request", tenant, "--display-name", "Acme Inc.", "--created-by", "test"}, more...)
}

func TestRequestAndWait(t *testing.T) {
	t.Parallel()
	service := serve(t, settings(newSQLite(t).env, with("NATS_EMBEDDED_DIR", t.TempDir())))
	env := settings(with("NATS_URL", testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url")))
	validate := validator(t)

	code, stdout, stderr := command(t, env, requestArgs("acme", "--wait", outcomeWait)...)
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	testkit.Contains(t, "stdout", stdout, "tenant.provisioned acme", "Step 5/5")

	code, stdout, stderr = command(t, env, requestArgs("acme", "--wait", outcomeWait)...)
	testkit.Equal(t, "exit code of a failure", code, 1)
	testkit.Equal(t, "stderr", stderr, "")
	testkit.Contains(t, "stdout", stdout, "TENANT_EXISTS")

	// The same request twice: one outcome.
	var first string
	for range 2 {
		code, stdout, _ = command(t, env, requestArgs("umbrella", "--wait", outcomeWait, "--json", "--id", "order-1", "--source", billing)...)
		testkit.Equal(t, "exit code", code, 0)
		validate([]byte(stdout))
		if first != "" {
			testkit.Equal(t, "the outcome again", stdout, first)
		}
		first = stdout
	}
	// Another tenant under the same source and id was not requested.
	code, stdout, stderr = command(t, env, requestArgs("other", "--wait", outcomeWait, "--json", "--id", "order-1", "--source", billing)...)
	testkit.Equal(t, "exit code", code, 1)
	testkit.Equal(t, "the outcome of that identity", stdout, first)
	testkit.Contains(t, "stderr", stderr, `for tenant "umbrella"`, `Tenant "other" was not requested`, "another --id")

	code, stdout, _ = command(t, env, requestArgs("_docex_x_", "--wait", outcomeWait, "--json")...)
	testkit.Equal(t, "exit code of a reserved id", code, 1)
	validate([]byte(stdout))
	testkit.Contains(t, "stdout", stdout, "RESERVED_TENANT_ID")

	code, stdout, _ = command(t, env, requestArgs("schematic", "--wait", outcomeWait, "--isolation-strategy", "schema")...)
	testkit.Equal(t, "exit code of a strategy that SQLite cannot do", code, 1)
	testkit.Contains(t, "stdout", stdout, "UNSUPPORTED_STRATEGY")

	code, stdout, _ = command(t, env, requestArgs("spaced", "--wait", outcomeWait, "--id", " order-3 ")...)
	testkit.Equal(t, "exit code with spaces around the id", code, 0)
	testkit.Contains(t, "stdout", stdout, events.OutcomeID(requestSource, "order-3", 0, events.TypeProvisioned))

	// Without --wait the exit code reports that the request is in the stream.
	code, stdout, stderr = command(t, env, requestArgs("later", "--id", "order-2")...)
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	testkit.Contains(t, "stdout", stdout, "requested later", "order-2")
	code, stdout, _ = command(t, env, requestArgs("even_later", "--json")...)
	testkit.Equal(t, "exit code", code, 0)
	validate([]byte(stdout))
	code, _, stderr = command(t, env, requestArgs("not an id")...)
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "stderr", stderr, "will refuse")
}

const deliverFromSequence = "by_start_sequence"

// consumersCreated returns a function that returns the deliver policies of all consumers that were created in the
// meantime on the stream of outcomes.
func consumersCreated(t *testing.T, js jetstream.JetStream) func() []string {
	t.Helper()
	sub, err := js.Conn().SubscribeSync("$JS.EVENT.ADVISORY.API")
	testkit.Must(t, err)
	testkit.Must(t, js.Conn().Flush())
	return func() (policies []string) {
		t.Helper()
		_, err := js.AccountInfo(t.Context()) // its advisory is the last
		testkit.Must(t, err)
		for {
			msg, err := sub.NextMsg(testkit.Patience)
			testkit.Must(t, err)
			var advisory struct{ Subject, Request string }
			testkit.Must(t, json.Unmarshal(msg.Data, &advisory))
			switch {
			case advisory.Subject == "$JS.API.INFO":
				return policies
			case strings.HasPrefix(advisory.Subject, "$JS.API.CONSUMER.CREATE."+events.StreamEvents):
				var request struct {
					Config struct {
						Policy string `json:"deliver_policy"`
					} `json:"config"`
				}
				testkit.Must(t, json.Unmarshal([]byte(advisory.Request), &request))
				policies = append(policies, request.Config.Policy)
			}
		}
	}
}

func TestRequestWithoutAService(t *testing.T) {
	t.Parallel()
	// No server at all.
	code, stdout, stderr := command(t, settings(with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t))), requestArgs("acme")...)
	testkit.Equal(t, "exit code", code, 1)
	testkit.Equal(t, "stdout", stdout, "")
	testkit.Contains(t, "stderr", stderr, "consumer run", "NATS_URL")

	// A server on which the service has never run.
	env := settings(with("NATS_URL", natstest.Start(t)))
	for _, args := range [][]string{requestArgs("acme"), requestArgs("acme", "--wait", "5s")} {
		code, stdout, stderr = command(t, env, args...)
		testkit.Equal(t, "exit code", code, 1)
		testkit.Equal(t, "stdout", stdout, "")
		testkit.Contains(t, "stderr", stderr, "run the service once")
	}
	code, _, stderr = command(t, env, "watch")
	testkit.Equal(t, "exit code of watch", code, 1)
	testkit.Contains(t, "stderr", stderr, "run the service once")

	// A service that is not running now: the request waits in the stream.
	err := (&config.Config{Replicas: 1, Manage: true, AckWait: time.Second}).Topology().Ensure(t.Context(), natstest.JetStream(t, env["NATS_URL"]))
	testkit.Must(t, err)
	code, stdout, stderr = command(t, env, requestArgs("acme", "--wait", "100ms", "--id", "order-1")...)
	testkit.Equal(t, "exit code", code, 1)
	testkit.Equal(t, "stdout", stdout, "")
	testkit.Contains(t, "stderr", stderr, "no outcome within 100ms", "will be decided", "--id order-1", "--source "+requestSource)
	// The service starts, and the repeated command finds the outcome.
	serve(t, settings(newSQLite(t).env, with("NATS_URL", env["NATS_URL"])))
	code, stdout, _ = command(t, env, requestArgs("acme", "--wait", outcomeWait, "--id", "order-1")...)
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "stdout", stdout, "tenant.provisioned acme", events.OutcomeID(requestSource, "order-1", 0, events.TypeProvisioned))
}

// A signal to stop while it waits is a failure: the outcome is unknown.
func TestRequestInterrupted(t *testing.T) {
	t.Parallel()
	env := settings(with("NATS_URL", natstest.Start(t)))
	js := natstest.JetStream(t, env["NATS_URL"])
	err := (&config.Config{Replicas: 1, Manage: true, AckWait: time.Second}).Topology().Ensure(t.Context(), js)
	testkit.Must(t, err)
	r := start(t, env, requestArgs("acme", "--wait", "1m")...)
	testkit.Eventually(t, "the request is published", func() bool {
		stream, err := js.Stream(t.Context(), events.StreamRequests)
		testkit.Must(t, err)
		return stream.CachedInfo().State.Msgs == 1
	})
	testkit.Equal(t, "exit code", r.stop(t), 1)
	testkit.Equal(t, "stdout", r.stdout.String(), "")
	stream, err := js.Stream(t.Context(), events.StreamRequests)
	testkit.Must(t, err)
	msg, err := stream.GetMsg(t.Context(), 1)
	testkit.Must(t, err)
	e, err := events.Decode(msg.Header, msg.Data)
	testkit.Must(t, err)
	testkit.Contains(t, "stderr", r.stderr.String(), "interrupted", "--source "+requestSource, "--id "+e.ID())
}

// A repeated request has its outcome at once, however many outcomes the stream has, also if it was replayed in between.
func TestRequestIsRepeated(t *testing.T) {
	t.Parallel()
	service := serve(t, settings(newSQLite(t).env, with("NATS_EMBEDDED_DIR", t.TempDir())))
	env := settings(with("NATS_URL", testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url")))
	js := natstest.JetStream(t, env["NATS_URL"])
	args := requestArgs("_docex_x_", "--wait", outcomeWait, "--id", "order-1", "--source", billing)
	code, stdout, _ := command(t, env, args...)
	testkit.Equal(t, "exit code", code, 1)
	testkit.Contains(t, "stdout", stdout, "RESERVED_TENANT_ID", events.OutcomeID(billing, "order-1", 0, events.TypeProvisioningFailed))
	code, stdout, stderr := command(t, env, "dead-letters", "replay", "--all", "--yes", "--wait", outcomeWait)
	testkit.Equal(t, "exit code: "+stdout+stderr, code, 1)
	created := consumersCreated(t, js)
	code, stdout, _ = command(t, env, args...)
	testkit.Equal(t, "exit code", code, 1)
	testkit.Contains(t, "the outcome of the highest replay", stdout, events.OutcomeID(billing, "order-1", 1, events.TypeProvisioningFailed))
	testkit.Equal(t, "where its consumer began to read", strings.Join(created(), " "), deliverFromSequence)
	stream, err := js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	names := stream.ConsumerNames(t.Context())
	for name := range names.Name() {
		t.Errorf("the command left the consumer %s", name)
	}
	testkit.Must(t, names.Err())

	code, _, stderr = command(t, env, requestArgs("acme", "--wait", "-5s")...)
	testkit.Equal(t, "exit code of a negative wait", code, exitUsage)
	testkit.Contains(t, "stderr", stderr, "--wait: -5s is negative")
}

func TestWatch(t *testing.T) {
	t.Parallel()
	service := serve(t, settings(newSQLite(t).env, with("NATS_EMBEDDED_DIR", t.TempDir())))
	url := testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url")
	env := settings(with("NATS_URL", url))
	js := natstest.JetStream(t, url)
	publish(t, js, requestFor(t, "order-1", "acme"))
	awaitSettled(t, js)

	all := start(t, env, "watch", "--all")
	testkit.Eventually(t, "the earlier outcome is shown", func() bool { return strings.Contains(all.stdout.String(), "tenant.provisioned acme") })
	fresh := start(t, env, "watch", "--json")
	consumers := func() int {
		stream, err := js.Stream(t.Context(), events.StreamEvents)
		testkit.Must(t, err)
		return stream.CachedInfo().State.Consumers
	}
	testkit.Eventually(t, "both watch", func() bool { return consumers() == 2 })
	publish(t, js, requestFor(t, "order-2", "acme"), &nats.Msg{Subject: events.TypeRequested, Data: []byte("{}")})
	testkit.Eventually(t, "two more outcomes", func() bool {
		return strings.Count(all.stdout.String(), "outcome id") == 3 && strings.Count(fresh.stdout.String(), "\n") == 2
	})
	testkit.Contains(t, "watch --all", all.stdout.String(), "TENANT_EXISTS", "UNDECODABLE_EVENT")
	validate := validator(t)
	for line := range strings.Lines(fresh.stdout.String()) {
		validate([]byte(line))
	}
	for _, r := range []*running{all, fresh} {
		testkit.Equal(t, "exit code", r.stop(t), 0)
		testkit.Equal(t, "stderr", r.stderr.String(), "")
	}
	// The server soon removes their consumers.
	stream, err := js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	for info := range stream.ListConsumers(t.Context()).Info() {
		if keep := info.Config.InactiveThreshold; keep <= 0 || keep > time.Minute {
			t.Errorf("consumer %s is kept for %s", info.Name, keep)
		}
	}
}

// A stream may hold messages of other publishers: watch skips them and shows the rest.
func TestWatchSurvivesGarbage(t *testing.T) {
	t.Parallel()
	env := settings(with("NATS_URL", natstest.Start(t)))
	js := natstest.JetStream(t, env["NATS_URL"])
	err := (&config.Config{Replicas: 1, Manage: true, AckWait: 30 * time.Second}).Topology().Ensure(t.Context(), js)
	testkit.Must(t, err)
	r := start(t, env, "watch", "--all")
	for _, body := range []string{"garbage", `{"specversion":"1.0","id":"1","source":"/x","type":"tenant.provisioned","data":{}}`} {
		_, err := js.Publish(context.Background(), events.TypeProvisioned, []byte(body))
		testkit.Must(t, err)
	}
	serve(t, settings(newSQLite(t).env, with("NATS_URL", env["NATS_URL"])))
	publish(t, js, requestFor(t, "order-1", "acme"))
	testkit.Eventually(t, "the outcome after the garbage", func() bool { return strings.Contains(r.stdout.String(), "tenant.provisioned acme") })
	testkit.Equal(t, "exit code", r.stop(t), 0)
}

func TestJSONIsOneLinePerEvent(t *testing.T) {
	t.Parallel()
	e, err := events.Decode(requestFor(t, "1", "acme").Header, requestFor(t, "1", "acme").Data)
	testkit.Must(t, err)
	var b strings.Builder
	testkit.Must(t, writeJSON(&b, e))
	if !json.Valid([]byte(b.String())) || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("%q", b.String())
	}
}
