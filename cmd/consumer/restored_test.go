package main

import (
	"context"
	databasesql "database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// maintain runs statements in another database of the server, also while the test ends.
func (d testDatabase) maintain(t *testing.T, statements ...string) {
	t.Helper()
	u, err := url.Parse(d.env["DATABASE_URL"])
	testkit.Must(t, err)
	u.Path = "/postgres"
	db, err := databasesql.Open("pgx", u.String())
	testkit.Must(t, err)
	defer func() { testkit.Must(t, db.Close()) }()
	for _, s := range statements {
		_, err := db.ExecContext(context.WithoutCancel(t.Context()), s)
		testkit.Must(t, err)
	}
}

// name is the name of the database, or the storage directory.
func (d testDatabase) name(t *testing.T) string {
	t.Helper()
	if d.sqlite() {
		return strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:")
	}
	u, err := url.Parse(d.env["DATABASE_URL"])
	testkit.Must(t, err)
	return strings.TrimPrefix(u.Path, "/")
}

// copyOf copies the database, while no process uses it, to a new one that is dropped when the test ends.
func copyOf(t *testing.T, d testDatabase) testDatabase {
	t.Helper()
	if d.sqlite() {
		root := filepath.Join(t.TempDir(), "storage")
		testkit.Must(t, os.CopyFS(root, os.DirFS(d.name(t))))
		return sqliteIn(t, root)
	}
	name := d.name(t) + "_copy"
	d.maintain(t, fmt.Sprintf("CREATE DATABASE %q TEMPLATE %q", name, d.name(t)))
	t.Cleanup(func() { d.maintain(t, fmt.Sprintf("DROP DATABASE IF EXISTS %q WITH (FORCE)", name)) })
	u, err := url.Parse(d.env["DATABASE_URL"])
	testkit.Must(t, err)
	u.Path = "/" + name
	return postgresAt(t, u.String(), u.String())
}

// restore replaces the database by the copy, as a restore from a backup does.
func (d testDatabase) restore(t *testing.T, from testDatabase) {
	t.Helper()
	if d.sqlite() {
		testkit.Must(t, os.RemoveAll(d.name(t)))
		testkit.Must(t, os.CopyFS(d.name(t), os.DirFS(from.name(t))))
		return
	}
	d.maintain(t, fmt.Sprintf("DROP DATABASE %q WITH (FORCE)", d.name(t)),
		fmt.Sprintf("CREATE DATABASE %q TEMPLATE %q", d.name(t), from.name(t)))
}

// loseRegistry removes the registry. The tenants' boundaries stay.
func (d testDatabase) loseRegistry(t *testing.T) {
	t.Helper()
	if d.sqlite() {
		testkit.Must(t, os.RemoveAll(filepath.Join(d.name(t), "tenant_"+system)))
		return
	}
	execute(t, "pgx", d.env["DATABASE_URL"], "", "DROP SCHEMA docex_system CASCADE")
}

// http is the address of its HTTP server, with HTTP_ADDR 127.0.0.1:0.
func (r *running) http(t *testing.T) string {
	t.Helper()
	return "http://" + testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
}

// served runs the service until it has settled requests for these tenants, each with an id of the same name.
func served(t *testing.T, env map[string]string, js jetstream.JetStream, tenants ...string) {
	t.Helper()
	r := serve(t, env)
	for _, tenant := range tenants {
		publish(t, js, requestFor(t, "r-"+tenant, tenant))
	}
	awaitSettled(t, js)
	testkit.Equal(t, "exit code", r.stop(t), 0)
}

// A database that is restored from a backup is older than the outcomes that were published since. The service takes no
// request: the name of a lost tenant, announced for one customer, must not be given to another.
func TestDatabaseOlderThanTheStreams(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0"))
		js := natstest.JetStream(t, env["NATS_URL"])
		served(t, env, js, "a1")
		backup := copyOf(t, d)
		served(t, env, js, "b1")
		d.restore(t, backup)

		r := start(t, env, "run")
		http := r.http(t)
		awaitNotReady(t, http, "the database is older than the streams")
		_, ready := get(t, http+"/readyz")
		testkit.Contains(t, "/readyz", ready, `"b1"`, "r-b1", "consumer reconcile")
		publish(t, js, requestFor(t, "thief", "b1"))
		scrape(t, http, "tenant_provisioner_database_mismatch 1", "tenant_provisioner_ready 0")
		found := runDoctor(t, env)["outcomes_ledger"]
		testkit.Equal(t, "doctor", found.Status, doctor.Fault)
		testkit.Contains(t, "doctor", found.Message+found.Hint, `"b1"`, "consumer reconcile")
		_, page := get(t, http+"/")
		testkit.Contains(t, "page", page, "older than the streams")
		testkit.Logs(t, &r.stderr, "older than the streams")
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "provisioned 2")
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1")
		testkit.Equal(t, "exit code", r.stop(t), 0)
	})
}

// A database that is as new as its streams, restored in its place, is served.
func TestRestoredDatabaseIsServed(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		js := natstest.JetStream(t, env["NATS_URL"])
		served(t, env, js, "a1")
		d.restore(t, copyOf(t, d))
		served(t, env, js, "a2")
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1 a2")
	})
}

// Staging on a copy of production's database, with production's NATS_URL by mistake, serves none of its requests. With
// streams of its own it is a service of its own.
func TestStagingOnACopyOfProduction(t *testing.T) {
	t.Parallel()
	production := newPostgres(t)
	env := settings(production.env, with("NATS_URL", natstest.Start(t)))
	js := natstest.JetStream(t, env["NATS_URL"])
	served(t, env, js, "a1")
	staging := copyOf(t, production)
	running := serve(t, env)
	wrong := start(t, settings(staging.env, with("NATS_URL", env["NATS_URL"]), with("HTTP_ADDR", "127.0.0.1:0")), "run")
	awaitNotReady(t, wrong.http(t), "this database is a copy")
	_, ready := get(t, wrong.http(t)+"/readyz")
	testkit.Contains(t, "/readyz", ready, production.name(t), "--accept-database")
	for i := range 20 {
		publish(t, js, requestFor(t, fmt.Sprint("n", i), fmt.Sprint("n", i)))
	}
	awaitSettled(t, js)
	testkit.Equal(t, "tenants of production", len(production.tenants()), 21)
	testkit.Equal(t, "tenants of staging", len(staging.tenants()), 1)
	testkit.Equal(t, "exit code", wrong.stop(t), 0)

	own := settings(staging.env, with("NATS_URL", natstest.Start(t)))
	served(t, own, natstest.JetStream(t, own["NATS_URL"]), "s1")
	testkit.Equal(t, "tenants of staging", strings.Join(staging.tenants(), " "), "a1 s1")
	ids := append(production.rows(system, "SELECT registry_id FROM {b}registry_stamp"),
		staging.rows(system, "SELECT registry_id FROM {b}registry_stamp")...)
	if len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("production and staging have the ids %v", ids)
	}
	again := start(t, settings(staging.env, with("NATS_URL", env["NATS_URL"])), "run")
	testkit.Equal(t, "exit code of staging on production's streams", again.wait(t), 1)
	testkit.Contains(t, "stderr", again.stderr.String(), ids[0], ids[1], "--accept-streams")
	testkit.Equal(t, "exit code", running.stop(t), 0)
}

// The database is restored under another name, while the former one is still on the server. Which of them is in use is
// the operator's to say.
func TestRecoveryUnderAnotherName(t *testing.T) {
	t.Parallel()
	former := newPostgres(t)
	env := settings(former.env, with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0"))
	js := natstest.JetStream(t, env["NATS_URL"])
	served(t, env, js, "a1")
	d := copyOf(t, former)
	served(t, env, js, "b1")

	env = merge(env, d.env)
	id := d.rows(system, "SELECT registry_id FROM {b}registry_stamp")[0]
	copied := "this database is a copy: the streams belong to database " + former.name(t) + " on the same server"
	r := start(t, env, "run")
	awaitNotReady(t, r.http(t), copied+". If it was restored from a backup")
	code, stdout, _ := command(t, env, "reconcile")
	testkit.Equal(t, "exit code of reconcile", code, 1)
	testkit.Contains(t, "reconcile", stdout, "the id "+id, "--apply refuses", copied, "--accept-database", "b1: it was announced")
	_, stdout, _ = command(t, env, "reconcile", "--json")
	var line struct{ Stamps stampsLine }
	first, _, _ := strings.Cut(stdout, "\n")
	testkit.Must(t, json.Unmarshal([]byte(first), &line))
	testkit.Equal(t, "ids", line.Stamps.Registry+" "+line.Stamps.Streams, id+" "+id)
	testkit.Equal(t, "copy of", line.Stamps.CopyOf, "database "+former.name(t)+" on the same server")
	testkit.Contains(t, "problem", line.Stamps.Problem, copied)
	code, _, stderr := command(t, env, "reconcile", "--apply", "--recreate")
	testkit.Equal(t, "exit code of --apply on a copy", code, 1)
	testkit.Contains(t, "stderr", stderr, copied)
	code, stdout, _ = command(t, env, "reconcile", "--accept-database")
	testkit.Equal(t, "exit code of --accept-database, which shows what is lost", code, 1)
	testkit.Contains(t, "reconcile", stdout, "registry and streams carry the id "+id, "b1: it was announced")
	code, _, _ = command(t, env, "reconcile", "--apply", "--recreate")
	testkit.Equal(t, "exit code of --apply", code, 0)
	awaitServing(t, r, js, "c1")
	testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1 b1 c1")
	code, stdout, _ = command(t, settings(former.env, with("NATS_URL", env["NATS_URL"])), "reconcile")
	testkit.Equal(t, "exit code of reconcile on the former database", code, 1)
	testkit.Contains(t, "reconcile", stdout, "c1: it was announced")
}

// The streams of one installation are not served by another.
func TestStreamsOfAnotherInstallation(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		other := settings(d.env, with("NATS_URL", natstest.Start(t)))
		js := natstest.JetStream(t, other["NATS_URL"])
		served(t, env, natstest.JetStream(t, env["NATS_URL"]), "a1")
		mine := newSQLite(t)
		served(t, settings(mine.env, with("NATS_URL", other["NATS_URL"])), js, "other")

		publish(t, js, requestFor(t, "late", "late"))
		r := start(t, other, "run")
		testkit.Equal(t, "exit code", r.wait(t), 1)
		testkit.Contains(t, "stderr", r.stderr.String(), "the streams belong to the registry", "--accept-streams", "--accept-database")
		found := runDoctor(t, other)["streams_registry"]
		testkit.Equal(t, "doctor", found.Status, doctor.Fault)
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1")
	})
}

// Without its registry the service does not create an empty one where streams or tenants show that there was one.
// It creates nothing.
func TestRegistryIsLost(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		js := natstest.JetStream(t, env["NATS_URL"])
		served(t, env, js, "a1")
		d.loseRegistry(t)
		publish(t, js, requestFor(t, "thief", "a1"))
		for _, c := range []struct{ nats, reason string }{
			{env["NATS_URL"], "the streams belong to a registry"},
			{natstest.Start(t), "tenants of a registry that is not in this database are here: " + d.boundary("tenant_a1")},
		} {
			env := settings(env, with("NATS_URL", c.nats))
			checks := runDoctor(t, env)
			r := start(t, env, "run")
			testkit.Equal(t, "exit code", r.wait(t), 1)
			testkit.Contains(t, "stderr", r.stderr.String(), c.reason, "consumer reconcile --accept-database")
			if checks["registry"].Status != doctor.Fault {
				t.Errorf("doctor: %+v", checks["registry"])
			}
		}
		code, _, _ := command(t, env, "tenants", "list")
		testkit.Equal(t, "exit code of tenants list: there is no registry", code, 1)
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "provisioned 1")
	})
}

// Streams and registry of an earlier version get the same id at the first start, and nothing else changes. Later starts
// find it.
func TestFirstStartOfAnInstallationGivesTheStreamsTheID(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		js := natstest.JetStream(t, env["NATS_URL"])
		testkit.Must(t, handler.Topology{Replicas: 1, Manage: true, AckWait: testkit.Patience}.Ensure(t.Context(), js))
		served(t, env, js, "a1")
		id := d.rows(system, "SELECT registry_id FROM {b}registry_stamp")[0]
		for _, name := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
			stream, err := js.Stream(t.Context(), name)
			testkit.Must(t, err)
			testkit.Equal(t, "id in "+name, stream.CachedInfo().Config.Metadata[handler.StampMetadata], id)
		}
		found := runDoctor(t, env)
		testkit.Equal(t, "doctor", found["streams_registry"].Status, doctor.OK)
		testkit.Equal(t, "doctor", found["outcomes_ledger"].Status, doctor.OK)
		served(t, env, js, "a2")
	})
}

// All streams are lost, the database is not: they are made again, with the registry's id.
func TestStreamsAreLost(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		served(t, env, natstest.JetStream(t, env["NATS_URL"]), "a1")
		env["NATS_URL"] = natstest.Start(t)
		js := natstest.JetStream(t, env["NATS_URL"])
		served(t, env, js, "a2")
		testkit.Equal(t, "doctor", runDoctor(t, env)["streams_registry"].Status, doctor.OK)
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1 a2")
	})
}
