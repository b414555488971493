// Package handler is the JetStream side of the provisioner. It pulls requests from the durable consumer, runs the
// pipeline on them, publishes the outcomes, and acknowledges. It has no database code.
//
// # Authority
//
// The ledger behind the pipeline decides the outcome of a request. This package publishes that outcome at every
// delivery of the request. Outcome ids are deterministic, so a repeated publication changes nothing for subscribers.
// An acknowledgement is not a fence, and nothing relies on it as one.
//
// # Invariants
//
//  1. A request is acknowledged only after the stream of outcomes has confirmed its outcome (PubAck). A failure has
//     three steps: the dead letter is confirmed, then the outcome, and only then is the request terminated. A crash in
//     between repeats what was not confirmed and loses nothing.
//  2. The process holds two messages for each worker, no more: one whose tenant is built, and one that is either
//     claimed or being published and acknowledged. No other message waits and ages in this process.
//  3. While a worker holds a message it extends the ack deadline (InProgress) three times per AckWait.
//  4. A message that cannot be decoded is treated like any failure: dead letter, failed event, terminate.
//  5. The verdict of [pipeline.Settle] alone decides what happens to a message.
//  6. A request with a transient error is returned to the stream with a jittered, exponentially growing delay. An
//     outage trips the circuit breaker, which pauses intake; workers keep their messages and resume when the database
//     is available. An outage that interrupted work ends when work succeeds, not when a probe succeeds.
//  7. On shutdown intake stops, and running work may finish within the drain timeout. The rest is released at once, and
//     its attempts do not count. Every goroutine that Run started has ended when Run returns. A released message is
//     redelivered at once even if the server restarts in between.
//  8. A dead letter is published until it is confirmed once, and not again: a late redelivery must not restore one that
//     an operator has removed. The exception is a replay whose number the ledger has, decided by another message: it
//     publishes the dead letter again if there is none, because that replay removed it.
//  9. Before each try to publish, the ledger is read again; what it no longer has is not published. A dead letter is
//     published against the last sequence of its subject, read before the ledger, and under an id that is the same for
//     all replicas. So a replica that was frozen or cut off publishes nothing obsolete. One gap is left: between
//     reading the ledger and the server's storing an outcome another replica may publish a newer one. Subscribers
//     therefore order the events of a request by their replay.
//  10. Every stored message is a message, whatever its headers say: only the reply subject distinguishes a status of
//     the server from a message. Markers that the server itself stored are acknowledged; they are not requests.
//  11. No message can block a worker: a failed publication is retried only if the error can pass. A rejected dead
//     letter is published in a smaller form, and in the end omitted.
//  12. A permission that the user loses is an outage: workers keep their messages and retry until it is back, and Err
//     names it. Err and Liveness read state and call no client, so that a probe never waits.
//  13. Every setting of streams and consumer is compared with the contract, or any value of it is harmless: at start,
//     after each reconnection and failure, and every few seconds. While one contradicts, no message is pulled. A
//     message that was delivered without its body is released undecided.
//  14. The handler is ready only after the server has answered a pull request, until it leaves one unanswered.
//  15. If the server withholds requests that it delivered while its clock was ahead, the consumer is recreated at its
//     acknowledged floor.
//
// # What a crash leaves
//
// An unacknowledged message, which JetStream redelivers after AckWait, to this or another replica.
//
// # Replay
//
// Operators list, replay and remove dead letters through [DeadLetters], whether or not a handler runs. See
// [DeadLetters.Replay] for what an interruption leaves.
package handler
