// Package events is the public contract of the tenant provisioner: the events it takes and sends, their
// CloudEvents encoding on NATS, their identities, their JSON Schemas. Publishers and subscribers may import
// it; it imports nothing else of this module and no NATS client (a header here is a map[string][]string,
// to which nats.Header is assignable).
//
// # For publishers
//
// Make a request with [NewRequested], write it with [Encode], publish it on the subject [TypeRequested].
// The pair of source and id is the request: to try again after an unclear answer, publish the same pair; to
// ask for something new, take a new id. Exactly one outcome follows, on the subject that is its type:
// [TypeProvisioned] or [TypeProvisioningFailed].
//
// # For subscribers
//
// Read a message with [Decode], then its data with [ProvisionedFrom] or [FailedFrom]. Find the request again by
// request.key in the data ([RequestKey]; outcomes of earlier versions have none), by its source and id, which are cut
// after 1 KiB, or by correlationid. Delivery is at least once: an outcome may arrive repeatedly, always under one id,
// so remember ids and ignore what was seen. Order the events of one request by data.replay. Branch on cause.code,
// never on messages; ignore fields and codes that you do not know, since later versions may add them.
//
// # For who waits
//
// How a request gets on is told while it runs, on core NATS, on [ProgressSubject] of its tenant: an event at the
// start and at the end of each step, read with [ProgressFrom]. Subscribe before you publish the request. It is
// for screens, and lossy by design: it is stored nowhere, nothing waits for it, and what is told while a
// connection is away is lost. Events may come late, twice or not at all; an attempt or replay with a higher number
// makes those before it out of date. What counts is the outcome. A request without a valid tenant_id has no
// subject, and no progress.
//
// # What holds
//
// Tests cite these numbers.
//
//  1. Identity is exact. Source and id are kept as they were sent, character for character: nothing is
//     trimmed, escaped or folded.
//  2. A message has one meaning or none. A header, key or attribute that is there twice, data beside
//     data_base64, and anything behind the JSON object are refused, never resolved by order.
//  3. Three forms are read: structured (content-type application/cloudevents+json, parameters allowed),
//     binary (ce-* headers, percent-decoded once), and a JSON object with specversion, without ce-* headers
//     and with no content-type or application/json. Other headers are ignored; case of header names does
//     not matter. Batches are refused by name.
//  4. Attributes obey CloudEvents 1.0: specversion is 1.0; id, source and type are there; names are a–z 0–9;
//     strings are UTF-8 without control characters, noncharacters or unpaired surrogates; time is RFC 3339,
//     kept in UTC. An optional attribute that is null or empty is absent.
//  5. [Decode] takes anything: it never panics, reads in linear time, bounds nesting; its errors are short
//     and never repeat a payload. They all wrap [ErrUndecodable].
//  6. What was decoded can be encoded in both modes and reads equal again. Equal events give equal bytes.
//  7. [RequestedFrom] is strict in what it knows (names by case, types, duplicates) and ignores what it
//     does not know. Its errors name the field.
//  8. An outcome's id is a function of request source, request id, replay and type ([OutcomeID]), in every
//     version. So is a request's key ([RequestKey]). No source and id lead to those of an undecodable message
//     ([UndecodableKey], [UndecodableOutcomeID]).
//  9. An outcome can always be published: whatever a request held, a failure is below 64 KiB. Lists are
//     never null, times are UTC.
//  10. The files in [Schemas] and the rules in Go accept the same requests; every file in [Examples] passes
//     both.
//
// # What a request's identity is not
//
// It is not the Nats-Msg-Id, which JetStream remembers only for a while, and not the tenant: two requests
// for one tenant are two requests, and the later one fails with [CauseTenantExists].
//
// A message that could not be decoded has no source and id. Its failure carries neither request nor
// tenant_id. Its key and its outcome's id are computed from the stored message instead: stream, sequence, stored
// time and body.
package events
