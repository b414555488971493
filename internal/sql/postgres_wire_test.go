package sql_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// roundTrips counts the round trips of a client, every simple query and every Sync that it sends, and records the texts
// of its messages: simple queries and Parse.
type roundTrips struct {
	atomic.Int64
	wg    sync.WaitGroup
	mutex sync.Mutex
	texts []string
	// cut is part of a text; a connection that sends it is closed. Empty: none is.
	cut string
}

// sent returns the texts that were sent since the last call.
func (n *roundTrips) sent() []string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	texts := n.texts
	n.texts = nil
	return texts
}

// cutAt closes each connection that sends a text with this part.
func (n *roundTrips) cutAt(part string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.cut = part
}

// record counts and records a message. It reports whether the connection goes on.
func (n *roundTrips) record(kind byte, body []byte) bool {
	text := body
	switch kind {
	case 'S':
		n.Add(1)
		return true
	case 'Q':
		if bytes.HasPrefix(body, []byte("-- ping")) { // by the pool, of a connection that a busy machine left unused for a second
			return true
		}
		n.Add(1)
	case 'P':
		_, text, _ = bytes.Cut(body, []byte{0}) // the name of the statement
	default:
		return true
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.texts = append(n.texts, string(text))
	return n.cut == "" || !bytes.Contains(text, []byte(n.cut))
}

// countingProxy returns the database behind a proxy that counts round trips.
func (p testDatabase) countingProxy(t *testing.T) (testDatabase, *roundTrips) {
	t.Helper()
	u, err := url.Parse(p.url)
	testkit.Must(t, err)
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	trips := &roundTrips{}
	trips.wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			trips.wg.Go(func() { trips.relay(client, server) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		trips.wg.Wait()
	})
	return p.withURL(t, func(u *url.URL) {
		u.Host = l.Addr().String()
		q := u.Query()
		q.Set("sslmode", "disable")
		u.RawQuery = q.Encode()
	}), trips
}

func (n *roundTrips) relay(client net.Conn, server string) {
	defer client.Close()
	backend, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer backend.Close()
	n.wg.Go(func() {
		_, _ = io.Copy(client, backend)
		client.Close()
	})
	for first := true; ; first = false { // the first message has no type
		header := make([]byte, 5)
		if first {
			header = header[:4]
		}
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(header[len(header)-4:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if !first && !n.record(header[0], body) {
			return
		}
		if _, err := backend.Write(slices.Concat(header, body)); err != nil {
			return
		}
	}
}

// Invariant 3 of package postgres.
func TestStepsTakeOneRoundTripEach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepared int
		want     map[point]int64
	}{
		"on demand": {0, map[point]int64{boundary: 1, tables: 1, indexes: 1, inspected: 1}},
		"prepared":  {3, map[point]int64{boundary: 2, tables: 0, indexes: 0, inspected: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, trips := newPostgres(t).countingProxy(t)
			r := p.filledPool(t, c.prepared)
			r.provision(t, "warm")
			var last int64
			took := map[point]int64{}
			hooked := r.withHook(t, func(_ context.Context, at point) error {
				now := trips.Load()
				took[at], last = now-last, now
				return nil
			})
			last = trips.Load()
			acme := request(t, "acme")
			got := provisionedOutcome(t, decided(t, hooked.Job(acme)).Outcome)
			if got.Prepared != (c.prepared > 0) {
				t.Errorf("%+v", got)
			}
			maps.Copy(c.want, map[point]int64{claimed: 1, begun: 0, ready: 0, committed: 1})
			for at, want := range c.want {
				if took[at] != want {
					t.Errorf("%s took %d round trips, want %d", at, took[at], want)
				}
			}
			if n := trips.Load() - last; n != 0 {
				t.Errorf("%d round trips after the commit", n)
			}
			again := func(what string, r pipeline.Request, want int64) {
				t.Helper()
				before := trips.Load() // the hook changes last
				decided(t, hooked.Job(r))
				if n := trips.Load() - before; n != want {
					t.Errorf("%d round trips for %s, want %d", n, what, want)
				}
			}
			again("the same request again", acme, 2)
			again("another that is known", acme, 1)
			again("a new one after it", request(t, "beta"), 1+map[bool]int64{true: 4, false: 6}[c.prepared > 0])
			again("one that is known, after a new one", acme, 2)
		})
	}
}

// settingsMessage begins the only message with several statements: the settings of a new session. They are not DDL.
var settingsMessage = regexp.MustCompile(`^(SET statement_timeout = 0;\n)?SET search_path = pg_catalog;\n`)

// notCode are comments, strings and quoted names, which may contain semicolons.
var notCode = regexp.MustCompile(`--[^\n]*|'(?:[^']|'')*'|"[^"]*"`)

// expectSingleStatements fails if a message contains several statements.
func expectSingleStatements(t *testing.T, sent []string) {
	t.Helper()
	for _, text := range sent {
		code := strings.TrimRight(notCode.ReplaceAllString(text, ""), "; \n")
		if strings.Contains(code, ";") && !settingsMessage.MatchString(text) {
			t.Errorf("several statements in one message:\n%s", text)
		}
	}
}

// Invariant 3 of package postgres: Citus sends a CREATE INDEX to its workers with the whole message that contains it.
func TestEachStatementIsAMessageOfItsOwn(t *testing.T) {
	t.Parallel()
	const earlier = "UPDATE {b}prepared_boundaries SET stamped = false" // as an earlier version leaves them
	for name, c := range map[string]struct {
		prepared int
		before   []string // in the database, before the tenant is requested
		also     string   // a statement that must have been sent
	}{
		"as asked":                       {also: "CREATE INDEX IF NOT EXISTS idx_documents_status ON"},
		"an index fails":                 {before: refuseIndex, also: "ROLLBACK TO SAVEPOINT one"},
		"an existing schema":             {before: []string{`CREATE SCHEMA "tenant_acme"`, `CREATE TABLE "tenant_acme".docbasket (id varchar(36) PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, storage_config json NOT NULL)`}, also: "ADD COLUMN description"},
		"prepared":                       {prepared: 1, also: "ALTER SCHEMA"},
		"prepared by an earlier version": {prepared: 1, before: []string{earlier, `DO $$ BEGIN EXECUTE (SELECT format('COMMENT ON SCHEMA %I IS NULL', nspname) FROM pg_namespace WHERE nspname LIKE 'prepared:%'); END $$`}, also: "COMMENT ON SCHEMA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := newPostgres(t)
			p, trips := direct.countingProxy(t)
			r := p.filledPool(t, c.prepared)
			expectSingleStatements(t, trips.sent()) // of the migrations, and of the filler
			direct.raw(t, "", c.before...)
			r.decide(t, request(t, "acme"))
			sent := trips.sent()
			if !slices.ContainsFunc(sent, func(text string) bool { return strings.Contains(text, c.also) }) {
				t.Errorf("did not send %s", c.also)
			}
			expectSingleStatements(t, sent)
			testkit.Must(t, r.postgresStore(t).Rehearse(t.Context()))
			expectSingleStatements(t, trips.sent())
		})
	}
}

// Where what failed cannot be rolled back, the error names both: the second alone would hide its cause.
func TestFailedRollbackNamesItsCause(t *testing.T) {
	t.Parallel()
	for _, savepoint := range []string{"step", "one"} {
		t.Run(savepoint, func(t *testing.T) {
			t.Parallel()
			direct := newPostgres(t)
			p, trips := direct.countingProxy(t)
			r := p.newFixture(t)
			direct.raw(t, "", refuseIndex...)
			trips.cutAt("ROLLBACK TO SAVEPOINT " + savepoint)
			got := verdict(t, r.provisioner.Job(request(t, "acme")), pipeline.Pause)
			for _, part := range []string{"no such index here", "roll back to savepoint " + savepoint} {
				if !strings.Contains(got.Err.Error(), part) {
					t.Errorf("%v does not contain %q", got.Err, part)
				}
			}
		})
	}
}
