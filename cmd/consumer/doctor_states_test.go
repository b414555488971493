package main

import (
	databasesql "database/sql"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// installation is a service with the servers that it uses, for tests that break something in it.
type installation struct {
	d    testDatabase
	env  map[string]string
	js   jetstream.JetStream // as an administrator
	nats *natstest.Configured
	pg   *postgrestest.Server // nil on SQLite
}

// accountOf is a NATS configuration with an administrator and the service's user, which lacks those permissions.
func accountOf(limits, denyPublish, denySubscribe string) string {
	list := func(subject string) string {
		if subject == "" {
			return "[]"
		}
		return fmt.Sprintf("[%q]", subject)
	}
	return fmt.Sprintf("accounts { A { jetstream: {%s}, users: [ {user: admin, password: %s}, {user: me, password: %s, "+
		"permissions: {publish: {deny: %s}, subscribe: {deny: %s}}} ] } }", limits, secret, secret, list(denyPublish), list(denySubscribe))
}

func userOf(user, url string) string {
	return strings.Replace(url, "://", "://"+user+":"+secret+"@", 1)
}

func install(t *testing.T, postgres bool, changes map[string]string) *installation {
	t.Helper()
	w := &installation{nats: natstest.StartConfigured(t, accountOf("", "", ""))}
	if postgres {
		w.pg = postgrestest.Private(t, "fsync=on", "full_page_writes=on")
		newRole(w.pg)
		w.d = postgresAt(t, w.pg.URL, w.pg.URLOf(role, password))
	} else {
		w.d = newSQLite(t)
	}
	// What cannot be published is not waited for when the service stops.
	w.env = settings(w.d.env, with("NATS_URL", userOf("me", w.nats.URL)), with("HTTP_ADDR", testkit.FreeAddr(t)),
		with("DRAIN_TIMEOUT", "1s"), changes)
	w.js = natstest.JetStream(t, userOf("admin", w.nats.URL))
	return w
}

// ask publishes a request that is valid, and a message that is not.
func (w *installation) ask(t *testing.T) {
	t.Helper()
	publish(t, w.js, requestFor(t, "order", "acme"), invalidRequest("garbage"))
}

// state is something that keeps the service from taking requests.
type state struct {
	env      map[string]string // of the service
	set      func(t *testing.T, w *installation)
	ask      bool   // requests arrive, which the service needs to notice it
	ready    string // in the reason that /readyz gives
	finding  string // the check that names it
	says     string // in message or hint of that finding
	whileRun bool   // only the process itself can know it
}

func update(t *testing.T, w *installation, stream string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	s, err := w.js.Stream(t.Context(), stream)
	testkit.Must(t, err)
	config := s.CachedInfo().Config
	change(&config)
	_, err = w.js.UpdateStream(t.Context(), config)
	testkit.Must(t, err)
}

func denies(publish, subscribe string) func(t *testing.T, w *installation) {
	return func(_ *testing.T, w *installation) { w.nats.Reload(accountOf("", publish, subscribe)) }
}

func deletes(stream string) func(t *testing.T, w *installation) {
	return func(t *testing.T, w *installation) { testkit.Must(t, w.js.DeleteStream(t.Context(), stream)) }
}

func executes(statements ...string) func(t *testing.T, w *installation) {
	return func(t *testing.T, w *installation) {
		if w.pg != nil {
			executeWritable(t, w.pg.URL, statements...)
			return
		}
		w.d.registry(t, statements...)
	}
}

// disconnecting is executes, after which the service's sessions begin again.
func disconnecting(statements ...string) func(t *testing.T, w *installation) {
	return func(_ *testing.T, w *installation) {
		w.pg.Exec(statements...)
		w.pg.Disconnect(role)
	}
}

var unmanaged = with("NATS_MANAGE_STREAMS", "false")

// notReadyByNATS are states of NATS and its streams.
var notReadyByNATS = map[string]state{
	"user removed": {
		set: func(_ *testing.T, w *installation) {
			w.nats.Reload("accounts { A { jetstream: {}, users: [ {user: admin, password: " + secret + "} ] } }")
		},
		ready: "Authorization Violation", finding: "nats", says: "Authorization Violation",
	},
	"user may not subscribe to its inbox": {set: denies("", "_INBOX.>"), ready: "_INBOX", finding: "nats_permissions", says: "_INBOX"},
	"user may not pull":                   {set: denies("$JS.API.CONSUMER.MSG.NEXT.>", ""), ask: true, ready: "CONSUMER.MSG.NEXT", finding: "nats_permissions", says: "CONSUMER.MSG.NEXT"},
	"user may not acknowledge":            {set: denies("$JS.ACK.>", ""), ask: true, ready: "$JS.ACK", finding: "nats_permissions", says: "$JS.ACK"},
	"user may not publish outcomes":       {set: denies("tenant.provisioned", ""), ask: true, ready: "tenant.provisioned", finding: "nats_permissions", says: "tenant.provisioned"},
	"user may not publish failures":       {set: denies("tenant.provisioning_failed", ""), ask: true, ready: "tenant.provisioning_failed", finding: "nats_permissions", says: "tenant.provisioning_failed"},
	"user may not publish dead letters":   {set: denies("tenant.dead_letter.>", ""), ask: true, ready: "tenant.dead_letter", finding: "nats_permissions", says: "tenant.dead_letter"},
	"user may not read messages":          {set: denies("$JS.API.STREAM.MSG.GET.>", ""), ask: true, ready: "STREAM.MSG.GET", finding: "nats_permissions", says: "STREAM.MSG.GET"},
	"consumer deleted, user may not create it": {
		set: func(t *testing.T, w *installation) {
			w.nats.Reload(accountOf("", "$JS.API.CONSUMER.CREATE.>", ""))
			testkit.Must(t, w.js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
		},
		ready: "CONSUMER.CREATE", finding: "nats_permissions", says: "CONSUMER.CREATE",
	},
	"JetStream disabled for the account": {
		set: func(_ *testing.T, w *installation) {
			w.nats.Reload("accounts { A { users: [ {user: admin, password: " + secret + "}, {user: me, password: " + secret + "} ] } }")
		},
		ready: "JetStream", finding: "jetstream", says: "account",
	},
	"stream of requests deleted":     {env: unmanaged, set: deletes(events.StreamRequests), ready: events.StreamRequests, finding: "requests_stream", says: "missing"},
	"stream of outcomes deleted":     {env: unmanaged, set: deletes(events.StreamEvents), ready: events.StreamEvents, finding: "events_stream", says: "missing"},
	"stream of dead letters deleted": {env: unmanaged, set: deletes(events.StreamDeadLetters), ready: events.StreamDeadLetters, finding: "dead_letters_stream", says: "missing"},
	"consumer deleted": {
		env: unmanaged,
		set: func(t *testing.T, w *installation) {
			testkit.Must(t, w.js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
		},
		ready: events.DurableConsumer, finding: "durable_consumer", says: "missing",
	},
	"stream contradicts the contract": {
		set: func(t *testing.T, w *installation) {
			update(t, w, events.StreamDeadLetters, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 })
		},
		ready: "max_msg_size", finding: "dead_letters_stream", says: "max_msg_size",
	},
	"consumer contradicts the contract": {
		env: unmanaged,
		set: func(t *testing.T, w *installation) {
			testkit.Must(t, w.js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
			_, err := w.js.CreateConsumer(t.Context(), events.StreamRequests,
				jetstream.ConsumerConfig{Durable: events.DurableConsumer, AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3})
			testkit.Must(t, err)
		},
		ready: "max_deliver", finding: "durable_consumer", says: "max_deliver",
	},
	"consumer paused": {
		set:   func(t *testing.T, w *installation) { pauseConsumer(t, w, time.Now().Add(time.Hour)) },
		ready: "paused", finding: "consumer_paused", says: "nats consumer resume",
	},
	"streams of another registry": {
		set: func(t *testing.T, w *installation) {
			for _, stream := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
				update(t, w, stream, func(c *jetstream.StreamConfig) {
					for name, value := range c.Metadata {
						if strings.Count(value, "-") == 4 {
							c.Metadata[name] = "00000000-0000-4000-8000-000000000000"
						}
					}
				})
			}
		},
		ready: "00000000-0000-4000", finding: "streams_registry", says: "00000000-0000-4000",
	},
	"account full": {
		set: func(t *testing.T, w *installation) { // the request is stored, and its outcome is not
			pauseConsumer(t, w, time.Now().Add(time.Hour))
			w.ask(t)
			w.nats.Reload(accountOf("max_file: 1K", "", ""))
			pauseConsumer(t, w, time.Time{})
		},
		ready: "resource", finding: "jetstream", says: "limit",
	},
}

// pauseConsumer pauses the durable consumer; a time that has passed resumes it.
func pauseConsumer(t *testing.T, w *installation, until time.Time) {
	t.Helper()
	_, err := w.js.PauseConsumer(t.Context(), events.StreamRequests, events.DurableConsumer, until)
	testkit.Must(t, err)
}

// notReadyOnPostgres are states of PostgreSQL.
var notReadyOnPostgres = map[string]state{
	"server stopped":                 {set: func(_ *testing.T, w *installation) { w.pg.Stop() }, ready: "connect", finding: "database", says: "connect"},
	"password changed":               {set: disconnecting("ALTER ROLE " + role + " PASSWORD 'second'"), ready: "28P01", finding: "database", says: "password authentication failed"},
	"role may not log in":            {set: disconnecting("ALTER ROLE " + role + " NOLOGIN"), ready: "28000", finding: "database", says: "not permitted to log in"},
	"no connection left":             {set: disconnecting("ALTER ROLE " + role + " CONNECTION LIMIT 0"), ready: "53300", finding: "database", says: "too many connections"},
	"database closed to connections": {set: disconnecting("ALTER DATABASE tenants ALLOW_CONNECTIONS false"), ready: "55000", finding: "database", says: "not currently accepting connections"},
	"database renamed or dropped":    {set: renameDatabase, ready: "3D000", finding: "database", says: "does not exist"},
	"role read-only":                 {set: disconnecting("ALTER ROLE " + role + " SET default_transaction_read_only = on"), ready: "read-only", finding: "database_writable", says: "default_transaction_read_only"},
	"synchronous standby is missing": {set: disconnecting("ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_catalog.pg_reload_conf()"), ask: true, ready: "standby", finding: "database_standby", says: "synchronous_standby_names"},
	"ledger renamed":                 {set: executes("ALTER TABLE docex_system.tenant_requests RENAME TO gone"), ready: "tenant_requests", finding: "registry", says: "tenant_requests"},
	"ledger dropped":                 {set: executes("DROP TABLE docex_system.tenant_requests"), ready: "tenant_requests", finding: "registry", says: "tenant_requests"},
	"column of the ledger dropped":   {set: executes("ALTER TABLE docex_system.tenant_requests DROP COLUMN history"), ask: true, ready: "history", finding: "registry", says: "history"},
	"column of the registry dropped": {set: executes("ALTER TABLE docex_system.tenant_registry DROP COLUMN created_by"), ask: true, ready: "created_by", finding: "registry", says: "created_by"},
	"registry's id dropped":          {set: executes("DROP TABLE docex_system.registry_stamp"), ask: true, ready: "registry_stamp", finding: "registry", says: "registry_stamp"},
	"registry dropped":               {set: executes("DROP SCHEMA docex_system CASCADE"), ready: "docex_system", finding: "streams_registry", says: "the registry is missing"},
	"schema's privilege revoked":     {set: executes("ALTER SCHEMA docex_system OWNER TO postgres"), ready: "docex_system", finding: "registry_rights", says: "GRANT USAGE"},
	"ledger's privileges revoked":    {set: executes("ALTER TABLE docex_system.tenant_requests OWNER TO postgres"), ready: "lacks a permission", finding: "registry_rights", says: "GRANT"},
	"event trigger refuses schemas": {
		set: executes(onDDL("naming", "ddl_command_start WHEN tag IN ('CREATE SCHEMA')", "RAISE 'no schema' USING HINT = 'Ask.';")...), ask: true,
		ready: "rehearsal failed", finding: "database_rehearsal", says: "HINT: Ask.",
	},
	"event trigger alters tables": {
		set: executes(onDDL("autorls", "ddl_command_end", forEachTable("ALTER TABLE %s ENABLE ROW LEVEL SECURITY"))...), ask: true,
		ready: "row level security", finding: "database_rehearsal", says: `ALTER EVENT TRIGGER "autorls" DISABLE;`,
	},
	"database restored from a backup": {
		set: func(t *testing.T, w *installation) {
			executes("DELETE FROM docex_system.tenant_requests", "UPDATE docex_system.registry_stamp SET checkpoint_sequence = 0")(t, w)
			w.pg.Disconnect(role) // an outage, before whose end the service compares
		},
		ask: true, ready: "older than the streams", finding: "outcomes_ledger", says: "consumer reconcile",
	},
}

func renameDatabase(_ *testing.T, w *installation) {
	w.pg.Exec("ALTER DATABASE tenants ALLOW_CONNECTIONS false")
	w.pg.Disconnect(role)
	w.pg.Exec("ALTER DATABASE tenants RENAME TO elsewhere")
}

func registryFile(w *installation) string { return w.d.boundary("tenant_" + system) }

// notReadyOnSQLite are states of the registry's file.
var notReadyOnSQLite = map[string]state{
	"ledger renamed":                 {set: executes("ALTER TABLE tenant_requests RENAME TO gone"), ready: "tenant_requests", finding: "registry", says: "tenant_requests"},
	"column of the ledger dropped":   {set: executes("ALTER TABLE tenant_requests DROP COLUMN history"), ask: true, ready: "history", finding: "registry", says: "history"},
	"column of the registry renamed": {set: executes("ALTER TABLE tenant_registry RENAME COLUMN created_by TO x"), ask: true, ready: "created_by", finding: "registry", says: "created_by"},
	"registry's id dropped":          {set: executes("DROP TABLE registry_stamp"), ask: true, ready: "registry_stamp", finding: "registry", says: "registry_stamp"},
	"registry's file replaced": {
		set: func(t *testing.T, w *installation) {
			content, err := os.ReadFile(registryFile(w))
			testkit.Must(t, err)
			testkit.Must(t, os.Rename(registryFile(w), registryFile(w)+".old"))
			testkit.Must(t, os.WriteFile(registryFile(w), content, 0o600))
		},
		ready: "restart the service", whileRun: true,
	},
	"registry's file removed": {
		set:   func(t *testing.T, w *installation) { testkit.Must(t, os.Remove(registryFile(w))) },
		ready: "missing; put it back", finding: "streams_registry", says: "the registry is missing",
	},
	"registry locked by another program": {
		set: func(t *testing.T, w *installation) {
			db, err := databasesql.Open("sqlite", "file:"+registryFile(w)+"?_txlock=immediate")
			testkit.Must(t, err)
			tx, err := db.BeginTx(t.Context(), nil)
			testkit.Must(t, err)
			t.Cleanup(func() {
				tx.Rollback()
				testkit.Must(t, db.Close())
			})
		},
		ready: "locked", whileRun: true,
	},
}

// statesNotReady are all states in which the service takes no requests, by section of docs/not-ready.md.
var statesNotReady = map[string]map[string]state{
	"NATS": notReadyByNATS, "PostgreSQL": notReadyOnPostgres, "SQLite": notReadyOnSQLite,
}

// docs/not-ready.md has a row for each state, with the check that names it, and no other.
func TestStatesThatAreNotReadyAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/not-ready.md")
	testkit.Must(t, err)
	for section, states := range statesNotReady {
		_, rest, _ := strings.Cut(string(text), "\n### "+section+"\n")
		rest, _, _ = strings.Cut(rest, "\n#")
		rows := 0
		for line := range strings.Lines(rest) {
			cells := strings.Split(line, " | ")
			if len(cells) != 3 || strings.HasPrefix(line, "| state") {
				continue
			}
			rows++
			s, found := states[strings.TrimPrefix(cells[0], "| ")]
			if !found {
				t.Errorf("no test brings about: %s", line)
			}
			if !strings.Contains(cells[2], "`"+s.finding+"`") && cells[2] != "the stream's |\n" && !s.whileRun {
				t.Errorf("want %s: %s", s.finding, line)
			}
		}
		testkit.Equal(t, "rows of "+section, rows, len(states))
	}
}

// Doctor names whatever keeps the service from taking requests, beside the service and without it.
func TestDoctorNamesEveryStateThatIsNotReady(t *testing.T) {
	t.Parallel()
	for section, states := range statesNotReady {
		for name, s := range states {
			t.Run(section+" "+name, func(t *testing.T) {
				t.Parallel()
				w := install(t, section == "PostgreSQL", s.env)
				if s.env["NATS_MANAGE_STREAMS"] == "false" {
					served(t, settings(w.env, with("NATS_MANAGE_STREAMS", "true")), w.js)
				}
				service := serve(t, w.env)
				publish(t, w.js, requestFor(t, "first", "first"))
				awaitSettled(t, w.js)
				testkit.Equal(t, "faults before", faults(runDoctor(t, w.env)), "")
				s.set(t, w)
				if s.ask {
					w.ask(t)
				}
				http := "http://" + w.env["HTTP_ADDR"]
				awaitNotReady(t, http, s.ready)
				testkit.Eventually(t, "the log has the reason", func() bool { return hasFold(service.stderr.String(), s.ready) })
				testkit.Eventually(t, "the page has the reason", func() bool { // it is rendered once a second
					_, page := get(t, http+"/")
					return strings.Contains(html.UnescapeString(page), s.ready)
				})
				scrape(t, http, "tenant_provisioner_ready 0")
				var checks map[string]doctor.Finding
				testkit.Eventually(t, "doctor names it", func() bool { // the state develops
					checks = runDoctor(t, w.env)
					return checks["service"].Status == doctor.Fault && strings.Contains(checks["service"].Message, s.ready)
				})
				names := func(when string) {
					t.Helper()
					found := checks[s.finding]
					testkit.Equal(t, s.finding+" "+when+"; faults: "+faults(checks), found.Status, doctor.Fault)
					testkit.Contains(t, s.finding+" "+when, found.Message+"\n"+found.Hint, s.says)
				}
				if s.whileRun {
					return
				}
				names("beside the service")
				service.stop(t)
				checks = runDoctor(t, w.env)
				testkit.Equal(t, "service", checks["service"].Status, doctor.OK)
				names("without the service")
			})
		}
	}
}

// hasFold is strings.Contains without regard to case: the client library writes its errors in lower case.
func hasFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// faults lists the checks that are faults.
func faults(checks map[string]doctor.Finding) string {
	var list []string
	for name, c := range checks {
		if c.Status == doctor.Fault {
			list = append(list, name+": "+c.Message)
		}
	}
	return strings.Join(list, "\n")
}

// refusal is something with which the service does not start.
type refusal struct {
	env     func(t *testing.T, w *installation) map[string]string
	says    string // in the error with which the service ends
	finding string // the check that names it
	named   string // in message or hint of that finding
	waits   bool   // the service does not end: it is not ready, and tries again
}

func setting(name, value string) func(*testing.T, *installation) map[string]string {
	return func(*testing.T, *installation) map[string]string { return with(name, value) }
}

// after changes no variable: set is enough.
func after(set func(t *testing.T, w *installation)) func(*testing.T, *installation) map[string]string {
	return func(t *testing.T, w *installation) map[string]string {
		set(t, w)
		return nil
	}
}

// foreignHTTP is an address at which another program listens.
func foreignHTTP(t *testing.T) string {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// deafAddr is an address at which a program listens that answers nothing.
func deafAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// docexRegistry is the statement that creates a registry as DocEX does, without one column.
const docexRegistry = "CREATE TABLE {b}tenant_registry (tenant_id varchar(255) PRIMARY KEY, display_name varchar(255) NOT NULL, " +
	"is_system boolean NOT NULL, isolation_strategy varchar(50) NOT NULL, schema_name varchar(255), database_path varchar(500), " +
	"created_at timestamp NOT NULL, last_updated_at timestamp NOT NULL, last_updated_by varchar(255)%s)"

// startRefusals are by engine.
var startRefusals = map[string]map[string]refusal{
	"nats": {
		"another program at HTTP_ADDR": {
			func(t *testing.T, _ *installation) map[string]string { return with("HTTP_ADDR", foreignHTTP(t)) },
			"HTTP_ADDR", "service", "another program", false,
		},
		"a program that does not speak HTTP": {
			func(t *testing.T, _ *installation) map[string]string { return with("HTTP_ADDR", deafAddr(t)) },
			"HTTP_ADDR", "service", "HTTP_ADDR", false,
		},
		"HTTP_ADDR of another machine": {setting("HTTP_ADDR", "192.0.2.1:8080"), "HTTP_ADDR", "service", "HTTP_ADDR", false},
		"HTTP_ADDR of no machine":      {setting("HTTP_ADDR", "nowhere.invalid:8080"), "HTTP_ADDR", "service", "HTTP_ADDR", false},
		"another program at NATS_EMBEDDED_ADDR": {
			func(t *testing.T, _ *installation) map[string]string {
				return map[string]string{"NATS_URL": "", "NATS_EMBEDDED_ADDR": foreignHTTP(t), "NATS_EMBEDDED_DIR": t.TempDir()}
			},
			"NATS_EMBEDDED_ADDR", "nats", "NATS_EMBEDDED_ADDR", false,
		},
		"another NATS server at NATS_EMBEDDED_ADDR": {
			func(t *testing.T, _ *installation) map[string]string {
				addr := strings.TrimPrefix(natstest.Start(t), "nats://")
				return map[string]string{"NATS_URL": "", "NATS_EMBEDDED_ADDR": addr, "NATS_EMBEDDED_DIR": t.TempDir()}
			},
			"NATS_EMBEDDED_ADDR", "nats", "NATS_EMBEDDED_ADDR", false,
		},
		"NATS_EMBEDDED_ADDR of another machine": {
			func(t *testing.T, _ *installation) map[string]string {
				return map[string]string{"NATS_URL": "", "NATS_EMBEDDED_ADDR": "192.0.2.1:4222", "NATS_EMBEDDED_DIR": t.TempDir()}
			},
			"NATS_EMBEDDED_ADDR", "nats", "NATS_EMBEDDED_ADDR", false,
		},
		"a file at NATS_EMBEDDED_DIR": {
			func(t *testing.T, _ *installation) map[string]string {
				file := filepath.Join(t.TempDir(), "file")
				testkit.Must(t, os.WriteFile(file, nil, 0o600))
				return map[string]string{"NATS_URL": "", "NATS_EMBEDDED_ADDR": testkit.FreeAddr(t), "NATS_EMBEDDED_DIR": file}
			},
			"NATS_EMBEDDED_DIR", "embedded_directory", "not a directory", false,
		},
		"streams are missing": {setting("NATS_MANAGE_STREAMS", "false"), "TENANT_", "requests_stream", "NATS_MANAGE_STREAMS", false},
		"a stream contradicts the contract": {
			after(func(t *testing.T, w *installation) {
				_, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{
					Name: events.StreamRequests, Subjects: []string{events.TypeRequested}, Retention: jetstream.WorkQueuePolicy,
				})
				testkit.Must(t, err)
			}),
			"retention", "requests_stream", "retention", false,
		},
		"a NATS server that is too old": {
			func(t *testing.T, _ *installation) map[string]string {
				return with("NATS_URL", natstest.OfVersion(t, "2.9.25"))
			},
			"2.9.25", "nats_version", "2.9.25", false,
		},
	},
	"postgres": {
		"encoding": {
			func(_ *testing.T, w *installation) map[string]string {
				w.pg.Exec("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
				return with("DATABASE_URL", strings.Replace(w.pg.URL, "/tenants", "/latin", 1))
			},
			"LATIN1", "database_encoding", "LATIN1", false,
		},
		"read-only servers are chosen": {
			func(_ *testing.T, w *installation) map[string]string {
				return with("DATABASE_URL", w.env["DATABASE_URL"]+"&target_session_attrs=read-only")
			},
			"target_session_attrs", "database", "target_session_attrs", false,
		},
		"no right to create the registry": {
			after(func(_ *testing.T, w *installation) { w.pg.Exec("REVOKE CREATE ON DATABASE tenants FROM " + role) }),
			"CREATE", "registry_rights", "GRANT CREATE", false,
		},
		"no right to migrate": {
			after(executes("CREATE SCHEMA docex_system", fmt.Sprintf(strings.ReplaceAll(docexRegistry, "{b}", "docex_system."), ", created_by varchar(255) NOT NULL"),
				"GRANT USAGE, CREATE ON SCHEMA docex_system TO "+role, "GRANT SELECT, INSERT, UPDATE ON docex_system.tenant_registry TO "+role)),
			"tenant_registry", "registry_rights", "OWNER TO", false,
		},
		"a registry that lacks a column": {
			after(executes("CREATE SCHEMA docex_system AUTHORIZATION "+role, "SET ROLE "+role,
				fmt.Sprintf(strings.ReplaceAll(docexRegistry, "{b}", "docex_system."), ""))),
			"created_by", "registry", "created_by", false,
		},
		"tenants share a schema": {
			after(executes("CREATE SCHEMA docex_system AUTHORIZATION "+role, "SET ROLE "+role,
				fmt.Sprintf(strings.ReplaceAll(docexRegistry, "{b}", "docex_system."), ", created_by varchar(255) NOT NULL"),
				"INSERT INTO docex_system.tenant_registry SELECT id, 'x', false, 'schema', 'shared', NULL, now(), 'today', NULL, 'x' "+
					"FROM unnest(ARRAY['a', 'b']) AS id")),
			"share a schema", "registry", "share a schema", false,
		},
		"the registry's schema is a tenant's": {
			func(t *testing.T, w *installation) map[string]string {
				template := with("SCHEMA_TEMPLATE", "t_{tenant_id}")
				served(t, settings(w.env, template), w.js, "acme")
				for _, stream := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
					testkit.Must(t, w.js.DeleteStream(t.Context(), stream))
				}
				return map[string]string{"REGISTRY_SCHEMA": "t_acme", "SCHEMA_TEMPLATE": "u_{tenant_id}"}
			},
			"t_acme", "registry", "t_acme", false,
		},
		"the registry is lost": {
			func(t *testing.T, w *installation) map[string]string {
				served(t, w.env, w.js, "acme")
				executeWritable(t, w.pg.URL, "DROP SCHEMA docex_system CASCADE")
				return nil
			},
			"the registry is missing", "streams_registry", "the registry is missing", false,
		},
		"registry and streams are lost": {
			func(t *testing.T, w *installation) map[string]string {
				served(t, w.env, w.js, "acme")
				executeWritable(t, w.pg.URL, "DROP SCHEMA docex_system CASCADE")
				for _, stream := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
					testkit.Must(t, w.js.DeleteStream(t.Context(), stream))
				}
				return nil
			},
			"the registry is missing", "registry", "the registry is missing", false,
		},
	},
	"sqlite": {
		"the storage directory is a file": {
			func(t *testing.T, _ *installation) map[string]string {
				file := filepath.Join(t.TempDir(), "file")
				testkit.Must(t, os.WriteFile(file, nil, 0o600))
				return with("DATABASE_URL", "sqlite:"+file)
			},
			"not a directory", "storage", "not a directory", false,
		},
		"the registry is not a database": {
			after(func(t *testing.T, w *installation) {
				testkit.Must(t, os.MkdirAll(filepath.Dir(registryFile(w)), 0o700))
				testkit.Must(t, os.WriteFile(registryFile(w), []byte(strings.Repeat("no database ", 1000)), 0o600))
			}),
			"not a database", "registry", "not a database", false,
		},
		"the registry is damaged": {
			func(t *testing.T, w *installation) map[string]string {
				served(t, w.env, w.js, "acme")
				f, err := os.OpenFile(registryFile(w), os.O_RDWR, 0)
				testkit.Must(t, err)
				_, err = f.WriteAt(make([]byte, 8192), 8192)
				testkit.Must(t, err)
				testkit.Must(t, f.Close())
				return nil
			},
			"damaged", "registry_file", "damaged", false,
		},
		"a registry that lacks a column": {
			after(func(_ *testing.T, w *installation) { w.d.createBoundary(system, fmt.Sprintf(docexRegistry, "")) }),
			"created_by", "registry", "created_by", true,
		},
		"tenants share a file": {
			after(func(_ *testing.T, w *installation) {
				w.d.createBoundary(system, fmt.Sprintf(docexRegistry, ", created_by varchar(255) NOT NULL"),
					"INSERT INTO tenant_registry VALUES ('a', 'x', 0, 'database', NULL, 'shared.db', '2026-01-01', '2026-01-01', NULL, 'x'), "+
						"('b', 'x', 0, 'database', NULL, 'shared.db', '2026-01-01', '2026-01-01', NULL, 'x')")
			}),
			"share a schema or a file", "registry", "share a schema or a file", false,
		},
		"the registry is lost": {
			func(t *testing.T, w *installation) map[string]string {
				served(t, w.env, w.js, "acme")
				w.d.loseRegistry(t)
				return nil
			},
			"the registry is missing", "streams_registry", "the registry is missing", false,
		},
		"the registry's file is a tenant's": {
			func(t *testing.T, w *installation) map[string]string {
				served(t, w.env, w.js, "acme")
				testkit.Must(t, os.RemoveAll(filepath.Dir(registryFile(w))))
				testkit.Must(t, os.Rename(filepath.Dir(w.d.boundary("tenant_acme")), filepath.Dir(registryFile(w))))
				return nil
			},
			"tenant", "registry", "tenant", false,
		},
	},
}

// Doctor names whatever the service refuses to start with, before anyone starts it.
func TestDoctorNamesEveryRefusalOfAStart(t *testing.T) {
	t.Parallel()
	for engine, refusals := range startRefusals {
		for name, r := range refusals {
			t.Run(engine+" "+name, func(t *testing.T) {
				t.Parallel()
				w := install(t, engine == "postgres", nil)
				env := settings(w.env, r.env(t, w))
				checks := runDoctor(t, env)
				found := checks[r.finding]
				testkit.Equal(t, r.finding+"; faults: "+faults(checks), found.Status, doctor.Fault)
				testkit.Contains(t, r.finding, found.Message+"\n"+found.Hint, r.named)
				service := start(t, env, "run")
				if r.waits {
					awaitNotReady(t, service.http(t), r.says)
					return
				}
				testkit.Equal(t, "exit code of the service", service.wait(t), 1)
				testkit.Contains(t, "error of the service", service.stderr.String(), r.says)
			})
		}
	}
}

// A server that does not sync its writes is a fault for doctor. The service works on it, and says so when it starts.
func TestServiceWarnsOfAServerWithoutSync(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t, "fsync=off")
	newRole(s)
	env := settings(with("DATABASE_URL", s.URLOf(role, password)), with("NATS_URL", natstest.Start(t)))
	service := serve(t, env)
	testkit.Logs(t, &service.stderr, "fsync is off")
	testkit.Equal(t, "finding", runDoctor(t, env)["database_durability"].Status, doctor.Fault)
	testkit.Equal(t, "exit code", service.stop(t), 0)
}
