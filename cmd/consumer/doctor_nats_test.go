package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// startConfigured starts a NATS server with a configuration file, and returns its URL by user.
func startConfigured(t *testing.T, config string) (urlOf func(user string) string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	testkit.Must(t, os.WriteFile(path, []byte(config), 0o600))
	options, err := server.ProcessConfigFile(path)
	testkit.Must(t, err)
	url := natstest.Start(t, func(o *server.Options) {
		store, js := o.StoreDir, options.JetStream
		*o = *options
		o.Host, o.Port, o.StoreDir, o.JetStream, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, store, js, true, true
	})
	return func(user string) string {
		return strings.Replace(url, "nats://", "nats://"+user+":"+secret+"@", 1)
	}
}

// ensureTopology creates the streams and the consumer.
func ensureTopology(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	js := natstest.JetStream(t, url)
	topology := handler.Topology{Replicas: 1, Manage: true, AckWait: 30 * time.Second}
	retryUntilDone(t, "the topology", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, topology.Ensure(ctx, js)
	})
	return js
}

func TestDoctorWithoutJetStream(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t, func(o *server.Options) { o.JetStream = false })
	checks := runDoctor(t, with("NATS_URL", url))
	testkit.Equal(t, "findings", findings(checks, "nats", "jetstream", "requests"), "jetstream fault, nats_sync warning")
	testkit.Contains(t, "hint", checks["jetstream"].Hint, "store_dir")

	urlOf := startConfigured(t, `
		jetstream {}
		accounts {
			WITH { jetstream: enabled, users: [{user: admin, password: `+secret+`}] }
			WITHOUT { users: [{user: other, password: `+secret+`}] }
		}`)
	checks = runDoctor(t, with("NATS_URL", urlOf("other")))
	testkit.Equal(t, "findings", findings(checks, "jetstream", "requests"), "jetstream fault")
	testkit.Contains(t, "hint", checks["jetstream"].Hint, "account")
	testkit.Equal(t, "findings", findings(runDoctor(t, with("NATS_URL", urlOf("admin"))), "jetstream", "requests"), "requests_stream warning")
	addr := strings.TrimPrefix(urlOf("admin"), "nats://admin:"+secret+"@")
	testkit.Equal(t, "another server at the embedded server's address", findings(runDoctor(t, with("NATS_EMBEDDED_ADDR", addr)), "nats"), "nats fault")
	testkit.Equal(t, "a wrong user", findings(runDoctor(t, with("NATS_URL", urlOf("stranger"))), "nats"), "nats fault")
}

func TestDoctorOfAnAccountsLimits(t *testing.T) {
	t.Parallel()
	urlOf := startConfigured(t, `
		jetstream {}
		accounts { A { jetstream: { max_file: 10M }, users: [{user: admin, password: `+secret+`}] } }`)
	env := with("NATS_URL", urlOf("admin"))
	js := ensureTopology(t, urlOf("admin"))
	testkit.Equal(t, "findings", findings(runDoctor(t, env), "jetstream"), "")
	for size, want := range map[int64]string{80: "jetstream warning", 95: "jetstream fault"} {
		_, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}, MaxBytes: size * 100_000})
		testkit.Must(t, err)
		checks := runDoctor(t, env)
		testkit.Equal(t, "findings", findings(checks, "jetstream"), want)
		testkit.Contains(t, "message", checks["jetstream"].Message, "of 9.5 MiB")
		testkit.Must(t, js.DeleteStream(t.Context(), "OTHER"))
	}
}

// The service's permissions are those that the server reports for its user.
func TestDoctorOfPermissions(t *testing.T) {
	t.Parallel()
	const needs = `"tenant.provisioned", "tenant.provisioning_failed", "tenant.dead_letter.*", "tenant.progress.*",
		"$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*",
		"$JS.API.CONSUMER.INFO.TENANT_REQUESTS.tenant-provisioner", "$JS.ACK.TENANT_REQUESTS.tenant-provisioner.>"`
	const pull = `, "$JS.API.CONSUMER.MSG.NEXT.TENANT_REQUESTS.tenant-provisioner"`
	user := func(name, publish, more string) string {
		return fmt.Sprintf(`{user: %s, password: %s, permissions: {publish: {allow: [%s]}, %s}}`, name, secret, publish, more)
	}
	urlOf := startConfigured(t, `
		jetstream {}
		accounts { A { jetstream: enabled, users: [
			{user: admin, password: `+secret+`},
			`+user("enough", needs+pull+`, "$SYS.REQ.USER.INFO"`, `subscribe: "_INBOX.>"`)+`,
			`+user("less", needs+`, "$SYS.REQ.USER.INFO"`, `subscribe: ["_INBOX.>", "tenant.>"]`)+`,
			`+user("silent", needs+pull, `subscribe: "_INBOX.>"`)+`,
			`+user("blind", `"$SYS.REQ.USER.INFO"`, `subscribe: "_INBOX.>"`)+`,
			`+user("deaf", needs, `subscribe: "tenant.>"`)+`,
			{user: denied, password: `+secret+`, permissions: {publish: {deny: "tenant.dead_letter.>"}}},
		] } }`)
	examine := func(user string) map[string]doctor.Finding {
		t.Helper()
		return runDoctor(t, with("NATS_URL", urlOf(user)))
	}

	checks := examine("enough") // it may not create what is missing
	testkit.Equal(t, "findings", findings(checks, "nats_perm"), "nats_permissions fault")
	testkit.Contains(t, "hint", checks["nats_permissions"].Hint, "publish $JS.API.STREAM.CREATE.TENANT_EVENTS",
		"publish $JS.API.CONSUMER.CREATE.TENANT_REQUESTS.tenant-provisioner")
	testkit.Equal(t, "findings without NATS_MANAGE_STREAMS",
		findings(runDoctor(t, with("NATS_URL", urlOf("enough")), with("NATS_MANAGE_STREAMS", "false")), "nats_perm", "requests"), "requests_stream fault")
	ensureTopology(t, urlOf("admin"))
	about := []string{"nats_perm", "jetstream", "requests", "events", "dead", "durable"}
	testkit.Equal(t, "findings of the admin", findings(examine("admin"), about...), "")
	testkit.Equal(t, "findings", findings(examine("enough"), about...), "")

	checks = examine("less")
	testkit.Equal(t, "findings", findings(checks, about...), "nats_permissions fault")
	testkit.Equal(t, "hint", checks["nats_permissions"].Hint, "allow the user:\n"+
		"publish $JS.API.CONSUMER.MSG.NEXT.TENANT_REQUESTS.tenant-provisioner")
	testkit.Equal(t, "findings", findings(examine("silent"), about...), "nats_permissions warning")
	checks = examine("denied")
	testkit.Equal(t, "findings", findings(checks, about...), "nats_permissions fault")
	testkit.Contains(t, "hint", checks["nats_permissions"].Hint, "publish tenant.dead_letter.*")

	// A user without permissions gets the error immediately, for each request.
	checks = examine("deaf")
	testkit.Equal(t, "findings", findings(checks, append(about, "nats")...), "nats_permissions fault")
	testkit.Contains(t, "hint", checks["nats_permissions"].Hint, "subscribe _INBOX.>")
	checks = examine("blind")
	testkit.Equal(t, "findings", findings(checks, about...), "dead_letters_stream fault, durable_consumer fault, events_stream fault, "+
		"jetstream warning, nats_permissions warning, requests_stream fault")
	testkit.Contains(t, "message", checks["nats_permissions"].Message, "not the service's")
	testkit.Contains(t, "message", checks["events_stream"].Message, "Permissions Violation", "STREAM.INFO.TENANT_EVENTS")
}

// Users with access to the system account see whether writes are synced.
func TestDoctorOfSyncs(t *testing.T) {
	t.Parallel()
	for interval, want := range map[string]string{"always": "", `"2m"`: "nats_sync warning"} {
		urlOf := startConfigured(t, `
			jetstream { sync_interval: `+interval+` }
			accounts {
				SYS { users: [{user: sys, password: `+secret+`}], exports: [{service: "$SYS.REQ.SERVER.PING.VARZ", response: stream}] }
				A {
					jetstream: enabled, users: [{user: sees, password: `+secret+`}]
					imports: [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.VARZ"}}]
				}
				B { jetstream: enabled, users: [{user: blind, password: `+secret+`}] }
			}
			system_account: SYS`)
		checks := runDoctor(t, with("NATS_URL", urlOf("sees")))
		testkit.Equal(t, "findings with "+interval, findings(checks, "nats_sync"), want)
		if want != "" {
			testkit.Contains(t, "message", checks["nats_sync"].Message, "every 2m0s")
		}
		checks = runDoctor(t, with("NATS_URL", urlOf("blind")))
		testkit.Equal(t, "findings", findings(checks, "nats_sync"), "nats_sync warning")
		testkit.Contains(t, "message", checks["nats_sync"].Message, "not visible")
	}
}

// In a cluster each stream and the consumer should be on three servers, all of them online.
func TestDoctorOfACluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	env := with("NATS_URL", c.urls)
	audit := jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"tenant.provisioned"}}
	_, err := natstest.JetStream(t, c.urls).CreateStream(t.Context(), audit)
	testkit.Must(t, err)
	checks := runDoctor(t, env)
	testkit.Equal(t, "findings", findings(checks, "requests_s", "events_s", "dead_letters_s"),
		"dead_letters_stream warning, events_stream fault, requests_stream warning")
	testkit.Contains(t, "message", checks["events_stream"].Message, "AUDIT")
	testkit.Contains(t, "message", checks["requests_stream"].Message, "nothing prevents its creation")
	testkit.Must(t, natstest.JetStream(t, c.urls).DeleteStream(t.Context(), audit.Name))
	js := ensureTopology(t, c.urls)
	checks = runDoctor(t, env)
	testkit.Equal(t, "findings", findings(checks, "jetstream", "nats_sync"), "jetstream_replicas warning, nats_sync warning")
	testkit.Contains(t, "message", checks["jetstream_replicas"].Message, events.StreamRequests, events.StreamDeadLetters)
	for _, name := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
		retryUntilDone(t, "three replicas of "+name, func(ctx context.Context) (jetstream.Stream, error) {
			stream, err := js.Stream(ctx, name)
			if err != nil {
				return nil, err
			}
			config := stream.CachedInfo().Config
			config.Replicas = 3
			return js.UpdateStream(ctx, config)
		})
	}
	c.awaitReplicas(t, js)
	testkit.Eventually(t, "all replicas are current", func() bool { return findings(runDoctor(t, env), "jetstream", "nats_sync") == "" })

	for _, n := range c.nodes {
		n.kill()
		break
	}
	testkit.Eventually(t, "each stream reports the missing replica", func() bool { // they detect it independently
		checks = runDoctor(t, env)
		return findings(checks, "jetstream") == "jetstream_replicas warning" &&
			strings.Contains(checks["jetstream_replicas"].Message, events.StreamEvents+" on n")
	})
	testkit.Contains(t, "message", checks["jetstream_replicas"].Message, "offline or behind: ", events.StreamEvents+" on n")
	testkit.Contains(t, "hint", checks["jetstream_replicas"].Hint, "nats server report jetstream")
}
