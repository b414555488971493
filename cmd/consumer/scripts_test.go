package main

import (
	databasesql "database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

const deployedScripts = "../../deploy/init-scripts/"

// withPlainRole is the database with a role that owns nothing else: with scripts the service refuses a superuser.
func withPlainRole(t *testing.T, d testDatabase) testDatabase {
	t.Helper()
	if d.sqlite() {
		return d
	}
	url := d.env["DATABASE_URL"]
	role, programURL := newRoleAt(t, url)
	execute(t, "pgx", url, "", "GRANT CREATE ON DATABASE "+databaseName(t, url)+" TO "+role)
	return postgresAt(t, url, programURL)
}

// copyScripts copies an example of deploy, so that a test can change it.
func copyScripts(t *testing.T, example string) string {
	t.Helper()
	dir := t.TempDir()
	testkit.Must(t, os.CopyFS(dir, os.DirFS(deployedScripts+example)))
	return dir
}

// engineDir is the directory of the database's own scripts.
func (d testDatabase) engineDir() string {
	if d.sqlite() {
		return "sqlite"
	}
	return "postgres"
}

// What scripts of deploy make is in a new tenant when its outcome is published; the outcome, the registry and doctor
// name them. One that was edited afterwards is refused at start, and nothing is taken.
func TestScripts(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		d = withPlainRole(t, d)
		scripts := copyScripts(t, "orders")
		env := settings(d.env, with("NATS_URL", natstest.Start(t)), with("INIT_SCRIPTS", scripts))
		if !d.sqlite() {
			env["PREPARED_BOUNDARIES"] = "2"
		}
		service := serve(t, env)
		client := with("NATS_URL", env["NATS_URL"])
		request := func(tenant string, more ...string) (code int, stdout string) {
			t.Helper()
			args := append([]string{"--wait", outcomeWait, "--id", tenant}, more...)
			code, stdout, stderr := command(t, client, requestArgs(tenant, args...)...)
			testkit.Equal(t, "stderr", stderr, "")
			return code, stdout
		}
		code, stdout := request("acme", "--json")
		testkit.Equal(t, "exit code", code, 0)
		validator(t)([]byte(stdout))
		testkit.Contains(t, "the outcome", stdout, `"scripts":[{"name":"010_orders.sql","sha256":"`,
			`"number":5,"name":"run_init_scripts"`, `"number":6,"name":"register_tenant"`)
		recorded := stdout
		_, stdout = request("acme")
		testkit.Contains(t, "the outcome for people", stdout, "\n    scripts 2, the last 020_owner.sql\n", "Step 5/6: run_init_scripts")
		got := d.rows("acme", "SELECT tenant_id || ' ' || display_name || ' ' || owner || ' ' || coalesce(plan, '-') FROM {b}account")
		testkit.Equal(t, "the account", strings.Join(got, "; "), "acme Acme Inc. test -")
		testkit.Equal(t, "orders", len(d.rows("acme", "SELECT code FROM {b}order_status")), 3)
		applied := d.rows(system, "SELECT name || ' ' || length(sha256) FROM {b}applied_scripts WHERE tenant_id = 'acme' ORDER BY name")
		testkit.Equal(t, "records", strings.Join(applied, "; "), "010_orders.sql 64; 020_owner.sql 64")
		definitions := d.rows(system, "SELECT fingerprint FROM {b}definitions UNION SELECT definition FROM {b}tenant_registry WHERE tenant_id = 'acme'")
		testkit.Equal(t, "definitions", len(definitions), 1)
		testkit.Contains(t, "the outcome", recorded, `"definition":"`+definitions[0]+`"`)
		code, stdout, stderr := command(t, env, "tenants", "verify", "--strict")
		if code != 0 {
			t.Errorf("verify: %s%s", stdout, stderr)
		}
		check := func() doctor.Finding { return runDoctor(t, env)["registry_scripts"] }
		for name, found := range runDoctor(t, env) {
			of := name == "registry_scripts" || strings.HasSuffix(name, "_rehearsal") || strings.HasPrefix(name, "prepared_")
			if of && found.Status != doctor.OK {
				t.Errorf("%+v", found)
			}
		}
		testkit.Equal(t, "exit code", service.stop(t), 0)

		// A new file, and one that is gone.
		added, edited := filepath.Join(scripts, d.engineDir(), "030_more.sql"), filepath.Join(scripts, d.engineDir(), "010_orders.sql")
		testkit.Must(t, os.WriteFile(added, []byte("CREATE TABLE more (n INTEGER);\n"), 0o644))
		original, err := os.ReadFile(edited)
		testkit.Must(t, err)
		testkit.Must(t, os.Remove(filepath.Join(scripts, d.engineDir(), "020_owner.sql")))
		service = serve(t, env)
		testkit.Contains(t, "the log", service.stderr.String(), `INIT_SCRIPTS has no script 020_owner.sql, which tenant \"acme\" has`)
		code, _ = request("beta")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "the new table", len(d.rows("beta", "SELECT n FROM {b}more")), 0)
		code, stdout, _ = command(t, env, "tenants", "verify")
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "verify", stdout, "initialisation scripts: table more is missing; the tenant was made by an earlier definition",
			"in order 2", "drifted 1") // the bootstrap tenant has no scripts
		testkit.Equal(t, "exit code", service.stop(t), 0)
		found := check()
		testkit.Equal(t, "doctor", found.Status, doctor.Warning)
		testkit.Contains(t, "hint", found.Hint, "020_owner.sql")

		testkit.Must(t, os.WriteFile(edited, append(original, "-- edited\n"...), 0o644))
		js := natstest.JetStream(t, env["NATS_URL"])
		publish(t, js, requestFor(t, "order-9", "gamma"))
		refused := launch(t, env)
		testkit.Equal(t, "exit code", refused.wait(t), 1)
		testkit.Contains(t, "the log", refused.stderr.String(), "a script that tenants have must not be edited: 010_orders.sql has the SHA-256",
			"restore the file (line ends count), and put the change into a new one with a higher number")
		found = check()
		testkit.Equal(t, "doctor", found.Status, doctor.Fault)
		testkit.Contains(t, "hint", found.Hint, "010_orders.sql")
		testkit.Equal(t, "requests in the ledger", len(d.rows(system, "SELECT tenant_id FROM {b}tenant_requests WHERE tenant_id = 'gamma'")), 0)

		testkit.Must(t, os.WriteFile(edited, original, 0o644))
		service = serve(t, env)
		awaitSettled(t, js)
		testkit.Equal(t, "the waiting request", len(d.rows(system, "SELECT tenant_id FROM {b}tenant_registry WHERE tenant_id = 'gamma'")), 1)
		testkit.Equal(t, "exit code", service.stop(t), 0)
	})
}

// A fault in a script ends the start, with its file, line and the database's words, before any request is taken.
func TestFaultyScriptsEndTheStart(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		d = withPlainRole(t, d)
		url := natstest.Start(t)
		js := natstest.JetStream(t, url)
		first := serve(t, settings(d.env, with("NATS_URL", url)))
		testkit.Equal(t, "exit code", first.stop(t), 0)
		publish(t, js, requestFor(t, "order-1", "acme"))
		for name, c := range map[string]struct {
			text string
			want []string
		}{
			"a missing table": {
				"CREATE TABLE fine (n INTEGER);\n\n-- a comment\nINSERT INTO missing\n  VALUES (1);\n",
				[]string{"010_a.sql, line 4", "missing"},
			},
			"a syntax error": {"CREATE TABLE fine (n INTEGER);\nCREATE TABEL x (n INTEGER);\n", []string{"010_a.sql, line 2", "TABEL"}},
			"a transaction":  {"\nBEGIN;\nCREATE TABLE x (n INTEGER);\nCOMMIT;\n", []string{"010_a.sql, line 2"}},
			"the definition": {"DROP TABLE document_metadata;\n", []string{"document_metadata"}},
			"prepared":       {"-- provisioner: prepare\nINSERT INTO missing VALUES (1);\n", []string{"010_a.sql, line 2", "missing"}},
		} {
			scripts := scriptsOf(t, d.engineDir(), "010_a.sql", c.text)
			env := settings(d.env, with("NATS_URL", url), with("INIT_SCRIPTS", scripts))
			refused := launch(t, env)
			if code := refused.wait(t); code != 1 {
				t.Errorf("%s: exit code %d:\n%s", name, code, refused.stderr.String())
			}
			testkit.Contains(t, name, refused.stderr.String(), append(c.want, `"error":"INIT_SCRIPTS: `)...)
			check := map[bool]string{true: "storage_rehearsal", false: "database_rehearsal"}[d.sqlite()]
			found := runDoctor(t, env)[check]
			testkit.Equal(t, "doctor on "+name, found.Status, doctor.Fault)
			testkit.Contains(t, "doctor on "+name, found.Message, c.want...)
		}
		if n := len(d.rows(system, "SELECT tenant_id FROM {b}tenant_requests")); n != 0 {
			t.Errorf("the ledger has %d requests", n)
		}
		stream, err := js.Stream(t.Context(), events.StreamEvents)
		testkit.Must(t, err)
		testkit.Equal(t, "outcomes", stream.CachedInfo().State.Msgs, 0)
	})
}

// DocEX lists the newest 50 documents of a basket. With the indexes of deploy/init-scripts/docex the database reads them
// from an index; without, it reads and sorts the whole basket.
func TestListingUsesTheIndexOfDocEX(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		d = withPlainRole(t, d)
		const index = "idx_document_basket_created"
		const listing = "SELECT * FROM {b}document WHERE basket_id = 'full' ORDER BY created_at DESC LIMIT 50"
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		js := natstest.JetStream(t, env["NATS_URL"])
		plan := map[string]string{}
		for _, scripts := range []string{"", deployedScripts + "docex"} {
			tenant := map[bool]string{true: "without", false: "with"}[scripts == ""]
			env["INIT_SCRIPTS"] = scripts
			service := serve(t, env)
			publish(t, js, requestFor(t, tenant, tenant))
			awaitSettled(t, js)
			testkit.Equal(t, "exit code", service.stop(t), 0)
			plan[tenant] = d.planOf(t, tenant, listing, fill10000...)
		}
		testkit.Lacks(t, "the plan without the scripts", plan["without"], index)
		testkit.Contains(t, "the plan with the scripts", plan["with"], index)
		testkit.Lacks(t, "the plan with the scripts", strings.ToLower(plan["with"]), "sort", "temp b-tree")
	})
}

// fill10000 are statements that put 10,000 documents into one basket, and as many into another.
var fill10000 = []string{
	"INSERT INTO {b}docbasket (id, name, storage_config) VALUES ('full', 'full', '{}'), ('other', 'other', '{}')",
	"INSERT INTO {b}document (id, basket_id, name, source, path, checksum, created_at) " +
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) " +
		"SELECT CAST(i AS varchar(36)), CASE i % 2 WHEN 0 THEN 'full' ELSE 'other' END, 'n', 's', 'p', 'c', {at} FROM n",
	"ANALYZE {b}document",
}

// planOf runs statements in the tenant, and returns how the database executes a query there.
func (d testDatabase) planOf(t *testing.T, tenant, query string, statements ...string) string {
	t.Helper()
	at := "timestamp '2026-01-01' + i * interval '1 minute'"
	if d.sqlite() {
		at = "strftime('%Y-%m-%d %H:%M:%S', '2026-01-01', i || ' minutes')"
	}
	for _, s := range statements {
		d.execute(tenant, strings.ReplaceAll(s, "{at}", at))
	}
	if !d.sqlite() {
		// In public of the tests' databases wait operators that fit varchar better.
		return strings.Join(d.rows(tenant, "EXPLAIN "+strings.ReplaceAll(query, " = ", " OPERATOR(pg_catalog.=) ")), "\n")
	}
	db, err := databasesql.Open("sqlite", "file:"+filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"), "tenant_"+tenant, "docex.db"))
	testkit.Must(t, err)
	defer func() { testkit.Must(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+strings.ReplaceAll(query, "{b}", ""))
	testkit.Must(t, err)
	defer func() { testkit.Must(t, rows.Close()) }()
	var lines []string
	for rows.Next() {
		var line string
		testkit.Must(t, rows.Scan(new(int), new(int), new(int), &line))
		lines = append(lines, line)
	}
	testkit.Must(t, rows.Err())
	return strings.Join(lines, "\n")
}
