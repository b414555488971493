package sqlite

import (
	databasesql "database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite": no C compiler, no shared library
)

// busyTimeout is how long a statement waits for another process's lock, as a rule.
const busyTimeout = 5 * time.Second

// immutable is the mode ro without locks, and without files beside the database, for one that nobody writes.
const immutable = "immutable"

// open opens a file with the given pragmas, in mode ro, rw or immutable. Nothing is read yet. wait is for
// another's lock.
func open(path, mode string, connections int, wait time.Duration, pragmas ...string) (*databasesql.DB, error) {
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
	db, err := databasesql.Open("sqlite", "file:"+location.EscapedPath()+"?"+values.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
