// Package faults maps error codes to their meaning: the codes of PostgreSQL, SQLite, the operating system, NATS and
// JetStream. It is one table, [Table]; docs/delivery.md shows it. Code that meets an error looks it up by its code,
// never by its text, and adds where the error occurred: in one tenant's boundary, or in what all requests share.
package faults
