package sqlite

import (
	databasesql "database/sql"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/docextest"
	"example.com/tenant-provisioner/internal/sql/structure"
	"example.com/tenant-provisioner/internal/testkit"
)

const everythingInAFile = `
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(50) NOT NULL UNIQUE DEFAULT 'x', at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE t (
	id TEXT PRIMARY KEY, -- of 36 characters
	parent_id INTEGER REFERENCES parent (id) ON DELETE SET NULL ON UPDATE SET DEFAULT,
	note TEXT COLLATE NOCASE, n INTEGER CONSTRAINT positive CHECK (n > 0) NOT NULL DEFAULT (1 + 1),
	twice INTEGER GENERATED ALWAYS AS (n * 2) STORED, thrice AS (n * 3),
	UNIQUE (note, n), CONSTRAINT k CHECK (note <> 'a -- b' OR n <> 1e-5), FOREIGN KEY (n) REFERENCES parent (id)
);
CREATE TABLE s (a INTEGER, b TEXT) STRICT;
CREATE TABLE w (a INTEGER, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE plain (note VARCHAR(50) DEFAULT 'x', at DATETIME);
CREATE INDEX idx_n ON t (n);
CREATE INDEX idx_note ON t (lower(note)) WHERE n > 1;
CREATE UNIQUE INDEX idx_u ON t (n, twice);
CREATE VIEW v AS SELECT t.id, parent.name FROM t JOIN parent ON parent.id = t.parent_id WHERE t.note = 'Sad';
CREATE TRIGGER tr BEFORE UPDATE ON t WHEN old.n IS NOT new.n BEGIN UPDATE plain SET note = 'Changed'; END;
CREATE VIRTUAL TABLE found USING fts5 (body, tokenize = 'porter');
`

// newFile makes a file by running statements in it.
func newFile(t testing.TB, statements ...string) *databasesql.DB {
	t.Helper()
	db, err := databasesql.Open("sqlite", filepath.Join(t.TempDir(), "docex.db"))
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, db.Close()) })
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return db
}

func structureOf(t testing.TB, from querier) structure.Structure {
	t.Helper()
	s, err := readStructure(t.Context(), from)
	testkit.Must(t, err)
	return s
}

// Each property of each kind of object is compared, and no more. Tolerated differences begin with a tilde. A change of the
// form "a → b" replaces a part of the text that makes everything.
func TestStructureAlterations(t *testing.T) {
	t.Parallel()
	reference := structureOf(t, newFile(t, everythingInAFile))
	for _, a := range []struct {
		change string
		want   []string
	}{
		{"SELECT 1", nil},
		// The same in another form.
		{"CREATE TABLE plain (note → create  TABLE /* (x, y) */ plain(\n\tNote", nil},
		{"CREATE INDEX idx_n ON t (n) → CREATE INDEX IF NOT EXISTS idx_N\nON T ( N )", nil},
		{"CREATE VIEW v AS SELECT t.id → CREATE VIEW v AS -- the ids\nselect T.id", nil},
		{"note VARCHAR(50) → note character varying ( 50 )", nil},
		{"note VARCHAR(50) → note VARCHAR(60)", nil},
		{"note VARCHAR(50) → note TEXT", nil},
		{"PRAGMA user_version = 7; ANALYZE; INSERT INTO parent (name) VALUES ('a'); INSERT INTO found (body) VALUES ('a')", nil},

		{"DROP TABLE plain", []string{"table plain is missing"}},
		{"CREATE TABLE added (a INTEGER UNIQUE)", []string{"~table added is not in the definition"}},
		{"WITHOUT ROWID →", []string{"column w.a: not null is not set, want yes", "column w.b: not null is not set, want yes", "table w: WITHOUT ROWID is not set, want yes"}},
		{"STRICT →", []string{"table s: STRICT is not set, want yes"}},
		{"UNIQUE (note, n), CONSTRAINT k → CONSTRAINT k", []string{"table t: constraints is constraint k check ( note <> 'a -- b' or n <> 1e-5 ), foreign key ( n ) references parent ( id ), want constraint k check ( note <> 'a -- b' or n <> 1e-5 ), foreign key ( n ) references parent ( id ), unique ( note , n )"}},
		{"'a -- b' → 'A -- b'", []string{"table t: constraints is constraint k check ( note <> 'A -- b' or n <> 1e-5 ), foreign key ( n ) references parent ( id ), unique ( note , n ), want constraint k check ( note <> 'a -- b' or n <> 1e-5 ), foreign key ( n ) references parent ( id ), unique ( note , n )"}},

		{"note VARCHAR(50) → note VARCHAR(40)", []string{"column plain.note is varchar(40), want varchar(50)"}},
		{"at DATETIME) → at DATETIME NOT NULL)", []string{"column plain.at: not null is yes, want not set"}},
		{"(50) DEFAULT 'x' → (50) DEFAULT 'X'", []string{"column plain.note: default is 'X', want 'x'"}},
		{"(50) DEFAULT 'x' → (50)", []string{"column plain.note: default is not set, want 'x'"}},
		{"COLLATE NOCASE → COLLATE RTRIM", []string{"column t.note: constraints is collate rtrim, want collate nocase"}},
		{"CHECK (n > 0) → CHECK (n > 1)", []string{"column t.n: constraints is constraint positive check ( n > 1 ), want constraint positive check ( n > 0 )"}},
		{"SET NULL → CASCADE", []string{"column t.parent_id: constraints is references parent ( id ) on delete cascade on update set default, want references parent ( id ) on delete set null on update set default"}},
		{"(n * 2) STORED → (n * 2) VIRTUAL", []string{"column t.twice: generated is virtual, want stored", "column t.twice: constraints is generated always as ( n * 2 ) virtual, want generated always as ( n * 2 ) stored"}},
		{"(n * 3) → (n * 4)", []string{"column t.thrice: constraints is as ( n * 4 ), want as ( n * 3 )"}},
		{"AUTOINCREMENT →", []string{"column parent.id: constraints is primary key, want primary key autoincrement"}},
		{"NOT NULL UNIQUE → NOT NULL ON CONFLICT IGNORE UNIQUE", []string{"column parent.name: constraints is not null on conflict ignore unique, want unique"}},
		{"ALTER TABLE plain ADD added TEXT", []string{"~column plain.added is not in the definition"}},
		{"ALTER TABLE plain ADD added TEXT NOT NULL DEFAULT ''", []string{"~column plain.added is not in the definition"}},
		{"ALTER TABLE plain ADD added TEXT CHECK (added <> '')", []string{"column plain.added is not in the definition"}},
		{"ALTER TABLE plain ADD added TEXT AS (note)", []string{"column plain.added is not in the definition"}},
		{"ALTER TABLE t DROP COLUMN thrice; ALTER TABLE t ADD thrice AS (n * 3)", nil},
		{"ALTER TABLE plain DROP note; ALTER TABLE plain ADD note VARCHAR(50) DEFAULT 'x'", []string{"~table plain: the order of columns is at, note, want note, at"}},

		{"DROP INDEX idx_n", []string{"~index idx_n on t is missing"}},
		{"DROP INDEX idx_note", []string{"index idx_note on t is missing"}},
		{"CREATE INDEX added ON plain (at)", []string{"~index added on plain is not in the definition"}},
		{"CREATE INDEX added ON plain (at + 1)", []string{"index added on plain is not in the definition"}},
		{"CREATE INDEX added ON plain (at) WHERE at > 1", []string{"index added on plain is not in the definition"}},
		{"CREATE UNIQUE INDEX added ON plain (at)", []string{"index added on plain is not in the definition"}},
		{"ON t (n); → ON t (n DESC);", []string{"index idx_n on t is create index idx_n on t ( n desc ), want create index idx_n on t ( n )"}},
		{"WHERE n > 1 → WHERE n > 2", []string{"index idx_note on t is create index idx_note on t ( lower ( note ) ) where n > 2, want create index idx_note on t ( lower ( note ) ) where n > 1"}},

		{"'Sad' → 'sad'", []string{"view v is create view v as select t . id , parent . name from t join parent on parent . id = t . parent_id where t . note = 'sad', want create view v as select t . id , parent . name from t join parent on parent . id = t . parent_id where t . note = 'Sad'"}},
		{"'Changed' → 'changed'", []string{"trigger tr on t is create trigger tr before update on t when old . n is not new . n begin update plain set note = 'changed' ; end, want create trigger tr before update on t when old . n is not new . n begin update plain set note = 'Changed' ; end"}},
		{"DROP TRIGGER tr", []string{"trigger tr on t is missing"}},
		{"CREATE TRIGGER added AFTER INSERT ON plain BEGIN SELECT 1; END", []string{"trigger added on plain is not in the definition"}},
		{"'porter' → 'ascii'", []string{"virtual table found is create virtual table found using fts5 ( body , tokenize = 'ascii' ), want create virtual table found using fts5 ( body , tokenize = 'porter' )"}},
		{"DROP TABLE found", []string{"virtual table found is missing"}},
	} {
		statements := []string{everythingInAFile, a.change}
		if before, after, replaces := strings.Cut(a.change, " →"); replaces {
			text := strings.Replace(everythingInAFile, before, strings.TrimPrefix(after, " "), 1)
			if statements = []string{text}; text == everythingInAFile {
				t.Errorf("%s: changes nothing", a.change)
			}
		}
		found := structureOf(t, newFile(t, statements...))
		var got []string
		for _, d := range structure.Compare(reference, found) {
			text := d.Text
			if d.Tolerated {
				text = "~" + text
			}
			got = append(got, text)
		}
		if strings.Join(got, "\n") != strings.Join(a.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", a.change, strings.Join(got, "\n"), strings.Join(a.want, "\n"))
		}
		if len(a.want) > 0 && found.Fingerprint() == reference.Fingerprint() {
			t.Errorf("%s: the fingerprint is the same", a.change)
		}
	}
}

func TestTokenize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                  "",
		"a--b\nC":                           "a c",
		"a--b":                              "a",
		"a/*b'*/c":                          "a c",
		"a/*":                               "a",
		"'it''s' \"A\"\"b\" `A``\"b` [A b]": `'it''s' "A""b" "A` + "`" + `""b" "A b"`,
		"'open":                             "'open",
		"'open''":                           "'open''",
		"X'AB' x 'AB'":                      "x'ab' x 'AB'",
		"1e-5 1e - 5 0x1e-5 1.5E+3-2":       "1e-5 1e - 5 0x1e - 5 1.5e+3 - 2",
		"a.b<=c||ÄÖ$1":                      "a . b <= c || ÄÖ$1",
	} {
		testkit.Equal(t, text, normalize(text), want)
	}
}

func FuzzTokenize(f *testing.F) {
	f.Add(everythingInAFile)
	f.Add("CREATE TABLE x (a '")
	f.Fuzz(func(t *testing.T, text string) {
		once := normalize(text)
		testkit.Equal(t, "tokens of tokens", normalize(once), once)
		parseTable(tokenize(text))
	})
}

// Registry and tenant that DocEX made can be read.
func TestStructureOfDocEX(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	docextest.SQLite(t, root)
	for _, tenant := range []string{"_docex_system_", "d1"} {
		db, err := databasesql.Open("sqlite", filepath.Join(root, "tenant_"+tenant, "docex.db"))
		testkit.Must(t, err)
		if s := structureOf(t, db); len(s.Objects) < 100 || len(structure.Compare(s, s)) > 0 {
			t.Errorf("%s: %d objects", tenant, len(s.Objects))
		}
		testkit.Must(t, db.Close())
	}
}

func BenchmarkStructure(b *testing.B) {
	db := newFile(b, q.Tables, q.Indexes)
	for b.Loop() {
		structureOf(b, db)
	}
}
