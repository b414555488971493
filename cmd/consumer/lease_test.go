package main

import (
	databasesql "database/sql"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// A replica loses PostgreSQL during the only attempt allowed, and keeps its message. A duplicate of the request, on
// another replica, waits for that attempt and does not fail the request.
func TestDuplicateWaitsForALiveLastAttempt(t *testing.T) {
	t.Parallel()
	const ackWait = 5 * time.Second
	url, nats := postgrestest.Database(t), natstest.Start(t)
	relay, relayURL := newRelay(t, url)
	d := postgresAt(t, url, relayURL)
	env := settings(d.env, with("NATS_URL", nats), with("ACK_WAIT", ackWait.String()), with("MAX_ATTEMPTS", "1"),
		with("BACKOFF_MIN", "200ms"), with("BACKOFF_MAX", "400ms"))
	cutOff := startReplicas(t, 1, env)[0]
	js := natstest.JetStream(t, nats)

	db, err := databasesql.Open("pgx", url)
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, db.Close()) })
	tx, err := db.BeginTx(t.Context(), nil)
	testkit.Must(t, err)
	_, err = tx.ExecContext(t.Context(), "INSERT INTO docex_system.tenant_registry (tenant_id, display_name, is_system, "+
		"isolation_strategy, schema_name, created_at, created_by, last_updated_at) "+
		"VALUES ('acme', 'x', false, 'schema', 'tenant_acme', now(), 'x', now())")
	testkit.Must(t, err)
	publish(t, js, requestFor(t, "order", "acme"))
	const mine = " FROM pg_stat_activity WHERE application_name = 'tenant-provisioner' AND datname = current_database()"
	testkit.Eventually(t, "the attempt waits for the registration", func() bool {
		return d.rows(system, "SELECT count(*)"+mine+" AND wait_event_type = 'Lock'")[0] != "0"
	})
	relay.cut()
	d.rows(system, "SELECT pg_terminate_backend(pid)"+mine)
	testkit.Must(t, tx.Rollback())
	awaitNotReady(t, cutOff.http, "")

	other := startReplicas(t, 1, merge(env, with("DATABASE_URL", url)))[0]
	// The first replica may still receive some of the duplicates; it settles them afterwards.
	begin := time.Now()
	testkit.Eventually(t, "a duplicate is retried for longer than the lease", func() bool {
		if !strings.Contains(other.stderr.String(), "another worker") {
			publish(t, js, requestFor(t, "order", "acme"))
			begin = time.Now()
		}
		return time.Since(begin) > 3*ackWait
	})
	testkit.Equal(t, "the ledger", d.rows(system, "SELECT state || ' ' || attempts FROM {b}tenant_requests")[0], "running 1")
	relay.restore(t)
	awaitSettled(t, js)
	outcomes := storedOutcomes(t, js)
	testkit.Equal(t, "outcomes", len(outcomes), 1)
	testkit.Equal(t, "type", outcomes[0].Type(), events.TypeProvisioned)
	testkit.Equal(t, "the ledger", d.rows(system, "SELECT state || ' ' || attempts FROM {b}tenant_requests")[0], "provisioned 1")
}
