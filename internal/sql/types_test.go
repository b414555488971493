package sql_test

import (
	"slices"
	"testing"

	"example.com/tenant-provisioner/internal/sql"
)

// Every type of the definition, and types that are found in its place: those that are wide enough, and all others.
func TestHolds(t *testing.T) {
	t.Parallel()
	wideEnough := map[string][]string{
		"varchar(36)":  {"varchar(36)", "varchar(37)", "varchar(254)", "varchar(255)", "varchar(256)", "varchar", "text"},
		"varchar(255)": {"varchar(255)", "varchar(256)", "varchar", "text"},
		sql.Text:       {"text", "varchar"},
		sql.Integer:    {"integer", "bigint"},
		sql.Boolean:    {"boolean"},
		sql.JSON:       {"json", "jsonb"},
		sql.UUID:       {"uuid"},
		sql.Timestamp:  {"timestamp", "timestamp(6)", "timestamp with time zone", "timestamp(6) with time zone"},
		"varchar(20)":  {"varchar(20)", "varchar(35)", "varchar(254)", "varchar(36)", "varchar(37)", "varchar(255)", "varchar(256)", "varchar", "text"},
	}
	found := []string{
		"varchar(19)", "varchar(20)", "varchar(35)", "varchar(36)", "varchar(37)", "varchar(254)", "varchar(255)",
		"varchar(256)", "varchar", "text", "character(36)", "character(255)", "\"char\"", "name", "public.citext",
		"varchar(255) collate ci", "text collate ci", "varchar(36)[]", "bytea", "xml",
		"smallint", "integer", "bigint", "numeric", "numeric(10,0)", "double precision", "real", "oid", "boolean", "bit(1)",
		"json", "jsonb", "json[]", "uuid", "date", "timestamp", "timestamp(0)", "timestamp(3)", "timestamp(6)",
		"timestamp with time zone", "timestamp(3) with time zone", "timestamp(6) with time zone", "time", "interval",
		"", "varchar()", "varchar(", "varchar(x)", "VARCHAR(255)",
	}
	for want, accepted := range wideEnough {
		for _, got := range found {
			if holds := slices.Contains(accepted, got); sql.Holds(got, want) != holds {
				t.Errorf("%q for %q: %t, want %t", got, want, !holds, holds)
			}
		}
	}
	for _, table := range sql.Tables {
		for _, c := range table.Columns {
			if !sql.Holds(c.Type, c.Type) || c.Earlier != "" && sql.Holds(c.Earlier, c.Type) {
				t.Errorf("%s.%s: %s, earlier %s", table.Name, c.Name, c.Type, c.Earlier)
			}
		}
	}
}
