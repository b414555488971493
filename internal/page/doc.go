// Package page serves the operator's page: the activity and state of the service, for a person with a browser. It is
// read-only.
//
// # Guarantees
//
//  1. Every part shows what is known. If a server is unavailable, its part shows the reason, and the last known values
//     with their time. The other parts stay up to date.
//  2. A response takes two seconds at most, whatever the servers do: they are queried in parallel, each with the
//     timeout sourceTimeout.
//  3. Viewers add no load but their own responses: the page is rendered at most once a second, however many viewers
//     there are. Without viewers no server is queried. A search for a tenant is two queries by an index, and a few
//     searches run at a time.
//  4. Untrusted text, such as tenant ids and causes in dead letters, is text: escaped, truncated, and without
//     unprintable characters. It becomes part of a displayed command only if every shell takes it as it is.
//  5. A browser loads nothing from other hosts and runs only the script of this package (Content-Security-Policy).
//
// # Sources of the figures
//
// The streams, which all replicas share, are queried each time. The queue is that of [handler.ReadQueue]. Outcomes are
// read by sequence from the end of their stream. Outcomes are counted without reading messages: the server reports how
// many it would deliver from a start time. Connections and prepared boundaries are those of this process.
//
// The chart is made of such counts, from the start of each minute, and keeps those of minutes that have ended. The
// first reading takes at most four counts for each minute, a later one ten in all, however many outcomes there are.
// (More if outcomes arrive while it counts; see countTries.) What is removed from the stream is not counted any more:
// all minutes are counted again after removals between other messages, and minutes from before the first message that
// is left are shown as such.
//
// The search reads registry and ledger by the function of [Page.LookUp]; whether a request's dead letter is in the
// stream, it asks the server.
//
// The page leaves nothing on the servers except, for seconds, consumers that only count. This process keeps only the
// last values.
package page
