package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// awaitServing waits until the service is ready, and has it provision one more tenant.
func awaitServing(t *testing.T, r *running, js jetstream.JetStream, tenant string) {
	t.Helper()
	testkit.Eventually(t, "the service is ready", func() bool {
		code, _, err := fetch(t, r.http(t)+"/readyz")
		return err == nil && code == 200
	})
	publish(t, js, requestFor(t, "r-"+tenant, tenant))
	awaitSettled(t, js)
}

// PostgreSQL is restored from an older dump beside intact streams, with PostgreSQL's own programs.
func TestRecoveryFromAnOlderDump(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	d := postgresAt(t, s.URL, s.URL)
	env := settings(d.env, with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0"))
	js := natstest.JetStream(t, env["NATS_URL"])
	served(t, env, js, "a1")
	dump := filepath.Join(t.TempDir(), "dump")
	s.Run("pg_dump", "--format=custom", "--file="+dump, s.URL)
	served(t, env, js, "b1", "b2")
	s.Recreate()
	s.Run("pg_restore", "--dbname="+s.URL, dump)

	r := start(t, env, "run")
	awaitNotReady(t, r.http(t), "the database is older than the streams")
	publish(t, js, requestFor(t, "thief", "b1"))
	code, stdout, _ := command(t, env, "reconcile")
	testkit.Equal(t, "exit code of reconcile", code, 1)
	testkit.Contains(t, "reconcile", stdout, "b1", "b2", "its data is lost")
	code, _, _ = command(t, env, "reconcile", "--apply")
	testkit.Equal(t, "exit code while data is lost", code, 1)
	code, stdout, _ = command(t, env, "reconcile", "--apply", "--recreate")
	testkit.Equal(t, "exit code of reconcile --apply --recreate", code, 0)
	testkit.Contains(t, "reconcile", stdout, "built again, empty")
	awaitServing(t, r, js, "c1")
	testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1 b1 b2 c1")
	testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "TENANT_EXISTS 1, provisioned 4")
	verifyTenants(t, d, 5)
}

// The database moves to another server. The service cannot tell that from a copy, until it is told. The former database
// serves nothing afterwards.
func TestRecoveryOnAnotherServer(t *testing.T) {
	t.Parallel()
	from, to := postgrestest.Private(t), postgrestest.Private(t)
	former, d := postgresAt(t, from.URL, from.URL), postgresAt(t, to.URL, to.URL)
	nats := with("NATS_URL", natstest.Start(t))
	js := natstest.JetStream(t, nats["NATS_URL"])
	served(t, settings(former.env, nats), js, "a1")
	dump := filepath.Join(t.TempDir(), "dump")
	from.Run("pg_dump", "--format=custom", "--file="+dump, from.URL)
	to.Recreate()
	to.Run("pg_restore", "--dbname="+to.URL, dump)

	env := settings(d.env, nats, with("HTTP_ADDR", "127.0.0.1:0"))
	r := start(t, env, "run")
	awaitNotReady(t, r.http(t), "this database is a copy")
	code, _, stderr := command(t, env, "reconcile", "--apply")
	testkit.Equal(t, "exit code of reconcile --apply on a copy", code, 1)
	testkit.Contains(t, "stderr", stderr, "--accept-database")
	code, _, _ = command(t, env, "reconcile", "--accept-database")
	testkit.Equal(t, "exit code of reconcile --accept-database", code, 0)
	awaitServing(t, r, js, "a2")
	testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1 a2")

	old := start(t, settings(former.env, nats, with("HTTP_ADDR", "127.0.0.1:0")), "run")
	awaitNotReady(t, old.http(t), "the database is older than the streams")
}

// One stream, or the consumer, is lost: the service makes it again, and nothing is made or announced twice.
func TestRecoveryOfOneStream(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*testing.T, jetstream.JetStream) error{
		"requests": func(t *testing.T, js jetstream.JetStream) error {
			t.Helper()
			return js.DeleteStream(t.Context(), events.StreamRequests)
		},
		"outcomes": func(t *testing.T, js jetstream.JetStream) error {
			t.Helper()
			return js.DeleteStream(t.Context(), events.StreamEvents)
		},
		"consumer": func(t *testing.T, js jetstream.JetStream) error {
			t.Helper()
			return js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, d testDatabase) {
				m := newDamage(t, d)
				m.serve(requestFor(t, "order-1", "acme"), invalidRequest("order-2"))
				before := m.messages(events.StreamEvents)
				testkit.Must(t, lose(t, m.js))
				m.serve(requestFor(t, "order-3", "beta"))
				testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "acme beta")
				if name == "outcomes" {
					m.age()
					m.reconcile(0, []string{"--apply", "--republish"}, "its outcome was published again")
				}
				m.reconcile(0, nil, "nothing to do")
				testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, m.js)), "INVALID_TENANT_ID 1, provisioned 2")
				for _, message := range before {
					if after := m.messages(events.StreamEvents); !strings.Contains(strings.Join(after, "\n"), message) {
						t.Errorf("gone: %s", message)
					}
				}
				testkit.Equal(t, "dead letters", len(m.messages(events.StreamDeadLetters)), 1)
			})
		})
	}
}

// The streams are restored from an older copy of the server's files. The database is newer, which is safe: the service
// serves. reconcile brings back outcomes; what the stream of requests has lost is named.
func TestRecoveryOfOlderStreams(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		dir := t.TempDir()
		on := func(name string, fn func(t *testing.T, m *damage)) {
			t.Helper()
			t.Run(name, func(t *testing.T) {
				url := natstest.Start(t, func(o *server.Options) { o.StoreDir = dir })
				fn(t, &damage{t, d, settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "1s")), natstest.JetStream(t, url)})
			})
		}
		on("until the backup", func(t *testing.T, m *damage) { t.Helper(); m.serve(requestFor(t, "order-1", "acme")) })
		backup := t.TempDir()
		testkit.Must(t, os.CopyFS(backup, os.DirFS(dir)))
		on("after the backup", func(t *testing.T, m *damage) {
			t.Helper()
			m.serve(requestFor(t, "order-2", "beta"), invalidRequest("order-3"))
		})
		testkit.Must(t, os.RemoveAll(dir))
		testkit.Must(t, os.CopyFS(dir, os.DirFS(backup)))
		on("restored", func(t *testing.T, m *damage) {
			t.Helper()
			m.serve(requestFor(t, "order-4", "gamma"))
			testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, m.js)), "provisioned 2")
			m.age()
			m.reconcile(1, []string{"--apply", "--republish"}, "its outcome was published again",
				"TENANT_REQUESTS no longer has the message that failed")
			testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, m.js)), "INVALID_TENANT_ID 1, provisioned 3")
			m.reconcile(0, []string{"--accept"}, "recorded as accepted")
			m.reconcile(0, nil, "nothing to do")
		})
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "acme beta gamma")
	})
}
