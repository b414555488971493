// Package events is the public contract of the tenant provisioner: the events that it receives and publishes, their
// CloudEvents encoding on NATS, their identities and their JSON Schemas. Publishers and subscribers may import it. It
// imports no other package of this module and no NATS client: a header here is a map[string][]string, to which
// nats.Header is assignable.
//
// # For publishers
//
// Make a request with [NewRequested], encode it with [Encode], and publish it on the subject [TypeRequested]. The pair
// of source and id identifies the request. To retry after an unclear answer, publish the same pair. To make a new
// request, use a new id. Exactly one outcome follows, on the subject that equals its type: [TypeProvisioned] or
// [TypeProvisioningFailed].
//
// # For subscribers
//
// Read a message with [Decode], then its data with [ProvisionedFrom] or [FailedFrom].
//
//   - Find the request by request.key in the data ([RequestKey]; outcomes of earlier versions have none), by its source
//     and id, which are cut after 1 KiB, or by correlationid.
//   - Delivery is at least once: an outcome may arrive repeatedly, always with the same id. Store the ids that you have
//     handled and ignore repeats.
//   - Order the events of one request by data.replay.
//   - Branch on cause.code, never on messages. Ignore fields and codes that you do not know: later versions may add
//     them.
//
// # Progress
//
// While a request runs, the service publishes its progress on core NATS, on the [ProgressSubject] of its tenant: an
// event at the start and at the end of each step. Read it with [ProgressFrom]. Subscribe before you publish the
// request.
//
// Progress is for displays and lossy by design: it is not stored, nothing waits for it, and events that are published
// while a connection is down are lost. Events may be late, repeated or missing. An event of a higher attempt or replay
// makes those of lower ones obsolete. Only the outcome counts. A request without a valid tenant_id has no progress.
//
// # Invariants
//
// Tests cite these numbers.
//
//  1. Identity is exact. Source and id are kept as they were sent, character for character: nothing is trimmed, escaped
//     or folded.
//  2. A message has one meaning or none. A duplicate header, key or attribute, data together with data_base64, and
//     anything after the JSON object are rejected, never resolved by order.
//  3. Three forms are accepted: structured (content-type application/cloudevents+json or application/cloudevents,
//     parameters allowed), binary (ce-* headers, percent-decoded once), and a JSON object with specversion, without
//     ce-* headers and with no content-type or application/json. Other headers are ignored; header names are
//     case-insensitive. Blanks and double quotes around the value of a ce-* header are removed first, except those of
//     id and source. A byte order mark before JSON is ignored. Batches, compressed bodies, other encodings than UTF-8
//     and the header names of other bindings are rejected, each with an error of its own.
//  4. Attributes follow CloudEvents 1.0: specversion is 1.0; id, source and type are present; names are a–z 0–9;
//     strings are UTF-8 without control characters, noncharacters or unpaired surrogates; time is RFC 3339, kept in
//     UTC, and a leap second is kept as the second after it. An optional attribute that is null or empty is absent.
//     [Decode] accepts data of every content type.
//  5. [Decode] accepts any input: it never panics, takes linear time and limits nesting. Its errors are short and never
//     repeat a payload. They all wrap [ErrUndecodable].
//  6. A decoded event can be encoded in both modes and decodes to an equal event. Equal events give equal bytes.
//  7. [RequestedFrom] is strict about the fields that it knows (case of names, types, duplicates) and ignores others.
//     Its errors name the field.
//  8. An outcome's id is a function of request source, request id, replay and type ([OutcomeID]), in every version. A
//     request's key is a function of source and id ([RequestKey]), in every version. No source and id lead to the key
//     or outcome id of an undecodable message ([UndecodableKey], [UndecodableOutcomeID]).
//  9. An outcome can always be published: a failure is below 64 KiB, whatever its request contained. Lists are never
//     null; times are UTC. The trace context is valid or absent.
//  10. The files in [Schemas] and the rules in Go accept the same requests. Every file in [Examples] satisfies both.
//
// # Identity of a request
//
// The Nats-Msg-Id is not the identity: JetStream remembers it only for a limited time. The tenant is not either: two
// requests for one tenant are two requests, and the later one fails with [CauseTenantExists].
//
// A message that could not be decoded has no source and id. Its failure has neither request nor tenant_id. Its key and
// its outcome's id are computed from the stored message instead: stream, sequence, stored time and body.
package events
