// Package sqlite stores each tenant in a SQLite file of its own, with a driver that needs no C.
//
// A new tenant's file is written next to its final name from a template's content, compared with the definition, and
// synced. Under the registry's write lock it is linked into place and its directory is synced, before the registry
// commits. So no process ever sees an incomplete file under a tenant's name. The file is locked while it is built,
// which distinguishes it from a leftover of a crashed attempt.
//
// Invariants, in addition to those of package pipeline:
//
//  1. Registration decides. Within the registry's write transaction, ledger and registry are read again, the file is
//     placed, both rows are written, and all is committed. Requests for one tenant may build at the same time; the
//     later one finds the earlier one's row.
//  2. Placing never replaces a file: it is a link(2), which fails if the name is taken. (Without hard links it is a
//     rename that fails if the name is taken; without that, a check and a rename(2) under the registry's write lock,
//     which excludes only other provisioners.)
//  3. A file that existed before is used in place, in one transaction of its own, and only if no table in it holds a
//     row. Rows mean a registered tenant (TENANT_EXISTS) or data of another program (BOUNDARY_NOT_EMPTY), and always
//     fail the attempt.
//  4. A file that this request placed, but a crash kept from being registered, is recognized by the tag in its header
//     (application_id). If the request fails for good, its failure lists the file as left behind. The tag is a hash
//     of the registry's id and the request's key. A file whose tag belongs to no request for this tenant in the
//     ledger may be another service's, and is not used. A file without a tag gets one when it is taken over. With
//     scripts or seed data the tag is also a hash of those: a file that has it holds all that they make, exactly once,
//     and is used as it is although it holds rows. With other ones it is as another service's.
//  5. Pragmas are set through the DSN, for every connection. The registry is in WAL mode. Claims and notes commit
//     without waiting for the disk; the commit of an outcome waits.
//  6. The template is built when the store is opened, by the statements that also complete an existing file, and must
//     match the definition. Apart from the tag, a new file is identical to one built by those statements. Step 4
//     still reads the new file, and lets SQLite inspect it in full if it is not identical. Scripts that depend on no
//     value of a request are part of the template.
//  7. Pending changes of the registry share one transaction and one group commit, in which each can fail without the
//     others. A file's content is durable before the file is placed, its name before the commit, and the commit before
//     the caller gets the result. If the transaction does not commit, all of its changes have failed. A caller that is
//     cancelled while its change is pending has changed nothing; a caller whose change is being written gets its
//     result.
//  8. A [Reader] creates and changes nothing, whether files are at rest, in use, or left by a crash.
//  9. A sync that succeeds after one that failed is not believed. The file, and the directories that the attempt
//     created, are created again; the registry's log is written again before the next commit.
//  10. Scripts and seed data work on a copy of a new file in memory, which is written to the file when they are done,
//     or in the transaction on a file that existed. While a script runs, what is not on a list is denied: see
//     script_policy.go. Whatever a statement of a script raises fails the request, unless it is known to come from
//     locks, memory or the disk.
package sqlite
