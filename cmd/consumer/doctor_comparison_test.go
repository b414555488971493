package main

import (
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// comparisons are the checks that compare ledger and boundaries with the streams.
var comparisons = []string{"outcomes_published", "dead_letters_missing", "requests_running", "boundaries_unregistered"}

// insertRunning has the ledger begin a request of which there is no message.
func (m *damage) insertRunning(tenant string) {
	m.t.Helper()
	m.execute("INSERT INTO {b}tenant_requests (request_key, source, request_id, tenant_id, state, replay, attempts, " +
		"created_at, updated_at) VALUES ('" + events.RequestKey(billing, "lost-"+tenant) + "', '" + billing + "', 'lost-" + tenant +
		"', '" + tenant + "', 'running', 0, 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00')")
}

// Doctor finds what ledger and streams disagree about, and what reconcile repairs it no longer finds.
func TestDoctorComparesLedgerAndStreams(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"), invalidRequest("order-2"), requestFor(t, "order-3", "beta"))
		m.age()
		checks := runDoctor(t, m.env)
		testkit.Equal(t, "findings", findings(checks, comparisons...), "")
		for name, compared := range map[string]string{
			"outcomes_published": "compared: 3", "dead_letters_missing": "compared: 1 failed", "requests_running": "compared: 0",
			"boundaries_unregistered": "compared: 2 boundaries",
		} {
			testkit.Equal(t, name, checks[name].Status, doctor.OK)
			testkit.Contains(t, name, checks[name].Message, compared)
		}

		m.removeOutcome("acme")
		checks = runDoctor(t, m.env)
		testkit.Equal(t, "findings", findings(checks, comparisons...), "outcomes_published warning")
		testkit.Contains(t, "message", checks["outcomes_published"].Message, "1 outcomes", ": tenant acme;")
		testkit.Contains(t, "hint", checks["outcomes_published"].Hint, "consumer reconcile --apply --republish")
		m.reconcile(0, []string{"--apply", "--republish"}, "its outcome was published again")

		// An operator has removed one dead letter; then the stream is lost.
		letters, err := m.js.Stream(t.Context(), events.StreamDeadLetters)
		testkit.Must(t, err)
		testkit.Must(t, letters.Purge(t.Context()))
		testkit.Equal(t, "findings after a removal", findings(runDoctor(t, m.env), comparisons...), "")
		m.recreateStream(events.StreamDeadLetters)
		checks = runDoctor(t, m.env)
		testkit.Equal(t, "findings", findings(checks, comparisons...), "dead_letters_missing warning")
		testkit.Contains(t, "message", checks["dead_letters_missing"].Message, "1 failed requests", "request "+events.Quote("order-2"))
		m.reconcile(0, apply, "dead letter was made again")

		d.createBoundary("stranger", "CREATE TABLE {b}mine (n INTEGER)")
		checks = runDoctor(t, m.env)
		testkit.Equal(t, "findings", findings(checks, comparisons...), "boundaries_unregistered warning")
		testkit.Contains(t, "message", checks["boundaries_unregistered"].Message, "1 boundaries", "tenant_stranger")
		m.dropBoundary("stranger")

		m.insertRunning("gamma")
		d.createBoundary("gamma", "CREATE TABLE {b}mine (n INTEGER)") // it is being built
		checks = runDoctor(t, m.env)
		testkit.Equal(t, "findings", findings(checks, comparisons...), "requests_running warning")
		testkit.Contains(t, "message", checks["requests_running"].Message, "1 requests", "tenant gamma")
		m.dropBoundary("gamma")
		m.reconcile(0, []string{"--accept"}, "recorded as accepted")
		testkit.Equal(t, "findings after all was repaired", findings(runDoctor(t, m.env), comparisons...), "")
	})
}

// A message names five findings, and counts the others.
func TestDoctorNamesFewOfManyFindings(t *testing.T) {
	t.Parallel()
	m := newDamage(t, newSQLite(t))
	m.serve()
	for _, tenant := range strings.Fields("a1 a2 a3 a4 a5 a6 a7") {
		m.insertRunning(tenant)
	}
	message := runDoctor(t, m.env)["requests_running"].Message
	testkit.Contains(t, "message", message, "7 requests", ", …; compared: 7")
	testkit.Equal(t, "tenants named", strings.Count(message, "tenant "), 5)
}

// Beside a service at work, doctor reports nothing that is on its way.
func TestDoctorBesideAServiceAtWork(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		const requests = 60
		m := newDamage(t, d)
		service := serve(t, m.env)
		flow := startLoad(t, m.js, requests, 10*time.Millisecond)
		for range 5 {
			testkit.Equal(t, "findings", findings(runDoctor(t, m.env), comparisons...), "")
		}
		flow.awaitAllPublished(t, testkit.Patience)
		awaitAllProvisioned(t, d, m.js, requests, testkit.Patience) // a progress that arrives late costs an attempt
		checks := runDoctor(t, m.env)
		testkit.Equal(t, "findings", findings(checks, comparisons...), "")
		testkit.Contains(t, "message", checks["boundaries_unregistered"].Message, "compared: 60 boundaries")
		service.stop(t)
	})
}

// The users of server.conf can compare. A user that lacks a permission learns which.
func TestDoctorComparesAsEachUser(t *testing.T) {
	t.Parallel()
	g := startUsersServer(t, t.TempDir())
	m := &damage{t: t, d: newSQLite(t)}
	m.env = g.envOf("consumer", m.d.env, with("ACK_WAIT", "1s"))
	m.js = g.jetStream("consumer")
	service := serve(t, m.env)
	testkit.Equal(t, "exit code", service.stop(t), 0)
	m.insertRunning("gamma") // so that TENANT_REQUESTS is read
	for _, user := range []string{"consumer", "operator"} {
		checks := runDoctor(t, g.envOf(user, m.d.env, with("ACK_WAIT", "1s")))
		testkit.Equal(t, "findings of "+user, findings(checks, comparisons...), "requests_running warning")
		testkit.Contains(t, "message", checks["requests_running"].Message, "tenant gamma")
	}

	urlOf := startConfigured(t, `
		jetstream {}
		accounts { TENANTS { jetstream: enabled, users: [
			{user: admin, password: `+secret+`},
			{user: limited, password: `+secret+`, permissions: {publish: {deny: "$JS.API.STREAM.MSG.GET.TENANT_REQUESTS"}}},
		] } }`)
	d := newSQLite(t)
	service = serve(t, settings(d.env, with("NATS_URL", urlOf("admin"))))
	testkit.Equal(t, "exit code", service.stop(t), 0)
	limited := with("NATS_URL", urlOf("limited"))
	testkit.Equal(t, "findings", findings(runDoctor(t, d.env, limited), comparisons...), "") // nothing of it is to be read
	(&damage{t: t, d: d}).insertRunning("gamma")
	publish(t, natstest.JetStream(t, urlOf("admin")), requestFor(t, "order-1", "acme"))
	checks := runDoctor(t, d.env, limited)
	for _, name := range comparisons {
		testkit.Equal(t, name, checks[name].Status, doctor.Warning)
		testkit.Contains(t, name, checks[name].Message, "ermissions violation", "$JS.API.STREAM.MSG.GET.TENANT_REQUESTS")
	}
}
