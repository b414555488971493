package sql_test

import (
	"slices"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/sql"
)

// What has the name of an index is named in the outcome and by verify, with statements that create the index.
func TestIndexWhoseNameIsTaken(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		read := p.reader(t)
		const name, status, size = "idx_documents_status", "{b}document (status)", "{b}document (size)"
		for tenant, c := range map[string]struct{ only, take, want string }{
			"missing":   {want: "index " + name + " is missing; run CREATE INDEX"},
			"table":     {"", "CREATE TABLE {b}" + name + " (n integer)", "a table has its name; run ALTER TABLE"},
			"view":      {"", "CREATE VIEW {b}" + name + " AS SELECT 1 AS n", "a view has its name; run "},
			"elsewhere": {"", "CREATE INDEX " + name + " ON {b}docbasket (status)", "an index of its name is not as defined; run DROP INDEX"},
			"column":    {"", "CREATE INDEX " + name + " ON " + size, "an index of its name is not as defined; run DROP INDEX"},
			"partial": {
				"", "CREATE INDEX " + name + " ON " + status + " WHERE size > 0",
				"an index of its name is not as defined; run DROP INDEX",
			},
			"sequence":     {"postgres", "CREATE SEQUENCE {b}" + name, "a sequence has its name; run ALTER TABLE"},
			"materialized": {"postgres", "CREATE MATERIALIZED VIEW {b}" + name + " AS SELECT 1 AS n WHERE false", "a materialized view has its name"},
			"type":         {"postgres", "CREATE TYPE {b}" + name + " AS (n integer)", "a type has its name; run ALTER TYPE"},
			"partitioned": {
				"postgres", "CREATE TABLE {b}" + name + " (n integer) PARTITION BY LIST (n)",
				"a partitioned table has its name; run ALTER TABLE",
			},
		} {
			if c.only != "" && c.only != p.engine {
				continue
			}
			r.provision(t, tenant)
			p.raw(t, tenant, "DROP INDEX {b}"+name)
			if c.take != "" {
				p.raw(t, tenant, c.take)
			}
			in := verify(t, read, tenant)
			text := in.MissingIndex(name)
			if !slices.Equal(in.MissingIndexes, []string{name}) || !strings.Contains(text, c.want) {
				t.Errorf("%s: %q, want %q", tenant, text, c.want)
			}
			if tenant != "missing" { // otherwise the next request creates it
				r.unregister(t, tenant)
				got := r.provision(t, tenant)
				if len(got.Warnings) != 1 || got.Warnings[0].Code != events.WarnIndexFailed ||
					!strings.Contains(got.Warnings[0].Message, c.want) {
					t.Errorf("%s: warnings %+v, want %q", tenant, got.Warnings, c.want)
				}
			}
			_, statements, _ := strings.Cut(in.IndexRemedies[name], "run ")
			p.raw(t, tenant, strings.Split(statements, "; ")...)
			if in := verify(t, read, tenant); in.Indexes != len(sql.Indexes) || len(in.Faults()) > 0 {
				t.Errorf("%s: after %s: %q", tenant, statements, in.Faults())
			}
		}
	})
}
