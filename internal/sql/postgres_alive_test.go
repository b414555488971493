package sql_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// An attempt whose transaction holds the row is alive. Its renewal does not wait for its own lock, and a copy of the
// message is busy, however old the last renewal is.
func TestAttemptInItsTransactionIsAlive(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.withParameter(t, "lock_timeout", briefLockTimeout).newFixture(t)
	limit := pipeline.Limit{Attempts: 1, Lease: time.Nanosecond, CopyLease: time.Nanosecond}
	req := deliveredRequest(t, "acme", "1@1/a")
	var claim pipeline.Claim
	hooked := r.withHook(t, only(tables, once(func(ctx context.Context) error {
		begin := time.Now()
		if err := r.store.Renew(ctx, pipeline.Claim{Key: req.Key(), Attempt: 1, DeliveryID: "1@1/a"}); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("the renewal has waited %s", took)
		}
		for _, by := range []string{"1@1/b", "2@2/a"} {
			var err error
			if claim, err = r.store.Claim(ctx, withDelivery(req, by), "acme", limit); !errors.Is(err, pipeline.ErrBusy) {
				t.Errorf("%s: %+v, %v", by, claim, err)
			}
		}
		return nil
	})))
	if got := provisionedOutcome(t, decided(t, hooked.Job(req)).Outcome); got.Attempts != 1 {
		t.Errorf("%d attempts", got.Attempts)
	}
}

// breakableProxy returns the database behind a proxy. drop closes its connections without a notice to the server.
func (p testDatabase) breakableProxy(t *testing.T) (_ testDatabase, drop func()) {
	t.Helper()
	u, err := url.Parse(p.url)
	testkit.Must(t, err)
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	var (
		all              sync.WaitGroup
		mutex            sync.Mutex
		clients, servers []net.Conn
	)
	closeAll := func(conns *[]net.Conn) {
		mutex.Lock()
		defer mutex.Unlock()
		for _, c := range *conns {
			c.Close()
		}
		*conns = nil
	}
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			backend, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			mutex.Lock()
			clients, servers = append(clients, client), append(servers, backend)
			mutex.Unlock()
			all.Go(func() { _, _ = io.Copy(backend, client) })
			all.Go(func() { _, _ = io.Copy(client, backend); client.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		closeAll(&clients)
		closeAll(&servers)
		all.Wait()
	})
	return p.withURL(t, func(u *url.URL) {
		u.Host = l.Addr().String()
		q := u.Query()
		q.Set("sslmode", "disable")
		u.RawQuery = q.Encode()
	}), func() { closeAll(&clients) }
}

// The connection is lost during an attempt, and the server does not notice: the session keeps boundary and row. The
// same job, and a redelivery to the same process, do not wait for it.
func TestOwnLostSessionDoesNotBlock(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p, drop := p.breakableProxy(t)
	r := p.withParameter(t, "idle_in_transaction_session_timeout", "0").withParameter(t, "lock_timeout", "20s").newFixture(t)
	for name, rerun := range map[string]func(j *pipeline.Job, req pipeline.Request) pipeline.Decision{
		"same_job": func(j *pipeline.Job, _ pipeline.Request) pipeline.Decision { return j.Run(t.Context()) },
		"redelivery": func(_ *pipeline.Job, req pipeline.Request) (got pipeline.Decision) {
			for range 100 { // the session ends shortly after it is terminated
				next := withDelivery(req, "1@1/b")
				next.Redelivered = true
				got = r.provisioner.Job(next).Run(t.Context())
				if got.Decided() {
					break
				}
			}
			return got
		},
	} {
		hooked := r.withHook(t, only(tables, once(func(context.Context) error { drop(); return nil })))
		req := deliveredRequest(t, name, "1@1/a")
		j := hooked.Job(req)
		verdict(t, j, pipeline.Pause)
		begin := time.Now()
		got := rerun(j, req)
		if took := time.Since(begin); !got.Decided() || took > 15*time.Second {
			t.Fatalf("%s: %s after %s: %v", name, got.Verdict, took, got.Err)
		}
		testkit.Eventually(t, name+": no session is in a transaction", func() bool {
			return p.count(t, "", "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' "+
				"AND datname = current_database()") == 0
		})
		provisionedOutcome(t, got.Outcome)
	}
}

// The server stalls for longer than the lock timeout while an attempt waits for a lock. That is not the request's
// fault, and costs no attempt.
func TestStalledServerCostsNoAttempt(t *testing.T) {
	t.Parallel()
	const timeout = 4 * time.Second
	server := postgrestest.Private(t)
	p := newPostgresAt(t, server.URL)
	r := p.withParameter(t, "lock_timeout", timeout.String()).newFixture(t)
	db := connect(t, p.url)
	tx, err := db.BeginTx(t.Context(), nil)
	testkit.Must(t, err)
	_, err = tx.ExecContext(t.Context(), `CREATE SCHEMA tenant_acme`) // by another program, not committed
	testkit.Must(t, err)
	job := r.provisioner.Job(request(t, "acme"))
	ended := make(chan pipeline.Decision, 1)
	begin := time.Now()
	go func() { ended <- job.Run(t.Context()) }()
	for p.count(t, "", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") == 0 {
		if time.Since(begin) > timeout {
			t.Skip("this machine is too busy: the wait ended before the test observed it")
		}
	}
	server.Freeze()
	<-time.After(time.Until(begin.Add(3 * timeout))) // the elapsed time itself is under test
	server.Thaw()
	got := <-ended
	if got.Verdict != pipeline.Pause {
		t.Errorf("%s: %v", got.Verdict, got.Err)
	}
	testkit.Must(t, tx.Rollback())
	if got := provisionedOutcome(t, decided(t, job).Outcome); got.Attempts != 1 {
		t.Errorf("%d attempts", got.Attempts)
	}
}
