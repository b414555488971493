package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// urlOf is the URL with another role.
func urlOf(t *testing.T, rawURL, role string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	testkit.Must(t, err)
	u.User = url.UserPassword(role, secret)
	return u.String()
}

// newRoleAt creates a role without permissions, for the duration of the test.
func newRoleAt(t *testing.T, rawURL string) (role, url string) {
	t.Helper()
	role = "role_" + databaseName(t, rawURL)
	execute(t, "pgx", rawURL, "", "CREATE ROLE "+role+" LOGIN PASSWORD '"+secret+"'")
	t.Cleanup(func() { executeWritable(t, rawURL, "DROP OWNED BY "+role+" CASCADE", "DROP ROLE "+role) })
	return role, urlOf(t, rawURL, role)
}

// executeWritable runs statements even in a read-only database, and after the test has ended.
func executeWritable(t *testing.T, rawURL string, statements ...string) {
	t.Helper()
	config, err := pgx.ParseConfig(rawURL)
	testkit.Must(t, err)
	config.RuntimeParams["default_transaction_read_only"] = "off"
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	testkit.Must(t, err)
	defer conn.Close(ctx)
	for _, statement := range statements {
		_, err := conn.Exec(ctx, statement)
		testkit.Must(t, err)
	}
}

func databaseName(t *testing.T, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	testkit.Must(t, err)
	return strings.TrimPrefix(u.Path, "/")
}

// awaitNoSessions waits until the server lists no session of the service's role: closed sessions stay listed for a
// moment.
func awaitNoSessions(t *testing.T, s *postgrestest.Server) {
	t.Helper()
	other, err := url.Parse(s.URL)
	testkit.Must(t, err)
	other.Path = "/postgres" // this session may stay listed too
	conn, err := pgx.Connect(t.Context(), other.String())
	testkit.Must(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	testkit.Eventually(t, "the sessions of the role have ended", func() bool {
		var n int
		testkit.Must(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", role).Scan(&n))
		return n == 0
	})
}

// Settings of the server.
func TestDoctorOfAPostgresServer(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t, "max_locks_per_transaction=10", "max_connections=12", "superuser_reserved_connections=3",
		"full_page_writes=on", "max_wal_senders=3")
	newRole(s)
	env := with("DATABASE_URL", s.URLOf(role, password))
	checks := runDoctor(t, env, with("CONCURRENCY", "1"))
	testkit.Equal(t, "findings", findings(checks, "database"), "database_durability fault, database_locks warning")
	testkit.Contains(t, "hint", checks["database_durability"].Hint, "SET fsync = on")
	testkit.Eventually(t, "the server lists no other session", func() bool {
		checks = runDoctor(t, env, with("CONCURRENCY", "20"))
		return strings.Contains(checks["database_connections"].Message, "can get 9")
	})
	testkit.Equal(t, "findings", findings(checks, "database"),
		"database_connections warning, database_durability fault, database_locks fault")
	testkit.Contains(t, "connections", checks["database_connections"].Message, "each replica needs 21;")
	testkit.Contains(t, "locks", checks["database_locks"].Message, "2200 of the server's 120")
	s.Exec(strings.Split(checks["database_locks"].Hint, ";")[0], "ALTER SYSTEM RESET max_locks_per_transaction")

	// Connections of other clients are counted, those of the service are not.
	s.Exec("ALTER ROLE " + role + " CONNECTION LIMIT 1")
	awaitNoSessions(t, s)
	checks = runDoctor(t, env, with("CONCURRENCY", "1"))
	testkit.Contains(t, "findings", findings(checks, "database"), "database_connections fault")
	testkit.Contains(t, "hint", checks["database_connections"].Hint, "ALTER ROLE … CONNECTION LIMIT (1)")
	s.Exec("ALTER ROLE "+role+" CONNECTION LIMIT -1", "ALTER DATABASE tenants CONNECTION LIMIT 2")
	awaitNoSessions(t, s)
	testkit.Contains(t, "findings", findings(runDoctor(t, env), "database"), "database_connections warning")
	s.Exec("ALTER DATABASE tenants CONNECTION LIMIT -1")

	s.Exec("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
	latin := strings.Replace(s.URL, "/tenants", "/latin", 1)
	checks = runDoctor(t, with("DATABASE_URL", latin))
	testkit.Equal(t, "findings", findings(checks, "database_encoding"), "database_encoding fault")
	testkit.Contains(t, "encoding", checks["database_encoding"].Message, "LATIN1")
	testkit.Equal(t, "a superuser", checks["database_rights"].Status, doctor.Warning)
}

// Settings of a database or a role, and the hint that fixes each.
func TestDoctorOfAPostgresDatabase(t *testing.T) {
	t.Parallel()
	d := newPostgres(t)
	rawURL := d.env["DATABASE_URL"]
	database := databaseName(t, rawURL)
	run := func(statements ...string) { executeWritable(t, rawURL, statements...) }
	role, url := newRoleAt(t, rawURL)
	env := with("DATABASE_URL", url)
	about := []string{
		"database_rights", "registry", "database_writable", "database_encoding", "database_connections", "database_pooler",
		"database_version", "database_clock",
	}
	finds := func(want string) map[string]doctor.Finding {
		t.Helper()
		checks := runDoctor(t, env)
		testkit.Equal(t, "findings", findings(checks, about...), want)
		return checks
	}
	apply := func(c doctor.Finding) { run(strings.Split(c.Hint, "\n")...) }

	checks := finds("database_rights fault, registry warning, registry_rights fault")
	testkit.Contains(t, "hint", checks["registry_rights"].Hint, fmt.Sprintf("GRANT CREATE ON DATABASE %q TO %q;", database, role))
	apply(checks["database_rights"])
	finds("registry warning")

	// Another role has created the registry.
	r := serve(t, settings(d.env, with("NATS_URL", natstest.Start(t))))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	checks = finds("registry fault, registry_rights fault")
	testkit.Contains(t, "hint", checks["registry_rights"].Hint,
		`GRANT USAGE ON SCHEMA "docex_system" TO "`+role+`";`,
		`GRANT INSERT ON TABLE "docex_system"."tenant_requests" TO "`+role+`";`)
	hints := strings.Split(checks["registry_rights"].Hint, "\n")
	for _, hint := range hints {
		if !strings.Contains(hint, "CREATE") {
			run(hint)
		}
	}
	checks = finds("registry_rights warning") // the service can work now
	apply(checks["registry_rights"])
	finds("")
	// A registry that is to be migrated needs its owner.
	run("ALTER TABLE docex_system.tenant_requests DROP COLUMN history",
		"DELETE FROM docex_system.tenant_provisioner_migrations WHERE version_id = 3")
	checks = finds("registry_ledger warning, registry_rights fault")
	testkit.Contains(t, "hint", checks["registry_rights"].Hint, `ALTER TABLE "docex_system"."tenant_requests" OWNER TO "`+role+`";`)
	testkit.Lacks(t, "hint", checks["registry_rights"].Hint, "GRANT")
	apply(checks["registry_rights"])
	finds("registry_ledger warning")
	run("ALTER TABLE docex_system.tenant_requests ADD COLUMN history jsonb NOT NULL DEFAULT '[]'",
		"INSERT INTO docex_system.tenant_provisioner_migrations (version_id, is_applied) VALUES (3, true)")
	finds("")

	run("ALTER DATABASE " + database + " SET default_transaction_read_only = on")
	finds("database_writable fault")
	run("ALTER DATABASE " + database + " RESET default_transaction_read_only")
	finds("")

	run("CREATE FUNCTION docex_system.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
		"CREATE EVENT TRIGGER audit ON ddl_command_end EXECUTE FUNCTION docex_system.f()")
	if _, found := runDoctor(t, env)["database_event_triggers"]; found {
		t.Error("event triggers are checked although no boundaries are prepared")
	}
	checks = runDoctor(t, env, with("PREPARED_BOUNDARIES", "1"))
	testkit.Equal(t, "findings", findings(checks, "database_event"), "database_event_triggers warning")
	testkit.Contains(t, "the trigger", checks["database_event_triggers"].Message, "audit")
	testkit.Equal(t, "findings", findings(checks, "database_dumps"), "")
	testkit.Contains(t, "no dump", checks["database_dumps"].Message, "pg_dump -N 'prepared:*'")
	run("ALTER EVENT TRIGGER audit DISABLE")
	testkit.Equal(t, "findings", findings(runDoctor(t, env, with("PREPARED_BOUNDARIES", "1")), "database_event"), "")
}

// A hardened server hides catalogues from roles. What cannot be read is a warning, and everything else is checked.
func TestDoctorOfAHardenedServer(t *testing.T) {
	t.Parallel()
	rawURL := newPostgres(t).env["DATABASE_URL"]
	role, url := newRoleAt(t, rawURL)
	executeWritable(t, rawURL, "GRANT CREATE ON DATABASE "+databaseName(t, rawURL)+" TO "+role)
	env := []map[string]string{with("DATABASE_URL", url), with("PREPARED_BOUNDARIES", "1")}
	before := runDoctor(t, env...)
	for catalogue, want := range map[string]string{
		"pg_stat_activity":   "database_connections warning, database_dumps warning, database_standby warning, registry_migration warning",
		"pg_locks":           "registry_migration warning",
		"pg_event_trigger":   "database_event_triggers warning",
		"pg_extension":       "database_citus fault, database_rehearsal warning", // the service does not start
		"pg_db_role_setting": "database_timezone warning",
		"pg_collation":       "database_collation warning",
	} {
		executeWritable(t, rawURL, "REVOKE SELECT ON pg_catalog."+catalogue+" FROM PUBLIC")
		checks := runDoctor(t, env...)
		testkit.Equal(t, "checks without "+catalogue, len(checks), len(before))
		delete(checks, "database_durability") // of the server that runs the tests
		testkit.Equal(t, "findings without "+catalogue, findings(checks, "database", "registry_m"), want)
		name, _, _ := strings.Cut(want, " ")
		testkit.Contains(t, "message", checks[name].Message, "permission denied", catalogue)
		executeWritable(t, rawURL, "GRANT SELECT ON pg_catalog."+catalogue+" TO PUBLIC")
	}
}

// The server refuses an expired password as a wrong one.
func TestDoctorWarnsOfAPasswordThatExpires(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	newRole(s)
	env := with("DATABASE_URL", s.URLOf(role, password))
	until := func(left time.Duration) map[string]doctor.Finding {
		s.Exec("ALTER ROLE " + role + " VALID UNTIL '" + time.Now().Add(left).Format(time.RFC3339) + "'")
		return runDoctor(t, env)
	}
	const day = 24 * time.Hour
	testkit.Equal(t, "no end", runDoctor(t, env)["database_password"].Status, doctor.OK)
	testkit.Contains(t, "in a month", until(30 * day)["database_password"].Message, "expires on", "in 29 days")
	soon := until(13*day + time.Hour)["database_password"]
	testkit.Equal(t, "status", soon.Status, doctor.Warning)
	testkit.Contains(t, "message", soon.Message, "expires on", "in 13 days")
	testkit.Contains(t, "hint", soon.Hint, `ALTER ROLE "`+role+`" PASSWORD '…' VALID UNTIL 'infinity';`)
	testkit.Contains(t, "today", until(5 * time.Hour)["database_password"].Message, "in 4 hours")
	s.Exec("ALTER ROLE " + role + " VALID UNTIL 'infinity'")
	testkit.Equal(t, "status", runDoctor(t, env)["database_password"].Status, doctor.OK)
	expired := until(-day)
	testkit.Equal(t, "findings", findings(expired, "database"), "database fault")
	testkit.Contains(t, "hint", expired["database"].Hint, "rolvaliduntil")

	// The role postgres of this server needs no password.
	s.Exec("ALTER ROLE postgres VALID UNTIL '" + time.Now().Add(day).Format(time.RFC3339) + "'")
	testkit.Equal(t, "status", runDoctor(t, with("DATABASE_URL", s.URL))["database_password"].Status, doctor.OK)
}

// An upgrade of the C library or of ICU changes the order of text.
func TestDoctorFindsChangedCollations(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	s.Exec("CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C' ENCODING 'UTF8'")
	rawURL := strings.Replace(s.URL, "/tenants", "/sorted", 1)
	env := with("DATABASE_URL", rawURL)
	r := serve(t, settings(env, with("NATS_URL", natstest.Start(t))))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	testkit.Equal(t, "findings", findings(runDoctor(t, env), "database_collation"), "")

	executeWritable(t, rawURL, "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'sorted'",
		`CREATE TABLE public.names (name text COLLATE "und-x-icu" UNIQUE)`,
		"UPDATE pg_collation SET collversion = '2.0' WHERE collname = 'und-x-icu'")
	found := runDoctor(t, env)["database_collation"]
	testkit.Equal(t, "status", found.Status, doctor.Warning)
	testkit.Contains(t, "message", found.Message, "the database's collation was of version 1.0 and is now of", "tenant_registry_pkey",
		`collation pg_catalog."und-x-icu" was of version 2.0`, ": 1 indexes")
	testkit.Lacks(t, "message", found.Message, "tenant_registry_lower_tenant_id", "prepared_boundaries")
	executeWritable(t, rawURL, strings.Split(found.Hint, "\n")...)
	testkit.Equal(t, "findings", findings(runDoctor(t, env), "database_collation"), "")
}

// A standby accepts no writes. If another host does, doctor checks that one, because the service uses it.
func TestDoctorOfAStandby(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	newRole(s)
	standby := s.Standby()
	one := runDoctor(t, with("DATABASE_URL", standby.URL))
	testkit.Equal(t, "findings", findings(one, "database_writable"), "database_writable fault")
	testkit.Contains(t, "message", one["database_writable"].Message, "standby")
	both := strings.Replace(s.URL, s.Addr, standby.Addr+","+s.Addr, 1)
	testkit.Equal(t, "findings", findings(runDoctor(t, with("DATABASE_URL", both)), "database_writable"), "")
	s.Stop()
	testkit.Contains(t, "findings", findings(runDoctor(t, with("DATABASE_URL", both)), "database"), "database_writable fault")
}

func TestDoctorComparesClocks(t *testing.T) {
	t.Parallel()
	d, nats := newPostgres(t), natstest.Start(t)
	env := settings(d.env, with("NATS_URL", nats))
	r := serve(t, env)
	testkit.Equal(t, "exit code", r.stop(t), 0)
	c, err := config.Load(t.Context(), envconfig.MapLookuper(env))
	testkit.Must(t, err)
	for ahead, want := range map[time.Duration]string{
		0:                 "",
		3 * time.Second:   "database_clock warning, nats_clock warning",
		-3 * time.Second:  "database_clock warning, nats_clock warning",
		-40 * time.Second: "database_clock fault, nats_clock fault",
	} {
		checks := map[string]doctor.Finding{}
		for _, found := range doctor.Examine(t.Context(), c, func() time.Time { return time.Now().Add(ahead) }) {
			checks[found.Name] = found
		}
		testkit.Equal(t, fmt.Sprint("this clock is ahead by ", ahead), findings(checks, "database_clock", "nats_clock"), want)
		if ahead > 0 {
			testkit.Contains(t, "direction", checks["database_clock"].Message, "behind this machine's")
		}
	}
}

// Doctor reads the role's synchronous_commit, which applications use and this program's sessions override.
func TestDoctorReadsTheCommitDefault(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t, "fsync=on", "full_page_writes=on")
	newRole(s)
	env := with("DATABASE_URL", s.URLOf(role, password))
	testkit.Equal(t, "findings", findings(runDoctor(t, env), "database"), "")
	s.Exec("ALTER ROLE " + role + " SET synchronous_commit = off")
	testkit.Equal(t, "findings", findings(runDoctor(t, env), "database"), "database_durability warning")
}

// pooler is a proxy between program and server. It has its own cancellation key, as all poolers have. As PgBouncer
// does, it rejects startup parameters, except those that it keeps for each client.
type pooler struct{}

// poolerParameters are the startup parameters that PgBouncer accepts without configuration.
var poolerParameters = []string{
	"user", "database", "application_name", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings",
}

func (p pooler) listen(t *testing.T, server string) (addr string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { p.serve(client, server) })
		}
	})
	t.Cleanup(func() {
		testkit.Must(t, l.Close())
		served.Wait()
	})
	return l.Addr().String()
}

// serve copies until either side closes.
func (p pooler) serve(client net.Conn, addr string) {
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	backend := pgproto3.NewBackend(client, client)
	for {
		message, err := backend.ReceiveStartupMessage()
		if err != nil {
			return
		}
		start, ok := message.(*pgproto3.StartupMessage)
		if !ok {
			client.Write([]byte("N")) // no TLS
			continue
		}
		for name := range start.Parameters {
			if !slices.Contains(poolerParameters, name) {
				backend.Send(&pgproto3.ErrorResponse{
					Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name,
				})
				backend.Flush()
				return
			}
		}
		frontend := pgproto3.NewFrontend(server, server)
		frontend.Send(start)
		if frontend.Flush() != nil {
			return
		}
		break
	}
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	for header := make([]byte, 5); ; {
		if _, err := io.ReadFull(server, header); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		if header[0] == 'K' {
			binary.BigEndian.PutUint32(body, 1) // no process has this id
		}
		client.Write(append(header[:5:5], body...))
	}
}

// A pooler that gives each client its own session is served without configuration of its own. One that shares sessions
// is refused at the start.
func TestPooler(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	own := strings.Replace(s.URL, s.Addr, pooler{}.listen(t, s.Addr), 1)
	shared := []string{
		s.SharedSessions(postgrestest.LastReturned), s.SharedSessions(postgrestest.FirstReturned),
		s.SharedSessions(postgrestest.OnlyOne), s.SharedSessions(postgrestest.NoTransactions),
	}
	set := own + "&lock_timeout=1s&work_mem=8MB" // after connecting
	for url, want := range map[string]string{
		s.URL: "", own: "database_pooler warning", set: "database_pooler warning",
		shared[0]: "database_pooler fault", shared[1]: "database_pooler fault", shared[2]: "database_pooler fault",
	} {
		checks := runDoctor(t, with("DATABASE_URL", url))
		testkit.Equal(t, "findings", findings(checks, "database_pooler"), want)
		if _, checked := checks["registry"]; checked == strings.HasSuffix(want, "fault") {
			t.Errorf("%s: the registry is checked: %v", want, checked)
		}
	}
	checks := runDoctor(t, with("DATABASE_URL", shared[3]))
	testkit.Equal(t, "findings", findings(checks, "database"), "database fault")
	testkit.Contains(t, "the refusal", checks["database"].Message, "pool_mode = session")
	checks = runDoctor(t, with("DATABASE_URL", own+"&options=-c%20lock_timeout%3D1s"))
	testkit.Equal(t, "findings", findings(checks, "database"), "database fault")
	testkit.Contains(t, "the refusal", checks["database"].Message, "options")
	testkit.Contains(t, "hint", checks["database"].Hint, "remove the parameter")

	nats := with("NATS_URL", natstest.Start(t))
	for _, url := range shared {
		code, _, stderr := command(t, settings(nats, with("DATABASE_URL", url)), "run")
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "the error", stderr, "shares sessions", "pool_mode = session")
	}
	r := serve(t, settings(nats, with("DATABASE_URL", set)))
	testkit.Equal(t, "exit code", r.stop(t), 0)
}

// Doctor names another registry in the database, even before the service has created its own.
func TestDoctorNamesTheNeighbour(t *testing.T) {
	t.Parallel()
	d, nats := newPostgres(t), with("NATS_URL", natstest.Start(t))
	rawURL := d.env["DATABASE_URL"]
	shop, otherTemplate := with("REGISTRY_SCHEMA", "shop_system"), with("SCHEMA_TEMPLATE", "customer_{tenant_id}")
	finds := func(want string, parts []string, envs ...map[string]string) doctor.Finding {
		t.Helper()
		found := runDoctor(t, append([]map[string]string{d.env}, envs...)...)["database_neighbours"]
		testkit.Equal(t, "status", found.Status, want)
		testkit.Contains(t, "message", found.Message, parts...)
		return found
	}
	r := serve(t, settings(d.env, nats))
	code, _, _ := command(t, nats, requestArgs("acme", "--wait", outcomeWait)...)
	testkit.Equal(t, "exit code of the request", code, 0)
	testkit.Equal(t, "exit code", r.stop(t), 0)
	finds(doctor.OK, []string{"no other registry"})

	found := finds(doctor.Warning, []string{"docex_system has tenant_acme", "BOUNDARY_NOT_EMPTY"}, shop)
	testkit.Contains(t, "hint", found.Hint, "SCHEMA_TEMPLATE")
	finds(doctor.Warning, []string{"docex_system", "no schema of theirs"}, shop, otherTemplate)
	r = serve(t, settings(d.env, shop, otherTemplate, with("NATS_URL", natstest.Start(t))))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	finds(doctor.Warning, []string{"docex_system has tenant_acme"}, shop)
	finds(doctor.Warning, []string{"shop_system", "no schema of theirs"})

	// A role that cannot read the other registry finds its boundaries by the stamp.
	role, url := newRoleAt(t, rawURL)
	executeWritable(t, rawURL, "GRANT USAGE ON SCHEMA shop_system TO "+role, "GRANT SELECT ON shop_system.tenant_registry TO "+role)
	limited := with("DATABASE_URL", url)
	finds(doctor.Warning, []string{"docex_system has tenant_acme"}, shop, limited)
	finds(doctor.Warning, []string{"docex_system", "this role can see"}, shop, limited, otherTemplate)

	// Earlier versions let both registries have one schema.
	executeWritable(t, rawURL, "INSERT INTO shop_system.tenant_registry SELECT * FROM docex_system.tenant_registry WHERE NOT is_system")
	found = finds(doctor.Fault, []string{"shop_system"})
	testkit.Contains(t, "hint", found.Hint, "-- tenant_acme is also registered in shop_system", "SCHEMA_TEMPLATE")
	finds(doctor.Fault, []string{"docex_system"}, shop)
}

// Doctor does not suggest removing boundaries that another service has prepared, with or without the owner's tag, which
// earlier versions do not write.
func TestDoctorKeepsBoundariesOfANeighbour(t *testing.T) {
	t.Parallel()
	d := newPostgresWithPool(t, 1)
	shop := with("REGISTRY_SCHEMA", "shop_system")
	r := serve(t, settings(d.env, shop, with("NATS_URL", natstest.Start(t))))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	testkit.Equal(t, "findings", findings(runDoctor(t, d.env, shop), "prepared"), "")

	prepared := d.pooledSchemas()[0]
	executeWritable(t, d.env["DATABASE_URL"], `COMMENT ON SCHEMA "`+prepared+`" IS NULL`)
	checks := runDoctor(t, d.env, shop)
	testkit.Equal(t, "findings", findings(checks, "prepared"), "prepared_astray warning")
	testkit.Equal(t, "hint", checks["prepared_astray"].Hint,
		"-- "+prepared+" may be in the pool of another service in this database: run its doctor")
	testkit.Equal(t, "findings in its own registry", findings(runDoctor(t, d.env, with("PREPARED_BOUNDARIES", "1")), "prepared"), "")
}
