package main

import (
	databasesql "database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

const (
	role     = "provisioner"
	password = "first"
)

// newRole creates a role for the program, with no more permissions than it needs.
func newRole(s *postgrestest.Server) {
	s.Exec(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", role, password), "GRANT CREATE ON DATABASE tenants TO "+role)
}

// outage makes a server unavailable for a while.
type outage struct {
	begin, end func(*postgrestest.Server)
	reason     string // in /readyz during the outage
}

// run runs two replicas on a server through the outage, which lasts until last has returned and all requests are
// published.
func (o outage) run(
	t *testing.T, s *postgrestest.Server, requests int, every time.Duration, last func(fleet []*replica), change ...map[string]string,
) {
	t.Helper()
	newRole(s)
	d, nats := postgresAt(t, s.URL, s.URLOf(role, password)), natstest.Start(t)
	fleet := startReplicas(t, 2, settings(append(change, d.env, with("NATS_URL", nats))...))
	js := natstest.JetStream(t, nats)
	f := startLoad(t, js, requests, every)
	f.awaitPublished(t, requests/6)
	o.begin(s)
	for _, r := range fleet {
		awaitNotReady(t, r.http, o.reason)
	}
	last(fleet)
	f.awaitAllPublished(t, testkit.Patience)
	o.end(s)
	f.finish(t, d, js, testkit.Patience)
	awaitReady(t, fleet...)
}

// postgresOutages are the outages of PostgreSQL.
var postgresOutages = map[string]outage{
	"stopped": {
		begin:  (*postgrestest.Server).Stop,
		end:    (*postgrestest.Server).Start,
		reason: "connect",
	},
	"killed": {
		begin:  (*postgrestest.Server).Kill,
		end:    (*postgrestest.Server).Start,
		reason: "connect",
	},
	"password changed": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner PASSWORD 'second'")
			s.Disconnect(role)
		},
		end:    func(s *postgrestest.Server) { s.Exec("ALTER ROLE provisioner PASSWORD '" + password + "'") },
		reason: "28P01",
	},
	"role locked": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner NOLOGIN")
			s.Disconnect(role)
		},
		end:    func(s *postgrestest.Server) { s.Exec("ALTER ROLE provisioner LOGIN") },
		reason: "28000",
	},
	"no connection left": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner CONNECTION LIMIT 0")
			s.Disconnect(role)
		},
		end:    func(s *postgrestest.Server) { s.Exec("ALTER ROLE provisioner CONNECTION LIMIT -1") },
		reason: "53300",
	},
	"database closed": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER DATABASE tenants ALLOW_CONNECTIONS false")
			s.Disconnect(role)
		},
		end:    func(s *postgrestest.Server) { s.Exec("ALTER DATABASE tenants ALLOW_CONNECTIONS true") },
		reason: "55000",
	},
	"server read-only": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_catalog.pg_reload_conf()")
		},
		end: func(s *postgrestest.Server) {
			s.Exec("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_catalog.pg_reload_conf()")
		},
		reason: "read-only",
	},
	"role read-only": { // sessions adopt it when they begin
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner SET default_transaction_read_only = on")
			s.Disconnect(role)
		},
		end: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner RESET default_transaction_read_only")
		},
		reason: "read-only",
	},
}

// An unavailable database fails no request and costs no attempt: /readyz shows the reason, and work resumes by itself.
func TestPostgresIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, o := range postgresOutages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.run(t, postgrestest.Private(t), 36, 20*time.Millisecond, func([]*replica) {})
		})
	}
}

// A replica that starts during the outage waits, or takes requests and is not ready: it does not exit.
func TestServiceStartsWhilePostgresIsUnavailable(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	newRole(s)
	env := settings(with("DATABASE_URL", s.URLOf(role, password)), with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0"))
	startReplicas(t, 1, env)[0].signal(t, syscall.SIGTERM) // it has created the registry
	for _, name := range []string{
		"stopped", "password changed", "role locked", "no connection left", "database closed", "server read-only", "role read-only",
	} {
		o := postgresOutages[name]
		o.begin(s)
		r := &replica{process: launch(t, env)}
		r.http = "http://" + testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
		awaitNotReady(t, r.http, o.reason)
		o.end(s)
		awaitReady(t, r)
		r.signal(t, syscall.SIGTERM)
		testkit.Equal(t, name+": exit code", r.wait(t), 0)
	}
}

// Connections break at any moment, also between a commit and its confirmation: a retry finds the result of the
// commit.
func TestConnectionsAreCut(t *testing.T) {
	t.Parallel()
	const requests, cuts = 60, 5
	for _, what := range []string{"database", "NATS"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			url, nats := postgrestest.Database(t), natstest.Start(t)
			to := map[string]string{"database": url, "NATS": nats}
			relay, relayURL := newRelay(t, to[what])
			to[what] = relayURL
			d := postgresAt(t, url, to["database"])
			fleet := startReplicas(t, 2, settings(d.env, with("NATS_URL", to["NATS"]), with("ACK_WAIT", "6s")))
			js := natstest.JetStream(t, nats)
			f := startLoad(t, js, requests, 10*time.Millisecond)
			outcomes, err := js.Stream(t.Context(), events.StreamEvents)
			testkit.Must(t, err)
			for i := range cuts {
				testkit.Eventually(t, "more requests are done", func() bool {
					info, err := outcomes.Info(t.Context())
					testkit.Must(t, err)
					return info.State.Msgs >= uint64(i*requests/(cuts+5))
				})
				relay.cut()
				relay.restore(t)
			}
			f.awaitAllPublished(t, testkit.Patience)
			awaitFirstAttempts(t, d, js, requests, testkit.Patience)
			awaitReady(t, fleet...)
		})
	}
}

// A server that accepts connections and never answers is unavailable too, which only a timeout detects.
func TestPostgresDoesNotAnswer(t *testing.T) {
	t.Parallel()
	url, nats := postgrestest.Database(t), natstest.Start(t)
	relay, relayURL := newRelay(t, url)
	d := postgresAt(t, url, relayURL)
	fleet := startReplicas(t, 3, settings(d.env, with("NATS_URL", nats), with("DRAIN_TIMEOUT", "2s")))
	js := natstest.JetStream(t, nats)
	f := startLoad(t, js, 60, 10*time.Millisecond)
	f.awaitPublished(t, 10)
	proceed := relay.stall()
	defer proceed()
	for _, r := range fleet {
		awaitNotReady(t, r.http, "does not answer")
	}
	// A stop does not wait for it either.
	fleet[2].signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", fleet[2].wait(t), 0)
	f.awaitPublished(t, 60)
	proceed()
	awaitAllProvisioned(t, d, js, 60, testkit.Patience) // a replica whose drain times out cannot refund its attempts
	awaitReady(t, fleet[:2]...)
}

// A session that locks the registry for longer than the lock timeout blocks all others: that is an outage too.
func TestSQLiteRegistryIsLocked(t *testing.T) {
	t.Parallel()
	d, nats := newSQLite(t), natstest.Start(t)
	fleet := startReplicas(t, 2, settings(d.env, with("NATS_URL", nats)))
	js := natstest.JetStream(t, nats)
	f := startLoad(t, js, 60, 10*time.Millisecond)
	f.awaitPublished(t, 10)
	registry, err := databasesql.Open("sqlite", "file:"+filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"),
		"tenant_"+system, "docex.db")+"?mode=rw&_txlock=exclusive&_pragma=busy_timeout(30000)")
	testkit.Must(t, err)
	defer func() { testkit.Must(t, registry.Close()) }()
	lock, err := registry.BeginTx(t.Context(), nil)
	testkit.Must(t, err)
	for _, r := range fleet {
		awaitNotReady(t, r.http, "locked")
	}
	f.awaitPublished(t, 60)
	testkit.Must(t, lock.Rollback())
	f.finish(t, d, js, testkit.Patience)
	awaitReady(t, fleet...)
}

// If the server refuses a connection while others work, the program waits for one of those.
func TestFewerConnectionsThanWorkers(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	newRole(s)
	d, nats := postgresAt(t, s.URL, s.URLOf(role, password)), natstest.Start(t)
	fleet := startReplicas(t, 2, settings(d.env, with("NATS_URL", nats)))
	s.Exec("ALTER ROLE provisioner CONNECTION LIMIT 3")
	s.Disconnect(role)
	js := natstest.JetStream(t, nats)
	f := startLoad(t, js, 60, 10*time.Millisecond)
	f.awaitAllPublished(t, testkit.Patience)
	testkit.Eventually(t, "all requests are settled", func() bool { return isSettled(t, js) })
	s.Exec("ALTER ROLE provisioner CONNECTION LIMIT -1") // the checks need connections too
	f.finish(t, d, js, testkit.Patience)
	awaitReady(t, fleet...)
}

// The primary is killed under load and its standby takes over: confirmed work is kept, the rest is retried.
func TestPostgresFailsOver(t *testing.T) {
	t.Parallel()
	primary := postgrestest.Private(t)
	newRole(primary)
	standby := primary.Standby()
	primary.Synchronous() // else confirmed work may be lost
	hosts, err := url.Parse(primary.URLOf(role, password))
	testkit.Must(t, err)
	hosts.Host = primary.Addr + "," + standby.Addr
	d, nats := postgresAt(t, standby.URL, hosts.String()), natstest.Start(t)
	fleet := startReplicas(t, 2, settings(d.env, with("NATS_URL", nats)))
	js := natstest.JetStream(t, nats)
	f := startLoad(t, js, 100, 10*time.Millisecond)
	f.awaitPublished(t, 30)
	primary.Kill()
	for _, r := range fleet {
		awaitNotReady(t, r.http, "")
	}
	standby.Promote()
	f.finish(t, d, js, testkit.Patience)
	awaitReady(t, fleet...)
}
