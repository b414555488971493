package main

import (
	"context"
	"iter"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
)

// registry is what can be read of tenants.
type registry interface {
	Count(ctx context.Context) (int, error)
	Tenants(ctx context.Context, after string, limit int) ([]sql.Registered, error)
	Tenant(ctx context.Context, id string) (sql.Registered, error)
	Verify(ctx context.Context, t sql.Registered) (pipeline.Inspection, error)
}

// ledger is what can be read of requests.
type ledger interface {
	Request(ctx context.Context, key string) (sql.Record, error)
	Requests(ctx context.Context, tenantID string, limit int) ([]sql.Record, error)
}

// reader is a database that is only looked at.
type reader interface {
	registry
	ledger
	Close() error
}

// openReader opens the configured database for reading. Nothing is created or migrated.
func openReader(ctx context.Context, c config.Config) (reader, error) {
	if c.OnPostgres() {
		return opened(postgres.OpenReader(ctx, c.Postgres()))
	}
	return opened(sqlite.OpenReader(ctx, c.SQLite()))
}

// opened keeps a nil pointer from looking like a reader.
func opened[R reader](r R, err error) (reader, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// pageSize is how many rows of the registry are in memory at a time.
const pageSize = 200

// pages are all rows of the registry, by id. An error is the last.
func pages(ctx context.Context, r registry) iter.Seq2[[]sql.Registered, error] {
	return func(yield func([]sql.Registered, error) bool) {
		for after := ""; ; {
			page, err := r.Tenants(ctx, after, pageSize)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) > 0 && !yield(page, nil) || len(page) < pageSize {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}
