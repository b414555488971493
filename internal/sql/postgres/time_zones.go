package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// TimeZone is a value of TimeZone with which sessions of some roles begin. The service's own always have UTC.
type TimeZone struct {
	Zone string
	Of   string // whose sessions: the server's, the database's or a role's
	Fix  string // the SQL that sets UTC for them
}

// isUTC reports whether it is one of the names of UTC.
func isUTC(zone string) bool {
	switch strings.TrimPrefix(strings.ToLower(zone), "etc/") {
	case "utc", "uct", "gmt", "universal", "zulu", "greenwich", "gmt0", "gmt+0", "gmt-0":
		return true
	}
	return false
}

// readTimeZones reads the settings other than UTC, and the columns of the registry's schema that depend on them.
func (v *ServerInfo) readTimeZones(ctx context.Context, conn *pgx.Conn, q queries, registry string) error {
	rows, err := conn.Query(ctx, q.TimeZones)
	if err != nil {
		return err
	}
	var inDatabase bool
	var role, zone string
	_, err = pgx.ForEachRow(rows, []any{&inDatabase, &role, &zone}, func() error {
		if isUTC(zone) {
			return nil
		}
		// A database's setting precedes the server's, a role's both, and a role's in a database all.
		z := TimeZone{Zone: zone, Of: "the server", Fix: "ALTER DATABASE " + quote(v.Database) + " SET TimeZone = 'UTC';"}
		if role != "" {
			z.Of = "role " + role
			z.Fix = fmt.Sprintf("ALTER ROLE %s IN DATABASE %s SET TimeZone = 'UTC';", quote(role), quote(v.Database))
		}
		switch {
		case inDatabase && role == "":
			z.Of = "database " + v.Database
		case inDatabase:
			z.Of += " in database " + v.Database
		}
		v.TimeZones = append(v.TimeZones, z)
		return nil
	})
	if err != nil {
		return err
	}
	rows, err = conn.Query(ctx, q.LocalTimes, registry)
	if err != nil {
		return err
	}
	v.LocalTimes, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return err
}
