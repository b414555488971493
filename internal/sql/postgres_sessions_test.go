package sql_test

import (
	"context"
	"crypto/rand"
	databasesql "database/sql"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

// withURL returns the database with a changed URL.
func (p testDatabase) withURL(t *testing.T, change func(*url.URL)) testDatabase {
	t.Helper()
	u, err := url.Parse(p.url)
	testkit.Must(t, err)
	change(u)
	p.url = u.String()
	p.open = func(t *testing.T) database { return openPostgres(t, p.url) }
	return p
}

// withParameter sets a runtime parameter of the session.
func (p testDatabase) withParameter(t *testing.T, name, value string) testDatabase {
	t.Helper()
	return p.withURL(t, func(u *url.URL) {
		q := u.Query()
		q.Set(name, value)
		u.RawQuery = q.Encode()
	})
}

func connect(t *testing.T, url string) *databasesql.DB {
	t.Helper()
	db, err := databasesql.Open("pgx", url)
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, db.Close()) })
	return db
}

// limitedRole creates a role that has these privileges on the registry's tables, with the password secret.
func (p testDatabase) limitedRole(t *testing.T, privileges string) string {
	t.Helper()
	role := "tester_" + strings.ToLower(rand.Text())
	p.raw(t, "", "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'",
		"GRANT USAGE ON SCHEMA docex_system TO "+role,
		"GRANT "+privileges+" ON ALL TABLES IN SCHEMA docex_system TO "+role)
	t.Cleanup(func() { p.raw(t, "", "DROP OWNED BY "+role, "DROP ROLE "+role) })
	return role
}

// A role that may only read and write the registry can run the program, and the error names what it lacks.
func TestRoleThatMayNotCreateSchemas(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.open(t).Close())
	role := p.limitedRole(t, "SELECT, INSERT, UPDATE")
	r := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }).newFixture(t)
	f := r.expectFailure(t, "acme", events.CausePermissionDenied)
	if f.Step.Number != 1 || f.Attempts != 1 || !f.Replayable || !strings.Contains(f.Cause.Message, "grant") ||
		!strings.HasPrefix(f.Cause.Detail, "42501") {
		t.Errorf("%+v", f)
	}
	r.expectNoTenant(t, "acme")
	// Nor may it read a schema of another role.
	p.createBoundary(t, "closed")
	p.raw(t, "", "GRANT CREATE ON DATABASE "+databaseName(t, p)+" TO "+role)
	p.raw(t, "closed", "CREATE TABLE {b}secret (n integer)")
	if f := r.expectFailure(t, "closed", events.CausePermissionDenied); f.Step.Number != 1 {
		t.Errorf("%+v", f)
	}
	r.provision(t, "acme")
}

func databaseName(t *testing.T, p testDatabase) string {
	t.Helper()
	u, err := url.Parse(p.url)
	testkit.Must(t, err)
	return strings.TrimPrefix(u.Path, "/")
}

func TestSchemaOfAnotherTenant(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	p.raw(t, "", `INSERT INTO {b}tenant_registry VALUES ('other', 'Other', false, 'schema', 'tenant_acme', NULL,
		now(), 'docex', now(), NULL)`)
	if f := r.expectFailure(t, "acme", events.CauseBoundaryNotEmpty); !strings.Contains(f.Cause.Message, `"other"`) {
		t.Errorf("%+v", f)
	}
	if left := r.boundaryState(t, "acme"); left != "" {
		t.Error("the schema was created")
	}
}

// briefLockTimeout is for tests in which a lock is not released. On a busy machine other statements wait for locks on
// the catalogues, too, for more than half a second.
const briefLockTimeout = "3s"

// Tables are locked first, because a row that is not committed yet would not be visible.
func TestRowThatIsNotCommittedYet(t *testing.T) {
	t.Parallel()
	p := newPostgres(t).withParameter(t, "lock_timeout", briefLockTimeout)
	r := p.newFixture(t)
	p.createBoundary(t, "busy")
	p.raw(t, "busy", "CREATE TABLE {b}precious (n integer)")
	tx, err := connect(t, p.url).Begin()
	testkit.Must(t, err)
	_, err = tx.Exec(`INSERT INTO "tenant_busy".precious VALUES (1)`)
	testkit.Must(t, err)
	req := request(t, "busy")
	job := r.provisioner.Job(req)
	got := job.Run(t.Context())
	for got.Verdict == pipeline.Pause { // on a slow machine a rehearsal takes longer than a second; thrice at most
		got = job.Run(t.Context())
	}
	testkit.Equal(t, "verdict", got.Verdict, pipeline.Retry)
	testkit.Contains(t, "error", got.Err.Error(), "55P03")
	testkit.Must(t, tx.Commit())
	failedOutcome(t, r.decide(t, req), events.CauseBoundaryNotEmpty)
}

// The data behind a foreign table cannot be locked, and its server may be unavailable.
func TestForeignTableIsNotAdopted(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	p.createBoundary(t, "far")
	p.raw(t, "far", "CREATE FOREIGN DATA WRAPPER nowhere", "CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere",
		"CREATE FOREIGN TABLE {b}document (id varchar(36)) SERVER nowhere")
	if f := r.expectFailure(t, "far", events.CauseBoundaryNotEmpty); !strings.Contains(f.Cause.Message, "document") {
		t.Errorf("%+v", f)
	}
	// A materialized view that was never populated holds no rows.
	p.createBoundary(t, "hollow")
	p.raw(t, "hollow", "CREATE MATERIALIZED VIEW {b}summary AS SELECT 1 AS n WITH NO DATA")
	r.provision(t, "hollow")
}

// The server ends the session of an attempt, at each step: nothing remains, and the same job continues.
func TestSessionIsTerminated(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	store := p.newFixture(t)
	for at := range stepPoints {
		if at == begun { // nothing has been sent yet: the next step detects it
			continue
		}
		tenant := "at_" + string(at)
		r := store.withHook(t, only(at, once(func(context.Context) error {
			if n := p.count(t, "", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "+
				"WHERE state = 'idle in transaction' AND datname = current_database()"); n != 1 {
				t.Errorf("%s: %d sessions in a transaction, want 1", at, n)
			}
			return nil
		})))
		job := r.Job(request(t, tenant))
		verdict(t, job, pipeline.Pause)
		store.expectNoTenant(t, tenant)
		if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
			t.Errorf("%s: %d attempts", at, got.Attempts)
		}
	}
}

// More jobs than connections wait for each other; all finish, and no session stays in a transaction.
func TestMoreJobsThanConnections(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	concurrently(t, 16, func(i int) pipeline.Outcome {
		result := r.provisioner.Job(request(t, strings.Repeat("x", i+1))).Run(t.Context())
		if !result.Decided() {
			t.Errorf("%+v", result)
		}
		return result.Outcome
	})
	if n := p.count(t, "", "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' "+
		"AND datname = current_database()"); n != 0 {
		t.Errorf("%d sessions in a transaction", n)
	}
}

// Times in the history are text, independent of the database's DateStyle.
func TestDateStyleOfTheDatabase(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.raw(t, "", "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET DateStyle = ''German, DMY''', current_database()); END $$")
	r := p.newFixture(t)
	req := request(t, "acme")
	verdict(t, r.withHook(t, only(tables, once(func(context.Context) error { return errTransient }))).Job(req), pipeline.Retry)
	req.Redelivered = true
	provisionedOutcome(t, r.decide(t, req))
	if n := p.count(t, "", `SELECT count(*) FROM {b}tenant_requests WHERE history::text LIKE '%"at": "20__-__-__ %'`); n != 1 {
		t.Error("the history is not in ISO style")
	}
}

// A process that is frozen during a transaction keeps its locks only for a limited time, and its attempt does not
// count.
func TestFrozenProcessLosesItsTransaction(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.withURL(t, func(u *url.URL) {
		query := u.Query()
		query.Set("idle_in_transaction_session_timeout", "3s") // other transactions are idle too, on a busy machine
		u.RawQuery = query.Encode()
	}).newFixture(t)
	hooked := r.withHook(t, only(tables, once(func(ctx context.Context) error { // frozen until the server has ended its transaction
		for p.count(t, "", "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "+
			"state LIKE 'idle in transaction%'") > 0 && ctx.Err() == nil {
			p.count(t, "", "SELECT count(*) FROM pg_sleep(0.05)")
		}
		return nil
	})))
	job := hooked.Job(request(t, "acme"))
	if got := verdict(t, job, pipeline.Pause); !strings.Contains(got.Err.Error(), "25P03") {
		t.Error(got.Err)
	}
	if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// lockLedger locks every row of the ledger in a transaction, until unlock is called.
func (p testDatabase) lockLedger(t *testing.T) (db *databasesql.DB, unlock func()) {
	t.Helper()
	db, err := databasesql.Open("pgx", p.url)
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, db.Close()) })
	tx, err := db.BeginTx(t.Context(), nil)
	testkit.Must(t, err)
	_, err = tx.ExecContext(t.Context(), "SELECT FROM docex_system.tenant_requests FOR UPDATE")
	testkit.Must(t, err)
	return db, func() { testkit.Must(t, tx.Rollback()) }
}

// A request whose row is locked by another transaction is being processed there: neither its own worker nor an isolated
// attempt waits for it.
func TestLockedRequestIsBusy(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	store := p.open(t)
	t.Cleanup(func() { testkit.Must(t, store.Close()) })
	r := p.newFixtureWith(t, store, store, time.Nanosecond)
	req := request(t, "acme")
	_, err := store.Claim(t.Context(), req, "acme", pipeline.Limit{Attempts: 9, Lease: time.Nanosecond})
	testkit.Must(t, err)
	_, unlock := p.lockLedger(t)
	req.Redelivered = true
	got := r.provisioner.Job(req).Run(t.Context()) // a wait would end with lock_timeout, not with Busy
	if got.Verdict != pipeline.Retry || got.Facts.Ledger != pipeline.Busy {
		t.Errorf("%+v", got)
	}
	unlock()
	if got := provisionedOutcome(t, r.decide(t, req)); got.Attempts != 2 {
		t.Errorf("%+v", got)
	}
}

// A role that has lost a privilege on registry or ledger, or one of these tables, can process no request.
func TestPingChecksWhatRequestsNeed(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"privilege": "REVOKE UPDATE ON docex_system.tenant_requests FROM {role}",
		"ledger":    "ALTER TABLE docex_system.tenant_requests RENAME TO elsewhere",
		"registry":  "ALTER SCHEMA docex_system RENAME TO elsewhere",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			testkit.Must(t, p.open(t).Close())
			role := p.limitedRole(t, "SELECT, INSERT, UPDATE")
			r := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }).newFixture(t)
			testkit.Must(t, r.store.Ping(t.Context()))
			p.raw(t, "", strings.ReplaceAll(damage, "{role}", role))
			if err := r.store.Ping(t.Context()); err == nil {
				t.Error("the ping succeeds")
			}
		})
	}
}

// A migration that waits for another transaction blocks no others, and runs when that one has ended.
func TestWaitingMigrationBlocksNoOthers(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	r.provision(t, "acme")
	p.raw(t, "", "ALTER TABLE docex_system.tenant_requests DROP COLUMN history, DROP COLUMN claim, DROP COLUMN buried",
		"DROP TABLE docex_system.prepared_boundaries",
		"DELETE FROM docex_system.tenant_provisioner_migrations WHERE version_id >= 3")
	db, unlock := p.lockLedger(t)
	opened := make(chan *postgres.Store, 1)
	var waits atomic.Pointer[string]
	go func() {
		defer close(opened)
		for t.Context().Err() == nil { // as the service does
			s, err := postgres.Open(t.Context(), postgres.Config{
				URL: p.url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 4, Log: quiet(),
			})
			if !pipeline.IsOutage(err) {
				testkit.Must(t, err)
				opened <- s
				return
			}
			why := err.Error()
			waits.Store(&why)
		}
	}()
	testkit.Eventually(t, "the error names the transaction", func() bool {
		_, err := db.ExecContext(t.Context(), "SELECT FROM docex_system.tenant_requests") // no other waits
		testkit.Must(t, err)
		why := waits.Load()
		return why != nil && strings.Contains(*why, "other transactions use the registry's tables: pid ")
	})
	select {
	case <-opened:
		t.Fatal("migrated during an open transaction")
	default:
	}
	unlock()
	store := <-opened
	t.Cleanup(func() { testkit.Must(t, store.Close()) })
	p.newFixtureOn(t, store, store).provision(t, "umbrella")
}

// During a rolling update a replica of an earlier version may start after one of a later version.
func TestRegistryOfALaterVersion(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.open(t).Close())
	p.raw(t, "", "INSERT INTO {b}tenant_provisioner_migrations (version_id, is_applied) "+
		"SELECT max(version_id) + 1, true FROM {b}tenant_provisioner_migrations")
	p.newFixture(t).provision(t, "acme")
}
