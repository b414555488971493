package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, nil, "config")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	for name, want := range map[string]string{
		"NATS_URL": "", "NATS_CREDS": "", "NATS_TLS_CA": "", "NATS_TLS_CERT": "", "NATS_TLS_KEY": "",
		"NATS_EMBEDDED_ADDR": "127.0.0.1:4222", "NATS_EMBEDDED_DIR": "storage/nats",
		"NATS_REPLICAS": "1", "NATS_MANAGE_STREAMS": "true",
		"DATABASE_URL": "sqlite:storage", "REGISTRY_SCHEMA": "docex_system",
		"SCHEMA_TEMPLATE": "tenant_{tenant_id}", "EVENT_SOURCE": "/tenant-provisioner",
		"CONCURRENCY": "4", "MAX_ATTEMPTS": "8", "BACKOFF_MIN": "1s", "BACKOFF_MAX": "5m0s",
		"ACK_WAIT": "30s", "DRAIN_TIMEOUT": "25s", "PREPARED_BOUNDARIES": "0",
		"HTTP_ADDR": "127.0.0.1:8080", "LOG_LEVEL": "INFO", "LOG_FORMAT": "", "PLANS": "", "INIT_SCRIPTS": "",
		"INIT_SCRIPT_TIMEOUT": "30s", "SEED_DATA": "", "BASE_DEFINITION": "docex",
	} {
		if !strings.Contains("\n"+stdout, "\n"+name+"="+want+"\n") {
			t.Errorf("no line %s=%s in\n%s", name, want, stdout)
		}
	}
}

// Where boundaries cannot be prepared, the default is 0.
func TestDefaultOfPreparedBoundaries(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://localhost/x": "8", "postgresql://localhost/x": "8", "sqlite:storage": "0",
	} {
		_, stdout, _ := command(t, with("DATABASE_URL", url), "config")
		testkit.Contains(t, "config of "+url, stdout, "\nPREPARED_BOUNDARIES="+want+"\n")
	}
	colon := map[string]string{"DATABASE_URL": "postgres://localhost/x", "SCHEMA_TEMPLATE": "tenant:{tenant_id}"}
	code, stdout, _ := command(t, colon, "config")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "config", stdout, "\nPREPARED_BOUNDARIES=0\n", "# PREPARED_BOUNDARIES is 0: SCHEMA_TEMPLATE contains a colon\n")
}

// plansFile writes a file of plans, and returns its path.
func plansFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plans.yaml")
	testkit.Must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestConfigurationFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"all values that cannot be parsed": {
			map[string]string{"CONCURRENCY": "many", "ACK_WAIT": "30", "LOG_LEVEL": "loud", "NATS_MANAGE_STREAMS": "perhaps"},
			[]string{"CONCURRENCY: ", "ACK_WAIT: ", "LOG_LEVEL: ", "NATS_MANAGE_STREAMS: "},
		},
		"all values that are out of range": {
			map[string]string{
				"CONCURRENCY": "0", "MAX_ATTEMPTS": "0", "BACKOFF_MIN": "0s", "BACKOFF_MAX": "-1s", "ACK_WAIT": "1ms",
				"DRAIN_TIMEOUT": "0s", "NATS_REPLICAS": "7", "NATS_EMBEDDED_ADDR": "here", "NATS_EMBEDDED_DIR": "",
				"NATS_TLS_CERT": "cert.pem", "HTTP_ADDR": "8080", "LOG_FORMAT": "xml", "EVENT_SOURCE": "not a uri",
				"DATABASE_URL": "mysql://localhost",
			},
			[]string{
				"CONCURRENCY: ", "MAX_ATTEMPTS: ", "BACKOFF_MIN: ", "BACKOFF_MAX: ", "ACK_WAIT: ", "DRAIN_TIMEOUT: ",
				"NATS_REPLICAS: ", "NATS_EMBEDDED_ADDR: ", "NATS_TLS_CERT and NATS_TLS_KEY: ", "HTTP_ADDR: ", "LOG_FORMAT: ",
				"EVENT_SOURCE: ", "DATABASE_URL: ",
			},
		},
		"NATS of another scheme": {with("NATS_URL", "nats://localhost,http://localhost"), []string{"NATS_URL: entry 2 "}},
		"password with @": {
			map[string]string{"DATABASE_URL": "postgres://me:p@ss@localhost/x"}, []string{"DATABASE_URL: ", "@ as %40"},
		},
		"traces": {
			map[string]string{"OTEL_TRACES_EXPORTER": "jaeger", "OTEL_EXPORTER_OTLP_PROTOCOL": "udp"},
			[]string{`OTEL_TRACES_EXPORTER: "jaeger" is not one of otlp, console, none`, "OTEL_EXPORTER_OTLP_PROTOCOL: "},
		},
		"registry schema": {
			map[string]string{"DATABASE_URL": "postgres://localhost/x", "REGISTRY_SCHEMA": "public"}, []string{"REGISTRY_SCHEMA: "},
		},
		"registry schema of the system": {
			map[string]string{"DATABASE_URL": "postgres://localhost/x", "REGISTRY_SCHEMA": "pg_docex"}, []string{"REGISTRY_SCHEMA: "},
		},
		"schema template without id": {
			map[string]string{"DATABASE_URL": "postgres://localhost/x", "SCHEMA_TEMPLATE": "tenant"},
			[]string{"SCHEMA_TEMPLATE: ", "{tenant_id}"},
		},
		"schema template of the system": {
			map[string]string{"DATABASE_URL": "postgres://localhost/x", "SCHEMA_TEMPLATE": "pg_{tenant_id}"}, []string{"SCHEMA_TEMPLATE: "},
		},
		"path template without id": {
			with("DATABASE_PATH_TEMPLATE", "tenant/docex.db"), []string{"DATABASE_PATH_TEMPLATE: ", "{tenant_id}"},
		},
		"path template outside the directory": {
			with("DATABASE_PATH_TEMPLATE", "../{tenant_id}/docex.db"), []string{"DATABASE_PATH_TEMPLATE: "},
		},
		"absolute path template": {
			with("DATABASE_PATH_TEMPLATE", "/{tenant_id}/docex.db"), []string{"DATABASE_PATH_TEMPLATE: "},
		},
		"sqlite as a URL": {with("DATABASE_URL", "sqlite:///storage"), []string{"DATABASE_URL: ", "sqlite:DIRECTORY"}},
		"commits that are not synced": {
			with("DATABASE_URL", "postgres://localhost/x?synchronous_commit=off"),
			[]string{"DATABASE_URL: ", "synchronous_commit", "leave it out"},
		},
		"mistyped parameter": {
			with("DATABASE_URL", "postgres://localhost/x?sslmod=verify-full&gssencmode=require"),
			[]string{`DATABASE_URL: unknown parameter "sslmod"`, "DATABASE_URL: parameter gssencmode"},
		},
		"URL of JDBC":                {with("DATABASE_URL", "jdbc:postgresql://localhost/x"), []string{"DATABASE_URL: a URL of JDBC; write postgres://"}},
		"sqlite without a directory": {with("DATABASE_URL", "sqlite:"), []string{"DATABASE_URL: "}},
		"replicas of one server":     {with("NATS_REPLICAS", "3"), []string{"NATS_REPLICAS: ", "NATS_URL"}},
		"prepared files":             {with("PREPARED_BOUNDARIES", "1"), []string{"PREPARED_BOUNDARIES: SQLite", "set it to 0"}},
		"prepared, negative": {
			map[string]string{"DATABASE_URL": "postgres://localhost/x", "PREPARED_BOUNDARIES": "-1"},
			[]string{"PREPARED_BOUNDARIES: -1 is not 0 to 1000"},
		},
		"prepared, too many": {
			map[string]string{"DATABASE_URL": "postgres://localhost/x", "PREPARED_BOUNDARIES": "1001"},
			[]string{"PREPARED_BOUNDARIES: 1001 is not 0 to 1000"},
		},
		"prepared, names that tenants can have": {
			map[string]string{"DATABASE_URL": "postgres://localhost/x", "PREPARED_BOUNDARIES": "1", "SCHEMA_TEMPLATE": "tenant:{tenant_id}"},
			[]string{"SCHEMA_TEMPLATE: ", "colon", "PREPARED_BOUNDARIES"},
		},
		"names of other services' prepared boundaries": {
			map[string]string{"DATABASE_URL": "postgres://localhost/x", "SCHEMA_TEMPLATE": "prepared:{tenant_id}"},
			[]string{"SCHEMA_TEMPLATE: ", "prepared boundary"},
		},
		"missing files": {
			map[string]string{"NATS_CREDS": "/nowhere/a", "NATS_TLS_CA": "/nowhere/b"}, []string{"NATS_CREDS: ", "NATS_TLS_CA: "},
		},
		"scripts, a missing directory": {with("INIT_SCRIPTS", "/nowhere"), []string{"INIT_SCRIPTS: /nowhere: no such file or directory"}},
		"scripts, all faults": {
			map[string]string{"INIT_SCRIPTS": scriptsOf(t, "sqlite", "10_a.sql", "", "020_b.sql", "\xff"), "INIT_SCRIPT_TIMEOUT": "0s"},
			[]string{
				"INIT_SCRIPT_TIMEOUT: 0s must be above 0s", "INIT_SCRIPTS: ", "sqlite/10_a.sql is not named like 010_orders.sql",
				"sqlite/020_b.sql: is not UTF-8; save it as UTF-8",
			},
		},
		"an own definition without scripts": {
			map[string]string{"BASE_DEFINITION": "none", "CONCURRENCY": "0"}, []string{"CONCURRENCY: ", "BASE_DEFINITION: none needs INIT_SCRIPTS"},
		},
		"an own definition without scripts for the database": {
			map[string]string{"BASE_DEFINITION": "none", "INIT_SCRIPTS": scriptsOf(t, "sqlite")},
			[]string{"INIT_SCRIPTS: ", "sqlite has no scripts; put files named like 010_orders.sql there"},
		},
		"an unknown base definition": {with("BASE_DEFINITION", "mine"), []string{"BASE_DEFINITION: ", "docex", "none"}},
		"plans, a missing file":      {with("PLANS", "/nowhere/plans.yaml"), []string{"PLANS: ", "/nowhere/plans.yaml", "no such file"}},
		"plans, a directory":         {with("PLANS", t.TempDir()), []string{"PLANS: ", " is a directory; write the path of a YAML file"}},
		"plans, all faults of the file, and of another variable": {
			map[string]string{"CONCURRENCY": "0", "PLANS": plansFile(t, "default: gold\nplans:\n  free: {max_bytes: 1PB, seats: 5}\n")},
			[]string{
				"CONCURRENCY: ", `plans.yaml:1: default: there is no plan "gold"; write one of: free`,
				`plans.yaml:3: plans.free.max_bytes: "1PB" has a unit other than B`, "plans.yaml:3: plans.free.seats: is unknown; write max_bytes",
			},
		},
		"invalid source":      {with("EVENT_SOURCE", "%zz"), []string{"EVENT_SOURCE: "}},
		"errors of two kinds": {map[string]string{"CONCURRENCY": "x", "DATABASE_URL": "mysql://x"}, []string{"CONCURRENCY: ", "whole number", "DATABASE_URL: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, args := range [][]string{{"config"}, {"run"}, {}, {"watch"}} {
				code, stdout, stderr := command(t, c.env, args...)
				testkit.Equal(t, "exit code", code, 2)
				testkit.Equal(t, "stdout", stdout, "")
				testkit.Contains(t, "stderr", errorTexts(stderr), c.want...)
			}
		})
	}
}

// config lists the scripts with their hashes.
func TestConfigListsScripts(t *testing.T) {
	t.Parallel()
	env := with("INIT_SCRIPTS", scriptsOf(t, "sqlite", "010_a.sql", "SELECT 1;", "020_b.sql", "SELECT 2;"))
	code, stdout, stderr := command(t, env, "config")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	const hash = "17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a"
	testkit.Contains(t, "config", stdout, "\n# "+hash+" INIT_SCRIPTS/sqlite/010_a.sql\n", " INIT_SCRIPTS/sqlite/020_b.sql\n")
	_, asJSON, _ := command(t, env, "config", "--json")
	testkit.Contains(t, "JSON", asJSON, `"INIT_SCRIPTS/sqlite/010_a.sql": "`+hash+`"`)
}

// scriptsOf returns a directory of scripts with these files, names and texts in turn.
func scriptsOf(t *testing.T, engine string, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	testkit.Must(t, os.Mkdir(filepath.Join(dir, engine), 0o755))
	for i := 0; i < len(files); i += 2 {
		testkit.Must(t, os.WriteFile(filepath.Join(dir, engine, files[i]), []byte(files[i+1]), 0o644))
	}
	return dir
}

// config shows variables of libpq that are set, names those whose names are wrong, and prints in one form. (Not
// parallel: it sets the environment.)
func TestConfigShowsTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"PGSSLMODE": "require", "PGUSER": "me", "PGPASSWORD": secret, "PGOPTIONS": "-c x=" + secret, "DATABASE_URI": "x", "log_level": "info",
	} {
		t.Setenv(name, value)
	}
	code, stdout, stderr := command(t, with("DATABASE_URL", "postgres://h/x"), "config")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "config", stdout, "\nPGSSLMODE=require\n", "\nPGUSER=me\n", "\nPGPASSWORD=xxxxx\n", "\nPGOPTIONS=xxxxx\n")
	testkit.Contains(t, "warnings", stderr, "DATABASE_URI is not a variable of this program; did you mean DATABASE_URL?",
		"log_level is not a variable of this program; did you mean LOG_LEVEL?")
	_, asJSON, _ := command(t, with("DATABASE_URL", "postgres://h/x"), "config", "--json")
	testkit.Contains(t, "JSON", asJSON, `"PGPASSWORD": "xxxxx"`, `"PGUSER": "me"`)
	if strings.Contains(stdout+asJSON, secret) {
		t.Error("the secret is shown")
	}
	_, stdout, _ = command(t, nil, "config") // SQLite
	if strings.Contains(stdout, "PGUSER") {
		t.Errorf("libpq's variables have no effect, and are shown:\n%s", stdout)
	}
	t.Setenv("PGPASSWORD", secret+"\n")
	t.Setenv("PGSSLMODE", "perhaps")
	code, _, stderr = command(t, with("DATABASE_URL", "postgres://h/x"), "config")
	testkit.Equal(t, "exit code", code, 2)
	testkit.Contains(t, "faults", stderr, "PGPASSWORD: contains a line break", "DATABASE_URL, PGUSER, PGPASSWORD, PGOPTIONS, PGSSLMODE: ")
	if strings.Contains(stderr, secret) {
		t.Errorf("the secret is shown:\n%s", stderr)
	}
	r := serve(t, settings(with("NATS_EMBEDDED_DIR", t.TempDir()), with("DATABASE_URL", "sqlite:"+t.TempDir())))
	testkit.Contains(t, "the log", r.stderr.String(), `"variable":"DATABASE_URI","meant":"DATABASE_URL"`)
	testkit.Equal(t, "exit code", r.stop(t), 0)
}

const secret = "s3cr3t"

func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ variable, value, shown string }{
		"password":            {"DATABASE_URL", "postgres://me:s3cr3t@db/tenants", "postgres://me:xxxxx@db/tenants"},
		"password with @":     {"DATABASE_URL", "postgres://me:s3cr3t%40s3cr3t@db/tenants", "postgres://me:xxxxx@db/tenants"},
		"password with plain": {"DATABASE_URL", "postgres://me:s3@cr3t@db/tenants", "postgres://me:xxxxx@db/tenants"},
		"several hosts":       {"DATABASE_URL", "postgres://me:s3cr3t@a:1,b:2/tenants", "postgres://me:xxxxx@a:1,b:2/tenants"},
		"parameter":           {"DATABASE_URL", "postgres://db/tenants?user=me&password=s3cr3t&sslmode=disable", "postgres://db/tenants?user=me&password=xxxxx&sslmode=disable"},
		"key's password":      {"DATABASE_URL", "postgres://db/tenants?sslpassword=s3cr3t", "postgres://db/tenants?sslpassword=xxxxx"},
		"no password":         {"DATABASE_URL", "postgres://me@db/tenants", "postgres://me@db/tenants"},
		"sqlite":              {"DATABASE_URL", "sqlite:storage", "sqlite:storage"},
		"user and password":   {"NATS_URL", "nats://me:s3cr3t@nats", "nats://xxxxx@nats"},
		"token":               {"NATS_URL", "nats://s3cr3t@nats", "nats://xxxxx@nats"},
		"list":                {"NATS_URL", "nats://me:s3cr3t@a,tls://s3cr3t@b:4222", "nats://xxxxx@a,tls://xxxxx@b:4222"},
		"no scheme":           {"NATS_URL", "me:s3cr3t@nats:4222", "xxxxx@nats:4222"},
		"list, no scheme":     {"NATS_URL", "nats://a, me:s3cr3t@b", "nats://a, xxxxx@b"},
		"password with slash": {"NATS_URL", "nats://me:s3cr3t/s3cr3t@a", "nats://xxxxx@a"},
		"NATS, with @":        {"NATS_URL", "nats://me:s3cr3t@s3cr3t@a", "nats://xxxxx@a"},
		"no user":             {"NATS_URL", "nats://a:4222,b", "nats://a:4222,b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := with(c.variable, c.value)
			code, stdout, stderr := command(t, env, "config")
			code2, asJSON, stderr2 := command(t, env, "config", "--json")
			for _, text := range []string{stdout, stderr, asJSON, stderr2} {
				if strings.Contains(text, secret) {
					t.Errorf("the secret is shown:\n%s", text)
				}
			}
			if code != 0 || code2 != 0 {
				// A rejected value is not shown; the error is checked above.
				testkit.Equal(t, "exit code", code, 2)
				return
			}
			testkit.Contains(t, "config", stdout, c.variable+"="+c.shown+"\n")
			var values map[string]string
			testkit.Must(t, json.Unmarshal([]byte(asJSON), &values))
			testkit.Equal(t, "in JSON", values[c.variable], c.shown)
		})
	}
}

// Errors of URL parsers often repeat the URL.
func TestFaultsHoldNoSecret(t *testing.T) {
	t.Parallel()
	for _, env := range []map[string]string{
		with("DATABASE_URL", "postgres://me:s3cr3t@db:port/tenants"),
		with("DATABASE_URL", "postgres://me:s3cr3t%zz@db/tenants"),
		with("DATABASE_URL", "postgres://me:s3cr3t@db/tenants?sslmode=perhaps"),
		with("DATABASE_URL", "postgres://db/tenants?password=s3cr3t&connect_timeout=x"),
		with("DATABASE_URL", "postgres://me:s3cr3t\x7f@db/tenants"),
		with("DATABASE_URL", "postgres://me:s3cr3t @db/ten ants"),
		with("DATABASE_URL", "mysql://me:s3cr3t@db/tenants"),
		with("DATABASE_URL", "me:s3cr3t@db"),
		settings(with("NATS_URL", "nats://me:s3cr3t@127.0.0.1:port")),
		settings(with("NATS_URL", "nats://me:s3cr3t%zz@127.0.0.1:1")),
		settings(with("NATS_URL", "nats://s3cr3t@127.0.0.1:1")),
		settings(with("NATS_URL", "nats://me:s3cr3t/s3cr3t@127.0.0.1:1")),
		settings(with("NATS_URL", "nats://127.0.0.1:1,nats://me:s3cr3t@127.0.0.1:port")),
		settings(with("NATS_URL", "me:s3cr3t@127.0.0.1:1")),
	} {
		if env["NATS_URL"] == "" {
			env["NATS_URL"] = "nats://127.0.0.1:1" // no process listens there, unlike perhaps on the default port
		}
		code, stdout, stderr := command(t, env, "watch") // connects once
		if code == 0 || stderr == "" {
			t.Errorf("%v: exit code %d, stderr %q", env, code, stderr)
		}
		if strings.Contains(stdout+stderr, secret) {
			t.Errorf("%v: the secret is shown:\n%s", env, stderr)
		}
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"unknown command":        {"provision"},
		"unknown flag":           {"watch", "--fast"},
		"watch with argument":    {"watch", "acme"},
		"config with argument":   {"config", "acme"},
		"health with argument":   {"health", "acme"},
		"no tenant":              {"request", "--display-name", "A", "--created-by", "b"},
		"request of two":         {"request", "a", "b", "--display-name", "A", "--created-by", "b"},
		"request without name":   {"request", "acme", "--created-by", "b"},
		"request without author": {"request", "acme", "--display-name", "A"},
		"bad duration":           {"request", "acme", "--display-name", "A", "--created-by", "b", "--wait", "soon"},
		"empty id":               {"request", "acme", "--display-name", "A", "--created-by", "b", "--source", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, settings(with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t))), args...)
			testkit.Equal(t, "exit code", code, 2)
			testkit.Equal(t, "stdout", stdout, "")
			if !strings.HasPrefix(stderr, "consumer: ") {
				t.Errorf("stderr: %q", stderr)
			}
		})
	}
}
