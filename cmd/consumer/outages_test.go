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

// outage is a way in which a server cannot be used for a while.
type outage struct {
	begin, stopWatching func(*postgrestest.Server)
	says                string // in /readyz in the meantime
}

// under has two replicas work on a server that goes through the outage, which lasts until all requests are
// published and last has returned.
func (o outage) under(
	t *testing.T, s *postgrestest.Server, requests int, every time.Duration, last func(fleet []*replica), change ...map[string]string,
) {
	t.Helper()
	newRole(s)
	d, nats := postgresAt(t, s.URL, s.URLOf(role, password)), natstest.Start(t)
	fleet := enlist(t, 2, settings(append(change, d.env, with("NATS_URL", nats))...))
	js := natstest.JetStream(t, nats)
	f := pour(t, js, requests, every)
	f.reaches(t, requests/6)
	o.begin(s)
	for _, r := range fleet {
		notReady(t, r.http, o.says)
	}
	last(fleet)
	f.isPublished(t, testkit.Patience)
	o.stopWatching(s)
	f.ends(t, d, js, testkit.Patience)
	ready(t, fleet...)
}

// postgresOutages are the ways in which PostgreSQL cannot be used.
var postgresOutages = map[string]outage{
	"stopped": {
		begin:        (*postgrestest.Server).Stop,
		stopWatching: (*postgrestest.Server).Start,
		says:         "connect",
	},
	"killed": {
		begin:        (*postgrestest.Server).Kill,
		stopWatching: (*postgrestest.Server).Start,
		says:         "connect",
	},
	"password changed": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner PASSWORD 'second'")
			s.Disconnect(role)
		},
		stopWatching: func(s *postgrestest.Server) { s.Exec("ALTER ROLE provisioner PASSWORD '" + password + "'") },
		says:         "28P01",
	},
	"role locked": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner NOLOGIN")
			s.Disconnect(role)
		},
		stopWatching: func(s *postgrestest.Server) { s.Exec("ALTER ROLE provisioner LOGIN") },
		says:         "28000",
	},
	"no connection left": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner CONNECTION LIMIT 0")
			s.Disconnect(role)
		},
		stopWatching: func(s *postgrestest.Server) { s.Exec("ALTER ROLE provisioner CONNECTION LIMIT -1") },
		says:         "53300",
	},
	"database closed": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER DATABASE tenants ALLOW_CONNECTIONS false")
			s.Disconnect(role)
		},
		stopWatching: func(s *postgrestest.Server) { s.Exec("ALTER DATABASE tenants ALLOW_CONNECTIONS true") },
		says:         "55000",
	},
	"server read-only": {
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_catalog.pg_reload_conf()")
		},
		stopWatching: func(s *postgrestest.Server) {
			s.Exec("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_catalog.pg_reload_conf()")
		},
		says: "read-only",
	},
	"role read-only": { // which sessions take over when they begin, and keep
		begin: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner SET default_transaction_read_only = on")
			s.Disconnect(role)
		},
		stopWatching: func(s *postgrestest.Server) {
			s.Exec("ALTER ROLE provisioner RESET default_transaction_read_only")
		},
		says: "read-only",
	},
}

// A database that cannot be used, for whatever reason, fails no request and costs no attempt: /readyz shows the
// reason, and work resumes by itself once it is over.
func TestPostgresCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, o := range postgresOutages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.under(t, postgrestest.Private(t), 36, 20*time.Millisecond, func([]*replica) {})
		})
	}
}

// A replica that starts during the outage waits, or takes requests and is not ready: it does not exit.
func TestServiceStartsWhilePostgresCannotBeUsed(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	newRole(s)
	env := settings(with("DATABASE_URL", s.URLOf(role, password)), with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0"))
	enlist(t, 1, env)[0].signal(t, syscall.SIGTERM) // the registry is there
	for _, name := range []string{
		"stopped", "password changed", "role locked", "no connection left", "database closed", "server read-only", "role read-only",
	} {
		o := postgresOutages[name]
		o.begin(s)
		r := &replica{process: launch(t, env)}
		r.http = "http://" + testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
		notReady(t, r.http, o.says)
		o.stopWatching(s)
		ready(t, r)
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
			relay, through := newRelay(t, to[what])
			to[what] = through
			d := postgresAt(t, url, to["database"])
			fleet := enlist(t, 2, settings(d.env, with("NATS_URL", to["NATS"]), with("ACK_WAIT", "2s")))
			js := natstest.JetStream(t, nats)
			f := pour(t, js, requests, 10*time.Millisecond)
			outcomes, err := js.Stream(t.Context(), events.StreamEvents)
			testkit.Must(t, err)
			for i := range cuts {
				testkit.Eventually(t, "some more are done", func() bool {
					info, err := outcomes.Info(t.Context())
					testkit.Must(t, err)
					return info.State.Msgs >= uint64(i*requests/(cuts+5))
				})
				relay.cut()
				relay.restore(t)
			}
			f.isPublished(t, testkit.Patience)
			allAtFirst(t, d, js, requests, time.Minute)
			ready(t, fleet...)
		})
	}
}

// A server that accepts connections and never answers is unavailable too, which only a timeout detects.
func TestPostgresDoesNotAnswer(t *testing.T) {
	t.Parallel()
	url, nats := postgrestest.Database(t), natstest.Start(t)
	relay, through := newRelay(t, url)
	d := postgresAt(t, url, through)
	fleet := enlist(t, 3, settings(d.env, with("NATS_URL", nats), with("DRAIN_TIMEOUT", "2s")))
	js := natstest.JetStream(t, nats)
	f := pour(t, js, 60, 10*time.Millisecond)
	f.reaches(t, 10)
	proceed := relay.stall()
	defer proceed()
	for _, r := range fleet {
		notReady(t, r.http, "does not answer")
	}
	// Nor is it waited for in the end.
	fleet[2].signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", fleet[2].wait(t), 0)
	f.reaches(t, 60)
	proceed()
	allProvisioned(t, d, js, 60, testkit.Patience) // who is cut short cannot give its attempts back
	ready(t, fleet[:2]...)
}

// A session that locks the registry for longer than the lock timeout blocks all others: that is an
// outage as well.
func TestSQLiteRegistryIsLocked(t *testing.T) {
	t.Parallel()
	d, nats := newSQLite(t), natstest.Start(t)
	fleet := enlist(t, 2, settings(d.env, with("NATS_URL", nats)))
	js := natstest.JetStream(t, nats)
	f := pour(t, js, 60, 10*time.Millisecond)
	f.reaches(t, 10)
	registry, err := databasesql.Open("sqlite", "file:"+filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"),
		"tenant_"+system, "docex.db")+"?mode=rw&_txlock=exclusive&_pragma=busy_timeout(30000)")
	testkit.Must(t, err)
	defer func() { testkit.Must(t, registry.Close()) }()
	lock, err := registry.BeginTx(t.Context(), nil)
	testkit.Must(t, err)
	for _, r := range fleet {
		notReady(t, r.http, "locked")
	}
	f.reaches(t, 60)
	testkit.Must(t, lock.Rollback())
	f.ends(t, d, js, testkit.Patience)
	ready(t, fleet...)
}

// Connections that the server refuses while others of the program's work are waited for.
func TestFewerConnectionsThanWorkers(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	newRole(s)
	d, nats := postgresAt(t, s.URL, s.URLOf(role, password)), natstest.Start(t)
	fleet := enlist(t, 2, settings(d.env, with("NATS_URL", nats)))
	s.Exec("ALTER ROLE provisioner CONNECTION LIMIT 3")
	s.Disconnect(role)
	js := natstest.JetStream(t, nats)
	f := pour(t, js, 60, 10*time.Millisecond)
	f.isPublished(t, testkit.Patience)
	testkit.Eventually(t, "all requests are settled", func() bool { return isSettled(t, js) })
	s.Exec("ALTER ROLE provisioner CONNECTION LIMIT -1") // the judge needs some as well
	f.ends(t, d, js, testkit.Patience)
	ready(t, fleet...)
}

// The primary is lost under load and its standby takes over: what was confirmed is there, the rest is done
// again.
func TestPostgresFailsOver(t *testing.T) {
	t.Parallel()
	primary := postgrestest.Private(t)
	newRole(primary)
	standby := primary.Standby()
	primary.Synchronous() // else what was confirmed may be lost
	hosts, err := url.Parse(primary.URLOf(role, password))
	testkit.Must(t, err)
	hosts.Host = primary.Addr + "," + standby.Addr
	d, nats := postgresAt(t, standby.URL, hosts.String()), natstest.Start(t)
	fleet := enlist(t, 2, settings(d.env, with("NATS_URL", nats)))
	js := natstest.JetStream(t, nats)
	f := pour(t, js, 100, 10*time.Millisecond)
	f.reaches(t, 30)
	primary.Kill()
	for _, r := range fleet {
		notReady(t, r.http, "")
	}
	standby.Promote()
	f.ends(t, d, js, testkit.Patience)
	ready(t, fleet...)
}
