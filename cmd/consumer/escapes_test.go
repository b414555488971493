package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// How attempts to reach outside of a tenant end, as the tables of docs/init-scripts.md say it.
const (
	refusedByGrammar   = "refused at start"
	refusedByRehearsal = "refused by the rehearsal"
	startsAnyway       = "runs"
	byFence            = "fails: the fence"
	byServer           = "fails: PostgreSQL"
	byDefinition       = "fails: the definition"
	byReference        = "fails: the reference"
	byTime             = "fails: the time limit"
	provisioned        = "provisioned" // begins what follows
)

// escape is an attempt to reach outside of a tenant.
type escape struct {
	attempt string
	sql     string
	direct  string // how it ends if a script has it as it is
	hidden  string // how it ends if computed text hides it, and only one tenant runs it
	want    string // a part of that failure
	atStart string // a part of the rehearsal's failure; empty: want
	lasting bool   // it has done what no rollback undoes
	shows   string // a query that returns true where the tenant was provisioned and the attempt had its effect
}

// neighbours is what else is in the database; the service's role owns it.
const neighbours = `CREATE SCHEMA foe; CREATE TABLE foe.t (id integer PRIMARY KEY, v text, plain integer); INSERT INTO foe.t VALUES (1, 'secret');
CREATE SEQUENCE foe.s; CREATE SEQUENCE foe.u; CREATE TYPE foe.e AS ENUM ('a'); CREATE TABLE public.p (id integer);
CREATE FUNCTION foe.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION foe.writes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE foe.t SET v = ''x''; RETURN NULL; END';
CREATE TABLE foe.parent (id integer) PARTITION BY LIST (id); CREATE TABLE foe.child (id integer);
CREATE STATISTICS foe.stats ON v, plain FROM foe.t; CREATE MATERIALIZED VIEW foe.m AS SELECT 1 AS one;`

// ownTrigger makes a trigger on a table that gets seed data, with a body.
func ownTrigger(body string) string {
	return "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN " + body + "; RETURN NULL; END $f$; " +
		"CREATE TRIGGER mine AFTER INSERT ON seeded FOR EACH STATEMENT EXECUTE FUNCTION mine()"
}

// deferredTrigger makes a deferred trigger that has been fired, with a body.
func deferredTrigger(body string) string {
	return "CREATE TABLE mine (n integer); CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN " + body +
		"; RETURN NULL; END $f$; CREATE CONSTRAINT TRIGGER mine AFTER INSERT ON mine DEFERRABLE INITIALLY DEFERRED FOR EACH ROW " +
		"EXECUTE FUNCTION mine(); INSERT INTO mine VALUES (1)"
}

// escapes are attempts on PostgreSQL. {own} is the tenant's schema, {role} the service's role, {group} one that it is a
// member of.
var escapes = []escape{
	// Rows and tables of others.
	{attempt: "write another tenant's rows", sql: "UPDATE tenant_neighbour.docbasket SET description = 'x'", direct: refusedByGrammar, hidden: byFence, want: "tenant_neighbour.docbasket (written)"},
	{attempt: "delete another tenant's rows", sql: "DELETE FROM tenant_neighbour.route_operations", direct: refusedByGrammar, hidden: byFence, want: "tenant_neighbour.route_operations (written)"},
	{attempt: "read another tenant's rows", sql: "CREATE TABLE mine AS SELECT * FROM tenant_neighbour.docbasket", direct: refusedByGrammar, hidden: byFence, want: "tenant_neighbour.docbasket (read)"},
	{attempt: "empty another tenant's table", sql: "TRUNCATE tenant_neighbour.route_operations", direct: refusedByGrammar, hidden: byFence, want: "tenant_neighbour.route_operations (altered"},
	{attempt: "lock another tenant's table", sql: "LOCK TABLE tenant_neighbour.docbasket IN SHARE MODE", direct: refusedByGrammar, hidden: byFence, want: "(indexed or locked)"},
	{attempt: "lock another tenant's rows", sql: "CREATE TABLE mine AS SELECT id FROM tenant_neighbour.docbasket FOR UPDATE", direct: refusedByGrammar, hidden: byFence, want: "(rows locked)"},
	{attempt: "alter another tenant's table", sql: "ALTER TABLE tenant_neighbour.docbasket ADD COLUMN x integer", direct: refusedByGrammar, hidden: byFence, want: "tenant_neighbour.docbasket"},
	{attempt: "drop another tenant's table", sql: "DROP TABLE tenant_neighbour.docbasket CASCADE", direct: refusedByGrammar, hidden: byFence, want: "tenant_neighbour.docbasket"},
	{attempt: "index another's table", sql: "CREATE INDEX ON foe.t (plain)", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "copy the form of another's table", sql: "CREATE TABLE mine (LIKE foe.t)", direct: refusedByGrammar, hidden: byFence, want: "foe.t (read)"},
	{attempt: "a foreign key to another's table", sql: "CREATE TABLE mine (id integer REFERENCES foe.t)", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "inherit from another's table", sql: "CREATE TABLE mine () INHERITS (foe.t)", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "attach an own table to another's as its partition", sql: "CREATE TABLE mine (id integer); ALTER TABLE foe.parent ATTACH PARTITION mine DEFAULT", direct: refusedByGrammar, hidden: byFence, want: "foe.parent"},
	{attempt: "attach another's table to an own one as its partition", sql: "CREATE TABLE mine (id integer) PARTITION BY LIST (id); ALTER TABLE mine ATTACH PARTITION foe.child DEFAULT", direct: refusedByGrammar, hidden: byFence, want: "foe.child"},
	{attempt: "a view of another's table", sql: "CREATE VIEW mine AS SELECT * FROM foe.t", direct: refusedByGrammar, hidden: byFence, want: "foe.t (read)"},
	{attempt: "a policy that reads another's table", sql: "CREATE POLICY mine ON docbasket USING (EXISTS (SELECT FROM foe.t))", direct: refusedByGrammar, hidden: byFence, want: "foe.t (read)"},
	{attempt: "a policy on another's table", sql: "CREATE POLICY mine ON foe.t USING (true)", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "a rule on another's table", sql: "CREATE RULE mine AS ON UPDATE TO foe.t DO INSTEAD NOTHING", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "an own rule that writes another's table", sql: "CREATE RULE mine AS ON INSERT TO seeded DO ALSO DELETE FROM foe.t", direct: refusedByGrammar, hidden: byReference, want: "rule mine on seeded"},
	{attempt: "a trigger on another's table", sql: "CREATE TRIGGER mine AFTER INSERT ON foe.t EXECUTE FUNCTION foe.writes()", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "an own trigger that writes another's table for a row of seed data", sql: ownTrigger("EXECUTE replace('DELETE FROM foe~t', '~', '.')"), direct: refusedByRehearsal, hidden: byReference, want: "trigger mine on seeded", atStart: "foe.t (written)"},
	{attempt: "another's trigger function on an own table, for a row of seed data", sql: "CREATE TRIGGER mine AFTER INSERT ON seeded EXECUTE FUNCTION foe.writes()", direct: refusedByGrammar, hidden: byReference, want: "trigger mine on seeded"},
	{attempt: "a deferred trigger that writes another's table at commit", sql: deferredTrigger("EXECUTE replace('DELETE FROM foe~t', '~', '.')"), direct: refusedByRehearsal, hidden: byFence, want: "foe.t (written)"},
	{attempt: "a deferred trigger that defers itself again", sql: deferredTrigger("SET CONSTRAINTS ALL DEFERRED; IF NEW.n < 2 THEN EXECUTE format('INSERT INTO %I.mine VALUES (2)', TG_TABLE_SCHEMA); ELSE EXECUTE replace('UPDATE foe~t SET v = ''again''', '~', '.'); END IF"), direct: refusedByGrammar, hidden: provisioned + "; it fires at the commit, unseen", shows: "SELECT v = 'again' FROM foe.t"},
	{attempt: "a trigger on a table of the definition", sql: "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER mine AFTER INSERT ON docbasket EXECUTE FUNCTION mine()", direct: refusedByRehearsal, hidden: byDefinition, want: "trigger mine is not in the definition"},
	{attempt: "write another's table in a block that is rolled back", sql: "DO $x$ BEGIN EXECUTE replace('DELETE FROM foe~t', '~', '.'); RAISE 'x'; EXCEPTION WHEN raise_exception THEN NULL; END $x$", direct: refusedByRehearsal, hidden: provisioned + "; the block left nothing", shows: "SELECT count(*) = 1 FROM foe.t"},
	{attempt: "draw a number from another's sequence", sql: "CREATE TABLE mine AS SELECT nextval('foe.s')", direct: refusedByGrammar, hidden: byFence, want: "foe.s", lasting: true},
	{attempt: "set another's sequence", sql: "CREATE TABLE mine AS SELECT setval('foe.u', 9)", direct: refusedByGrammar, hidden: byFence, want: "foe.u", lasting: true},
	{attempt: "statistics on another's table", sql: "CREATE STATISTICS mine ON id, v FROM foe.t", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "alter another's statistics", sql: "ALTER STATISTICS foe.stats SET STATISTICS 1", direct: refusedByGrammar, hidden: byFence, want: "foe.stats"},
	{attempt: "refresh another's materialized view", sql: "REFRESH MATERIALIZED VIEW foe.m", direct: refusedByGrammar, hidden: byFence, want: "foe.m"},
	{attempt: "ANALYZE another's table", sql: "ANALYZE foe.t", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "CLUSTER another's table", sql: "CLUSTER foe.t USING t_pkey", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "REINDEX another's table", sql: "REINDEX TABLE foe.t", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "VACUUM", sql: "VACUUM foe.t", direct: refusedByGrammar, hidden: byServer, want: "25001"},
	{attempt: "move an own table out", sql: "CREATE TABLE mine (id integer); ALTER TABLE mine SET SCHEMA foe", direct: refusedByGrammar, hidden: byFence, want: "foe.mine"},
	{attempt: "move another's table in", sql: "ALTER TABLE foe.child SET SCHEMA {own}", direct: refusedByGrammar, hidden: byFence, want: "child"},
	{attempt: "move another's function in", sql: "ALTER FUNCTION foe.f() SET SCHEMA {own}", direct: refusedByGrammar, hidden: byFence, want: "f()"},
	{attempt: "own another's table", sql: "ALTER TABLE foe.t OWNER TO {group}", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "two commands in one text", sql: "DO $x$ BEGIN EXECUTE 'SELECT 1; ' || $y$ DELETE FROM foe.t $y$; END $x$", direct: refusedByGrammar, hidden: byFence, want: "foe.t (written)"},

	// The registry, public, and other schemas.
	{attempt: "read the registry", sql: "CREATE TABLE mine AS SELECT * FROM docex_system.tenant_registry", direct: refusedByGrammar, hidden: byFence, want: "table docex_system.tenant_registry (read"},
	{attempt: "write the registry", sql: "UPDATE docex_system.tenant_registry SET display_name = 'x'", direct: refusedByGrammar, hidden: byFence, want: "docex_system.tenant_registry (written)"},
	{attempt: "write the ledger", sql: "DELETE FROM docex_system.tenant_requests", direct: refusedByGrammar, hidden: byFence, want: "docex_system.tenant_requests"},
	{attempt: "write the records of scripts", sql: "DELETE FROM docex_system.applied_scripts", direct: refusedByGrammar, hidden: byFence, want: "docex_system.applied_scripts"},
	{attempt: "write a table in public", sql: "INSERT INTO public.p VALUES (1)", direct: refusedByGrammar, hidden: byFence, want: "public.p"},
	{attempt: "create in public", sql: "CREATE TABLE public.mine (id integer)", direct: refusedByGrammar, hidden: byFence, want: "mine"},
	{attempt: "create a table in another schema", sql: "CREATE TABLE foe.mine (id integer)", direct: refusedByGrammar, hidden: byFence, want: "foe.mine"},
	{attempt: "create a function in another schema", sql: "CREATE FUNCTION foe.mine() RETURNS integer LANGUAGE sql AS 'SELECT 2'", direct: refusedByGrammar, hidden: byFence, want: "foe.mine()"},
	{attempt: "replace another's function", sql: "CREATE OR REPLACE FUNCTION foe.f() RETURNS integer LANGUAGE sql AS 'SELECT 2'", direct: refusedByGrammar, hidden: byFence, want: "foe.f()"},
	{attempt: "make another's function SECURITY DEFINER", sql: "ALTER FUNCTION foe.f() SECURITY DEFINER", direct: refusedByGrammar, hidden: byFence, want: "foe.f()"},
	{attempt: "create a type in another schema", sql: "CREATE TYPE foe.mine AS ENUM ('a')", direct: refusedByGrammar, hidden: byFence, want: "foe.mine"},
	{attempt: "add a value to another's type", sql: "ALTER TYPE foe.e ADD VALUE 'b'", direct: refusedByGrammar, hidden: byFence, want: "foe.e"},
	{attempt: "a cast of another's type", sql: "CREATE CAST (foe.e AS integer) WITH INOUT", direct: refusedByGrammar, hidden: byFence, want: "cast"},
	{attempt: "a collation in another schema", sql: "CREATE COLLATION foe.mine FROM \"C\"", direct: refusedByGrammar, hidden: byFence, want: "foe.mine"},
	{attempt: "an operator in pg_catalog", sql: "CREATE OPERATOR pg_catalog.<##> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl)", direct: refusedByRehearsal, hidden: byServer, want: "42501"},
	{attempt: "a conversion in another schema", sql: "CREATE CONVERSION foe.mine FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8", direct: refusedByGrammar, hidden: byFence, want: "mine"},
	{attempt: "text search in another schema", sql: "CREATE TEXT SEARCH CONFIGURATION foe.mine (COPY = pg_catalog.simple)", direct: refusedByGrammar, hidden: byFence, want: "foe.mine"},
	{attempt: "a comment on another's table", sql: "COMMENT ON TABLE foe.t IS 'x'", direct: refusedByGrammar, hidden: byFence, want: "foe.t"},
	{attempt: "a comment on another tenant's schema, which is its stamp", sql: "COMMENT ON SCHEMA tenant_neighbour IS 'x'", direct: refusedByGrammar, hidden: byFence, want: "tenant_neighbour"},
	{attempt: "CREATE SCHEMA", sql: "CREATE SCHEMA mine", direct: refusedByGrammar, hidden: byFence, want: "a schema (created or dropped)"},
	{attempt: "DROP SCHEMA of another tenant", sql: "DROP SCHEMA tenant_neighbour CASCADE", direct: refusedByGrammar, hidden: byFence, want: "a schema (created or dropped)"},
	{attempt: "rename another tenant's schema", sql: "ALTER SCHEMA tenant_neighbour RENAME TO mine", direct: refusedByGrammar, hidden: byFence, want: "schema"},
	{attempt: "drop the own schema", sql: "DROP SCHEMA {own} CASCADE", direct: refusedByGrammar, hidden: byFence, want: "INIT_SCRIPT_FAILED"},
	{attempt: "rename the own schema", sql: "ALTER SCHEMA {own} RENAME TO mine", direct: refusedByGrammar, hidden: byFence, want: "INIT_SCRIPT_FAILED"},
	{attempt: "give the own schema away", sql: "DO $x$ BEGIN EXECUTE 'ALTER SCHEMA ' || quote_ident(current_schema()) || ' OWNER TO {group}'; END $x$", direct: refusedByGrammar, hidden: byFence, want: "the owner of the tenant's schema"},
	{attempt: "a comment on the own schema, which is its stamp", sql: "COMMENT ON SCHEMA {own} IS 'x'", direct: refusedByGrammar, hidden: byFence, want: "the comment on the tenant's schema"},
	{attempt: "drop a table of the definition", sql: "DROP TABLE route_operations", direct: refusedByRehearsal, hidden: byDefinition, want: "route_operations is missing"},

	// Transactions.
	{attempt: "COMMIT", sql: "COMMIT", direct: refusedByGrammar, hidden: byServer, want: "0A000"},
	{attempt: "ROLLBACK", sql: "ROLLBACK", direct: refusedByGrammar, hidden: byServer, want: "0A000"},
	{attempt: "SAVEPOINT", sql: "SAVEPOINT x", direct: refusedByGrammar, hidden: byServer, want: "0A000"},
	{attempt: "PREPARE TRANSACTION", sql: "PREPARE TRANSACTION 'x'", direct: refusedByGrammar, hidden: byServer, want: "0A000"},
	{attempt: "a DO block that commits", sql: "DO $x$ BEGIN COMMIT; END $x$", direct: refusedByGrammar, hidden: byServer, want: "2D000"},
	{attempt: "a procedure that commits", sql: "CREATE PROCEDURE mine() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'; CALL mine()", direct: refusedByGrammar, hidden: byServer, want: "2D000"},
	{attempt: "SET TRANSACTION READ ONLY", sql: "SET TRANSACTION READ ONLY", direct: refusedByGrammar, hidden: byServer, want: "25006"},
	{attempt: "a cursor WITH HOLD", sql: "DECLARE mine CURSOR WITH HOLD FOR SELECT 1", direct: refusedByGrammar, hidden: byFence, want: "cursors WITH HOLD"},

	// Roles and privileges.
	{attempt: "SET ROLE", sql: "SET ROLE {group}", direct: refusedByGrammar, hidden: byServer, want: "3F000"},
	{attempt: "RESET ROLE", sql: "RESET ROLE", direct: refusedByGrammar, hidden: provisioned + "; it has no effect"},
	{attempt: "SET SESSION AUTHORIZATION", sql: "SET SESSION AUTHORIZATION {group}", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "RESET SESSION AUTHORIZATION", sql: "RESET SESSION AUTHORIZATION", direct: refusedByGrammar, hidden: provisioned + "; it has no effect"},
	{attempt: "CREATE ROLE", sql: "CREATE ROLE escaped", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "ALTER ROLE, its own password", sql: "ALTER ROLE {role} PASSWORD 'other'", direct: refusedByGrammar, hidden: byFence, want: "a role or its password"},
	{attempt: "ALTER ROLE, its own search_path", sql: "ALTER ROLE {role} SET search_path = foe", direct: refusedByGrammar, hidden: byFence, want: "a setting of a role or database"},
	{attempt: "GRANT of a role", sql: "GRANT {role} TO {group}", direct: refusedByGrammar, hidden: byServer, want: ""},
	{attempt: "GRANT on another's table", sql: "GRANT SELECT ON foe.t TO PUBLIC", direct: refusedByGrammar, hidden: byFence, want: "foe.t (created or changed)"},
	{attempt: "REVOKE from the service, on another tenant's tables", sql: "REVOKE ALL ON ALL TABLES IN SCHEMA tenant_neighbour FROM CURRENT_USER", direct: refusedByGrammar, hidden: byFence, want: "tenant_neighbour"},
	{attempt: "GRANT on another's schema", sql: "GRANT USAGE ON SCHEMA foe TO PUBLIC", direct: refusedByGrammar, hidden: byFence, want: "schema foe"},
	{attempt: "ALTER DEFAULT PRIVILEGES", sql: "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", direct: refusedByGrammar, hidden: byFence, want: "default privileges"},
	{attempt: "ALTER DEFAULT PRIVILEGES in another schema", sql: "ALTER DEFAULT PRIVILEGES IN SCHEMA foe GRANT SELECT ON TABLES TO PUBLIC", direct: refusedByGrammar, hidden: byFence, want: "default privileges"},
	{attempt: "DROP OWNED BY the service", sql: "DROP OWNED BY CURRENT_USER CASCADE", direct: refusedByGrammar, hidden: byFence, want: ""},
	{attempt: "a SECURITY DEFINER function that writes another's table", sql: "CREATE FUNCTION mine() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN DELETE FROM foe.t; END'; SELECT mine()", direct: refusedByGrammar, hidden: byFence, want: "SECURITY DEFINER"},
	{attempt: "a SECURITY DEFINER function that is not called", sql: "CREATE FUNCTION mine() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN DELETE FROM foe.t; END'", direct: refusedByGrammar, hidden: byFence, want: "SECURITY DEFINER"},
	{attempt: "give an own table to another role", sql: "CREATE TABLE mine (id integer); DO $x$ BEGIN EXECUTE format('GRANT ALL ON SCHEMA %I TO {group}', current_schema()); END $x$; ALTER TABLE mine OWNER TO {group}", direct: refusedByGrammar, hidden: provisioned + "; the role owns the table", shows: "SELECT relowner = '{group}'::regrole FROM pg_class WHERE oid = '{own}.mine'::regclass"},

	// The database and the server.
	{attempt: "ALTER DATABASE", sql: "DO $x$ BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET search_path = foe'; END $x$", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "CREATE DATABASE", sql: "CREATE DATABASE mine", direct: refusedByGrammar, hidden: byServer, want: ""},
	{attempt: "ALTER SYSTEM", sql: "ALTER SYSTEM SET work_mem = '1MB'", direct: refusedByGrammar, hidden: byServer, want: ""},
	{attempt: "a comment on the database", sql: "DO $x$ BEGIN EXECUTE 'COMMENT ON DATABASE ' || quote_ident(current_database()) || $y$ IS 'x'$y$; END $x$", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "an extension", sql: "CREATE EXTENSION pgcrypto", direct: refusedByGrammar, hidden: byFence, want: ""},
	{attempt: "an event trigger", sql: "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION foe.f()", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "a publication", sql: "CREATE PUBLICATION mine", direct: refusedByGrammar, hidden: byFence, want: "a publication"},
	{attempt: "a subscription", sql: "CREATE SUBSCRIPTION mine CONNECTION '' PUBLICATION x WITH (connect = false)", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "a foreign server", sql: "CREATE FOREIGN DATA WRAPPER mine", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "dblink", sql: "SELECT dblink_exec('', 'SELECT 1')", direct: refusedByGrammar, hidden: byServer, want: "42883"},
	{attempt: "an access method", sql: "CREATE ACCESS METHOD mine TYPE INDEX HANDLER bthandler", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "a security label", sql: "SECURITY LABEL ON TABLE docbasket IS 'x'", direct: refusedByGrammar, hidden: byServer, want: "22023"},
	{attempt: "LOAD", sql: "LOAD 'plpgsql'", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "COPY to a program", sql: "COPY docbasket TO PROGRAM 'cat'", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "COPY to a file", sql: "COPY docbasket TO '/tmp/escaped'", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "COPY from a file", sql: "COPY docbasket FROM '/etc/passwd'", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "COPY to the client", sql: "COPY docbasket TO STDOUT", direct: refusedByGrammar, hidden: byServer, want: "0A000"},
	{attempt: "read a file of the server", sql: "CREATE TABLE mine AS SELECT pg_read_file('/etc/passwd')", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "a large object", sql: "CREATE TABLE mine AS SELECT lo_create(0)", direct: refusedByGrammar, hidden: byFence, want: "a large object"},
	{attempt: "a large object of a file", sql: "CREATE TABLE mine AS SELECT lo_import('/etc/passwd')", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "a replication slot", sql: "SELECT pg_create_physical_replication_slot('escaped')", direct: refusedByGrammar, hidden: byServer, want: ""},
	{attempt: "a function in C", sql: "CREATE FUNCTION mine() RETURNS integer LANGUAGE c AS 'x', 'y'", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "reset the server's statistics", sql: "SELECT pg_stat_reset()", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "reload the server's configuration", sql: "SELECT pg_reload_conf()", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "an advisory lock", sql: "SELECT pg_advisory_lock(7)", direct: refusedByGrammar, hidden: byFence, want: "advisory locks"},
	{attempt: "an advisory lock of the transaction", sql: "SELECT pg_advisory_xact_lock(7)", direct: refusedByGrammar, hidden: byFence, want: "advisory locks"},
	{attempt: "cancel itself", sql: "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)", direct: refusedByGrammar, hidden: byServer, want: "57014"},
	{attempt: "end other sessions of the service", sql: "CREATE TABLE mine AS SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()", direct: refusedByGrammar, hidden: provisioned + "; their attempts are tried again"},
	{attempt: "NOTIFY", sql: "NOTIFY escaped, 'x'", direct: refusedByGrammar, hidden: provisioned + "; it is sent with the commit"},
	{attempt: "pg_notify()", sql: "SELECT pg_notify('escaped', 'y')", direct: refusedByGrammar, hidden: provisioned + "; it is sent with the commit"},
	{attempt: "pg_logical_emit_message()", sql: "SELECT pg_logical_emit_message(true, 'x', 'y')", direct: refusedByGrammar, hidden: provisioned + "; it is in the log of the server's writes"},
	{attempt: "read the names of others in the catalogue", sql: "CREATE TABLE mine AS SELECT nspname FROM pg_namespace", direct: startsAnyway, hidden: provisioned + "; every role can read them"},
	{attempt: "a function that reaches outside and is not called", sql: "CREATE FUNCTION mine() RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM foe.t; END'", direct: refusedByGrammar, hidden: provisioned + "; with its caller's rights it acts when it is called"},
	{attempt: "a default from another's sequence", sql: "CREATE TABLE mine (id integer DEFAULT nextval('foe.s'))", direct: refusedByGrammar, hidden: provisioned + "; it depends on the other schema", shows: "SELECT count(*) = 1 FROM pg_attrdef WHERE adrelid = '{own}.mine'::regclass"},
	{attempt: "a column of another's type", sql: "CREATE TABLE mine (v foe.e)", direct: refusedByGrammar, hidden: provisioned + "; it depends on the other schema"},
	{attempt: "call another's function", sql: "CREATE TABLE mine AS SELECT foe.f()", direct: refusedByGrammar, hidden: provisioned + "; what the function itself touches is examined", shows: "SELECT f = 1 FROM {own}.mine"},

	// What comes later: other files, steps and tenants.
	{attempt: "search_path for later files", sql: "SET search_path = foe", direct: refusedByGrammar, hidden: byReference, want: "table later is missing"},
	{attempt: "set_config() of search_path", sql: "SELECT set_config('search_path', 'foe', false)", direct: refusedByGrammar, hidden: byReference, want: "table later is missing"},
	{attempt: "search_path of a deferred trigger", sql: deferredTrigger("EXECUTE replace('SET search_path = fo~', '~', 'e')"), direct: startsAnyway, hidden: provisioned + "; the service sets its own again"},
	{attempt: "a request's value for later files", sql: "SELECT set_config('provisioner.tenant_id', 'neighbour', true)", direct: refusedByGrammar, hidden: provisioned + "; later files read the new value", shows: "SELECT tenant = 'neighbour' FROM {own}.later"},
	{attempt: "synchronous_commit", sql: "SET synchronous_commit = off", direct: refusedByGrammar, hidden: provisioned + "; the service sets its own again"},
	{attempt: "client_encoding", sql: "SET client_encoding = 'LATIN1'", direct: refusedByGrammar, hidden: provisioned + "; the service sets its own again"},
	{attempt: "client_encoding in a deferred trigger", sql: deferredTrigger("EXECUTE replace('SET client_encoding = ~LATIN1~', '~', '''')"), direct: startsAnyway, hidden: provisioned + "; the service sets its own again"},
	{attempt: "DateStyle in a trigger on seed data", sql: ownTrigger("EXECUTE replace('SET DateStyl~ = German', '~', 'e')"), direct: startsAnyway, hidden: byReference, want: "trigger mine on seeded"},
	{attempt: "session_replication_role", sql: "SET session_replication_role = replica", direct: refusedByGrammar, hidden: byServer, want: "42501"},
	{attempt: "row_security", sql: "SET row_security = on", direct: refusedByGrammar, hidden: provisioned + "; the service sets its own again"},
	{attempt: "PREPARE", sql: "PREPARE mine AS SELECT 1", direct: refusedByGrammar, hidden: provisioned + "; the session ends with the attempt"},
	{attempt: "DEALLOCATE ALL", sql: "DEALLOCATE ALL", direct: refusedByGrammar, hidden: provisioned + "; the session ends with the attempt"},
	{attempt: "DISCARD ALL", sql: "DISCARD ALL", direct: refusedByGrammar, hidden: byServer, want: "25001"},
	{attempt: "DISCARD PLANS", sql: "DISCARD PLANS", direct: refusedByGrammar, hidden: provisioned + "; the session ends with the attempt"},
	{attempt: "LISTEN", sql: "LISTEN escaped", direct: refusedByGrammar, hidden: provisioned + "; the session ends with the attempt"},
	{attempt: "a temporary table that shadows one of the service's", sql: "CREATE TEMPORARY TABLE tenant_registry (id integer)", direct: refusedByGrammar, hidden: byFence, want: "temporary objects"},
	{attempt: "a temporary table that is dropped again", sql: "CREATE TEMPORARY TABLE mine (id integer); DROP TABLE mine", direct: refusedByGrammar, hidden: byFence, want: "temporary objects"},
	{attempt: "a temporary function", sql: "CREATE FUNCTION pg_temp.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'", direct: refusedByGrammar, hidden: byFence, want: "temporary objects"},

	// Too much.
	{attempt: "an endless loop", sql: "DO $x$ BEGIN LOOP END LOOP; END $x$", direct: refusedByRehearsal, hidden: byTime, want: "INIT_SCRIPT_TIMEOUT"},
	{attempt: "sleep", sql: "SET LOCAL statement_timeout = 0; SELECT pg_sleep(600)", direct: refusedByGrammar, hidden: byTime, want: "INIT_SCRIPT_TIMEOUT"},
	{attempt: "a trigger that fires itself", sql: "CREATE TABLE mine (n integer); CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO mine VALUES (1); RETURN NULL; END'; CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION mine(); INSERT INTO mine VALUES (1)", direct: refusedByRehearsal, hidden: byServer, want: "54001"},
	{attempt: "a value of 2 GB", sql: "CREATE TABLE mine AS SELECT repeat('x', 2000000000)", direct: refusedByRehearsal, hidden: byServer, want: "54000"},
}

// tenantOf is the id of the tenant that runs the hidden form of an attempt.
func tenantOf(i int) string { return fmt.Sprintf("evil_%03d", i) }

// hiddenEscapes is a script that runs the attempts: each for its own tenant only, and in text that cannot
// be read before it is computed.
func hiddenEscapes(replace *strings.Replacer) string {
	var text strings.Builder
	text.WriteString("DO $escapes$ BEGIN\nCASE current_setting('provisioner.tenant_id')\n")
	for i, e := range escapes {
		sql := strings.ReplaceAll(replace.Replace(e.sql), "{own}", "tenant_"+tenantOf(i))
		fmt.Fprintf(&text, "WHEN '%s' THEN EXECUTE convert_from(decode('%s', 'hex'), 'UTF8');\n", tenantOf(i), hex.EncodeToString([]byte(sql)))
	}
	text.WriteString("WHEN 'ends_session' THEN EXECUTE replace('SELECT pg_terminate_backend(pg~backend_pid())', '~', '_');\n")
	text.WriteString("ELSE NULL;\nEND CASE;\nEND $escapes$;\n")
	return text.String()
}

// guarded is a database with a neighbour, for a service with scripts.
type guarded struct {
	testDatabase
	admin       *pgx.Conn
	role, group string
	env         map[string]string
	names       *strings.Replacer
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	d := newPostgres(t)
	g := &guarded{}
	url := d.env["DATABASE_URL"]
	role, programURL := newRoleAt(t, url)
	g.testDatabase = postgresAt(t, url, programURL)
	g.role, g.group = role, role+"_group"
	execute(t, "pgx", url, "", "GRANT CREATE, TEMPORARY ON DATABASE "+databaseName(t, url)+" TO "+role,
		"CREATE ROLE "+g.group, "GRANT "+g.group+" TO "+role, "GRANT CREATE ON SCHEMA public TO "+role)
	t.Cleanup(func() { executeWritable(t, url, "DROP OWNED BY "+g.group+" CASCADE", "DROP ROLE "+g.group) })
	g.names = strings.NewReplacer("{role}", g.role, "{group}", g.group)
	seeds := t.TempDir()
	testkit.Must(t, os.CopyFS(seeds, os.DirFS("../../deploy/seed-data")))
	testkit.Must(t, os.WriteFile(filepath.Join(seeds, "seeded.jsonl"), []byte("{\"n\": 1}\n"), 0o644))
	g.env = settings(g.testDatabase.env, with("NATS_URL", natstest.Start(t)), with("SEED_DATA", seeds),
		with("CONCURRENCY", "1"), with("MAX_ATTEMPTS", "2"), g.scripts(t))

	first := serve(t, g.env)
	code, _ := g.provision(t, "neighbour")
	testkit.Equal(t, "exit code of the neighbour", code, 0)
	testkit.Equal(t, "exit code", first.stop(t), 0)
	execute(t, "pgx", programURL, "", strings.Split(neighbours, ";\n")...)
	var err error
	g.admin, err = pgx.Connect(t.Context(), url)
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, g.admin.Close(t.Context())) })
	return g
}

// scripts is a setting with these scripts, names and texts in turn, after one that makes a table for seed data.
func (g *guarded) scripts(t *testing.T, files ...string) map[string]string {
	t.Helper()
	return with("INIT_SCRIPTS", scriptsOf(t, "postgres", append([]string{"050_base.sql", "CREATE TABLE seeded (n integer);\n"}, files...)...))
}

// provision has the running service provision a tenant, and returns the outcome.
func (g *guarded) provision(t *testing.T, tenant string) (code int, outcome string) {
	t.Helper()
	code, outcome, stderr := command(t, with("NATS_URL", g.env["NATS_URL"]), requestArgs(tenant, "--display-name", "Åcme", "--wait", outcomeWait, "--json")...)
	if code > 1 {
		t.Fatalf("%s: %s", tenant, stderr)
	}
	return code, outcome
}

// state is a digest of each catalogue and table that a failed tenant may not change, by name.
func (g *guarded) state(t *testing.T) map[string]string {
	t.Helper()
	rows, err := g.admin.Query(t.Context(), `
		SELECT c.oid::regclass::text, md5(query_to_xml(format('SELECT %s FROM %s o ORDER BY 1', CASE
				WHEN c.relname = 'pg_class' THEN 'to_jsonb(o) - ''{relpages,reltuples,relallvisible,relfrozenxid,relminmxid}''::text[]'
				WHEN c.relname = 'pg_index' THEN 'to_jsonb(o) - ''indcheckxmin''' WHEN c.relkind = 'S' THEN '*' ELSE 'o::text' END,
			c.oid::regclass), nulls => true, tableforest => true, targetns => '')::text)
		FROM pg_class c WHERE c.relkind IN ('r', 'S') AND NOT c.relisshared AND c.relname !~ '^(pg_statistic|tenant_request|registry_stamp)'
			AND (c.relnamespace = 'pg_catalog'::regnamespace OR c.oid >= 16384 AND c.relnamespace::regnamespace::text !~ '^(pg_|information)')
		UNION ALL SELECT 'roles', string_agg(a::text, ' ' ORDER BY a.oid) FROM pg_authid a WHERE starts_with(a.rolname, $1::text)
		UNION ALL SELECT 'members', string_agg(m::text, ' ') FROM pg_auth_members m WHERE m.member = $1::text::regrole
		UNION ALL SELECT 'settings', string_agg(s::text, ' ') FROM pg_db_role_setting s WHERE s.setrole = $1::text::regrole
			OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
		UNION ALL SELECT 'shared comments', string_agg(d::text, ' ') FROM pg_shdescription d WHERE d.objoid = $1::text::regrole
			OR d.objoid = (SELECT oid FROM pg_database WHERE datname = current_database())
		UNION ALL SELECT 'database', datacl::text FROM pg_database WHERE datname = current_database()
		UNION ALL SELECT 'advisory locks', count(*)::text FROM pg_locks l WHERE l.locktype = 'advisory'
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`, g.role)
	testkit.Must(t, err)
	state := map[string]string{}
	var name string
	var digest *string
	_, err = pgx.ForEachRow(rows, []any{&name, &digest}, func() error {
		if digest != nil {
			state[name] = *digest
		}
		return nil
	})
	testkit.Must(t, err)
	return state
}

// limitFor is a setting with a short limit for attempts that only time ends. All others have the default, because a busy
// machine takes seconds for some of them.
func limitFor(timed bool) map[string]string {
	if timed {
		return with("INIT_SCRIPT_TIMEOUT", "3s")
	}
	return nil
}

// differences are the names of what is not the same.
func differences(before, after map[string]string) (names []string) {
	for name := range merge(before, after) {
		if before[name] != after[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// A script that has an attempt as it is ends the start, with its file and line, unless the document says that it runs.
func TestEscapesAtStart(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	fileOf := func(i int) string { return fmt.Sprintf("%03d_x.sql", 100+i) }
	files := map[string][]string{}
	for i, e := range escapes {
		text := "-- " + e.attempt + "\n" + strings.ReplaceAll(g.names.Replace(e.sql), "{own}", "tenant_x") + ";\n"
		if e.direct == refusedByRehearsal { // which ends at the first
			files[e.attempt] = []string{fileOf(i), text}
			continue
		}
		files[e.direct] = append(files[e.direct], fileOf(i), text)
	}
	run := func(files []string, changes ...map[string]string) (code int, stderr string) {
		code, _, stderr = command(t, merge(g.env, merge(changes...), g.scripts(t, files...)), "run")
		return code, stderr
	}
	stderr := ""
	for some := range slices.Chunk(files[refusedByGrammar], 80) { // the log cuts what is long
		code, text := run(some)
		testkit.Equal(t, "exit code", code, 1)
		stderr += text
	}
	for i, e := range escapes {
		switch e.direct {
		case refusedByGrammar:
			if !strings.Contains(stderr, fileOf(i)+", line 2: ") {
				t.Errorf("%s: the grammar accepts it: %s", e.attempt, e.sql)
			}
		case refusedByRehearsal:
			code, stderr := run(files[e.attempt], limitFor(e.hidden == byTime))
			if code != 1 || !strings.Contains(stderr, "INIT_SCRIPTS: ") || !strings.Contains(stderr, cmp.Or(e.atStart, e.want)) {
				t.Errorf("%s: exit code %d, want %q: %s", e.attempt, code, cmp.Or(e.atStart, e.want), stderr)
			}
		}
	}
	for i := 0; i < len(files[startsAnyway]); i += 2 {
		service := serve(t, merge(g.env, g.scripts(t, files[startsAnyway][i:i+2]...)))
		testkit.Equal(t, "exit code", service.stop(t), 0)
	}
}

// An attempt that computed text hides, so that neither the grammar nor the rehearsal meets it, ends as the document
// says. One that fails leaves everything else as it was, and ordinary tenants are provisioned after all.
func TestHiddenEscapes(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	scripts := g.scripts(t, "100_escapes.sql", hiddenEscapes(g.names),
		"200_later.sql", "CREATE TABLE later AS SELECT current_setting('provisioner.tenant_id') AS tenant;\n")
	var service *running
	for _, timed := range []bool{true, false} {
		service = serve(t, merge(g.env, limitFor(timed), scripts))
		before := g.state(t)
		for i, e := range escapes {
			if strings.HasPrefix(e.hidden, provisioned) || (e.hidden == byTime) != timed {
				continue
			}
			code, outcome := g.provision(t, tenantOf(i))
			if code == 0 || !strings.Contains(outcome, e.want) || !strings.Contains(outcome, string(events.CauseInitScriptFailed)) {
				t.Errorf("%s: want %s, %q: %s", e.attempt, e.hidden, e.want, outcome)
			}
			after := g.state(t)
			if changed := differences(before, after); len(changed) > 0 && !e.lasting {
				t.Errorf("%s has changed %v", e.attempt, changed)
			}
			before = after
		}
		if timed {
			testkit.Equal(t, "exit code", service.stop(t), 0)
		}
	}
	_, err := g.admin.Exec(t.Context(), "LISTEN escaped")
	testkit.Must(t, err)
	for i, e := range escapes {
		if !strings.HasPrefix(e.hidden, provisioned) {
			continue
		}
		code, outcome := g.provision(t, tenantOf(i))
		testkit.Equal(t, "exit code of "+e.attempt+" ("+outcome+")", code, 0)
		if e.shows != "" {
			g.assertTrue(t, e.attempt, strings.ReplaceAll(g.names.Replace(e.shows), "{own}", "tenant_"+tenantOf(i)))
		}
		code, _ = g.provision(t, fmt.Sprintf("after_%03d", i)) // what the script left in the process and its sessions
		testkit.Equal(t, "exit code of an ordinary tenant after "+e.attempt, code, 0)
	}
	for _, payload := range []string{"x", "y"} {
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
		notification, err := g.admin.WaitForNotification(ctx)
		cancel()
		testkit.Must(t, err)
		testkit.Equal(t, "notification", notification.Payload, payload)
	}
	g.assertTrue(t, "names in the registry", "SELECT bool_and(display_name = 'Åcme') FROM docex_system.tenant_registry WHERE NOT is_system")

	// What only this request meets counts attempts after some pauses, and then it fails.
	code, outcome := g.provision(t, "ends_session")
	testkit.Equal(t, "exit code of a script that ends its session", code, 1)
	testkit.Contains(t, "its outcome", outcome, string(events.CauseAttemptsExhausted), "100_escapes.sql, line 1: the server ended the session")
	code, _ = g.provision(t, "ordinary")
	testkit.Equal(t, "exit code of an ordinary tenant", code, 0)
	testkit.Equal(t, "exit code", service.stop(t), 0)
}

// assertTrue asserts what a query of a superuser returns.
func (g *guarded) assertTrue(t *testing.T, what, query string) {
	t.Helper()
	var yes bool
	testkit.Must(t, g.admin.QueryRow(t.Context(), query).Scan(&yes))
	testkit.Equal(t, what+": "+query, yes, true)
}

// The tables of the document are those of the tests.
func TestEscapesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/init-scripts.md")
	testkit.Must(t, err)
	onSQLite := slices.Clone(sqliteEscapes)
	for i := range onSQLite {
		onSQLite[i].direct, onSQLite[i].hidden = refusedByRehearsal, cmp.Or(onSQLite[i].hidden, cannotBeHidden)
	}
	for section, all := range map[string][]escape{"On PostgreSQL": escapes, "On SQLite": onSQLite} {
		_, got, _ := strings.Cut(string(text), "\n### "+section+"\n")
		_, got, _ = strings.Cut(got, "\n|---|---|---|\n")
		got, _, _ = strings.Cut(got, "\n\n")
		var want []string
		for _, e := range all {
			want = append(want, fmt.Sprintf("| %s | %s | %s |", e.attempt, e.direct, e.hidden))
		}
		testkit.Equal(t, "the table "+section, strings.TrimSpace(got), strings.Join(want, "\n"))
	}
}
