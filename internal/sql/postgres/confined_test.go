package postgres

import (
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// neighbourhood is what else is in the database; the service's role owns it.
var neighbourhood = []string{
	"CREATE SCHEMA foe", "CREATE TABLE foe.t (id integer PRIMARY KEY, v text, plain integer)", "INSERT INTO foe.t VALUES (1, 'secret')",
	"CREATE SEQUENCE foe.s", "CREATE VIEW foe.v AS SELECT v FROM foe.t",
	"CREATE FUNCTION foe.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
	"CREATE FUNCTION foe.writes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE foe.t SET v = ''x''; RETURN NULL; END'",
	"CREATE PROCEDURE foe.commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'",
	"CREATE TYPE foe.e AS ENUM ('a')", "CREATE DOMAIN foe.d AS integer", "CREATE INDEX i ON foe.t (v)",
	"CREATE TABLE foe.parent (id integer) PARTITION BY LIST (id)", "CREATE RULE r AS ON DELETE TO foe.parent DO INSTEAD NOTHING",
	"CREATE STATISTICS foe.stats ON v, plain FROM foe.t", "CREATE MATERIALIZED VIEW foe.m AS SELECT 1 AS one",
	"CREATE TABLE public.p (id integer)", "CREATE TEXT SEARCH CONFIGURATION foe.c (COPY = pg_catalog.simple)",
	"CREATE OPERATOR foe.<#> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl)",
	"CREATE COLLATION foe.coll FROM \"C\"", "CREATE POLICY pol ON foe.t USING (true)",
	"CREATE TRIGGER trig AFTER INSERT ON foe.t FOR EACH ROW EXECUTE FUNCTION foe.writes()",
}

// escapes are statements that reach outside of the boundary, with a part of the error.
var escapes = map[string]struct{ statements, want string }{
	"write a table":                    {"INSERT INTO foe.t VALUES (2)", "foe.t (written)"},
	"update a table":                   {"UPDATE foe.t SET v = 'x'", "foe.t (written)"},
	"delete from a table":              {"DELETE FROM foe.t", "foe.t (written)"},
	"read a table":                     {"CREATE TABLE mine AS SELECT * FROM foe.t", "foe.t (read)"},
	"read a view":                      {"CREATE TABLE mine AS SELECT * FROM foe.v", "foe.v (read)"},
	"read a sequence":                  {"CREATE TABLE mine AS SELECT last_value FROM foe.s", "foe.s (read)"},
	"lock rows":                        {"CREATE TABLE mine AS SELECT 1; PERFORM FROM foe.t FOR UPDATE", ""},
	"empty a table":                    {"TRUNCATE foe.t", "foe.t (altered, emptied"},
	"lock a table":                     {"LOCK TABLE foe.t IN SHARE MODE", "foe.t (indexed or locked)"},
	"write another tenant":             {"INSERT INTO tenant_neighbour.docbasket SELECT", ""},
	"read the registry":                {"CREATE TABLE mine AS SELECT * FROM docex_system.tenant_registry", "docex_system.tenant_registry"},
	"write the registry":               {"UPDATE docex_system.tenant_registry SET display_name = 'x'", "docex_system.tenant_registry"},
	"read the ledger":                  {"CREATE TABLE mine AS SELECT * FROM docex_system.tenant_requests", "docex_system.tenant_requests"},
	"write the pool":                   {"DELETE FROM docex_system.prepared_boundaries", "docex_system.prepared_boundaries"},
	"read public":                      {"CREATE TABLE mine AS SELECT * FROM public.p", "public.p"},
	"create in public":                 {"CREATE TABLE public.mine (id integer)", "public"},
	"create a table":                   {"CREATE TABLE foe.mine (id integer)", "foe.mine"},
	"create a function":                {"CREATE FUNCTION foe.g() RETURNS integer LANGUAGE sql AS 'SELECT 2'", "foe.g()"},
	"create a type":                    {"CREATE TYPE foe.mine AS ENUM ('a')", "foe.mine"},
	"create a composite":               {"CREATE TYPE foe.mine AS (a integer)", "foe.mine"},
	"create a domain":                  {"CREATE DOMAIN foe.mine AS integer", "foe.mine"},
	"create a view":                    {"CREATE VIEW foe.mine AS SELECT 1 AS one", "foe.mine"},
	"create a sequence":                {"CREATE SEQUENCE foe.mine", "foe.mine"},
	"create an operator":               {"CREATE OPERATOR foe.<##> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl)", "<##>"},
	"create a collation":               {`CREATE COLLATION foe.mine FROM "C"`, "foe.mine"},
	"create a configuration":           {"CREATE TEXT SEARCH CONFIGURATION foe.mine (COPY = pg_catalog.simple)", "foe.mine"},
	"create a dictionary":              {"CREATE TEXT SEARCH DICTIONARY foe.mine (TEMPLATE = pg_catalog.simple)", "foe.mine"},
	"create a conversion":              {"CREATE CONVERSION foe.mine FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8", "mine"},
	"create an aggregate":              {"CREATE AGGREGATE foe.mine (integer) (SFUNC = int4pl, STYPE = integer)", "foe.mine"},
	"create statistics":                {"CREATE TABLE t (a integer, b integer); CREATE STATISTICS foe.mine ON a, b FROM t", "foe.mine"},
	"create an index":                  {"CREATE INDEX ON foe.t (plain)", "foe.t"},
	"create a trigger":                 {"CREATE TRIGGER x AFTER INSERT ON foe.t FOR EACH ROW EXECUTE FUNCTION foe.writes()", "foe.t"},
	"create a rule":                    {"CREATE RULE x AS ON UPDATE TO foe.t DO INSTEAD NOTHING", "foe.t"},
	"create a policy":                  {"CREATE POLICY x ON foe.t USING (true)", "foe.t"},
	"create a partition":               {"CREATE TABLE mine PARTITION OF foe.parent FOR VALUES IN (1)", "foe.parent"},
	"inherit":                          {"CREATE TABLE mine () INHERITS (foe.t)", "foe.t"},
	"like":                             {"CREATE TABLE mine (LIKE foe.t)", "foe.t"},
	"refer to a table":                 {"CREATE TABLE mine (id integer REFERENCES foe.t)", "foe.t"},
	"view of another":                  {"CREATE VIEW mine AS SELECT * FROM foe.t", "foe.t (read)"},
	"function of another":              {"CREATE FUNCTION mine() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT v FROM foe.t; END", "foe.t (read)"},
	"drop a table":                     {"DROP TABLE foe.parent", "foe.parent"},
	"drop a function":                  {"DROP FUNCTION foe.f()", "foe.f()"},
	"drop a type":                      {"DROP TYPE foe.e", "foe.e"},
	"drop a trigger":                   {"DROP TRIGGER trig ON foe.t", "foe.t"},
	"drop an index":                    {"DROP INDEX foe.i", "foe.i"},
	"drop a schema":                    {"DROP SCHEMA foe CASCADE", "a schema (created or dropped)"},
	"drop a configuration":             {"DROP TEXT SEARCH CONFIGURATION foe.c", "foe.c"},
	"alter a table":                    {"ALTER TABLE foe.t ADD COLUMN more integer", "foe.t"},
	"rename a table":                   {"ALTER TABLE foe.t RENAME TO u", "foe.u"},
	"alter a function":                 {"ALTER FUNCTION foe.f() STRICT", "foe.f()"},
	"replace a function":               {"CREATE OR REPLACE FUNCTION foe.f() RETURNS integer LANGUAGE sql AS 'SELECT 2'", "foe.f()"},
	"alter a type":                     {"ALTER TYPE foe.e ADD VALUE 'b'", "foe.e"},
	"alter a domain":                   {"ALTER DOMAIN foe.d SET DEFAULT 1", "foe.d"},
	"constrain a domain":               {"ALTER DOMAIN foe.d ADD CHECK (VALUE > 0)", "constraint d_check"},
	"alter a sequence":                 {"ALTER SEQUENCE foe.s INCREMENT 2", "foe.s"},
	"alter statistics":                 {"ALTER STATISTICS foe.stats SET STATISTICS 1", "foe.stats"},
	"alter a configuration":            {"ALTER TEXT SEARCH CONFIGURATION foe.c DROP MAPPING FOR word", "foe.c"},
	"alter an operator":                {"ALTER OPERATOR foe.<#> (integer, integer) SET (RESTRICT = eqsel)", "<#>"},
	"comment":                          {"COMMENT ON TABLE foe.t IS 'x'", "foe.t"},
	"comment on a function":            {"COMMENT ON FUNCTION foe.f() IS 'x'", "foe.f()"},
	"comment on a schema":              {"COMMENT ON SCHEMA foe IS 'x'", "foe"},
	"grant a table":                    {"GRANT SELECT ON foe.t TO PUBLIC", "foe.t (created or changed)"},
	"grant a column":                   {"GRANT SELECT (v) ON foe.t TO PUBLIC", "foe.t (created or changed)"},
	"revoke":                           {"REVOKE SELECT ON foe.t FROM CURRENT_USER", "foe.t"},
	"grant a function":                 {"REVOKE EXECUTE ON FUNCTION foe.f() FROM PUBLIC", "foe.f()"},
	"grant a schema":                   {"GRANT USAGE ON SCHEMA foe TO PUBLIC", "schema foe"},
	"grant all of a schema":            {"GRANT SELECT ON ALL TABLES IN SCHEMA tenant_neighbour TO PUBLIC", "tenant_neighbour"},
	"nextval":                          {"CREATE TABLE mine AS SELECT nextval('foe.s')", "foe.s"},
	"setval":                           {"CREATE TABLE mine AS SELECT setval('foe.s', 9)", "foe.s"},
	"move a table out":                 {"CREATE TABLE mine (id integer); ALTER TABLE mine SET SCHEMA foe", "foe.mine"},
	"move a table in":                  {"ALTER TABLE foe.t SET SCHEMA {schema}", "foe.t"},
	"move a function in":               {"ALTER FUNCTION foe.f() SET SCHEMA {schema}", "foe.f()"},
	"move a type in":                   {"ALTER TYPE foe.e SET SCHEMA {schema}", "foe.e"},
	"create a schema":                  {"CREATE SCHEMA mine", "a schema"},
	"rename a schema":                  {"ALTER SCHEMA foe RENAME TO fiend", "schema fiend"},
	"own a schema":                     {"GRANT {role}_app TO {role}; ALTER SCHEMA foe OWNER TO {role}_app", ""},
	"rename the boundary":              {"ALTER SCHEMA {schema} RENAME TO mine", ""},
	"comment the boundary":             {"COMMENT ON SCHEMA {schema} IS 'mine'", "the comment on the tenant's schema"},
	"drop the boundary":                {"DROP SCHEMA {schema} CASCADE", ""},
	"password":                         {"ALTER ROLE {role} PASSWORD 'other'", "a role or its password"},
	"setting of the role":              {"ALTER ROLE {role} SET work_mem = '1MB'", "a setting of a role or database"},
	"comment on the role":              {"COMMENT ON ROLE {role} IS 'x'", ""},
	"default privileges":               {"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", "default privileges"},
	"other default privileges":         {"ALTER DEFAULT PRIVILEGES IN SCHEMA foe GRANT SELECT ON TABLES TO PUBLIC", "default privileges"},
	"large object":                     {"CREATE TABLE mine AS SELECT lo_create(0)", "a large object"},
	"large object of bytes":            {"CREATE TABLE mine AS SELECT lo_from_bytea(0, 'x')", "a large object"},
	"publication":                      {"CREATE PUBLICATION mine", "a publication"},
	"publication of a table":           {"CREATE PUBLICATION mine FOR TABLE foe.t", "a publication"},
	"set role":                         {"SET ROLE {role}_app", ""},
	"session authorization":            {"SET SESSION AUTHORIZATION {role}_app", ""},
	"read only":                        {"SET TRANSACTION READ ONLY", "read-only"},
	"commit":                           {"DO $x$ BEGIN COMMIT; END $x$", "2D000"},
	"rollback":                         {"DO $x$ BEGIN ROLLBACK; END $x$", "2D000"},
	"call what commits":                {"CALL foe.commits()", "2D000"},
	"prepare transaction":              {"PREPARE TRANSACTION 'x'", ""},
	"advisory lock":                    {"CREATE TABLE mine AS SELECT pg_advisory_lock(7)::text", "advisory locks"},
	"advisory lock of the transaction": {"CREATE TABLE mine AS SELECT pg_advisory_xact_lock(7)::text", "advisory locks"},
	"unlock the boundary":              {"CREATE TABLE mine AS SELECT pg_advisory_unlock_all()::text; SET x.y = 1; CREATE TABLE foe.z ()", "foe.z"},
	"temporary table":                  {"CREATE TEMPORARY TABLE tenant_registry (id integer)", "temporary objects"},
	"temporary function":               {"CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'", "temporary objects"},
	"temporary view":                   {"CREATE TEMPORARY VIEW x AS SELECT 1 AS one", "temporary objects"},
	"cursor":                           {"DECLARE mine CURSOR WITH HOLD FOR SELECT 1", ""},
	"copy to a program":                {"COPY (SELECT 1) TO PROGRAM 'cat'", "42501"},
	"copy to a file":                   {"COPY (SELECT 1) TO '/tmp/x'", "42501"},
	"extension":                        {"CREATE EXTENSION pgcrypto", ""},
	"language":                         {"ALTER LANGUAGE plpgsql RENAME TO x", ""},
	"tablespace":                       {"CREATE TABLESPACE x LOCATION '/tmp'", ""},
	"database":                         {"CREATE DATABASE x", ""},
	"vacuum":                           {"VACUUM foe.t", ""},
	"analyse":                          {"ANALYZE foe.t", "foe.t"},
	"cluster":                          {"CLUSTER foe.t USING t_pkey", "foe.t"},
	"reindex":                          {"REINDEX TABLE foe.t", "foe.t"},
	"refresh":                          {"REFRESH MATERIALIZED VIEW foe.m", "foe.m"},
	"drop owned":                       {"DROP OWNED BY {role}", ""},
	"reassign owned":                   {"REASSIGN OWNED BY {role} TO {role}", ""},
	"deferred trigger": {`CREATE TABLE mine (id integer);
		CREATE CONSTRAINT TRIGGER x AFTER INSERT ON mine DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION foe.writes();
		INSERT INTO mine VALUES (1)`, "foe.t (written)"},
	"security definer": {`CREATE FUNCTION mine() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN DELETE FROM foe.t; END';
		CREATE TABLE x AS SELECT mine()::text`, "SECURITY DEFINER"},
	"operator family":         {"CREATE OPERATOR FAMILY foe.x USING btree", ""},
	"event trigger":           {"CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION foe.f()", ""},
	"subscription":            {"CREATE SUBSCRIPTION x CONNECTION '' PUBLICATION y WITH (connect = false)", ""},
	"wrapper of foreign data": {"CREATE FOREIGN DATA WRAPPER x", ""},
	"cast of others":          {"CREATE CAST (foe.e AS integer) WITH INOUT", ""},
	"commutator":              {"CREATE OPERATOR <##> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl, COMMUTATOR = OPERATOR(foe.<#>))", "<#>"},
}

// Each escape fails for good, and leaves nothing.
func TestEscapes(t *testing.T) { //nolint:tparallel // the subtests share one store
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("SELECT 1;;\n"))
	_, err := provision(t.Context(), s, "neighbour")
	testkit.Must(t, err)
	f.execAs(f.url, neighbourhood...)
	before := f.everything()
	for name, escape := range escapes {
		t.Run(name, func(t *testing.T) {
			f := f
			f.t = t
			tenant := strings.ReplaceAll(strings.ToLower(name), " ", "_")
			names := strings.NewReplacer("{schema}", quote("tenant_"+tenant), "{role}", f.role)
			s.use(t, f.config(hidden(names.Replace(escape.statements))))
			_, err := provision(t.Context(), s, tenant)
			fault := scriptFailed(t, err)
			if text := fault.Error(); !strings.Contains(text, escape.want) {
				t.Errorf("%q is not in: %s", escape.want, text)
			}
			testkit.Equal(t, "what is in the database", f.everything(), before)
		})
	}
}

// everything describes what is in the database, except for the counts of sequences and the ledger.
func (f fence) everything() string {
	f.t.Helper()
	testkit.Eventually(f.t, "the sessions that were closed have no lock", func() bool {
		return f.text("SELECT count(*)::text FROM pg_locks l JOIN pg_stat_activity a USING (pid) "+
			"WHERE l.locktype = 'advisory' AND a.usename = $1", f.role) == "0"
	})
	return f.text(`SELECT concat_ws(E'\n',
		(SELECT string_agg(n.nspname || n.xmin, ' ' ORDER BY n.oid) FROM pg_namespace n),
		(SELECT string_agg(c.oid::regclass || ' ' || c.xmin, ' ' ORDER BY c.oid) FROM pg_class c WHERE c.oid >= 16384),
		(SELECT string_agg(p.oid::regprocedure || ' ' || p.xmin, ' ' ORDER BY p.oid) FROM pg_proc p WHERE p.oid >= 16384),
		(SELECT string_agg(p.oid::regtype || ' ' || p.xmin, ' ' ORDER BY p.oid) FROM pg_type p WHERE p.oid >= 16384),
		(SELECT string_agg(o.oid::text || ' ' || o.xmin, ' ' ORDER BY o.oid) FROM pg_operator o WHERE o.oid >= 16384),
		(SELECT string_agg(m.oid::text, ' ' ORDER BY m.oid) FROM pg_largeobject_metadata m),
		(SELECT string_agg(m.pubname, ' ') FROM pg_publication m),
		(SELECT string_agg(m.oid::text, ' ') FROM pg_default_acl m),
		(SELECT string_agg(a.rolname || a.xmin, ' ' ORDER BY a.oid) FROM pg_authid a WHERE a.rolname LIKE $1 || '%'),
		(SELECT string_agg(s::text, ' ') FROM pg_db_role_setting s WHERE s.setrole IN (SELECT oid FROM pg_roles WHERE rolname = $1)),
		(SELECT count(*) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())),
		(SELECT string_agg(t::text, ' ' ORDER BY t.id) FROM foe.t t),
		(SELECT string_agg(t::text, ' ' ORDER BY t.tenant_id) FROM docex_system.tenant_registry t),
		(SELECT string_agg(t::text, ' ') FROM public.p t),
		(SELECT string_agg(t::text, ' ') FROM tenant_neighbour.docbasket t))`, f.role)
}
