// Package postgres stores tenants as schemas of one PostgreSQL database (13 or later), with pgx.
//
// An attempt is ONE transaction, from the lock on the boundary to the commit that registers the tenant and records the
// outcome. After a crash, a failed step or a lost connection nothing remains. So there is no clean-up code that could
// remove data of another tenant or program.
//
// Invariants, in addition to those of package pipeline:
//
//  1. The transaction first takes an advisory lock on the boundary's name in lower case. Requests for one tenant, and
//     for ids that differ only in case, are serialized; others do not block each other. (The lock of invariant 10,
//     taken in the same statement, is shared.)
//  2. Under the lock, the attempt reads ledger and registry again (READ COMMITTED: each statement sees everything
//     committed before it). It locks the request's ledger row, so no other session can decide the outcome.
//  3. The statements of a step are sent in one round trip, each as a message of its own: Citus forwards a CREATE INDEX
//     with its whole message. Indexes have one savepoint. Only if one fails are they run one by one, each with its own
//     savepoint. Taking a prepared boundary needs two round trips: its name is unknown before the first. On Citus it
//     needs two more, see citus.go.
//  4. Every statement names its schema; functions, operators and types are the server's own, because search_path is
//     pg_catalog alone. Every setting on which results depend has the same value in each session, whatever server,
//     database, role and URL set (settings.go). Only identifier.go quotes identifiers.
//  5. Claims and notes commit asynchronously: they only count attempts. The commit of step 5, and the commit of a
//     failure, waits for the disk and for the synchronous standby, and makes all earlier commits durable. An outcome
//     found in the ledger is returned only after such a commit (durable.go).
//  6. The sessions of a [Reader] are read-only. A Reader takes no locks and migrates nothing. It needs only USAGE and
//     SELECT in the registry's schema, because boundaries are compared through the catalogue.
//
// # Connections
//
// The settings of each new connection are read again: DATABASE_URL, the environment, and the files that they name
// (connector.go). Parameters of DATABASE_URL are checked by name (parameters.go). Each migration of the
// registry is a transaction that holds an advisory lock, so the lock ends with it, also where the process is frozen
// (migrate.go).
//
// # Prepared boundaries
//
// With Config.Prepared, finished boundaries wait in a pool, the table prepared_boundaries, which all replicas share.
// [Store.FillPool] builds them. The first attempt at a request takes one and renames it. Invariants:
//
//  7. A boundary and its row in the pool are created in one commit ([Store.FillPool]) and removed in one, that of step
//     5: the attempt's transaction deletes the row and renames the schema. So no boundary in the pool is incomplete,
//     none is taken twice, and an attempt that fails returns its boundary. No tenant's schema can have the name of a
//     prepared one: ids contain no colon, and a template that contains one is rejected.
//  8. A boundary is taken only if its definition is exactly this program's, its schema exists, this role may rename
//     it, and no running pg_dump can see it under its present name. The last condition is checked again immediately
//     before the commit. In the round trip that renames it, the server is asked whether its relations are as they were
//     when all of it was last compared, and without a page (on Citus: a row). If not, or if that was more than an hour
//     ago, step 4 compares it in full; see pool_compare.go. An altered boundary is removed from the pool; the request
//     is delayed, but loses no attempt.
//  9. No attempt waits for the pool. Locked rows are skipped, and without a free boundary the attempt builds one as
//     usual. If a schema with the tenant's name exists already, none is taken.
//  10. One replica at a time builds, one boundary at a time, and counts the pool under the lock that elects it, so the
//     pool never exceeds its size, or twice its size if a dump can see the others. It builds only after a short time
//     without an attempt in its transaction in any replica. Attempts share a lock, which the builder tries to take and
//     releases at once.
//  11. Nothing from the pool is ever dropped. Boundaries of other versions are left to their replicas, and
//     [Reader.Prepared] also lists those that are unusable.
//
// A crash while a boundary is being built leaves nothing before the commit, and a boundary in the pool after it. That
// commit is asynchronous, except on Citus: a crash of the server can lose the schema together with its row, but not
// once a tenant has the boundary, because the tenant's later commit waits for both. A crash of an attempt that took a
// boundary leaves it in the pool.
//
// # Other registries
//
// Services with registries of their own can share a database. Each registry has an id (migration 5), read by [Open].
// Invariants:
//
//  12. A schema that the service creates gets the id as its comment, the stamp. The stamp is set in the transaction
//     that creates the schema and costs no extra round trip: it is sent with the tables, or with the rename of a
//     boundary that an earlier version prepared. An existing schema is stamped if it has no comment and this role may
//     comment on it. Other comments are never overwritten.
//  13. An existing schema is used only if it does not carry another registry's stamp, is not a registry, and is not
//     registered in another registry that the role may read. The same conditions apply where a registry is to be
//     created. The lock of invariant 1 is common to all registries of the database. Once a tenant is registered, its
//     stamp is no longer read.
//
// # Initialisation scripts
//
// The operator's scripts (Config.Scripts) run in the attempt's transaction, when the structure is complete. Invariants:
//
//  14. search_path is then the tenant's schema alone, and the values of the request are settings. Everything on which
//     the rest of the attempt depends is set again afterwards. A session that has run scripts is used for nothing else.
//  15. The transaction commits only if scripts and seed data have used nothing outside of the boundary, as far as
//     confined.go can detect it, which also lists what it cannot. It is a fence against mistakes, not a sandbox: a role
//     whose rights reach further than the database is refused (script_role.go).
//  16. An error of a script is the script's fault, whatever its SQLSTATE, except deadlocks, serialization failures and
//     lock timeouts. Only the loss of the connection is an outage. Past Scripts.Timeout the service cancels the running
//     statement; the session of one that ignores that is terminated.
//  17. Scripts that depend on no request run when a boundary is prepared. Their hashes are part of its definition.
//
// # Citus
//
// The coordinator of a Citus cluster is a server like any other, except for what citus.go describes.
package postgres
