package postgres

import (
	"testing"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// A session ends after a number of boundaries, because its memory grows with each.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config())
	pids := map[uint32]int{}
	for range 2*maxBuilds + 1 {
		opened, err := s.Begin(t.Context(), pipeline.Claim{}, "acme")
		testkit.Must(t, err)
		pids[opened.(*build).conn.Conn().PgConn().PID()]++
		opened.Close(t.Context())
	}
	for pid, n := range pids {
		if n > maxBuilds {
			t.Errorf("session %d has built %d boundaries", pid, n)
		}
	}
	if len(pids) < 3 {
		t.Errorf("%d sessions", len(pids))
	}
}
