package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// leafNode starts a hub, and a leaf node with JetStream in the domain "leaf". It returns their URLs.
func leafNode(t *testing.T, hub string) (hubURL, leafURL string) {
	t.Helper()
	h := natstest.StartConfigured(t, hub+`
		leafnodes { listen: "127.0.0.1:-1" }`)
	return h.URL, startLeaf(t, h.LeafNodeURL("", ""))
}

// jetStreamDomain is the configuration of JetStream in a domain.
func jetStreamDomain(t *testing.T, name string) string {
	t.Helper()
	return fmt.Sprintf("jetstream { domain: %s, store_dir: %q }\n", name, t.TempDir())
}

// startLeaf starts a leaf node with JetStream in the domain "leaf", waits until it is connected, and returns its URL.
func startLeaf(t *testing.T, hub *url.URL) string {
	t.Helper()
	l := natstest.StartServer(t, func(o *server.Options) {
		o.JetStreamDomain = "leaf"
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{hub}}}
	})
	testkit.Eventually(t, "the leaf node is connected", func() bool { return l.NumLeafNodes() == 1 })
	return l.ClientURL()
}

// importedJetStream starts a server whose account TENANTS uses the JetStream of the account STREAMS, as
// deploy/nats/imported.conf configures it. It returns the URLs of their users.
func importedJetStream(t *testing.T) (tenants, streams string) {
	t.Helper()
	options, err := server.ProcessConfigFile("../../deploy/nats/imported.conf")
	testkit.Must(t, err)
	options.Port, options.StoreDir, options.NoSigs, options.NoLog = server.RANDOM_PORT, t.TempDir(), true, true
	s := natstest.StartServer(t, func(o *server.Options) { *o = *options })
	user := func(name string) string {
		return strings.Replace(s.ClientURL(), "://", "://"+name+":"+name+"-s3cr3t@", 1)
	}
	return user("consumer"), user("operator")
}

// assertEveryCommandWorks runs the service and each command that uses NATS with these variables. at reads the streams.
func assertEveryCommandWorks(t *testing.T, d testDatabase, env map[string]string, at jetstream.JetStream) {
	t.Helper()
	env = settings(d.env, env)
	run := func(code int, args ...string) (stdout string) {
		t.Helper()
		got, stdout, stderr := command(t, env, args...)
		if got != code {
			t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, stdout, stderr)
		}
		return stdout
	}
	service := serve(t, env)
	testkit.Contains(t, "request", run(0, requestArgs("acme", "--wait", outcomeWait)...), "acme")
	testkit.Contains(t, "a failing request", run(1, requestArgs("_docex_x_", "--wait", outcomeWait)...), "RESERVED_TENANT_ID")
	watching := start(t, env, "watch", "--all")
	testkit.Logs(t, &watching.stdout, "acme")
	testkit.Equal(t, "exit code of watch", watching.stop(t), 0)
	testkit.Contains(t, "tenants", run(0, "tenants", "list"), "acme")
	run(0, "tenants", "verify")
	testkit.Contains(t, "requests", run(0, "requests", "list"), "acme")
	list := run(0, "dead-letters", "list", "--json")
	_, rest, found := strings.Cut(list, `"key":"`)
	if !found {
		_, rest, found = strings.Cut(list, `"key": "`)
	}
	if !found {
		t.Fatalf("no key in %s", list)
	}
	key, _, _ := strings.Cut(rest, `"`)
	testkit.Contains(t, "dead letter", run(0, "dead-letters", "show", key), "RESERVED_TENANT_ID")
	run(0, "dead-letters", "replay", key, "--dry-run")
	run(1, "dead-letters", "replay", key, "--yes") // it fails again, and the dead letter is there again
	run(0, "dead-letters", "remove", key, "--yes")
	run(0, "requests", "prune", "--older-than", "2400h")
	run(0, "reconcile", "--apply", "--republish")
	checks := runDoctor(t, env)
	for _, name := range []string{"nats", "nats_permissions", "jetstream", "requests_stream", "durable_consumer", "streams_registry"} {
		if found := checks[name]; found.Status != "ok" {
			t.Errorf("doctor: %+v", found)
		}
	}
	testkit.Equal(t, "exit code", service.stop(t), 0)
	awaitSettled(t, at)
}

// A leaf node's JetStream is used through the hub, by its domain; the hub may have its own.
func TestJetStreamOfALeafNode(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"hub without JetStream of the account": "accounts { A { users: [{user: a, password: a}] } }\nno_auth_user: a",
		"hub with JetStream":                   jetStreamDomain(t, "hub"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub, leaf := leafNode(t, config)
			env := map[string]string{"NATS_URL": hub, "NATS_JS_DOMAIN": "leaf"}
			assertEveryCommandWorks(t, newSQLite(t), env, natstest.JetStream(t, leaf))
			testkit.Contains(t, "doctor", runDoctor(t, env)["nats"].Message, "JetStream domain leaf", "no user")
			if strings.Contains(config, "hub") {
				_, err := natstest.JetStream(t, hub).Stream(t.Context(), events.StreamRequests)
				testkit.Equal(t, "streams of the hub", fmt.Sprint(err), fmt.Sprint(jetstream.ErrStreamNotFound))
			}
		})
	}
}

// The JetStream of another account is used by the prefix of the import.
func TestImportedJetStream(t *testing.T) {
	t.Parallel()
	tenants, streams := importedJetStream(t)
	env := map[string]string{"NATS_URL": tenants, "NATS_JS_API_PREFIX": "JS.streams.API"}
	assertEveryCommandWorks(t, newSQLite(t), env, natstest.JetStream(t, streams))
	checks := runDoctor(t, env)
	testkit.Contains(t, "doctor", checks["nats"].Message, "user consumer by password", "account TENANTS", "JetStream API JS.streams.API")
}

// A permission of the JetStream API that is missing is named with the subject that the server checks: of a leaf node that
// of its domain; a server of the domain itself maps that first.
func TestPermissionsInADomain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ own, denied, other string }{
		"server of the domain": {"leaf", "$JS.API.STREAM.CREATE.", "$JS.leaf.API.STREAM.INFO.>"},
		"hub":                  {"hub", "$JS.leaf.API.STREAM.CREATE.", "$JS.API.STREAM.INFO.>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.StartConfigured(t, jetStreamDomain(t, c.own)+`
				leafnodes { listen: "127.0.0.1:-1" }
				accounts { A { jetstream: enabled, users: [
					{user: me, password: pw, permissions: {publish: {deny: ["`+c.denied+`>", "`+c.other+`"]}}}, {user: leaf, password: pw}
				] } }`)
			if c.own == "hub" {
				startLeaf(t, s.LeafNodeURL("leaf", "pw"))
			}
			env := map[string]string{"NATS_URL": strings.Replace(s.URL, "://", "://me:pw@", 1), "NATS_JS_DOMAIN": "leaf"}
			hint := runDoctor(t, env)["nats_permissions"].Hint
			testkit.Contains(t, "doctor", hint, "publish "+c.denied+events.StreamRequests)
			testkit.Equal(t, "it names subjects that the user has", strings.Contains(hint, "INFO"), false)
			r := start(t, settings(newSQLite(t).env, env), "run")
			testkit.Logs(t, &r.stderr, c.denied+"TENANT_")
			testkit.Logs(t, &r.stderr, "use a user with this permission")
			testkit.Equal(t, "exit code", r.stop(t), 0)
		})
	}
}

// A user may be known by its nkey alone; the same in a context.
func TestNATSByNkey(t *testing.T) {
	t.Parallel()
	key, err := nkeys.CreateUser()
	testkit.Must(t, err)
	seed, err := key.Seed()
	testkit.Must(t, err)
	public, err := key.PublicKey()
	testkit.Must(t, err)
	dir := t.TempDir()
	file, context := filepath.Join(dir, "user.nk"), filepath.Join(dir, "context.json")
	testkit.Must(t, os.WriteFile(file, seed, 0o600))
	s := natstest.StartConfigured(t, "accounts { A { jetstream: enabled, users: [ {nkey: "+public+"} ] } }")
	env := map[string]string{"NATS_URL": s.URL, "NATS_NKEY": file}
	assertProvisions(t, env)
	checks := runDoctor(t, env)
	testkit.Contains(t, "doctor", checks["nats"].Message, "user "+public+" by nkey, account A")

	testkit.Must(t, os.WriteFile(context, fmt.Appendf(nil, `{"url": %q, "nkey": %q}`, s.URL, file), 0o600))
	code, stdout, stderr := command(t, with("NATS_CONTEXT", context), requestArgs("other")...)
	testkit.Equal(t, "exit code: "+stdout+stderr, code, 0)
	code, stdout, _ = command(t, with("NATS_CONTEXT", context), "config")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "config", stdout, "NATS_URL="+s.URL+"\n", "NATS_NKEY="+file+"\n",
		"# NATS_URL is url of the context "+context+"\n", "# NATS_NKEY is nkey of the context "+context+"\n")
	if strings.Contains(stdout, string(seed)) {
		t.Error("the seed is shown")
	}
}

// The server's list of connections says which command, and which host, has each.
func TestNameOfEachConnection(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	testkit.Must(t, err)
	s := natstest.StartServer(t)
	env := settings(newSQLite(t).env, with("NATS_URL", s.ClientURL()))
	service := serve(t, env)
	watching := start(t, env, "watch")
	names := func() (names []string) {
		connections, err := s.Connz(nil)
		testkit.Must(t, err)
		for _, c := range connections.Conns {
			names = append(names, c.Name)
		}
		return names
	}
	for _, want := range []string{"tenant-provisioner run on " + host, "tenant-provisioner watch on " + host} {
		testkit.Eventually(t, want, func() bool { return strings.Contains(strings.Join(names(), "\n"), want) })
	}
	watching.stop(t) // perhaps before it reads, so its exit code is not compared
	testkit.Equal(t, "exit code", service.stop(t), 0)
	js := natstest.JetStream(t, s.ClientURL())
	for _, name := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
		stream, err := js.Stream(t.Context(), name)
		testkit.Must(t, err)
		testkit.Contains(t, name, stream.CachedInfo().Config.Description, "tenant-provisioner")
	}
	consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	testkit.Contains(t, "the consumer", consumer.CachedInfo().Config.Description, "tenant-provisioner")
}
