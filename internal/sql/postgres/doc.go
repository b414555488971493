// Package postgres keeps tenants as schemas of one PostgreSQL database (13 or later), with pgx.
//
// An attempt is ONE transaction, from the lock on the boundary to the commit that registers the tenant and
// records the outcome. A crash, a failed step or a lost connection leaves nothing behind, and no clean-up
// exists that could remove what belongs to another.
//
// Invariants, beside those of package pipeline:
//
//  1. The transaction's first act is the advisory lock on the boundary's name in lower case. Requests for
//     one tenant, and for ids that differ only in case, run one after the other; others do not meet.
//  2. After the lock, ledger and registry are read again (READ COMMITTED: each statement sees what was
//     committed before it). The request's ledger row is locked, so its outcome cannot be decided elsewhere.
//  3. The statements of a step travel in one round trip. Tables and indexes have one savepoint a step;
//     only where one failed are they tried one by one, each with its own.
//  4. Every statement names its schema; nothing depends on search_path. Identifiers are quoted in
//     identifier.go and nowhere else.
//  5. Claims and notes commit without waiting for the disk: they only count attempts. The commit of step 5,
//     and that of a failure, waits, and makes durable all that came before it.
//  6. The sessions of a [Reader] are read-only. It takes no locks, migrates nothing, and needs no more than
//     USAGE and SELECT in the registry's schema: boundaries are compared by catalogue.
package postgres
