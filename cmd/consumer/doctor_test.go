package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// runDoctor returns the findings of doctor --json. It asserts that the text output has the same findings, and that the
// exit code is 1 exactly if there is a fault.
func runDoctor(t *testing.T, envs ...map[string]string) map[string]doctor.Finding {
	t.Helper()
	code, text, stderr := command(t, settings(envs...), "doctor", "--json")
	testkit.Equal(t, "stderr", stderr, "")
	var object struct{ Checks []doctor.Finding }
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	testkit.Must(t, decoder.Decode(&object))
	checks, width, faults := map[string]doctor.Finding{}, 0, 0
	for _, c := range object.Checks {
		checks[c.Name] = c
		width = max(width, len(c.Name))
		if c.Status == doctor.Fault {
			faults = 1
		}
		if c.Status != doctor.OK && c.Hint == "" && !strings.HasPrefix(c.Message, "could not be checked") {
			t.Errorf("%s has no hint: %s", c.Name, c.Message)
		}
	}
	testkit.Equal(t, "exit code", code, faults)
	last := -1
	for _, c := range object.Checks {
		index := slices.Index(doctor.Names, c.Name)
		if index <= last {
			t.Errorf("%s is out of order, or not in the list", c.Name)
		}
		last = index
	}
	if strings.Contains(text, secret) {
		t.Errorf("a password is shown: %s", text)
	}

	var out testkit.Output
	testkit.Must(t, (&app{terminal.IO{Env: envconfig.MapLookuper(nil), Out: &out}}).showChecks(object.Checks, false))
	shown := out.String()
	lines := strings.Split(shown, "\n")
	for _, c := range object.Checks {
		begins := fmt.Sprintf("%s%-*s  ", map[string]string{doctor.OK: "✓ ", doctor.Warning: "! ", doctor.Fault: "✗ "}[c.Status], width, c.Name)
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, begins) }) {
			t.Errorf("the text output lacks %q:\n%s", begins, shown)
		}
		testkit.Contains(t, "text output", shown, c.Hint[:strings.IndexByte(c.Hint+"\n", '\n')])
	}
	return checks
}

// findings lists the checks that are not ok: those whose names begin with one of the prefixes or, without any, all
// except those that depend on the machine that runs the tests.
func findings(checks map[string]doctor.Finding, about ...string) string {
	var names []string
	for name, c := range checks {
		machine := strings.HasSuffix(name, "_filesystem") || strings.HasSuffix(name, "_space")
		begins := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if c.Status != doctor.OK && (len(about) == 0 && !machine || slices.ContainsFunc(about, begins)) {
			names = append(names, name+" "+c.Status)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// On healthy servers every check runs, and none finds a fault.
func TestDoctorOfHealthyServers(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t, "fsync=on", "full_page_writes=on")
	newRole(s)
	seen := map[string]bool{}
	for name, c := range map[string]struct{ env, pool map[string]string }{
		"postgres": {with("DATABASE_URL", s.URLOf(role, password)), with("PREPARED_BOUNDARIES", "1")},
		"sqlite":   {newSQLite(t).env, nil},
	} {
		env := merge(c.env, c.pool, with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t)), with("NATS_EMBEDDED_DIR", t.TempDir()))
		r := serve(t, settings(env))
		var checks map[string]doctor.Finding
		testkit.Eventually(t, "the service pulls, and the pool is full", func() bool {
			checks = runDoctor(t, env)
			return findings(checks) == "" && !strings.HasPrefix(checks["prepared_boundaries"].Message, "0 ready")
		})
		testkit.Equal(t, "findings on "+name, findings(checks), "")
		for name := range checks {
			seen[name] = true
		}
		testkit.Equal(t, "exit code", r.stop(t), 0)
	}
	for _, name := range doctor.Names {
		if !seen[name] {
			t.Errorf("%s did not run", name)
		}
	}
}

// docs/doctor.md explains each check, and no other.
func TestDoctorIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/doctor.md")
	testkit.Must(t, err)
	var explained []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|([^|]+)\\|([^|]+)\\|$").FindAllStringSubmatch(string(text), -1) {
		explained = append(explained, row[1])
		if strings.TrimSpace(row[2]) == "" || strings.TrimSpace(row[3]) == "" {
			t.Errorf("a cell of %s is empty", row[1])
		}
	}
	testkit.Equal(t, "the table", strings.Join(explained, "\n"), strings.Join(doctor.Names, "\n"))
}

// If one side is unavailable, doctor still checks the other.
func TestDoctorWithOneServerUnavailable(t *testing.T) {
	t.Parallel()
	unavailable := with("DATABASE_URL", "postgres://someone:"+secret+"@"+testkit.FreeAddr(t)+"/x")
	nats := with("NATS_URL", natstest.Start(t))
	db := newSQLite(t)
	serve(t, settings(db.env, nats))

	checks := runDoctor(t, unavailable, nats)
	testkit.Equal(t, "findings", findings(checks, "database", "storage", "registry", "jetstream", "requests"), "database fault")
	testkit.Equal(t, "the streams", checks["requests_stream"].Status, doctor.OK)

	checks = runDoctor(t, db.env, with("NATS_URL", "nats://someone:"+secret+"@"+testkit.FreeAddr(t)))
	testkit.Equal(t, "findings", findings(checks), "nats fault")
	testkit.Equal(t, "the registry", checks["registry_names"].Status, doctor.OK)

	code, shown, _ := command(t, settings(db.env, with("NATS_URL", "nats://"+testkit.FreeAddr(t))), "doctor")
	testkit.Equal(t, "exit code of the text output", code, 1)
	testkit.Contains(t, "text output", shown, "✓ registry_names ", "✗ nats ")

	checks = runDoctor(t, db.env) // an embedded server that does not run is not a fault
	testkit.Equal(t, "findings", findings(checks), "nats warning")
	testkit.Equal(t, "findings of both", findings(runDoctor(t, unavailable)), "database fault, nats warning")
}

// Doctor finds each fault of prepared boundaries, and its hint fixes it.
func TestDoctorFindsLeftoversOfThePool(t *testing.T) {
	t.Parallel()
	d := newPostgresWithPool(t, 2)
	two := with("PREPARED_BOUNDARIES", "2")
	checks := runDoctor(t, d.env, two)
	testkit.Equal(t, "findings", findings(checks, "registry", "prepared"), "")
	testkit.Equal(t, "the registry", checks["registry"].Message, "can be read; tenants: 1")
	testkit.Equal(t, "the pool", checks["prepared_boundaries"].Message, "2 ready, of 2 wanted")

	for name, do := range map[string]string{
		"prepared_definition": "UPDATE {b}prepared_boundaries SET definition = 'another' WHERE schema_name = '{s}'",
		"prepared_missing":    `DROP SCHEMA "{s}" CASCADE`,
		"prepared_astray":     "DELETE FROM {b}prepared_boundaries WHERE schema_name = '{s}'",
		"prepared_contents":   `INSERT INTO "{s}".docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')`,
	} {
		d := newPostgresWithPool(t, 2)
		run := func(statement string) { execute(t, "pgx", d.env["DATABASE_URL"], "docex_system.", statement) }
		schema := d.pooledSchemas()[1]
		run(strings.ReplaceAll(do, "{s}", schema))
		checks := runDoctor(t, d.env, two)
		testkit.Equal(t, "findings", findings(checks, "registry", "prepared", "files"), name+" warning")
		testkit.Contains(t, "hint", checks[name].Hint, schema)
		testkit.Contains(t, "the pool", checks["prepared_boundaries"].Message, "1 ready, of 2 wanted")
		run(checks[name].Hint)
		checks = runDoctor(t, d.env, two)
		if name == "prepared_contents" { // no hint drops a schema that holds rows
			testkit.Equal(t, "findings", findings(checks, "registry", "prepared", "files"), "prepared_astray warning")
			testkit.Contains(t, "hint", checks["prepared_astray"].Hint, "-- "+schema, "is not empty")
			continue
		}
		testkit.Equal(t, "findings of "+name, findings(checks, "registry", "prepared", "files"), "")
		testkit.Equal(t, "schemas", len(d.rows(system, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'prepared:%'")), 1)
	}

	// No service uses the pool any more.
	checks = runDoctor(t, d.env)
	testkit.Equal(t, "findings", findings(checks, "registry", "prepared", "files"), "prepared_unused warning")
	for line := range strings.Lines(checks["prepared_unused"].Hint) {
		execute(t, "pgx", d.env["DATABASE_URL"], "", line)
	}
	checks = runDoctor(t, d.env)
	testkit.Equal(t, "findings", findings(checks, "registry", "prepared", "files"), "")
}

// A role that may not use the pool is a warning: requests only take longer.
func TestDoctorOfARoleThatMayNotUseThePool(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	newRole(s)
	env := settings(with("DATABASE_URL", s.URLOf(role, password)), with("NATS_URL", natstest.Start(t)), with("PREPARED_BOUNDARIES", ""))
	r := serve(t, env)
	execute(t, "pgx", s.URL, "", "ALTER TABLE docex_system.prepared_boundaries OWNER TO postgres", "GRANT SELECT ON docex_system.prepared_boundaries TO "+role)
	checks := runDoctor(t, env)
	testkit.Equal(t, "findings", findings(checks, "registry_rights", "service"), "registry_rights warning")
	testkit.Contains(t, "message", checks["registry_rights"].Message, "no schemas are prepared")
	testkit.Contains(t, "hint", checks["registry_rights"].Hint, `GRANT INSERT ON TABLE "docex_system"."prepared_boundaries"`, "PREPARED_BOUNDARIES to 0")
	js := natstest.JetStream(t, env["NATS_URL"])
	publish(t, js, requestFor(t, "order-1", "acme"))
	awaitSettled(t, js)
	testkit.Equal(t, "outcomes", len(storedOutcomes(t, js)), 1)
	testkit.Equal(t, "exit code", r.stop(t), 0)
}

// The owner of a schema matters to roles that could be the service's. Other roles may still run doctor.
func TestDoctorAsAnotherRole(t *testing.T) {
	t.Parallel()
	d := newPostgresWithPool(t, 1)
	u, err := url.Parse(d.env["DATABASE_URL"])
	testkit.Must(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	role := "reader_" + name
	execute(t, "pgx", u.String(), "docex_system.", "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'",
		"GRANT USAGE ON SCHEMA docex_system TO "+role, "GRANT SELECT ON {b}tenant_registry TO "+role)
	defer execute(t, "pgx", u.String(), "", "DROP OWNED BY "+role, "DROP ROLE "+role)
	as := *u
	as.User = url.UserPassword(role, "secret")
	env, one := with("DATABASE_URL", as.String()), with("PREPARED_BOUNDARIES", "1")

	checks := runDoctor(t, env, one)
	testkit.Equal(t, "findings", findings(checks, "prepared"), "prepared_boundaries warning")
	testkit.Contains(t, "message", checks["prepared_boundaries"].Message, "grant")

	for _, check := range []string{"registry_ledger", "registry_scripts"} {
		testkit.Equal(t, "findings", findings(checks, check), check+" warning")
		testkit.Contains(t, "message", checks[check].Message, "grant")
	}
	execute(t, "pgx", u.String(), "docex_system.", "GRANT SELECT ON {b}prepared_boundaries, {b}tenant_requests, {b}applied_scripts TO "+role)
	checks = runDoctor(t, env, one)
	testkit.Equal(t, "findings of a read-only role", findings(checks, "prepared", "registry", "database_r"),
		"database_rehearsal warning, database_rights warning, registry_rights warning")

	execute(t, "pgx", u.String(), "", "GRANT CREATE ON DATABASE "+name+" TO "+role)
	checks = runDoctor(t, env, one)
	testkit.Equal(t, "findings", findings(checks, "prepared"), "prepared_owner warning")
	testkit.Contains(t, "hint", checks["prepared_owner"].Hint, `DROP SCHEMA "prepared:`)
}

// A registry of an earlier version has no pool.
func TestDoctorWithoutAPool(t *testing.T) {
	t.Parallel()
	d := newPostgresWithPool(t, 0)
	execute(t, "pgx", d.env["DATABASE_URL"], "docex_system.", "DROP TABLE {b}prepared_boundaries")
	for name := range runDoctor(t, d.env) {
		if strings.HasPrefix(name, "prepared_") {
			t.Errorf("%s is checked", name)
		}
	}
	checks := runDoctor(t, d.env, with("PREPARED_BOUNDARIES", "1"))
	testkit.Equal(t, "findings", findings(checks, "registry", "prepared", "files"), "prepared_boundaries warning")
	code, _, _ := command(t, settings(d.env), "tenants", "verify")
	testkit.Equal(t, "exit code of verify", code, 0)
}

func TestDoctorMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"doctor", "now"}, {"doctor", "--fix"}} {
		code, stdout, _ := command(t, settings(), args...)
		testkit.Equal(t, "exit code of misuse", code, 2)
		testkit.Equal(t, "stdout", stdout, "")
	}
}

func TestDoctorFindsFilesUnderConstruction(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	r := serve(t, settings(d.env, with("NATS_URL", natstest.Start(t))))
	testkit.Equal(t, "exit code", r.stop(t), 0)
	dir := filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"), "tenant_o'hara")
	testkit.Must(t, os.MkdirAll(dir, 0o755))
	old, fresh := filepath.Join(dir, ".building-0123456789abcdef-0-1"), filepath.Join(dir, ".building-fedcba9876543210-0-1")
	for _, path := range []string{old, fresh, filepath.Join(dir, "docex.db")} {
		testkit.Must(t, os.WriteFile(path, nil, 0o644))
	}
	longAgo := time.Now().Add(-2 * time.Hour)
	for _, path := range []string{old, filepath.Join(dir, "docex.db")} {
		testkit.Must(t, os.Chtimes(path, longAgo, longAgo))
	}
	checks := runDoctor(t, d.env)
	testkit.Equal(t, "findings", findings(checks, "registry", "prepared", "files"), "files_under_construction warning")
	testkit.Equal(t, "hint", checks["files_under_construction"].Hint, "rm -- '"+strings.ReplaceAll(old, "'", `'\''`)+"'")
	testkit.Must(t, os.Remove(old))
	testkit.Equal(t, "findings", findings(runDoctor(t, d.env), "files"), "")
}
