package pgscript_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/pgscript"
	"example.com/tenant-provisioner/internal/testkit"
)

// faultsOf are the faults of a text, without the file's name: "LINE: what".
func faultsOf(t *testing.T, text string) []string {
	t.Helper()
	_, found := pgscript.Parse(pipeline.Script{Name: "010_x.sql", Text: text})
	var faults []string
	for _, e := range found {
		rest, ok := strings.CutPrefix(e.Error(), "010_x.sql, line ")
		if !ok {
			t.Errorf("%q names no file and line", e)
		}
		faults = append(faults, rest)
	}
	return faults
}

const (
	inTransaction = "transaction statement; delete it"
	outer         = " acts outside of the tenant's schema; run it once for the database"
	elsewhere     = " is outside of the tenant's schema; write "
	noConcurrency = "CONCURRENTLY cannot run in a transaction; delete the word"
	temporary     = "a temporary object outlives the transaction"
	serving       = " acts on the connection, which serves other requests; delete it"
	definer       = "SECURITY DEFINER gives the service's rights to each caller; delete it"
)

// Each form is refused, at its line, with what to do. A want ends where the test does not care.
var refused = []struct {
	sql  string
	want []string
}{
	{"BEGIN;\nSELECT 1;\nCOMMIT", []string{"1: " + inTransaction, "3: " + inTransaction}},
	{"START TRANSACTION", []string{"1: " + inTransaction}},
	{"ROLLBACK", []string{"1: " + inTransaction}},
	{"END", []string{"1: " + inTransaction}},
	{"ABORT", []string{"1: " + inTransaction}},
	{"SAVEPOINT a;\n\nROLLBACK TO a; RELEASE a", []string{"1: " + inTransaction, "3: " + inTransaction}},
	{"PREPARE TRANSACTION 'a'", []string{"1: " + inTransaction}},
	{"COMMIT PREPARED 'a'", []string{"1: " + inTransaction}},
	{"SET TRANSACTION READ ONLY", []string{"1: " + inTransaction}},
	{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", []string{"1: " + inTransaction}},

	{"SELECT 1;\n\\i other.sql\nSELECT 2;", []string{`2: \i is a command of psql, which does not run scripts here; write SQL`}},
	{"  \\set ON_ERROR_STOP on\n\\connect other\n", []string{`1: \set is a command of psql`, `2: \connect is a command of psql`}},
	{"SELECT 1 \\gexec\n;SELECT 2", []string{`1: \gexec is a command of psql`}},
	{"COPY a FROM stdin;\n1\t2;\n\\N\n\\.\nEND", []string{"1: COPY moves rows", "5: " + inTransaction}},
	{"COPY a FROM stdin WITH (FORMAT csv);\n1\n", []string{"1: COPY moves rows"}},
	{"SELECT ${schema}", []string{"1: syntax error at or near \"$\"; placeholders are not replaced in scripts: write current_setting("}},
	{"SELECT {{tenant}}", []string{"1: syntax error at or near \"{\"; placeholders are not replaced in scripts"}},
	{"SELECT 'it;\nSELECT 2;\n", []string{"1: unterminated quoted string at or near \"'it;…\"; end it"}},
	{"SELECT * FROM public.\"User\"", []string{"1: public.User is outside of the tenant's schema; write \"User\" alone"}},
	{"SELECT 1\n  , :'tenant'", []string{"2: syntax error at or near \":\"; placeholders are not replaced in scripts: write current_setting("}},

	{"COPY a TO STDOUT", []string{"1: COPY moves rows to or from a client, a program or a file of the server; write INSERT"}},
	{"COPY a FROM '/tmp/a'", []string{"1: COPY moves rows"}},
	{"COPY (SELECT 1) TO PROGRAM 'true'", []string{"1: COPY moves rows"}},

	{"CREATE INDEX CONCURRENTLY i ON a (b)", []string{"1: " + noConcurrency}},
	{"DROP INDEX CONCURRENTLY i", []string{"1: " + noConcurrency}},
	{"REINDEX INDEX CONCURRENTLY i", []string{"1: " + noConcurrency}},
	{"REINDEX (CONCURRENTLY) TABLE a", []string{"1: " + noConcurrency}},
	{"REFRESH MATERIALIZED VIEW CONCURRENTLY v", []string{"1: " + noConcurrency}},
	{"ALTER TABLE a\n DETACH PARTITION b\n CONCURRENTLY", []string{"1: " + noConcurrency}},
	{"REINDEX SCHEMA a", []string{"1: REINDEX of more than one table cannot run in a transaction; delete it"}},
	{"REINDEX DATABASE a", []string{"1: REINDEX of more than one table"}},
	{"VACUUM", []string{"1: VACUUM cannot run in a transaction; delete it"}},
	{"VACUUM (ANALYZE) a", []string{"1: VACUUM cannot run in a transaction; delete it"}},
	{"ANALYZE", []string{"1: ANALYZE without a table reads the whole database; name the table"}},
	{"CLUSTER a USING i", []string{"1: CLUSTER rewrites tables that have no rows yet; delete it"}},
	{"CHECKPOINT", []string{"1: CHECKPOINT" + outer}},

	{"CREATE SCHEMA a", []string{"1: CREATE SCHEMA" + outer}},
	{"ALTER SCHEMA a RENAME TO b", []string{"1: ALTER SCHEMA" + outer}},
	{"ALTER SCHEMA a OWNER TO b", []string{"1: OWNER TO gives the tenant's object to another role; delete it"}},
	{"DROP SCHEMA a CASCADE", []string{"1: DROP SCHEMA" + outer}},
	{"COMMENT ON SCHEMA a IS 'x'", []string{"1: COMMENT ON SCHEMA" + outer}},
	{"COMMENT ON DATABASE a IS 'x'", []string{"1: COMMENT ON DATABASE" + outer}},
	{"COMMENT ON LARGE OBJECT 1 IS 'x'", []string{"1: COMMENT ON LARGE OBJECT" + outer}},
	{"SECURITY LABEL ON TABLE a IS 'x'", []string{"1: SECURITY LABEL acts through a module"}},
	{"ALTER TABLE a SET SCHEMA b", []string{"1: SET SCHEMA moves an object out of the tenant's schema; delete it"}},
	{"ALTER FUNCTION f() SET SCHEMA b", []string{"1: SET SCHEMA moves"}},
	{"ALTER TABLE a OWNER TO b", []string{"1: OWNER TO gives"}},
	{"ALTER VIEW a OWNER TO CURRENT_USER", []string{"1: OWNER TO gives"}},
	{"ALTER TYPE a OWNER TO b", []string{"1: OWNER TO gives"}},
	{"ALTER FUNCTION f() OWNER TO b", []string{"1: OWNER TO gives"}},
	{"ALTER FUNCTION f() DEPENDS ON EXTENSION b", []string{"1: DEPENDS ON EXTENSION ties"}},
	{"REASSIGN OWNED BY a TO b", []string{"1: REASSIGN OWNED" + outer}},
	{"DROP OWNED BY a", []string{"1: DROP OWNED" + outer}},
	{"CREATE DATABASE a", []string{"1: CREATE DATABASE" + outer}},
	{"ALTER DATABASE a SET work_mem = 1", []string{"1: ALTER DATABASE" + outer}},
	{"ALTER DATABASE a REFRESH COLLATION VERSION", []string{"1: ALTER DATABASE" + outer}},
	{"DROP DATABASE a", []string{"1: DROP DATABASE" + outer}},
	{"CREATE TABLESPACE a LOCATION '/tmp'", []string{"1: CREATE TABLESPACE" + outer}},
	{"ALTER TABLESPACE a SET (seq_page_cost = 1)", []string{"1: ALTER TABLESPACE" + outer}},
	{"DROP TABLESPACE a", []string{"1: DROP TABLESPACE" + outer}},
	{"ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b", []string{"1: ALTER TABLE ALL IN TABLESPACE" + outer}},
	{"CREATE ROLE a", []string{"1: CREATE ROLE" + outer}},
	{"CREATE USER a", []string{"1: CREATE ROLE" + outer}},
	{"ALTER ROLE a LOGIN", []string{"1: ALTER ROLE" + outer}},
	{"ALTER ROLE a SET work_mem = 1", []string{"1: ALTER ROLE" + outer}},
	{"DROP ROLE a", []string{"1: DROP ROLE" + outer}},
	{"GRANT a TO b", []string{"1: GRANT of a role" + outer}},
	{"GRANT USAGE ON SCHEMA a TO b", []string{"1: the schema a is named: scripts do not know their schema's name; write EXECUTE format("}},
	{"GRANT SELECT ON ALL TABLES IN SCHEMA a TO b", []string{"1: the schema a is named"}},
	{"GRANT CONNECT ON DATABASE a TO b", []string{"1: GRANT ON DATABASE" + outer}},
	{"REVOKE ALL ON LANGUAGE a FROM b", []string{"1: REVOKE ON LANGUAGE" + outer}},
	{"GRANT SELECT ON LARGE OBJECT 1 TO b", []string{"1: GRANT ON LARGE OBJECT" + outer}},
	{"GRANT SET ON PARAMETER a TO b", []string{"1: GRANT ON PARAMETER" + outer}},
	{"GRANT USAGE ON FOREIGN SERVER a TO b", []string{"1: GRANT ON SERVER" + outer}},
	{"GRANT USAGE ON FOREIGN DATA WRAPPER a TO b", []string{"1: GRANT ON FOREIGN DATA WRAPPER" + outer}},
	{"GRANT CREATE ON TABLESPACE a TO b", []string{"1: GRANT ON TABLESPACE" + outer}},
	{"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a", []string{"1: ALTER DEFAULT PRIVILEGES acts on other tenants' objects too; write GRANT"}},

	{"SET work_mem = '64MB'", []string{"1: SET work_mem outlives the transaction in its connection; write SET LOCAL"}},
	{"SET LOCAL search_path = a", []string{"1: SET search_path changes what the service has set"}},
	{"SET search_path TO a", []string{"1: SET search_path changes"}},
	{"SET SCHEMA 'a'", []string{"1: SET search_path changes"}},
	{"SET LOCAL synchronous_commit = off", []string{"1: SET synchronous_commit changes"}},
	{"SET LOCAL TIME ZONE 'UTC'", []string{"1: SET timezone changes"}},
	{"SET NAMES 'UTF8'", []string{"1: SET client_encoding changes"}},
	{"SET ROLE a", []string{"1: SET role changes"}},
	{"SET LOCAL ROLE a", []string{"1: SET role changes"}},
	{"SET SESSION AUTHORIZATION a", []string{"1: SET session_authorization changes"}},
	{"SET LOCAL provisioner.tenant_id = 'a'", []string{"1: SET provisioner.tenant_id changes"}},
	{"SET LOCAL \"Provisioner.plan\" = 'a'", []string{"1: SET Provisioner.plan changes"}},
	{"RESET ROLE", []string{"1: RESET role changes what the service has set; delete it"}},
	{"RESET ALL", []string{"1: RESET ALL changes what the service has set; delete it"}},
	{"DISCARD ALL", []string{"1: DISCARD" + serving}},
	{"ALTER SYSTEM SET work_mem = 1", []string{"1: ALTER SYSTEM" + outer}},
	{"SELECT set_config('search_path', 'a', true)", []string{"1: set_config() changes settings; write set_config('NAME', ..., true)"}},
	{"SELECT 1,\n pg_catalog.set_config('work_mem', '1MB', false)", []string{"2: set_config() changes settings"}},
	{"SELECT set_config(name, 'a', true) FROM t", []string{"1: set_config() changes settings"}},

	{"CREATE TEMP TABLE a (b int)", []string{"1: " + temporary}},
	{"CREATE TEMP VIEW a AS SELECT 1", []string{"1: " + temporary}},
	{"CREATE TEMP SEQUENCE a", []string{"1: " + temporary}},
	{"CREATE TEMP TABLE a AS SELECT 1", []string{"1: " + temporary}},
	{"SELECT 1 AS b\nINTO TEMP a", []string{"2: " + temporary}},
	{"CREATE TABLE pg_temp.a (b int)", []string{"1: pg_temp.a is a temporary object; use WITH"}},

	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql\nSECURITY DEFINER AS 'SELECT 1'", []string{"2: " + definer}},
	{"CREATE PROCEDURE f() SECURITY DEFINER LANGUAGE plpgsql AS 'BEGIN END'", []string{"1: " + definer}},
	{"ALTER FUNCTION f() SECURITY DEFINER", []string{"1: " + definer}},
	{"ALTER ROUTINE f() STABLE SECURITY DEFINER", []string{"1: " + definer}},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'a', 'b'", []string{"1: functions in c act outside of the database's rules; write them in SQL or PL/pgSQL"}},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'return 1'", []string{"1: functions in plpython3u act"}},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'x'", []string{"1: functions in internal act"}},
	{"DO LANGUAGE plperl 'x'", []string{"1: functions in plperl act"}},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql\nSET search_path FROM CURRENT\nAS 'SELECT 1'", []string{"2: SET search_path FROM CURRENT pins"}},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = a AS 'SELECT 1'", []string{"1: SET search_path of a function changes"}},
	{"ALTER FUNCTION f() SET role = a", []string{"1: SET role of a function changes"}},
	{"ALTER FUNCTION f() SUPPORT g", []string{"1: SUPPORT names a function"}},

	{"LISTEN a", []string{"1: LISTEN" + serving}},
	{"UNLISTEN *", []string{"1: UNLISTEN" + serving}},
	{"NOTIFY a", []string{"1: NOTIFY reaches sessions outside of the tenant's schema; subscribe to the outcome"}},
	{"SELECT pg_notify('a', 'b')", []string{"1: NOTIFY reaches"}},
	{"CREATE RULE r AS ON INSERT TO a\nDO ALSO NOTIFY b", []string{"1: NOTIFY reaches"}},
	{"PREPARE a AS SELECT 1;\nEXECUTE a;\nDEALLOCATE a", []string{"1: PREPARE" + serving, "2: EXECUTE" + serving, "3: DEALLOCATE" + serving}},
	{"CREATE TABLE a AS EXECUTE b", []string{"1: EXECUTE" + serving}},
	{"DECLARE c CURSOR WITH HOLD FOR SELECT 1", []string{"1: a cursor WITH HOLD outlives the transaction; delete WITH HOLD"}},
	{"LOAD 'a'", []string{"1: LOAD" + serving}},

	{"CREATE EXTENSION a", []string{"1: CREATE EXTENSION" + outer}},
	{"ALTER EXTENSION a UPDATE", []string{"1: ALTER EXTENSION" + outer}},
	{"ALTER EXTENSION a ADD TABLE b", []string{"1: ALTER EXTENSION" + outer}},
	{"DROP EXTENSION a", []string{"1: DROP EXTENSION" + outer}},
	{"CREATE PUBLICATION a", []string{"1: CREATE PUBLICATION" + outer}},
	{"ALTER PUBLICATION a ADD TABLE b", []string{"1: ALTER PUBLICATION" + outer}},
	{"DROP PUBLICATION a", []string{"1: DROP PUBLICATION" + outer}},
	{"CREATE SUBSCRIPTION a CONNECTION '' PUBLICATION b", []string{"1: CREATE SUBSCRIPTION" + outer}},
	{"ALTER SUBSCRIPTION a ENABLE", []string{"1: ALTER SUBSCRIPTION" + outer}},
	{"DROP SUBSCRIPTION a", []string{"1: DROP SUBSCRIPTION" + outer}},
	{"CREATE EVENT TRIGGER a ON ddl_command_end EXECUTE FUNCTION f()", []string{"1: CREATE EVENT TRIGGER" + outer}},
	{"ALTER EVENT TRIGGER a DISABLE", []string{"1: ALTER EVENT TRIGGER" + outer}},
	{"DROP EVENT TRIGGER a", []string{"1: DROP EVENT TRIGGER" + outer}},
	{"CREATE LANGUAGE a", []string{"1: CREATE EXTENSION" + outer}},
	{"CREATE LANGUAGE a HANDLER b", []string{"1: CREATE LANGUAGE" + outer}},
	{"DROP LANGUAGE a", []string{"1: DROP LANGUAGE" + outer}},
	{"CREATE FOREIGN DATA WRAPPER a", []string{"1: CREATE FOREIGN DATA WRAPPER" + outer}},
	{"ALTER FOREIGN DATA WRAPPER a OPTIONS (b 'c')", []string{"1: ALTER FOREIGN DATA WRAPPER" + outer}},
	{"DROP FOREIGN DATA WRAPPER a", []string{"1: DROP FOREIGN DATA WRAPPER" + outer}},
	{"CREATE SERVER a FOREIGN DATA WRAPPER b", []string{"1: CREATE SERVER" + outer}},
	{"ALTER SERVER a VERSION 'b'", []string{"1: ALTER SERVER" + outer}},
	{"DROP SERVER a", []string{"1: DROP SERVER" + outer}},
	{"CREATE USER MAPPING FOR a SERVER b", []string{"1: CREATE USER MAPPING" + outer}},
	{"ALTER USER MAPPING FOR a SERVER b OPTIONS (c 'd')", []string{"1: ALTER USER MAPPING" + outer}},
	{"DROP USER MAPPING FOR a SERVER b", []string{"1: DROP USER MAPPING" + outer}},
	{"CREATE FOREIGN TABLE a (b int) SERVER c", []string{"1: a foreign table reads and writes outside"}},
	{"ALTER FOREIGN TABLE a ADD COLUMN b int", []string{"1: ALTER FOREIGN TABLE" + outer}},
	{"DROP FOREIGN TABLE a", []string{"1: DROP FOREIGN TABLE" + outer}},
	{"IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c", []string{"1: a foreign table reads and writes outside"}},
	{"CREATE ACCESS METHOD a TYPE INDEX HANDLER b", []string{"1: CREATE ACCESS METHOD" + outer}},
	{"CREATE CAST (a AS b) WITHOUT FUNCTION", []string{"1: CREATE CAST" + outer}},
	{"DROP CAST (a AS b)", []string{"1: DROP CAST" + outer}},
	{"CREATE TRANSFORM FOR a LANGUAGE b (FROM SQL WITH FUNCTION c(internal))", []string{"1: CREATE TRANSFORM" + outer}},
	{"CREATE CONVERSION a FOR 'b' TO 'c' FROM d", []string{"1: CREATE CONVERSION" + outer}},
	{"CREATE OPERATOR CLASS a FOR TYPE b USING btree AS STORAGE c", []string{"1: CREATE OPERATOR CLASS" + outer}},
	{"CREATE OPERATOR FAMILY a USING btree", []string{"1: CREATE OPERATOR FAMILY" + outer}},
	{"ALTER OPERATOR FAMILY a USING btree ADD OPERATOR 1 < (b, b)", []string{"1: ALTER OPERATOR FAMILY" + outer}},

	{"SELECT lo_create(1)", []string{"1: lo_create() makes or changes large objects"}},
	{"SELECT loread(1, 2)", []string{"1: loread() makes or changes large objects"}},
	{"SELECT pg_advisory_xact_lock(1)", []string{"1: pg_advisory_xact_lock() holds an advisory lock, which others use too; write LOCK TABLE"}},
	{"SELECT pg_try_advisory_lock(1)", []string{"1: pg_try_advisory_lock() holds"}},
	{"SELECT 1 FROM a\nWHERE EXISTS (\nSELECT dblink_exec('a', 'b'))", []string{"3: dblink_exec() connects to another database; delete it"}},
	{"SELECT * FROM dblink('a', 'b') AS t (c int)", []string{"1: dblink() connects"}},
	{"SELECT pg_terminate_backend(1)", []string{"1: pg_terminate_backend() acts on other sessions; delete it"}},
	{"SELECT pg_catalog.pg_read_file('a')", []string{"1: pg_read_file() acts on the server's files"}},
	{"SELECT pg_ls_dir('a')", []string{"1: pg_ls_dir() acts on the server's files"}},
	{"SELECT pg_reload_conf()", []string{"1: pg_reload_conf() acts on the server; delete it"}},
	{"SELECT pg_create_logical_replication_slot('a', 'b')", []string{"1: pg_create_logical_replication_slot() acts on replication; delete it"}},
	{"CREATE TABLE a (b int DEFAULT\npg_backend_pid(), c int CHECK (\nlo_create(c) > 0))", []string{"3: lo_create()"}},

	{"SELECT 1;\nSELECT *\nFROM public.a", []string{"3: public.a" + elsewhere + "a alone: scripts run in that schema"}},
	{"CREATE TABLE public.a (b int)", []string{"1: public.a" + elsewhere}},
	{"CREATE TABLE a (b public.c, d public.e[] COLLATE \"public\".\"f\")", []string{"1: public.c" + elsewhere, "1: public.e" + elsewhere, "1: public.f" + elsewhere}},
	{"CREATE TABLE a (b int REFERENCES o.b)", []string{"1: o.b" + elsewhere}},
	{"CREATE TABLE a (LIKE o.b)", []string{"1: o.b" + elsewhere}},
	{"CREATE TABLE a (b int) INHERITS (o.b)", []string{"1: o.b" + elsewhere}},
	{"CREATE TABLE a PARTITION OF o.b DEFAULT", []string{"1: o.b" + elsewhere}},
	{"CREATE TABLE a (b int, EXCLUDE USING gist (b WITH OPERATOR(o.&&)))", []string{"1: o.&&" + elsewhere}},
	{"CREATE TABLE a (b int DEFAULT\nnextval('o.s'))", []string{"2: o.s" + elsewhere}},
	{"CREATE TABLE a OF o.t", []string{"1: o.t" + elsewhere}},
	{"ALTER TABLE a ATTACH PARTITION o.b DEFAULT", []string{"1: o.b" + elsewhere}},
	{"CREATE INDEX i ON a (b o.ops)", []string{"1: o.ops" + elsewhere}},
	{"CREATE SEQUENCE s OWNED BY o.a.b", []string{"1: o.a" + elsewhere}},
	{"INSERT INTO o.a VALUES (1)", []string{"1: o.a" + elsewhere}},
	{"UPDATE a SET b = 1\nFROM o.c", []string{"2: o.c" + elsewhere}},
	{"DELETE FROM o.a", []string{"1: o.a" + elsewhere}},
	{"MERGE INTO o.a USING b ON true WHEN MATCHED THEN DELETE", []string{"1: o.a" + elsewhere}},
	{"WITH c AS (\n  DELETE FROM o.a RETURNING *)\nSELECT * FROM c", []string{"2: o.a" + elsewhere}},
	{"TRUNCATE a, o.b", []string{"1: o.b" + elsewhere}},
	{"LOCK TABLE o.a", []string{"1: o.a" + elsewhere}},
	{"DO $$BEGIN SET CONSTRAINTS ALL DEFERRED; END$$", []string{"1: SET CONSTRAINTS … DEFERRED in a body can move a trigger"}},
	{"SET CONSTRAINTS o.a DEFERRED", []string{"1: o.a" + elsewhere}},
	{"SELECT o.f(1)", []string{"1: o.f" + elsewhere}},
	{"CALL o.p()", []string{"1: o.p" + elsewhere}},
	{"SELECT 1 OPERATOR(o.+) 2", []string{"1: o.+" + elsewhere}},
	{"SELECT * FROM a ORDER BY b USING OPERATOR(o.<)", []string{"1: o.<" + elsewhere}},
	{"SELECT 1 OPERATOR(o.=) ANY (SELECT 1)", []string{"1: o.=" + elsewhere}},
	{"SELECT a::o.t, CAST(b AS o.u)", []string{"1: o.t" + elsewhere, "1: o.u" + elsewhere}},
	{"SELECT 'o.a'::regclass, 'o.f(int)'::regprocedure, to_regtype('\"O\".t')", []string{"1: O.t" + elsewhere, "1: o.a" + elsewhere, "1: o.f" + elsewhere}},
	{"SELECT setval('o.s', 1)", []string{"1: o.s" + elsewhere}},
	{"EXPLAIN SELECT * FROM o.a", []string{"1: o.a" + elsewhere}},
	{"CREATE VIEW v AS SELECT 1 UNION SELECT b FROM o.a", []string{"1: o.a" + elsewhere}},
	{"SELECT 1 INTO o.a", []string{"1: o.a" + elsewhere}},
	{"CREATE TABLE db.o.a (b int)", []string{"1: db.o.a names a database; write a alone"}},
	{"SELECT a::db.o.t", []string{"1: db.o.t names a database; write t alone"}},
	{"CREATE TRIGGER g BEFORE INSERT ON a EXECUTE FUNCTION o.f()", []string{"1: o.f" + elsewhere}},
	{"CREATE FUNCTION o.f(a o.t, b o.t.c%TYPE) RETURNS o.u LANGUAGE sql AS ''", []string{"1: o.f" + elsewhere, "1: o.t" + elsewhere, "1: o.u" + elsewhere}},
	{"CREATE TYPE o.t AS ENUM ('a')", []string{"1: o.t" + elsewhere}},
	{"CREATE TYPE o.t AS (a int)", []string{"1: o.t" + elsewhere}},
	{"CREATE TYPE o.t AS RANGE (subtype = o.s)", []string{"1: o.s" + elsewhere, "1: o.t" + elsewhere}},
	{"CREATE DOMAIN o.d AS int", []string{"1: o.d" + elsewhere}},
	{"ALTER DOMAIN o.d SET NOT NULL", []string{"1: o.d" + elsewhere}},
	{"ALTER TYPE o.t ADD VALUE 'a'", []string{"1: o.t" + elsewhere}},
	{"CREATE OPERATOR o.+ (FUNCTION = o.f, LEFTARG = int, COMMUTATOR = OPERATOR(o.-))", []string{"1: o.+" + elsewhere, "1: o.-" + elsewhere, "1: o.f" + elsewhere}},
	{"CREATE AGGREGATE o.g (int) (SFUNC = o.f, STYPE = int)", []string{"1: o.f" + elsewhere, "1: o.g" + elsewhere}},
	{"CREATE COLLATION o.c FROM \"o\".\"d\"", []string{"1: o.c" + elsewhere, "1: o.d" + elsewhere}},
	{"CREATE TEXT SEARCH CONFIGURATION o.c (COPY = o.d)", []string{"1: o.c" + elsewhere, "1: o.d" + elsewhere}},
	{"ALTER TEXT SEARCH CONFIGURATION c ALTER MAPPING FOR word WITH o.d", []string{"1: o.d" + elsewhere}},
	{"CREATE STATISTICS o.s ON a, b FROM t", []string{"1: o.s" + elsewhere}},
	{"CREATE POLICY p ON o.a", []string{"1: o.a" + elsewhere}},
	{"DROP TABLE a, o.b", []string{"1: o.b" + elsewhere}},
	{"DROP FUNCTION o.f(int)", []string{"1: o.f" + elsewhere}},
	{"DROP TYPE o.t", []string{"1: o.t" + elsewhere}},
	{"DROP TRIGGER g ON o.a", []string{"1: o.a" + elsewhere}},
	{"DROP OPERATOR CLASS o.c USING btree", []string{"1: o.c" + elsewhere}},
	{"COMMENT ON TABLE o.a IS ''", []string{"1: o.a" + elsewhere}},
	{"COMMENT ON COLUMN o.a.b IS ''", []string{"1: o.a" + elsewhere}},
	{"COMMENT ON CONSTRAINT c ON DOMAIN o.d IS ''", []string{"1: o.d" + elsewhere}},
	{"GRANT SELECT ON o.a TO b", []string{"1: o.a" + elsewhere}},
	{"GRANT EXECUTE ON FUNCTION o.f(int) TO b", []string{"1: o.f" + elsewhere}},
	{"GRANT USAGE ON TYPE o.t TO b", []string{"1: o.t" + elsewhere}},
	{"ALTER TABLE o.a RENAME TO b", []string{"1: o.a" + elsewhere}},
	{"ALTER DOMAIN o.d RENAME CONSTRAINT a TO b", []string{"1: o.d" + elsewhere}},

	{"SELECT 'ä',\n 1 FRM x y", []string{"2: syntax error at or near \"x\"; correct it, or end the statement before it"}},
	{"SELECT 1;\nSELEC 2;\nSELECT 3;\n FROB", []string{"2: syntax error at or near \"SELEC\"", "4: syntax error at or near \"FROB\""}},
	{"SELECT 1;\nSELECT\n'abc;\nSELECT 2;", []string{"3: unterminated quoted string"}},
	{"SELECT (1;\nSELECT 2", []string{"1: syntax error at or near \";\""}},
	{"SELECT\n", []string{}},
	{"SELECT 1 +\n\n", []string{"1: syntax error at end of input"}},

	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql\nAS $$\n  SELECT 1;\n  DELETE FROM o.a;\n$$", []string{"4: o.a" + elsewhere}},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS '\nSELECT ''a'';\nCOMMIT'", []string{"3: " + inTransaction}},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql\nBEGIN ATOMIC\n  SELECT 1;\n  SELECT * FROM o.a;\nEND;\nCOMMIT", []string{"4: o.a" + elsewhere, "6: " + inTransaction}},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql\nRETURN lo_create(1)", []string{"2: lo_create()"}},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\nSELECT FROM WHERE $$", []string{"2: syntax error"}},

	{"DO $$\nBEGIN\n  COMMIT;\n  IF true THEN\n    ROLLBACK;\n  END IF;\nEND $$", []string{"3: " + inTransaction, "5: " + inTransaction}},
	{"DO $$ BEGIN\n  SAVEPOINT a;\nEND $$", []string{"2: " + inTransaction}},
	{
		"SELECT 1; DO $body$\n\nDECLARE\n  x o.t;\n  y o.t.c%TYPE;\n  z o.u%ROWTYPE;\n  c CURSOR FOR SELECT 1 FROM o.v;\nBEGIN\n  x :=\n    o.f(1);\nEND $body$",
		[]string{"4: o.t" + elsewhere, "5: o.t" + elsewhere, "6: o.u" + elsewhere, "7: o.v" + elsewhere, "10: o.f" + elsewhere},
	},
	{
		"DO $$ DECLARE r record; BEGIN\n  FOR r IN SELECT *\n    FROM o.a\n  LOOP\n    INSERT INTO b\n      SELECT * FROM o.c;\n    PERFORM pg_notify('a', 'b');\n  END LOOP;\nEND $$",
		[]string{"3: o.a" + elsewhere, "6: o.c" + elsewhere, "7: NOTIFY reaches"},
	},
	{"DO $$ BEGIN\n  EXECUTE 'DROP SCHEMA a';\nEND $$", []string{"2: DROP SCHEMA" + outer}},
	{"DO $$ BEGIN\n  EXECUTE 'DROP'\n || ' SCHEMA a';\nEND $$", []string{"2: DROP SCHEMA" + outer}},
	{"DO $$ BEGIN\n  EXECUTE format('DROP SCHEMA %I', 'a');\nEND $$", []string{"2: DROP SCHEMA" + outer}},
	{"DO $$ BEGIN\n  EXECUTE format('CREATE INDEX %I ON o.a (%I)', 'i', 'b') USING 1;\nEND $$", []string{"2: o.a" + elsewhere}},
	{"DO $$ BEGIN\n  EXECUTE 'COMMENT ON ' || 'SCHEMA ' || quote_ident(current_schema()) || ' IS ' || quote_literal('x');\nEND $$", []string{"2: COMMENT ON SCHEMA" + outer}},
	{"DO $$ BEGIN\n  EXECUTE 'SELEC 1';\nEND $$", []string{"2: syntax error at or near \"SELEC\""}},
	{"DO $$ BEGIN\n  EXECUTE $x$ DO $y$ BEGIN\n EXECUTE 'SET ROLE a';\n END $y$ $x$;\nEND $$", []string{"3: SET role changes"}},
	{"DO $$ DECLARE r record; BEGIN\n  FOR r IN EXECUTE\n'SELECT * FROM o.a' LOOP\n NULL; END LOOP;\nEND $$", []string{"2: o.a" + elsewhere}},
	{"DO $$ DECLARE c refcursor; BEGIN\n  OPEN c FOR EXECUTE 'SELECT * FROM o.a';\nEND $$", []string{"2: o.a" + elsewhere}},
	{"CREATE FUNCTION f() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN\n\n  RETURN QUERY EXECUTE 'SELECT * FROM o.a';\nEND $$", []string{"3: o.a" + elsewhere}},
	{"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS '\nBEGIN\n  NEW.a := lo_create(1);\n  RETURN NEW;\nEND'", []string{"3: lo_create()"}},
	{"CREATE PROCEDURE p() LANGUAGE plpgsql AS $$\nBEGIN\n  COMMIT;\nEND $$", []string{"3: " + inTransaction}},
	{"DO $$ BEGIN\n  PERFORM 1\n  RAISE NOTICE 'x';\nEND $$", []string{"3: syntax error at or near \"NOTICE\"; correct it: the grammar is that of PL/pgSQL"}},
	{"DO $$ BEGIN\n x := 1;\nEND $$", []string{"2: \"x\" is not a known variable"}},
	{"DO $$ DECLARE a t; BEGIN\n  a.b := 1;\n  a.c := o.f(1);\nEND $$", []string{"3: o.f" + elsewhere}},

	{"SELECT 1;\n\x00", []string{"2: a zero byte"}},
	{"SELECT 1;\n'\xff'", []string{"2: not UTF-8; save the file as UTF-8"}},
	{"SELECT 1;\nSELECT " + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200), []string{"2: nests too deeply to be parsed; divide it"}},
	{"SELECT 1" + strings.Repeat("+1", 500), []string{"1: nests too deeply"}},
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range refused {
		// As it is, and in a file of Windows behind a comment of three lines.
		for shift, text := range map[int]string{0: c.sql, 2: "-- ä; '\r\n/* \\i\r\n */" + strings.ReplaceAll(c.sql, "\n", "\r\n")} {
			got := faultsOf(t, text)
			ok := len(got) == len(c.want)
			for i := range min(len(got), len(c.want)) {
				number, what, _ := strings.Cut(c.want[i], ":")
				line, err := strconv.Atoi(number)
				testkit.Must(t, err)
				ok = ok && strings.HasPrefix(got[i], fmt.Sprintf("%d:%s", line+shift, what))
			}
			if !ok {
				t.Errorf("%q, %d lines further:\n got %q\nwant %q", c.sql, shift, got, c.want)
			}
			for _, fault := range got {
				if !strings.ContainsAny(fault, ";") {
					t.Errorf("%q does not say what to do", fault)
				}
			}
		}
	}
}

// pg_dump's output, as it is: the first fault says what the file is, and those of one kind are not repeated without end.
func TestDump(t *testing.T) {
	t.Parallel()
	var names, rows strings.Builder
	for i := range 100 {
		fmt.Fprintf(&names, "CREATE TABLE public.t%d (id integer);\nALTER TABLE public.t%d OWNER TO app;\n", i, i)
		fmt.Fprintf(&rows, "%d\tit's; ($$\t\\N\n", i)
	}
	for _, end := range []string{"\n", "\r\n"} {
		dump := strings.ReplaceAll("--\n-- PostgreSQL database dump\n--\n\n\\restrict x\nSET lock_timeout = 0;\n"+names.String()+
			"COPY public.t1 (id, a, b) FROM stdin;\n"+rows.String()+"\\.\n\n-- PostgreSQL database dump complete\n", "\n", end)
		got := faultsOf(t, dump)
		want := []string{
			"2: the file is a dump; docs/init-scripts.md", `5: \restrict is a command of psql`, "6: SET lock_timeout",
			"7: public.t0 ", "8: OWNER TO ", "8: public.t0 ", "9: public.t1 ", "10: OWNER TO ", "10: public.t1 ", "11: public.t2 ",
			"12: OWNER TO ", "14: OWNER TO ", "16: OWNER TO ", "207: COPY moves rows",
		}
		ok := len(got) == len(want)
		for i := range min(len(got), len(want)) {
			ok = ok && strings.HasPrefix(got[i], want[i])
		}
		if !ok {
			t.Errorf("got %q\nwant %q", got, want)
		}
		if all := strings.Join(got, "\n"); !strings.Contains(all, "(and 195 more of this kind, up to line 206)") ||
			!strings.Contains(all, "(and 95 more of this kind, up to line 206)") {
			t.Errorf("%s\ndoes not count the faults that are left out", all)
		}
	}
	if got := faultsOf(t, "-- PostgreSQL database dump\nCREATE TABLE t (id int);"); got != nil {
		t.Errorf("a corrected dump is refused: %q", got)
	}
}
