package main

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// examined runs the doctor and returns what it shows, for people and for programs.
func examined(t *testing.T, code int, envs ...map[string]string) (shown string, checks map[string]check) {
	t.Helper()
	got, shown, stderr := command(t, settings(envs...), "doctor")
	equal(t, "exit code", got, code)
	equal(t, "stderr", stderr, "")
	got, text, _ := command(t, settings(envs...), "doctor", "--json")
	equal(t, "exit code with --json", got, code)
	var object struct{ Checks []check }
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	must(t, decoder.Decode(&object))
	checks = map[string]check{}
	for _, c := range object.Checks {
		checks[c.Name] = c
		mark := map[string]string{sound: "✓ ", warning: "! ", fault: "✗ "}[c.Status]
		contains(t, "what people see", shown, mark+c.Name+" ", plain(c.Message), c.Hint[:strings.IndexByte(c.Hint+"\n", '\n')])
	}
	return shown, checks
}

// ailing lists the checks that are not in order.
func ailing(checks map[string]check) (names []string) {
	for name, c := range checks {
		if c.Status != sound {
			names = append(names, name+" "+c.Status)
		}
	}
	slices.Sort(names)
	return names
}

// Each thing that can be wrong with prepared boundaries is found, and what doctor says to do mends it.
func TestDoctorFindsLeftoversOfThePool(t *testing.T) {
	t.Parallel()
	d := filled(t, 2)
	two := with("PREPARED_BOUNDARIES", "2")
	shown, checks := examined(t, 0, d.env, two)
	equal(t, "findings", len(ailing(checks)), 0)
	equal(t, "what is shown", shown, ""+
		"✓ registry             can be read; tenants: 1\n"+
		"✓ prepared_boundaries  2 ready, of 2 wanted\n"+
		"✓ prepared_unused      none is kept in vain\n"+
		"✓ prepared_definition  none is of another definition\n"+
		"✓ prepared_missing     none has lost its schema\n"+
		"✓ prepared_contents    none holds anything\n"+
		"✓ prepared_owner       none is owned by another role\n"+
		"✓ prepared_astray      no schema is left that is in no pool\n")

	for name, do := range map[string]string{
		"prepared_definition": "UPDATE {b}prepared_boundaries SET definition = 'another' WHERE schema_name = '{s}'",
		"prepared_missing":    `DROP SCHEMA "{s}" CASCADE`,
		"prepared_astray":     "DELETE FROM {b}prepared_boundaries WHERE schema_name = '{s}'",
		"prepared_contents":   `INSERT INTO "{s}".docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')`,
	} {
		d := filled(t, 2)
		run := func(statement string) { execute(t, "pgx", d.env["DATABASE_URL"], "docex_system.", statement) }
		schema := d.pooled()[1]
		run(strings.ReplaceAll(do, "{s}", schema))
		_, checks := examined(t, 0, d.env, two)
		equal(t, "findings", strings.Join(ailing(checks), ", "), name+" warning")
		contains(t, "what to do", checks[name].Hint, schema)
		contains(t, "the pool", checks["prepared_boundaries"].Message, "1 ready, of 2 wanted")
		run(checks[name].Hint)
		_, checks = examined(t, 0, d.env, two)
		if name == "prepared_contents" { // what holds rows is not dropped by anything that doctor says
			equal(t, "findings", strings.Join(ailing(checks), ", "), "prepared_astray warning")
			contains(t, "what to do", checks["prepared_astray"].Hint, "-- "+schema, "holds something")
			continue
		}
		equal(t, "findings of "+name, strings.Join(ailing(checks), ", "), "")
		equal(t, "schemas", len(d.rows(system, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'prepared:%'")), 1)
	}

	// Nothing uses them any more.
	_, checks = examined(t, 0, d.env)
	equal(t, "findings", strings.Join(ailing(checks), ", "), "prepared_unused warning")
	for line := range strings.Lines(checks["prepared_unused"].Hint) {
		execute(t, "pgx", d.env["DATABASE_URL"], "", line)
	}
	_, checks = examined(t, 0, d.env)
	equal(t, "findings", strings.Join(ailing(checks), ", "), "")
}

// Whose a schema is concerns roles that could be the service's. Others may look all the same.
func TestDoctorAsAnotherRole(t *testing.T) {
	t.Parallel()
	d := filled(t, 1)
	u, err := url.Parse(d.env["DATABASE_URL"])
	must(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	role := "reader_" + name
	execute(t, "pgx", u.String(), "docex_system.", "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'",
		"GRANT USAGE ON SCHEMA docex_system TO "+role, "GRANT SELECT ON {b}tenant_registry TO "+role)
	defer execute(t, "pgx", u.String(), "", "DROP OWNED BY "+role, "DROP ROLE "+role)
	as := *u
	as.User = url.UserPassword(role, "secret")
	env, one := with("DATABASE_URL", as.String()), with("PREPARED_BOUNDARIES", "1")

	_, checks := examined(t, 0, env, one)
	equal(t, "findings", strings.Join(ailing(checks), ", "), "prepared_boundaries warning")
	contains(t, "what is missing", checks["prepared_boundaries"].Message, "grant")

	execute(t, "pgx", u.String(), "docex_system.", "GRANT SELECT ON {b}prepared_boundaries TO "+role)
	_, checks = examined(t, 0, env, one)
	equal(t, "findings of who only looks", strings.Join(ailing(checks), ", "), "")

	execute(t, "pgx", u.String(), "", "GRANT CREATE ON DATABASE "+name+" TO "+role)
	_, checks = examined(t, 0, env, one)
	equal(t, "findings", strings.Join(ailing(checks), ", "), "prepared_owner warning")
	contains(t, "what to do", checks["prepared_owner"].Hint, `DROP SCHEMA "prepared:`)
}

// A registry of an earlier version has no pool.
func TestDoctorWithoutAPool(t *testing.T) {
	t.Parallel()
	d := filled(t, 0)
	execute(t, "pgx", d.env["DATABASE_URL"], "docex_system.", "DROP TABLE {b}prepared_boundaries")
	shown, _ := examined(t, 0, d.env)
	equal(t, "what is shown", shown, "✓ registry  can be read; tenants: 1\n")
	_, checks := examined(t, 0, d.env, with("PREPARED_BOUNDARIES", "1"))
	equal(t, "findings", strings.Join(ailing(checks), ", "), "prepared_boundaries warning")
	code, _, _ := command(t, settings(d.env), "tenants", "verify")
	equal(t, "exit code of verify", code, 0)
}

func TestDoctorFindsWhatNobodyCanUse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ env, says string }{
		"server away": {"postgres://someone:" + secret + "@" + freeAddr(t) + "/x", "read the database"},
		"no registry": {"sqlite:" + t.TempDir(), "has the service run"},
	} {
		shown, checks := examined(t, 1, with("DATABASE_URL", c.env))
		equal(t, name, strings.Join(ailing(checks), ", "), "registry fault")
		contains(t, name, checks["registry"].Message, c.says)
		if strings.Contains(shown, secret) {
			t.Errorf("the password is shown: %s", shown)
		}
	}
	for _, args := range [][]string{{"doctor", "now"}, {"doctor", "--fix"}} {
		code, stdout, _ := command(t, settings(), args...)
		equal(t, "exit code of misuse", code, 2)
		equal(t, "stdout", stdout, "")
	}
}

func TestDoctorFindsFilesUnderConstruction(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	r := serve(t, settings(d.env, with("NATS_URL", startNATS(t))))
	equal(t, "exit code", r.stop(t), 0)
	dir := filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"), "tenant_o'hara")
	must(t, os.MkdirAll(dir, 0o755))
	old, fresh := filepath.Join(dir, ".building-0123456789abcdef-0-1"), filepath.Join(dir, ".building-fedcba9876543210-0-1")
	for _, path := range []string{old, fresh, filepath.Join(dir, "docex.db")} {
		must(t, os.WriteFile(path, nil, 0o644))
	}
	longAgo := time.Now().Add(-2 * abandonedAfter)
	for _, path := range []string{old, filepath.Join(dir, "docex.db")} {
		must(t, os.Chtimes(path, longAgo, longAgo))
	}
	_, checks := examined(t, 0, d.env)
	equal(t, "findings", strings.Join(ailing(checks), ", "), "files_under_construction warning")
	equal(t, "what to do", checks["files_under_construction"].Hint, "rm -- '"+strings.ReplaceAll(old, "'", `'\''`)+"'")
	must(t, os.Remove(old))
	shown, _ := examined(t, 0, d.env)
	equal(t, "what is shown", shown, "✓ registry                  can be read; tenants: 1\n"+
		"✓ files_under_construction  none was left\n")
}
