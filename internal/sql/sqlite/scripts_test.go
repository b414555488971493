package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	native "modernc.org/sqlite"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// scriptsOf returns scripts named 010.sql, 011.sql, …, with a deadline that only an endless statement reaches.
func scriptsOf(texts ...string) *pipeline.Scripts {
	s := &pipeline.Scripts{Timeout: time.Minute}
	for i, text := range texts {
		s.Files = append(s.Files, pipeline.Script{Name: fmt.Sprintf("%03d.sql", 10+i), Text: text, SHA256: fmt.Sprint(text)})
	}
	return s
}

func openWith(t *testing.T, root string, scripts *pipeline.Scripts) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{
		Root: root, PathTemplate: "tenant_{tenant_id}/docex.db", Connections: 2,
		CreatedBy: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Scripts: scripts,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// replace sets other scripts. No attempt must be running.
func (s *Store) replace(scripts *pipeline.Scripts) {
	s.Scripts = scripts
	s.scripts = s.readScripts()
	s.pending = s.scripts
	s.reference.Store(nil) // it is of other scripts
}

var someValues = pipeline.Values{TenantID: "acme", DisplayName: "A 'Customer'; --", CreatedBy: "billing", Plan: "free"}

// furtherTo runs an attempt up to its registration, as package pipeline does.
func (b *build) furtherTo(ctx context.Context) error {
	if _, err := b.CreateBoundary(ctx); err != nil {
		return err
	}
	if err := b.CreateTables(ctx, nil); err != nil {
		return err
	}
	if failed, err := b.CreateIndexes(ctx); err != nil || len(failed) > 0 {
		return fmt.Errorf("%v %w", failed, err)
	}
	return b.runFurther(ctx, someValues)
}

// existingFile creates an operator's file for the tenant, and returns its content.
func existingFile(t *testing.T, s *Store, tenant string) (path string, found []byte) {
	t.Helper()
	path = s.path(tenant)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	execute(t, path, "CREATE TABLE mine (n INTEGER)")
	return path, content(t, path)
}

func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := open(path, "rwc", busyTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// failsWith runs the scripts on a new file and on an existing one. Both attempts must fail with that cause, in a message
// with that text, and leave nothing behind.
func failsWith(t *testing.T, s *Store, name string, cause events.CauseCode, want string) {
	t.Helper()
	for _, exists := range []bool{false, true} {
		var found []byte
		tenant := fmt.Sprint(name, exists)
		path := s.path(tenant)
		if exists {
			path, found = existingFile(t, s, tenant)
		}
		b := begun(t, s, tenant, tenant)
		err := b.furtherTo(t.Context())
		left := b.Close(t.Context())
		var fault *pipeline.Fault
		if !errors.As(err, &fault) || fault.Class != pipeline.Permanent || fault.Code != cause {
			t.Errorf("exists %v: %v", exists, err)
			continue
		}
		if !strings.Contains(fault.Error(), want) {
			t.Errorf("exists %v: %q lacks %q", exists, fault, want)
		}
		if len(left) > 0 {
			t.Errorf("exists %v: left behind: %v", exists, left)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		switch {
		case !exists && !errors.Is(err, fs.ErrNotExist):
			t.Errorf("the directory remains, with %v (%v)", entries, err)
		case exists && (err != nil || len(entries) != 1 || !bytes.Equal(content(t, path), found)):
			t.Errorf("the existing file was changed, or is among others: %v, %v", entries, err)
		}
	}
}

// Every attempt of a script to leave the tenant's file, to change its settings, or to make what others cannot use fails
// with a message that says why, and leaves no file.
func TestScriptsAreConfined(t *testing.T) { //nolint:tparallel // the subtests share one store
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("SELECT 1"))
	other := filepath.Join(t.TempDir(), "other.db")
	const own, temps, whole, end = "own file only", "temporary objects", "succeed or fail as one", "one transaction"
	const table, trigger = "CREATE TABLE a (n INTEGER PRIMARY KEY, b TEXT);", "CREATE TRIGGER x AFTER INSERT ON a BEGIN "
	// fires is a script in which a trigger on an own table runs the statement.
	fires := func(statement string) string {
		return table + trigger + statement + "; END; INSERT INTO a VALUES (1, 'b');"
	}
	// views is one in which a view with the query is read.
	views := func(query string) string { return "CREATE VIEW v AS " + query + "; SELECT * FROM v;" }
	n := 0
	for script, want := range map[string]string{
		// Other files.
		"ATTACH '" + other + "' AS o":                    own,
		"ATTACH ':memory:' AS o":                         own,
		"ATTACH '' AS o":                                 own,
		"EXPLAIN ATTACH '" + other + "' AS o":            own,
		"DETACH main":                                    own,
		"VACUUM":                                         "VACUUM",
		"VACUUM INTO '" + other + "'":                    "VACUUM",
		"SELECT load_extension('x')":                     "load_extension runs code",
		"SELECT load_extension('x', 'y')":                "load_extension runs code",
		views("SELECT load_extension('x')"):              "load_extension",
		fires("SELECT load_extension('x')"):              "load_extension",
		"SELECT readfile('/etc/passwd')":                 "readfile",
		"SELECT writefile('" + other + "', 1)":           "writefile",
		"SELECT edit('x')":                               "edit",
		"SELECT fts3_tokenizer('simple')":                "fts3_tokenizer",
		"SELECT fts5(NULL)":                              "fts5() returns an address",
		"SELECT sqlite_log(1, 'x')":                      "sqlite_log",
		fires("SELECT sqlite_log(1, 'x')"):               "sqlite_log",
		"SELECT sqlite_offset(id) FROM document":         "sqlite_offset",
		"SELECT * FROM fsdir('.')":                       "fsdir",
		"SELECT * FROM zipfile('x')":                     "zipfile",
		"CREATE VIRTUAL TABLE c USING csv(filename='x')": "csv",
		// The pages of the file.
		"SELECT * FROM sqlite_dbpage":                                                   "sqlite_dbpage",
		"UPDATE sqlite_dbpage SET data = zeroblob(4096)":                                "sqlite_dbpage",
		"DELETE FROM sqlite_dbpage":                                                     "sqlite_dbpage",
		"INSERT INTO sqlite_dbpage VALUES (1, NULL, 'main')":                            "sqlite_dbpage",
		fires("DELETE FROM sqlite_dbpage"):                                              "sqlite_dbpage",
		views("SELECT * FROM sqlite_dbpage"):                                            "sqlite_dbpage",
		"SELECT * FROM dbstat":                                                          "dbstat",
		"CREATE VIRTUAL TABLE d USING dbstat":                                           "dbstat",
		"CREATE VIRTUAL TABLE d USING sqlite_dbpage":                                    "sqlite_dbpage",
		views("SELECT * FROM dbstat"):                                                   "dbstat",
		"INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x (n)')": "may not be modified",
		"UPDATE sqlite_schema SET sql = NULL":                                           "may not be modified",
		"DELETE FROM sqlite_schema":                                                     "may not be modified",
		fires("DELETE FROM sqlite_schema"):                                              "may not be modified",
		"CREATE TABLE sqlite_mine (n)":                                                  "reserved",
		"CREATE VIRTUAL TABLE f USING fts5(b); DELETE FROM f_data":                      "may not be modified",
		"CREATE VIRTUAL TABLE r USING rtree(id, a, b); DELETE FROM r_node":              "may not be modified",
		"ANALYZE":                          "statistics",
		"ANALYZE document":                 "statistics",
		"CREATE TABLE a (n); ANALYZE main": "statistics",
		// The transaction.
		"BEGIN":            end,
		"BEGIN IMMEDIATE":  end,
		"COMMIT":           end,
		"END":              end,
		"ROLLBACK":         end,
		"EXPLAIN ROLLBACK": end,
		"SAVEPOINT x":      whole,
		"RELEASE x":        whole,
		"ROLLBACK TO x":    whole,
		table + "INSERT INTO a VALUES (1, 1); INSERT OR ROLLBACK INTO a VALUES (1, 2)":                       "UNIQUE",
		table + trigger + "SELECT RAISE(ROLLBACK, 'away'); END; INSERT INTO a VALUES (1, 1)":                 "away",
		table + trigger + "SELECT RAISE(ABORT, 'stop'); END; INSERT INTO a VALUES (1, 1)":                    "stop",
		"CREATE TABLE a (n UNIQUE ON CONFLICT ROLLBACK); INSERT INTO a VALUES (1); INSERT INTO a VALUES (1)": "UNIQUE",
		// Temporary objects.
		"CREATE TEMP TABLE a (n)":                                                            temps,
		"CREATE TEMPORARY TABLE a AS SELECT 1":                                               temps,
		"CREATE TABLE temp.a (n)":                                                            temps,
		"CREATE TABLE IF NOT EXISTS temp.a (n)":                                              temps,
		"CREATE TEMP VIEW a AS SELECT 1":                                                     temps,
		"CREATE VIEW temp.a AS SELECT 1":                                                     temps,
		"CREATE VIRTUAL TABLE temp.f USING fts5(b)":                                          temps,
		"CREATE TEMP TRIGGER x AFTER INSERT ON document BEGIN SELECT 1; END":                 temps,
		"DROP TABLE temp.sqlite_master":                                                      temps,
		"INSERT INTO temp.sqlite_master VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x (n)')": temps,
		"DELETE FROM sqlite_temp_master":                                                     "may not be modified",
		// The function of the values in what other programs read.
		"CREATE VIEW v AS SELECT provisioner('tenant_id')":                                          "view v has provisioner()",
		"CREATE VIEW v AS SELECT [Provisioner] /* ( */ ('tenant_id')":                               "view v has provisioner()",
		views("SELECT provisioner('tenant_id')"):                                                    "provisioner()",
		table + trigger + "SELECT provisioner('plan'); END":                                         "trigger x has provisioner()",
		fires("SELECT provisioner('plan')"):                                                         "provisioner()",
		"CREATE TABLE a (n DEFAULT (provisioner('plan')))":                                          "provisioner()",
		"CREATE TABLE a (n CHECK (n = provisioner('plan')))":                                        "provisioner()",
		"CREATE TABLE a (n, g AS (provisioner(n)))":                                                 "provisioner()",
		table + "CREATE INDEX i ON a (provisioner(b))":                                              "provisioner()",
		table + "CREATE INDEX i ON a (b) WHERE b = provisioner('plan')":                             "provisioner()",
		table + "ALTER TABLE a ADD COLUMN c DEFAULT (provisioner('plan'))":                          "provisioner()",
		table + "ALTER TABLE a RENAME TO provisioner; CREATE TABLE c (r REFERENCES provisioner(n))": "provisioner()",
		"SELECT provisioner('password')":                                                            "use 'tenant_id', 'display_name', 'created_by' or 'plan'",
		"SELECT provisioner('Plan')":                                                                "use 'tenant_id'",
		"SELECT provisioner(NULL)":                                                                  "use 'tenant_id'",
		"SELECT provisioner()":                                                                      "provisioner()",
		"SELECT provisioner('plan', 1)":                                                             "provisioner()",
		// Text that is not SQL, and statements that cannot run.
		".read other.sql":             "commands of the sqlite3 shell",
		"SELECT 1;\n.tables":          "line 2: commands of the sqlite3 shell",
		"SELECT 1; \x00 DROP TABLE x": "NUL",
		"SELECT ?, ?":                 "missing argument",
		"SELECT :name":                "missing",
		"SELECT \"text\"":             "no such column",
		"SELECT * FROM missing":       "no such table",
		"SELECT 1; SELEC 2":           "syntax error",
		"CREATE TRIGGER x AFTER INSERT ON document BEGIN SELECT 1;": "incomplete",
		"SELECT 'without its end":                                   "unrecognized token",
		"INSERT INTO docbasket (id) VALUES ('b')":                   "NOT NULL",
		"INSERT INTO document SELECT * FROM missing_too":            "no such table",
		table + "INSERT INTO a VALUES ('text', 1)":                  "datatype mismatch",
		// What takes too much.
		"SELECT zeroblob(1000000000)":                                           "too big",
		"SELECT length(hex(zeroblob(40000000)))":                                "too big",
		"SELECT 'a' LIKE replace(hex(zeroblob(2000)), '0', '%a')":               "pattern too complex",
		"SELECT " + strings.Repeat("(", 3000) + "1" + strings.Repeat(")", 3000): "",
		// Rows that others would not expect.
		"INSERT INTO document (id, basket_id, name, source, path, checksum) VALUES ('d', 'missing', 'n', 's', 'p', 'c')":                   "FOREIGN KEY",
		"CREATE TABLE a (n REFERENCES docbasket (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO a VALUES ('x')":                           "row 1 of table a refers to a row that docbasket does not have",
		"CREATE TABLE a (n PRIMARY KEY REFERENCES docbasket (id) DEFERRABLE INITIALLY DEFERRED) WITHOUT ROWID; INSERT INTO a VALUES ('x')": "a row of table a",
	} {
		s.replace(scriptsOf("SELECT 1", script))
		t.Run(strings.ReplaceAll(script[:min(len(script), 70)], "/", "|"), func(t *testing.T) {
			n++
			failsWith(t, s, fmt.Sprint("tenant", n), events.CauseInitScriptFailed, want)
		})
	}
	if _, err := os.Stat(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a script has made another file: %v", err)
	}
}

// Every PRAGMA of the driver, and each as a table, is refused or only reads.
func TestScriptsAndPragmas(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("SELECT 1"))
	names := listed(t, "SELECT name FROM pragma_pragma_list")
	names = append(names, "unknown")
	for _, name := range names {
		for form, refused := range map[string]bool{
			"PRAGMA %s":                      pragmaRules[name] == pragmaRefused,
			"PRAGMA main.%s":                 pragmaRules[name] == pragmaRefused,
			"PRAGMA %s = 'document'":         pragmaRules[name] != pragmaReadsOf,
			"PRAGMA %s('document')":          pragmaRules[name] != pragmaReadsOf,
			"EXPLAIN PRAGMA %s = 'document'": pragmaRules[name] != pragmaReadsOf,
		} {
			script := fmt.Sprintf(form, name)
			err := tryDraft(t, s, script)
			if got := err != nil && strings.Contains(err.Error(), "PRAGMA "+name); got != refused || !refused && err != nil {
				t.Errorf("%s: %v", script, err)
			}
		}
		err := tryDraft(t, s, "CREATE VIEW v AS SELECT * FROM pragma_"+name+"; SELECT * FROM v")
		if err == nil && pragmaRules[name] == pragmaRefused {
			t.Errorf("pragma_%s can be read", name)
		}
	}
}

// tryDraft runs a script on a draft alone.
func tryDraft(t *testing.T, s *Store, text string) error {
	t.Helper()
	b := &build{Store: s}
	defer b.closeDatabase()
	if err := b.openDraft(t.Context()); err != nil {
		return err
	}
	return b.run(t.Context(), []script{{"010.sql", false, splitScript(text)}}, someValues)
}

// tryNew runs the scripts on a new file, for the request of that id.
func tryNew(t *testing.T, s *Store, id string) error {
	t.Helper()
	b := begun(t, s, id, "acme")
	defer b.Close(t.Context())
	return b.furtherTo(t.Context())
}

// listed returns the texts that a query on an empty database of the driver returns.
func listed(t *testing.T, query string) []string {
	t.Helper()
	db, err := open(t.TempDir()+"/empty.db", "rwc", busyTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := collect(t.Context(), db, query, func(row scanner) (name string, err error) {
		err = row.Scan(&name)
		return name, err
	})
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return all
}

// The rules know all that the driver has, and nothing else. A new version of the driver fails here until each new name
// is allowed or refused.
func TestRulesAreComplete(t *testing.T) {
	t.Parallel()
	// SQLite does not list the functions that only ALTER TABLE can call, nor modules that it makes when they are used.
	functions := append(listed(t, "SELECT DISTINCT name FROM pragma_function_list"), valuesFunction, "fts3_tokenizer",
		"sqlite_rename_column", "sqlite_rename_table", "sqlite_rename_test", "sqlite_rename_quotefix", "sqlite_drop_column",
		"sqlite_drop_constraint", "sqlite_add_constraint", "sqlite_find_constraint", "sqlite_fail")
	modules := append(listed(t, "SELECT name FROM pragma_module_list WHERE name NOT LIKE 'pragma_%'"), "json_each", "json_tree")
	for kind, c := range map[string]struct{ has, rules []string }{
		"functions": {functions, slices.Collect(maps.Keys(functionRules))},
		"modules":   {modules, slices.Collect(maps.Keys(moduleRules))},
		"PRAGMAs":   {listed(t, "SELECT name FROM pragma_pragma_list"), slices.Collect(maps.Keys(pragmaRules))},
		"actions":   {driverActions(t), actionsWithRule()},
	} {
		slices.Sort(c.has)
		slices.Sort(c.rules)
		if !slices.Equal(c.has, c.rules) {
			t.Errorf("%s: SQLite has\n%q, the rules are for\n%q", kind, c.has, c.rules)
		}
	}
}

func actionsWithRule() (all []string) {
	for action := range actionRules {
		all = append(all, fmt.Sprint(action))
	}
	return all
}

// driverActions returns the values of the constants of type AuthorizerActionCode in the driver.
func driverActions(t *testing.T) (all []string) {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "modernc.org/sqlite").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "authorizer.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`AuthorizerActionCode = sqlite3\.(SQLITE_\w+)`).FindAllSubmatch(source, -1)
	if len(names) == 0 {
		t.Fatal("no constants")
	}
	for code := 1; code <= len(names); code++ { // SQLite numbers them without gaps: a new one is the next
		all = append(all, fmt.Sprint(code))
	}
	return all
}

// The deadline ends a statement that does not end by itself.
func TestScriptDeadline(t *testing.T) {
	t.Parallel()
	const endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
	for name, script := range map[string]string{
		"query":  endless + "SELECT max(x) FROM c",
		"insert": "CREATE TABLE a (n); INSERT INTO a " + endless + "SELECT 1 FROM c WHERE x < 0",
		"GLOB":   endless + "SELECT count(*) FROM c WHERE x || 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' GLOB '*a*a*a*a*a*a*a*a*a*ab'",
		"trigger": "CREATE TABLE a (n); CREATE TRIGGER x AFTER INSERT ON a BEGIN " +
			"DELETE FROM a WHERE n IN (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x < 0);" +
			" END; INSERT INTO a VALUES (1)",
		"view": "CREATE VIEW v AS " + endless + "SELECT x FROM c; SELECT count(*) FROM v",
	} {
		scripts := scriptsOf("-- on one line: whichever statement the deadline meets\n" + script)
		scripts.Timeout = 100 * time.Millisecond
		s := openWith(t, t.TempDir(), scripts)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failsWith(t, s, "acme", events.CauseInitScriptFailed, "010.sql, line 2: "+errScriptTimeout.Error()+" (100ms)")
		})
	}
}

// An attempt that is cancelled while a script runs is not the script's fault.
func TestScriptIsCancelled(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("WITH RECURSIVE c(x) AS (SELECT provisioner('plan') UNION ALL SELECT x || '' FROM c) "+
		"SELECT max(x) FROM c"))
	stopped := errors.New("the process stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancelling := &scriptDriver{}
	err := cancelling.native.RegisterScalarFunction(valuesFunction, 1, func(*native.FunctionContext, []driver.Value) (driver.Value, error) {
		cancel(stopped)
		return "", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.drivers.giveBack(cancelling)
	b := begun(t, s, "1", "acme")
	if err := b.furtherTo(ctx); !errors.Is(err, stopped) || errors.As(err, new(*pipeline.Fault)) {
		t.Errorf("%v", err)
	}
}

// A script that makes a larger file than fits into memory fails.
func TestScriptMakesALargeFile(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("CREATE TABLE a (b);\nINSERT INTO a WITH RECURSIVE c(x) AS "+
		"(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT zeroblob(1000000) FROM c"))
	err := tryNew(t, s, "1")
	if fault, ok := errors.AsType[*pipeline.Fault](err); !ok || fault.Code != events.CauseInitScriptFailed ||
		!strings.Contains(err.Error(), "010.sql, line 2: the scripts make a file of more than 64 MiB") || fault.DriverCode != "SQLITE 13" {
		t.Errorf("%v", err)
	}
}

// docexIndexes are the indexes that DocEX makes for its listings, beyond those of the definition.
const docexIndexes = `
CREATE INDEX idx_docbasket_status ON docbasket (status);
CREATE INDEX idx_docbasket_created_at ON docbasket (created_at DESC);
CREATE INDEX idx_document_basket_status ON document (basket_id, status);
CREATE INDEX idx_document_basket_type ON document (basket_id, document_type);
CREATE INDEX idx_document_basket_created ON document (basket_id, created_at DESC);
CREATE INDEX idx_document_basket_updated ON document (basket_id, updated_at DESC);
CREATE INDEX idx_document_basket_name ON document (basket_id, name);
CREATE INDEX idx_document_metadata_doc_key_value ON document_metadata (document_id, key);
`

// What a script may do. Each query afterwards, on a connection of another program, returns that text.
var legitimate = map[string]struct{ script, query, want string }{
	"DocEX's indexes": {docexIndexes, "SELECT count(*) FROM sqlite_schema WHERE name IN ('idx_docbasket_status', " +
		"'idx_docbasket_created_at', 'idx_document_basket_status', 'idx_document_basket_type', 'idx_document_basket_created', " +
		"'idx_document_basket_updated', 'idx_document_basket_name', 'idx_document_metadata_doc_key_value')", "8"},
	"values": {
		"CREATE TABLE a (id, name, creator, plan);\n" +
			"INSERT INTO a VALUES (provisioner('tenant_id'), provisioner('display_name'), provisioner('created_by'), provisioner('plan'))",
		"SELECT format('%s|%s|%s|%s', id, name, creator, plan) FROM a", "acme|A 'Customer'; --|billing|free",
	},
	"rows of the definition": {
		"INSERT INTO docbasket (id, name, storage_config) VALUES ('b', provisioner('display_name'), '{}')",
		"SELECT name || status FROM docbasket", "A 'Customer'; --active",
	},
	"view":           {"CREATE VIEW v AS SELECT name FROM docbasket; SELECT * FROM v", "SELECT count(*) FROM v", "0"},
	"with recursive": {"CREATE TABLE a AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 5) SELECT x FROM c", "SELECT sum(x) FROM a", "15"},
	"trigger": {
		"CREATE TABLE a (n);\nCREATE TABLE log (n);\nCREATE TRIGGER x AFTER INSERT ON a BEGIN\n INSERT INTO log VALUES (new.n); END;\nINSERT INTO a VALUES (7);",
		"SELECT n FROM log", "7",
	},
	"instead of": {
		"CREATE TABLE a (n); CREATE VIEW v AS SELECT n FROM a; CREATE TRIGGER x INSTEAD OF INSERT ON v BEGIN INSERT INTO a VALUES (new.n); END; INSERT INTO v VALUES (3)",
		"SELECT n FROM a", "3",
	},
	"fts5": {
		"CREATE VIRTUAL TABLE f USING fts5(body);\nINSERT INTO f VALUES ('hello world');\nSELECT highlight(f, 0, '<', '>'), bm25(f) FROM f('hello');\nINSERT INTO f(f) VALUES ('optimize');",
		"SELECT count(*) FROM f WHERE f MATCH 'world'", "1",
	},
	"fts5 of a table": {
		"CREATE TABLE a (id INTEGER PRIMARY KEY, body); CREATE VIRTUAL TABLE f USING fts5(body, content='a', content_rowid='id');" +
			"CREATE TRIGGER x AFTER INSERT ON a BEGIN INSERT INTO f(rowid, body) VALUES (new.id, new.body); END; INSERT INTO a(body) VALUES ('some text');" +
			"CREATE VIRTUAL TABLE terms USING fts5vocab('f', 'row');",
		"SELECT count(*) FROM f('text')", "1",
	},
	"rtree":           {"CREATE VIRTUAL TABLE r USING rtree(id, low, high); INSERT INTO r VALUES (1, 2, 3)", "SELECT high FROM r", "3"},
	"generated":       {"CREATE TABLE a (n, g AS (n * 2) STORED, h TEXT AS (upper(n))); CREATE INDEX i ON a (lower(h)); INSERT INTO a VALUES (4)", "SELECT g FROM a", "8"},
	"upsert":          {"CREATE TABLE a (k PRIMARY KEY, n); INSERT INTO a VALUES (1, 1); INSERT INTO a VALUES (1, 2) ON CONFLICT (k) DO UPDATE SET n = n + excluded.n RETURNING n", "SELECT n FROM a", "3"},
	"partial index":   {"CREATE INDEX i ON operations (document_id) WHERE status = 'running' AND 1", "SELECT count(*) FROM sqlite_schema WHERE name = 'i'", "1"},
	"without rowid":   {"CREATE TABLE a (k TEXT PRIMARY KEY) WITHOUT ROWID, STRICT; INSERT INTO a VALUES ('x')", "SELECT k FROM a", "x"},
	"autoincrement":   {"CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO a DEFAULT VALUES; UPDATE sqlite_sequence SET seq = 999 WHERE name = 'a'; INSERT INTO a DEFAULT VALUES", "SELECT max(id) FROM a", "1000"},
	"alter":           {"CREATE TABLE a (n); ALTER TABLE a ADD COLUMN m DEFAULT 5; ALTER TABLE a RENAME COLUMN n TO k; ALTER TABLE a RENAME TO b; ALTER TABLE b DROP COLUMN k; INSERT INTO b DEFAULT VALUES", "SELECT m FROM b", "5"},
	"drop of its own": {"CREATE TABLE a (n); CREATE VIEW v AS SELECT 1; CREATE INDEX i ON a (n); DROP INDEX i; DROP VIEW v; DROP TABLE a", "SELECT count(*) FROM sqlite_schema WHERE name = 'a'", "0"},
	"reads the schema": {"PRAGMA table_info(document); SELECT name FROM pragma_table_xinfo('document'); PRAGMA foreign_key_list(document); " +
		"PRAGMA index_list('document'); PRAGMA user_version; PRAGMA foreign_key_check; SELECT * FROM sqlite_schema", "SELECT 1", "1"},
	"json":         {"CREATE TABLE a AS SELECT value FROM json_each('[1,2]')", "SELECT sum(value) FROM a", "3"},
	"added column": {"ALTER TABLE document ADD COLUMN extra TEXT", "SELECT count(extra) FROM document", "0"},
	"window":       {"CREATE TABLE a AS SELECT row_number() OVER (ORDER BY value DESC) AS n, value FROM json_each('[1,2]')", "SELECT value FROM a WHERE n = 1", "2"},
	"reindex":      {"REINDEX; REINDEX document", "SELECT 1", "1"},
	"deferred key": {"CREATE TABLE a (n REFERENCES docbasket (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO a VALUES ('b'); " +
		"INSERT INTO docbasket (id, name, storage_config) VALUES ('b', 'B', '{}')", "SELECT n FROM a", "b"},
	"text with the function's name": {"CREATE TABLE a (provisioner TEXT DEFAULT 'provisioner(1)'); -- provisioner('plan')\nINSERT INTO a DEFAULT VALUES", "SELECT provisioner FROM a", "provisioner(1)"},
	"only comments":                 {"-- nothing;\n/* ; */", "SELECT 1", "1"},
}

// Scripts make the same of a new file and of one that existed. The registered file has no other files beside it.
func TestLegitimateScripts(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("SELECT 1"))
	n := 0
	for name, c := range legitimate {
		n++
		s.replace(scriptsOf("-- first", strings.ReplaceAll(c.script, "\n", "\r\n")))
		if err := s.RehearseFurther(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, exists := range []bool{false, true} {
			tenant := fmt.Sprint("tenant", n, exists)
			if exists {
				existingFile(t, s, tenant)
			}
			b := begun(t, s, tenant, tenant)
			if err := b.furtherTo(t.Context()); err != nil {
				t.Errorf("%s, exists %v: %v", name, exists, err)
				continue
			}
			if err := register(t, b); err != nil {
				t.Errorf("%s, exists %v: %v", name, exists, err)
			}
			b.Close(t.Context())
			if entries, err := os.ReadDir(filepath.Dir(b.path)); err != nil || len(entries) != 1 {
				t.Errorf("%s, exists %v: %v, %v", name, exists, entries, err)
			}
			for query, want := range map[string]string{
				c.query: c.want, "PRAGMA integrity_check": "ok", "PRAGMA journal_mode": "delete", "PRAGMA user_version": "0",
				"PRAGMA application_id": fmt.Sprint(s.ownerTag(b.claim.Key)), "PRAGMA page_size": "4096",
			} {
				if got := answer(t, b.path, query); got != want {
					t.Errorf("%s, exists %v: %s is %q, want %q", name, exists, query, got, want)
				}
			}
		}
	}
	if entries, err := os.ReadDir(s.Root); err != nil || len(entries) != 1+2*n {
		t.Errorf("%v, %v", entries, err)
	}
}

// answer returns the text of a query on a connection without this program's functions.
func answer(t *testing.T, path, query string) string {
	t.Helper()
	db, err := open(path, "ro", busyTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got, err := text(t.Context(), db, query)
	if err != nil {
		t.Errorf("%s: %v", query, err)
	}
	return got
}

// The definition must still hold after the scripts.
func TestScriptsKeepTheDefinition(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("SELECT 1"))
	n := 0
	for script, want := range map[string]string{
		"DROP TABLE file_history":                                                     "file_history",
		"ALTER TABLE document RENAME TO document_old":                                 "document",
		"ALTER TABLE document RENAME COLUMN status TO state":                          "document.status",
		"ALTER TABLE docbasket ADD COLUMN n INTEGER NOT NULL DEFAULT 1 CHECK (n > 0)": "docbasket",
		"CREATE UNIQUE INDEX i ON document (name)":                                    "unique (name)",
		"CREATE TRIGGER x BEFORE INSERT ON document BEGIN SELECT RAISE(IGNORE); END":  "trigger x",
		"DROP TABLE file_history; CREATE VIEW file_history AS SELECT 1":               "file_history",
	} {
		n++
		s.replace(scriptsOf(script))
		failsWith(t, s, fmt.Sprint("tenant", n), events.CauseInitScriptFailed, want)
		if err := s.RehearseFurther(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rehearsal of %s: %v", script, err)
		}
	}
}

// Scripts that are marked as prepare are part of the template, up to the first that is not: the order of names holds.
func TestPreparedScripts(t *testing.T) {
	t.Parallel()
	scripts := scriptsOf("CREATE TABLE a (n)", "INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (provisioner('plan'))", "INSERT INTO a VALUES (2)")
	for i := range scripts.Files {
		scripts.Files[i].Prepare = i != 2
	}
	s := openWith(t, t.TempDir(), scripts)
	if len(s.pending) != 2 || s.template.found.Tables != 11 || s.template.found.Indexes != 18 {
		t.Errorf("%d pending, %+v", len(s.pending), s.template.found)
	}
	if err := errors.Join(s.RehearseFurther(t.Context()), s.Rehearse(t.Context())); err != nil {
		t.Error(err)
	}
	for _, tenant := range []string{"new", "existing"} {
		if tenant == "existing" {
			existingFile(t, s, tenant)
		}
		b := begun(t, s, tenant, tenant)
		if err := errors.Join(b.furtherTo(t.Context()), register(t, b)); err != nil {
			t.Error(err)
		}
		if got := answer(t, b.path, "SELECT group_concat(n, ' ') FROM a"); got != "1 free 2" {
			t.Errorf("%s: %s", tenant, got)
		}
	}
	scripts = scriptsOf(docexIndexes)
	scripts.Files[0].Prepare = true
	s = openWith(t, t.TempDir(), scripts)
	b := begun(t, s, "1", "acme")
	if err := b.furtherTo(t.Context()); err != nil || b.tx != nil {
		t.Errorf("all is in the template, but there is a draft: %v", err)
	}
}

// A script that is marked as prepare can use no value, and fails before anything is made.
func TestPreparedScriptFails(t *testing.T) {
	t.Parallel()
	scripts := scriptsOf("CREATE TABLE a (n);\nINSERT INTO a VALUES (provisioner('plan'))")
	scripts.Files[0].Prepare = true
	root := filepath.Join(t.TempDir(), "storage")
	_, err := Open(t.Context(), Config{
		Root: root, PathTemplate: "tenant_{tenant_id}/docex.db", Connections: 2,
		CreatedBy: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Scripts: scripts,
	})
	if err == nil || !strings.Contains(err.Error(), "010.sql, line 2: ") || !strings.Contains(err.Error(), "remove the mark") {
		t.Error(err)
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// A column that the definition lacks would fail validate_schema, which comes before the scripts.
	scripts.Files[0].Text = "ALTER TABLE document ADD COLUMN extra TEXT"
	s := openWith(t, root, scripts)
	if err := errors.Join(s.RehearseFurther(t.Context()), s.Rehearse(t.Context()), tryNew(t, s, "1")); err != nil {
		t.Error(err)
	}
}

// A rehearsal has the longest values, and leaves nothing.
func TestRehearsalOfScripts(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("CREATE TABLE a (n CHECK (length(n) < 255));\nINSERT INTO a VALUES ('x');\n"+
		"INSERT INTO a VALUES (provisioner('display_name'))"))
	before := content(t, s.path("_docex_system_"))
	err := s.RehearseFurther(t.Context())
	if fault, ok := errors.AsType[*pipeline.Fault](err); !ok || fault.Code != events.CauseInitScriptFailed ||
		!strings.Contains(err.Error(), "010.sql, line 3: ") || fault.DriverCode != "SQLITE 19" {
		t.Error(err)
	}
	if err := s.Rehearse(t.Context()); err != nil {
		t.Errorf("without scripts: %v", err)
	}
	if entries, err := os.ReadDir(s.Root); err != nil || len(entries) != 1 || !bytes.Equal(content(t, s.path("_docex_system_")), before) {
		t.Errorf("%v, %v", entries, err)
	}
}

// Attempts at the same time have values of their own, also on drivers that others have used.
func TestValuesAreTheAttempts(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("CREATE TABLE a (n); INSERT INTO a VALUES (provisioner('tenant_id'))",
		"INSERT INTO a WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 500) SELECT provisioner('tenant_id') FROM c"))
	var all errgroup.Group
	for worker := range 4 {
		for i := range 5 {
			tenant := fmt.Sprintf("t%d-%d", worker, i)
			b := begun(t, s, tenant, tenant)
			all.Go(func() error {
				defer b.Close(t.Context())
				if _, err := b.CreateBoundary(t.Context()); err != nil {
					return err
				}
				if err := b.CreateTables(t.Context(), nil); err != nil {
					return err
				}
				if _, err := b.RunScripts(t.Context(), pipeline.Values{TenantID: tenant}); err != nil {
					return err
				}
				got, err := text(t.Context(), b.tx, "SELECT group_concat(DISTINCT n) FROM a")
				if err == nil && got != tenant {
					err = fmt.Errorf("%s has the values of %s", tenant, got)
				}
				return err
			})
		}
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	if n := len(s.drivers.free); n == 0 || n > 20 {
		t.Errorf("%d drivers", n)
	}
}

// A file that is made again after a loss gets what the scripts make.
func TestFileIsMadeAgainWithScripts(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("CREATE TABLE a (n); INSERT INTO a VALUES (provisioner('display_name') || provisioner('plan'))"))
	b := begun(t, s, "1", "acme")
	tenant := tenantOf(b)
	tenant.Plan.Name = "free"
	r := sql.Restoration{Tenant: &tenant, Recreate: true, Outcome: pipeline.Outcome{Type: events.TypeProvisioned}}
	if err := errors.Join(b.makeAgain(t.Context(), &r), b.linkIntoPlace()); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, b.path, "SELECT n FROM a"); got != "Afree" {
		t.Error(got)
	}
}
