package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// withOwnDefinition is the database for a service whose tenants have only what the scripts of deploy make.
func withOwnDefinition(t *testing.T, d testDatabase) testDatabase {
	t.Helper()
	d = withPlainRole(t, d)
	d.env = merge(d.env, with("BASE_DEFINITION", "none"), with("INIT_SCRIPTS", copyScripts(t, "tickets")))
	return d
}

// objects lists the tables, views and indexes of a boundary, without those of keys.
func (d testDatabase) objects(tenant string) string {
	if d.sqlite() {
		return strings.Join(d.rows(tenant, "SELECT name FROM sqlite_schema WHERE sql IS NOT NULL AND type <> 'trigger' "+
			"AND name NOT LIKE 'sqlite%' ORDER BY name"), " ")
	}
	schema := "tenant_" + tenant
	if tenant == system {
		schema = "docex_system"
	}
	return strings.Join(d.rows(tenant, "SELECT c.relname FROM pg_class c WHERE c.relnamespace = (SELECT oid FROM pg_namespace "+
		"WHERE nspname = '"+schema+"') AND c.relkind IN ('r', 'v', 'i') AND NOT EXISTS (SELECT FROM pg_constraint k "+
		"WHERE k.conindid = c.oid AND k.contype IN ('p', 'u')) ORDER BY c.relname COLLATE \"C\""), " ")
}

// builtIn are tables and indexes of the built-in definition.
var builtIn = []string{"docbasket", "document", "processors", "idx_documents_status"}

const ticketObjects = "idx_ticket_project_created member open_tickets project ticket"

// With BASE_DEFINITION=none the scripts make the tenant: nothing of the built-in definition is anywhere, and each
// command works.
func TestOwnDefinition(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		d = withOwnDefinition(t, d)
		seeds := t.TempDir()
		testkit.Must(t, os.WriteFile(filepath.Join(seeds, "project.jsonl"), []byte("{\"id\": 1, \"name\": \"${display_name}\"}\n"), 0o644))
		env := settings(d.env, with("NATS_URL", natstest.Start(t)), with("SEED_DATA", seeds))
		if !d.sqlite() {
			env["PREPARED_BOUNDARIES"] = "1"
		}
		service := serve(t, env)
		request := func(tenant string, more ...string) (code int, stdout string) {
			t.Helper()
			args := append([]string{"--wait", outcomeWait, "--id", tenant}, more...)
			code, stdout, stderr := command(t, with("NATS_URL", env["NATS_URL"]), requestArgs(tenant, args...)...)
			testkit.Equal(t, "stderr", stderr, "")
			return code, stdout
		}
		// An id that DocEX cannot open, with its hyphen.
		code, stdout := request("acme-corp", "--json")
		testkit.Equal(t, "exit code", code, 0)
		validator(t)([]byte(stdout))
		testkit.Contains(t, "the outcome", stdout, `"tables":3,"indexes":1,`, `"warnings":[]`, `"seeded":{"project":1}`,
			`{"number":1,"name":"create_isolation_boundary"`, `{"number":2,"name":"validate_schema"`,
			`{"number":3,"name":"run_init_scripts"`, `{"number":4,"name":"load_seed_data"`, `{"number":5,"name":"register_tenant"`)
		testkit.Lacks(t, "the outcome", stdout, "initialize_schema", "create_indexes")
		_, shown := request("acme-corp")
		testkit.Contains(t, "the outcome for people", shown, "3 tables, 1 indexes", "Step 3/5: run_init_scripts")
		testkit.Equal(t, "the tenant", d.objects("acme-corp"), ticketObjects)
		testkit.Equal(t, "its rows", strings.Join(d.rows("acme-corp",
			"SELECT name || ' ' || role FROM {b}member UNION ALL SELECT name FROM {b}project ORDER BY 1"), "; "), "Acme Inc.; test owner")
		testkit.Lacks(t, "the registry", " "+d.objects(system)+" ", builtIn...)
		testkit.Equal(t, "the bootstrap tenant", strings.Join(d.rows(system, "SELECT tenant_id FROM {b}tenant_registry WHERE is_system"), " "), system)
		definitions := d.rows(system, "SELECT fingerprint FROM {b}definitions UNION SELECT definition FROM {b}tenant_registry WHERE NOT is_system")
		testkit.Equal(t, "definitions", len(definitions), 1)
		testkit.Contains(t, "the outcome", stdout, `"definition":"`+definitions[0]+`"`)
		if !d.sqlite() {
			d.awaitPool(t, 1)
			code, stdout = request("prepared", "--json")
			testkit.Equal(t, "exit code", code, 0)
			testkit.Contains(t, "the outcome", stdout, `"prepared":true`, `"tables":3,"indexes":1,`)
			d.awaitPool(t, 1)

			// One that was changed is not used, and leaves the pool: whoever compares it next sees that.
			for _, change := range []string{
				"DROP INDEX {b}idx_ticket_project_created", "DROP TABLE {b}ticket CASCADE", "ALTER TABLE {b}project ADD COLUMN more text",
				"CREATE OR REPLACE FUNCTION {b}touch_ticket() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
			} {
				prepared := d.pooledSchemas()[0]
				execute(t, "pgx", env["DATABASE_URL"], `"`+prepared+`".`, change)
				execute(t, "pgx", env["DATABASE_URL"], "docex_system.", "UPDATE {b}prepared_boundaries SET compared_at = compared_at - interval '61 minutes'")
				tenant := fmt.Sprintf("changed-%d", len(d.tenants()))
				code, stdout = request(tenant, "--json")
				testkit.Equal(t, "exit code", code, 0)
				testkit.Contains(t, "the outcome after "+change, stdout, `"tables":3,"indexes":1,`)
				d.awaitPool(t, 1)
				testkit.Lacks(t, "the pool", strings.Join(d.pooledSchemas(), " "), prepared)
				execute(t, "pgx", env["DATABASE_URL"], "", `DROP SCHEMA "`+prepared+`" CASCADE`)
			}
		}

		// A boundary that exists is used if nothing is in it.
		roleOwned(t, d, "empty")
		code, stdout = request("empty", "--json")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Contains(t, "the outcome", stdout, `"tables":3,"indexes":1,`, `"warnings":[]`)
		testkit.Equal(t, "the tenant", d.objects("empty"), ticketObjects)
		roleOwned(t, d, "used", "CREATE TABLE {b}project (mine INTEGER)", "CREATE VIEW {b}v AS SELECT 1 AS n")
		code, stdout = request("used", "--json")
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "the outcome", stdout, "SCHEMA_INVALID", "table project exists", "view v exists", "It holds no rows",
			`"name":"create_isolation_boundary"`)
		testkit.Equal(t, "the boundary", d.objects("used"), "project v")
		roleOwned(t, d, "full", "CREATE TABLE {b}project (mine INTEGER)", "INSERT INTO {b}project VALUES (1)")
		code, stdout = request("full", "--json")
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "the outcome", stdout, "BOUNDARY_NOT_EMPTY")

		testkit.Equal(t, "exit code", service.stop(t), 0)
		for name, found := range runDoctor(t, env) {
			of := strings.HasPrefix(name, "registry") || strings.HasSuffix(name, "_rehearsal") || strings.HasPrefix(name, "prepared_")
			if of && found.Status != doctor.OK {
				t.Errorf("%+v", found)
			}
			testkit.Lacks(t, name, found.Message+found.Hint, "DocEX")
		}
		expectDrift(t, d, env)

		// The registry keeps the base definition.
		env["BASE_DEFINITION"] = "docex"
		expectOtherBase(t, env, "BASE_DEFINITION is docex, but the registry", "was made with none", "set BASE_DEFINITION to none")
		testkit.Lacks(t, "the registry", " "+d.objects(system)+" ", builtIn...)
	})
}

// roleOwned creates a boundary of the service's own role.
func roleOwned(t *testing.T, d testDatabase, tenant string, statements ...string) {
	t.Helper()
	if !d.sqlite() {
		d = postgresAt(t, d.env["DATABASE_URL"], d.env["DATABASE_URL"])
	} else if len(statements) == 0 {
		statements = []string{"PRAGMA user_version = 0"}
	}
	d.createBoundary(tenant, statements...)
}

// expectDrift changes a tenant, and has verify find it.
func expectDrift(t *testing.T, d testDatabase, env map[string]string) {
	t.Helper()
	verify := func(want int, texts ...string) {
		t.Helper()
		code, stdout, stderr := command(t, env, "tenants", "verify")
		testkit.Equal(t, "exit code", code, want)
		testkit.Contains(t, "verify", stdout+stderr, texts...)
	}
	n := len(d.tenants()) + 1
	code, stdout, stderr := command(t, env, "tenants", "verify", "--strict")
	if code != 0 || !strings.Contains(stdout, fmt.Sprintf("checked %d, in order %d,", n, n)) {
		t.Errorf("verify: %s%s", stdout, stderr)
	}
	_, stdout, _ = command(t, env, "tenants", "verify", "acme-corp", "--json")
	testkit.Contains(t, "verify", stdout, `"result":"in_order"`, `"tables":3,"indexes":1`)
	d.execute("acme-corp", "CREATE TABLE {b}mine_too (n INTEGER)", "DROP INDEX {b}idx_ticket_project_created")
	verify(0, "warning: initialisation scripts: table mine_too is not in the definition", "idx_ticket_project_created on ticket is missing",
		"with warnings 1, drifted 0")
	d.execute("acme-corp", "DROP TRIGGER touch_ticket"+map[bool]string{false: " ON {b}ticket"}[d.sqlite()])
	verify(1, "trigger touch_ticket on ticket is missing", "drifted 1")
}

// expectOtherBase requires that neither the service nor a command accepts the base definition.
func expectOtherBase(t *testing.T, env map[string]string, texts ...string) {
	t.Helper()
	refused := start(t, env, "run")
	testkit.Equal(t, "exit code", refused.wait(t), 1)
	testkit.Contains(t, "the log", refused.stderr.String(), texts...)
	for _, args := range [][]string{{"tenants", "verify"}, {"tenants", "list"}, {"reconcile"}, {"reconcile", "--apply"}} {
		code, _, stderr := command(t, env, args...)
		testkit.Equal(t, fmt.Sprint("exit code of ", args), code, 1)
		testkit.Contains(t, fmt.Sprint(args), stderr, texts...)
	}
	found := runDoctor(t, env)["registry"]
	testkit.Equal(t, "doctor", found.Status, doctor.Fault)
	testkit.Contains(t, "doctor", found.Message, texts...)
}

// A registry of the built-in definition, such as one of an earlier version, refuses BASE_DEFINITION=none and is not
// touched. In a schema of its own such a service works beside it in one database.
func TestOwnDefinitionBesideTheBuiltIn(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		own := withOwnDefinition(t, d)
		env := settings(own.env, with("NATS_URL", natstest.Start(t)))
		builtInEnv := merge(env, with("BASE_DEFINITION", ""), with("INIT_SCRIPTS", ""))
		first := serve(t, builtInEnv)
		testkit.Equal(t, "exit code", first.stop(t), 0)
		other := ""
		if d.sqlite() {
			own.execute(system, "ALTER TABLE registry_stamp DROP COLUMN base_definition", "DELETE FROM tenant_provisioner_migrations WHERE version_id = 10")
		} else {
			execute(t, "pgx", env["DATABASE_URL"], "docex_system.", "ALTER TABLE {b}registry_stamp DROP COLUMN base_definition",
				"DELETE FROM {b}tenant_provisioner_migrations WHERE version_id = 12")
			other = natstest.Start(t)
		}
		before := own.objects(system)
		expectOtherBase(t, env, "BASE_DEFINITION is none, but the registry", "was made with docex", "set BASE_DEFINITION to docex")
		testkit.Equal(t, "the registry", own.objects(system), before)
		if other == "" {
			return
		}
		second := merge(env, with("NATS_URL", other), with("REGISTRY_SCHEMA", "product_system"), with("SCHEMA_TEMPLATE", "tickets_{tenant_id}"))
		for _, e := range []map[string]string{second, builtInEnv} {
			service := serve(t, e)
			js := natstest.JetStream(t, e["NATS_URL"])
			publish(t, js, requestFor(t, "order-1", "acme"))
			awaitSettled(t, js)
			testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "provisioned 1")
			code, stdout, stderr := command(t, e, "tenants", "verify", "--strict")
			if code != 0 {
				t.Errorf("verify: %s%s", stdout, stderr)
			}
			testkit.Equal(t, "exit code", service.stop(t), 0)
		}
	})
}

// After a loss, tenants are compared with the definition that they were made by, or made again by the scripts.
func TestReconcileOwnDefinition(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, withOwnDefinition(t, d))
		m.serve(requestFor(t, "order-0", "first"))
		restore := m.backup()
		added := filepath.Join(m.env["INIT_SCRIPTS"], d.engineDir(), "030_more.sql")
		m.serve(requestFor(t, "order-1", "old"), requestFor(t, "order-2", "altered"))
		testkit.Must(t, os.WriteFile(added, []byte("CREATE TABLE more (n INTEGER);\n"), 0o644))
		m.serve(requestFor(t, "order-3", "gone"), requestFor(t, "order-4", "new"))
		m.age()
		restore()
		m.d.execute("altered", "DROP TABLE {b}member")
		m.dropBoundary("gone")
		m.reconcile(1, []string{"--apply", "--recreate"}, "table member is missing", "built again, empty", "left 1")
		testkit.Equal(t, "tenants", strings.Join(m.d.tenants(), " "), "first gone new old")
		testkit.Equal(t, "the tenant made again", m.d.objects("gone"), "idx_ticket_project_created member more open_tickets project ticket")
		testkit.Equal(t, "the older tenant", m.d.objects("old"), ticketObjects)
		fingerprints := m.d.rows(system, "SELECT count(DISTINCT definition) || ' ' || count(definition) FROM {b}tenant_registry WHERE NOT is_system")
		testkit.Equal(t, "definitions", strings.Join(fingerprints, ""), "2 4")
	})
}

// The crash matrix: scripts take effect once, also where SQLite finds a file that a killed attempt has filled.
func TestKilledWithOwnDefinition(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		d = withOwnDefinition(t, d)
		points := []string{"step 1 ended", "step 3 ended", "outcome allowed"}
		if d.sqlite() {
			points = append(points, "file linked/tenant_3", "directory synced/tenant_4")
		}
		s := scenarios["provisioned"]
		_, outcomes := s.killAtEach(t, d, nil, points)
		checkConsistency(t, d, outcomes, "", len(points))
		for _, e := range outcomes {
			data, err := events.ProvisionedFrom(e)
			testkit.Must(t, err)
			testkit.Equal(t, "tables", data.Tables, 3)
			testkit.Equal(t, "owners", len(d.rows(data.TenantID, "SELECT name FROM {b}member")), 1)
		}
	})
}
