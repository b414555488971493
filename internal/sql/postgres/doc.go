// Package postgres keeps tenants as schemas of one PostgreSQL database (13 or later), with pgx.
//
// An attempt is ONE transaction, from the lock on the boundary to the commit that registers the tenant and
// records the outcome. A crash, a failed step or a lost connection leaves nothing behind, and no clean-up
// exists that could remove what belongs to another.
//
// Invariants, beside those of package pipeline:
//
//  1. The transaction's first act is the advisory lock on the boundary's name in lower case. Requests for
//     one tenant, and for ids that differ only in case, run one after the other; others do not meet. (The lock
//     of invariant 10, taken beside it, they share.)
//  2. After the lock, ledger and registry are read again (READ COMMITTED: each statement sees what was
//     committed before it). The request's ledger row is locked, so its outcome cannot be decided elsewhere.
//  3. The statements of a step travel in one round trip. Tables and indexes have one savepoint a step;
//     only where one failed are they tried one by one, each with its own. A boundary of the pool takes two:
//     its name is not known before the first.
//  4. Every statement names its schema; nothing depends on search_path. Identifiers are quoted in
//     identifier.go and nowhere else.
//  5. Claims and notes commit without waiting for the disk: they only count attempts. The commit of step 5,
//     and that of a failure, waits, for the synchronous standby too, and makes durable all that came before it. An
//     outcome that is found in the ledger is returned after such a commit (durable.go).
//  6. The sessions of a [Reader] are read-only. It takes no locks, migrates nothing, and needs no more than
//     USAGE and SELECT in the registry's schema: boundaries are compared by catalogue.
//
// # Prepared boundaries
//
// With Config.Prepared, finished boundaries wait in a pool, the table prepared_boundaries, which all replicas
// share. [Store.Fill] builds them; the first attempt at a request takes one and renames it. Invariants:
//
//  7. A boundary and its row in the pool come in one commit ([Store.Fill]) and go in one, that of step 5: who
//     takes one deletes the row and renames the schema in the attempt's transaction. So none is half built, none
//     is taken twice, and an attempt that fails gives its boundary back. No tenant can have the name of one: ids
//     hold no colon, and a template that holds one is refused.
//  8. A boundary is taken only if it is of this program's definition, to the letter, its schema is there and ours
//     to rename, and nothing in it has a page. Step 4 inspects it like any other. One that somebody has changed
//     is put aside, out of the pool; a request is delayed by it, and loses no attempt.
//  9. Nobody waits for the pool: rows that are locked are passed over, and where there is none the attempt builds
//     its boundary as ever. Where a schema of the tenant's name is there already, nothing is taken.
//  10. One replica builds at a time, one boundary at a time, and counts under the lock that makes it the one: the
//     pool never holds more than it should. It builds only when for a moment no attempt of any replica has been in
//     its transaction, each of which shares a lock that the builder tries and never keeps.
//  11. Nothing of the pool is ever dropped: boundaries of another version are left to its replicas, and what
//     nobody can use is named by [Reader.Prepared].
//
// What a crash leaves: of a boundary that is being built, nothing, until its commit, and then one in the pool. That
// commit does not wait for the disk: what a crash of the server takes is the schema with its row, unless a tenant
// has it, whose commit came after it and has waited. Of an attempt that has taken one, nothing, and the boundary is
// in the pool as before.
//
// # Other registries
//
// Services with registries of their own can share a database. Each registry has an id (migration 5), read by [Open].
// Invariants:
//
//  12. A schema that the service makes gets the id as its comment, the stamp, in the transaction that makes it and in a
//     message that is sent anyway: with its tables, or with the rename of a boundary that the earlier version has
//     prepared. One that was there gets it if it has no comment and is ours to comment on. No other comment is
//     overwritten.
//  13. A schema that was there is used only if it does not carry another registry's stamp, is not a registry, and is
//     not registered in another registry that the role may read. The same holds where a registry is to be made. The
//     lock of invariant 1 is one for all registries of the database. Once a tenant is registered nobody reads its
//     stamp.
package postgres
