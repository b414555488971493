package service

import (
	"cmp"
	"sync/atomic"
	"time"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/page"
)

// newPage is the operator's page. It is there from the first moment on, and says what the service waits for.
func newPage(c config.Config, serving *atomic.Pointer[probes]) (*page.Page, error) {
	return page.New(page.Config{
		Version: buildinfo.Version(), Now: time.Now, Ready: func() error { return serving.Load().ready() },
		NATS:     cmp.Or(config.Redact("NATS_URL", c.NATSURL), "embedded at "+c.EmbeddedAddr),
		Database: config.Redact("DATABASE_URL", c.DatabaseURL),
	})
}

// pageDatabase is what the page shows of a store.
func pageDatabase(db database.Store) page.Database {
	c := database.ConnectionsOf(db)
	shown := page.Database{InUse: c.InUse, Idle: c.Idle, Most: c.Max, Waits: c.Waits, Waited: c.Waited}
	if p, ok := database.Prepared(db); ok {
		shown.Prepared = &page.Prepared{Ready: p.Ready, Target: int64(p.Target), Taken: p.Taken, Misses: p.Misses}
	}
	return shown
}
