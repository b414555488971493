// Package sql contains what both engines share: the definition of a tenant, its comparison with a boundary, and the
// rules for boundary names. The engines are packages postgres and sqlite; every SQL text is in a .sql file next to
// their code.
//
// The definition exists twice on purpose: as DDL in each engine's tables.sql and indexes.sql, and here as data to
// compare a boundary with. Tests on both engines check that the two agree, and that the comparison detects altered
// boundaries.
package sql
