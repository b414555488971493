package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// collationVersion is the first version that records the version of a database's own collation.
const collationVersion = 150000

// StaleCollation is a collation that orders indexes of the database, and whose version has changed since: the C library
// or ICU may now order text differently.
type StaleCollation struct {
	Name     string   // quoted; empty: the database's own
	Was, Is  string   // versions
	Registry []string // indexes of the registry that it orders
	Indexes  int64    // all indexes that it orders
	// Refresh is the SQL that records the present version, once the indexes are rebuilt. It is empty before PostgreSQL 15
	// for the database's own, whose version is not recorded.
	Refresh string
}

// ReindexSQL rebuilds all indexes of the database, without keeping its applications from writing.
func (v ServerInfo) ReindexSQL() string {
	return "REINDEX DATABASE CONCURRENTLY " + quote(v.Database) + ";"
}

// readCollations reads the collations that order indexes.
func (v *ServerInfo) readCollations(ctx context.Context, conn *pgx.Conn, q queries, registry string) error {
	rows, err := conn.Query(ctx, q.Collations, registry)
	if err != nil {
		return err
	}
	used, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c StaleCollation, err error) {
		var own bool
		err = row.Scan(&own, &c.Name, &c.Was, &c.Is, &c.Registry, &c.Indexes)
		c.Refresh = "ALTER COLLATION " + c.Name + " REFRESH VERSION;"
		if own {
			c.Name, c.Refresh = "", ""
		}
		return c, err
	})
	if err != nil {
		return err
	}
	for _, c := range used {
		if c.Name == "" {
			if err := v.readOwnVersion(ctx, conn, q, &c); err != nil {
				return err
			}
		}
		if c.Was != "" && c.Was != c.Is {
			v.StaleCollations = append(v.StaleCollations, c)
		}
	}
	return nil
}

// readOwnVersion reads the versions of the database's own collation.
func (v *ServerInfo) readOwnVersion(ctx context.Context, conn *pgx.Conn, q queries, c *StaleCollation) error {
	text := q.LocaleCollation
	if v.Version >= collationVersion {
		text = q.DatabaseCollation
		c.Refresh = fmt.Sprintf("ALTER DATABASE %s REFRESH COLLATION VERSION;", quote(v.Database))
	}
	return scanOptional(&c.Was, &c.Is)(conn.QueryRow(ctx, text))
}
