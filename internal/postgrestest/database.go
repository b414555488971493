package postgrestest

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// maxDatabases is how many tests may hold a database at once. -parallel follows the number of processors: on a large
// machine unlimited tests would exceed max_connections and make each other fail.
const maxDatabases = 4

// statementTimeout bounds statements on a whole database: dropping one with thousands of schemas takes a minute.
const statementTimeout = 3 * time.Minute

var slots = newHolders(maxDatabases)

// Database creates an empty database and returns its URL. The database is dropped when t ends, whatever connections it
// still has.
//
// Its search_path is public, where functions and operators wait that fit varchar better than the server's own: they
// refuse the program's sessions. Its encoding is UTF8 and its locale C, whatever the source of the server.
//
// At most four tests hold a database at the same time; Database waits for a place. Call t.Parallel first: a test that
// waits there while it holds a database keeps the place from the tests that it waits for.
func Database(t testing.TB) string {
	t.Helper()
	return DatabaseIn(t, "UTF8")
}

// DatabaseIn is [Database] in another encoding.
func DatabaseIn(t testing.TB, encoding string) string {
	t.Helper()
	s := sharedServer(t)
	slots.acquire(t)
	return s.database(t, encoding)
}

// database creates a database that is dropped when t ends.
func (s *server) database(t testing.TB, encoding string) string {
	t.Helper()
	name := "postgrestest_" + strings.ToLower(rand.Text())
	quoted := pgx.Identifier{name}.Sanitize()

	// template0, not template1: it accepts no connections, and a connection to the template would block the copy.
	s.exec(t, "CREATE DATABASE "+quoted+" TEMPLATE template0 ENCODING '"+encoding+"' LOCALE 'C'")
	t.Cleanup(func() {
		t.Helper()
		s.exec(t, "DROP DATABASE IF EXISTS "+quoted+" WITH (FORCE)")
	})
	s.exec(t, "ALTER DATABASE "+quoted+" SET search_path = public")

	u := *s.url
	u.Path, u.RawPath = "/"+name, ""
	makeHostile(t, &u)
	return u.String()
}

// exec runs one statement on the maintenance database. It does not use t.Context, which has already ended when
// databases are dropped.
func (s *server) exec(t testing.TB, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	err := withConn(ctx, s.url, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, statement)
		return err
	})
	if err != nil {
		t.Fatalf("postgrestest: %s: %v", statement, err)
	}
}

// holders is a semaphore that knows its holders. A test that holds a place, and every subtest of it, gets further
// places without waiting: a test that waits while it holds a place can deadlock with itself.
type holders struct {
	free chan struct{}

	mu     sync.Mutex
	places map[string]int // by the name of the test
}

func newHolders(n int) *holders {
	return &holders{free: make(chan struct{}, n), places: make(map[string]int)}
}

// acquire takes a place for t until t ends. It gives up shortly before the test binary's own deadline, so that the test
// reports the reason instead of a dump of all goroutines.
func (h *holders) acquire(t testing.TB) {
	t.Helper()
	if h.holds(t.Name()) {
		return
	}
	var giveUp <-chan time.Time
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := d.Deadline(); ok {
			timer := time.NewTimer(time.Until(deadline) * 9 / 10)
			defer timer.Stop()
			giveUp = timer.C
		}
	}
	select {
	case h.free <- struct{}{}:
	case <-giveUp:
		t.Fatalf("postgrestest: %d other tests hold a database and none has ended; "+
			"call t.Parallel before Database", cap(h.free))
	}
	h.add(t.Name(), 1)
	t.Cleanup(func() {
		h.add(t.Name(), -1)
		<-h.free
	})
}

func (h *holders) add(test string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.places[test] += n; h.places[test] == 0 {
		delete(h.places, test)
	}
}

// holds reports whether the test, or a test that contains it, has a place.
func (h *holders) holds(test string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if h.places[test] > 0 {
			return true
		}
		i := strings.LastIndexByte(test, '/')
		if i < 0 {
			return false
		}
		test = test[:i]
	}
}
