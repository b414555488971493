// Package pipeline provisions one tenant for one request: step 0 and the five steps of the contract, in order, on any
// database that implements [Database]. It does not depend on NATS or on a database driver.
//
//	0 validate_request   1 create_isolation_boundary   2 initialize_schema
//	3 create_indexes     4 validate_schema             5 register_tenant
//
// What an operator adds to every tenant runs between the last two: run_init_scripts and load_seed_data. Without the
// built-in definition there are no steps 2 and 3: the scripts make everything, and validate_schema, before them, checks
// that the boundary is empty, or as it was prepared.
//
// # Authority
//
// The database decides, never this process's memory: the registry defines which tenants exist, and the ledger defines
// the state of each request. What was read before the boundary was locked is only a hint; the steps check it again
// under the lock.
//
// # Invariants
//
//  1. A request has at most one outcome per replay. A success is recorded in the commit that adds the registry row
//     ([Build].Register). A failure is recorded in a commit of its own, which yields to an outcome recorded earlier
//     ([Ledger].RecordFailure).
//  2. An attempt is committed before its work starts, so that a request that crashes the process also runs out of
//     attempts.
//  3. Nothing is touched before step 0 has passed, and nothing is ever dropped. A failed attempt leaves behind only
//     what its failed event names; on PostgreSQL that is nothing.
//  4. A boundary that is registered, or that holds rows, is never adopted.
//  5. A database that cannot be queried is an outage, never "does not exist". Neither an outage nor a stop of the
//     process costs an attempt.
//  6. A permanent fault is decided on the first delivery. Everything not known to be permanent is retried until the
//     last attempt.
//  7. A request whose last attempt began and left no result may have crashed the process. Its next attempt runs alone
//     in its process, so that it can cost no other request an attempt.
//  8. [Settle] decides every delivery from facts, and nothing else does.
//
// # What a crash leaves
//
//   - Before the claim's commit: nothing.
//   - Between the claim and the commit of step 5: an attempt in the ledger. On PostgreSQL there is nothing else. On
//     SQLite there may be a file without rows, marked as this request's own, which the next attempt uses.
//   - After the commit of step 5: the tenant, its row and the outcome. The redelivery finds the outcome and publishes
//     it.
package pipeline
