package main

import (
	databasesql "database/sql"
	"fmt"
	"testing"

	"example.com/tenant-provisioner/internal/docextest"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// A start whose migration waits for another session names it in the log and in /readyz, and goes on by itself.
func TestStartNamesTheSessionThatBlocksItsMigration(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	docextest.Postgres(t, url, "")
	db, err := databasesql.Open("pgx", url)
	testkit.Must(t, err)
	defer func() { testkit.Must(t, db.Close()) }()
	tx, err := db.Begin()
	testkit.Must(t, err)
	var pid int
	testkit.Must(t, tx.QueryRow("SELECT pg_backend_pid()").Scan(&pid))
	_, err = tx.Exec("LOCK TABLE docex_system.tenant_registry")
	testkit.Must(t, err)

	service := start(t, settings(with("DATABASE_URL", url), with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0")), "run")
	http := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	session := fmt.Sprintf("other transactions use the registry's tables: pid %d", pid)
	awaitNotReady(t, http, session)
	testkit.Logs(t, &service.stderr, "waiting for the database", session)
	testkit.Must(t, tx.Rollback())
	testkit.Logs(t, &service.stderr, "taking requests")
	testkit.Equal(t, "exit code", service.stop(t), 0)
}
