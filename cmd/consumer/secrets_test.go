package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/telemetry"
	"example.com/tenant-provisioner/internal/testkit"
)

// The core of the secret is the same in every encoding. The rest must be encoded in a URL.
const (
	secretCore = "Zq7kept8private"
	hardSecret = secretCore + "/@:%,&?# é+" + secretCore
)

// inURL encodes a text for any part of a URL.
func inURL(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// allOutput collects the output of a program that has secrets.
type allOutput struct {
	t    *testing.T
	text strings.Builder
}

// add adds output.
func (e *allOutput) add(what string, texts ...string) {
	for _, text := range texts {
		e.text.WriteString("\n== " + what + "\n" + text)
	}
}

// assertLacks asserts that no secret is in the output.
func (e *allOutput) assertLacks(secrets ...string) {
	e.t.Helper()
	text := e.text.String()
	for _, s := range secrets {
		for _, form := range []string{s, inURL(s), url.QueryEscape(s), url.PathEscape(s)} {
			if at := strings.Index(text, form); at >= 0 {
				e.t.Errorf("%q is shown:\n…%s", s, text[max(0, strings.LastIndex(text[:at], "\n==")):min(len(text), at+200)])
				return
			}
		}
	}
}

// connectingCommands are the commands that connect, or show the configuration.
var connectingCommands = [][]string{
	{"config"},
	{"config", "--json"},
	{"watch"},
	requestArgs("acme"), requestArgs("acme", "--wait", "1ms"),
	{"tenants", "list"},
	{"tenants", "show", "acme"},
	{"tenants", "verify"},
	{"requests", "show", billing, "1"},
	{"dead-letters", "list"},
	{"dead-letters", "replay", "--all", "--yes", "--wait", "0"},
	{"doctor"},
	{"doctor", "--json"},
	{"health"},
}

// collectOutput runs the service and every command in an environment, and returns their output and all their logs.
func collectOutput(t *testing.T, env map[string]string) *allOutput {
	t.Helper()
	e := &allOutput{t: t}
	env = settings(env, with("LOG_LEVEL", "debug"), with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0"))
	service := start(t, env, "run")
	testkit.Eventually(t, "the service takes requests, waits or has exited", func() bool {
		select {
		case <-service.done:
			return true
		default:
		}
		return strings.Contains(service.stderr.String(), "waiting for") || strings.Contains(service.stderr.String(), "taking requests")
	})
	select {
	case <-service.done:
	default:
		addr := testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
		for _, path := range []string{"/readyz", "/livez", "/metrics", "/"} {
			_, body, err := fetch(t, "http://"+addr+path)
			if err != nil { // the service exits if it is useless to wait
				service.wait(t)
				break
			}
			e.add(path, body)
		}
	}
	env["HTTP_ADDR"] = testkit.FreeAddr(t)
	for _, args := range connectingCommands {
		if args[0] == "watch" && reachesNATS(service) { // it would not end
			watch := start(t, env, args...)
			watch.stop(t)
			e.add("watch", watch.stdout.String(), watch.stderr.String())
			continue
		}
		_, stdout, stderr := command(t, env, args...)
		e.add(strings.Join(args, " "), stdout, stderr)
	}
	service.stop(t)
	e.add("the service", service.stdout.String(), service.stderr.String())
	return e
}

// reachesNATS reports whether the service has a connection to NATS.
func reachesNATS(service *running) bool {
	log := service.stderr.String()
	return strings.Contains(log, "taking requests") || strings.Contains(log, "waiting for the database") ||
		!strings.Contains(log, "waiting for NATS")
}

// Secrets in the configuration appear in no output, whatever is wrong with the configuration or the servers.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	encoded := inURL(hardSecret)
	unused := testkit.FreeAddr(t)
	locked := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "me", "another" })
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE me LOGIN PASSWORD 'another'")
	creds, seed := newIssuer(t).creds()
	user := strings.NewReplacer("://", "://me:"+encoded+"@")
	nats := func(url string) map[string]string { return with("NATS_URL", url) }
	database := func(url string) map[string]string { return merge(nats("nats://"+unused), with("DATABASE_URL", url)) }
	for name, env := range map[string]map[string]string{
		"NATS unavailable":              nats("nats://me:" + encoded + "@" + unused),
		"NATS unavailable, token":       nats("nats://" + encoded + "@" + unused),
		"NATS unavailable, several":     nats("nats://me:" + encoded + "@" + unused + ",tls://" + encoded + "@" + unused),
		"NATS, wrong password":          nats(user.Replace(locked)),
		"NATS, wrong token":             nats(strings.Replace(locked, "://", "://"+encoded+"@", 1)),
		"NATS, not encoded":             nats("nats://me:" + hardSecret + "@" + unused),
		"NATS, no host":                 nats("nats://me:" + encoded + "@"),
		"NATS, port":                    nats("nats://me:" + encoded + "@127.0.0.1:port"),
		"NATS, bad encoding":            nats("nats://me:" + secretCore + "%zz@" + unused),
		"NATS, parameter":               nats("nats://" + unused + "/?password=" + encoded),
		"NATS, wrong creds":             merge(nats(locked), with("NATS_CREDS", creds)),
		"NATS unavailable, creds":       merge(nats("nats://"+unused), with("NATS_CREDS", creds)),
		"PostgreSQL unavailable":        database("postgres://me:" + encoded + "@" + unused + "/tenants"),
		"PostgreSQL unavailable, hosts": database("postgres://me:" + encoded + "@" + unused + "," + unused + "/tenants"),
		"PostgreSQL, parameter":         database("postgres://" + unused + "/tenants?user=me&password=" + encoded),
		"PostgreSQL, its key":           database("postgres://me@" + unused + "/tenants?sslpassword=" + encoded),
		"PostgreSQL, name hidden":       database("postgres://" + unused + "/tenants?user=me&pass%77ord=" + encoded),
		"PostgreSQL, password":          database(s.URLOf("me", hardSecret)),
		"PostgreSQL, not encoded":       database("postgres://me:" + hardSecret + "@" + unused + "/tenants"),
		"PostgreSQL, port":              database("postgres://me:" + encoded + "@127.0.0.1:port/tenants"),
		"PostgreSQL, mode":              database("postgres://me:" + encoded + "@" + unused + "/tenants?sslmode=perhaps"),
		"PostgreSQL, mode again":        database("postgres://" + unused + "/tenants?sslmode=perhaps&password=" + encoded),
		"PostgreSQL, encoding":          database("postgres://me:" + secretCore + "%zz@" + unused + "/tenants"),
		"PostgreSQL, encoding 2":        database("postgres://" + unused + "/tenants?password=" + secretCore + "%zz"),
		"PostgreSQL, spaces":            database("postgres://" + unused + "/tenants?connect_timeout=x&password=a " + secretCore),
		"PostgreSQL, certificate":       database("postgres://me:" + encoded + "@" + unused + "/tenants?sslmode=verify-full&sslrootcert=/nowhere"),
		"PostgreSQL, unknown":           database("postgres://me:" + encoded + "@" + unused + "/tenants?hostt=" + encoded),
		"PostgreSQL, keywords":          database("host=127.0.0.1 user=me password=" + hardSecret),
		"PostgreSQL, quoted":            database("host=127.0.0.1 user=me password='" + hardSecret + "'"),
		"another database":              database("mysql://me:" + encoded + "@" + unused + "/tenants"),
		"no URL":                        database("me:" + hardSecret + "@" + unused),
		"headers of traces": merge(nats("nats://"+unused), map[string]string{
			"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer " + secretCore, "PGPASSWORD": secretCore,
			"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=" + secretCore,
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if env["DATABASE_URL"] == "" {
				env["DATABASE_URL"] = newSQLite(t).env["DATABASE_URL"]
			} else if strings.HasPrefix(env["DATABASE_URL"], "postgres://") {
				env["NATS_URL"] = natstest.Start(t) // the service reaches the database
			}
			e := collectOutput(t, env)
			e.assertLacks(secretCore, hardSecret, seed)
			testkit.Contains(t, "output", e.text.String(), "consumer: ")
		})
	}
}

// With valid secrets the service works, and neither logs, metrics, events nor dead letters hold them.
func TestSecretsAreNotPublished(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE me LOGIN PASSWORD '"+hardSecret+"'", "GRANT CREATE ON DATABASE tenants TO me")
	parameters := strings.Replace(strings.Replace(s.URLOf("me", ""), "me:@", "", 1), "?", "?user=me&password="+inURL(hardSecret)+"&", 1)
	i := newIssuer(t)
	creds, seed := i.creds()
	encoded := inURL(hardSecret)
	withPassword := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "me", hardSecret })
	withToken := natstest.Start(t, func(o *server.Options) { o.Authorization = hardSecret })
	for name, env := range map[string]map[string]string{
		"password": {
			"NATS_URL": strings.Replace(withPassword, "://", "://me:"+encoded+"@", 1), "DATABASE_URL": s.URLOf("me", hardSecret),
		},
		"token": {"NATS_URL": strings.Replace(withToken, "://", "://"+encoded+"@", 1), "DATABASE_URL": parameters},
		"creds": {"NATS_URL": i.start(), "NATS_CREDS": creds, "DATABASE_URL": s.URLOf("me", hardSecret)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env["REGISTRY_SCHEMA"], env["SCHEMA_TEMPLATE"] = "of_"+name, name+"_{tenant_id}"
			service := serve(t, settings(env, with("LOG_LEVEL", "debug"), with("HTTP_ADDR", "127.0.0.1:0")))
			for _, code := range []int{0, 1} { // the second time the tenant exists
				got, _, stderr := command(t, settings(env), requestArgs("acme", "--wait", outcomeWait)...)
				testkit.Equal(t, "exit code: "+stderr, got, code)
			}
			e := collectOutput(t, env)
			_, body := get(t, "http://"+testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")+"/metrics")
			e.add("/metrics", body)
			c, err := config.Load(t.Context(), envconfig.MapLookuper(env))
			testkit.Must(t, err)
			js, end, err := natsconn.Open(t.Context(), c, telemetry.NewLogger(os.Stderr, c.LogLevel, ""))
			testkit.Must(t, err)
			defer end()
			for _, stream := range []string{events.StreamEvents, events.StreamDeadLetters, events.StreamRequests} {
				e.addStream(t, js, stream)
			}
			testkit.Equal(t, "exit code", service.stop(t), 0)
			e.add("the service", service.stderr.String())
			if strings.Contains(service.stderr.String(), "Acme Inc.") {
				t.Error("the log holds the name of a customer")
			}
			e.assertLacks(secretCore, hardSecret, seed)
			testkit.Contains(t, "output", e.text.String(), "taking requests", "TENANT_EXISTS", "tenant.provisioned",
				"tenant_provisioner_outcomes_total", "DATABASE_URL=postgres://")
		})
	}
}

// addStream adds the messages of a stream, which must have some.
func (e *allOutput) addStream(t *testing.T, js jetstream.JetStream, name string) {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	testkit.Must(t, err)
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
		msg, err := stream.GetMsg(t.Context(), sequence)
		if err != nil {
			continue // it was replaced
		}
		for header, values := range msg.Header {
			e.add(name, header, strings.Join(values, ", "))
		}
		e.add(name, msg.Subject, string(msg.Data))
	}
	if state.LastSeq == 0 {
		t.Errorf("nothing is in %s", name)
	}
}

// A password in a file does not appear in the output either.
func TestPasswordFile(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE me LOGIN PASSWORD '"+secretCore+"'", "GRANT CREATE ON DATABASE tenants TO me")
	file := filepath.Join(t.TempDir(), "passwords")
	testkit.Must(t, os.WriteFile(file, []byte("*:*:*:me:"+secretCore+"\n"), 0o600))
	withPassfile := strings.Replace(s.URLOf("me", ""), "me:@", "me@", 1) + "&passfile=" + url.QueryEscape(file)
	e := collectOutput(t, map[string]string{"DATABASE_URL": withPassfile, "NATS_URL": natstest.Start(t)})
	e.assertLacks(secretCore)
	testkit.Contains(t, "output", e.text.String(), "taking requests")
}

// Spans go to a third party: they hold user names, but no secrets and no headers for the collector.
func TestSecretsAreNotTraced(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE me LOGIN PASSWORD '"+hardSecret+"'", "GRANT CREATE ON DATABASE tenants TO me")
	locked := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "me", hardSecret })
	seen, collector := collectSpans(t)
	env := settings(map[string]string{
		"NATS_URL":     strings.Replace(locked, "://", "://me:"+inURL(hardSecret)+"@", 1),
		"DATABASE_URL": s.URLOf("me", hardSecret), "PREPARED_BOUNDARIES": "1", "LOG_LEVEL": "debug",
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=" + secretCore,
	})
	p := launch(t, env)
	testkit.Logged(t, &p.stderr, "taking requests", "workers")
	for _, code := range []int{0, 1} {
		got, _, stderr := command(t, env, requestArgs("acme", "--wait", outcomeWait)...)
		testkit.Equal(t, "exit code: "+stderr, got, code)
	}
	p.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", p.wait(t), 0)
	e := &allOutput{t: t}
	e.add("the log", p.stderr.String())
	if len(seen.all) == 0 {
		t.Error("nothing was traced")
	}
	for _, span := range seen.all {
		e.add("a span", span.String())
	}
	e.assertLacks(secretCore, hardSecret)
}
