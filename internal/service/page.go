package service

import (
	"cmp"
	"time"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/page"
	"example.com/tenant-provisioner/internal/pipeline"
)

// newPage returns the operator's page for a pipeline with these steps. It is served from the start of the process, and
// shows what the service waits for. ready returns why the service takes no requests, or nil.
func newPage(c config.Config, steps []pipeline.Step, ready func() error) (*page.Page, error) {
	var titles []string
	for _, step := range steps[1:] {
		titles = append(titles, step.Title)
	}
	return page.New(page.Config{
		Version: buildinfo.Version(), Now: time.Now, Ready: ready, Steps: titles,
		NATS:     cmp.Or(config.Redact("NATS_URL", c.NATSURL), "embedded at "+c.EmbeddedAddr),
		Database: config.Redact("DATABASE_URL", c.DatabaseURL),
	})
}

// pageDatabase returns the state of a store in the form of the page.
func pageDatabase(db database.Store) page.Database {
	c := database.ConnectionsOf(db)
	shown := page.Database{InUse: c.InUse, Idle: c.Idle, Most: c.Max, Waits: c.Waits, Waited: c.Waited}
	if p, ok := database.Prepared(db); ok {
		shown.Prepared = &page.Prepared{Ready: p.Ready, Target: int64(p.Target), Taken: p.Taken, Misses: p.Misses}
	}
	return shown
}
