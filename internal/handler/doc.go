// Package handler is the JetStream side of the provisioner: it takes requests from the durable consumer, has the
// pipeline decide them, publishes the outcomes, and acknowledges. It knows no database.
//
// # Authority
//
// The ledger behind the pipeline decides what a request's outcome is; this package publishes it as often
// as the request is delivered. Outcome ids are deterministic, so publishing again changes nothing for
// subscribers. An acknowledgement is no fence and is never relied on as one.
//
// # Invariants
//
//  1. A request is acknowledged only after its outcome is confirmed by the stream of outcomes (PubAck). For
//     a failure the dead letter is confirmed first, then the outcome, and only then is the request
//     terminated: a crash in between repeats what was not confirmed and loses nothing.
//  2. Two messages are held for each worker and no more: one is built, while the one before it is published and
//     acknowledged, and the one after it is claimed. Nothing else waits in this process and ages.
//  3. While a worker holds a message it says so (InProgress) three times per AckWait.
//  4. What can not be decoded gets the same treatment as any failure: dead letter, failed event, terminate.
//  5. What is done with a message is the verdict of [pipeline.Settle], and nobody else's.
//  6. Transient errors go back with a jittered, exponentially growing delay. An outage pauses intake; the
//     message stays with its worker, which carries on when the database is back. An outage that work has met
//     is over when work gets through, not when a probe is answered.
//  7. On shutdown intake stops, what runs is finished within the drain timeout, the rest is handed back at
//     once and its attempts with it, and every goroutine started here has ended when Run returns. What is
//     handed back comes back at once also where the server restarts meanwhile.
//  8. A dead letter is published until it is confirmed once, and not again: one that an operator has removed
//     does not come back with a late redelivery. Only a replay whose number the ledger has, decided by another
//     message, publishes it again where there is none, since that replay has removed it.
//  9. Before each try to publish, the ledger is read again; what it no longer has is dropped. A dead letter is
//     published against the last sequence of its subject, read before the ledger, and under an id that is the same for
//     all replicas. So a replica that was frozen or cut off publishes nothing that is over. Between reading the ledger
//     and the server's taking an outcome another replica may publish a newer one: subscribers order the events of a
//     request by their replay.
//  10. Whatever lies in the stream is a message, whatever its headers say: only the reply subject distinguishes a
//     status of the server from a message. Markers that the server has stored itself are acknowledged and are not
//     requests.
//  11. No message can hold a worker: of an error of publishing, only what passes is tried again. A dead letter that is
//     refused is published with less in it, and at last left out.
//
// # What a crash leaves
//
// An unacknowledged message, which JetStream delivers again after AckWait, to this or another replica.
//
// # Replay
//
// Operators list, replay and remove dead letters through [Letters], beside a running handler or without one.
// What an interruption leaves is stated at [Letters.Replay].
package handler
