// Package database chooses the engine, PostgreSQL or SQLite; no other package does. It opens the configured one for the
// service ([Open]) or for reading ([OpenReader]), and declares the interfaces of a reader. postgres.go and sqlite.go
// assert at compile time that each engine implements them, so that no check is skipped silently.
package database

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
)

// Store is a database for the service.
type Store interface {
	pipeline.Database
	Recovery
	Search
	Scripts
	// RehearseFurther does everything that an attempt does, scripts and seeds included, for a scratch tenant with the
	// longest values that a request may have, and rolls it back.
	RehearseFurther(ctx context.Context) error
	// Prune removes at most limit requests that were decided before that time, the oldest first, and returns how many. It
	// begins with those created at from; last is when the last of them was created. A batch that begins where the one
	// before has ended does not read again what that one has removed, which PostgreSQL keeps until a vacuum.
	Prune(ctx context.Context, from, before time.Time, limit int) (pruned int, last time.Time, err error)
	Close() error
}

// Scripts reads the initialisation scripts that registered tenants have.
type Scripts interface {
	AppliedScripts(ctx context.Context) ([]sql.AppliedScript, error)
}

// Search looks up single tenants and their requests.
type Search interface {
	// Tenant returns the row whose id equals id without regard to case, preferring the exact spelling, or
	// [sql.ErrNotFound].
	Tenant(ctx context.Context, id string) (sql.TenantRow, error)
	// Requests returns at most limit requests, the latest first, without outcome and history. Its error is
	// [sql.ErrNoLedger] if the registry has no ledger.
	Requests(ctx context.Context, filter sql.RequestFilter, limit int) ([]sql.RequestRecord, error)
}

// NewRegistry decides whether and how a registry is created in a database that has none.
type NewRegistry struct {
	// Allow is called before anything is created. foreign are boundaries that carry the id of a registry that is not in
	// the database. Its error ends [Open], which has changed nothing then. nil: always allowed.
	Allow func(ctx context.Context, foreign []string) error
	ID    string // of the registry; empty: a random one
}

// Open opens the configured database and migrates its registry.
func Open(
	ctx context.Context, c config.Config, missing NewRegistry, traces trace.TracerProvider, log *slog.Logger,
) (Store, error) {
	if c.OnPostgres() {
		settings := c.Postgres()
		settings.Log, settings.Traces = log, traces
		settings.AllowNew, settings.RegistryID = missing.Allow, missing.ID
		db, err := postgres.Open(ctx, settings)
		if err != nil {
			return nil, err // not db: an interface with a nil pointer is not nil
		}
		return db, nil
	}
	settings := c.SQLite()
	settings.Log, settings.Traces = log, traces
	settings.AllowNew, settings.RegistryID = missing.Allow, missing.ID
	db, err := sqlite.Open(ctx, settings)
	if err != nil {
		return nil, rehearsalFault(err) // it runs the scripts that are prepared
	}
	return db, nil
}

// Registry reads the registered tenants.
type Registry interface {
	Count(ctx context.Context) (int, error)
	// Tenants returns at most limit tenants with an id above after, in the order of their ids.
	Tenants(ctx context.Context, after string, limit int) ([]sql.TenantRow, error)
	Tenant(ctx context.Context, id string) (sql.TenantRow, error)
	// CountPlans returns the plans of the registered tenants in the order of their names, at most limit.
	CountPlans(ctx context.Context, limit int) ([]sql.PlanCount, error)
	// Verify compares a tenant's tables and indexes with the definition.
	Verify(ctx context.Context, t sql.TenantRow) (pipeline.Inspection, error)
	// Twins returns pairs of ids that differ only in case, at most limit.
	Twins(ctx context.Context, limit int) ([][2]string, error)
	// Misplaced returns those of the page whose boundary is not where the template puts it.
	Misplaced(ctx context.Context, page []sql.TenantRow) ([]sql.Misplaced, error)
	// CheckTables returns nil if registry and ledger have the tables and columns of this version, [sql.ErrNotMigrated] if
	// the service creates what is missing when it starts, and else an error that names what keeps it from that, or what
	// was removed.
	CheckTables(ctx context.Context) error
}

// Ledger reads the requests.
type Ledger interface {
	Request(ctx context.Context, key string) (sql.RequestRecord, error)
	// Requests returns at most limit requests, the latest first, without outcome and history.
	Requests(ctx context.Context, filter sql.RequestFilter, limit int) ([]sql.RequestRecord, error)
	// Unregistered returns tenants that were provisioned and are not in the registry, at most limit.
	Unregistered(ctx context.Context, limit int) ([]sql.Unregistered, error)
	// CountForeign returns the number of registered tenants that no request has provisioned.
	CountForeign(ctx context.Context) (int, error)
}

// Reader is a database that is opened for reading.
type Reader interface {
	Registry
	Ledger
	Scripts
	ComparableReader
	Close() error
}

// PoolReader is a [Reader] of PostgreSQL, which has prepared boundaries.
type PoolReader interface {
	Prepared(ctx context.Context) ([]postgres.PreparedBoundary, error)
}

// SchemaReader is a [Reader] of PostgreSQL, where tenants are schemas.
type SchemaReader interface {
	// CaseVariants returns schemas whose name differs from that of a tenant's only in case, at most limit.
	CaseVariants(ctx context.Context, limit int) ([]postgres.CaseVariant, error)
}

// FileReader is a [Reader] of SQLite, where registry and tenants are files.
type FileReader interface {
	// UnderConstruction returns the temporary files of attempts that were last changed before that time.
	UnderConstruction(ctx context.Context, before time.Time) ([]string, error)
	// Damage returns the faults that SQLite finds in the registry's file.
	Damage(ctx context.Context) ([]string, error)
	IsWAL() (bool, error)
}

// Copier is a [Reader] of SQLite that copies files while others write them. It changes no original.
type Copier interface {
	// CopyRegistry copies registry and ledger to the same name below root.
	CopyRegistry(ctx context.Context, root string) error
	// CopyTenant copies the tenant's file to the name below root that the template gives.
	CopyTenant(ctx context.Context, t sql.TenantRow, root string) error
}

// OpenReader opens the configured database for reading. It creates and migrates nothing.
func OpenReader(ctx context.Context, c config.Config) (Reader, error) {
	if c.OnPostgres() {
		r, err := postgres.OpenReader(ctx, c.Postgres())
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	r, err := sqlite.OpenReader(ctx, c.SQLite())
	if err != nil {
		return nil, err
	}
	return r, nil
}

// PageSize is how many rows of the registry are in memory at a time.
const PageSize = 200

// Pages iterates over all rows of the registry, in the order of their ids. An error ends the iteration.
func Pages(ctx context.Context, r Registry) iter.Seq2[[]sql.TenantRow, error] {
	return func(yield func([]sql.TenantRow, error) bool) {
		for after := ""; ; {
			page, err := r.Tenants(ctx, after, PageSize)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) > 0 && !yield(page, nil) || len(page) < PageSize {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}
