package sql_test

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

// newPrivatePostgres is a database on a server of its own: the age of a transaction depends on those of all databases,
// and autovacuum takes snapshots.
func newPrivatePostgres(t *testing.T) testDatabase {
	t.Helper()
	return newPostgresAt(t, postgrestest.Private(t, "autovacuum=off").URL)
}

// session opens a session of another program, which ends with the function that it returns, or the test.
func (p testDatabase) session(t *testing.T, program string) (conn *databasesql.Conn, end func()) {
	t.Helper()
	db := connect(t, p.withParameter(t, "application_name", program).url)
	conn, err := db.Conn(t.Context())
	testkit.Must(t, err)
	var pid string
	testkit.Must(t, conn.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	return conn, func() {
		testkit.Must(t, conn.Close())
		testkit.Must(t, db.Close())
		testkit.Eventually(t, "the session has ended", func() bool {
			return p.count(t, "", "SELECT count(*) FROM pg_stat_activity WHERE pid = "+pid) == 0
		})
	}
}

// dump begins to read the database as pg_dump does, under that application_name.
func (p testDatabase) dump(t *testing.T, program string) (tx *databasesql.Tx, end func()) {
	t.Helper()
	conn, disconnect := p.session(t, program)
	tx, err := conn.BeginTx(context.WithoutCancel(t.Context()),
		&databasesql.TxOptions{Isolation: databasesql.LevelRepeatableRead, ReadOnly: true})
	testkit.Must(t, err)
	_, err = tx.Exec("SELECT 1 FROM pg_class LIMIT 1")
	testkit.Must(t, err)
	return tx, func() {
		testkit.Must(t, tx.Rollback())
		disconnect()
	}
}

// A dump reads the names of schemas first and uses them until it ends. What it can see keeps its name; boundaries that
// are built after it began are taken, and the pool gets no larger than twice its size.
func TestBoundaryThatADumpSeesIsPassedOver(t *testing.T) {
	t.Parallel()
	p := newPrivatePostgres(t)
	r := p.filledPool(t, 1)
	old := p.pooled(t)[0]
	tx, end := p.dump(t, "pg_dump")
	if r.provision(t, "acme").Prepared {
		t.Error("a boundary that the dump can see was taken")
	}
	stop := runFillers(t, r.postgresStore(t))
	p.awaitPool(t, 2)
	if !r.provision(t, "beta").Prepared {
		t.Error("a boundary that the dump cannot see was not taken")
	}
	p.awaitPool(t, 2)
	later, endLater := p.dump(t, "pg_dump")
	if r.provision(t, "gamma").Prepared {
		t.Error("a boundary that the second dump can see was taken")
	}
	stop()
	pool := p.pooled(t)
	if len(pool) != 2 || !slices.Contains(pool, old) {
		t.Errorf("the pool holds %v, want two with %s", pool, old)
	}
	_, err := tx.Exec(`LOCK TABLE "` + old + `".document IN ACCESS SHARE MODE`)
	testkit.Must(t, err)
	for _, schema := range pool {
		_, err := later.Exec(`LOCK TABLE "` + schema + `".document IN ACCESS SHARE MODE`)
		testkit.Must(t, err)
	}
	end()
	endLater()
	if !r.provision(t, "delta").Prepared {
		t.Error("after the dumps no boundary is taken")
	}
	p.expectNoOrphanSchemas(t)
}

// A dump that has only connected is about to read the names.
func TestDumpThatHasJustConnected(t *testing.T) {
	t.Parallel()
	p := newPrivatePostgres(t)
	r := p.filledPool(t, 1)
	_, end := p.session(t, "pg_dump")
	if r.provision(t, "acme").Prepared {
		t.Error("a boundary was taken")
	}
	end()
	if !r.provision(t, "beta").Prepared {
		t.Error("no boundary was taken afterwards")
	}
}

// A dump that begins between the taking of a boundary and the commit costs the request no attempt.
func TestDumpThatBeginsDuringAnAttempt(t *testing.T) {
	t.Parallel()
	p := newPrivatePostgres(t)
	r := p.filledPool(t, 1)
	pool := p.pooled(t)
	end := func() {}
	job := r.withHook(t, only(ready, once(func(context.Context) error {
		_, end = p.dump(t, "pg_dump") //nolint:contextcheck // it outlives the attempt
		return nil
	}))).Job(request(t, "acme"))
	if got := verdict(t, job, pipeline.Retry); !strings.Contains(got.Err.Error(), "pg_dump") {
		t.Error(got.Err)
	}
	r.expectNoTenant(t, "acme")
	if got := provisionedOutcome(t, decided(t, job).Outcome); got.Prepared || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	end()
	if left := p.pooled(t); !slices.Equal(left, pool) {
		t.Errorf("the pool holds %v, want %v", left, pool)
	}
}

// What an operator's trigger raises is not taken for a dump, although the check for dumps fails with the same SQLSTATE.
// The attempt counts, so that the request ends.
func TestTriggerIsNotTakenForADump(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]string{
		"with its row": "TRIGGER guard AFTER", "with the commit": "CONSTRAINT TRIGGER guard AFTER",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			r := p.filledPool(t, 1)
			deferred := map[bool]string{true: " DEFERRABLE INITIALLY DEFERRED"}[name == "with the commit"]
			p.raw(t, "", `CREATE FUNCTION {b}guard() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN
					PERFORM sqrt(-1::float8);
					RETURN NULL;
				END $$`,
				"CREATE "+kind+" INSERT ON {b}tenant_registry"+deferred+" FOR EACH ROW EXECUTE FUNCTION {b}guard()")
			got := r.provisioner.Job(request(t, "acme")).Run(t.Context())
			said := fmt.Sprint(got.Err) + string(got.Outcome.Body)
			testkit.Contains(t, "decision", said, "2201F")
			if strings.Contains(said, "pg_dump") || errors.Is(got.Err, pipeline.ErrBusy) {
				t.Errorf("%s: %s", got.Verdict, said)
			}
		})
	}
}

// A dump under another name is recognised by its locks.
func TestBoundaryThatIsLockedIsPassedOver(t *testing.T) {
	t.Parallel()
	p := newPrivatePostgres(t)
	r := p.filledPool(t, 2)
	locked := p.pooled(t)[0]
	tx, end := p.dump(t, "nightly backup")
	_, err := tx.Exec(`LOCK TABLE "` + locked + `".document IN ACCESS SHARE MODE`)
	testkit.Must(t, err)
	if !r.provision(t, "acme").Prepared || r.provision(t, "beta").Prepared {
		t.Error("want the boundary that is not locked, and no other")
	}
	if left := p.pooled(t); !slices.Equal(left, []string{locked}) {
		t.Errorf("the pool holds %v", left)
	}
	end()
	if !r.provision(t, "gamma").Prepared {
		t.Error("the boundary was not taken afterwards")
	}
}

// The row of a boundary that was compared again is younger than the boundary, so its age does not show which dumps see
// the boundary. It is passed over while any dump runs.
func TestComparedBoundaryIsPassedOver(t *testing.T) {
	t.Parallel()
	p := newPrivatePostgres(t)
	r := p.filledPool(t, 1)
	p.comparedAgo(t, "11 minutes")
	stop := runFillers(t, r.postgresStore(t))
	testkit.Eventually(t, "the boundary is compared", func() bool {
		return p.count(t, "", "SELECT count(*) FROM {b}prepared_boundaries WHERE NOT ordered") == 1
	})
	stop()
	_, end := p.dump(t, "pg_dump")
	if r.provision(t, "acme").Prepared {
		t.Error("a boundary that the dump can see was taken")
	}
	end()
	if !r.provision(t, "beta").Prepared {
		t.Error("the boundary was not taken afterwards")
	}
}

// If an older transaction ran while a boundary was built, the age of a later dump's snapshot is that of the older
// transaction, and does not show that the dump sees the boundary.
func TestBoundaryBuiltBesideAnOlderTransaction(t *testing.T) {
	t.Parallel()
	p := newPrivatePostgres(t)
	testkit.Must(t, p.open(t).Close())
	older, err := connect(t, p.url).Begin()
	testkit.Must(t, err)
	_, err = older.Exec("CREATE TABLE public.of_another_program (n integer)")
	testkit.Must(t, err)
	r := p.filledPool(t, 1)
	_, end := p.dump(t, "pg_dump")
	if r.provision(t, "acme").Prepared {
		t.Error("a boundary that the dump can see was taken")
	}
	end()
	testkit.Must(t, older.Rollback())
	if !r.provision(t, "beta").Prepared {
		t.Error("no boundary was taken afterwards")
	}
}

// A dump of a standby cannot be seen. By default nothing is prepared or taken while one is connected; a number of one's
// own is used. A logical subscriber is no standby.
func TestPoolBesideAStandby(t *testing.T) {
	t.Parallel()
	p := newPostgresAt(t, postgrestest.Private(t, "wal_level=logical").URL)
	subscriber := p.receiver(t)
	_, err := subscriber.Exec(t.Context(), "CREATE_REPLICATION_SLOT copy TEMPORARY LOGICAL pgoutput").ReadAll()
	testkit.Must(t, err)
	log := &warnings{}
	r := p.withConfig(postgres.Config{Prepared: 1, PreparedByDefault: true, Log: slog.New(log)}).newFixture(t)
	runFillers(t, r.postgresStore(t))
	provision := func(tenant string, prepared bool) {
		t.Helper()
		p.awaitPool(t, 1)
		testkit.Eventually(t, "the pool is usable", func() bool { return !prepared || r.postgresStore(t).Prepared().Ready == 1 })
		testkit.Equal(t, "prepared for "+tenant, r.provision(t, tenant).Prepared, prepared)
	}
	provision("acme", true)
	p.awaitPool(t, 1)

	standby := p.receiver(t)
	testkit.Eventually(t, "the standby is logged", func() bool { return len(log.logged()) > 0 })
	testkit.Contains(t, "logged", log.logged()[0], "a standby is connected", "PREPARED_BOUNDARIES")
	provision("beta", false)
	chosen := p.withPool(1).newFixture(t)
	testkit.Equal(t, "prepared by choice", chosen.provision(t, "gamma").Prepared, true)

	testkit.Equal(t, "the pool", len(p.pooled(t)), 0)
	testkit.Must(t, standby.Close(t.Context()))
	provision("delta", true)
	testkit.Equal(t, "lines", len(log.logged()), 1)
}

// receiver connects as a standby does.
func (p testDatabase) receiver(t *testing.T) *pgconn.PgConn {
	t.Helper()
	c, err := pgconn.ParseConfig(p.url)
	testkit.Must(t, err)
	c.RuntimeParams["replication"] = "database"
	conn, err := pgconn.ConnectConfig(t.Context(), c)
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, conn.Close(context.Background())) })
	return conn
}
