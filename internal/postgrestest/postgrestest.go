// Package postgrestest gives tests a real PostgreSQL. Only tests import it.
//
// A package's TestMain calls Run, which owns the server. Each test calls Database for a database of its own:
//
//	func TestMain(m *testing.M) { os.Exit(postgrestest.Run(m)) }
//
//	func TestStore(t *testing.T) {
//		t.Parallel()
//		url := postgrestest.Database(t)
//		…
//	}
//
// Guarantees:
//
//  1. A server is started only when a test needs one, and at most one for each test binary. Binaries that run at the
//     same time use different servers, unless TEST_DATABASE_URL names one for all; even then their databases differ.
//  2. A database has no tables, belongs to one test, and is dropped when that test ends.
//  3. Its search_path is public, which holds functions and operators that fit varchar better than those of pg_catalog.
//     They refuse the program: SQL that depends on the search_path fails here, not on the first server with another.
//  4. If no PostgreSQL is available, tests fail and report what was tried; they are never skipped.
//  5. A server that this package started ends with the test binary, even if that is killed (a container through
//     testcontainers' reaper, unless TESTCONTAINERS_RYUK_DISABLED; programs on Linux only).
//
// The server is the first of these that is available:
//
//   - TEST_DATABASE_URL: a URL of a running server and a role with CREATEDB. If it is set, nothing else is tried: the
//     tests must run against that server.
//   - A container of TEST_POSTGRES_IMAGE, by default postgres:17-alpine.
//   - The programs initdb and postgres of this machine: the highest version under /usr/lib/postgresql, otherwise those
//     on PATH.
//
// The servers started here do not sync to disk. Durability cannot be tested on them.
//
// A test of outages calls Private for a server of its own, which it can stop, kill and start, and which a standby can
// follow.
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
	// startTimeout bounds all sources together; each has its own limit within it.
	startTimeout = 3 * time.Minute
	stopTimeout  = 30 * time.Second
)

// shared is the server of this test binary. It is global because TestMain cannot pass anything to the tests that call
// Database.
var shared struct {
	running bool // Run has been called and will stop the server

	once   sync.Once
	server *server
	err    error
}

// Run runs the tests of a package, stops the server if a test has started it, and then checks for goroutines that the
// tests left running. It returns the exit code, which is 1 if any of that failed. ignore names further goroutines that
// are not leaks.
func Run(m *testing.M, ignore ...goleak.Option) int {
	shared.running = true
	code := m.Run()

	shared.once.Do(func() {}) // from here on no server is started
	if s := shared.server; s != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := s.stop(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "postgrestest: stop %s: %v\n", s.name, err)
			code = max(code, 1)
		}
	}
	if code != 0 {
		return code // a failed test leaves goroutines behind; reporting them would only hide the reason
	}
	if err := goleak.Find(append(GoleakOptions(), ignore...)...); err != nil {
		fmt.Fprintf(os.Stderr, "postgrestest: goroutines left by the tests: %v\n", err)
		return 1
	}
	return 0
}

// sharedServer starts the server on first use. Later callers wait for it and get the same server or the same error: a
// second try would take as long again.
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
