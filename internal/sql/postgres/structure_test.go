package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/docextest"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/sql/structure"
	"example.com/tenant-provisioner/internal/testkit"
)

// boundaries makes boundaries to compare. Its role is one that owns them, and nothing else.
type boundaries struct {
	conn *pgx.Conn
	q    queries
}

func newBoundaries(t testing.TB) boundaries {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), postgrestest.Database(t))
	testkit.Must(t, err)
	q, err := loadQueries("docex_system")
	testkit.Must(t, err)
	b := boundaries{conn, q}
	role := "owner_" + strings.ToLower(rand.Text())
	b.run(t, "CREATE ROLE "+role, "GRANT CREATE ON DATABASE "+quote(conn.Config().Database)+" TO "+role, "SET ROLE "+role)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, err := conn.Exec(ctx, "ROLLBACK; RESET ROLE; DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role)
		testkit.Must(t, errors.Join(err, conn.Close(ctx)))
	})
	return b
}

func (b boundaries) run(t testing.TB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := b.conn.Exec(t.Context(), s, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// create makes a boundary by running statements in it.
func (b boundaries) create(t testing.TB, schema string, statements ...string) {
	t.Helper()
	b.run(t, "CREATE SCHEMA "+quote(schema))
	b.alter(t, schema, statements...)
}

// alter runs statements in a boundary.
func (b boundaries) alter(t testing.TB, schema string, statements ...string) {
	t.Helper()
	b.run(t, "SET search_path TO "+quote(schema))
	b.run(t, statements...)
	b.run(t, "SET search_path TO pg_catalog")
}

func (b boundaries) read(t testing.TB, schema string) structure.Structure {
	t.Helper()
	s, err := readStructure(t.Context(), b.conn, b.q, schema)
	testkit.Must(t, err)
	return s
}

// expectEqual fails on any difference between two structures.
func expectEqual(t *testing.T, what string, reference, found structure.Structure) {
	t.Helper()
	for _, d := range structure.Compare(reference, found) {
		t.Errorf("%s: %s", what, d.Text)
	}
	testkit.Equal(t, what+": fingerprint", found.Fingerprint(), reference.Fingerprint())
	if !slices.Equal(found.Unreadable, reference.Unreadable) {
		t.Errorf("%s: unreadable %q, want %q", what, found.Unreadable, reference.Unreadable)
	}
}

// alterations are changes of one property of a boundary with everything, and what Compare returns. Tolerated differences
// begin with a tilde.
var alterations = []struct {
	change string
	want   []string
}{
	{"SELECT 1", nil},
	{"DROP TABLE parent CASCADE; DROP VIEW IF EXISTS v", []string{"foreign key t_parent_id_fkey on t is missing", "sequence parent_id_seq is missing", "table parent is missing", "view v is missing"}},
	{"ALTER TABLE plain RENAME TO other", []string{"table plain is missing", "~table other is not in the definition"}},
	{"ALTER TABLE plain SET UNLOGGED", []string{"table plain: persistence is unlogged, want permanent"}},
	{"ALTER TABLE t SET (fillfactor = 80)", []string{"table t: options is fillfactor=80, want fillfactor=70"}},
	{"ALTER TABLE t RESET (toast.autovacuum_enabled)", []string{"table t: options of its TOAST table is not set, want autovacuum_enabled=off"}},
	{"ALTER TABLE t ENABLE ROW LEVEL SECURITY", []string{"table t: row security is enabled, want not set"}},
	{"ALTER TABLE t FORCE ROW LEVEL SECURITY", []string{"table t: row security is forced, but disabled, want not set"}},
	{"ALTER TABLE t REPLICA IDENTITY FULL", []string{"table t: replica identity is full, want default"}},
	{"ALTER TABLE parent REPLICA IDENTITY USING INDEX parent_name_key", []string{"table parent: replica identity is an index, want default", "unique key parent_name_key on parent: index use is replica identity, want not set"}},
	{"ALTER TABLE t CLUSTER ON idx_n", []string{"index idx_n on t: use is clustered, want not set"}},
	{"CREATE TABLE child () INHERITS (plain)", []string{"~table child is not in the definition"}},
	{"ALTER TABLE part DETACH PARTITION part_1", []string{
		"column part_1.k: inherited is not set, want yes", "column part_1.v: inherited is not set, want yes",
		"table part_1: partition of is not set, want part", "table part_1: partition is not set, want FOR VALUES FROM (0) TO (10)",
	}},
	{"ALTER TABLE typed NOT OF", []string{"table typed: row type is not set, want pair"}},

	{"ALTER TABLE plain ALTER note TYPE varchar(40)", []string{"column plain.note is varchar(40), want varchar(50)"}},
	{"ALTER TABLE plain ALTER note TYPE varchar(60)", nil},
	{"ALTER TABLE plain ALTER note TYPE text", nil}, // though its default is printed with another cast
	{"ALTER TABLE plain ALTER at TYPE timestamptz", nil},
	{"ALTER TABLE plain ALTER at TYPE date", []string{"column plain.at is date, want timestamp"}},
	{"ALTER TABLE plain ALTER note SET NOT NULL", []string{"column plain.note: not null is yes, want not set"}},
	{"ALTER TABLE plain ALTER note DROP DEFAULT", []string{"column plain.note: default is not set, want 'x'::character varying"}},
	{"ALTER TABLE plain ALTER note SET DEFAULT 'y'", []string{"column plain.note: default is 'y'::character varying, want 'x'::character varying"}},
	{"ALTER TABLE plain ALTER note TYPE text, ALTER note SET DEFAULT 'y'", []string{"column plain.note: default is 'y'::text, want 'x'::character varying"}},
	{"ALTER TABLE plain DROP note", []string{"column plain.note is missing"}},
	{"ALTER TABLE plain ADD added text", []string{"~column plain.added is not in the definition"}},
	{"ALTER TABLE plain ADD added text NOT NULL DEFAULT ''", []string{"~column plain.added is not in the definition"}},
	{"ALTER TABLE plain ADD added integer GENERATED ALWAYS AS IDENTITY", []string{"~column plain.added is not in the definition", "~sequence plain_added_seq is not in the definition"}},
	{"ALTER TABLE plain ADD added text NOT NULL", []string{"column plain.added is not in the definition"}},
	{"ALTER TABLE plain ADD added positive", []string{"column plain.added is not in the definition"}},
	{"ALTER TABLE plain ADD added text GENERATED ALWAYS AS (note) STORED", []string{"column plain.added is not in the definition"}},
	{"ALTER TABLE plain DROP note; ALTER TABLE plain ADD note varchar(50) DEFAULT 'x'", []string{"~table plain: the order of columns is at, note, want note, at"}},
	{"ALTER TABLE t ALTER twice DROP EXPRESSION", []string{"column t.twice: generated is not set, want (n * 2), stored"}},
	{"ALTER TABLE parent ALTER id SET GENERATED BY DEFAULT", []string{"column parent.id: identity is by default, want always"}},
	{`ALTER TABLE t ALTER note TYPE text COLLATE "C"`, []string{`column t.note: collation is "C", want german`}},
	{"ALTER TABLE t ALTER note SET STORAGE EXTERNAL", []string{"column t.note: storage is external, want not set"}},
	{"ALTER TABLE t ALTER note SET STATISTICS 7", []string{"column t.note: statistics target is 7, want not set"}},
	{"ALTER TABLE t ALTER n SET (n_distinct = 7)", []string{"column t.n: options is n_distinct=7, want not set"}},
	{"ALTER VIEW v ALTER name SET DEFAULT 'y'", []string{"view column name on v is not in the definition"}},

	{"ALTER TABLE t DROP CONSTRAINT t_n_check", []string{"check t_n_check on t is missing"}},
	{"ALTER TABLE plain ADD CHECK (note <> '')", []string{"check plain_note_check on plain is not in the definition"}},
	{"ALTER TABLE t DROP CONSTRAINT t_n_check, ADD CHECK (n > 1)", []string{"check t_n_check on t is CHECK ((n > 1)), want CHECK ((n > 0))"}},
	{"ALTER TABLE t DROP CONSTRAINT t_n_check, ADD CHECK (n > 0) NOT VALID", []string{"check t_n_check on t is CHECK ((n > 0)) NOT VALID, want CHECK ((n > 0))"}},
	{"ALTER TABLE t DROP CONSTRAINT t_parent_id_fkey, ADD FOREIGN KEY (parent_id) REFERENCES parent", []string{"foreign key t_parent_id_fkey on t is FOREIGN KEY (parent_id) REFERENCES parent(id), want FOREIGN KEY (parent_id) REFERENCES parent(id) ON DELETE CASCADE"}},
	{"ALTER TABLE t ALTER CONSTRAINT t_parent_id_fkey DEFERRABLE", []string{"foreign key t_parent_id_fkey on t is FOREIGN KEY (parent_id) REFERENCES parent(id) ON DELETE CASCADE DEFERRABLE, want FOREIGN KEY (parent_id) REFERENCES parent(id) ON DELETE CASCADE"}},
	{"ALTER TABLE plain ADD UNIQUE (note)", []string{"unique key plain_note_key on plain is not in the definition"}},
	{"ALTER TABLE parent DROP CONSTRAINT parent_name_key", []string{"unique key parent_name_key on parent is missing"}},
	{"ALTER INDEX parent_name_key SET (fillfactor = 50)", []string{"unique key parent_name_key on parent: index is CREATE UNIQUE INDEX parent_name_key ON parent USING btree (name) WITH (fillfactor='50'), want CREATE UNIQUE INDEX parent_name_key ON parent USING btree (name)"}},
	{"ALTER TABLE t DROP CONSTRAINT t_span_excl", []string{"exclusion t_span_excl on t is missing"}},
	{"ALTER TABLE plain ADD PRIMARY KEY (note)", []string{"column plain.note: not null is yes, want not set", "primary key plain_pkey on plain is not in the definition"}},

	{"DROP INDEX idx_n", []string{"~index idx_n on t is missing"}},
	{"DROP INDEX idx_note", []string{"index idx_note on t is missing"}},
	{"CREATE INDEX added ON plain (at)", []string{"~index added on plain is not in the definition"}},
	{"CREATE UNIQUE INDEX added ON plain (at)", []string{"index added on plain is not in the definition"}},
	{"CREATE INDEX added ON plain (at) WHERE at > '2000-01-01'", []string{"index added on plain is not in the definition"}},
	{"DROP INDEX idx_n; CREATE INDEX idx_n ON t (n DESC)", []string{"index idx_n on t is CREATE INDEX idx_n ON t USING btree (n DESC), want CREATE INDEX idx_n ON t USING btree (n)"}},
	{"DROP INDEX idx_note; CREATE INDEX idx_note ON t (lower(note)) WHERE n - (n - 1) > 1", []string{"index idx_note on t is CREATE INDEX idx_note ON t USING btree (lower(note)) WHERE (n - (n - 1)) > 1, want CREATE INDEX idx_note ON t USING btree (lower(note)) WHERE n > 1"}},
	{"ALTER INDEX idx_note ALTER COLUMN 1 SET STATISTICS 9", []string{"index idx_note on t: statistics targets is 1 9, want not set"}},

	{"CREATE OR REPLACE VIEW v AS SELECT t.id, parent.name FROM t JOIN parent ON parent.id = t.parent_id WHERE t.m = 'happy'", []string{`view v: query is  SELECT t.id,\n    parent.name\n   FROM (t\n     JOIN parent ON ((parent.id = t.parent_id)))\n  WHERE (t.m = 'happy'::mood);, ` +
		`want  SELECT t.id,\n    parent.name\n   FROM (t\n     JOIN parent ON ((parent.id = t.parent_id)))\n  WHERE (t.m = 'sad'::mood);`}},
	{"ALTER VIEW v SET (security_barrier)", []string{"view v: options is security_barrier=true, want not set"}},
	{"DROP MATERIALIZED VIEW mv; CREATE MATERIALIZED VIEW mv AS SELECT max(1) AS n FROM t", []string{"materialized view mv: query is  SELECT max(1) AS n\\n   FROM t;, want  SELECT count(*) AS n\\n   FROM t;"}},

	{"ALTER SEQUENCE s AS integer", []string{"sequence s is integer, want smallint", "sequence s: maximum is 2147483647, want 32767"}},
	{"ALTER SEQUENCE s START 3", []string{"sequence s: start is 3, want 1"}},
	{"ALTER SEQUENCE s INCREMENT 3", []string{"sequence s: increment is 3, want 2"}},
	{"ALTER SEQUENCE s MINVALUE 0", []string{"sequence s: minimum is 0, want 1"}},
	{"ALTER SEQUENCE s MAXVALUE 9", []string{"sequence s: maximum is 9, want 32767"}},
	{"ALTER SEQUENCE s CACHE 9", []string{"sequence s: cache is 9, want 1"}},
	{"ALTER SEQUENCE s NO CYCLE", []string{"sequence s: cycle is not set, want yes"}},
	{"ALTER SEQUENCE s OWNED BY NONE", []string{"sequence s: owned by is not set, want t.n"}},
	{"SELECT nextval('s'), setval('parent_id_seq', 99)", nil},

	{"DROP FUNCTION f(integer, mood)", []string{"function f(integer, mood) is missing"}},
	{"CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'", []string{"~function f(integer) is not in the definition"}},
	{"CREATE OR REPLACE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'", []string{"function tf(): body is BEGIN RETURN OLD; END, want BEGIN RETURN NEW; END"}},
	{"ALTER FUNCTION tf() IMMUTABLE", []string{"function tf(): volatility is immutable, want volatile"}},
	{"ALTER FUNCTION same(mood, mood) STRICT", []string{"function same(mood, mood): strict is yes, want not set"}},
	{"ALTER FUNCTION tf() SECURITY DEFINER", []string{"function tf(): security definer is yes, want not set"}},
	{"ALTER FUNCTION tf() PARALLEL SAFE", []string{"function tf(): parallel is safe, want unsafe"}},
	{"ALTER FUNCTION tf() COST 7", []string{"function tf(): cost is 7, want 100"}},
	{"ALTER FUNCTION f(integer, mood) ROWS 7", []string{"function f(integer, mood): rows is 7, want 1000"}},
	{"ALTER FUNCTION tf() SET work_mem = '1MB'", []string{"function tf(): settings is work_mem=1MB, want not set"}},
	{"ALTER FUNCTION f(integer, mood) SET search_path TO public", []string{`function f(integer, mood): settings is search_path="public", want search_path=(its own schema)`}},
	{"CREATE OR REPLACE FUNCTION f(a integer, b mood DEFAULT 'happy') RETURNS SETOF t LANGUAGE sql STABLE SET search_path FROM CURRENT AS 'SELECT * FROM t WHERE n = a'", []string{"function f(integer, mood): arguments is a integer, b mood DEFAULT 'happy'::mood, want a integer, b mood DEFAULT 'sad'::mood"}},
	{"DROP FUNCTION tf() CASCADE; CREATE FUNCTION tf() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'", []string{"function tf(): result is event_trigger, want trigger", "function tf(): body is BEGIN END, want BEGIN RETURN NEW; END", "trigger tr on t is missing"}},
	{"CREATE OR REPLACE PROCEDURE pr(INOUT a integer) LANGUAGE sql AS 'SELECT 1'", []string{"procedure pr(integer): language is sql, want plpgsql", "procedure pr(integer): body is SELECT 1, want BEGIN END"}},
	{"CREATE OR REPLACE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '1')", []string{"aggregate total(integer): aggregate is n, 0, int4pl, -, -, -, -, -, -, -, ff, rr, 0, integer, 0, -, 0, '1', NULL, want n, 0, int4pl, -, -, -, -, -, -, -, ff, rr, 0, integer, 0, -, 0, '0', NULL"}},

	{"ALTER TABLE t DISABLE TRIGGER tr", []string{"trigger tr on t: state is disabled, want enabled"}},
	{"ALTER TABLE t ENABLE ALWAYS TRIGGER tr", []string{"trigger tr on t: state is enabled always, want enabled"}},
	{"DROP TRIGGER tr ON t", []string{"trigger tr on t is missing"}},
	{"CREATE TRIGGER added AFTER INSERT ON plain EXECUTE FUNCTION tf()", []string{"trigger added on plain is not in the definition"}},
	{"DROP TRIGGER tr ON t; CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf()", []string{"trigger tr on t is CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf(), want CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW WHEN (old.m IS DISTINCT FROM new.m) EXECUTE FUNCTION tf()"}},
	{"ALTER TABLE typed DISABLE RULE r", []string{"rule r on typed: state is disabled, want enabled"}},
	{"CREATE OR REPLACE RULE r AS ON DELETE TO typed DO INSTEAD DELETE FROM plain", []string{`rule r on typed is CREATE RULE r AS\n    ON DELETE TO typed DO INSTEAD  DELETE FROM plain;, want CREATE RULE r AS\n    ON DELETE TO typed DO INSTEAD NOTHING;`}},
	{"CREATE RULE added AS ON DELETE TO plain DO INSTEAD NOTHING", []string{"rule added on plain is not in the definition"}},
	{"ALTER POLICY pol ON t USING (m = 'sad')", []string{"policy pol on t: using is (m = 'sad'::mood), want (m = 'happy'::mood)"}},
	{"ALTER POLICY pol ON t TO CURRENT_USER", []string{"policy pol on t: roles is {role}, want public"}},
	{"DROP POLICY pol ON t; CREATE POLICY pol ON t AS RESTRICTIVE USING (m = 'happy') WITH CHECK (true)", []string{"policy pol on t: command is ALL, want SELECT", "policy pol on t: kind is restrictive, want permissive", "policy pol on t: with check is true, want not set"}},

	{"ALTER TYPE mood ADD VALUE 'calm' BEFORE 'happy'", []string{"type mood: labels is 'sad', 'calm', 'happy', want 'sad', 'happy'"}},
	{"ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'", []string{"policy pol on t: using is (m = 'glad'::mood), want (m = 'happy'::mood)", "type mood: labels is 'sad', 'glad', want 'sad', 'happy'"}},
	{"ALTER TYPE pair ADD ATTRIBUTE c text CASCADE", []string{"attribute c on pair is not in the definition", "~column typed.c is not in the definition"}},
	{"ALTER TYPE loose ALTER ATTRIBUTE a TYPE bigint", []string{"attribute a on loose is bigint, want integer"}},
	{"ALTER TYPE loose DROP ATTRIBUTE a; ALTER TYPE loose ADD ATTRIBUTE a integer", []string{"type loose: the order of columns is b, a, want a, b"}},
	{"ALTER DOMAIN positive SET DEFAULT 2", []string{"domain positive: default is 2, want 1"}},
	{"ALTER DOMAIN positive DROP NOT NULL", []string{"domain positive: not null is not set, want yes"}},
	{"ALTER DOMAIN positive DROP CONSTRAINT positive_check", []string{"check positive_check on positive is missing"}},
	{"ALTER DOMAIN positive ADD CHECK (VALUE < 9)", []string{"check positive_check1 on positive is not in the definition"}},
	{"DROP TYPE span; CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi)", []string{"type span: range is double precision, pg_catalog.float8_ops, difference float8mi, multirange span_multirange, want double precision, pg_catalog.float8_ops, multirange span_multirange"}},
	{"CREATE TYPE added AS ENUM ()", []string{"~type added is not in the definition"}},

	{"DROP STATISTICS st; CREATE STATISTICS st (dependencies) ON n, id FROM t", []string{"statistics st is (dependencies) ON id, n FROM t, want (ndistinct) ON id, n FROM t"}},
	{"ALTER STATISTICS st SET STATISTICS 7", []string{"statistics st: target is 7, want not set"}},
	{"DROP OPERATOR === (mood, mood)", []string{"operator mood === mood is missing"}},
	{"ALTER OPERATOR === (mood, mood) SET (RESTRICT = eqsel)", []string{"operator mood === mood: restrict is eqsel, want not set"}},
	{"ALTER TEXT SEARCH CONFIGURATION conf ALTER MAPPING FOR asciiword WITH dict", []string{"text search configuration conf: mappings is 1 1 dict, want 1 1 simple"}},
	{"ALTER TEXT SEARCH DICTIONARY dict (accept = false)", []string{"text search dictionary dict: options is accept = 'false', want not set"}},
	{"DROP CAST (loose AS text); CREATE CAST (loose AS text) WITH INOUT AS ASSIGNMENT", []string{"cast loose as text: context is assignment, want explicit"}},
	{"CREATE CAST (plain AS text) WITH INOUT", []string{"~cast plain as text is not in the definition"}},
	{"DROP CONVERSION conv", []string{"conversion conv is missing"}},
	{"DROP COLLATION IF EXISTS unused; CREATE COLLATION unused (LOCALE = 'POSIX')", []string{"collation unused: LC_COLLATE is POSIX, want C", "collation unused: LC_CTYPE is POSIX, want C"}},

	// What is left aside.
	{"COMMENT ON TABLE t IS 'x'; GRANT SELECT ON t TO PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO PUBLIC", nil},
	{"INSERT INTO parent (name) VALUES ('a'); REFRESH MATERIALIZED VIEW mv; ANALYZE parent", nil},
	{"CREATE TABLE public_ref AS SELECT 1", []string{"~table public_ref is not in the definition"}},
}

// Each property of each kind of object is compared.
func TestStructureAlterations(t *testing.T) {
	t.Parallel()
	b := newBoundaries(t)
	var role string
	testkit.Must(t, b.conn.QueryRow(t.Context(), "SELECT current_user").Scan(&role))
	b.create(t, "reference", everything)
	reference := b.read(t, "reference")
	if len(reference.Unreadable) > 0 {
		t.Error(reference.Unreadable)
	}
	b.run(t, "BEGIN")
	b.create(t, "altered", everything)
	for _, a := range alterations {
		b.run(t, "SAVEPOINT altered")
		b.alter(t, "altered", strings.ReplaceAll(a.change, "{s}", "altered"))
		found := b.read(t, "altered")
		b.run(t, "ROLLBACK TO altered")
		var got []string
		for _, d := range structure.Compare(reference, found) {
			text := d.Text
			if d.Tolerated {
				text = "~" + text
			}
			got = append(got, text)
		}
		want := strings.ReplaceAll(strings.Join(a.want, "\n"), "{role}", role)
		if strings.Join(got, "\n") != want {
			t.Errorf("%s:\n%s\nwant\n%s", a.change, strings.Join(got, "\n"), want)
		}
		if len(got) > 0 && found.Fingerprint() == reference.Fingerprint() {
			t.Errorf("%s: the fingerprint is the same", a.change)
		}
	}
}

// nastyNames are names of boundaries that need quotes, occur in what is in them, or are the beginning of another.
var nastyNames = []string{
	"T1", "a-b", `quo"te`, "it's", "x", "xy", "select", "t", "parent", "note", "mood", "sad", "ä ö", "a.b", "a,b", `back\slash`, "$1",
	"(its own schema)", "user", strings.Repeat("l", 63), " ", "%s", "public_", "integer", "v", "f",
}

// Boundaries are equal under every name, and after a prepared one was renamed.
func TestStructureDoesNotDependOnTheName(t *testing.T) {
	t.Parallel()
	b := newBoundaries(t)
	b.create(t, "reference", everything)
	reference := b.read(t, "reference")
	for _, name := range nastyNames {
		b.run(t, "BEGIN")
		b.create(t, name, everything)
		expectEqual(t, name, reference, b.read(t, name))
		b.run(t, "ROLLBACK", "BEGIN")
		b.create(t, "prepared:x", everything)
		b.run(t, `ALTER SCHEMA "prepared:x" RENAME TO `+quote(name))
		b.alter(t, name, "ALTER FUNCTION f(integer, mood) SET search_path FROM CURRENT")
		expectEqual(t, name+", renamed", reference, b.read(t, name))
		b.run(t, "ROLLBACK")
	}
}

// A function whose search_path is the boundary's former name does not work after the boundary was renamed.
func TestStructureOfARenamedBoundary(t *testing.T) {
	t.Parallel()
	b := newBoundaries(t)
	b.create(t, "reference", everything)
	reference := b.read(t, "reference")
	b.run(t, "ALTER SCHEMA reference RENAME TO renamed")
	differences := structure.Compare(reference, b.read(t, "renamed"))
	if len(differences) != 1 {
		t.Fatal(differences)
	}
	testkit.Equal(t, "difference", differences[0].Text,
		`function f(integer, mood): settings is search_path="reference", want search_path=(its own schema)`)
}

// A transaction is left as it was, and a boundary that is made in it is read.
func TestStructureKeepsTheTransaction(t *testing.T) {
	t.Parallel()
	b := newBoundaries(t)
	b.run(t, "BEGIN", "SET LOCAL TimeZone TO 'Asia/Tokyo'", "CREATE SCHEMA made", "SET LOCAL search_path TO made",
		"CREATE TABLE t (at timestamptz DEFAULT '2000-01-01 00:00+00')")
	testkit.Equal(t, "default", b.read(t, "made").Objects[0].Properties[1].Value, "'2000-01-01 00:00:00+00'::timestamp with time zone")
	var settings string
	testkit.Must(t, b.conn.QueryRow(t.Context(),
		"SELECT current_setting('search_path') || ' ' || current_setting('TimeZone')").Scan(&settings))
	testkit.Equal(t, "settings", settings, "made Asia/Tokyo")
	b.run(t, "ROLLBACK")
}

// What the reader calls is the server's own, whatever is in the boundary.
func TestStructureOfAHostileBoundary(t *testing.T) {
	t.Parallel()
	b := newBoundaries(t)
	hostile := []string{"CREATE FUNCTION raise() RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$called$$; END'"}
	for i, operands := range []string{"name, text", `"char", "char"`, `"char", text`, "oid, oid", "oid, regclass", "text, text", "text, varchar", "text, name"} {
		left, right, _ := strings.Cut(operands, ", ")
		for j, operator := range []string{"=", "<>", "||"} {
			function, result := fmt.Sprintf("op_%d_%d", i, j), "boolean"
			if operator == "||" {
				result = "text"
			}
			hostile = append(hostile,
				fmt.Sprintf("CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE sql AS 'SELECT raise()::%s'", function, operands, result, result),
				fmt.Sprintf("CREATE OPERATOR %s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %s)", operator, left, right, function))
		}
	}
	for _, f := range []string{"quote_ident(text)", "format_type(oid, integer)", "concat_ws(text, text)", "pg_get_expr(text, oid)", "set_config(text, text, boolean)"} {
		hostile = append(hostile, "CREATE FUNCTION "+f+" RETURNS text LANGUAGE sql AS 'SELECT raise()'")
	}
	hostile = append(hostile, "CREATE TABLE pg_namespace (n integer)", "CREATE TABLE pg_depend (n integer)", "CREATE TYPE regclass AS (n integer)",
		"CREATE TABLE t (n integer DEFAULT 1, r pg_catalog.regclass, name varchar CHECK (name OPERATOR(pg_catalog.=) 'x'))")
	b.create(t, "hostile", hostile...)
	b.create(t, "other", hostile...)
	expectEqual(t, "alone", b.read(t, "hostile"), b.read(t, "other"))
	b.run(t, "BEGIN", "SET LOCAL search_path TO hostile, pg_catalog")
	expectEqual(t, "in a transaction with its search_path", b.read(t, "hostile"), b.read(t, "other"))
	b.run(t, "ROLLBACK")
}

// What cannot be compared, and what the role may not read, is named.
func TestStructureThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := newBoundaries(t)
	b.create(t, "b", "CREATE TABLE t (n integer)", "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
	reference := b.read(t, "b")
	if _, err := readStructure(t.Context(), b.conn, b.q, "missing"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Error(err)
	}
	asSuperuser := func(statement string) { b.run(t, "BEGIN", "RESET ROLE", "SET search_path TO b", statement) }
	for statement, want := range map[string]string{
		"CREATE OPERATOR FAMILY o USING btree":                    "operator family o for access method btree: its kind is not compared",
		"ALTER EXTENSION plpgsql ADD FUNCTION f()":                "function f(): it belongs to an extension",
		"ALTER EXTENSION plpgsql ADD TABLE t":                     "table t: it belongs to an extension",
		"CREATE TYPE shell":                                       "type shell: its kind is not compared",
		"CREATE TEXT SEARCH TEMPLATE s (LEXIZE = dsimple_lexize)": "text search template s: its kind is not compared",
	} {
		asSuperuser(statement)
		found := b.read(t, "b")
		b.run(t, "ROLLBACK")
		if !slices.Equal(found.Unreadable, []string{want}) {
			t.Errorf("%s: %q", statement, found.Unreadable)
		}
		for _, d := range structure.Compare(reference, found) {
			if !strings.HasPrefix(statement, "ALTER EXTENSION") || d.Kind != structure.Missing {
				t.Errorf("%s: %s", statement, d.Text)
			}
		}
	}
	for statement, want := range map[string]string{
		"REVOKE USAGE ON SCHEMA b FROM CURRENT_ROLE":      `grant it USAGE on schema "b"`,
		"REVOKE SELECT ON pg_catalog.pg_proc FROM PUBLIC": "grant it SELECT on the tables of pg_catalog: ERROR: permission denied for table pg_proc",
	} {
		var role string
		testkit.Must(t, b.conn.QueryRow(t.Context(), "SELECT current_user").Scan(&role))
		asSuperuser(strings.ReplaceAll(statement, "CURRENT_ROLE", role))
		b.run(t, "SET ROLE "+role)
		_, err := readStructure(t.Context(), b.conn, b.q, "b")
		fault, ok := errors.AsType[*pipeline.Fault](err)
		if !ok || fault.Code != events.CausePermissionDenied {
			t.Fatalf("%s: %v", statement, err)
		}
		testkit.Contains(t, statement, err.Error(), want)
		b.run(t, "ROLLBACK")
	}
}

// Constraints whose triggers are off are not enforced. Only a superuser can do that.
func TestStructureOfDisabledForeignKeys(t *testing.T) {
	t.Parallel()
	b := newBoundaries(t)
	b.create(t, "b", "CREATE TABLE parent (id integer PRIMARY KEY)", "CREATE TABLE t (id integer REFERENCES parent)")
	reference := b.read(t, "b")
	for _, table := range []string{"t", "parent"} {
		b.run(t, "BEGIN", "RESET ROLE", "ALTER TABLE b."+table+" DISABLE TRIGGER ALL")
		differences := structure.Compare(reference, b.read(t, "b"))
		b.run(t, "ROLLBACK")
		if len(differences) != 1 || differences[0].Text != "foreign key t_id_fkey on t: enforced by is disabled triggers, want not set" {
			t.Errorf("%s: %v", table, differences)
		}
	}
}

// The structure is the same after a dump and its restoration.
func TestStructureAfterARestore(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	q, err := loadQueries("docex_system")
	testkit.Must(t, err)
	with := func(do func(b boundaries)) {
		conn, err := pgx.Connect(t.Context(), s.URL)
		testkit.Must(t, err)
		do(boundaries{conn, q})
		testkit.Must(t, conn.Close(t.Context()))
	}
	var reference structure.Structure
	with(func(b boundaries) {
		b.create(t, "a-b", everything)
		reference = b.read(t, "a-b")
	})
	file := t.TempDir() + "/dump.sql"
	s.Run("pg_dump", "--file", file, s.URL)
	s.Recreate()
	s.Run("psql", "-v", "ON_ERROR_STOP=1", "--file", file, s.URL)
	with(func(b boundaries) { expectEqual(t, "restored", reference, b.read(t, "a-b")) })
}

// Registry and tenants that DocEX made can be read, and its tenants are equal.
func TestStructureOfDocEX(t *testing.T) {
	t.Parallel()
	b := newBoundaries(t)
	b.run(t, "RESET ROLE")
	docextest.Postgres(t, b.conn.Config().ConnString(), "")
	registry := b.read(t, "docex_system")
	reference := b.read(t, "tenant_"+docextest.Tenants[0])
	if len(registry.Objects) < 100 || len(reference.Objects) < 100 {
		t.Errorf("%d and %d objects", len(registry.Objects), len(reference.Objects))
	}
	for _, tenant := range docextest.Tenants[1:] {
		expectEqual(t, tenant, reference, b.read(t, "tenant_"+tenant))
	}
}

// leftAside are the columns of the catalogues that structure.sql reads nothing of, by the reason. Without a catalogue: of
// each.
var leftAside = map[string]string{
	"privileges, owners": "relacl attacl typacl proacl lanacl nspacl srvacl relowner typowner proowner nspowner lanowner srvowner " +
		"oprowner opcowner stxowner conowner cfgowner dictowner collowner",
	"the boundary": "relnamespace connamespace oprnamespace cfgnamespace dictnamespace collnamespace",
	"how it is stored": "relfilenode reltablespace relpages reltuples relallvisible relallfrozen relisshared relrewrite relfrozenxid " +
		"relminmxid atthasmissing attmissingval attcacheoff indcheckxmin collversion",
	"whether a materialized view has its rows": "relispopulated",
	"being detached":                              "inhdetachpending",
	"follows from other rows":                     "relhasindex relnatts relchecks relhasrules relhastriggers relhassubclass pronargs pronargdefaults",
	"follows from the type":                       "attlen attndims attbyval attalign typndims typdefault oprkind",
	"of a base type, which is not compared":       "typlen typbyval typcategory typispreferred typisdefined typdelim typsubscript typelem typarray typinput typoutput typreceive typsend typmodin typmodout typanalyze typalign",
	"pg_get_constraintdef prints it":              "condeferrable condeferred conenforced confrelid confupdtype confdeltype confmatchtype connoinherit conperiod confkey conpfeqop conppeqop conffeqop confdelsetcols conexclop conbin",
	"pg_get_indexdef prints it":                   "indnatts indnkeyatts indnullsnotdistinct indisprimary indisexclusion indimmediate indkey indcollation indclass indoption",
	"pg_get_function_arguments and result":        "provariadic proretset prorettype proallargtypes proargmodes proargnames proargdefaults",
	"pg_get_function_sqlbody":                     "prosqlbody",
	"pg_get_statisticsobjdef prints it":           "stxrelid stxkeys stxkind stxexprs",
	"pg_get_ruledef prints it":                    "ev_type is_instead ev_qual ev_action",
	"pg_get_triggerdef prints it":                 "tgfoid tgtype tgconstrrelid tgconstrindid tgdeferrable tginitdeferred tgnargs tgattr tgargs tgqual tgoldtable tgnewtable",
	"of what belongs to the server, not a schema": "amhandler amtype lanispl lanpltrusted lanplcallfoid laninline lanvalidator srvfdw srvtype srvversion srvoptions",
	"of what only a superuser makes":              "opcmethod opcfamily opcintype opcdefault opckeytype prsstart prstoken prsend prsheadline prslextype tmplinit tmpllexize",
	"0 for a schema":                              "objsubid",
}

// cataloguesOfSchemas are those whose rows belong to a schema, and what is done with them.
var cataloguesOfSchemas = map[string]string{
	"pg_class": "read", "pg_type": "read", "pg_proc": "read", "pg_operator": "read", "pg_collation": "read", "pg_conversion": "read",
	"pg_statistic_ext": "read", "pg_ts_config": "read", "pg_ts_dict": "read", "pg_constraint": "read, of their tables and domains",
	"pg_opclass": "unreadable", "pg_opfamily": "unreadable", "pg_ts_parser": "unreadable", "pg_ts_template": "unreadable",
	"pg_extension": "unreadable", "pg_default_acl": "left aside: privileges", "pg_publication_namespace": "left aside",
}

// Every catalogue of what is in a schema is known, and of those that are read, every column is read or left aside.
func TestStructureReadsTheWholeCatalogue(t *testing.T) {
	t.Parallel()
	b := newBoundaries(t)
	var columns []string
	testkit.Must(t, b.conn.QueryRow(t.Context(), `SELECT array_agg(c.relname || '.' || a.attname) FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r'`).Scan(&columns))
	known := strings.Fields(strings.Join(slices.Collect(maps.Values(leftAside)), " "))
	text := b.q.structureOf(b.conn)
	read := 0
	for _, name := range columns {
		catalogue, column, _ := strings.Cut(name, ".")
		if strings.HasSuffix(column, "namespace") || strings.HasSuffix(column, "nspid") {
			if cataloguesOfSchemas[catalogue] == "" {
				t.Errorf("%s is not known", catalogue)
			}
		}
		if !strings.Contains(text, "pg_catalog."+catalogue+" ") {
			continue
		}
		read++
		isRead := regexp.MustCompile(`\b\w\.` + column + `\b|'` + column + `'`).MatchString(text)
		if isRead == slices.Contains(known, column) {
			t.Errorf("%s is read: %t, and in leftAside: %t", name, isRead, isRead)
		}
	}
	if read < 300 {
		t.Errorf("only %d columns", read)
	}
}

const everything = `
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN positive AS integer NOT NULL DEFAULT 1 CHECK (VALUE > 0);
CREATE TYPE span AS RANGE (SUBTYPE = float8);
CREATE COLLATION german (LOCALE = 'C');
CREATE TABLE parent (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(50) NOT NULL UNIQUE DEFAULT 'x', at timestamp DEFAULT now());
CREATE TABLE t (
    id serial PRIMARY KEY, parent_id bigint REFERENCES parent ON DELETE CASCADE, note text COLLATE german,
    n integer CHECK (n > 0), twice integer GENERATED ALWAYS AS (n * 2) STORED, m mood DEFAULT 'sad', p positive, span int4range,
    EXCLUDE USING gist (span WITH &&)
) WITH (fillfactor = 70, toast.autovacuum_enabled = off);
CREATE INDEX idx_note ON t (lower(note)) WHERE n > 1;
CREATE INDEX idx_n ON t (n);
CREATE VIEW v AS SELECT t.id, parent.name FROM t JOIN parent ON parent.id = t.parent_id WHERE t.m = 'sad';
CREATE MATERIALIZED VIEW mv AS SELECT count(*) AS n FROM t;
CREATE FUNCTION f(a integer, b mood DEFAULT 'sad') RETURNS SETOF t LANGUAGE sql STABLE SET search_path FROM CURRENT AS 'SELECT * FROM t WHERE n = a';
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE PROCEDURE pr(INOUT a integer) LANGUAGE plpgsql AS 'BEGIN END';
CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW WHEN (old.m IS DISTINCT FROM new.m) EXECUTE FUNCTION tf();

CREATE POLICY pol ON t FOR SELECT USING (m = 'happy');
CREATE SEQUENCE s AS smallint INCREMENT 2 CYCLE OWNED BY t.n;
CREATE STATISTICS st (ndistinct) ON n, id FROM t;
CREATE TABLE part (k integer, v text) PARTITION BY RANGE (k);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE FUNCTION same(a mood, b mood) RETURNS boolean LANGUAGE sql AS 'SELECT a = b';
CREATE OPERATOR === (LEFTARG = mood, RIGHTARG = mood, FUNCTION = same);
CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION conf (PARSER = default);
ALTER TEXT SEARCH CONFIGURATION conf ADD MAPPING FOR asciiword WITH simple;
CREATE TABLE plain (note varchar(50) DEFAULT 'x', at timestamp);
CREATE TYPE loose AS (a integer, b text);
CREATE TABLE typed OF pair;
CREATE RULE r AS ON DELETE TO typed DO INSTEAD NOTHING;
CREATE COLLATION unused (LOCALE = 'C');
CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TABLE pg_class (oid integer, ref regclass DEFAULT 't'::regclass);
CREATE VIEW vv AS SELECT oid FROM pg_class;
CREATE CAST (loose AS text) WITH INOUT;
`

// BenchmarkStructure reads the registry's schema, which has the tables of a tenant: with the plan of an earlier call, and
// after a CREATE SCHEMA, after which the query is planned again.
func BenchmarkStructure(b *testing.B) {
	bs := newBoundaries(b)
	testkit.Must(b, openAndClose(b.Context(), bs.conn.Config().ConnString()))
	bs.run(b, "RESET ROLE") // the owner of the registry
	for name, before := range map[string]string{"planned": "", "planning": "BEGIN; CREATE SCHEMA passing; ROLLBACK"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if before != "" {
					b.StopTimer()
					bs.run(b, before)
					b.StartTimer()
				}
				bs.read(b, "docex_system")
			}
		})
	}
}
