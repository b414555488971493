package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The extension Citus places schemas on several servers, its workers. The service connects to the coordinator only. On
// it, the following differs from other servers, besides what [sendEach] does everywhere. Every statement that knows
// Citus is in this file, and none is sent to a database without the extension.
//
//   1. With citus.enable_schema_based_sharding, CREATE SCHEMA distributes a schema, also one that exists already. The
//      registry's schema is not distributed, and an existing boundary stays what it is. Schemas of new tenants, and
//      prepared ones, follow the setting.
//   2. A commit that changes workers is a two-phase commit. The workers always wait for their disks. If the coordinator
//      does not, a crash makes it forget what the workers have committed. So the filler's commit waits for the disk.
//   3. A distributed table has no pages on the coordinator. So a prepared boundary is empty if it holds no rows.

const (
	citusVersion = `SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'citus'`

	// Seconds; -1: never.
	citusSettings = `SELECT coalesce(current_setting('citus.enable_schema_based_sharding', true), 'off')::boolean,
    coalesce(extract(epoch FROM current_setting('citus.recover_2pc_interval', true)::interval), 60)::float8`

	citusDistributes = `SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_schema
    WHERE schemaid = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text))`

	// A version of Citus that does not know a setting is left alone.
	citusLocalTables = `SELECT pg_catalog.set_config(name, 'off', true)
FROM (VALUES ('citus.enable_schema_based_sharding'), ('citus.use_citus_managed_tables')) AS s (name)
WHERE pg_catalog.current_setting(name, true) IS NOT NULL`

	citusLeaveSchema = `SELECT pg_catalog.set_config(name, 'off', true)
FROM (VALUES ('citus.enable_schema_based_sharding')) AS s (name)
WHERE pg_catalog.current_setting(name, true) IS NOT NULL
    AND EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1::text)`
)

// readCitusVersion returns the version of the extension in the database; empty: it is not there.
func readCitusVersion(ctx context.Context, db querier) (version string, err error) {
	err = scanOptional(&version)(db.QueryRow(ctx, citusVersion))
	return version, err
}

// Citus is what the service depends on in a database with the extension.
type Citus struct {
	Version             string
	Distributes         bool          // CREATE SCHEMA distributes the schema
	RegistryDistributed bool          // the service does not start
	Recovery            time.Duration // interval at which what a crash left prepared on workers is ended; negative: never
}

// readCitus reads what the service depends on; nil: the database does not have the extension.
func readCitus(ctx context.Context, db querier, registry string) (*Citus, error) {
	version, err := readCitusVersion(ctx, db)
	if err != nil || version == "" {
		return nil, err
	}
	c := &Citus{Version: version}
	var seconds float64
	if err := db.QueryRow(ctx, citusSettings).Scan(&c.Distributes, &seconds); err != nil {
		return nil, err
	}
	c.Recovery = time.Duration(seconds * float64(time.Second))
	c.RegistryDistributed, err = isDistributed(ctx, db, registry)
	return c, err
}

// detectCitus determines whether the database has the extension. It fails if the registry's schema is distributed.
func (s *Store) detectCitus(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := readCitus(ctx, s.pool, s.registry)
	if err != nil {
		return sharedFault(err)
	}
	s.citus = c != nil
	if c != nil && c.RegistryDistributed {
		return fmt.Errorf("the schema %s is distributed by Citus, which cannot run the registry's statements on "+
			"distributed tables: run %s", s.registry, UndistributeSQL(s.registry))
	}
	return nil
}

// isDistributed reports whether Citus has distributed the schema.
func isDistributed(ctx context.Context, db querier, schema string) (yes bool, err error) {
	err = db.QueryRow(ctx, citusDistributes, schema).Scan(&yes)
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == undefinedTable { // before Citus 12
		return false, nil
	}
	return yes, err
}

const undefinedTable = "42P01"

// UndistributeSQL returns the SQL that ends the distribution of the schema, for an operator to run.
func UndistributeSQL(schema string) string {
	return "SELECT citus_schema_undistribute(" + literal(schema) + ");"
}

// queueLocalTables makes the schemas and tables that this transaction creates local to the coordinator.
func (s *Store) queueLocalTables(batch *pgx.Batch) {
	if s.citus {
		batch.Queue(citusLocalTables)
	}
}

// queueLeaveSchema keeps the CREATE SCHEMA IF NOT EXISTS that follows from distributing a schema that exists.
func (b *build) queueLeaveSchema(queue func(text string, args ...any)) {
	if b.citus {
		queue(citusLeaveSchema, b.schema)
	}
}

// fillerCommit is how the commit of a prepared boundary is made.
func (s *Store) fillerCommit() string {
	if s.citus {
		return s.q.DurableCommit
	}
	return s.q.AsyncCommit
}

// checkTakenRows rejects the prepared boundary that was taken if it holds rows. Elsewhere its pages are looked at
// (unaltered.sql).
func (b *build) checkTakenRows(ctx context.Context) error {
	if !b.citus {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	filled := b.scripts.filled()
	looksAt := func(r relation) bool { return !slices.Contains(filled, r.Name) }
	full, err := b.q.findRows(ctx, b.conn, b.taken, false, looksAt)
	if err != nil {
		return fmt.Errorf("check whether schema %s holds rows: %w", b.taken, b.faultAt(ctx, poolScope, err))
	}
	if full != "" {
		return b.reject(ctx, []string{full + " holds rows"})
	}
	return nil
}
