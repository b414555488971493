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

// busyTimeout is how long a statement waits for another process's lock, as a rule.
const busyTimeout = 5 * time.Second

// ownBusyTimeout is the same for one tenant's file: while that is waited for, a worker is not there for others.
const ownBusyTimeout = time.Second

// immutable is the mode ro without locks, and without files beside the database, for one that nobody writes.
const immutable = "immutable"

// opener is [databasesql.Open], or what traces the calls of what it opens.
type opener func(driver, name string) (*databasesql.DB, error)

// traced is an opener with a span for each statement and transaction.
func traced(provider trace.TracerProvider) opener {
	return func(driver, name string) (*databasesql.DB, error) {
		return otelsql.Open(driver, name, otelsql.WithTracerProvider(provider),
			otelsql.WithAttributes(attribute.String("db.system.name", "sqlite")),
			otelsql.WithSpanOptions(otelsql.SpanOptions{
				DisableErrSkip: true, OmitConnectorConnect: true, OmitConnResetSession: true, OmitRows: true,
			}))
	}
}

// open opens a file with the given pragmas, in mode ro, rw or immutable, for one connection. Nothing is read yet.
// wait is for another's lock.
func open(path, mode string, wait time.Duration, pragmas ...string) (*databasesql.DB, error) {
	return openBy(databasesql.Open, path, mode, 1, wait, pragmas...)
}

// openBy is open by another opener, with more than one connection.
func openBy(
	by opener, path, mode string, connections int, wait time.Duration, pragmas ...string,
) (*databasesql.DB, error) {
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
	db, err := by("sqlite", "file:"+location.EscapedPath()+"?"+values.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
