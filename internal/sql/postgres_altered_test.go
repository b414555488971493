package sql_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// DocEX, or a later version of this program, widens a column of registry or ledger while the service runs: statements
// that were prepared before are prepared again, and no request loses an attempt.
func TestColumnsOfTheRegistryAreWidened(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	columns := p.lines(t, "", `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'docex_system' AND data_type = 'character varying'
		AND table_name IN ('tenant_registry', 'tenant_requests') ORDER BY 1`)
	if len(columns) < 8 {
		t.Fatalf("only %d columns", len(columns))
	}
	for i, column := range columns {
		r.provision(t, fmt.Sprint("before_", i)) // its session has the statements
		table, name, _ := strings.Cut(column, ".")
		p.raw(t, "", "ALTER TABLE {b}"+table+" ALTER COLUMN "+name+" TYPE text")
		job := r.provisioner.Job(request(t, fmt.Sprint("after_", i)))
		got := job.Run(t.Context())
		for range 2 { // the service rehearses, and runs the same job again
			if got.Decided() {
				break
			}
			testkit.Equal(t, column+": verdict", got.Verdict, pipeline.Pause)
			got = job.Run(t.Context())
		}
		if !got.Decided() {
			t.Fatalf("%s: %s: %v", column, got.Verdict, got.Err)
		}
		testkit.Equal(t, column+": attempts", provisionedOutcome(t, got.Outcome).Attempts, 1)
	}
}
