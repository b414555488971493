package postgres

import (
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/postgrestest"
)

// A process id alone terminates no session: it may have been reused.
func TestOnlyLostSessionsAreTerminated(t *testing.T) {
	t.Parallel()
	server := postgrestest.Private(t)
	store, err := Open(t.Context(), Config{
		URL: server.URL, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1, CreatedBy: "test",
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	connect := func() *pgx.Conn {
		c, err := pgx.Connect(t.Context(), server.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(t.Context()) })
		return c
	}
	// Keys with and without the upper bits, which pg_locks shows in another column, and a negative one.
	keys := []int64{7, 7 << 40, -7}
	var lost []*pgx.Conn
	for _, key := range keys {
		c := connect()
		if _, err := c.Exec(t.Context(), "SELECT pg_catalog.pg_advisory_lock($1::bigint)", key); err != nil {
			t.Fatal(err)
		}
		lost = append(lost, c)
	}
	other := connect()
	if _, err := other.Exec(t.Context(), "SELECT pg_catalog.pg_advisory_lock(8)"); err != nil {
		t.Fatal(err)
	}
	store.lost.add(lostSession{pid: other.PgConn().PID(), boundary: keys[0]})   // holds another lock
	store.lost.add(lostSession{pid: lost[0].PgConn().PID(), boundary: keys[1]}) // holds another lock
	store.lost.add(lostSession{pid: other.PgConn().PID() + 1<<20, boundary: 8}) // does not exist
	store.endLost(t.Context(), store.pool)
	for _, c := range append(lost, other) {
		if err := c.Ping(t.Context()); err != nil {
			t.Errorf("it was terminated: %v", err)
		}
	}
	for i, c := range lost {
		store.lost.add(lostSession{pid: c.PgConn().PID(), boundary: keys[i]})
	}
	store.endLost(t.Context(), store.pool)
	for i, c := range lost {
		if err := c.Ping(t.Context()); err == nil {
			t.Errorf("the session with lock %d was not terminated", keys[i])
		}
	}
	if err := other.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if left := store.lost.snapshot(); len(left) != 0 {
		t.Errorf("still listed as lost: %v", left)
	}
}
