package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/testkit"
)

// natsUsers are the users of deploy/nats/server.conf, with the passwords for the file. A hash works too: this one is of
// "consumer-s3cr3t".
var natsUsers = map[string]string{
	"publisher": "publisher-s3cr3t", "subscriber": "subscriber-s3cr3t", "operator": "operator-s3cr3t", "requester": "requester-s3cr3t",
	"consumer": "$2a$04$YtoQ94Bq2EHCJj3hF3ynZ.JBkWr7oij0Tqt9XPUFE3YTEz29JZQTS",
}

// setNATSPasswords is for TestMain: the file reads them from the environment, which parallel tests share.
func setNATSPasswords() {
	for user, password := range natsUsers {
		if err := os.Setenv("NATS_"+strings.ToUpper(user)+"_PASSWORD", password); err != nil {
			panic(err)
		}
	}
}

// usersServer is a NATS server with the users of deploy/nats/server.conf.
type usersServer struct {
	t    *testing.T
	addr string
	stop func() // called at the test's end too
}

// startUsersServer starts a server with the file, without the lines that end in one of the marks. It stores in dir.
func startUsersServer(t *testing.T, dir string, without ...string) usersServer {
	t.Helper()
	file := "../../deploy/nats/server.conf"
	if len(without) > 0 {
		file = fileWithout(t, file, without)
	}
	options, err := server.ProcessConfigFile(file)
	testkit.Must(t, err)
	testkit.Equal(t, "every write is synced", options.SyncAlways, true)
	testkit.Equal(t, "host", options.Host, "127.0.0.1")
	options.Port, options.StoreDir, options.NoSigs, options.NoLog = server.RANDOM_PORT, dir, true, true
	s, err := server.NewServer(options)
	testkit.Must(t, err)
	s.Start()
	stop := func() {
		s.Shutdown()
		s.WaitForShutdown()
	}
	t.Cleanup(stop)
	if !s.ReadyForConnections(testkit.Patience) {
		t.Fatal("the NATS server is not ready")
	}
	return usersServer{t, s.Addr().String(), stop}
}

// fileWithout copies a file without the lines that end in one of the marks. Each mark must occur.
func fileWithout(t *testing.T, file string, marks []string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	testkit.Must(t, err)
	lines := strings.Split(string(text), "\n")
	for _, mark := range marks {
		before := len(lines)
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasSuffix(line, "# "+mark) })
		if len(lines) == before {
			t.Fatalf("no line of %s is marked %s", file, mark)
		}
	}
	copied := filepath.Join(t.TempDir(), "server.conf")
	testkit.Must(t, os.WriteFile(copied, []byte(strings.Join(lines, "\n")), 0o600))
	return copied
}

// inboxOf is the prefix of a user's inboxes.
func inboxOf(user string) string {
	if user == "publisher" {
		return nats.InboxPrefix[:len(nats.InboxPrefix)-1]
	}
	return "_INBOX_" + user
}

// envOf is the environment of a command that a user runs.
func (g usersServer) envOf(user string, more ...map[string]string) map[string]string {
	return settings(append([]map[string]string{
		with("NATS_URL", "nats://"+user+":"+user+"-s3cr3t@"+g.addr), with("NATS_INBOX_PREFIX", inboxOf(user)),
	}, more...)...)
}

// connect connects as a user.
func (g usersServer) connect(user string) *nats.Conn {
	g.t.Helper()
	nc, err := nats.Connect("nats://"+g.addr, nats.UserInfo(user, user+"-s3cr3t"), nats.CustomInboxPrefix(inboxOf(user)),
		nats.Timeout(testkit.Patience),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // tests check LastError
	testkit.Must(g.t, err)
	g.t.Cleanup(nc.Close)
	return nc
}

func (g usersServer) jetStream(user string) jetstream.JetStream {
	g.t.Helper()
	js, err := jetstream.New(g.connect(user))
	testkit.Must(g.t, err)
	return js
}

// run runs a user's command, and asserts its exit code and that it lacks no permission.
func (g usersServer) run(user string, code int, args ...string) (stdout string) {
	g.t.Helper()
	got, stdout, stderr := command(g.t, g.envOf(user), args...)
	if got != code || strings.Contains(strings.ToLower(stderr), "permissions violation") {
		g.t.Errorf("%s runs %v: exit code %d, want %d: %s%s", user, args, got, code, stdout, stderr)
	}
	return stdout
}

// awaitStored awaits a request whose receipt is from before the client was opened.
func awaitStored(t *testing.T, g usersServer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	js := g.jetStream("requester")
	data := events.Requested{TenantID: "stored", DisplayName: "Stored", CreatedBy: "test"}
	receipt, err := client.Request(ctx, js, "/signup", "stored", data)
	testkit.Must(t, err)
	c, err := client.Open(ctx, js)
	testkit.Must(t, err)
	defer c.Close()
	outcome, err := c.Await(ctx, receipt)
	testkit.Must(t, err)
	testkit.Equal(t, "tenant", outcome.TenantID(), "stored")
	if err := js.Conn().LastError(); err != nil {
		t.Errorf("the requester lacks a permission: %v", err)
	}
}

// Streams of an earlier version get the registry's id only from a user that may change streams, which the service's may
// not. It is ready all the same, and says what an administrator should do.
func TestNATSUserThatMayNotStampStreams(t *testing.T) {
	t.Parallel()
	g := startUsersServer(t, t.TempDir())
	js := g.jetStream("consumer")
	testkit.Must(t, handler.Topology{Replicas: 1, Manage: true, AckWait: testkit.Patience}.Ensure(t.Context(), js))
	d := newSQLite(t)
	for range 2 {
		service := serve(t, g.envOf("consumer", d.env))
		id := d.rows(system, "SELECT registry_id FROM {b}registry_stamp")[0]
		testkit.Contains(t, "log", service.stderr.String(), "the streams do not carry the registry's id",
			"nats stream edit TENANT_EVENTS --metadata="+handler.StampMetadata+"="+id)
		found := runDoctor(t, g.envOf("operator", d.env))["streams_registry"]
		testkit.Equal(t, "doctor", found.Status, doctor.Warning)
		testkit.Equal(t, "exit code", service.stop(t), 0)
	}
}

// Each user can do its job, by commands of this program or another client, and lacks no permission.
func TestNATSUsersCanDoTheirJob(t *testing.T) {
	t.Parallel()
	g := startUsersServer(t, t.TempDir())
	d := newSQLite(t)
	service := serve(t, g.envOf("consumer", d.env, with("HTTP_ADDR", "127.0.0.1:0")))
	http := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")

	progress, err := g.connect("subscriber").SubscribeSync(events.ProgressSubject("*"))
	testkit.Must(t, err)
	testkit.Must(t, progress.SetPendingLimits(-1, -1))
	_, err = g.jetStream("subscriber").Stream(t.Context(), events.StreamEvents) // the subscription exists by then
	testkit.Must(t, err)
	watch := start(t, g.envOf("subscriber"), "watch", "--all", "--json")

	testkit.Contains(t, "request", g.run("publisher", 0, requestArgs("acme", "--id", "1")...), "requested acme")
	for range 2 {
		testkit.Contains(t, "request --wait", g.run("requester", 0, requestArgs("initech", "--wait", outcomeWait, "--id", "fixed")...),
			"tenant.provisioned initech")
	}
	testkit.Contains(t, "request --wait", g.run("operator", 0, requestArgs("umbrella", "--wait", outcomeWait)...), "tenant.provisioned umbrella")
	g.run("operator", 1, requestArgs("acme", "--wait", outcomeWait)...)
	g.run("operator", 1, requestArgs("umbrella", "--wait", outcomeWait)...)
	for failed := false; !failed; { // on a busy machine, what takes long has events too
		msg, err := progress.NextMsg(testkit.Patience)
		testkit.Must(t, err)
		failed = strings.Contains(string(msg.Data), `"validate_request"},"state":"failed"`)
	}
	testkit.Eventually(t, "the subscriber watches", func() bool { return strings.Count(watch.stdout.String(), "\n") == 5 })

	consumeOutcomes(t, g)
	awaitStored(t, g)

	listed := g.run("operator", 0, "dead-letters", "list", "--json")
	testkit.Equal(t, "dead letters", strings.Count(listed, "\n"), 2)
	key := strings.Split(listed, `"`)[3]
	testkit.Contains(t, "show", g.run("operator", 0, "dead-letters", "show", key), "TENANT_EXISTS")
	testkit.Contains(t, "replay", g.run("operator", 1, "dead-letters", "replay", key), "TENANT_EXISTS")
	testkit.Contains(t, "remove", g.run("operator", 0, "dead-letters", "remove", key, "--yes"), "removed")
	testkit.Eventually(t, "one dead letter is left", func() bool {
		return strings.Count(g.run("operator", 0, "dead-letters", "list", "--json"), "\n") == 1
	})
	testkit.Contains(t, "watch", g.run("operator", 0, requestArgs("third", "--wait", outcomeWait, "--json")...), `"third"`)

	code, stdout, stderr := command(t, g.envOf("operator", d.env), "doctor")
	testkit.Equal(t, "exit code of doctor", code, 0)
	if strings.Contains(stdout+stderr, "ermissions violation") {
		t.Errorf("doctor lacks a permission: %s%s", stdout, stderr)
	}
	testkit.Contains(t, "doctor's output", stdout, "! nats_permissions ", "not the service's")
	testkit.Equal(t, "findings of the service's user", findings(runDoctor(t, g.envOf("consumer", d.env)), "nats_perm", "jetstream", "requests"), "")
	for _, path := range []string{"/readyz", "/metrics"} {
		code, _ := get(t, http+path)
		testkit.Equal(t, path, code, 200)
	}
	// The page shows outcomes and dead letters, so the service must be allowed to read them.
	testkit.Eventually(t, "the page shows outcomes and dead letters", func() bool {
		_, page := get(t, http+"/")
		return strings.Contains(page, "umbrella") && strings.Contains(page, "TENANT_EXISTS")
	})
	for _, user := range []string{"consumer", "operator"} {
		if q, err := handler.ReadQueue(t.Context(), g.jetStream(user)); err != nil || q.Lag() != 0 {
			t.Errorf("%s reads the queue: %+v, %v", user, q, err)
		}
	}
	for what, r := range map[string]*running{"service": service, "watch": watch} {
		testkit.Equal(t, "exit code of "+what, r.stop(t), 0)
		if strings.Contains(strings.ToLower(r.stderr.String()), "permissions violation") {
			t.Errorf("%s lacks a permission: %s", what, testkit.Tail(r.stderr.String()))
		}
	}
}

// consumeOutcomes reads outcomes as other programs do.
func consumeOutcomes(t *testing.T, g usersServer) {
	t.Helper()
	js := g.jetStream("subscriber")
	durable, err := js.CreateOrUpdateConsumer(t.Context(), events.StreamEvents, jetstream.ConsumerConfig{
		Durable: "crm", AckPolicy: jetstream.AckExplicitPolicy,
	})
	testkit.Must(t, err)
	msg, err := durable.Next(jetstream.FetchMaxWait(testkit.Patience))
	testkit.Must(t, err)
	testkit.Must(t, msg.DoubleAck(t.Context()))
	filtered, err := js.CreateConsumer(t.Context(), events.StreamEvents, jetstream.ConsumerConfig{
		FilterSubject: events.TypeProvisioningFailed, AckPolicy: jetstream.AckNonePolicy,
	})
	testkit.Must(t, err)
	msg, err = filtered.Next(jetstream.FetchMaxWait(testkit.Patience))
	testkit.Must(t, err)
	testkit.Equal(t, "subject", msg.Subject(), events.TypeProvisioningFailed)
	ordered, err := js.OrderedConsumer(t.Context(), events.StreamEvents, jetstream.OrderedConsumerConfig{})
	testkit.Must(t, err)
	_, err = ordered.Next(jetstream.FetchMaxWait(testkit.Patience))
	testkit.Must(t, err)
	testkit.Must(t, js.DeleteConsumer(t.Context(), events.StreamEvents, "crm"))
}

// The service works without the permissions for its page and, once the streams exist, for creating them.
func TestServiceWithFewerNATSPermissions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	refused := startUsersServer(t, t.TempDir(), "manage", "page")
	r := start(t, refused.envOf("consumer", newSQLite(t).env), "run")
	testkit.Eventually(t, "the log names the missing permission", func() bool {
		text := r.stderr.String()
		return strings.Contains(text, "$JS.API.STREAM.CREATE.TENANT_") && strings.Contains(text, "deploy/nats/server.conf")
	})
	testkit.Equal(t, "exit code", r.stop(t), 0)

	creator := startUsersServer(t, dir)
	d := newSQLite(t)
	r = serve(t, creator.envOf("consumer", d.env))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	creator.stop()
	g := startUsersServer(t, dir, "manage", "page")
	for _, manage := range []string{"false", "true"} { // there is nothing to create
		r := serve(t, g.envOf("consumer", d.env, with("NATS_MANAGE_STREAMS", manage)))
		g.run("operator", 0, requestArgs("acme_"+manage, "--wait", outcomeWait, "--id", manage)...)
		g.run("operator", 1, requestArgs("acme_"+manage, "--wait", outcomeWait, "--id", manage+" again")...)
		testkit.Equal(t, "exit code", r.stop(t), 0)
		if strings.Contains(strings.ToLower(r.stderr.String()), "permissions violation") {
			t.Errorf("the service lacks a permission: %s", testkit.Tail(r.stderr.String()))
		}
	}
}

// No user can act for another. The test tries each user on each subject, to publish and to subscribe.
func TestNATSUsersCanDoNothingElse(t *testing.T) {
	t.Parallel()
	g := startUsersServer(t, t.TempDir())
	r := serve(t, g.envOf("consumer", newSQLite(t).env)) // creates streams and consumer
	testkit.Equal(t, "exit code", r.stop(t), 0)

	var (
		noUser    []string
		service   = []string{"consumer"}
		operator  = []string{"operator"}
		reads     = []string{"consumer", "subscriber", "requester", "operator"} // outcomes
		sees      = []string{"consumer", "requester", "operator"}               // requests
		publishes = map[string][]string{
			events.TypeRequested:                  {"publisher", "requester", "operator"},
			events.TypeProvisioned:                service,
			events.TypeProvisioningFailed:         service,
			events.SubjectDeadLetterPrefix + "x":  service,
			events.SubjectProgressPrefix + "acme": service,
			"tenant.anything":                     noUser,
			"anything":                            noUser,
			"$SYS.REQ.SERVER.PING":                noUser,
			"$JS.API.INFO":                        {"consumer", "operator"},
			"$SYS.REQ.USER.INFO":                  {"consumer", "operator"},
			"$SYS.REQ.SERVER.PING.VARZ":           noUser,
			"$JS.API.STREAM.NAMES":                service,
			"$JS.API.STREAM.CREATE.OTHER":         noUser,
			"$JS.API.STREAM.INFO.OTHER":           noUser,
			// Only the service takes requests; only the service and operators may see them.
			"$JS.API.CONSUMER.MSG.NEXT.TENANT_REQUESTS.tenant-provisioner": service,
			"$JS.ACK.TENANT_REQUESTS.tenant-provisioner.1.1.1.1.0":         service,
			"$JS.ACK.domain.hash.TENANT_REQUESTS.tenant-provisioner.1.1.1": service,
			"$JS.API.CONSUMER.INFO.TENANT_REQUESTS.tenant-provisioner":     {"consumer", "operator"},
			"$JS.API.CONSUMER.CREATE.TENANT_REQUESTS.tenant-provisioner":   service,
			"$JS.API.CONSUMER.CREATE.TENANT_REQUESTS.spy":                  noUser,
			"$JS.API.CONSUMER.CREATE.TENANT_REQUESTS":                      noUser,
			"$JS.API.CONSUMER.CREATE.TENANT_EVENTS":                        noUser,
			"$JS.API.CONSUMER.DURABLE.CREATE.TENANT_REQUESTS.spy":          noUser,
			"$JS.API.CONSUMER.DURABLE.CREATE.TENANT_EVENTS.spy":            noUser,
			"$JS.API.CONSUMER.DELETE.TENANT_REQUESTS.tenant-provisioner":   service,
			"$JS.API.CONSUMER.PAUSE.TENANT_REQUESTS.tenant-provisioner":    noUser,
			// Outcomes.
			"$JS.API.CONSUMER.CREATE.TENANT_EVENTS.any":                    reads,
			"$JS.API.CONSUMER.CREATE.TENANT_EVENTS.any.tenant.provisioned": reads,
			"$JS.API.CONSUMER.MSG.NEXT.TENANT_EVENTS.any":                  reads,
			"$JS.API.CONSUMER.DELETE.TENANT_EVENTS.any":                    reads,
			"$JS.ACK.TENANT_EVENTS.any.1.1.1.1.0":                          {"subscriber"},
			"$JS.API.CONSUMER.CREATE.TENANT_DEAD_LETTERS.any":              {"consumer", "operator"},
			"$JS.API.CONSUMER.MSG.NEXT.TENANT_DEAD_LETTERS.any":            {"consumer", "operator"},
			"$JS.API.STREAM.MSG.GET.TENANT_DEAD_LETTERS":                   {"consumer", "operator"},
			"$JS.API.STREAM.MSG.GET.TENANT_REQUESTS":                       sees,
			"$JS.API.STREAM.MSG.GET.TENANT_EVENTS":                         {"consumer", "operator"},
			"$JS.API.STREAM.MSG.DELETE.TENANT_REQUESTS":                    noUser,
			"$JS.API.STREAM.MSG.DELETE.TENANT_EVENTS":                      noUser,
			"$JS.API.STREAM.MSG.DELETE.TENANT_DEAD_LETTERS":                operator,
		}
		subscribes = map[string][]string{
			">": noUser, "*": noUser, "tenant.>": noUser, "tenant.*": noUser, "$JS.>": noUser, "$SYS.>": noUser,
			events.TypeRequested: noUser, events.SubjectDeadLetterPrefix + ">": noUser,
			events.TypeProvisioned: {"requester", "operator"}, events.TypeProvisioningFailed: {"requester", "operator"},
			events.SubjectProgressPrefix + "*": {"subscriber", "requester", "operator"},
			"_INBOX.>":                         {"publisher"}, // in an account of its own
		}
	)
	for _, stream := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
		publishes["$JS.API.STREAM.CREATE."+stream] = service
		publishes["$JS.API.STREAM.INFO."+stream] = []string{"consumer", "operator"}
		for _, call := range []string{
			"STREAM.UPDATE.", "STREAM.DELETE.", "STREAM.PURGE.", "STREAM.SNAPSHOT.", "STREAM.RESTORE.",
			"STREAM.LEADER.STEPDOWN.", "CONSUMER.NAMES.", "CONSUMER.LIST.",
		} {
			publishes["$JS.API."+call+stream] = noUser
		}
	}
	publishes["$JS.API.STREAM.INFO."+events.StreamEvents] = reads
	publishes["$JS.API.STREAM.INFO."+events.StreamRequests] = sees
	for user := range natsUsers {
		if user != "publisher" {
			subscribes[inboxOf(user)+".>"] = []string{user}
			publishes[inboxOf(user)+".x"] = noUser // no user may reply in place of the server
		}
	}
	for user := range natsUsers {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			g := usersServer{t: t, addr: g.addr}
			nc := g.connect(user)
			refused := func(subject string) bool {
				t.Helper()
				testkit.Must(t, nc.FlushTimeout(testkit.Patience)) // an error arrives before the answer
				err := nc.LastError()
				return err != nil && strings.Contains(err.Error(), fmt.Sprintf("%q", subject))
			}
			for subject, users := range publishes {
				testkit.Must(t, nc.Publish(subject, nil))
				if may := slices.Contains(users, user); refused(subject) == may {
					t.Errorf("%s publishes to %s: want %v", user, subject, may)
				}
			}
			for subject, users := range subscribes {
				_, err := nc.SubscribeSync(subject)
				testkit.Must(t, err)
				if may := slices.Contains(users, user); refused(subject) == may {
					t.Errorf("%s subscribes to %s: want %v", user, subject, may)
				}
			}
		})
	}
}

// The publisher chooses the subject of its confirmation. The server sends it in the publisher's own account: it reaches
// neither the stream of outcomes nor a dead letter.
func TestPublisherCannotSendConfirmationsAnywhere(t *testing.T) {
	t.Parallel()
	g := startUsersServer(t, t.TempDir())
	r := serve(t, g.envOf("consumer", newSQLite(t).env))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	nc := g.connect("publisher")
	for _, reply := range []string{
		events.TypeProvisioned, events.SubjectDeadLetterPrefix + "x", "$JS.API.STREAM.PURGE." + events.StreamRequests,
	} {
		testkit.Must(t, nc.PublishMsg(&nats.Msg{Subject: events.TypeRequested, Reply: reply, Data: []byte("{}")}))
	}
	testkit.Must(t, nc.FlushTimeout(testkit.Patience)) // the server has them before the next one
	g.run("publisher", 0, requestArgs("acme")...)      // its confirmation comes after theirs
	js := g.jetStream("operator")
	for stream, want := range map[string]uint64{
		events.StreamRequests: 4, events.StreamEvents: 0, events.StreamDeadLetters: 0,
	} {
		s, err := js.Stream(t.Context(), stream)
		testkit.Must(t, err)
		testkit.Equal(t, "messages in "+stream, s.CachedInfo().State.Msgs, want)
	}
}

// Without the inbox prefix every command and /readyz name the variable immediately.
func TestMissingInboxPrefix(t *testing.T) {
	t.Parallel()
	g := startUsersServer(t, t.TempDir())
	const variable = "NATS_INBOX_PREFIX"
	service := start(t, g.envOf("consumer", newSQLite(t).env, with(variable, ""), with("HTTP_ADDR", "127.0.0.1:0")), "run")
	awaitNotReady(t, "http://"+testkit.Logged(t, &service.stderr, "HTTP server is up", "addr"), variable)
	testkit.Logs(t, &service.stderr, "waiting for NATS", variable, "_INBOX.>")
	testkit.Equal(t, "exit code", service.stop(t), 0)
	for _, args := range [][]string{{"watch"}, {"dead-letters", "list"}, requestArgs("acme", "--wait", "1h")} {
		code, _, stderr := command(t, g.envOf("operator", with(variable, "")), args...)
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, args[0], stderr, "consumer: ", variable, "_INBOX.>")
	}
	found := runDoctor(t, g.envOf("operator", with(variable, "")))["nats_permissions"]
	testkit.Contains(t, "hint", found.Hint, variable, "subscribe _INBOX.>")
}

// When a user lacks a permission, every command names the subject.
func TestPermissionErrorsNameTheSubject(t *testing.T) {
	t.Parallel()
	g := startUsersServer(t, t.TempDir())
	r := serve(t, g.envOf("consumer", newSQLite(t).env))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	for name, c := range map[string]struct {
		user    string
		args    []string
		subject string
	}{
		"watch":   {"publisher", []string{"watch"}, "$JS.API."},
		"list":    {"publisher", []string{"dead-letters", "list"}, "$JS.API."},
		"wait":    {"publisher", requestArgs("acme", "--wait", "1h"), "$JS.API."},
		"request": {"subscriber", requestArgs("acme"), events.TypeRequested},
		"replay":  {"subscriber", []string{"dead-letters", "replay", "--all", "--yes"}, "$JS.API.STREAM.INFO.TENANT_DEAD_LETTERS"},
		"service": {"consumer", requestArgs("acme"), events.TypeRequested},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, g.envOf(c.user), c.args...)
			testkit.Equal(t, "exit code", code, 1)
			testkit.Equal(t, "stdout", stdout, "")
			last := strings.Split(strings.TrimSpace(stderr), "\n")
			testkit.Contains(t, "the error", last[len(last)-1], "consumer: ", `"`+c.subject, "deploy/nats/server.conf")
		})
	}
}
