package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// cannotBeHidden: SQLite has no statements of computed text, and the authorizer judges a statement before it runs,
// whatever it depends on.
const cannotBeHidden = "cannot be hidden"

// sqliteEscapes are attempts on SQLite. {if} is the condition on which they take place, where the database can see it
// only while the statement runs; {file} is a file outside.
var sqliteEscapes = []escape{
	{attempt: "ATTACH", sql: "ATTACH '{file}' AS o", want: "remove ATTACH"},
	{attempt: "ATTACH of another tenant's file", sql: "ATTACH '{root}/tenant_neighbour/docex.db' AS o", want: "remove ATTACH"},
	{attempt: "DETACH", sql: "DETACH main", want: "remove DETACH"},
	{attempt: "VACUUM INTO", sql: "VACUUM INTO '{file}'", want: "VACUUM"},
	{attempt: "VACUUM", sql: "VACUUM", want: "VACUUM"},
	{attempt: "load_extension()", sql: "SELECT load_extension('{file}')", want: "load_extension runs code"},
	{attempt: "load_extension() for one tenant only", sql: "SELECT CASE WHEN provisioner('tenant_id') = 'evil' THEN load_extension('{file}') END", want: "load_extension runs code"},
	{attempt: "load_extension() in a view", sql: "CREATE VIEW v AS SELECT load_extension('{file}'); SELECT * FROM v", want: "load_extension"},
	{attempt: "read a file", sql: "SELECT readfile('/etc/passwd')", want: "readfile"},
	{attempt: "write a file", sql: "SELECT writefile('{file}', 'x')", want: "writefile"},
	{attempt: "a virtual table of a file", sql: "CREATE VIRTUAL TABLE c USING csv(filename='/etc/passwd')", want: "csv"},
	{attempt: "the pages of the file", sql: "UPDATE sqlite_dbpage SET data = zeroblob(4096)", want: "sqlite_dbpage"},
	{attempt: "PRAGMA writable_schema", sql: "PRAGMA writable_schema = on", want: "PRAGMA writable_schema is not allowed"},
	{attempt: "write the schema table", sql: "UPDATE sqlite_schema SET sql = 'CREATE TABLE x (n)'", want: "may not be modified"},
	{attempt: "PRAGMA journal_mode", sql: "PRAGMA journal_mode = wal", want: "PRAGMA journal_mode is not allowed"},
	{attempt: "PRAGMA synchronous", sql: "PRAGMA synchronous = off", want: "PRAGMA synchronous is not allowed"},
	{attempt: "PRAGMA foreign_keys", sql: "PRAGMA foreign_keys = off", want: "PRAGMA foreign_keys"},
	{attempt: "PRAGMA defer_foreign_keys", sql: "PRAGMA defer_foreign_keys = on", want: "PRAGMA defer_foreign_keys"},
	{attempt: "PRAGMA ignore_check_constraints", sql: "PRAGMA ignore_check_constraints = on", want: "PRAGMA ignore_check_constraints"},
	{attempt: "PRAGMA user_version", sql: "PRAGMA user_version = 7", want: "PRAGMA user_version"},
	{attempt: "PRAGMA application_id", sql: "PRAGMA application_id = 7", want: "PRAGMA application_id"},
	{attempt: "PRAGMA mmap_size", sql: "PRAGMA mmap_size = 1", want: "PRAGMA mmap_size"},
	{attempt: "PRAGMA hard_heap_limit, of the process", sql: "PRAGMA hard_heap_limit = 1", want: "PRAGMA hard_heap_limit"},
	{attempt: "PRAGMA temp_store_directory, of the process", sql: "PRAGMA temp_store_directory = '/tmp'", want: "PRAGMA temp_store_directory"},
	{attempt: "PRAGMA trusted_schema", sql: "PRAGMA trusted_schema = on", want: "PRAGMA trusted_schema"},
	{attempt: "PRAGMA optimize as a table", sql: "SELECT * FROM pragma_optimize", want: "optimize"},
	{attempt: "COMMIT", sql: "COMMIT", want: "one transaction"},
	{attempt: "ROLLBACK", sql: "ROLLBACK", want: "one transaction"},
	{attempt: "SAVEPOINT", sql: "SAVEPOINT x", want: "SAVEPOINT"},
	{attempt: "a temporary table that shadows one of the tenant's", sql: "CREATE TEMP TABLE document (id)", want: "temporary objects"},
	{attempt: "a temporary trigger", sql: "CREATE TEMP TRIGGER x AFTER INSERT ON document BEGIN SELECT 1; END", want: "temporary objects"},
	{attempt: "the request's values in a view", sql: "CREATE VIEW v AS SELECT provisioner('tenant_id')", want: "view v has provisioner()"},
	{attempt: "ANALYZE", sql: "ANALYZE", want: "statistics"},
	{attempt: "write the log of the process", sql: "SELECT sqlite_log(1, 'x')", want: "sqlite_log"},
	{attempt: "a command of the shell", sql: ".read {file}", want: "commands of the sqlite3 shell"},
	{attempt: "drop a table of the definition", sql: "DROP TABLE route_operations", want: "route_operations is missing"},

	{attempt: "end the transaction in a trigger", sql: "CREATE TABLE r (n); CREATE TRIGGER r AFTER INSERT ON r BEGIN SELECT RAISE(ROLLBACK, 'away'); END; INSERT INTO r SELECT 1 WHERE {if}", want: "away", hidden: byFailure},
	{attempt: "end the transaction by a conflict", sql: "CREATE TABLE o (n UNIQUE); INSERT INTO o VALUES (1); INSERT OR ROLLBACK INTO o SELECT 1 WHERE {if}", want: "UNIQUE", hidden: byFailure},
	{attempt: "a row that refers to a missing one, checked at commit", sql: "CREATE TABLE d (n REFERENCES docbasket (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO d SELECT 'x' WHERE {if}", want: "refers to a row that docbasket does not have", hidden: byFence},
	{attempt: "an endless query", sql: "WITH RECURSIVE c(x) AS (SELECT 1 WHERE {if} UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c", want: "INIT_SCRIPT_TIMEOUT", hidden: byTime},
	{attempt: "a file of more than 64 MiB", sql: "CREATE TABLE b (v); INSERT INTO b WITH RECURSIVE c(x) AS (SELECT 1 WHERE {if} UNION ALL SELECT x + 1 FROM c) SELECT zeroblob(1000000) FROM c", want: "more than 64 MiB", hidden: byFailure},
	{attempt: "a value of 1 GB", sql: "SELECT length(zeroblob(1000000000 * ({if})))", want: "too big", hidden: byFailure},
}

// byFailure: SQLite itself refuses it.
const byFailure = "fails: SQLite"

// On SQLite every attempt ends the start. What depends on data, and so meets one tenant only, leaves no file, and
// ordinary tenants are provisioned afterwards.
func TestEscapesOnSQLite(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	root := strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:")
	file := filepath.Join(t.TempDir(), "escaped")
	env := settings(d.env, with("NATS_URL", natstest.Start(t)))
	provision := func(tenant string) (code int, outcome string) {
		t.Helper()
		code, outcome, _ = command(t, with("NATS_URL", env["NATS_URL"]), requestArgs(tenant, "--wait", outcomeWait, "--json")...)
		return code, outcome
	}
	withScripts := func(timed bool, files ...string) map[string]string {
		t.Helper()
		return merge(env, limitFor(timed), with("INIT_SCRIPTS", scriptsOf(t, "sqlite", files...)))
	}
	first := serve(t, env)
	code, _ := provision("neighbour")
	testkit.Equal(t, "exit code of the neighbour", code, 0)
	testkit.Equal(t, "exit code", first.stop(t), 0)

	var hidden []string
	for i, e := range sqliteEscapes {
		sql := strings.NewReplacer("{file}", file, "{root}", root).Replace(e.sql)
		direct := "-- " + e.attempt + "\n" + strings.ReplaceAll(sql, "{if}", "1") + ";\n"
		code, _, stderr := command(t, withScripts(e.hidden == byTime, "100_x.sql", direct), "run")
		if code != 1 || !strings.Contains(stderr, "rehears") || !strings.Contains(stderr, e.want) {
			t.Errorf("%s: exit code %d, want %q: %s", e.attempt, code, e.want, stderr)
		}
		if e.hidden != "" {
			hidden = append(hidden, fmt.Sprintf("%d_x.sql", 100+i), strings.ReplaceAll(sql, "{if}", "provisioner('tenant_id') = '"+tenantOf(i)+"'")+";\n")
		}
	}
	var service *running
	for _, timed := range []bool{true, false} {
		service = serve(t, withScripts(timed, hidden...))
		before := filesIn(t, root)
		for i, e := range sqliteEscapes {
			if e.hidden == "" || (e.hidden == byTime) != timed {
				continue
			}
			code, outcome := provision(tenantOf(i))
			if code != 1 || !strings.Contains(outcome, e.want) || !strings.Contains(outcome, string(events.CauseInitScriptFailed)) {
				t.Errorf("%s: want %q: %s", e.attempt, e.want, outcome)
			}
			testkit.Equal(t, "files after "+e.attempt, filesIn(t, root), before)
		}
		if timed {
			testkit.Equal(t, "exit code", service.stop(t), 0)
		}
	}
	testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "neighbour")
	code, _ = provision("ordinary")
	testkit.Equal(t, "exit code of an ordinary tenant", code, 0)
	testkit.Equal(t, "exit code", service.stop(t), 0)
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("%s: %v", file, err)
	}
}

// filesIn lists the files with digests of their contents, those of the registry without: it has the failed requests.
func filesIn(t *testing.T, root string) string {
	t.Helper()
	var all strings.Builder
	testkit.Must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasSuffix(path, system):
			return fs.SkipDir
		case entry.IsDir():
			fmt.Fprintln(&all, path)
			return nil
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %x\n", path, sha256.Sum256(content))
		return err
	}))
	return all.String()
}
