package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// scenario is a kind of request, with the crash points between its durable effects (package crash).
type scenario struct {
	cause  events.CauseCode // of its outcome; empty: a success
	points []string
	sqlite []string // further points on SQLite
	// request makes the request; prepare sets up the boundary that it finds.
	request func(t *testing.T, id, tenant string) *nats.Msg
	prepare func(d testDatabase, tenant string)
}

var scenarios = map[string]scenario{
	"provisioned": {
		points: []string{
			"delivered", "claimed", "step 0 ended", "step 1 ended", "step 2 ended", "step 3 ended", "step 4 ended",
			"step 5 ended", "outcome allowed", "outcome published", "acknowledged",
		},
		sqlite:  []string{"file finished", "file linked", "file placed", "directory synced"},
		request: requestFor,
	},
	"existing boundary": {
		points:  []string{"step 1 ended", "step 2 ended", "step 3 ended", "step 4 ended", "step 5 ended"},
		request: requestFor,
		prepare: func(d testDatabase, tenant string) {
			d.createBoundary(tenant, "CREATE TABLE {b}mine (n INTEGER)") // a file without tables is replaced
		},
	},
	"refused": {
		cause: events.CauseInvalidTenantID,
		points: []string{
			"delivered", "claimed", "failure recorded", "dead letter allowed", "dead letter published", "dead letter noted",
			"outcome allowed", "outcome published",
		},
		request: func(t *testing.T, id, _ string) *nats.Msg {
			t.Helper()
			return &nats.Msg{Subject: events.TypeRequested, Data: fmt.Appendf(nil, `{"specversion":"1.0","type":%q,"source":%q,"id":%q,`+
				`"data":{"tenant_id":"not valid","display_name":"A","created_by":"t"}}`, events.TypeRequested, billing, id)}
		},
	},
	"boundary differs": {
		cause:   events.CauseSchemaInvalid,
		points:  []string{"step 0 ended", "failure recorded", "dead letter published"},
		request: requestFor,
		prepare: func(d testDatabase, tenant string) {
			d.createBoundary(tenant, "CREATE TABLE {b}docbasket (id INTEGER)")
		},
	},
	"undecodable": {
		cause: events.CauseUndecodableEvent,
		points: []string{
			"delivered", "failure recorded", "dead letter allowed", "dead letter published", "dead letter noted", "outcome allowed",
			"outcome published",
		},
		request: func(t *testing.T, id, _ string) *nats.Msg {
			t.Helper()
			return &nats.Msg{Subject: events.TypeRequested, Data: []byte("no event " + id)}
		},
	},
}

// pointsOn returns the crash points on that database.
func (s scenario) pointsOn(d testDatabase) []string {
	if d.sqlite() {
		return slices.Concat(s.points, s.sqlite)
	}
	return s.points
}

// killAtEach starts the program, which is killed at the point, makes the i-th request, and has another process settle it:
// once for each point. A point may be limited to a subject: "point/subject".
func killAtEach(t *testing.T, js jetstream.JetStream, env map[string]string, points []string, request func(i int)) {
	t.Helper()
	for i, point := range points {
		at, about, _ := strings.Cut(point, "/")
		killed := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", at), with("CRASH_ABOUT", about)))
		request(i)
		testkit.Equal(t, "exit code at "+point, killed.wait(t), -1)
		again := launch(t, env)
		testkit.Logged(t, &again.stderr, "taking requests", "workers")
		awaitSettled(t, js)
		again.signal(t, syscall.SIGTERM)
		testkit.Equal(t, "exit code", again.wait(t), 0)
	}
}

// The crash matrix: the program is killed once at every point between two durable effects, and restarted. Each request
// has one outcome, the registry matches the outcomes, and every tenant is complete.
func TestKilledBetweenDurableEffects(t *testing.T) {
	t.Parallel()
	for name, f := range scenarios {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, d testDatabase) {
				points := f.pointsOn(d)
				js, outcomes := f.killAtEach(t, d, nil, points)
				letters := 0
				if f.cause != "" {
					letters = len(points)
				}
				testkit.Equal(t, "dead letters", deadLetters(t, js), letters)
				checkConsistency(t, d, outcomes, f.cause, len(points))
			})
		})
	}
}

// killAtEach starts a service with further settings, and has it settle a request for each point, at which it is killed.
func (s scenario) killAtEach(
	t *testing.T, d testDatabase, further map[string]string, points []string,
) (jetstream.JetStream, []event.Event) {
	t.Helper()
	url := natstest.Start(t)
	env := settings(d.env, further, with("NATS_URL", url), with("ACK_WAIT", "1s"))
	first := launch(t, env)
	testkit.Logged(t, &first.stderr, "taking requests", "workers")
	first.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", first.wait(t), 0)
	js := natstest.JetStream(t, url)
	killAtEach(t, js, env, points, func(i int) {
		if s.prepare != nil {
			s.prepare(d, fmt.Sprintf("tenant_%d", i))
		}
		publish(t, js, s.request(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
	})
	return js, storedOutcomes(t, js)
}

// The process is killed while the tenants of one batch are in different states.
func TestKilledBetweenTheFilesOfABatch(t *testing.T) {
	t.Parallel()
	const tenants = 16
	for _, point := range scenarios["provisioned"].sqlite {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			d := newSQLite(t)
			url := natstest.Start(t)
			env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "1s"), with("CONCURRENCY", "8"))
			killed := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", point), with("CRASH_ABOUT", "tenant_7")))
			testkit.Logged(t, &killed.stderr, "taking requests", "workers")
			js := natstest.JetStream(t, url)
			for i := range tenants {
				publish(t, js, requestFor(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
			}
			testkit.Equal(t, "exit code at "+point, killed.wait(t), -1)
			again := launch(t, env)
			awaitSettled(t, js)
			again.signal(t, syscall.SIGTERM)
			testkit.Equal(t, "exit code", again.wait(t), 0)
			checkConsistency(t, d, storedOutcomes(t, js), "", tenants)
		})
	}
}

// preparedPoints are the crash points of an attempt that takes a prepared boundary, and of the filler.
var preparedPoints = []string{
	"delivered", "claimed", "step 0 ended", "boundary taken", "step 1 ended", "step 2 ended", "step 3 ended",
	"step 4 ended", "step 5 ended", "outcome published", "acknowledged", "boundary prepared", "boundary pooled",
}

// The crash matrix of prepared boundaries: the program is killed at every point of an attempt that takes one, and of
// the filler. No boundary is half built, registered twice, or lost.
func TestKilledWithPreparedBoundaries(t *testing.T) {
	t.Parallel()
	_, prepared := killWithPool(t, newPostgres(t), nil, preparedPoints)
	if prepared < 6 {
		t.Errorf("only %d tenants were prepared", prepared)
	}
}

// killWithPool kills the program, which keeps a pool of prepared boundaries, once at each point, restarts it, and checks
// what it leaves. It returns the outcomes, and how many are of prepared boundaries.
func killWithPool(
	t *testing.T, d testDatabase, further map[string]string, points []string,
) (outcomes []event.Event, prepared int) {
	t.Helper()
	const pool = 2
	url := natstest.Start(t)
	env := settings(d.env, further, with("NATS_URL", url), with("ACK_WAIT", "1s"), with("PREPARED_BOUNDARIES", fmt.Sprint(pool)))
	end := func(p *process) {
		t.Helper()
		testkit.Logged(t, &p.stderr, "taking requests", "workers") // the streams exist: the pool is filled before
		d.awaitPool(t, pool)
		p.signal(t, syscall.SIGTERM)
		testkit.Equal(t, "exit code", p.wait(t), 0)
	}
	first := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", "boundary prepared")))
	testkit.Equal(t, "exit code while the first is prepared", first.wait(t), -1)
	end(launch(t, env))
	js := natstest.JetStream(t, url)
	for i, point := range points {
		killed := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", point)))
		publish(t, js, requestFor(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
		testkit.Equal(t, "exit code at "+point, killed.wait(t), -1)
		again := launch(t, env)
		awaitSettled(t, js)
		end(again)
		testkit.Equal(t, "leftovers after "+point, fmt.Sprint(d.leftovers()), "[]")
	}
	outcomes = storedOutcomes(t, js)
	checkConsistency(t, d, outcomes, "", len(points))
	testkit.Equal(t, "boundaries in the pool", len(d.pooledSchemas()), pool)
	testkit.Equal(t, "schemas", fmt.Sprint(d.rows(system, `SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant\_%' ORDER BY 1`)),
		fmt.Sprint(d.rows(system, "SELECT schema_name FROM {b}tenant_registry WHERE NOT is_system ORDER BY 1")))
	// Only a first attempt takes a prepared boundary; a retry builds its own.
	for _, e := range outcomes {
		data, err := events.ProvisionedFrom(e)
		testkit.Must(t, err)
		if data.Prepared != (data.Attempts == 1) {
			t.Errorf("tenant %s: attempt %d, prepared %v", data.TenantID, data.Attempts, data.Prepared)
		}
		if data.Prepared {
			prepared++
		}
	}
	return outcomes, prepared
}

// checkConsistency asserts, after all requests are settled, that there are n outcomes with that cause, no two for one
// request, and that the registry and the tenants match them.
func checkConsistency(t *testing.T, d testDatabase, outcomes []event.Event, cause events.CauseCode, n int) {
	t.Helper()
	testkit.Equal(t, "outcomes", len(outcomes), n)
	var named []string
	requests := map[string]bool{}
	for _, e := range outcomes {
		if e.Type() == events.TypeProvisioned {
			data, err := events.ProvisionedFrom(e)
			testkit.Must(t, err)
			named = append(named, data.TenantID)
			if requests[data.Request.ID] || cause != "" {
				t.Errorf("request %s: provisioned", data.Request.ID)
			}
			requests[data.Request.ID] = true
			continue
		}
		data, err := events.FailedFrom(e)
		testkit.Must(t, err)
		testkit.Equal(t, "cause", data.Cause.Code, cause)
		if data.Request != nil && requests[data.Request.ID] {
			t.Errorf("request %s has two outcomes", data.Request.ID)
		}
		if data.Request != nil {
			requests[data.Request.ID] = true
		}
	}
	slices.Sort(named)
	testkit.Equal(t, "registered tenants", strings.Join(d.tenants(), " "), strings.Join(named, " "))
	verifyTenants(t, d, len(named)+1)
	testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
}

// verifyTenants compares all n tenants, including the bootstrap tenant, with the definition.
func verifyTenants(t *testing.T, d testDatabase, n int) {
	t.Helper()
	// A thousand tenants take long under the race detector.
	limit := testkit.Patience + time.Duration(n)*100*time.Millisecond
	args, want := []string{"tenants", "verify", "--strict"}, fmt.Sprintf("checked %d, in order %d,", n, n)
	if d.upgraded {
		args, want = args[:2], fmt.Sprintf("checked %d,", n)
	}
	code, stdout, stderr := commandWithin(t, limit, settings(d.env), args...)
	if code != 0 || !strings.Contains(stdout, want) {
		t.Errorf("tenants verify: exit code %d, not %q: %s%s", code, want, testkit.Tail(stdout), stderr)
	}
}

// A request that kills the process at each attempt runs out of attempts. Other requests, later or in flight at the same
// time, are unaffected.
func TestRequestThatKillsTheProcess(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		const attempts, others = 3, 12
		url := natstest.Start(t)
		env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "1s"), with("MAX_ATTEMPTS", fmt.Sprint(attempts)),
			with("CRASH_AT", "step 2 ended"), with("CRASH_ABOUT", "poison"))
		p := launchBuilt(t, "crashpoints", env)
		testkit.Logged(t, &p.stderr, "taking requests", "workers")
		js := natstest.JetStream(t, url)
		for i := range others {
			publish(t, js, requestFor(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
			if i == 1 {
				publish(t, js, requestFor(t, "order-poison", "poison"))
			}
		}
		kills := 0
		testkit.Eventually(t, "all requests are settled", func() bool {
			select {
			case err := <-p.done:
				p.done <- err
				testkit.Equal(t, "exit code", exitCode(err), -1)
				kills++
				p = launchBuilt(t, "crashpoints", env)
			default:
			}
			return isSettled(t, js)
		})
		testkit.Equal(t, "kills", kills, attempts)
		outcomes := storedOutcomes(t, js)
		testkit.Equal(t, "outcomes", countOutcomes(t, outcomes), fmt.Sprintf("ATTEMPTS_EXHAUSTED 1, provisioned %d", others))
		for _, e := range outcomes {
			if e.Type() == events.TypeProvisioningFailed {
				data, err := events.FailedFrom(e)
				testkit.Must(t, err)
				testkit.Equal(t, "tenant", data.TenantID, "poison")
				testkit.Equal(t, "attempts", data.Attempts, attempts)
			}
		}
		testkit.Equal(t, "registered tenants", len(d.tenants()), others)
		verifyTenants(t, d, others+1)
		testkit.Equal(t, "dead letters", deadLetters(t, js), 1)
	})
}

func merge(envs ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, env := range envs {
		maps.Copy(all, env)
	}
	return all
}
