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

// One replica is cut off from PostgreSQL in the middle of the only attempt that there may be, and keeps its message. A
// copy of the request, which another replica gets, waits for that attempt and does not end the request.
func TestCopyWaitsForALastAttemptThatIsAlive(t *testing.T) {
	t.Parallel()
	const ackWait = 2 * time.Second
	url, nats := postgrestest.Database(t), natstest.Start(t)
	relay, through := newRelay(t, url)
	d := postgresAt(t, url, through)
	env := settings(d.env, with("NATS_URL", nats), with("ACK_WAIT", ackWait.String()), with("MAX_ATTEMPTS", "1"),
		with("BACKOFF_MIN", "200ms"), with("BACKOFF_MAX", "400ms"))
	cutOff := enlist(t, 1, env)[0]
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
	notReady(t, cutOff.http, "")

	other := enlist(t, 1, merge(env, with("DATABASE_URL", url)))[0]
	// The first replica may still take as many as it holds; it settles them afterwards.
	begin := time.Now()
	testkit.Eventually(t, "a copy is postponed for longer than the lease", func() bool {
		if !strings.Contains(other.stderr.String(), "another worker") {
			publish(t, js, requestFor(t, "order", "acme"))
			begin = time.Now()
		}
		return time.Since(begin) > 3*ackWait
	})
	testkit.Equal(t, "the ledger", d.rows(system, "SELECT state || ' ' || attempts FROM {b}tenant_requests")[0], "running 1")
	relay.restore(t)
	settled(t, js)
	outcomes := stored(t, js)
	testkit.Equal(t, "outcomes", len(outcomes), 1)
	testkit.Equal(t, "type", outcomes[0].Type(), events.TypeProvisioned)
	testkit.Equal(t, "the ledger", d.rows(system, "SELECT state || ' ' || attempts FROM {b}tenant_requests")[0], "provisioned 1")
}
