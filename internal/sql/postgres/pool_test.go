package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/testkit"
)

// A database with many tenants has 100,000 locks while it is dumped: they are read once, not for each boundary that is
// passed over.
func TestTakingABoundaryReadsTheLocksOnce(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("SELECT 1"))
	rows, err := s.pool.Query(t.Context(), "EXPLAIN (COSTS off) "+s.q.TakePrepared, "definition", "tenant_acme", 3600.0)
	testkit.Must(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	testkit.Must(t, err)
	// An InitPlan runs once, a SubPlan for each row of the node above it.
	text := strings.Join(plan, "\n")
	within, _, found := strings.Cut(text, "pg_lock_status")
	if !found || !strings.Contains(within, "InitPlan") || strings.Contains(within, "SubPlan") {
		t.Error(text)
	}
}
