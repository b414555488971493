package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"example.com/tenant-provisioner/internal/repeatlog"
	"example.com/tenant-provisioner/internal/sql"
)

// migrate creates the registry's schema and migrates it. Replicas that start at the same time are serialized by an
// advisory lock. The migration library's own lock polls once a second, and the library reads its table before it takes
// the lock.
func (s *Store) migrate(ctx context.Context, createdBy string) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return s.locked(ctx, conn, func() error {
		if err := s.createRegistrySchema(ctx, conn); err != nil {
			return err
		}
		if err := s.runMigrations(ctx, createdBy); err != nil {
			return withMissingPrivilege(sharedFault(err), s.rightsToMigrate())
		}
		// A registry created by DocEX must have the columns. Its own migrations are not checked.
		if _, err = conn.Exec(ctx, s.q.CheckRegistry); err != nil {
			return withMissingPrivilege(sharedFault(err), s.rightsToMigrate())
		}
		return s.readStamp(ctx, conn)
	})
}

// migrationPause is how long other transactions may run before a migration that timed out waiting for a lock is
// retried.
const migrationPause = time.Second

// runMigrations runs the pending migrations. A migration waits only briefly for another transaction, because later
// transactions queue behind it; it lets them pass before it retries.
func (s *Store) runMigrations(ctx context.Context, createdBy string) (err error) {
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	faults := repeatlog.New(s.log)
	for {
		err := sql.Migrate(ctx, goose.DialectPostgres, db, s.registry+"."+sql.MigrationsTable, s.log, [][]sql.Statement{
			{{Text: s.q.migrations.Registry}},
			{
				{Text: render(s.q.Tables, "schema", s.registry)},
				{Text: render(s.q.Indexes, "schema", s.registry)},
				{Text: s.q.migrations.Bootstrap, Args: []any{s.registry, createdBy}},
			},
			{{Text: s.q.migrations.History}},
			{{Text: s.q.migrations.Prepared}},
			{{Text: s.q.migrations.Stamp}},
			{{Text: s.q.migrations.Dumps}},
		})
		if err == nil {
			err = s.rebuildExpressions(ctx)
		}
		if err == nil {
			faults.Recovered("migration of the registry continues")
		}
		if !waitEnded(err) {
			return err
		}
		faults.Warn("migration of the registry is waiting for a transaction to end", err)
		select {
		case <-time.After(migrationPause):
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// locked runs fn while the connection holds the migration lock. The lock ends with the connection at the latest.
func (s *Store) locked(ctx context.Context, conn *pgxpool.Conn, fn func() error) error {
	key := lockKey("migration", s.registry)
	_, err := conn.Exec(ctx, s.q.MigrationLock, key)
	for waitEnded(err) { // this wait is limited by ctx, not by the timeouts of statements
		_, err = conn.Exec(ctx, s.q.MigrationLock, key)
	}
	if err != nil {
		return fmt.Errorf("wait for another replica's migration: %w", err)
	}
	err = fn()
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer cancel()
	_, unlockErr := conn.Exec(tidy, s.q.MigrationUnlock, key)
	return errors.Join(err, unlockErr)
}

// waitEnded reports whether lock_timeout or statement_timeout ended a wait.
func waitEnded(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && (server.Code == "55P03" || server.Code == "57014")
}

// createRegistrySchema creates the schema if it is missing. IF NOT EXISTS alone would require the privilege to create
// schemas at every start.
func (s *Store) createRegistrySchema(ctx context.Context, conn *pgxpool.Conn) error {
	var exists bool
	if err := conn.QueryRow(ctx, s.q.SchemaExists, s.registry).Scan(&exists); err != nil {
		return err
	}
	if exists {
		return s.requireFree(ctx, conn)
	}
	_, err := conn.Exec(ctx, s.q.CreateRegistrySchema)
	return withMissingPrivilege(sharedFault(err),
		createPrivilege+", or create the schema with deploy/postgres/registry.sql")
}

// rightsToMigrate are the privileges needed to migrate a registry in a schema that another role owns.
func (s *Store) rightsToMigrate() string {
	return "USAGE and CREATE on schema " + s.registry + ", and make it the owner of the tables that are there already"
}
