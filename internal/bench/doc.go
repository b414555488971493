// Package bench measures the provisioner against the least that its work can cost: the same DDL sent bare, a
// bare rename, a bare copy of a file, a bare loop of JetStream calls. It has no code but its tests, behind the
// build tag bench; make bench runs them and writes what they found to docs/benchmarks.
//
// What it promises:
//
//  1. Both sides of a ratio run in one process on one server, by turns: ours first in one round, the bare one
//     first in the next. What else the machine does meets both.
//  2. Servers sync every write: PostgreSQL has fsync on, NATS sync_interval always.
//  3. The consumer is the program as make build makes it, in a process of its own, with its default settings
//     but for what a row names.
//  4. Every round's ratio is kept; a row gives their median, least and greatest. No figure fails a run: a goal
//     that is missed is printed as missed.
package bench
