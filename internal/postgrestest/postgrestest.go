// Package postgrestest gives tests a real PostgreSQL. Only tests import it.
//
// A package's TestMain hands over to Run, which owns the server; each test asks Database for a database of
// its own:
//
//	func TestMain(m *testing.M) { os.Exit(postgrestest.Run(m)) }
//
//	func TestStore(t *testing.T) {
//		t.Parallel()
//		url := postgrestest.Database(t)
//		…
//	}
//
// What it promises:
//
//  1. No server is started for tests that do not ask for one, and one at most for each test binary. Binaries
//     that run at the same time do not meet, unless TEST_DATABASE_URL sends them all to one server; even then
//     their databases differ.
//  2. A database is empty, is nobody else's, and is dropped when its test ends.
//  3. Its search_path is empty: SQL that forgets to name its schema fails here, and not on the first server
//     whose search_path is set otherwise.
//  4. Where there is no PostgreSQL to be had, tests fail and say what was tried; they are never skipped.
//  5. A server that this package started ends with the test binary, also when that is killed (a container
//     through testcontainers' reaper, unless TESTCONTAINERS_RYUK_DISABLED; programs on Linux only).
//
// The server is the first of these that can be had:
//
//   - TEST_DATABASE_URL: a URL of a running server and a role with CREATEDB. Once it is set nothing else is
//     tried: whoever names a server wants to test against that one.
//   - A container of TEST_POSTGRES_IMAGE, by default postgres:17-alpine.
//   - The programs initdb and postgres of this machine, the highest version under /usr/lib/postgresql, or
//     else those on PATH.
//
// The servers started here do not sync to disk. Durability cannot be tested on them.
//
// A test of outages asks Private for a server of its own instead, to stop, kill and start it, and to have a
// standby follow it.
package postgrestest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	// startTimeout covers all sources together; each has a limit of its own within it.
	startTimeout = 3 * time.Minute
	stopTimeout  = 30 * time.Second
)

// shared is the server of this test binary. A global because Database is called from tests, which TestMain
// can hand nothing to.
var shared struct {
	running bool // Run has been called and will stop the server

	once   sync.Once
	server *server
	err    error
}

// Run runs the tests of a package, stops the server if a test made it start, and then looks for goroutines
// that the tests left running. It returns the exit code, which is 1 if anything of that failed. ignore names
// further goroutines that are no leak.
func Run(m *testing.M, ignore ...goleak.Option) int {
	shared.running = true
	code := m.Run()

	shared.once.Do(func() {}) // from here on nothing is started any more
	if s := shared.server; s != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := s.stop(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "postgrestest: stop %s: %v\n", s.name, err)
			code = max(code, 1)
		}
	}
	if code != 0 {
		return code // a failed test leaves goroutines behind; a report of them would only hide the reason
	}
	if err := goleak.Find(append(GoleakOptions(), ignore...)...); err != nil {
		fmt.Fprintf(os.Stderr, "postgrestest: goroutines left by the tests: %v\n", err)
		return 1
	}
	return 0
}

// sharedServer starts the server on first use. Whoever comes later waits, and gets the same server or the
// same error: a second try would only take as long again.
func sharedServer(t testing.TB) *server {
	t.Helper()
	if !shared.running {
		t.Fatal("postgrestest: TestMain must call postgrestest.Run, which stops the server after the tests")
	}
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		begin := time.Now()
		shared.server, shared.err = firstOf(ctx, sources(os.Getenv))
		if shared.err == nil {
			t.Logf("postgrestest: after %s PostgreSQL from %s%s",
				time.Since(begin).Round(time.Millisecond), shared.server.name, shared.server.passed)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	if shared.server == nil {
		t.Fatal("postgrestest: the server has been stopped already")
	}
	return shared.server
}
