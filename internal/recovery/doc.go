// Package recovery notices that database and streams are not of the same time or place, and brings back what one of
// them still knows of the other. Tests cite these numbers.
//
//  1. The commit comes before the publication. So whatever is in the stream of outcomes was in the ledger, and an
//     outcome that the ledger does not have is lost there. [Guard] needs to look only at the newest outcomes.
//  2. A registry and its streams carry the same id, see [BindStreams]: a copy of the database, or another installation,
//     does not serve their requests.
//  3. [Reconciler.Plan] writes nothing. Beside a running service it reports nothing that is only on its way: what seems
//     to be missing is read a second time, after what it was compared with.
//  4. [Reconciler.Apply] takes one step for each finding. Each can be repeated, and a process that is killed in between
//     leaves nothing that a second run does not find and finish.
//  5. Nothing is dropped or overwritten: what belongs to another request is left, and named.
package recovery
