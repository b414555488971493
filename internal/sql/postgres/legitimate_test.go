package postgres

import (
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// legitimate are scripts that stay inside of the boundary.
var legitimate = map[string]string{
	"nothing": "-- only a comment",
	"settings": `SELECT set_config('search_path', 'pg_catalog', true), set_config('TimeZone', 'Asia/Tokyo', true);;
SET LOCAL statement_timeout = 1000`,
	"index": "CREATE INDEX idx_more ON document (name)",
	"made again": `CREATE TABLE a (id serial PRIMARY KEY);;
CREATE UNIQUE INDEX ON a (id);;
DROP TABLE a;;
CREATE TABLE a (id integer)`,
	"tables": `CREATE TABLE a (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text DEFAULT 'x' CHECK (v <> ''),
	w text GENERATED ALWAYS AS (v || 'y') STORED);;
CREATE TABLE b (id integer REFERENCES a ON DELETE CASCADE, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);;
INSERT INTO a (v) VALUES ('z');;
INSERT INTO b SELECT id FROM a`,
	"large values": `CREATE TABLE a (v text);;
ALTER TABLE a ALTER COLUMN v SET STORAGE EXTERNAL;;
INSERT INTO a VALUES (repeat('x', 100000))`,
	"views": `CREATE VIEW v AS SELECT id, name FROM document;;
CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM document;;
REFRESH MATERIALIZED VIEW m`,
	"functions": `CREATE FUNCTION f(n integer) RETURNS integer LANGUAGE plpgsql AS $$BEGIN RETURN n + 1; END$$;;
CREATE OR REPLACE FUNCTION f(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n + 2';;
ALTER FUNCTION f(integer) STRICT;;
REVOKE EXECUTE ON FUNCTION f(integer) FROM PUBLIC;;
COMMENT ON FUNCTION f(integer) IS 'x';;
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT f(1)';;
CALL p();;
CREATE AGGREGATE total (integer) (SFUNC = int4pl, STYPE = integer);;
DROP FUNCTION f(integer)`,
	"triggers": `CREATE TABLE a (id integer);;
CREATE TABLE log (id integer);;
CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END';;
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION logs();;
INSERT INTO a VALUES (1);;
CREATE TRIGGER u BEFORE UPDATE ON document FOR EACH STATEMENT EXECUTE FUNCTION logs();;
DROP TRIGGER u ON document`,
	"types": `CREATE TYPE mood AS ENUM ('sad', 'glad');;
ALTER TYPE mood ADD VALUE 'mad';;
CREATE DOMAIN price AS numeric CHECK (VALUE >= 0);;
ALTER DOMAIN price SET NOT NULL;;
CREATE TYPE pair AS (a integer, b mood);;
CREATE TYPE span AS RANGE (subtype = integer);;
CREATE TABLE a (m mood, p price, q pair, r span, s mood[]);;
CREATE CAST (mood AS integer) WITH INOUT;;
DROP TYPE span CASCADE`,
	"sequences": `CREATE SEQUENCE s;;
SELECT nextval('s'), setval('s', 7);;
ALTER SEQUENCE s INCREMENT 3`,
	"partitions": `CREATE TABLE a (id integer, v text) PARTITION BY RANGE (id);;
CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (9);;
CREATE TABLE a2 (id integer, v text);;
ALTER TABLE a ATTACH PARTITION a2 DEFAULT;;
CREATE INDEX ON a (v);;
INSERT INTO a VALUES (1), (20);;
ALTER TABLE a DETACH PARTITION a2`,
	"catalogues": `CREATE TABLE a AS SELECT c.relname::text, t.table_name::text AS t
	FROM pg_catalog.pg_class c, information_schema.tables t LIMIT 5;;
DO $$ BEGIN PERFORM FROM pg_stat_activity; PERFORM pg_get_viewdef(oid) FROM pg_class
	WHERE relkind = 'v' AND relnamespace = 'pg_catalog'::regnamespace; END $$`,
	"grants": `CREATE TABLE a (id integer, v text);;
GRANT SELECT ON a TO {role}_app;;
GRANT UPDATE (v) ON a TO PUBLIC;;
DO $$ BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}_app', current_schema());
	EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO {role}_app', current_schema());
	EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO {role}_app', current_schema());
END $$`,
	"comments": "COMMENT ON TABLE document IS 'x';;\nCOMMENT ON COLUMN document.name IS 'y'",
	"statistics": `CREATE TABLE a (b integer, c integer);;
CREATE STATISTICS st ON b, c FROM a;;
INSERT INTO a SELECT n, n FROM generate_series(1, 1000) n;;
ANALYZE a;;
ANALYZE document`,
	"row security": `CREATE TABLE a (id integer, owner text);;
ALTER TABLE a ENABLE ROW LEVEL SECURITY;;
CREATE POLICY p ON a USING (owner = current_user);;
ALTER POLICY p ON a USING (true)`,
	"rules": "CREATE TABLE a (id integer);;\nCREATE RULE r AS ON DELETE TO a DO INSTEAD NOTHING;;\nDROP RULE r ON a",
	"text search": `CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = pg_catalog.simple);;
CREATE TEXT SEARCH CONFIGURATION c (COPY = pg_catalog.simple);;
ALTER TEXT SEARCH CONFIGURATION c ALTER MAPPING FOR word WITH d;;
ALTER TEXT SEARCH CONFIGURATION c DROP MAPPING FOR asciiword`,
	"operators": `CREATE FUNCTION plus(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';;
CREATE OPERATOR <+> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = plus, COMMUTATOR = <+>);;
CREATE COLLATION coll FROM "C"`,
	"subtransactions": `CREATE TABLE a (id integer PRIMARY KEY);;
DO $$ BEGIN FOR i IN 1..20 LOOP BEGIN INSERT INTO a VALUES (i % 3); EXECUTE 'CREATE TABLE t' || i || ' (id integer)';
	EXCEPTION WHEN unique_violation THEN NULL; END; END LOOP; END $$`,
	"own alterations": `ALTER TABLE document ADD COLUMN extra text;;
ALTER TABLE document ALTER COLUMN extra SET DEFAULT 'x'`,
	"drops": `CREATE TABLE a (id integer PRIMARY KEY, v integer);;
CREATE VIEW v AS SELECT * FROM a;;
DROP VIEW v;;
ALTER TABLE a DROP COLUMN v;;
ALTER TABLE a DROP CONSTRAINT a_pkey;;
TRUNCATE a`,
	"drop of an index": "DROP INDEX {index}",
	"a cursor":         "DO $$ DECLARE c CURSOR FOR SELECT 1; BEGIN OPEN c; CLOSE c; END $$",
}

// What stays inside raises no alarm: in the rehearsal, in a new boundary, and in a second one, whose catalogues are not
// searched any more.
func TestLegitimateScripts(t *testing.T) { //nolint:tparallel // the subtests share one store
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("SELECT 1"))
	f.execAs(f.url, neighbourhood...)
	for name, text := range legitimate {
		t.Run(name, func(t *testing.T) {
			s.use(t, f.config(strings.NewReplacer("{role}", f.role, "{index}", sql.Indexes[0].Name).Replace(text)))
			if !strings.Contains(text, "{index}") { // a missing index fails the rehearsal
				testkit.Must(t, s.RehearseFurther(t.Context()))
			}
			known := len(s.scripts.confined.keys)
			for _, tenant := range []string{"first", "second"} {
				_, err := provision(t.Context(), s, strings.ReplaceAll(tenant+"_"+name, " ", "_"))
				if err != nil {
					t.Errorf("%s: %v", tenant, err)
				}
			}
			if known > 0 {
				testkit.Equal(t, "footprints after the rehearsal's", len(s.scripts.confined.keys), known)
			}
		})
	}
}

// A script reads the values of its request, of which none becomes text of a statement.
func TestValuesOfScripts(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config(`CREATE TABLE a AS SELECT concat_ws('|', current_setting('provisioner.tenant_id'),
	current_setting('provisioner.display_name'), current_setting('provisioner.created_by'),
	current_setting('provisioner.plan'), current_schemas(true)::text) AS v`))
	_, err := provision(t.Context(), s, "acme")
	testkit.Must(t, err)
	testkit.Equal(t, "values", f.text("SELECT v FROM tenant_acme.a"), "acme|"+displayName+"|billing||{pg_catalog,tenant_acme}")
}

// Each catalogue of the server has one rule.
func TestRulesForCatalogues(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	names := strings.Fields(f.text(`SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
		WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'`))
	for _, name := range names {
		rule := catalogueRules[name]
		set := 0
		for _, field := range []string{rule.shared, rule.outside, rule.covered} {
			if field != "" {
				set++
			}
		}
		testkit.Equal(t, "rules for "+name, set, 1)
	}
	s := f.open(f.config("SELECT 1"))
	for _, c := range s.scripts.catalogues {
		if c.rule.outside != "" { // the search is valid
			_, err := s.pool.Exec(t.Context(), s.q.ownRows([]catalogueOf{c}), "2200")
			testkit.Must(t, err)
		}
	}
}
