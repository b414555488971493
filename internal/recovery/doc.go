// Package recovery detects that database and streams are not of the same time or place, and restores in one of them
// what the other still has. Tests cite these numbers.
//
//  1. The commit comes before the publication. So whatever is in the stream of outcomes was in the ledger, and an
//     outcome that the ledger does not have is lost there. [Guard] compares the outcomes after the registry's
//     checkpoint, which a restore takes back together with the ledger. Nothing that is served later, or repaired in
//     part, hides one.
//  2. A registry and its streams carry the same id, see [BindStreams]: a copy of the database, or another installation,
//     does not serve their requests.
//  3. [Reconciler.Plan] writes nothing. Beside a running service it reports nothing that is only on its way: what seems
//     to be missing is read a second time, after what it was compared with.
//  4. [Reconciler.Apply] takes one step for each finding. Each can be repeated, and a process that is killed in between
//     leaves nothing that a second run does not find and finish.
//  5. Nothing is dropped or overwritten: what belongs to another request is left, and named.
//
// Order of a [Backup]: what a copy contains must never refer to what a part copied before it lacks. So each part is
// copied after those that refer to it.
//
//  1. The acknowledged floor of the durable consumers is read first. A request below it was settled: its outcome, and
//     the dead letter of a failure, are stored already, and the parts copied later have them. What was acknowledged
//     above the floor, or later, is delivered again in the copy; the ledger answers it.
//  2. TENANT_EVENTS next. The commit comes before the publication: for each outcome in the copy, the ledger, the
//     registry and the tenant's file, copied later, have what it announces.
//  3. TENANT_DEAD_LETTERS. The dead letter of a failure is stored before its outcome.
//  4. TENANT_REQUESTS. A replay is stored before its dead letter is removed, so one of them is in the copy. Requests
//     that arrived since step 1 are above the floor, and pending.
//  5. The registry with its ledger, and then the tenants' files that this registry names. A file is in its place before
//     the commit that registers it.
//
// So the database is newer than the streams. It may have outcomes that the copied streams lack: their requests are
// delivered again, and the recorded outcome is published. Not in the copy are requests that arrived after step 4.
package recovery
