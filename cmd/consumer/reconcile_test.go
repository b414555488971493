package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// damage is a database and streams of which a test loses a part.
type damage struct {
	t   *testing.T
	d   testDatabase
	env map[string]string
	js  jetstream.JetStream
}

func newDamage(t *testing.T, d testDatabase) *damage {
	t.Helper()
	url := natstest.Start(t)
	return &damage{t, d, settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "1s")), natstest.JetStream(t, url)}
}

// serve has the service settle these requests, and stops it.
func (m *damage) serve(requests ...*nats.Msg) {
	m.t.Helper()
	service := serve(m.t, m.env)
	publish(m.t, m.js, requests...)
	awaitSettled(m.t, m.js)
	testkit.Equal(m.t, "exit code", service.stop(m.t), 0)
}

// execute runs statements in the registry; {b} stands for the prefix of its tables.
func (m *damage) execute(statements ...string) {
	m.t.Helper()
	if m.d.sqlite() {
		execute(m.t, "sqlite", "file:"+m.file(system), "", statements...)
		return
	}
	execute(m.t, "pgx", m.d.env["DATABASE_URL"], "docex_system.", statements...)
}

func (m *damage) file(tenant string) string {
	return filepath.Join(strings.TrimPrefix(m.d.env["DATABASE_URL"], "sqlite:"), "tenant_"+tenant, "docex.db")
}

// backup keeps registry and ledger as they are, and returns the function that restores them.
func (m *damage) backup() (restore func()) {
	m.t.Helper()
	tables := []string{"tenant_registry", "tenant_requests"}
	var keep, back []string
	for _, table := range tables {
		keep = append(keep, fmt.Sprintf("CREATE TABLE {b}kept_%[1]s AS SELECT * FROM {b}%[1]s", table))
		back = append(back, "DELETE FROM {b}"+table, fmt.Sprintf("INSERT INTO {b}%[1]s SELECT * FROM {b}kept_%[1]s", table))
	}
	m.execute(keep...)
	return func() { m.t.Helper(); m.execute(back...) }
}

// age makes the ledger's rows an hour older: what follows a younger row is not reported as missing.
func (m *damage) age() {
	m.t.Helper()
	if m.d.sqlite() {
		m.execute("UPDATE tenant_requests SET updated_at = datetime(updated_at, '-1 hour')")
		return
	}
	m.execute("UPDATE {b}tenant_requests SET updated_at = updated_at - interval '1 hour'")
}

func (m *damage) dropBoundary(tenant string) {
	m.t.Helper()
	if m.d.sqlite() {
		testkit.Must(m.t, os.RemoveAll(filepath.Dir(m.file(tenant))))
		return
	}
	m.execute(`DROP SCHEMA "tenant_` + tenant + `" CASCADE`)
}

// recreateStream deletes a stream and creates it again, empty.
func (m *damage) recreateStream(name string) {
	m.t.Helper()
	stream, err := m.js.Stream(m.t.Context(), name)
	testkit.Must(m.t, err)
	config := stream.CachedInfo().Config
	testkit.Must(m.t, m.js.DeleteStream(m.t.Context(), name))
	_, err = m.js.CreateStream(m.t.Context(), config)
	testkit.Must(m.t, err)
}

// removeOutcome removes the outcome of a tenant from its stream.
func (m *damage) removeOutcome(tenant string) {
	m.t.Helper()
	stream, err := m.js.Stream(m.t.Context(), events.StreamEvents)
	testkit.Must(m.t, err)
	for sequence := uint64(1); ; sequence++ {
		msg, err := stream.GetMsg(m.t.Context(), sequence)
		testkit.Must(m.t, err)
		if e, err := events.Decode(msg.Header, msg.Data); err == nil && e.Subject() == tenant {
			testkit.Must(m.t, stream.DeleteMsg(m.t.Context(), sequence))
			return
		}
	}
}

// downgrade makes the registry one of the version before those that the latest migrations are of.
func (m *damage) downgrade() {
	m.t.Helper()
	migrations := "6"
	if m.d.sqlite() {
		migrations = "4"
	} else {
		m.execute("ALTER TABLE {b}registry_stamp DROP COLUMN place")
	}
	m.execute("ALTER TABLE {b}tenant_requests DROP COLUMN buried_in", "ALTER TABLE {b}registry_stamp DROP COLUMN streams_stamped",
		"ALTER TABLE {b}registry_stamp DROP COLUMN pruned_before", "ALTER TABLE {b}registry_stamp DROP COLUMN checkpoint_stream",
		"ALTER TABLE {b}registry_stamp DROP COLUMN checkpoint_sequence", "ALTER TABLE {b}tenant_registry DROP COLUMN definition", "ALTER TABLE {b}tenant_registry DROP COLUMN plan",
		"ALTER TABLE {b}tenant_registry DROP COLUMN plan_max_bytes", "ALTER TABLE {b}tenant_registry DROP COLUMN plan_max_rows", "DROP TABLE {b}accepted_outcomes",
		"DROP TABLE {b}applied_scripts", "DROP TABLE {b}definitions",
		"DELETE FROM {b}tenant_provisioner_migrations WHERE version_id > "+migrations)
}

func (m *damage) consumer() *jetstream.ConsumerInfo {
	m.t.Helper()
	consumer, err := m.js.Consumer(m.t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(m.t, err)
	return consumer.CachedInfo()
}

// resume ends the pause that a killed command has left, as its successor's error says.
func (m *damage) resume() {
	m.t.Helper()
	_, err := m.js.ResumeConsumer(m.t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(m.t, err)
}

// pass has the consumer pass the next request without an outcome.
func (m *damage) pass() {
	m.t.Helper()
	consumer, err := m.js.Consumer(m.t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(m.t, err)
	msg, err := consumer.Next()
	testkit.Must(m.t, err)
	testkit.Must(m.t, msg.DoubleAck(m.t.Context()))
}

// database is what reconcile restores of registry and ledger.
func (m *damage) database() string {
	m.t.Helper()
	rows := m.d.rows(system, `SELECT tenant_id || '|' || display_name || '|' || isolation_strategy || '|' ||
		coalesce(schema_name, '') || coalesce(database_path, '') || '|' || CAST(created_at AS TEXT) || '|' || created_by ||
		'|' || CAST(last_updated_at AS TEXT) FROM {b}tenant_registry WHERE NOT is_system ORDER BY tenant_id`)
	rows = append(rows, m.d.rows(system, `SELECT request_key || '|' || source || '|' || request_id || '|' ||
		coalesce(tenant_id, '') || '|' || state || '|' || CAST(replay AS TEXT) || '|' || CAST(attempts AS TEXT) || '|' ||
		coalesce(last_step, '') || '|' || coalesce(last_cause, '') || '|' || CAST(outcome_id AS TEXT) || '|' ||
		CAST(outcome AS TEXT) FROM {b}tenant_requests ORDER BY request_key`)...)
	return strings.Join(rows, "\n")
}

// messages are all messages of a stream: subject, headers except those that a repetition may change, and body.
func (m *damage) messages(name string, except ...string) (all []string) {
	m.t.Helper()
	stream, err := m.js.Stream(m.t.Context(), name)
	testkit.Must(m.t, err)
	for sequence := range stream.CachedInfo().State.LastSeq {
		msg, err := stream.GetMsg(m.t.Context(), sequence+1)
		if err != nil { // replaced by a later one on its subject
			continue
		}
		var header []string
		for name, values := range msg.Header {
			if !slices.Contains(except, name) {
				header = append(header, fmt.Sprint(name, values))
			}
		}
		slices.Sort(header)
		all = append(all, fmt.Sprint(msg.Subject, header, string(msg.Data)))
	}
	slices.Sort(all)
	return all
}

// reconcile runs the command, and asserts its exit code and parts of its output.
func (m *damage) reconcile(code int, args []string, parts ...string) (stdout string) {
	m.t.Helper()
	got, stdout, stderr := command(m.t, m.env, append([]string{"reconcile"}, args...)...)
	testkit.Equal(m.t, fmt.Sprint("exit code of reconcile ", args), got, code)
	testkit.Contains(m.t, "stdout", stdout, parts...)
	if m.t.Failed() {
		m.t.Fatalf("%s%s", stdout, stderr)
	}
	return stdout
}

var apply = []string{"--apply"}

func invalidRequest(id string) *nats.Msg {
	return &nats.Msg{Subject: events.TypeRequested, Data: fmt.Appendf(nil, `{"specversion":"1.0","type":%q,"source":%q,"id":%q,`+
		`"data":{"tenant_id":"not valid","display_name":"A","created_by":"t"}}`, events.TypeRequested, billing, id)}
}

// Registry and ledger are older than the streams. reconcile restores what was announced since, byte for byte, and
// publishes nothing.
func TestReconcileAnOlderDatabase(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"), invalidRequest("order-2"), requestFor(t, "order-3", "acme"))
		restore := m.backup()
		m.serve(requestFor(t, "order-4", "beta"), requestFor(t, "order-5", "beta"), invalidRequest("order-6"))
		service := serve(t, m.env)
		code, stdout, stderr := command(t, m.env, "dead-letters", "replay", "--reason", "INVALID_TENANT_ID", "--wait", outcomeWait)
		testkit.Equal(t, "exit code of replay", code, 1)
		testkit.Contains(t, "replay", stdout+stderr, "failed again")
		awaitSettled(t, m.js)
		service.stop(t)

		before := m.database()
		streams := [][]string{m.messages(events.StreamEvents), m.messages(events.StreamDeadLetters), m.messages(events.StreamRequests)}
		m.reconcile(0, nil, "nothing to do")
		restore()
		older := m.database()
		m.reconcile(1, nil, "beta: it was announced", "--apply repairs 4, and leaves 0",
			"\n  provisioned_not_recorded: found 1: --apply repairs 1, and leaves 0\n"+
				"  failure_not_recorded: found 3: --apply repairs 3, and leaves 0\n")
		testkit.Equal(t, "database after a dry run", m.database(), older)
		m.reconcile(1, []string{"--tenant", "beta"}, "--apply repairs 2, and leaves 0")
		m.reconcile(1, []string{"--since", "1h"}, "--apply repairs 4")
		m.reconcile(0, apply, "beta: it was announced", "restored from its outcome", "left 0", "publishers must send again",
			"\n  provisioned_not_recorded: found 1, repaired or accepted 1, left 0\n")
		testkit.Equal(t, "database", m.database(), before)
		m.reconcile(0, apply, "nothing to do")
		m.serve()
		testkit.Equal(t, "database after the service has run", m.database(), before)
		for i, name := range []string{events.StreamEvents, events.StreamDeadLetters, events.StreamRequests} {
			testkit.Equal(t, name, strings.Join(m.messages(name), "\n"), strings.Join(streams[i], "\n"))
		}
		verifyTenants(t, d, 3)
	})
}

// The registry is lost, and the tenants are there. A dry run creates nothing; --apply creates the registry again.
func TestReconcileALostRegistry(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"), invalidRequest("order-2"), requestFor(t, "order-3", "beta"))
		before := m.database()
		if d.sqlite() {
			testkit.Must(t, os.RemoveAll(filepath.Dir(m.file(system))))
		} else {
			m.execute("DROP SCHEMA docex_system CASCADE")
		}
		m.reconcile(1, nil, "acme: it was announced", "--apply repairs 3, and leaves 0")
		code, _, stderr := command(t, m.env, "tenants", "list")
		testkit.Equal(t, "exit code of tenants list", code, 1)
		testkit.Contains(t, "stderr", stderr, "no registry")
		code, _, stderr = command(t, m.env, "reconcile", "--apply")
		testkit.Equal(t, "exit code while it is open which side is right", code, 1)
		testkit.Contains(t, "stderr", stderr, "the registry is missing", "--accept-streams --apply")
		m.reconcile(0, []string{"--accept-streams", "--apply"}, "restored from its outcome", "left 0")
		testkit.Equal(t, "database", m.database(), before)
		m.reconcile(0, apply, "nothing to do")
		verifyTenants(t, d, 3)
	})
}

// A tenant that another request has, and one whose data is lost: left, recreated, accepted.
func TestReconcileConflictAndLoss(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"), requestFor(t, "order-2", "beta"), requestFor(t, "order-3", "gamma"))
		m.execute("UPDATE {b}tenant_registry SET created_by = 'stranger' WHERE tenant_id = 'acme'",
			"DELETE FROM {b}tenant_requests WHERE request_id IN ('order-1', 'order-2')",
			"DELETE FROM {b}tenant_registry WHERE tenant_id = 'beta'")
		m.dropBoundary("beta")
		m.dropBoundary("gamma")
		m.reconcile(1, apply, `"acme" was registered by "stranger"`, "beta: it was announced, and its boundary is missing",
			"gamma: it is registered, and its boundary is missing", "--recreate", "left 3")
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "acme gamma")
		m.reconcile(1, []string{"--apply", "--recreate"}, "built again, empty", "left 1")
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "acme beta gamma")
		verifyTenants(t, d, 4)
		m.reconcile(0, []string{"--accept"}, "recorded as accepted")
		m.reconcile(0, nil, "nothing to do")
		m.serve(requestFor(t, "order-4", "delta"))
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "acme beta delta gamma")
	})
}

// A boundary that is made again has the scripts of today, and the registry what it was made by.
func TestReconcileRecreatesWithScripts(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, withPlainRole(t, d))
		m.env["INIT_SCRIPTS"] = scriptsOf(t, d.engineDir(), "010_a.sql", "CREATE TABLE a (n INTEGER);\n")
		m.serve(requestFor(t, "order-1", "acme"), requestFor(t, "order-2", "beta"), requestFor(t, "order-3", "gamma"))
		m.execute("DELETE FROM {b}tenant_requests WHERE request_id = 'order-1'", "DELETE FROM {b}tenant_registry WHERE tenant_id = 'acme'")
		m.dropBoundary("acme")
		m.dropBoundary("beta") // it stays registered
		m.env["INIT_SCRIPTS"] = scriptsOf(t, d.engineDir(), "010_a.sql", "CREATE TABLE a (n INTEGER);\n", "020_b.sql", "CREATE TABLE b (n INTEGER);\n")
		m.reconcile(0, []string{"--apply", "--recreate"}, "built again, empty", "left 0")
		m.serve(requestFor(t, "order-4", "delta"))
		definitions := map[string]string{}
		for _, row := range d.rows(system, "SELECT tenant_id || ' ' || coalesce(definition, '') FROM {b}tenant_registry WHERE NOT is_system") {
			tenant, definition, _ := strings.Cut(row, " ")
			definitions[tenant] = definition
		}
		testkit.Equal(t, "definition of acme", definitions["acme"], definitions["delta"])
		testkit.Equal(t, "definition of beta", definitions["beta"], definitions["delta"])
		testkit.Equal(t, "gamma was made by an earlier one", definitions["gamma"] != "" && definitions["gamma"] != definitions["delta"], true)
		testkit.Equal(t, "the second table", len(d.rows("acme", "SELECT n FROM {b}b")), 0)
		m.dropBoundary("gamma")
		m.env["INIT_SCRIPTS"] = scriptsOf(t, d.engineDir(), "010_a.sql", "CREATE TABLE edited (n INTEGER);\n")
		code, _, stderr := command(t, m.env, "reconcile", "--apply", "--recreate")
		testkit.Equal(t, "exit code with an edited script", code, 1)
		testkit.Contains(t, "stderr", stderr, "must not be edited: 010_a.sql")
	})
}

// A boundary that differs from the definition is left, and the reason names what differs.
func TestReconcileABoundaryThatDiffers(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"))
		m.execute("DELETE FROM {b}tenant_requests", "DELETE FROM {b}tenant_registry WHERE tenant_id = 'acme'")
		if d.sqlite() {
			execute(t, "sqlite", "file:"+m.file("acme"), "", "ALTER TABLE document DROP COLUMN checksum")
		} else {
			m.execute(`ALTER TABLE "tenant_acme".document DROP COLUMN checksum`)
		}
		m.reconcile(1, apply, "document.checksum", "left 1")
		testkit.Equal(t, "tenants", len(d.tenants()), 0)
	})
}

// The streams of outcomes and dead letters are lost. The outcomes are published again with their bytes, on request; the
// dead letters are those that were lost.
func TestReconcileLostStreams(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"), invalidRequest("order-2"),
			&nats.Msg{Subject: events.TypeRequested, Header: nats.Header{"Nats-Msg-Id": {"own"}, "Other": {"kept"}}, Data: []byte("no event")})
		outcomes, letters := m.messages(events.StreamEvents), m.messages(events.StreamDeadLetters)
		bodies := m.messages(events.StreamEvents, "Nats-Msg-Id")
		m.recreateStream(events.StreamEvents)
		m.recreateStream(events.StreamDeadLetters)
		m.age()
		m.reconcile(1, apply, "--republish", "dead letter was made again", "left 3")
		testkit.Equal(t, "dead letters", strings.Join(m.messages(events.StreamDeadLetters), "\n"), strings.Join(letters, "\n"))
		m.reconcile(0, []string{"--apply", "--republish"}, "its outcome was published again", "left 0")
		testkit.Equal(t, "outcomes", strings.Join(m.messages(events.StreamEvents), "\n"), strings.Join(outcomes, "\n"))
		m.reconcile(0, nil, "nothing to do")

		// The duplicate window still has the id of what an operator has removed from the stream.
		stream, err := m.js.Stream(t.Context(), events.StreamEvents)
		testkit.Must(t, err)
		testkit.Must(t, stream.DeleteMsg(t.Context(), 2))
		m.reconcile(0, []string{"--apply", "--republish"}, "its outcome was published again")
		testkit.Equal(t, "outcomes", strings.Join(m.messages(events.StreamEvents, "Nats-Msg-Id"), "\n"),
			strings.Join(bodies, "\n"))
	})
}

// A request that was passed, and that has neither a ledger row nor an outcome, is served again.
func TestReconcileAPassedRequest(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		request := requestFor(t, "order-1", "acme")
		request.Header.Set("Nats-Msg-Id", "own")
		m.serve(request, invalidRequest("order-2"))
		m.execute("DELETE FROM {b}tenant_requests", "DELETE FROM {b}tenant_registry WHERE tenant_id = 'acme'")
		m.dropBoundary("acme")
		m.recreateStream(events.StreamEvents)
		m.reconcile(0, apply, "the request was published again", "left 0")
		m.reconcile(0, apply, "nothing to do")
		requests := m.messages(events.StreamRequests, "Nats-Msg-Id")
		testkit.Equal(t, "requests", len(requests), 4)
		testkit.Equal(t, "the same requests", requests[0] == requests[1] && requests[2] == requests[3], true)
		m.serve()
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, m.js)), "INVALID_TENANT_ID 1, provisioned 1")
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "acme")
	})
}

// A boundary without a tenant is listed, and nothing else: the exit code is 0.
func TestReconcileListsUnknownBoundaries(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"))
		d.createBoundary("stranger", "CREATE TABLE {b}mine (n INTEGER)")
		m.reconcile(0, apply, "tenant_stranger", "nothing to do", "\n  unknown_boundary: listed 1\n")
	})
}

// Beside a service at work, reconcile finds nothing and delays nothing.
func TestReconcileBesideAService(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		const requests = 60
		m := newDamage(t, d)
		service := serve(t, m.env)
		flow := startLoad(t, m.js, requests, 10*time.Millisecond)
		for range 5 {
			m.reconcile(0, apply, "nothing to do")
		}
		flow.awaitAllPublished(t, testkit.Patience)
		awaitAllProvisioned(t, d, m.js, requests, testkit.Patience) // a progress that arrives late costs an attempt
		for _, tenant := range d.tenants()[:5] {
			m.execute("DELETE FROM {b}tenant_registry WHERE tenant_id = '"+tenant+"'",
				"DELETE FROM {b}tenant_requests WHERE tenant_id = '"+tenant+"'")
		}
		m.reconcile(0, apply, "restored from its outcome", "found 5")
		testkit.Equal(t, "tenants", len(d.tenants()), requests)
		publish(t, m.js, requestFor(t, "after", "after"))
		awaitSettled(t, m.js)
		testkit.Equal(t, "tenants", len(d.tenants()), requests+1)
		service.stop(t)
	})
}

// The registry is of an earlier version. The dry run refuses it and changes nothing. --apply migrates it, checks whether
// the streams are its own, and finds nothing lost of what is there.
func TestReconcileAnEarlierRegistry(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"), invalidRequest("order-2"), requestFor(t, "order-3", "beta"))
		others := newDamage(t, newSQLite(t))
		others.serve(requestFor(t, "order-1", "other"))
		before := m.database()
		lose := []string{"DELETE FROM {b}tenant_requests WHERE tenant_id = 'beta'", "DELETE FROM {b}tenant_registry WHERE tenant_id = 'beta'"}

		m.downgrade()
		m.execute(lose...)
		older := m.database()
		code, stdout, stderr := command(t, m.env, "reconcile")
		testkit.Equal(t, "exit code of the dry run: "+stdout, code, 1)
		testkit.Contains(t, "stderr", stderr, "one of an earlier version: start the service once", "reconcile --apply")
		m.reconcile(0, apply, "beta: it was announced", "found 1, repaired or accepted 1, left 0")
		testkit.Equal(t, "database", m.database(), before)

		m.downgrade()
		m.execute(lose...)
		code, stdout, stderr = command(t, merge(m.env, with("NATS_URL", others.env["NATS_URL"])), "reconcile", "--apply")
		testkit.Equal(t, "exit code with another's streams: "+stdout, code, 1)
		testkit.Contains(t, "stderr", stderr, "the streams belong to the registry")
		testkit.Equal(t, "database", m.database(), older)
		m.reconcile(0, apply, "found 1, repaired or accepted 1, left 0")
		m.serve(requestFor(t, "order-4", "gamma"))
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "acme beta gamma")
	})
}

// Of two commands at once the second is refused. An operator's pause stays as it is.
func TestReconcileTwiceAtOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"))
		before := m.database()
		m.execute("DELETE FROM {b}tenant_requests", "DELETE FROM {b}tenant_registry WHERE tenant_id = 'acme'")
		lost := m.database()
		killed := launchBuilt(t, "crashpoints", merge(m.env, with("CRASH_AT", "intake held")), "reconcile", "--apply")
		testkit.Equal(t, "exit code", killed.wait(t), -1)
		code, _, stderr := command(t, m.env, "reconcile", "--apply")
		testkit.Equal(t, "exit code of the second command", code, 1)
		testkit.Contains(t, "stderr", stderr, "another consumer reconcile --apply is at work",
			"nats consumer resume TENANT_REQUESTS tenant-provisioner")
		testkit.Equal(t, "database", m.database(), lost)
		testkit.Equal(t, "paused", m.consumer().Paused, true)

		m.resume()
		paused, err := m.js.PauseConsumer(t.Context(), events.StreamRequests, events.DurableConsumer, time.Now().Add(2*time.Minute))
		testkit.Must(t, err)
		m.reconcile(0, apply, "restored from its outcome")
		testkit.Equal(t, "database", m.database(), before)
		m.reconcile(0, apply, "nothing to do")
		testkit.Equal(t, "end of the operator's pause", *m.consumer().Config.PauseUntil, paused.PauseUntil)
	})
}

// No stream exists yet: the database has nothing to bind, and the streams have nothing to accept.
func TestReconcileAcceptWithoutStreams(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		code, stdout, stderr := command(t, m.env, "reconcile", "--accept-streams")
		testkit.Equal(t, "exit code of --accept-streams: "+stdout, code, 1)
		testkit.Contains(t, "stderr", stderr, "no stream exists yet", "nothing to accept")
		code, _, _ = command(t, m.env, "tenants", "list")
		testkit.Equal(t, "exit code of tenants list: no registry was created", code, 1)
		m.reconcile(0, []string{"--accept-database"}, "no stream exists yet, so there is nothing to bind; the first start")
		m.reconcile(0, []string{"--accept-database", "--json"}, `{"summary":{"found":0`)
		m.serve(requestFor(t, "order-1", "acme"))
		m.reconcile(0, nil, "registry and streams carry the id "+d.rows(system, "SELECT registry_id FROM {b}registry_stamp")[0],
			"nothing to do")
	})
}

// The JSON form.
func TestReconcileJSON(t *testing.T) {
	t.Parallel()
	m := newDamage(t, newSQLite(t))
	m.serve(requestFor(t, "order-1", "acme"))
	m.execute("DELETE FROM tenant_requests")
	stdout := m.reconcile(1, []string{"--json"})
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	testkit.Equal(t, "lines", len(lines), 3)
	id := m.d.rows(system, "SELECT registry_id FROM registry_stamp")[0]
	testkit.Equal(t, "ids", lines[0], fmt.Sprintf(`{"stamps":{"registry":%q,"streams":%q}}`, id, id))
	lines = lines[1:]
	var line findingLine
	testkit.Must(t, json.Unmarshal([]byte(lines[0]), &line))
	testkit.Equal(t, "line", fmt.Sprint(line.Kind, line.Tenant, line.Source, line.ID, line.Status, line.Action),
		"provisioned_not_recorded"+"acme"+billing+"order-1"+"planned"+"restore")
	testkit.Equal(t, "message", line.Sequence, 1)
	testkit.Equal(t, "event source", line.EventSource, events.DefaultSource)
	testkit.Equal(t, "key", line.Key, events.RequestKey(billing, "order-1"))
	var last struct{ Summary reconcileSummary }
	testkit.Must(t, json.Unmarshal([]byte(lines[1]), &last))
	testkit.Equal(t, "found", last.Summary.Found, 1)
	testkit.Equal(t, "planned", last.Summary.Planned, 1)
	testkit.Equal(t, "kinds", last.Summary.Kinds["provisioned_not_recorded"], 1)
	testkit.Equal(t, "a time", last.Summary.RequestsUntil.IsZero(), false)
}

func TestReconcileMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"x"}, {"--since", "yesterday"}, {"--nonsense"}} {
		code, _, _ := command(t, settings(), append([]string{"reconcile"}, args...)...)
		testkit.Equal(t, fmt.Sprint(args), code, exitUsage)
	}
}

// The service is down, and with it the embedded server: the command starts the server itself.
func TestReconcileWithTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	env := settings(d.env, with("NATS_EMBEDDED_DIR", filepath.Join(t.TempDir(), "nats")), with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t)))
	code, _, stderr := command(t, env, "reconcile")
	testkit.Equal(t, "exit code without streams", code, 1)
	testkit.Contains(t, "stderr", stderr, "start the service")
	service := serve(t, env)
	code, stdout, stderr := command(t, env, "request", "acme", "--display-name", "A", "--created-by", "t", "--wait", outcomeWait)
	testkit.Equal(t, "exit code of request: "+stdout+stderr, code, 0)
	for range 2 {
		code, stdout, stderr = command(t, env, "reconcile")
		testkit.Equal(t, "exit code: "+stdout+stderr, code, 0)
		service.stop(t)
	}
}

// reconcile is killed between any two of its effects, and finishes when it is repeated.
func TestReconcileKilled(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"), invalidRequest("order-2"), requestFor(t, "order-3", "beta"),
			requestFor(t, "order-4", "gamma"))
		whole := m.database()
		outcomes, letters := m.messages(events.StreamEvents, "Nats-Msg-Id"), m.messages(events.StreamDeadLetters, "Dead-Letter-Nonce", "Nats-Msg-Id")
		restore := m.backup()
		args := []string{"reconcile", "--apply", "--recreate", "--republish"}
		for _, point := range []string{
			"intake held", "checkpoint rewound", "restoration ready", "restoration committed", "request restored",
			"dead letter restored", "dead letter recorded", "outcome republished", "request republished", "checkpoint forwarded",
		} {
			restore()
			m.age()
			m.execute("DELETE FROM {b}tenant_requests WHERE request_id IN ('order-1', 'order-2', 'order-4')",
				"DELETE FROM {b}tenant_registry WHERE tenant_id IN ('acme', 'gamma')")
			letter, err := m.js.Stream(t.Context(), events.StreamDeadLetters)
			testkit.Must(t, err)
			testkit.Must(t, letter.Purge(t.Context()))
			switch point {
			case "outcome republished":
				m.removeOutcome("beta")
			case "request republished":
				publish(t, m.js, requestFor(t, "order-5", "delta"))
				m.pass()
			}
			killed := launchBuilt(t, "crashpoints", merge(m.env, with("CRASH_AT", point)), args...)
			testkit.Equal(t, "exit code at "+point, killed.wait(t), -1)
			if left := []string{"checkpoint rewound", "restoration ready", "restoration committed", "request restored"}; slices.Contains(left, point) {
				testkit.Equal(t, "doctor after "+point, runDoctor(t, m.env)["outcomes_ledger"].Status, doctor.Fault)
			}
			m.resume()
			m.reconcile(0, args[1:])
			m.reconcile(0, args[1:], "nothing to do")
			testkit.Equal(t, "database after "+point, m.database(), whole)
			testkit.Equal(t, "outcomes after "+point, strings.Join(m.messages(events.StreamEvents, "Nats-Msg-Id"), "\n"), strings.Join(outcomes, "\n"))
			testkit.Equal(t, "dead letters after "+point, strings.Join(m.messages(events.StreamDeadLetters, "Dead-Letter-Nonce", "Nats-Msg-Id"), "\n"),
				strings.Join(letters, "\n"))
		}
		m.serve(requestFor(t, "order-6", "epsilon"))
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "acme beta delta epsilon gamma")
	})
}

// Without --apply it needs no more permissions than an operator, or the service, has.
func TestReconcileAsEachUser(t *testing.T) {
	t.Parallel()
	g := startUsersServer(t, t.TempDir())
	d := newSQLite(t)
	served(t, g.envOf("consumer", d.env), g.jetStream("consumer"))
	publish(t, g.jetStream("operator"), requestFor(t, "order-1", "acme"))
	service := serve(t, g.envOf("consumer", d.env))
	awaitSettled(t, g.jetStream("operator"))
	testkit.Equal(t, "exit code", service.stop(t), 0)
	for _, user := range []string{"consumer", "operator"} {
		code, stdout, stderr := command(t, g.envOf(user, d.env), "reconcile")
		testkit.Equal(t, "exit code of "+user+": "+stdout+stderr, code, 0)
		testkit.Contains(t, "stdout", stdout, "agree")
	}
}
