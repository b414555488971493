package pgscript_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/pgscript"
	"example.com/tenant-provisioner/internal/testkit"
)

// Each script is what operators write, and passes.
var allowed = map[string]string{
	"nothing":       "",
	"comments only": "-- nothing\n/* /* nested */ */ ;;\n;",
	"DocEX indexes": `-- provisioner: prepare
CREATE INDEX idx_docbasket_status ON docbasket (status);
CREATE INDEX idx_docbasket_created_at ON docbasket (created_at DESC);
CREATE INDEX idx_document_basket_status ON document (basket_id, status);
CREATE INDEX idx_document_basket_type ON document (basket_id, document_type);
CREATE INDEX idx_document_basket_created ON document (basket_id, created_at DESC);
CREATE INDEX idx_document_basket_updated ON document (basket_id, updated_at DESC);
CREATE INDEX idx_document_basket_name ON document (basket_id, name);
CREATE INDEX idx_document_metadata_doc_key_value ON document_metadata (document_id, key);
`,
	"tables": `
CREATE TABLE customer (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name varchar(255) NOT NULL CONSTRAINT named CHECK (name <> ''),
	tags text[] NOT NULL DEFAULT '{}', config jsonb DEFAULT '{}'::jsonb,
	tenant text NOT NULL DEFAULT current_setting('provisioner.tenant_id'),
	total numeric(12, 2) DEFAULT 0, twice numeric GENERATED ALWAYS AS (total * 2) STORED,
	during tstzrange, made timestamptz NOT NULL DEFAULT now(), kind pg_catalog.text COLLATE "C",
	UNIQUE (name, tenant) DEFERRABLE INITIALLY DEFERRED,
	EXCLUDE USING gist (during WITH &&)
);
CREATE TABLE IF NOT EXISTS item (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	customer_id bigint REFERENCES customer ON DELETE CASCADE, LIKE customer INCLUDING DEFAULTS);
CREATE UNLOGGED TABLE cache (key text PRIMARY KEY) WITH (fillfactor = 70) TABLESPACE pg_default;
CREATE TABLE event (at timestamptz NOT NULL, body json) PARTITION BY RANGE (at);
CREATE TABLE event_2026 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE event_rest PARTITION OF event DEFAULT;
ALTER TABLE event DETACH PARTITION event_rest;
ALTER TABLE customer ADD COLUMN note text, ALTER COLUMN note SET STORAGE external, ADD CHECK (total >= 0) NOT VALID;
ALTER TABLE customer VALIDATE CONSTRAINT customer_total_check, REPLICA IDENTITY FULL, ENABLE ROW LEVEL SECURITY;
ALTER TABLE customer RENAME COLUMN note TO remark;
CREATE TABLE copy AS SELECT * FROM customer WITH NO DATA;
SELECT 1 AS one INTO other;
DROP TABLE copy, other CASCADE;
CREATE INDEX ON customer USING gin (tags) WHERE total > 0;
CREATE UNIQUE INDEX i ON customer (lower(name) text_pattern_ops) INCLUDE (made);
CREATE STATISTICS s (dependencies) ON name, tenant FROM customer;
REINDEX TABLE customer; ANALYZE customer; TRUNCATE item; LOCK TABLE customer IN SHARE MODE`,
	"sequences": `CREATE SEQUENCE number START 1000; ALTER SEQUENCE number OWNED BY customer.id;
SELECT setval('number', 5), nextval('number'::regclass); ALTER TABLE customer ALTER COLUMN id SET DEFAULT nextval('number')`,
	"types": `CREATE TYPE mood AS ENUM ('sad', 'glad'); ALTER TYPE mood ADD VALUE 'mad' BEFORE 'sad';
CREATE TYPE point3 AS (x float8, y float8, z float8); CREATE DOMAIN email AS text CHECK (VALUE ~ '^[^@]+@[^@]+$');
ALTER DOMAIN email SET NOT NULL; CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR === (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text);
CREATE COLLATION german FROM "C"; CREATE TEXT SEARCH CONFIGURATION words (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR asciiword WITH simple`,
	"views": `CREATE VIEW active WITH (security_barrier) AS SELECT c.id, c.name FROM customer c JOIN item i ON i.customer_id = c.id;
CREATE OR REPLACE VIEW counts AS SELECT count(*) FILTER (WHERE total > 0) OVER w FROM customer WINDOW w AS (PARTITION BY name);
CREATE MATERIALIZED VIEW sums AS SELECT sum(total) FROM customer; REFRESH MATERIALIZED VIEW sums;
CREATE RULE none AS ON DELETE TO active DO INSTEAD NOTHING; CREATE RECURSIVE VIEW n (i) AS VALUES (1) UNION ALL SELECT i + 1 FROM n`,
	"rows": `INSERT INTO customer (name) VALUES ('a;b'), (E'it\'s; \\'), ($$c;$$), (U&'\0041'), (B'1'::text), ('x'
'y') ON CONFLICT (name) DO UPDATE SET total = excluded.total WHERE customer.total IS NULL RETURNING id;
WITH gone AS (DELETE FROM item RETURNING *), more AS MATERIALIZED (SELECT 1)
INSERT INTO item SELECT * FROM gone; UPDATE customer SET total = total + 1 FROM item i WHERE i.customer_id = customer.id;
MERGE INTO customer c USING item i ON i.customer_id = c.id WHEN MATCHED THEN UPDATE SET total = 0 WHEN NOT MATCHED THEN DO NOTHING;
SELECT document.id, customer.made::date, 'public.x', "odd;name" FROM document, customer;
SELECT a$b$c FROM pg_catalog.pg_class, information_schema.columns WHERE oid = 'customer'::regclass;
DECLARE c CURSOR FOR SELECT 1; FETCH ALL FROM c; CLOSE c; EXPLAIN SELECT 1; SHOW work_mem; SET CONSTRAINTS ALL DEFERRED`,
	"settings": `SET LOCAL work_mem = '64MB'; SET LOCAL app.tenant = 'x'; SELECT set_config('app.user', 'y', true);
SET LOCAL check_function_bodies TO off; SET LOCAL client_min_messages = warning;
INSERT INTO t VALUES (current_setting('provisioner.display_name'), current_setting('provisioner.plan', true))`,
	"functions": `CREATE FUNCTION add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS 'SELECT a + b';
CREATE OR REPLACE FUNCTION pair(a int) RETURNS TABLE (x int, y int) LANGUAGE sql BEGIN ATOMIC
	SELECT 1, CASE WHEN a > 1 THEN 2 ELSE 3 END; SELECT pair.a, 2; END;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SECURITY INVOKER AS $touch$
BEGIN
	IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN
		NEW.updated_at := now();
	END IF;
	RETURN NEW;
END
$touch$;
CREATE TRIGGER touch BEFORE UPDATE OF name ON customer FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON customer DEFERRABLE FOR EACH ROW EXECUTE PROCEDURE touch();
CREATE PROCEDURE fill(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; CALL fill(n); END $$; CALL fill(3);
ALTER FUNCTION add(int, int) SECURITY INVOKER COST 10; ALTER TABLE customer DISABLE TRIGGER touch; DROP FUNCTION add(int, int);
CREATE FUNCTION hinted() RETURNS int LANGUAGE sql SET work_mem = '1MB' RETURN 1;
CREATE POLICY own ON customer USING (tenant = current_setting('app.tenant')); CREATE POLICY r ON item TO reader USING (true)`,
	"blocks": `DO $$
<<main>>
DECLARE
	r record; t text; m CONSTANT int := 3; n int := m; c CURSOR (k int) FOR SELECT * FROM customer WHERE id = k;
	row customer%ROWTYPE; one customer; ref customer.name%TYPE; list int[] := ARRAY[1, 2];
BEGIN
	FOREACH t IN ARRAY ARRAY['document', 'item'] LOOP
		EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I (%I)', t || '_idx', t, 'id');
		EXECUTE 'COMMENT ON TABLE ' || quote_ident(t) || ' IS ' || quote_literal('x') || '';
		EXECUTE format('ALTER TABLE %I ADD COLUMN IF NOT EXISTS c_%s text DEFAULT %L', t, n, 'x');
		EXECUTE format($f$CREATE TABLE IF NOT EXISTS %1$I_archive (LIKE %1$I INCLUDING ALL)$f$, t);
		EXECUTE t || 'anything';
	END LOOP;
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO app', current_schema());
	EXECUTE 'GRANT SELECT ON ALL TABLES IN SCHEMA ' || quote_ident(current_schema()) || ' TO app';
	EXECUTE format('CREATE TABLE %I.%I (a int)', current_schema(), t);
	EXECUTE 'SELECT $1' INTO n USING 1;
	row.name := 'x'; one.name := row.name; main.one.total = 1; list[1] := 2; SELECT 1, 2 INTO one.id, one.total;
	FOR i IN REVERSE 10..1 BY 2 LOOP CONTINUE WHEN i = 3; EXIT main WHEN i > 5; END LOOP;
	FOR r IN SELECT * FROM customer LOOP RAISE NOTICE 'row %: %', r.id, r.name USING HINT = 'x'; END LOOP;
	FOR r IN c(1) LOOP UPDATE customer SET name = r.name WHERE CURRENT OF c; END LOOP;
	CASE n WHEN 1 THEN NULL; ELSE PERFORM 1 FROM customer; END CASE;
	GET DIAGNOSTICS n = ROW_COUNT;
	ASSERT n > 0, 'message';
	INSERT INTO customer (name) VALUES ('x') RETURNING id INTO STRICT one.id;
EXCEPTION WHEN unique_violation OR SQLSTATE '22012' THEN
	GET STACKED DIAGNOSTICS t = MESSAGE_TEXT;
	RAISE;
END $$;
CREATE FUNCTION all_of(a customer, VARIADIC b text[]) RETURNS SETOF customer LANGUAGE plpgsql AS $$
BEGIN
	a.name := b[1];
	RETURN NEXT a;
	RETURN QUERY SELECT * FROM customer;
	RETURN QUERY EXECUTE 'SELECT * FROM customer WHERE id = $1' USING a.id;
END $$`,
	"grants": `GRANT SELECT, INSERT (name) ON customer, item TO app WITH GRANT OPTION; REVOKE ALL ON customer FROM PUBLIC;
GRANT USAGE ON SEQUENCE number TO app; GRANT EXECUTE ON FUNCTION add(int, int) TO app; GRANT USAGE ON TYPE mood TO app;
COMMENT ON TABLE customer IS 'customers'; COMMENT ON COLUMN customer.name IS 'x'; COMMENT ON CONSTRAINT named ON customer IS 'x';
COMMENT ON FUNCTION add(int, int) IS 'x'; COMMENT ON TRIGGER touch ON customer IS 'x'; COMMENT ON INDEX i IS NULL;
COMMENT ON CONSTRAINT c ON DOMAIN email IS 'x'; DROP TRIGGER touch ON customer; DROP OPERATOR CLASS IF EXISTS c USING btree`,
	"psql's characters in strings": "SELECT '\\i', $$\n\\copy\n$$, E'\\\\' -- \\x\n/* \\y */",
	"many rows":                    "INSERT INTO t VALUES (1, 'x')" + strings.Repeat(", (1, 'abc' || 'def')", 20_000),
	"many conditions":              "SELECT 1 WHERE a = 0" + strings.Repeat(" OR a = 1 AND b <> 2", 2000),
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	for name, text := range allowed {
		for _, text := range []string{text, "-- ä\r\n" + strings.ReplaceAll(text, "\n", "\r\n")} {
			if faults := faultsOf(t, text); faults != nil {
				t.Errorf("%s:\n%s", name, strings.Join(faults, "\n"))
			}
		}
	}
}

func TestStatementsAndTheirLines(t *testing.T) {
	t.Parallel()
	text := "/* one */ SELECT 1 -- one\n;\n\n-- two\nSELECT\n  'ö;' ; CREATE FUNCTION f() RETURNS int\nBEGIN ATOMIC SELECT 1; END;SELECT 4\n-- end"
	want := []pgscript.Statement{
		{Text: "SELECT 1", Line: 1},
		{Text: "SELECT\n  'ö;'", Line: 5},
		{Text: "CREATE FUNCTION f() RETURNS int\nBEGIN ATOMIC SELECT 1; END", Line: 6},
		{Text: "SELECT 4", Line: 7},
	}
	for _, end := range []string{"\n", "\r\n"} {
		got, faults := pgscript.Parse(pipeline.Script{Name: "a", Text: strings.ReplaceAll(text, "\n", end)})
		testkit.Must(t, errors.Join(faults...))
		for i := range got {
			got[i].Text = strings.ReplaceAll(got[i].Text, "\r\n", "\n")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", end, diff)
		}
	}
}

func TestLineOfAPositionOfTheServer(t *testing.T) {
	t.Parallel()
	s := pgscript.Statement{Text: "SELECT 'öö',\n  x,\r\n y", Line: 7}
	for position, want := range map[int]int{-1: 7, 0: 7, 1: 7, 9: 7, 14: 8, 16: 8, 20: 9, 21: 9, 22: 7, 1000: 7} {
		if got := s.LineAt(position); got != want {
			t.Errorf("line of position %d is %d, want %d", position, got, want)
		}
	}
}

// A program that judges no script neither compiles the grammar nor has its memory.
func TestUnusedGrammarCostsNothing(t *testing.T) {
	t.Parallel()
	const child = "PGSCRIPT_UNUSED"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), child+"=1", "GODEBUG=inittrace=1")
		out, err := cmd.CombinedOutput()
		testkit.Must(t, err)
		seen := false
		for line := range strings.Lines(string(out)) {
			fields := strings.Fields(line) // init PACKAGE @0.5 ms, 0.3 ms clock, 9216 bytes, 3 allocs
			if len(fields) < 10 || fields[0] != "init" || !strings.Contains(line, "wazero") && !strings.Contains(line, "pgquery") &&
				!strings.Contains(line, "pgscript ") {
				continue
			}
			seen = true
			if len(fields[7]) > len("99999") {
				t.Errorf("initialisation allocates: %s", line)
			}
		}
		if !seen {
			t.Errorf("no initialisation is reported:\n%s", out)
		}
	}
}
