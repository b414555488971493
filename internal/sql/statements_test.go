package sql_test

import (
	"slices"
	"testing"

	"example.com/tenant-provisioner/internal/sql"
)

func TestStatements(t *testing.T) {
	t.Parallel()
	got := sql.Statements("-- one; two\nCREATE TABLE a (\n    n integer -- a; b\n);\n\n-- three\nSELECT 1;\nALTER TABLE a\n    ADD b text; -- last\n")
	want := []string{
		"CREATE TABLE a (\n    n integer -- a; b\n)", "SELECT 1", "ALTER TABLE a\n    ADD b text; -- last\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
