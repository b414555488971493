package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/tenant-provisioner/internal/pipeline"
)

// Blocker is a session that keeps a start from migrating the registry.
type Blocker struct {
	PID                                int64 // 0: a prepared transaction, which has no session
	Role, Application, Address, Status string
	Since                              time.Time     // when its transaction began, or else when it became idle
	Age                                time.Duration // 0: this role may not see it
}

func (b Blocker) String() string {
	if b.PID == 0 {
		return "a prepared transaction (see pg_prepared_xacts)"
	}
	text := fmt.Sprintf("pid %d (application_name %q", b.PID, b.Application)
	if b.Age > 0 {
		since := b.Since.UTC().Format(time.DateTime + "Z")
		text += fmt.Sprintf(", role %s, client %s, %s since %s", b.Role, b.Address, b.Status, since)
	}
	return text + ")"
}

// Remedy is the SQL that ends the session.
func (b Blocker) Remedy() string {
	if b.PID == 0 {
		return "SELECT gid, prepared, owner FROM pg_prepared_xacts; -- then COMMIT PREPARED or ROLLBACK PREPARED"
	}
	return fmt.Sprintf("SELECT pg_terminate_backend(%d);", b.PID)
}

// migrationBlockers reads the sessions that hold the lock of migrations and, with tables, those that hold a lock on a
// table in the registry's schema: at most three, the oldest first.
func migrationBlockers(
	ctx context.Context, on querier, q queries, registry string, tables bool,
) ([]Blocker, error) {
	rows, err := on.Query(ctx, q.MigrationBlockers, lockKey("migration", registry), registry, tables)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b Blocker, err error) {
		var seconds float64
		err = row.Scan(&b.PID, &b.Role, &b.Application, &b.Address, &b.Status, &b.Since, &seconds)
		b.Age = time.Duration(seconds * float64(time.Second))
		return b, err
	})
}

// blockedMigration returns the outage of a migration whose wait for a lock has ended. With locked, it waited for a
// table, and not for another migration.
func (s *Store) blockedMigration(ctx context.Context, conn *pgxpool.Conn, err error, locked bool) error {
	why := "another session holds the lock of migrations"
	if locked {
		why = "other transactions use the registry's tables"
	}
	if blockers, readErr := migrationBlockers(ctx, conn, s.q, s.registry, locked); readErr == nil && len(blockers) > 0 {
		names := make([]string, len(blockers))
		for i, b := range blockers {
			names[i] = b.String()
		}
		why += ": " + strings.Join(names, ", ")
		if len(blockers) == 1 { // of several, only some are in the way
			why += "; if it does not end by itself: " + blockers[0].Remedy()
		}
	}
	return &pipeline.Fault{Class: pipeline.Outage, Message: why, Shared: true, TimedOut: true, Err: err}
}
