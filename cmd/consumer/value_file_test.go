package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// The service goes on with passwords, users and hosts that were replaced in the files while it runs.
func TestValueFilesAreReplaced(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE me LOGIN PASSWORD 'first'", "GRANT CREATE ON DATABASE tenants TO me")
	accounts := func(password string) string {
		return "accounts { A { jetstream: enabled, users: [ {user: me, password: " + password + "} ] } }"
	}
	nats := natstest.StartConfigured(t, accounts("first"))
	dir := t.TempDir()
	env := map[string]string{
		"DATABASE_URL_FILE": filepath.Join(dir, "database-url"), "NATS_URL_FILE": filepath.Join(dir, "nats-url"),
		"HTTP_ADDR": "127.0.0.1:0", "CONCURRENCY": "2",
	}
	write := func(name, value string) {
		t.Helper()
		next := filepath.Join(dir, "next")
		testkit.Must(t, os.WriteFile(next, []byte(value+"\n"), 0o600))
		testkit.Must(t, os.Rename(next, env[name]))
	}
	natsURL := func(password string) string { return strings.Replace(nats.URL, "//", "//me:"+password+"@", 1) }
	write("DATABASE_URL_FILE", s.URLOf("me", "first"))
	write("NATS_URL_FILE", natsURL("first"))
	service := serve(t, env)
	provisions := func(tenant string) {
		t.Helper()
		code, _, stderr := command(t, env, requestArgs(tenant, "--wait", outcomeWait)...)
		testkit.Equal(t, "exit code: "+stderr, code, 0)
	}
	provisions("one")

	s.Exec("ALTER ROLE me PASSWORD 'second'", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'me'")
	nats.Reload(accounts("second"))
	http := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	awaitNotReady(t, http, "")
	write("DATABASE_URL_FILE", s.URLOf("me", "second"))
	write("NATS_URL_FILE", natsURL("second"))
	provisions("two")

	// A file that is empty for a while is named, and nothing is lost.
	testkit.Must(t, os.Truncate(env["DATABASE_URL_FILE"], 0))
	s.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'me'")
	awaitNotReady(t, http, "DATABASE_URL_FILE: "+env["DATABASE_URL_FILE"]+" is empty")
	publishing := maps.Clone(env) // without a database
	delete(publishing, "DATABASE_URL_FILE")
	code, _, stderr := command(t, publishing, requestArgs("three")...)
	testkit.Equal(t, "exit code: "+stderr, code, 0)
	write("DATABASE_URL_FILE", s.URLOf("me", "second"))
	testkit.Eventually(t, "the request that waited is served", func() bool {
		_, stdout, _ := command(t, env, "tenants", "list", "--json")
		return strings.Contains(stdout, `"three"`)
	})

	write("DATABASE_URL_FILE", strings.Replace(s.URLOf("me", "second"), "/tenants", "/postgres", 1))
	s.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'me'")
	awaitNotReady(t, http, "names database postgres now, and this process has begun with tenants; restart it")

	// Another user is accepted only with the same owner of tenants.
	s.Exec("CREATE ROLE other LOGIN PASSWORD 'third' IN ROLE me")
	write("DATABASE_URL_FILE", s.URLOf("other", "third"))
	awaitNotReady(t, http, "names role other now, and this process has begun with me, which owns the tenants; add the parameter role=me")
	write("DATABASE_URL_FILE", s.URLOf("other", "third")+"&role=me")
	provisions("four")
	testkit.Equal(t, "owners of tenants", postgresAt(t, s.URL, s.URL).rows(system,
		"SELECT DISTINCT nspowner::regrole::text FROM pg_namespace WHERE nspname LIKE 'tenant\\_%'")[0], "me")
	testkit.Equal(t, "exit code", service.stop(t), 0)
	for _, password := range []string{"first", "second"} {
		if strings.Contains(service.stderr.String(), ":"+password+"@") {
			t.Error("the log shows a password")
		}
	}
}
