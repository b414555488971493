// Package sql holds what both engines share: the definition of a tenant, the comparison of a boundary with
// it, and the rule by which boundaries are named. The engines are in postgres and sqlite; every SQL text
// stands in a .sql file beside them.
//
// The definition exists twice on purpose: as DDL in each engine's tables.sql and indexes.sql, and here as
// data that a boundary is compared with. A test holds the two together, on both engines, and mutates
// boundaries to see that the comparison notices.
package sql
