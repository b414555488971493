package sqlite

import (
	databasesql "database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	_ "modernc.org/sqlite" // the driver "sqlite": no C compiler, no shared library
)

// busyTimeout is how long a statement waits for another process's lock, except on a tenant's file.
const busyTimeout = 5 * time.Second

// ownBusyTimeout is that wait on one tenant's file. It is short because the wait blocks a worker.
const ownBusyTimeout = time.Second

// immutable is mode ro without locks and without files next to the database, for a database that no process writes.
const immutable = "immutable"

// opener is [databasesql.Open], or a function that also traces the calls on the database.
type opener func(driver, name string) (*databasesql.DB, error)

// traced returns an opener with a span for each statement and transaction.
func traced(provider trace.TracerProvider) opener {
	return func(driver, name string) (*databasesql.DB, error) {
		return otelsql.Open(driver, name, otelsql.WithTracerProvider(provider),
			otelsql.WithAttributes(attribute.String("db.system.name", "sqlite")),
			otelsql.WithSpanOptions(otelsql.SpanOptions{
				DisableErrSkip: true, OmitConnectorConnect: true, OmitConnResetSession: true, OmitRows: true,
			}))
	}
}

// open opens a file in mode ro, rw or immutable, with the given pragmas, for one connection. It reads nothing yet. wait
// is the busy timeout.
func open(path, mode string, wait time.Duration, pragmas ...string) (*databasesql.DB, error) {
	return openBy(databasesql.Open, path, mode, 1, wait, pragmas...)
}

// openBy is open with a given opener and number of connections.
func openBy(
	by opener, path, mode string, connections int, wait time.Duration, pragmas ...string,
) (*databasesql.DB, error) {
	db, err := by("sqlite", dataSource(path, mode, wait, pragmas...))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// dataSource is the name under which the driver opens a file.
func dataSource(path, mode string, wait time.Duration, pragmas ...string) string {
	values := url.Values{"mode": {mode}, "_txlock": {"immediate"}}
	if mode == immutable {
		values.Set("mode", "ro")
		values.Set("immutable", "1")
	}
	values.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds()))
	for _, pragma := range pragmas {
		values.Add("_pragma", pragma)
	}
	location := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + location.EscapedPath() + "?" + values.Encode()
}
