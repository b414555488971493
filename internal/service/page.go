package service

import (
	"cmp"
	"context"
	"errors"
	"time"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/page"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
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

// pageLookup returns the page's search in a database, by the queries of the commands.
func pageLookup(db database.Search) page.Lookup {
	return func(ctx context.Context, id string, limit int) (found page.Tenant, err error) {
		t, err := db.Tenant(ctx, id)
		switch {
		case err == nil:
			found = page.Tenant{
				ID: t.ID, DisplayName: t.DisplayName, System: t.System, Strategy: t.IsolationStrategy,
				Boundary: cmp.Or(t.Boundary.SchemaName, t.Boundary.DatabasePath), Created: t.CreatedAt, Updated: t.UpdatedAt,
				Plan: t.Plan.Name, MaxBytes: t.Plan.Limits.MaxBytes, MaxRows: t.Plan.Limits.MaxRows,
			}
		case !errors.Is(err, sql.ErrNotFound):
			return found, err
		}
		requests, err := db.Requests(ctx, sql.RequestFilter{TenantID: id}, limit)
		for _, r := range requests {
			found.Requests = append(found.Requests, page.Request{
				Source: r.Source, ID: r.ID, Key: r.Key, State: r.State, Replay: r.Replay, Attempts: r.Attempts,
				Created: r.CreatedAt, Step: r.LastStep, Cause: r.LastCause, Error: r.LastError, OutcomeID: r.OutcomeID,
			})
		}
		return found, err
	}
}
