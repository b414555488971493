// Package sqlite keeps each tenant in a SQLite file of its own, with a driver that needs no C.
//
// A new tenant's file is written beside its final name from the content of a finished one, compared with the
// definition, synced, linked into place under the registry's write lock, and its directory synced, before the
// registry commits. Nobody ever sees half a file under a tenant's name. While it is built it is locked, so that
// another attempt can tell it from a dead one's.
//
// Invariants, beside those of package pipeline:
//
//  1. Who registers decides: inside the registry's write transaction ledger and registry are read again,
//     then the file is placed, then both rows are written, and all is committed. Requests for one tenant may build
//     at the same time; the second finds the first one's row.
//  2. Placing never replaces a file: it is a link(2), which fails where the name is taken.
//  3. A file that was there before is used in place, in one transaction of its own, and only if no table
//     in it holds a row. Rows found mean a registered tenant (TENANT_EXISTS) or somebody's data
//     (BOUNDARY_NOT_EMPTY), never a reason to go on.
//  4. A file that this request placed and a crash kept from being registered is known by the mark in its
//     header (application_id), and named as left behind if the request fails for good. The mark is made of the
//     registry's id and the request's key. A file with a mark that no request of the ledger for this tenant explains
//     may be registered by another service and is not used. One without a mark gets it when it is taken over.
//  5. Pragmas are set through the DSN, for every connection. The registry is in WAL mode; claims and notes
//     commit without waiting for the disk, the commit of an outcome waits.
//  6. The content of new files is made when the store is opened, by the statements that complete a file that was
//     there, and must be as defined. But for the mark it is the file that those statements make. Step 4 asks SQLite
//     what is in the new file all the same, and compares in full what is not what SQLite has of the template.
//  7. Changes of the registry that wait at the same time share one transaction and one commit, in which each can
//     fail without the others. A file's content is durable before the file is placed, its name before the
//     transaction is committed, and that before the caller is told. What is not committed has failed for all of
//     them. Who is stopped while waiting has changed nothing; who is being written for gets the result.
//  8. A [Reader] makes and changes nothing, whether files are at rest, in use, or left by a crash.
package sqlite
