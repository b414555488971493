package postgres

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// setting is a setting of a session.
type setting struct{ name, value string }

// forced are the settings on which results depend. Every session has these values, whatever the server, the database,
// the role or DATABASE_URL sets. settings_test.go lists all others, each with the reason why it is harmless.
var forced = []setting{
	// In other schemas, other roles can create functions and operators that fit better than the server's own.
	{"search_path", "pg_catalog"},
	{"client_encoding", "UTF8"},      // the default is the database's
	{"quote_all_identifiers", "off"}, // changes the definitions that the catalogue prints, and step 4 compares
	{"DateStyle", "ISO, MDY"},        // times in the ledger's history are text
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"bytea_output", "hex"},
	{"extra_float_digits", "1"},
	{"array_nulls", "on"},
	{"standard_conforming_strings", "on"}, // COMMENT takes no parameters
	{"transform_null_equals", "off"},
	{"row_security", "off"}, // hides rows from the check that a boundary is empty
	// Another level hides concurrent commits from the second read under the lock.
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_deferrable", "off"},
	{"exit_on_error", "off"}, // an index that fails would end the session
	{"client_min_messages", "warning"},
}

// defaults are settings that only DATABASE_URL may change. 0 switches a timeout off.
var defaults = []setting{
	{"lock_timeout", milliseconds(lockTimeout)},
	{"statement_timeout", milliseconds(statementTimeout)},
	{"idle_in_transaction_session_timeout", milliseconds(frozenTimeout)},
	{"idle_session_timeout", "0"}, // idle sessions are closed by the pool; an ended one would look like an outage
	{"transaction_timeout", "0"},
	// Indexes are built on empty tables and no query reads much data, so planning for parallel workers and JIT
	// compilation would be wasted.
	{"max_parallel_maintenance_workers", "0"},
	{"jit", "off"},
}

// startParameters returns those of the settings that only the start of a session can make. Poolers refuse or ignore
// most others; PgBouncer accepts application_name.
func startParameters(settings map[string]string) map[string]string {
	start := map[string]string{}
	for _, name := range []string{"application_name", "options", "local_preload_libraries"} {
		if value, set := settings[name]; set {
			start[name] = value
		}
	}
	return start
}

// configureSession returns a function that makes the settings of a new session, in one message. fromURL are those of
// DATABASE_URL, with those of its start.
func configureSession(fromURL map[string]string) pgconn.AfterConnectFunc {
	message := settingsSQL(fromURL)
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.Exec(ctx, message).ReadAll()
		return err
	}
}

// settingsSQL makes the settings of DATABASE_URL, which the server checks, then forced, and those of defaults that
// DATABASE_URL does not make.
func settingsSQL(fromURL map[string]string) string {
	start := startParameters(fromURL)
	var given []setting
	for _, name := range slices.Sorted(maps.Keys(fromURL)) {
		if _, made := start[name]; !made {
			given = append(given, setting{name, fromURL[name]})
		}
	}
	own := slices.Clone(forced)
	for _, s := range defaults {
		if _, set := fromURL[s.name]; !set {
			own = append(own, s)
		}
	}
	// SET calls no function, so nothing can replace it. The timeout comes first: it may be too short for the rest.
	text := "SET statement_timeout = 0;\nSET search_path = pg_catalog;\n"
	if len(given) > 0 {
		text += setAll(given, false, false) + ";\n"
	}
	return text + setAll(own, false, true)
}

// setAll returns a statement that makes settings, for the transaction only if local is set. A server that does not know
// one of ours, because it is older, is left alone; it must know those of DATABASE_URL. Backslashes are written so that
// standard_conforming_strings, which may not be set yet, does not matter.
func setAll(settings []setting, local, known bool) string {
	var values []string
	for _, s := range settings {
		value := " E" + literal(strings.ReplaceAll(s.value, `\`, `\\`))
		values = append(values, "("+literal(s.name)+","+value+")")
	}
	text := "SELECT pg_catalog.set_config(name, value, " + strconv.FormatBool(local) + ")\n" +
		"FROM (VALUES " + strings.Join(values, ",\n    ") + ") AS wanted (name, value)"
	if known {
		text += "\nWHERE pg_catalog.current_setting(name, true) IS NOT NULL"
	}
	return text
}
