package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	databasesql "database/sql"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// deadLetterServer is a NATS server with the streams and dead letters, without a service.
type deadLetterServer struct {
	t   *testing.T
	env map[string]string
	js  jetstream.JetStream
}

func newDeadLetterServer(t *testing.T) *deadLetterServer {
	t.Helper()
	t.Parallel()
	url := natstest.Start(t)
	m := &deadLetterServer{t: t, env: settings(with("NATS_URL", url)), js: natstest.JetStream(t, url)}
	err := (&config.Config{Replicas: 1, Manage: true, AckWait: 30 * time.Second}).Topology().Ensure(t.Context(), m.js)
	testkit.Must(t, err)
	return m
}

// addDeadLetter publishes the dead letter of a request, as the service does, and returns its key.
func (m *deadLetterServer) addDeadLetter(id, tenant, reason string, age time.Duration, more ...string) (key string) {
	m.t.Helper()
	msg := requestFor(m.t, id, tenant)
	key = events.RequestKey(billing, id)
	return m.put(key, msg, tenant, reason, age, more...)
}

func (m *deadLetterServer) put(key string, msg *nats.Msg, tenant, reason string, age time.Duration, more ...string) string {
	m.t.Helper()
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	msg.Subject = events.DeadLetterSubject(key)
	values := append([]string{
		"Key", key, "Reason", reason, "Step", "create_isolation_boundary", "Message", "because", "Attempts", "1",
		"Replay", "0", "Stream", events.StreamRequests, "Sequence", "1", "Subject", events.TypeRequested,
		"Time", time.Now().UTC().Add(-age).Format(time.RFC3339Nano), "Tenant", tenant,
	}, more...)
	for i := 0; i < len(values); i += 2 {
		msg.Header["Dead-Letter-"+values[i]] = []string{values[i+1]}
	}
	publish(m.t, m.js, msg)
	return key
}

// serve starts the service on the server, with a new database.
func (m *deadLetterServer) serve() testDatabase {
	m.t.Helper()
	d := newSQLite(m.t)
	serve(m.t, settings(d.env, with("NATS_URL", m.env["NATS_URL"])))
	return d
}

// messages returns the number of messages in a stream.
func (m *deadLetterServer) messages(stream string) uint64 {
	m.t.Helper()
	s, err := m.js.Stream(m.t.Context(), stream)
	testkit.Must(m.t, err)
	return s.CachedInfo().State.Msgs
}

// assertStored asserts the numbers of requests and dead letters in the streams.
func (m *deadLetterServer) assertStored(requests, letters uint64) {
	m.t.Helper()
	testkit.Equal(m.t, "requests", m.messages(events.StreamRequests), requests)
	testkit.Equal(m.t, "dead letters", m.messages(events.StreamDeadLetters), letters)
}

// run runs consumer dead-letters.
func (m *deadLetterServer) run(args ...string) (code int, stdout string) {
	m.t.Helper()
	code, stdout, stderr := command(m.t, m.env, append([]string{"dead-letters"}, args...)...)
	testkit.Equal(m.t, fmt.Sprint("stderr of ", args), stderr, "")
	return code, stdout
}

// Every command accepts the dead letter of an undecodable message, written by this version or an earlier one.
func TestDeadLettersOfUndecodableMessages(t *testing.T) {
	m := newDeadLetterServer(t)
	body := "please make me a tenant"
	d := newSQLite(t)
	service := serve(t, settings(d.env, with("NATS_URL", m.env["NATS_URL"])))
	msg := &nats.Msg{Subject: events.TypeRequested, Data: []byte(body)}
	publish(t, m.js, msg)
	awaitSettled(t, m.js)
	stream, err := m.js.Stream(t.Context(), events.StreamRequests)
	testkit.Must(t, err)
	original, err := stream.GetMsg(t.Context(), 1)
	testkit.Must(t, err)
	stored := original.Time.UTC().Format(time.RFC3339Nano)
	key := events.UndecodableKey(events.StreamRequests, 1, original.Time, []byte(body))
	old := m.put(events.RequestKey(events.StreamRequests, "1"), &nats.Msg{Data: []byte(body)}, "", "UNDECODABLE_EVENT", 0)

	_, stdout := m.run("list", "--reason", "UNDECODABLE_EVENT")
	testkit.Contains(t, "list", stdout, key[:12], old[:12])
	_, stdout = m.run("show", key[:12])
	testkit.Contains(t, "show", stdout, key, body, "stored     "+stored)
	_, stdout = m.run("show", old[:12])
	testkit.Contains(t, "show of the earlier version's", stdout, old, body)
	if strings.Contains(stdout, "stored") {
		t.Errorf("the output has a stored time:\n%s", stdout)
	}
	code, stdout := m.run("replay", key[:12], old[:12], "--dry-run")
	testkit.Equal(t, "exit code of a dry run", code, 0)
	testkit.Contains(t, "dry run", stdout, key[:12], old[:12])

	code, stdout = m.run("replay", "--all", "--yes", "--json")
	testkit.Equal(t, "exit code", code, 1)
	lines, summary := replayed(t, stdout)
	testkit.Equal(t, "not seen", summary.NotSeen, 0)
	for _, l := range lines {
		testkit.Equal(t, l.Key, l.Outcome+" "+l.Cause, "failed UNDECODABLE_EVENT")
	}
	awaitSettled(t, m.js)
	service.stop(t)
	m.assertStored(3, 2) // both under new keys
	for sequence := uint64(2); sequence <= 3; sequence++ {
		again, err := stream.GetMsg(t.Context(), sequence)
		testkit.Must(t, err)
		fresh := events.UndecodableKey(events.StreamRequests, sequence, again.Time, []byte(body))
		code, _ = m.run("remove", fresh, "--yes")
		testkit.Equal(t, "exit code of remove", code, 0)
	}
	m.put(old, &nats.Msg{Data: []byte(body)}, "", "UNDECODABLE_EVENT", 0)
	code, _ = m.run("remove", old[:12], "--yes")
	testkit.Equal(t, "exit code of remove of an old one", code, 0)
	m.assertStored(3, 0)
}

// An operator's workflow: the boundary holds foreign rows; they are moved, and the request is replayed.
func TestDeadLettersEndToEnd(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	service := serve(t, settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir())))
	url := testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url")
	m := &deadLetterServer{t: t, env: settings(with("NATS_URL", url)), js: natstest.JetStream(t, url)}
	dir := filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"), "tenant_acme")
	testkit.Must(t, os.MkdirAll(dir, 0o755))
	db, err := databasesql.Open("sqlite", "file:"+filepath.Join(dir, "docex.db"))
	testkit.Must(t, err)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE invoices (id integer); INSERT INTO invoices VALUES (1)")
	testkit.Must(t, err)
	testkit.Must(t, db.Close())
	msg := requestFor(t, "order-1", "acme")
	publish(t, m.js, msg)
	awaitSettled(t, m.js)
	key := events.RequestKey(billing, "order-1")

	code, stdout := m.run("list")
	testkit.Equal(t, "exit code of list", code, 0)
	testkit.Contains(t, "list", stdout, "KEY", key[:12], "BOUNDARY_NOT_EMPTY", "create_isolation_boundary", "acme")
	code, stdout = m.run("list", "--json")
	testkit.Equal(t, "exit code of list --json", code, 0)
	listed := objects[letterJSON](t, stdout)
	testkit.Equal(t, "dead letters", len(listed), 1)
	testkit.Equal(t, "key", listed[0].Key, key)
	testkit.Equal(t, "reason", listed[0].Reason, "BOUNDARY_NOT_EMPTY")

	code, stdout = m.run("show", key[:12])
	testkit.Equal(t, "exit code of show", code, 0)
	testkit.Contains(t, "show", stdout, "tenant.dead_letter."+key, "BOUNDARY_NOT_EMPTY", "content-type: application/cloudevents+json",
		string(msg.Data), fmt.Sprintf("%d bytes", len(msg.Data)))
	code, stdout = m.run("show", "tenant.dead_letter."+key, "--json")
	testkit.Equal(t, "exit code of show --json", code, 0)
	var shown struct {
		letterJSON
		Body string `json:"body_base64"`
	}
	testkit.Must(t, json.Unmarshal([]byte(stdout), &shown))
	body, err := base64.StdEncoding.DecodeString(shown.Body)
	testkit.Must(t, err)
	testkit.Equal(t, "body", string(body), string(msg.Data))
	testkit.Equal(t, "headers", fmt.Sprint(shown.Headers), fmt.Sprint(msg.Header))

	// The cause is not fixed yet.
	code, stdout = m.run("replay", key[:12])
	testkit.Equal(t, "exit code of a replay that fails", code, 1)
	testkit.Contains(t, "replay", stdout, "replayed, as replay 1: failed again, BOUNDARY_NOT_EMPTY", "1 outcomes: failed again")
	awaitSettled(t, m.js)
	m.assertStored(2, 1)

	testkit.Must(t, os.Rename(dir, dir+".old"))
	code, stdout = m.run("replay", key)
	testkit.Equal(t, "exit code of a replay that succeeds", code, 0)
	testkit.Contains(t, "replay", stdout, "acme BOUNDARY_NOT_EMPTY: replayed, as replay 2: provisioned", "1 outcomes: provisioned")
	testkit.Equal(t, "registered tenants", fmt.Sprint(d.tenants()), "[acme]")
	testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, m.js)), "BOUNDARY_NOT_EMPTY 2, provisioned 1")
	code, stdout = m.run("list")
	testkit.Equal(t, "exit code of list", code, 0)
	testkit.Equal(t, "list", stdout, "no dead letters\n")
	code, stdout = m.run("list", "--json")
	testkit.Equal(t, "exit code of list --json", code, 0)
	testkit.Equal(t, "list --json", stdout, "")
}

func TestDeadLettersMisuse(t *testing.T) {
	t.Parallel()
	env := settings(with("NATS_URL", "nats://127.0.0.1:1")) // it is not contacted
	for _, c := range []struct {
		args string
		want string
	}{
		{"", "list, show, replay, remove"},
		{"forget", "forget"},
		{"list key", "key"},
		{"list --since yesterday", `--since: "yesterday"`},
		{"list --since -1h", "--since"},
		{"list --since=", "--since"},
		{"list --loud", "loud"},
		{"show", "KEY is missing"},
		{"show one two", `"two" is an argument too many`},
		{"remove", "KEY is missing"},
		{"replay", "name the dead letters"},
		{"replay --dry-run --rate 1", "name the dead letters"},
		{"replay key123 --all", "either"},
		{"replay key123 --reason TENANT_EXISTS", "either"},
		{"replay key123 --tenant acme", "either"},
		{"replay key123 --since 1h", "either"},
		{"replay --all --rate -1", "--rate"},
		{"replay --all --rate NaN", "--rate"},
		{"replay --all --rate Inf", "--rate"},
		{"replay --all --rate fast", "rate"},
		{"replay --all --wait -1s", "--wait"},
		{"replay --all --since tomorrow", "--since"},
		{"replay --all", "no terminal to ask on"},
		{"replay --all --tenant acme --json", "--yes"},
		{"remove key123", "--yes"},
	} {
		code, stdout, stderr := command(t, env, strings.Fields("dead-letters "+c.args)...)
		testkit.Equal(t, "exit code of "+c.args, code, 2)
		testkit.Equal(t, "stdout of "+c.args, stdout, "")
		testkit.Contains(t, "stderr of "+c.args, stderr, c.want)
	}
}

func TestDeadLettersWithoutAService(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"list", "show abcdef", "remove abcdef --yes", "replay --all --yes"} {
		args := strings.Fields("dead-letters " + args)
		code, _, stderr := command(t, settings(with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t))), args...)
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "stderr", stderr, "consumer run", "NATS_URL")
		code, _, stderr = command(t, settings(with("NATS_URL", natstest.Start(t))), args...)
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "stderr", stderr, "run the service once")
	}
}

func TestDeadLettersList(t *testing.T) {
	m := newDeadLetterServer(t)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 48*time.Hour)
	m.addDeadLetter("2", "umbrella", "PERMISSION_DENIED", time.Hour)
	m.addDeadLetter("3", "acme", "TENANT_EXISTS", 0)
	day := time.Now().UTC().Add(-24 * time.Hour).Format(time.RFC3339)
	for args, want := range map[string]string{
		"":                                     "1 2 3",
		"--reason PERMISSION_DENIED":           "1 2",
		"--reason TENANT_EXISTS --tenant acme": "3",
		"--tenant acme":                        "1 3",
		"--tenant acme --tenant umbrella":      "1 2 3",
		"--since 24h":                          "2 3",
		"--since " + day:                       "2 3",
		"--since 30m":                          "3",
		"--since 0s":                           "",
		"--since 24h --reason INVALID_REQUEST": "",
		"--reason TENANT_EXISTS --reason SCHEMA_INVALID": "3",
	} {
		code, stdout := m.run(append([]string{"list", "--json"}, strings.Fields(args)...)...)
		testkit.Equal(t, "exit code", code, 0)
		var ids []string
		for _, l := range objects[letterJSON](t, stdout) {
			for _, id := range []string{"1", "2", "3"} {
				if l.Key == events.RequestKey(billing, id) {
					ids = append(ids, id)
				}
			}
		}
		testkit.Equal(t, args, strings.Join(ids, " "), want)
	}
}

// Untrusted text in the stream is shown without effect on the terminal.
func TestForeignDeadLetters(t *testing.T) {
	m := newDeadLetterServer(t)
	publish(t, m.js,
		&nats.Msg{Subject: "tenant.dead_letter.foreign.one", Data: []byte{0xff, 0x00}},
		&nats.Msg{Subject: "tenant.dead_letter.foreign\x1btwo", Header: nats.Header{
			"Dead-Letter-Message": {"\x1b[2J" + strings.Repeat("x", 200)}, "Dead-Letter-Tenant": {"\xff\u202e"}, "X-Bell": {"\x07"},
			"Dead-Letter-Replay": {"-3"}, "Dead-Letter-Time": {"never"}, "Dead-Letter-Sequence": {"x"},
		}, Data: []byte(strings.Repeat("long\n", 2000))})
	for _, args := range [][]string{
		{"list"},
		{"list", "--json"},
		{"show", "foreign.one"},
		{"show", "foreign.one", "--json"},
		{"replay", "--all", "--dry-run"},
		{"replay", "--all", "--yes", "--wait", "0"},
	} {
		code, stdout := m.run(args...)
		testkit.Equal(t, fmt.Sprint("exit code of ", args), code == 0, args[0] != "replay")
		for _, r := range stdout {
			if isJSON := args[len(args)-1] == "--json"; r < ' ' && r != '\n' || r == '\u202e' && !isJSON {
				t.Errorf("%v: %q in %q", args, r, stdout)
			}
		}
		testkit.Contains(t, fmt.Sprint(args), stdout, "foreign.one")
	}
	m.assertStored(0, 2)
	_, stdout := m.run("replay", "foreign.one", "--wait", "0")
	testkit.Contains(t, "replay", stdout, "no header Dead-Letter-Subject")
	_, stdout = m.run("show", "foreign.one")
	testkit.Contains(t, "show", stdout, "2 bytes: not text; --json has it as base64")
	var all letterJSON
	_, stdout = m.run("list", "--json")
	testkit.Must(t, json.Unmarshal([]byte(strings.Split(stdout, "\n")[1]), &all))
	testkit.Equal(t, "its key", all.Key, "foreign\x1btwo")
}

func TestDeadLettersShowCutsALongBody(t *testing.T) {
	m := newDeadLetterServer(t)
	long := strings.Repeat("zwölf\n", 2000)
	key := m.put(strings.Repeat("ab", 32), &nats.Msg{Data: []byte(long)}, "acme", "UNDECODABLE_EVENT", 0)
	code, stdout := m.run("show", key)
	testkit.Equal(t, "exit code", code, 0)
	if len(stdout) > maxShown+2000 {
		t.Errorf("%d bytes are shown", len(stdout))
	}
	testkit.Contains(t, "show", stdout, "14000 bytes, of which the first; --json has all")
	_, stdout = m.run("show", key, "--json")
	var j letterJSON
	testkit.Must(t, json.Unmarshal([]byte(stdout), &j))
	testkit.Equal(t, "body", string(j.Body), long)
	code, _, stderr := command(t, m.env, "dead-letters", "show", "abcdef")
	testkit.Equal(t, "exit code with an unknown key", code, 1)
	testkit.Contains(t, "stderr", stderr, "names no dead letter", "list")
}

func TestDeadLettersRemove(t *testing.T) {
	m := newDeadLetterServer(t)
	one := m.addDeadLetter("1", "acme", "TENANT_EXISTS", 0)
	two := m.addDeadLetter("2", "umbrella", "TENANT_EXISTS", 0)
	m.addDeadLetter("3", "other", "TENANT_EXISTS", 0)
	code, stdout, stderr := command(t, m.env, "dead-letters", "remove", one[:8], "abcdefabcdef", two, one, "--yes")
	testkit.Equal(t, "exit code", code, 1)
	testkit.Contains(t, "stdout", stdout, one[:12]+" acme TENANT_EXISTS: removed", two[:12]+" umbrella TENANT_EXISTS: removed")
	testkit.Equal(t, "lines", strings.Count(stdout, "\n"), 2)
	testkit.Contains(t, "stderr", stderr, `"abcdefabcdef" names no dead letter`)
	m.assertStored(0, 1)
	code, _, _ = command(t, m.env, "dead-letters", "remove", one, "--yes")
	testkit.Equal(t, "exit code", code, 1)
	code, stdout = m.run("remove", events.DeadLetterSubject(events.RequestKey(billing, "3")), "--yes")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "stdout", stdout, "removed")
	m.assertStored(0, 0)
}
