package main

import (
	databasesql "database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// replicatedServer is a server and its synchronous standby.
type replicatedServer struct {
	primary, standby *postgrestest.Server
	env              map[string]string // of the service, which reaches both
}

func newReplicatedServer(t *testing.T, roleDefaults ...string) replicatedServer {
	t.Helper()
	p := replicatedServer{primary: postgrestest.Private(t)}
	newRole(p.primary)
	for _, d := range roleDefaults {
		p.primary.Exec("ALTER ROLE " + role + " SET " + d)
	}
	p.standby = p.primary.Standby()
	p.primary.Synchronous()
	hosts, err := url.Parse(p.primary.URLOf(role, password))
	testkit.Must(t, err)
	hosts.Host = p.primary.Addr + "," + p.standby.Addr
	// Shorter than the default, longer than a commit may wait before the service reports an outage.
	hosts.RawQuery += "&lock_timeout=3000"
	p.env = settings(with("DATABASE_URL", hosts.String()), with("ACK_WAIT", "1s"))
	return p
}

func (p replicatedServer) failOver() {
	p.primary.Kill()
	p.standby.Start()
	p.standby.Promote()
}

// waitingSessions are the sessions of the service whose commit waits for the standby.
const waitingSessions = "FROM pg_stat_activity WHERE usename = '" + role + "' AND wait_event = 'SyncRep'"

// awaitWaiting waits until n commits of the service wait, and among them like commits with such a last statement.
func (p replicatedServer) awaitWaiting(t *testing.T, n, like int, statement string) {
	t.Helper()
	db, err := databasesql.Open("pgx", p.primary.URL)
	testkit.Must(t, err)
	defer func() { testkit.Must(t, db.Close()) }()
	found := []string{fmt.Sprintf("%d %d", n, like)}
	testkit.Eventually(t, fmt.Sprintf("%d commits wait, %d of them after %s", n, like, statement), func() bool {
		return slices.Equal(found, column(t, db, "SELECT count(*) || ' ' || count(*) FILTER (WHERE query LIKE '"+statement+"') "+waitingSessions))
	})
}

// waitEnd is a way in which the wait of commits ends.
type waitEnd struct {
	name     string
	role     string // setting of the role
	with     string // function of the server
	kill     bool   // the service is killed before that
	failOver bool   // in the end; else the standby returns
}

// While the standby is unavailable every commit waits. If the wait is ended, the server reports the transaction as
// committed. The service publishes nothing until the standby has it, so that a failover loses no published outcome.
func TestStandbyIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, w := range []waitEnd{
		{name: "cancelled", role: "synchronous_commit = off", with: "pg_cancel_backend"},
		{name: "cancelled, failed over", role: "synchronous_commit = local", with: "pg_cancel_backend", failOver: true},
		{name: "terminated, failed over", role: "client_min_messages = error", with: "pg_terminate_backend", failOver: true},
		{name: "killed", role: "client_min_messages = error", with: "pg_terminate_backend", kill: true},
	} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			w.test(t)
		})
	}
}

func (w waitEnd) test(t *testing.T) {
	p := newReplicatedServer(t, w.role, "client_min_messages = error")
	natsURL := natstest.Start(t)
	env := merge(p.env, with("NATS_URL", natsURL))
	r := startReplicas(t, 1, env)[0]
	js := natstest.JetStream(t, natsURL)
	publish(t, js, requestFor(t, "order-before", "before"))
	awaitSettled(t, js)

	p.standby.Stop()
	publish(t, js, requestFor(t, "order-waits", "waits"))
	p.awaitWaiting(t, 1, 1, "COMMIT")
	found, waiting, want := 1, 1, "provisioned 2" // outcomes in the ledger, commits that wait
	if !w.kill {                                  // a process started during the outage takes fewer
		// One for each further way to record an outcome, and one that waits for a lock of the first.
		publish(t, js, scenarios["refused"].request(t, "order-refused", ""),
			scenarios["undecodable"].request(t, "order-undecodable", ""))
		p.awaitWaiting(t, 3, 1, "COMMIT")
		publish(t, js, requestFor(t, "order-behind", "waits"))
		found, waiting, want = 3, 4, "INVALID_TENANT_ID 1, TENANT_EXISTS 1, UNDECODABLE_EVENT 1, provisioned 2"
	}
	awaitNotReady(t, r.http, "synchronous standby")
	testkit.Equal(t, "findings", findings(runDoctor(t, env), "database_standby"), "database_standby fault")
	if w.kill {
		r.signal(t, syscall.SIGKILL)
		r.wait(t)
		r = startReplicas(t, 1, env)[0]
		awaitNotReady(t, r.http, "synchronous standby")
	}
	// The end of a confirmation's wait is not a confirmation either.
	for _, confirmed := range []int{found, waiting} {
		p.primary.Exec("SELECT " + w.with + "(pid) " + waitingSessions)
		p.awaitWaiting(t, waiting, confirmed, "%FOR KEY SHARE%")
		awaitNotReady(t, r.http, "synchronous standby")
	}
	testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "provisioned 1")
	testkit.Equal(t, "dead letters", deadLetters(t, js), 0)

	d := postgresAt(t, p.primary.URL, env["DATABASE_URL"])
	if w.failOver {
		p.failOver()
		d = postgresAt(t, p.standby.URL, env["DATABASE_URL"])
	} else {
		p.standby.Start()
	}
	awaitSettled(t, js)
	awaitReady(t, r)
	outcomes := storedOutcomes(t, js)
	testkit.Equal(t, "outcomes", countOutcomes(t, outcomes), want)
	testkit.Equal(t, "dead letters", deadLetters(t, js), waiting-1)
	testkit.Equal(t, "registered tenants", strings.Join(d.tenants(), " "), "before waits")
	verifyTenants(t, d, 3)
	for _, e := range outcomes {
		if e.Type() == events.TypeProvisioningFailed && !w.failOver && !w.kill {
			data, err := events.FailedFrom(e)
			testkit.Must(t, err)
			testkit.Equal(t, "attempts at "+string(data.Cause.Code), data.Attempts, 1)
		}
	}
}

// A role's synchronous_commit = remote_apply is not overridden. Its waiting commits take all connections of the pool,
// and the service still detects them.
func TestCommitsWaitUntilTheStandbyAppliesThem(t *testing.T) {
	t.Parallel()
	p := newReplicatedServer(t, "synchronous_commit = remote_apply")
	natsURL := natstest.Start(t)
	r := startReplicas(t, 1, merge(p.env, with("NATS_URL", natsURL), with("CONCURRENCY", "1")))[0]
	js := natstest.JetStream(t, natsURL)
	p.standby.Exec("SELECT pg_wal_replay_pause()")
	publish(t, js, requestFor(t, "order-1", "late"), scenarios["refused"].request(t, "order-2", ""))
	p.awaitWaiting(t, 2, 1, "COMMIT")
	awaitNotReady(t, r.http, "synchronous standby")
	testkit.Equal(t, "outcomes", published(t, js), 0)
	p.standby.Exec("SELECT pg_wal_replay_resume()")
	awaitSettled(t, js)
	awaitReady(t, r)
	testkit.Equal(t, "registered on the standby", fmt.Sprint(postgresAt(t, p.standby.URL, "").tenants()), "[late]")
}

// failedOver is a case of the crash matrix with a synchronous standby. The service is killed at a point between two
// durable effects, the server dies with it, the standby takes over, and the service is restarted. What was published
// before is in the database, and each request has one outcome.
type failedOver struct {
	scenario
	name, point string
	pool        int // boundaries that are prepared
}

// failedOverCases are all points of all scenarios on PostgreSQL.
func failedOverCases() (all []failedOver) {
	for name, c := range scenarios {
		for _, point := range c.points {
			all = append(all, failedOver{scenario: c, name: name + "/" + point, point: point})
		}
	}
	for _, point := range preparedPoints {
		all = append(all, failedOver{
			scenario: scenarios["provisioned"], name: "prepared/" + point, point: point, pool: 2,
		})
	}
	return all
}

// A selection; make soak runs all.
func TestServiceAndServerAreLost(t *testing.T) {
	t.Parallel()
	chosen := map[string]bool{
		"provisioned/step 5 ended": true, "boundary differs/failure recorded": true, "undecodable/outcome published": true,
	}
	for _, c := range failedOverCases() {
		if chosen[c.name] {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t)
			})
		}
	}
}

func (c failedOver) run(t *testing.T) {
	const tenant = "acme"
	p := newReplicatedServer(t)
	natsURL := natstest.Start(t)
	env := merge(p.env, with("PREPARED_BOUNDARIES", fmt.Sprint(c.pool)), with("NATS_URL", natsURL))
	js := natstest.JetStream(t, natsURL)
	serve := func(d testDatabase, messages ...*nats.Msg) {
		t.Helper()
		service := launch(t, env)
		testkit.Logged(t, &service.stderr, "taking requests", "workers")
		publish(t, js, messages...)
		awaitSettled(t, js)
		if c.pool > 0 {
			d.awaitPool(t, c.pool)
		}
		service.signal(t, syscall.SIGTERM)
		testkit.Equal(t, "exit code", service.wait(t), 0)
	}
	url := p.primary.URLOf(role, password)
	d := postgresAt(t, url, url)
	serve(d, requestFor(t, "order-before", "before"))
	if c.prepare != nil {
		c.prepare(d, tenant)
	}
	killed := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", c.point)))
	publish(t, js, c.request(t, "order-1", tenant))
	testkit.Equal(t, "exit code at "+c.point, killed.wait(t), -1)
	p.primary.Kill()
	p.standby.Promote()
	url = p.standby.URLOf(role, password)
	d = postgresAt(t, url, url)
	before := storedOutcomes(t, js)
	c.assertRecorded(t, d, before)
	serve(d)
	outcomes := storedOutcomes(t, js)
	c.assertRecorded(t, d, outcomes)
	want := "provisioned 2"
	if c.cause != "" {
		want = string(c.cause) + " 1, provisioned 1"
	}
	testkit.Equal(t, "outcomes", countOutcomes(t, outcomes), want)
	t.Logf("%d of %d outcomes were published before the failover", len(before), len(outcomes))
}

// assertRecorded compares the registry, the ledger and the schemas with the outcomes.
func (c failedOver) assertRecorded(t *testing.T, d testDatabase, outcomes []event.Event) {
	t.Helper()
	recorded := fmt.Sprint(d.rows(system, "SELECT outcome_id::text FROM {b}tenant_requests WHERE outcome_id IS NOT NULL"))
	provisioned := 0
	for _, e := range outcomes {
		if !strings.Contains(recorded, e.ID()) {
			t.Errorf("outcome %s is not in the ledger", e.ID())
		}
		if e.Type() != events.TypeProvisioned {
			continue
		}
		provisioned++
		data, err := events.ProvisionedFrom(e)
		testkit.Must(t, err)
		if !slices.Contains(d.tenants(), data.TenantID) {
			t.Errorf("tenant %s is not registered", data.TenantID)
		}
	}
	if n := len(d.tenants()); n < provisioned {
		t.Errorf("%d tenants are registered, %d have outcomes", n, provisioned)
	}
	verifyTenants(t, d, len(d.tenants())+1)
}
