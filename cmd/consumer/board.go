package main

import (
	"cmp"
	"sync/atomic"
	"time"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/page"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
)

// newBoard is the operator's page. It is there from the first moment on, and says what the service waits for.
func newBoard(c config.Config, serving *atomic.Pointer[probes]) (*page.Page, error) {
	return page.New(page.Config{
		Version: buildinfo.Version(), Now: time.Now, Ready: func() error { return serving.Load().ready() },
		NATS:     cmp.Or(config.Redact("NATS_URL", c.NATSURL), "embedded at "+c.EmbeddedAddr),
		Database: config.Redact("DATABASE_URL", c.DatabaseURL),
	})
}

// boardDatabase is what the page shows of a store.
func boardDatabase(db store) (shown page.Database) {
	switch db := db.(type) {
	case *postgres.Store:
		stat := db.Stat()
		shown = page.Database{
			InUse: int(stat.AcquiredConns()), Idle: int(stat.IdleConns()), Most: int(stat.MaxConns()),
			Waits: stat.EmptyAcquireCount(), Waited: stat.EmptyAcquireWaitTime(),
		}
		if p := db.Prepared(); p.Target > 0 {
			shown.Prepared = &page.Prepared{Ready: p.Ready, Target: int64(p.Target), Taken: p.Taken, Misses: p.Misses}
		}
	case *sqlite.Store:
		stat := db.Stat()
		shown = page.Database{
			InUse: stat.InUse, Idle: stat.Idle, Most: stat.MaxOpenConnections, Waits: stat.WaitCount, Waited: stat.WaitDuration,
		}
	}
	return shown
}
