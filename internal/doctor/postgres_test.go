package doctor

import (
	"testing"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestPostgresChecks(t *testing.T) {
	t.Parallel()
	type vitals = postgres.ServerInfo
	sturdy := vitals{Fsync: true, FullPageWrites: true, SynchronousCommit: "on"}
	change := func(fn func(*vitals)) vitals {
		v := sturdy
		fn(&v)
		return v
	}
	for name, c := range map[string]struct {
		look postgresCheck
		v    vitals
		want string
	}{
		"12":              {checkVersion, vitals{Version: 120022}, Fault},
		"13":              {checkVersion, vitals{Version: 130000}, OK},
		"sturdy":          {checkDurability, sturdy, OK},
		"no fsync":        {checkDurability, change(func(v *vitals) { v.Fsync = false }), Fault},
		"torn pages":      {checkDurability, change(func(v *vitals) { v.FullPageWrites = false }), Warning},
		"no waiting":      {checkDurability, change(func(v *vitals) { v.SynchronousCommit = "off" }), Warning},
		"no standby":      {checkStandby, sturdy, OK},
		"a standby":       {checkStandby, change(func(v *vitals) { v.SynchronousStandbys = "*" }), OK},
		"commits wait":    {checkStandby, change(func(v *vitals) { v.SynchronousStandbys, v.Waiting = "*", 1 }), Fault},
		"half the locks":  {checkLocks, vitals{LocksPerTransaction: 64, Connections: 14}, OK},
		"more than half":  {checkLocks, vitals{LocksPerTransaction: 64, Connections: 13}, Warning},
		"too few":         {checkLocks, vitals{LocksPerTransaction: 64, Connections: 6}, Fault},
		"prepared ones":   {checkLocks, vitals{LocksPerTransaction: 64, Connections: 4, PreparedTransactions: 10}, OK},
		"five":            {checkConnections, vitals{Connections: 10, Reserved: 3, Total: 2, RoleLimit: -1, DatabaseLimit: -1}, OK},
		"four":            {checkConnections, vitals{Connections: 10, Reserved: 3, Total: 3, RoleLimit: -1, DatabaseLimit: -1}, Warning},
		"one":             {checkConnections, vitals{Connections: 10, Reserved: 3, Total: 6, RoleLimit: -1, DatabaseLimit: -1}, Fault},
		"the service has": {checkConnections, vitals{Connections: 10, Reserved: 3, Total: 7, Ours: 5, RoleLimit: -1, DatabaseLimit: -1}, OK},
	} {
		testkit.Equal(t, name, c.look(config.Config{Concurrency: 4}, c.v).Status, c.want)
	}
	testkit.Equal(t, "one more to prepare", checkConnections(config.Config{Concurrency: 4, Prepared: 1},
		vitals{Connections: 5, RoleLimit: -1, DatabaseLimit: -1}).Status, Warning)
}
