package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/postgrestest"
)

// A durable commit waits at least for the disk and for the standby's disk, and until the standby has applied it if the
// server is configured so. It also receives the server's warnings. The settings affect only its own transaction.
func TestDurableCommitRaisesWeakerSettings(t *testing.T) {
	t.Parallel()
	q, err := loadQueries("docex_system")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	settings := func() (commit, messages string) {
		t.Helper()
		const query = "SELECT current_setting('synchronous_commit'), current_setting('client_min_messages')"
		if err := conn.QueryRow(t.Context(), query).Scan(&commit, &messages); err != nil {
			t.Fatal(err)
		}
		return commit, messages
	}
	exec := func(statement string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("SET client_min_messages = error")
	for configured, want := range map[string]string{
		"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply",
	} {
		exec("SET synchronous_commit = " + configured)
		exec("BEGIN")
		exec(q.DurableCommit)
		if commit, messages := settings(); commit != want || messages != "warning" {
			t.Errorf("%s: the transaction commits by %s and receives from %s", configured, commit, messages)
		}
		exec("COMMIT")
		if commit, messages := settings(); commit != configured || messages != "error" {
			t.Errorf("%s: afterwards the session commits by %s and receives from %s", configured, commit, messages)
		}
	}
}
