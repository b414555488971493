// Package client requests tenants and reads their outcomes over NATS JetStream, for publishers and subscribers in Go.
// The events themselves are those of package events. The caller makes the connection, and its JetStream handle with
// domain or prefix; this package never dials.
//
//   - [Request] publishes a request.
//   - A [Client] publishes requests and awaits their outcomes: [Client.Request], [Client.Await].
//   - [Outcomes] reads all outcomes, for a system that reacts to them.
//
// Every call that waits takes a context and ends with it. Lost connections and servers that restart are waited out.
//
// # Guarantees
//
// Tests cite these numbers.
//
//  1. Source and id identify a request. To publish it again is safe, also years later: it has one outcome.
//  2. No outcome is missed between Request and Await: a Client follows the outcomes from [Open] on.
//  3. Await returns the outcome of a request that was decided before, too, in whichever process it was published.
//  4. All calls of Await of a Client share one consumer, and a second one while earlier outcomes are read.
//  5. [Subscription.Next] returns each outcome at least once. One that is not acknowledged is returned again.
//  6. A message that is not an outcome stops no reader: it is skipped, and reported.
//
// # Permissions
//
// [Request] publishes to tenant.requested. [Outcomes] needs the JetStream API of the stream TENANT_EVENTS:
// STREAM.INFO, CONSUMER.CREATE, CONSUMER.INFO, CONSUMER.DELETE, CONSUMER.MSG.NEXT, and $JS.ACK for a durable consumer.
// A [Client] needs both, and to subscribe to tenant.provisioned and tenant.provisioning_failed: an outcome that the
// stream has already is published to its subject only. [Client.Await] of a receipt from elsewhere also needs
// STREAM.INFO and STREAM.MSG.GET of TENANT_REQUESTS.
package client
