package main

import (
	databasesql "database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/docextest"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// docexData is a registry with tenants that DocEX itself has made, with rows in every tenant.
type docexData struct {
	testDatabase
	boundaries []string // schemas or files
	registered []string // the tenants that DocEX has registered, in order
}

// docexRows are a basket with a document, as DocEX writes them; {b} stands for a prefix to the tables.
var docexRows = []string{
	`INSERT INTO {b}docbasket (id, name, storage_config, status, created_at, updated_at)
		VALUES ('b', 'invoices', '{}', 'active', '2026-01-01 00:00:00', '2026-01-01 00:00:00')`,
	`INSERT INTO {b}document (id, basket_id, name, source, path, document_type, checksum, status, processing_attempts,
		created_at, updated_at) VALUES ('d', 'b', 'a.pdf', 's', 'p', 'file', 'c', 'active', 0, '2026-01-01 00:00:00',
		'2026-01-01 00:00:00')`,
}

// onDocEX runs a test on what DocEX makes on PostgreSQL and on SQLite. On SQLite its create() leaves d1's file without
// rows and unregistered.
func onDocEX(t *testing.T, test func(t *testing.T, d docexData)) {
	t.Helper()
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		d := docexData{testDatabase: newPostgres(t), registered: docextest.Tenants}
		url := d.env["DATABASE_URL"]
		docextest.Postgres(t, url, "")
		execute(t, "pgx", url, "docex_system.", docexRows...)
		d.boundaries = []string{"docex_system"}
		for _, tenant := range d.registered {
			execute(t, "pgx", url, `"tenant_`+tenant+`".`, docexRows...)
			d.boundaries = append(d.boundaries, "tenant_"+tenant)
		}
		test(t, d)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		d := docexData{testDatabase: newSQLite(t)}
		docextest.SQLite(t, strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"))
		d.boundaries = []string{d.boundary("tenant_" + system), d.boundary("tenant_d1")}
		execute(t, "sqlite", "file:"+d.boundaries[0], "", docexRows...)
		test(t, d)
	})
}

// docexTables are DocEX's tables: those of a tenant, and the registry.
var docexTables = []string{
	"doc_events", "docbasket", "document", "document_metadata", "file_history", "operation_dependencies", "operations",
	"processing_operations", "processors", "route_operations", "tenant_registry", "transport_routes",
}

// state describes the boundaries, one fact a line: of DocEX's own tables everything including the rows, of others that
// they are there.
func (d docexData) state(t *testing.T) (facts []string) {
	t.Helper()
	for _, boundary := range d.boundaries {
		describe := describeSchema
		source := d.env["DATABASE_URL"]
		driver := "pgx"
		if d.sqlite() {
			driver, source, describe = "sqlite", "file:"+boundary+"?mode=ro", describeFile
		}
		db, err := databasesql.Open(driver, source)
		testkit.Must(t, err)
		facts = append(facts, describe(t, db, boundary)...)
		testkit.Must(t, db.Close())
	}
	return facts
}

func describeSchema(t *testing.T, db *databasesql.DB, schema string) (facts []string) {
	t.Helper()
	ours := "relname IN ('" + strings.Join(docexTables, "', '") + "')"
	facts = column(t, db, strings.NewReplacer("{ours}", ours, "{schema}", schema).Replace(`
		WITH r AS (SELECT * FROM pg_class WHERE relnamespace = '"{schema}"'::regnamespace)
		SELECT CASE relkind WHEN 'r' THEN 'table' ELSE 'relation' END || ' {schema}.' || relname
			|| CASE WHEN {ours} THEN concat(' ', relowner::regrole, ' ', relacl::text, ' ', reloptions::text, relrowsecurity)
			ELSE '' END FROM r WHERE relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
		UNION ALL SELECT 'column {schema}.' || concat_ws(' ', relname || '.' || attname, format_type(atttypid, atttypmod),
			CASE WHEN attnotnull THEN 'not null' END, pg_get_expr(adbin, adrelid))
			FROM r JOIN pg_attribute a ON attrelid = r.oid AND attnum > 0
			LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE {ours}
		UNION ALL SELECT 'constraint {schema}.' || relname || ' ' || conname || ' ' || pg_get_constraintdef(k.oid)
			FROM r JOIN pg_constraint k ON conrelid = r.oid WHERE {ours}
		UNION ALL SELECT 'trigger {schema}.' || relname || ' ' || pg_get_triggerdef(g.oid)
			FROM r JOIN pg_trigger g ON tgrelid = r.oid WHERE {ours} AND NOT tgisinternal
		UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) FROM r JOIN pg_index ON indrelid = r.oid WHERE {ours}
		UNION ALL SELECT 'comment on schema {schema}' WHERE obj_description('"{schema}"'::regnamespace) <> ''`))
	for _, table := range column(t, db, "SELECT relname FROM pg_class WHERE "+ours+
		` AND relkind = 'r' AND relnamespace = '"`+schema+`"'::regnamespace`) {
		facts = append(facts, column(t, db, fmt.Sprintf(`SELECT 'row %[1]s.%[2]s ' || jsonb_strip_nulls(to_jsonb(t))::text FROM "%[1]s".%[2]s t`,
			schema, table))...)
	}
	return facts
}

func describeFile(t *testing.T, db *databasesql.DB, path string) (facts []string) {
	t.Helper()
	facts = []string{path + ": journal_mode " + column(t, db, "PRAGMA journal_mode")[0]}
	for _, table := range column(t, db, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view', 'trigger')") {
		facts = append(facts, "table "+table)
		if !slices.Contains(docexTables, table) {
			continue
		}
		facts = append(facts, column(t, db, fmt.Sprintf(`SELECT concat_ws(' ', 'column', '%[1]s.' || name, type,
			CASE WHEN "notnull" THEN 'not null' END, dflt_value, CASE WHEN pk > 0 THEN 'key ' || pk END) FROM pragma_table_info('%[1]s')
			UNION ALL SELECT concat_ws(' ', 'foreign key', '%[1]s', "from", "table", "to", on_delete) FROM pragma_foreign_key_list('%[1]s')
			UNION ALL SELECT coalesce(sql, 'key ' || name) FROM sqlite_schema WHERE type = 'index' AND tbl_name = '%[1]s'`, table))...)
		names := column(t, db, "SELECT '''' || name || ''', ' || name FROM pragma_table_info('"+table+"')")
		facts = append(facts, column(t, db, fmt.Sprintf("SELECT 'row %s ' || json_patch('{}', json_object(%s)) FROM %[1]s",
			table, strings.Join(names, ", ")))...)
	}
	return facts
}

// added asserts that nothing of before is missing in after, and returns what is new.
func added(t *testing.T, before, after []string) (facts []string) {
	t.Helper()
	for _, fact := range before {
		if !slices.Contains(after, fact) {
			t.Errorf("gone, or changed: %s", fact)
		}
	}
	for _, fact := range after {
		if !slices.Contains(before, fact) {
			facts = append(facts, fact)
		}
	}
	slices.Sort(facts)
	return facts
}

// addedToRegistry is what the first start adds to a registry that DocEX made. docs/docex.md lists it.
var addedToRegistry = map[bool][]string{
	false: {
		"column docex_system.document.related_po character varying(50)",
		"column docex_system.tenant_registry.definition character varying(16)",
		"column docex_system.tenant_registry.plan character varying(50)",
		"column docex_system.tenant_registry.plan_max_bytes bigint",
		"column docex_system.tenant_registry.plan_max_rows bigint",
		"comment on schema docex_system",
		"index CREATE INDEX idx_documents_related_po ON docex_system.document USING btree (related_po)",
		`index CREATE INDEX tenant_registry_lower_tenant_id ON docex_system.tenant_registry USING btree (lower(((tenant_id)::text COLLATE "C")))`,
		"index CREATE UNIQUE INDEX tenant_registry_database_path ON docex_system.tenant_registry USING btree (database_path)",
		"index CREATE UNIQUE INDEX tenant_registry_schema_name ON docex_system.tenant_registry USING btree (schema_name)",
		"relation docex_system.tenant_provisioner_migrations_id_seq",
		"table docex_system.accepted_outcomes",
		"table docex_system.applied_scripts",
		"table docex_system.definitions",
		"table docex_system.prepared_boundaries",
		"table docex_system.registry_stamp",
		"table docex_system.tenant_provisioner_migrations",
		"table docex_system.tenant_requests",
	},
	true: {
		"CREATE INDEX idx_documents_related_po ON document (related_po)",
		"CREATE INDEX tenant_registry_lower_tenant_id ON tenant_registry (tenant_id COLLATE NOCASE)",
		"CREATE UNIQUE INDEX tenant_registry_database_path ON tenant_registry (database_path)",
		"CREATE UNIQUE INDEX tenant_registry_schema_name ON tenant_registry (schema_name)",
		"column document.related_po VARCHAR(50)",
		"column tenant_registry.definition VARCHAR(16)",
		"column tenant_registry.plan VARCHAR(50)",
		"column tenant_registry.plan_max_bytes BIGINT",
		"column tenant_registry.plan_max_rows BIGINT",
		"table accepted_outcomes",
		"table applied_scripts",
		"table definitions",
		"table registry_stamp",
		"table sqlite_sequence",
		"table tenant_provisioner_migrations",
		"table tenant_requests",
	},
}

// The service starts on what DocEX made. It adds to the registry exactly what is listed, once, and a row for each new
// tenant; every row and table of DocEX stays.
func TestStartOnARegistryOfDocEX(t *testing.T) {
	onDocEX(t, func(t *testing.T, d docexData) {
		nats := natstest.Start(t)
		env := settings(d.env, with("NATS_URL", nats))
		before := d.state(t)
		about := []string{"registry", "database_timezone"}
		testkit.Equal(t, "findings before the first start", findings(runDoctor(t, d.env), about...),
			map[bool]string{false: "registry_ledger warning", true: "registry_file warning, registry_ledger warning"}[d.sqlite()])
		testkit.Equal(t, "changed by doctor", len(added(t, before, d.state(t))), 0)
		r := serve(t, env)
		testkit.Equal(t, "exit code", r.stop(t), 0)
		started := d.state(t)
		want := addedToRegistry[d.sqlite()]
		if d.sqlite() { // so that readers and writers do not block each other
			mode := d.boundaries[0] + ": journal_mode "
			before = slices.DeleteFunc(before, func(fact string) bool { return fact == mode+"delete" })
			want = slices.Sorted(slices.Values(append([]string{mode + "wal"}, want...)))
		}
		testkit.Equal(t, "added by the first start", strings.Join(added(t, before, started), "\n"), strings.Join(want, "\n"))

		r = serve(t, env)
		code, outcome, _ := command(t, with("NATS_URL", nats), requestArgs("acme", "--wait", outcomeWait, "--json")...)
		testkit.Equal(t, "exit code of the request", code, 0)
		testkit.Contains(t, "outcome", outcome, `"tables":11,"indexes":18`, `"warnings":[]`)
		code, _, _ = command(t, with("NATS_URL", nats), requestArgs("docex_TWO", "--wait", outcomeWait, "--id", "taken")...)
		testkit.Equal(t, "exit code of a request for a tenant of DocEX", code, map[bool]int{true: 0, false: 1}[d.sqlite()])
		testkit.Equal(t, "exit code", r.stop(t), 0)
		provisioned := []string{"acme"}
		if d.sqlite() {
			provisioned = []string{"acme", "docex_TWO"}
		}
		rows := added(t, started, d.state(t))
		testkit.Equal(t, "added by requests", len(rows), len(provisioned))
		testkit.Contains(t, "row", rows[0], "tenant_registry", "acme")

		code, list, _ := command(t, settings(d.env), "tenants", "list")
		testkit.Equal(t, "exit code of tenants list", code, 0)
		testkit.Contains(t, "tenants list", list, slices.Concat(d.registered, provisioned, []string{system})...)
		checks := runDoctor(t, d.env)
		testkit.Equal(t, "findings", findings(checks, about...), "")
		testkit.Contains(t, "message", checks["registry_ledger"].Message, fmt.Sprintf("was pruned: %d", len(d.registered)))
		for args, want := range map[string]int{"--strict acme": 0, "": 0, "--strict": 1} {
			code, verified, _ := command(t, settings(d.env), append([]string{"tenants", "verify"}, strings.Fields(args)...)...)
			testkit.Equal(t, "exit code of tenants verify "+args+": "+verified, code, want)
		}
	})
}

// The file that a failed creation of DocEX left is used as it is.
func TestFileThatDocEXLeftIsUsed(t *testing.T) {
	t.Parallel()
	d, nats := docexData{testDatabase: newSQLite(t)}, natstest.Start(t)
	docextest.SQLite(t, strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"))
	d.boundaries = []string{d.boundary("tenant_d1")}
	before := d.state(t)
	r := serve(t, settings(d.env, with("NATS_URL", nats)))
	code, outcome, _ := command(t, with("NATS_URL", nats), requestArgs("d1", "--wait", outcomeWait, "--json")...)
	testkit.Equal(t, "exit code of the request", code, 0)
	testkit.Contains(t, "outcome", outcome, `"tables":11,"indexes":17`, "SCHEMA_DIFFERS", "related_po")
	testkit.Equal(t, "exit code", r.stop(t), 0)
	testkit.Equal(t, "added", strings.Join(added(t, before, d.state(t)), "\n"), "")
	code, _, _ = command(t, settings(d.env), "tenants", "verify", "d1")
	testkit.Equal(t, "exit code of tenants verify", code, 0)
}

// The service is killed at every point between two durable effects, beside DocEX's tenants. Nothing of DocEX changes.
func TestKilledBesideTenantsOfDocEX(t *testing.T) {
	onDocEX(t, func(t *testing.T, d docexData) {
		nats := natstest.Start(t)
		env := settings(d.env, with("NATS_URL", nats), with("ACK_WAIT", "1s"))
		r := serve(t, env)
		testkit.Equal(t, "exit code", r.stop(t), 0)
		before := d.state(t)
		points := scenarios["provisioned"].pointsOn(d.testDatabase)
		js := natstest.JetStream(t, nats)
		killAtEach(t, js, env, points, func(i int) {
			publish(t, js, requestFor(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
		})
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), fmt.Sprintf("provisioned %d", len(points)))
		rows := added(t, before, d.state(t))
		testkit.Equal(t, "rows added", len(rows), len(points))
		for _, row := range rows {
			testkit.Contains(t, "row", row, "tenant_registry ", `"tenant_id":`, "tenant_")
		}
		testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
	})
}

// DocEX, in another process, can hold the file of the registry, or of one tenant. The service waits for it, at the start
// and while it runs: no request fails, and none is charged an attempt.
func TestFileThatDocEXHolds(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	docextest.SQLite(t, strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"))
	d.createBoundary("busy", "PRAGMA user_version = 0")
	hold := func(tenant, how string) (release func()) {
		t.Helper()
		db, err := databasesql.Open("sqlite", "file:"+d.boundary("tenant_"+tenant)+"?_pragma=busy_timeout(10000)")
		testkit.Must(t, err)
		conn, err := db.Conn(t.Context())
		testkit.Must(t, err)
		_, err = conn.ExecContext(t.Context(), how)
		testkit.Must(t, err)
		return func() {
			t.Helper()
			_, err := conn.ExecContext(t.Context(), "ROLLBACK")
			testkit.Must(t, errors.Join(err, conn.Close(), db.Close()))
		}
	}
	nats := natstest.Start(t)
	env := settings(d.env, with("NATS_URL", nats))
	const reads = "BEGIN; SELECT count(*) FROM tenant_registry" // the mode of the file cannot be changed
	var service *process
	for _, how := range []string{"BEGIN EXCLUSIVE", reads} {
		release := hold(system, how)
		service = launch(t, env)
		testkit.Logs(t, &service.stderr, "waiting for the database", "the registry is locked by another process")
		release()
		testkit.Logs(t, &service.stderr, "taking requests")
		if how != reads {
			service.signal(t, syscall.SIGTERM)
			testkit.Equal(t, "exit code", service.wait(t), 0)
			d.registry(t, "PRAGMA journal_mode = DELETE")
		}
	}
	js := natstest.JetStream(t, nats)
	release := hold(system, "BEGIN IMMEDIATE")
	publish(t, js, requestFor(t, "order-1", "acme"))
	testkit.Logs(t, &service.stderr, "the registry is locked by another process")
	release()
	awaitSettled(t, js)

	release = hold("busy", "BEGIN EXCLUSIVE")
	publish(t, js, requestFor(t, "order-2", "busy"), requestFor(t, "order-3", "other"))
	testkit.Eventually(t, "the other tenant is provisioned", func() bool { return slices.Contains(d.tenants(), "other") })
	testkit.Eventually(t, "the request for the held file is tried more often than attempts are allowed", func() bool {
		return strings.Count(service.stderr.String(), "returning request to the stream") > 8
	})
	release()
	awaitSettled(t, js)
	for _, e := range storedOutcomes(t, js) {
		data, err := events.ProvisionedFrom(e)
		testkit.Must(t, err)
		testkit.Equal(t, "attempts for "+data.TenantID, data.Attempts, 1)
	}
	testkit.Equal(t, "tenants", fmt.Sprint(d.tenants()), "[acme busy other]")
}

// A tenant that was provisioned and has lost its row, as to a clean-up of DocEX, is named with the SQL that registers it
// again as it was. One whose boundary is missing too may have been removed.
func TestDoctorFindsTenantsThatLostTheirRow(t *testing.T) {
	onDocEX(t, func(t *testing.T, d docexData) {
		nats := natstest.Start(t)
		r := serve(t, settings(d.env, with("NATS_URL", nats)))
		for _, tenant := range []string{"acme", "gone"} {
			code, _, _ := command(t, with("NATS_URL", nats), requestArgs(tenant, "--wait", outcomeWait, "--id", tenant)...)
			testkit.Equal(t, "exit code of the request", code, 0)
		}
		testkit.Equal(t, "exit code", r.stop(t), 0)
		if d.sqlite() { // zeros at the end of the time, which the outcome leaves out
			d.registry(t, "UPDATE {b}tenant_requests SET outcome = json_set(outcome, '$.data.created_at', '2026-03-04T12:00:00.24Z')",
				"UPDATE {b}tenant_registry SET created_at = '2026-03-04 12:00:00.240000', "+
					"last_updated_at = '2026-03-04 12:00:00.240000' WHERE tenant_id = 'acme'")
		}
		before := d.state(t)
		d.registry(t, "DELETE FROM {b}tenant_registry WHERE tenant_id IN ('acme', 'gone')")
		if d.sqlite() {
			testkit.Must(t, os.Remove(d.boundary("tenant_gone")))
		} else {
			d.registry(t, "DROP SCHEMA tenant_gone CASCADE")
		}
		found := runDoctor(t, d.env)["registry_ledger"]
		testkit.Equal(t, "status", found.Status, doctor.Fault)
		testkit.Contains(t, "message", found.Message, "2 provisioned and missing")
		lines := strings.Split(found.Hint, "\n")
		testkit.Equal(t, "lines of the hint", len(lines), 3)
		testkit.Contains(t, "hint", lines[0], "-- acme, in "+d.boundary("tenant_acme"))
		testkit.Contains(t, "hint", lines[2], "-- gone, in "+d.boundary("tenant_gone"), "backup")
		d.registry(t, lines[1])
		after := d.state(t)
		for _, fact := range before {
			if !slices.Contains(after, fact) && !strings.Contains(fact, `"gone"`) {
				t.Errorf("gone, or changed: %s", fact)
			}
		}
		testkit.Equal(t, "facts", len(after), len(before)-1)
		found = runDoctor(t, d.env)["registry_ledger"]
		testkit.Equal(t, "status", found.Status, doctor.Warning)
		testkit.Lacks(t, "hint", found.Hint, "INSERT", "acme")
	})
}

// DocEX's clean-up drops an unquoted name: of T1 it drops tenant_t1.
func TestDoctorFindsSchemasThatDifferInCase(t *testing.T) {
	t.Parallel()
	d := withRegistry(t, newPostgres(t))
	d.createBoundary("t1")
	d.registerTenants(t, map[string]string{"t1": "tenant_t1"})
	testkit.Equal(t, "findings", findings(runDoctor(t, d.env), "registry"), "")
	d.createBoundary("T1") // as a failed creation leaves it
	checks := runDoctor(t, d.env)
	testkit.Equal(t, "findings", findings(checks, "registry"), "registry_case warning")
	testkit.Equal(t, "hint", checks["registry_case"].Hint, "-- tenant t1 is in tenant_t1; tenant_T1 is not registered: see what is in it")
	d.registerTenants(t, map[string]string{"T1": "tenant_T1"})
	checks = runDoctor(t, d.env)
	testkit.Equal(t, "findings", findings(checks, "registry"), "registry_case warning, registry_twins warning")
	testkit.Equal(t, "hint", checks["registry_case"].Hint, "-- tenant T1 is in tenant_T1; tenant_t1 is registered for t1\n"+
		"-- tenant t1 is in tenant_t1; tenant_T1 is registered for T1")
}

// TimeZone matters where a column is filled in with local time: in the registry that DocEX made, not in the service's.
func TestDoctorFindsTimeZones(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t, "timezone=America/New_York")
	env := with("DATABASE_URL", s.URL)
	finds := func(status string, parts ...string) doctor.Finding {
		t.Helper()
		found := runDoctor(t, env)["database_timezone"]
		testkit.Equal(t, "status", found.Status, status)
		testkit.Contains(t, "message", found.Message, parts...)
		return found
	}
	finds(doctor.OK, "the server (America/New_York); no column")
	r := serve(t, settings(env, with("NATS_URL", natstest.Start(t)))) // a registry of its own
	testkit.Equal(t, "exit code", r.stop(t), 0)
	finds(doctor.OK, "the server (America/New_York); no column")

	executeWritable(t, s.URL, "DROP SCHEMA docex_system CASCADE", "CREATE ROLE docex LOGIN", "ALTER ROLE docex SET timezone = 'Europe/Berlin'",
		"ALTER ROLE docex IN DATABASE tenants SET TimeZone = 'Asia/Tokyo'", "ALTER ROLE postgres SET TimeZone = 'UTC'",
		"CREATE ROLE other LOGIN", "ALTER ROLE other SET TimeZone = 'Etc/UTC'")
	docextest.Postgres(t, s.URL, "")
	found := finds(doctor.Warning, "role docex in database tenants (Asia/Tokyo)",
		"tenant_registry.created_at, tenant_registry.last_updated_at")
	// This role's setting hides the server's.
	testkit.Lacks(t, "message", found.Message, "role other", "role postgres", "New_York", "Berlin")
	testkit.Equal(t, "hint", found.Hint, `ALTER ROLE "docex" IN DATABASE "tenants" SET TimeZone = 'UTC';`)
	executeWritable(t, s.URL, "ALTER ROLE postgres RESET TimeZone", found.Hint)
	found = finds(doctor.Warning, "the server (America/New_York)")
	testkit.Contains(t, "hint", found.Hint, `ALTER DATABASE "tenants" SET TimeZone = 'UTC';`)
	executeWritable(t, s.URL, strings.Split(found.Hint, "\n")...)
	finds(doctor.OK, "sessions begin with TimeZone UTC")
	executeWritable(t, s.URL, "ALTER ROLE docex IN DATABASE tenants RESET TimeZone")
	found = finds(doctor.Warning, "role docex (Europe/Berlin)")
	executeWritable(t, s.URL, strings.Split(found.Hint, "\n")...)
	finds(doctor.OK, "sessions begin with TimeZone UTC")
}
