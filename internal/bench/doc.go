// Package bench compares the provisioner with the minimum cost of its work: the same DDL sent bare, a bare rename, a
// bare copy of a file, a bare loop of JetStream calls. It has only tests, with the build tag bench; make bench runs
// them and writes the results to docs/benchmarks. TestPruning, which make bench does not run, compares the service with
// itself: beside pruning and without. It prints its tables.
//
// Guarantees:
//
//  1. Both sides of a ratio run in one process on one server, by turns: ours first in one round, the bare one
//     first in the next. Other load on the machine affects both.
//  2. Servers sync every write: PostgreSQL has fsync on, NATS sync_interval always.
//  3. The consumer is the program that make build builds, in a process of its own, with default settings except
//     those that a row names.
//  4. A row shows the median, minimum and maximum of the ratios of all rounds. No figure fails a run: a missed goal
//     is printed as missed.
package bench
