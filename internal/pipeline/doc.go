// Package pipeline provisions one tenant for one request: step 0 and the five steps of the contract, in
// order, on any database that satisfies [Database]. It knows no NATS and no driver.
//
//	0 validate_request   1 create_isolation_boundary   2 initialize_schema
//	3 create_indexes     4 validate_schema             5 register_tenant
//
// # Authority
//
// The database decides, never this process's memory: the registry says which tenants exist, the ledger
// says what became of a request. Whatever was read before the boundary was locked is advice; the steps
// look again under the lock.
//
// # Invariants
//
//  1. A request has at most one outcome per replay. It is recorded in the same commit as the registry row
//     it speaks of ([Build].Register) or, for a failure, in a commit of its own that gives way to an
//     outcome already there ([Ledger].Conclude).
//  2. An attempt is committed before its work starts, so that a request that kills the process runs out of
//     attempts too.
//  3. Nothing is touched before step 0 has passed, and nothing is ever dropped. A failed attempt leaves
//     behind what its failed event names, which on PostgreSQL is nothing.
//  4. A boundary that is registered, or that holds rows, is never adopted.
//  5. A database that cannot be asked is an outage, never "does not exist". An outage costs no attempt, and
//     neither does being told to stop.
//  6. A permanent fault is decided on the first delivery; everything not known to be permanent is tried
//     until the last attempt.
//  7. A request whose last attempt began and has no end is suspected of having ended the process. Its next
//     attempt runs alone in its process, so that it spends nobody's attempts but its own.
//  8. [Settle] decides every delivery from facts, and nothing else does.
//
// # What a crash leaves
//
// Before the claim's commit: nothing. Between the claim and the commit of step 5: an attempt in the ledger; on
// PostgreSQL nothing else, on SQLite perhaps a file, without rows and marked as this request's own, which
// the next attempt uses. After the commit of step 5: the tenant, its row and the outcome; redelivery finds
// the outcome and publishes it.
package pipeline
