package doctor

import (
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestPostgresChecks(t *testing.T) {
	t.Parallel()
	type info = postgres.ServerInfo
	durable := info{Fsync: true, FullPageWrites: true, SynchronousCommit: "on"}
	change := func(fn func(*info)) info {
		v := durable
		fn(&v)
		return v
	}
	for name, c := range map[string]struct {
		check func(config.Config, info) Finding
		v     info
		want  string
	}{
		"12":               {checkVersion, info{Version: 120022}, Fault},
		"13":               {checkVersion, info{Version: 130000}, OK},
		"durable":          {checkDurability, durable, OK},
		"no fsync":         {checkDurability, change(func(v *info) { v.Fsync = false }), Fault},
		"torn pages":       {checkDurability, change(func(v *info) { v.FullPageWrites = false }), Warning},
		"async commit":     {checkDurability, change(func(v *info) { v.SynchronousCommit = "off" }), Warning},
		"nothing migrates": {checkMigration, durable, OK},
		"migrates":         {checkMigration, info{Migrating: []postgres.Blocker{{PID: 1, Age: time.Second}}}, OK},
		"frozen migration": {checkMigration, info{Migrating: []postgres.Blocker{{PID: 1, Age: time.Minute}}}, Fault},
		"no standby":       {checkStandby, durable, OK},
		"a standby":        {checkStandby, change(func(v *info) { v.SynchronousStandbys, v.WalSenders = "*", 1 }), OK},
		"standby missing":  {checkStandby, change(func(v *info) { v.SynchronousStandbys = "*" }), Fault},
		"commits wait":     {checkStandby, change(func(v *info) { v.SynchronousStandbys, v.Waiting = "*", 1 }), Fault},
		"half the locks":   {checkLocks, info{LocksPerTransaction: 64, Connections: 14}, OK},
		"more than half":   {checkLocks, info{LocksPerTransaction: 64, Connections: 13}, Warning},
		"too few":          {checkLocks, info{LocksPerTransaction: 64, Connections: 6}, Fault},
		"prepared":         {checkLocks, info{LocksPerTransaction: 64, Connections: 4, PreparedTransactions: 10}, OK},
		"five":             {checkConnections, info{Connections: 10, Reserved: 3, Total: 2, RoleLimit: -1, DatabaseLimit: -1}, OK},
		"four":             {checkConnections, info{Connections: 10, Reserved: 3, Total: 3, RoleLimit: -1, DatabaseLimit: -1}, Warning},
		"one":              {checkConnections, info{Connections: 10, Reserved: 3, Total: 6, RoleLimit: -1, DatabaseLimit: -1}, Fault},
		"expired":          {checkPassword, info{Password: &postgres.Password{Left: -time.Hour}}, Fault},
		"no Citus":         {checkCitus, info{}, OK},
		"Citus":            {checkCitus, info{Citus: &postgres.Citus{Recovery: 5 * time.Second}}, OK},
		"its default":      {checkCitus, info{Citus: &postgres.Citus{Recovery: time.Minute}}, Warning},
		"never recovers":   {checkCitus, info{Citus: &postgres.Citus{Recovery: -time.Second}}, Fault},
		"registry spread":  {checkCitus, info{Citus: &postgres.Citus{Recovery: 5 * time.Second, RegistryDistributed: true}}, Fault},
		"the service has":  {checkConnections, info{Connections: 10, Reserved: 3, Total: 7, Ours: 5, RoleLimit: -1, DatabaseLimit: -1}, OK},
	} {
		testkit.Equal(t, name, c.check(config.Config{Concurrency: 4}, c.v).Status, c.want)
	}
	testkit.Equal(t, "one more for the pool", checkConnections(config.Config{Concurrency: 4, Prepared: 1},
		info{Connections: 5, RoleLimit: -1, DatabaseLimit: -1}).Status, Warning)
	testkit.Equal(t, "no dump", checkDumps(config.Config{}, info{}).Status, OK)
	testkit.Equal(t, "a dump", checkDumps(config.Config{}, info{Dumps: 1}).Status, Warning)
	beside := info{Standbys: true}
	testkit.Contains(t, "beside a standby, by default", checkDumps(config.Config{}, beside).Message, "no boundaries are prepared")
	chosen, err := config.Load(t.Context(), envconfig.MapLookuper(map[string]string{
		"DATABASE_URL": "postgres://db/tenants", "PREPARED_BOUNDARIES": "8",
	}))
	testkit.Must(t, err)
	testkit.Contains(t, "beside a standby, chosen", checkDumps(chosen, beside).Message, "fail at a prepared boundary")
}
