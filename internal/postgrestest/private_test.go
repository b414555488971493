package postgrestest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/postgrestest"
)

func TestPrivateServerIsStoppedAndStarted(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t, "fsync=on")
	for name, end := range map[string]func(){"Stop": s.Stop, "Kill": s.Kill} {
		s.Exec("CREATE ROLE by_" + name)
		end()
		if _, err := pgx.Connect(t.Context(), s.URL); err == nil {
			t.Errorf("after %s it accepts a connection", name)
		}
		s.Start()
	}
	c := connect(t, s.URL)
	if got := scalar[int](t, c, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'by_%'"); got != 2 {
		t.Errorf("%d roles, want 2", got)
	}
	if got := scalar[string](t, c, "SELECT current_setting('search_path') || current_setting('fsync')"); got != "publicon" {
		t.Errorf("settings: %s", got)
	}
}

func TestOnlyTheOwnerNeedsNoPassword(t *testing.T) {
	t.Parallel()
	s := postgrestest.Private(t)
	s.Exec("CREATE ROLE someone LOGIN PASSWORD 'right'")
	connect(t, s.URLOf("someone", "right"))
	if _, err := pgx.Connect(t.Context(), s.URLOf("someone", "wrong")); err == nil {
		t.Error("a wrong password is accepted")
	}
}

func TestStandbyHasCommittedData(t *testing.T) {
	t.Parallel()
	primary := postgrestest.Private(t)
	standby := primary.Standby()
	primary.Synchronous()
	primary.Exec("CREATE ROLE first")
	primary.Kill()
	standby.Promote()
	standby.Exec("CREATE ROLE second IN ROLE first")
}
