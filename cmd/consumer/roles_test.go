package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/docextest"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// The roles of deploy/postgres/roles.sql.
const (
	serviceRole  = "tenant_provisioner"
	operatorRole = "tenant_operator"
	docexRole    = "docex"
)

// roles is a PostgreSQL server with the roles, in its database for tenants, and a NATS server.
type roles struct {
	t    *testing.T
	s    *postgrestest.Server
	nats string
	ids  int
}

func newRoles(t *testing.T) *roles {
	t.Helper()
	r := &roles{t: t, s: postgrestest.Private(t, "fsync=on"), nats: natstest.Start(t)}
	r.apply("roles.sql")
	for _, role := range []string{serviceRole, operatorRole, docexRole} {
		r.exec("ALTER ROLE " + role + " PASSWORD '" + secret + "'")
	}
	return r
}

// apply runs a file of deploy/postgres, as a database administrator does.
func (r *roles) apply(file string) {
	r.t.Helper()
	text, err := os.ReadFile("../../deploy/postgres/" + file)
	testkit.Must(r.t, err)
	testkit.Must(r.t, r.executeAs(r.s.URL, string(text)))
}

// exec runs statements as the administrator.
func (r *roles) exec(statements ...string) {
	r.t.Helper()
	for _, statement := range statements {
		testkit.Must(r.t, r.executeAs(r.s.URL, statement))
	}
}

// executeAs runs SQL, which may be several statements, as the role in the URL.
func (r *roles) executeAs(url, text string) error {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), url)
	if err != nil {
		return err
	}
	defer func() { testkit.Must(r.t, conn.Close(r.t.Context())) }()
	_, err = conn.PgConn().Exec(r.t.Context(), text).ReadAll()
	return err
}

// names returns the names that a query of the administrator returns.
func (r *roles) names(query string) string {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.s.URL)
	testkit.Must(r.t, err)
	defer func() { testkit.Must(r.t, conn.Close(r.t.Context())) }()
	rows, err := conn.Query(r.t.Context(), query)
	testkit.Must(r.t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	testkit.Must(r.t, err)
	return strings.Join(names, ", ")
}

// assertPermitted asserts that the role can run each statement, or lacks the permission.
func (r *roles) assertPermitted(role string, want bool, statements ...string) {
	r.t.Helper()
	for _, statement := range statements {
		err := r.executeAs(r.s.URLOf(role, secret), statement)
		var refused *pgconn.PgError
		switch {
		case want && err != nil:
			r.t.Errorf("%s cannot: %s: %v", role, statement, err)
		case !want && (!errors.As(err, &refused) || refused.Code != "42501"):
			r.t.Errorf("%s has the permission: %s: %v", role, statement, err)
		}
	}
}

func (r *roles) env(role string, more ...map[string]string) map[string]string {
	return settings(append([]map[string]string{
		with("DATABASE_URL", r.s.URLOf(role, secret)), with("NATS_URL", r.nats), with("CONCURRENCY", "1"),
	}, more...)...)
}

// provision has the running service provision a tenant, and returns the outcome.
func (r *roles) provision(tenant string) (code int, outcome string) {
	r.t.Helper()
	r.ids++
	code, outcome, _ = command(r.t, with("NATS_URL", r.nats), requestArgs(tenant, "--wait", outcomeWait, "--json",
		"--id", fmt.Sprint(r.ids))...)
	return code, outcome
}

// The service works with only the permissions of the file, whether it creates its registry or the registry exists.
func TestServiceRole(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]string{"registry of its own": nil, "registry of another role": {"registry.sql"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoles(t)
			for _, file := range files {
				r.apply(file)
			}
			r.exec("CREATE TABLE public.somebody_elses (secret text)")
			d := postgresAt(t, r.s.URL, r.s.URLOf(serviceRole, secret))
			service := serve(t, r.env(serviceRole))
			code, outcome := r.provision("as_asked")
			testkit.Equal(t, "exit code without a pool", code, 0)
			testkit.Contains(t, "outcome", outcome, `"prepared":false`, `"tables":11,"indexes":18`, `"warnings":[]`)
			testkit.Equal(t, "exit code", service.stop(t), 0)

			prepared := serve(t, r.env(serviceRole, with("PREPARED_BOUNDARIES", "1")))
			d.awaitPool(t, 1)
			code, outcome = r.provision("from_the_pool")
			testkit.Equal(t, "exit code from the pool", code, 0)
			testkit.Contains(t, "outcome", outcome, `"prepared":true`)
			testkit.Equal(t, "exit code", prepared.stop(t), 0)

			r.assertPermitted(serviceRole, false,
				"SELECT * FROM public.somebody_elses",
				"CREATE TABLE public.mine ()",
				"CREATE TEMPORARY TABLE mine ()",
				"CREATE DATABASE mine",
				"CREATE ROLE mine",
				"GRANT pg_read_server_files TO "+serviceRole,
				"ALTER ROLE "+serviceRole+" SUPERUSER",
				"SELECT rolpassword FROM pg_authid",
				"COPY (SELECT 1) TO '/dev/null'",
			)
			// The migrations have run: the service creates nothing in the registry until the next upgrade.
			if len(files) > 0 {
				r.exec("REVOKE CREATE ON SCHEMA docex_system FROM " + serviceRole)
				again := serve(t, r.env(serviceRole))
				code, _ = r.provision("later")
				testkit.Equal(t, "exit code without CREATE in the registry", code, 0)
				testkit.Equal(t, "exit code", again.stop(t), 0)
			}
		})
	}
}

// The service needs each permission: without it something fails, and the error names the permission.
func TestServiceRoleWithoutAPermission(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	const create = "CREATE ON DATABASE tenants"
	run := func(permission string, want ...string) {
		t.Helper()
		r.exec("REVOKE " + permission + " FROM " + serviceRole)
		defer r.exec("GRANT " + permission + " TO " + serviceRole)
		service := start(t, r.env(serviceRole), "run")
		testkit.Eventually(t, "without "+permission+" the log names it", func() bool {
			for _, part := range want {
				if !strings.Contains(service.stderr.String(), part) {
					return false
				}
			}
			return true
		})
		if strings.Contains(service.stderr.String(), "taking requests") {
			t.Errorf("without %s the service takes requests", permission)
		}
		service.stop(t)
	}
	run("CONNECT ON DATABASE tenants", "waiting for the database", missingPermission("CONNECT on the database"))
	run(create, missingPermission("CREATE on the database"), "registry.sql")
	r.apply("registry.sql")
	run("USAGE ON SCHEMA docex_system", missingPermission("USAGE and CREATE on schema docex_system"))
	run("CREATE ON SCHEMA docex_system", missingPermission("USAGE and CREATE on schema docex_system"))

	service := serve(t, r.env(serviceRole, with("HTTP_ADDR", "127.0.0.1:0")))
	http := "http://" + testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	r.exec("REVOKE " + create + " FROM " + serviceRole)
	code, outcome := r.provision("acme")
	testkit.Equal(t, "exit code without CREATE", code, 1)
	testkit.Contains(t, "outcome", outcome, string(events.CausePermissionDenied), missingPermission("CREATE on the database"), `"left_behind":[]`)
	r.exec("GRANT " + create + " TO " + serviceRole)

	for _, permission := range []string{
		"USAGE ON SCHEMA docex_system", "INSERT ON docex_system.tenant_requests", "UPDATE ON docex_system.tenant_registry",
	} {
		r.exec("REVOKE " + permission + " FROM " + serviceRole)
		awaitNotReady(t, http, missingPermission("USAGE on schema docex_system, and SELECT, INSERT and UPDATE on tenant_registry"))
		r.exec("GRANT " + permission + " TO " + serviceRole)
		testkit.Eventually(t, "the service is ready again", func() bool { code, _ := get(t, http+"/readyz"); return code == 200 })
	}
	code, _ = r.provision("acme")
	testkit.Equal(t, "exit code once all is granted", code, 0)
}

// missingPermission is the text that names a missing permission.
func missingPermission(permission string) string {
	return "the database role lacks a permission; grant it " + permission
}

// The read-only role needs few permissions, writes nothing and sees no tenant's rows.
func TestOperatorRole(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	service := serve(t, r.env(serviceRole, with("PREPARED_BOUNDARIES", "1")))
	code, _ := r.provision("acme")
	testkit.Equal(t, "exit code", code, 0)
	postgresAt(t, r.s.URL, r.s.URL).awaitPool(t, 1)
	testkit.Equal(t, "exit code", service.stop(t), 0)

	commands := [][]string{
		{"tenants", "list"}, {"tenants", "show", "acme"}, {"tenants", "verify"}, {"requests", "show", requestSource, "1"}, {"doctor"},
	}
	env := r.env(operatorRole, with("PREPARED_BOUNDARIES", "1"))
	runCommand := func(args []string) (int, string) {
		t.Helper()
		code, stdout, stderr := command(t, env, args...)
		return code, stdout + stderr
	}
	code, output := runCommand(commands[0])
	testkit.Equal(t, "exit code before the grants on the registry", code, 1)
	testkit.Contains(t, "output", output, missingPermission("USAGE on schema docex_system, and SELECT on tenant_registry"))
	r.apply("roles.sql") // again, now that the registry exists
	r.apply("roles.sql")
	for _, args := range commands {
		code, output := runCommand(args)
		if code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, output)
		}
	}
	r.assertPermitted(operatorRole, false,
		"INSERT INTO docex_system.tenant_registry SELECT * FROM docex_system.tenant_registry",
		"UPDATE docex_system.tenant_registry SET display_name = ''",
		"DELETE FROM docex_system.tenant_requests",
		"DELETE FROM docex_system.prepared_boundaries",
		"TRUNCATE docex_system.tenant_registry",
		"CREATE TABLE docex_system.mine ()",
		"DROP TABLE docex_system.tenant_registry",
		"ALTER SCHEMA tenant_acme RENAME TO mine",
		"CREATE SCHEMA mine",
		"CREATE TEMPORARY TABLE mine ()",
		"SELECT * FROM tenant_acme.docbasket",
		"SELECT * FROM docex_system.docbasket",
		"SET ROLE "+serviceRole,
	)

	// Without any one permission a command fails, and the error names the permission.
	const registry = "USAGE on schema docex_system, and SELECT on tenant_registry, tenant_requests, prepared_boundaries"
	for permission, c := range map[string]struct {
		args []string
		want string
	}{
		"CONNECT ON DATABASE tenants":                {commands[0], missingPermission("CONNECT on the database")},
		"USAGE ON SCHEMA docex_system":               {commands[0], missingPermission(registry)},
		"SELECT ON docex_system.tenant_registry":     {commands[2], missingPermission(registry)},
		"SELECT ON docex_system.tenant_requests":     {commands[3], missingPermission(registry)},
		"SELECT ON docex_system.prepared_boundaries": {commands[4], missingPermission(registry)},
	} {
		r.exec("REVOKE " + permission + " FROM " + operatorRole)
		_, output := runCommand(c.args)
		testkit.Contains(t, "without "+permission, output, c.want)
		r.apply("roles.sql")
	}
	testkit.Equal(t, "objects of the operator", len(postgresAt(t, r.s.URL, r.s.URL).rows(system,
		"SELECT classid::text FROM pg_shdepend WHERE deptype = 'o' AND refobjid = '"+operatorRole+"'::regrole")), 0)
}

// Without a superuser, as on a managed server, the owner of the database makes the roles.
func TestRolesByTheOwnerOfTheDatabase(t *testing.T) {
	t.Parallel()
	r := &roles{t: t, s: postgrestest.Private(t)}
	r.exec("CREATE ROLE dba LOGIN CREATEROLE PASSWORD '"+secret+"'", "ALTER DATABASE tenants OWNER TO dba",
		"ALTER SCHEMA public OWNER TO dba")
	text, err := os.ReadFile("../../deploy/postgres/roles.sql")
	testkit.Must(t, err)
	for range 2 {
		testkit.Must(t, r.executeAs(r.s.URLOf("dba", secret), string(text)))
	}
	testkit.Equal(t, "default privileges", r.names("SELECT count(*)::text FROM pg_default_acl WHERE defaclrole = '"+
		serviceRole+"'::regrole"), "2")
}

// DocEX may write rows but not change structure, in tenants old and new, and may read the registry.
func TestDocEXRole(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	service := serve(t, r.env(serviceRole, with("PREPARED_BOUNDARIES", "1")))
	d := postgresAt(t, r.s.URL, r.s.URL)
	d.awaitPool(t, 1)
	insert := func(schema string) string {
		return "INSERT INTO " + schema + ".docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')"
	}
	for _, tenant := range []string{"one", "two"} { // the second was prepared after the first
		code, _ := r.provision(tenant)
		testkit.Equal(t, "exit code", code, 0)
		d.awaitPool(t, 1)
		r.assertPermitted(docexRole, true, insert("tenant_"+tenant), "SELECT * FROM tenant_"+tenant+".docbasket",
			"UPDATE tenant_"+tenant+".docbasket SET name = 'c'", "DELETE FROM tenant_"+tenant+".docbasket")
	}
	// As for tenants that were created before the grants, or lost them.
	r.exec("REVOKE ALL ON SCHEMA tenant_one FROM docex", "REVOKE ALL ON ALL TABLES IN SCHEMA tenant_two FROM docex")
	r.assertPermitted(docexRole, false, insert("tenant_one"), insert("tenant_two"))
	r.apply("roles.sql")
	r.assertPermitted(docexRole, true, insert("tenant_one"), insert("tenant_two"), insert("docex_system"),
		"SELECT * FROM docex_system.tenant_registry")
	r.assertPermitted(docexRole, false,
		"DELETE FROM docex_system.tenant_registry",
		"UPDATE docex_system.tenant_registry SET display_name = ''",
		"INSERT INTO docex_system.tenant_registry SELECT * FROM docex_system.tenant_registry",
		"SELECT * FROM docex_system.tenant_requests",
		"SELECT * FROM docex_system.prepared_boundaries",
		"CREATE TABLE tenant_one.mine ()",
		"DROP TABLE tenant_one.docbasket",
		"ALTER TABLE tenant_one.docbasket ADD COLUMN mine text",
		"TRUNCATE tenant_one.docbasket CASCADE",
		"CREATE SCHEMA mine",
		"ALTER SCHEMA tenant_one RENAME TO mine",
	)
	code, _, _ := command(t, r.env(operatorRole), "tenants", "verify")
	testkit.Equal(t, "exit code of verify", code, 0)
	testkit.Equal(t, "exit code", service.stop(t), 0)

	for _, permission := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		r.exec("REVOKE " + permission + " ON tenant_one.docbasket FROM docex")
		r.assertPermitted(docexRole, false, map[string]string{
			"SELECT": "SELECT * FROM tenant_one.docbasket", "INSERT": insert("tenant_one"),
			"UPDATE": "UPDATE tenant_one.docbasket SET name = 'c'", "DELETE": "DELETE FROM tenant_one.docbasket",
		}[permission])
	}
}

// The file rejects an existing role that has more permissions than it should.
func TestRolesWithTooManyPermissionsAreRejected(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE " + serviceRole + " CREATEDB")
	r := &roles{t: t, s: s}
	text, err := os.ReadFile("../../deploy/postgres/roles.sql")
	testkit.Must(t, err)
	err = r.executeAs(s.URL, string(text))
	if err == nil || !strings.Contains(err.Error(), "more permissions than it needs") {
		t.Errorf("the role is accepted: %v", err)
	}
}

// A registry that DocEX made belongs to DocEX's role, or to a superuser. The start and doctor name the statements that
// help: they transfer the tables that the service alters. They grant no role, and DocEX's role still works.
func TestRegistryOfDocEXInAnotherRolesOwnership(t *testing.T) {
	t.Parallel()
	for owner, keeps := range map[string]string{"docex": "\nGRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO \"docex\";", "": ""} {
		t.Run("owner "+owner, func(t *testing.T) {
			t.Parallel()
			r := newRoles(t)
			docextest.Postgres(t, r.s.URL, owner)
			want := []string{
				`GRANT USAGE ON SCHEMA "docex_system" TO "tenant_provisioner";`,
				`GRANT CREATE ON SCHEMA "docex_system" TO "tenant_provisioner";`,
			}
			for _, table := range []string{"document", "tenant_registry"} {
				table = `"docex_system"."` + table + `"`
				want = append(want, "ALTER TABLE "+table+` OWNER TO "tenant_provisioner";`+strings.ReplaceAll(keeps, "%s", table))
			}
			statements := strings.Join(want, "\n")

			code, _, stderr := command(t, r.env(serviceRole), "run")
			testkit.Equal(t, "exit code", code, 1)
			testkit.Contains(t, "error", stderr, missingPermission("USAGE and CREATE on schema docex_system"), "run as a superuser: ")
			quoted := strings.ReplaceAll(strings.ReplaceAll(statements, `"`, `\"`), "\n", " ")
			testkit.Contains(t, "error", stderr, quoted)
			checks := runDoctor(t, r.env(serviceRole))
			testkit.Equal(t, "finding", findings(checks, "registry_rights"), "registry_rights fault")
			testkit.Equal(t, "hint", checks["registry_rights"].Hint, statements)

			r.exec(want[:2]...)
			code, _, stderr = command(t, r.env(serviceRole), "run")
			testkit.Equal(t, "exit code without the tables", code, 1)
			testkit.Contains(t, "error", stderr, `ALTER TABLE \"docex_system\".\"tenant_registry\" OWNER TO`)
			testkit.Lacks(t, "error", stderr, "GRANT USAGE")
			r.exec(want[2:]...)
			testkit.Equal(t, "finding", findings(runDoctor(t, r.env(serviceRole)), "registry_rights"), "")
			service := serve(t, r.env(serviceRole))
			code, _ = r.provision("acme")
			testkit.Equal(t, "exit code of the request", code, 0)
			testkit.Equal(t, "exit code", service.stop(t), 0)
			testkit.Equal(t, "finding", findings(runDoctor(t, r.env(serviceRole)), "registry_rights"), "")
			if owner != "" {
				r.assertPermitted(owner, true, "SELECT * FROM docex_system.tenant_registry",
					"UPDATE docex_system.document SET name = 'x'", "SELECT * FROM tenant_d1.document")
			}
		})
	}
}

// The steps of docs/docex.md on PostgreSQL: afterwards DocEX works as a role that owns nothing. What its clean-up of a
// failed creation does to tenants and registry is refused.
func TestDocEXWithARoleThatOwnsNothing(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	docextest.Postgres(t, r.s.URL, "")
	d := docexData{testDatabase: postgresAt(t, r.s.URL, r.s.URL), boundaries: []string{"docex_system", "tenant_d1"}}
	r.exec("INSERT INTO tenant_d1.docbasket VALUES ('b', 'x', NULL, '{}', 'active', '2026-01-01', '2026-01-01')")
	owned := func() (facts []string) { // without owners and permissions
		for _, fact := range d.state(t) {
			if table, is := strings.CutPrefix(fact, "table "); is {
				fact = strings.Fields(table)[0]
			}
			facts = append(facts, fact)
		}
		return facts
	}
	before := owned()
	r.apply("docex.sql")
	r.apply("docex.sql") // it may be run again
	testkit.Equal(t, "changed by the transfer", len(added(t, before, owned())), 0)
	r.assertPermitted(docexRole, true, "SELECT * FROM docex_system.tenant_registry", "UPDATE tenant_d1.docbasket SET name = 'z'")
	r.assertPermitted(docexRole, false, "DELETE FROM docex_system.tenant_registry", "DROP SCHEMA tenant_d1 CASCADE")
	testkit.Equal(t, "findings", findings(runDoctor(t, r.env(serviceRole)), "database_r", "registry"), "registry_ledger warning")

	service := serve(t, r.env(serviceRole))
	r.apply("roles.sql")
	r.apply("docex.sql") // as after DocEX has created tenants: the service's own tables stay closed
	code, _ := r.provision("acme")
	testkit.Equal(t, "exit code of the request", code, 0)
	testkit.Equal(t, "exit code", service.stop(t), 0)
	testkit.Equal(t, "findings", findings(runDoctor(t, r.env(serviceRole)), "database_r", "registry"), "")

	r.assertPermitted(docexRole, true, "SELECT * FROM docex_system.tenant_registry", "INSERT INTO docex_system.docbasket "+
		"VALUES ('b', 'x', NULL, '{}', 'active', '2026-01-01', '2026-01-01')",
		"UPDATE tenant_d1.docbasket SET name = 'y'", "DELETE FROM tenant_d1.docbasket", "SELECT * FROM tenant_acme.document")
	r.assertPermitted(docexRole, false, "DELETE FROM docex_system.tenant_registry WHERE tenant_id = 'acme'",
		"DROP SCHEMA IF EXISTS tenant_d1 CASCADE", "DROP SCHEMA IF EXISTS tenant_acme CASCADE", "CREATE SCHEMA tenant_x",
		"INSERT INTO docex_system.tenant_registry SELECT * FROM docex_system.tenant_registry",
		"ALTER TABLE tenant_d1.document ADD COLUMN x text", "SELECT * FROM docex_system.tenant_requests")

	testkit.Equal(t, "objects that docex owns", r.names("SELECT relname FROM pg_class WHERE relowner = 'docex'::regrole "+
		"UNION SELECT nspname FROM pg_namespace WHERE nspowner = 'docex'::regrole"), "")
	text, err := os.ReadFile("../../docs/security.md")
	testkit.Must(t, err)
	_, check, _ := strings.Cut(string(text), "as a superuser in the tenants' database:\n\n```text\n")
	check, _, _ = strings.Cut(check, "```")
	testkit.Equal(t, "roles that may create schemas", r.names(check), "tenant_provisioner")

	// A DocEX that still creates tenants.
	r.exec("GRANT CREATE ON DATABASE tenants TO docex", "GRANT INSERT, UPDATE ON docex_system.tenant_registry TO docex")
	r.assertPermitted(docexRole, true, "CREATE SCHEMA tenant_x", "DROP SCHEMA tenant_x CASCADE")
	r.assertPermitted(docexRole, false, "DELETE FROM docex_system.tenant_registry WHERE tenant_id = 'acme'",
		"DROP SCHEMA IF EXISTS tenant_acme CASCADE")
}
