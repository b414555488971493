package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// onDDL returns the statements that create an event trigger, which runs with an administrator's permissions.
func onDDL(name, event, body string) []string {
	return []string{
		"CREATE FUNCTION public." + name + "() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $f$ DECLARE r record; BEGIN " +
			body + " END $f$",
		"CREATE EVENT TRIGGER " + name + " ON " + event + " EXECUTE FUNCTION public." + name + "()",
	}
}

// forEachTable returns the body of an event trigger that runs a statement for each new table, named by %s.
func forEachTable(statement string) string {
	return "FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP " +
		"EXECUTE format('" + statement + "', r.object_identity); END LOOP;"
}

// houseRule is what an administrator, or an extension of a managed service, does to what others create.
type houseRule struct {
	rule  []string // {role} is the service's role, {group} a role that it is a member of
	fails bool     // requests fail, or wait in an outage
	names []string // parts of the finding, with its hint
}

var houseRules = map[string]houseRule{
	"row security on each table": {
		rule:  onDDL("autorls", "ddl_command_end", forEachTable("ALTER TABLE %s ENABLE ROW LEVEL SECURITY")),
		fails: true, names: []string{"row level security", `ALTER EVENT TRIGGER "autorls" DISABLE;`},
	},
	"an audit trigger on each table": {
		rule: append([]string{"CREATE FUNCTION public.a() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'"},
			onDDL("audit", "ddl_command_end", forEachTable(
				"CREATE TRIGGER noted AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION public.a()"))...),
		fails: true, names: []string{"trigger noted", "-- ddl_command_end, function public.audit()"},
	},
	"no replica identity": {
		rule:  onDDL("unnamed", "ddl_command_end WHEN tag IN ('CREATE TABLE')", forEachTable("ALTER TABLE %s REPLICA IDENTITY NOTHING")),
		fails: true, names: []string{"REPLICA IDENTITY NOTHING", `"unnamed"`},
	},
	"names that are refused": {
		rule: onDDL("naming", "ddl_command_end", `FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
			IF r.command_tag = 'CREATE SCHEMA' AND r.object_identity NOT LIKE 'app_%' THEN RAISE EXCEPTION 'a name is refused'
			USING DETAIL = 'Schemas are of applications.', HINT = 'Begin it with app_.'; END IF; END LOOP;`),
		fails: true, names: []string{
			"create schema tenant_rehearsal_", "a name is refused (SQLSTATE P0001)", "DETAIL: Schemas are of applications.",
			"HINT: Begin it with app_.", "CONTEXT: PL/pgSQL function public.naming() line ", `TRIGGER "naming" DISABLE`,
		},
	},
	"comments that are refused": {
		rule:  onDDL("silence", "ddl_command_start WHEN tag IN ('COMMENT')", "RAISE EXCEPTION 'no comment';"),
		fails: true, names: []string{"no comment", `"silence"`},
	},
	"a log that the role may not write": {
		rule: []string{
			"CREATE TABLE public.ddl_log (tag text)",
			"CREATE FUNCTION public.log() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.ddl_log VALUES (tg_tag); END'",
			"CREATE EVENT TRIGGER logged ON ddl_command_end EXECUTE FUNCTION public.log()",
		},
		fails: true, names: []string{"grant it: ERROR: permission denied for table ddl_log (SQLSTATE 42501)", "CONTEXT: ", `"logged"`},
	},
	"a tablespace that the role may not use": {
		rule:  []string{"ALTER ROLE {role} SET default_tablespace = 'pg_global'"},
		fails: true, names: []string{"42501", "tablespace pg_global"},
	},
	"a trigger that refuses tenants": {
		rule: []string{
			"CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'closed' USING HINT = 'Open it.'; END$$",
			"CREATE TRIGGER refuses BEFORE INSERT ON docex_system.tenant_registry FOR EACH ROW EXECUTE FUNCTION public.refuse()",
		},
		fails: true, names: []string{"register", "closed", "HINT: Open it.", "function public.refuse()"},
	},

	"NOTIFY":                {rule: onDDL("reload", "ddl_command_end", "NOTIFY pgrst, 'reload schema';")},
	"a log":                 {rule: append([]string{"CREATE TABLE public.ddl_log (tag text)"}, onDDL("log", "ddl_command_end", "INSERT INTO public.ddl_log VALUES (tg_tag);")...)},
	"replica identity full": {rule: onDDL("identity", "ddl_command_end", forEachTable("ALTER TABLE %s REPLICA IDENTITY FULL"))},
	"a disabled trigger":    {rule: append(onDDL("off", "ddl_command_start", "RAISE 'off';"), "ALTER EVENT TRIGGER off DISABLE")},
	"other statements":      {rule: onDDL("others", "ddl_command_start WHEN tag IN ('CREATE EXTENSION')", "RAISE 'no extensions';")},
	"privileges for others": {rule: []string{"ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT ON TABLES TO {group}"}},
	"privileges revoked":    {rule: []string{"ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE ALL ON TABLES FROM {role}"}},
	"another access method": {rule: []string{"CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler", "ALTER ROLE {role} SET default_table_access_method = heap2"}},
	"settings of the role":  {rule: []string{"ALTER ROLE {role} SET search_path = nowhere", "ALTER ROLE {role} SET row_security = on"}},
	"no temporary tables":   {rule: []string{"DO $$BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END$$"}},
	"the owner is the group": {
		rule: onDDL("own", "ddl_command_end", `FOR r IN SELECT * FROM pg_event_trigger_ddl_commands()
			WHERE command_tag IN ('CREATE TABLE', 'CREATE SCHEMA') LOOP
			EXECUTE format('ALTER %s %s OWNER TO {group}', r.object_type, r.object_identity); END LOOP;`),
	},
	// The name of a rehearsal is as ordinary as those of tenants.
	"names that are accepted": {
		rule: onDDL("naming", "ddl_command_end", `FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
			IF r.command_tag = 'CREATE SCHEMA' AND r.object_identity !~ '^tenant_[a-z]([a-z0-9]|_(?!_)){0,30}[a-z0-9]$' THEN
			RAISE EXCEPTION 'the name % is refused', r.object_identity; END IF; END LOOP;`),
	},
}

// provisions publishes a request and reports whether the running service provisions the tenant. Otherwise the request
// has failed, or the service is not ready.
func provisions(t *testing.T, js jetstream.JetStream, base, tenant string) (yes bool) {
	t.Helper()
	before := len(storedOutcomes(t, js))
	publish(t, js, requestFor(t, "of "+tenant, tenant))
	testkit.Eventually(t, "the request is settled, or the service is not ready", func() bool {
		if all := storedOutcomes(t, js); len(all) > before {
			yes = strings.Contains(countOutcomes(t, all[before:]), "provisioned")
			return true
		}
		code, _ := get(t, base+"/readyz")
		return code == 503
	})
	return yes
}

// Doctor has a fault exactly if requests are not provisioned, whether boundaries are prepared or not, and it names the
// cause.
func TestDoctorRehearsesUnderHouseRules(t *testing.T) {
	t.Parallel()
	for name, c := range houseRules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rawURL := newPostgres(t).env["DATABASE_URL"]
			group, _ := newRoleAt(t, rawURL)
			role := group + "_member"
			executeWritable(t, rawURL, "CREATE ROLE "+role+" LOGIN PASSWORD '"+secret+"' IN ROLE "+group,
				"GRANT CREATE ON DATABASE "+databaseName(t, rawURL)+" TO "+role)
			t.Cleanup(func() { executeWritable(t, rawURL, "DROP OWNED BY "+role+" CASCADE", "DROP ROLE "+role) })
			env := settings(with("DATABASE_URL", urlOf(t, rawURL, role)), with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0"))
			js := natstest.JetStream(t, env["NATS_URL"])
			// works reports whether a service provisions a tenant.
			works := func(prepared int, tenant string, ready bool) bool {
				r := serve(t, settings(env, with("PREPARED_BOUNDARIES", fmt.Sprint(prepared))))
				base := "http://" + testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
				if ready { // otherwise an earlier request may keep it from being ready
					testkit.Eventually(t, "the service is ready", func() bool { code, _ := get(t, base+"/readyz"); return code == 200 })
				}
				yes := provisions(t, js, base, tenant)
				testkit.Equal(t, "exit code", r.stop(t), 0)
				return yes
			}
			testkit.Equal(t, "provisioned without the rule", works(0, "before", true), true)
			for _, statement := range c.rule {
				executeWritable(t, rawURL, strings.NewReplacer("{role}", role, "{group}", group).Replace(statement))
			}
			for _, prepared := range []int{0, 2} {
				found := runDoctor(t, env, with("PREPARED_BOUNDARIES", fmt.Sprint(prepared)))["database_rehearsal"]
				testkit.Equal(t, found.Message+": status", found.Status, map[bool]string{true: doctor.Fault, false: doctor.OK}[c.fails])
				testkit.Contains(t, "the finding", found.Message+"\n"+found.Hint, c.names...)
				testkit.Equal(t, "provisioned", works(prepared, fmt.Sprint("after_", prepared), !c.fails), !c.fails)
			}
		})
	}
}

// A rehearsal needs no registry, and leaves nothing behind.
func TestDoctorRehearsesWithoutARegistry(t *testing.T) {
	t.Parallel()
	d := newPostgres(t)
	rawURL := d.env["DATABASE_URL"]
	role, url := newRoleAt(t, rawURL)
	env := with("DATABASE_URL", url)
	rehearsal := func(status string, parts ...string) {
		t.Helper()
		found := runDoctor(t, env)["database_rehearsal"]
		testkit.Equal(t, "status", found.Status, status)
		testkit.Contains(t, "the finding", found.Message+"\n"+found.Hint, parts...)
	}
	rehearsal(doctor.Warning, "not tried", "database_rights")
	executeWritable(t, rawURL, "GRANT CREATE ON DATABASE "+databaseName(t, rawURL)+" TO "+role)
	rehearsal(doctor.OK, "and was registered")
	testkit.Equal(t, "registries", len(d.rows("", "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(docex|tenant)_'")), 0)

	executeWritable(t, rawURL, onDDL("keep", "ddl_command_start WHEN tag IN ('CREATE TABLE')",
		"IF current_query() LIKE '%docex_system%' THEN RAISE 'kept out'; END IF;")...)
	rehearsal(doctor.Fault, "create the registry", "kept out", `"keep"`)
	executeWritable(t, rawURL, "DROP EVENT TRIGGER keep")

	r := serve(t, settings(env, with("NATS_URL", natstest.Start(t))))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	rehearsal(doctor.OK, "and was registered")
	testkit.Equal(t, "requests", len(d.rows(system, "SELECT request_key FROM {b}tenant_requests")), 0)
	testkit.Equal(t, "tenants", len(d.tenants()), 0)

	executeWritable(t, rawURL, onDDL("one", "ddl_command_end WHEN tag IN ('CREATE INDEX')",
		"IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%idx_documents_status') THEN RAISE 'no index'; END IF;")...)
	rehearsal(doctor.Warning, "without indexes: idx_documents_status (", "no index", `"one"`)
	executeWritable(t, rawURL, "DROP EVENT TRIGGER one")

	executeWritable(t, rawURL, "ALTER TABLE docex_system.tenant_registry DROP COLUMN plan_max_rows")
	rehearsal(doctor.Warning, "not tried", "first fix registry,")
	executeWritable(t, rawURL, "DELETE FROM docex_system.tenant_provisioner_migrations WHERE version_id = 10")
	rehearsal(doctor.OK, "was not registered", "to be migrated")
	executeWritable(t, rawURL, "ALTER TABLE docex_system.tenant_registry ADD COLUMN plan_max_rows bigint")

	executeWritable(t, rawURL, "ALTER ROLE "+role+" SET default_transaction_read_only = on")
	rehearsal(doctor.Warning, "not tried", "database_writable")
}
