// Package faults knows what errors mean: the codes of PostgreSQL, SQLite, the operating system, NATS and JetStream, and
// for each whose fault it is. It is one table, [Table]; docs/delivery.md shows it. Who meets an error looks it up here,
// by its code and never by its text, and adds what only he can know: in what it was met.
package faults
