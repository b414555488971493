// Package page is the operator's page: what the program does and how it is, for a person with a browser. It reads
// and changes nothing.
//
// # What it promises
//
//  1. Every part is shown as far as it is known. A server that is away leaves its part with the reason why, and
//     with what was known before, and when. The others are as fresh as ever.
//  2. An answer takes two seconds at most, whatever the servers do: they are asked side by side, each for no longer
//     than sourceTimeout.
//  3. Who looks costs nothing but an answer: the page is made once a second at most, however many look, and while
//     nobody looks no server is asked.
//  4. What others wrote, such as ids of tenants and causes in dead letters, is text: escaped, cut, and without
//     characters that do not print. It never becomes part of a command that is shown.
//  5. A browser loads nothing from elsewhere and runs nothing but the script here (Content-Security-Policy).
//
// # Where the figures come from
//
// The streams, which all programs share, are asked each time: the queue as in [handler.ReadQueue], outcomes by
// their sequence from the end, counts of outcomes by what the server says would be delivered from a time on, so
// that no message is read for them. Connections and prepared boundaries are those of this process.
//
// Nothing is left at the servers but, for seconds, consumers that only count; and nothing in this process but what
// was last told.
package page
