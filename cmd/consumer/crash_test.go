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

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// course is a way that a request can take, with the places between its durable effects (package crash).
type course struct {
	cause  events.CauseCode // of its outcome; empty: a success
	places []string
	sqlite []string // places that SQLite has beside
	// request makes one; plant prepares what it meets.
	request func(t *testing.T, id, tenant string) *nats.Msg
	plant   func(d testDatabase, tenant string)
}

var courses = map[string]course{
	"provisioned": {
		places: []string{
			"delivered", "claimed", "step 0 ended", "step 1 ended", "step 2 ended", "step 3 ended", "step 4 ended",
			"step 5 ended", "outcome allowed", "outcome published", "acknowledged",
		},
		sqlite:  []string{"file finished", "file linked", "file placed", "directory synced"},
		request: requestFor,
	},
	"refused": {
		cause: events.CauseInvalidTenantID,
		places: []string{
			"delivered", "claimed", "failure recorded", "dead letter allowed", "dead letter published", "dead letter noted",
			"outcome allowed", "outcome published",
		},
		request: func(t *testing.T, id, _ string) *nats.Msg {
			t.Helper()
			return &nats.Msg{Subject: events.TypeRequested, Data: fmt.Appendf(nil, `{"specversion":"1.0","type":%q,"source":%q,"id":%q,`+
				`"data":{"tenant_id":"not valid","display_name":"A","created_by":"t"}}`, events.TypeRequested, billing, id)}
		},
	},
	"failed in step 4": {
		cause:   events.CauseSchemaInvalid,
		places:  []string{"step 1 ended", "step 3 ended", "failure recorded", "dead letter published"},
		request: requestFor,
		plant:   func(d testDatabase, tenant string) { d.plant(tenant, "CREATE TABLE {b}docbasket (id INTEGER)") },
	},
	"undecodable": {
		cause: events.CauseUndecodableEvent,
		places: []string{
			"delivered", "failure recorded", "dead letter allowed", "dead letter published", "dead letter noted", "outcome allowed",
			"outcome published",
		},
		request: func(t *testing.T, id, _ string) *nats.Msg {
			t.Helper()
			return &nats.Msg{Subject: events.TypeRequested, Data: []byte("no event " + id)}
		},
	},
}

// The crash matrix: the program is killed once at every place between two durable effects, and started again.
// Each request has one outcome, the registry says what the outcomes say, every tenant is whole.
func TestKilledBetweenDurableEffects(t *testing.T) {
	t.Parallel()
	for name, f := range courses {
		t.Run(name, func(t *testing.T) {
			onBothEngines(t, func(t *testing.T, d testDatabase) {
				places := f.places
				if d.sqlite() {
					places = slices.Concat(places, f.sqlite)
				}
				url := natstest.Start(t)
				env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "1s"))
				first := launch(t, env)
				testkit.Logged(t, &first.stderr, "taking requests", "workers")
				first.signal(t, syscall.SIGTERM)
				testkit.Equal(t, "exit code", first.wait(t), 0)
				js := natstest.JetStream(t, url)
				for i, place := range places {
					if f.plant != nil {
						f.plant(d, fmt.Sprintf("tenant_%d", i))
					}
					killed := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", place)))
					publish(t, js, f.request(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
					testkit.Equal(t, "exit code at "+place, killed.wait(t), -1)
					again := launch(t, env)
					testkit.Logged(t, &again.stderr, "taking requests", "workers")
					settled(t, js)
					again.signal(t, syscall.SIGTERM)
					testkit.Equal(t, "exit code", again.wait(t), 0)
				}
				whole(t, d, stored(t, js), f.cause, len(places))
				letters := 0
				if f.cause != "" {
					letters = len(places)
				}
				testkit.Equal(t, "dead letters", deadLetters(t, js), letters)
			})
		})
	}
}

// Tenants that are registered together are each in another state when the process is killed in between.
func TestKilledBetweenTheFilesOfABatch(t *testing.T) {
	t.Parallel()
	const tenants = 16
	for _, place := range courses["provisioned"].sqlite {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			d := newSQLite(t)
			url := natstest.Start(t)
			env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "1s"), with("CONCURRENCY", "8"))
			killed := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", place), with("CRASH_ABOUT", "tenant_7")))
			testkit.Logged(t, &killed.stderr, "taking requests", "workers")
			js := natstest.JetStream(t, url)
			for i := range tenants {
				publish(t, js, requestFor(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
			}
			testkit.Equal(t, "exit code at "+place, killed.wait(t), -1)
			again := launch(t, env)
			settled(t, js)
			again.signal(t, syscall.SIGTERM)
			testkit.Equal(t, "exit code", again.wait(t), 0)
			whole(t, d, stored(t, js), "", tenants)
		})
	}
}

// preparedPlaces are those of an attempt that takes a prepared boundary, and of the filler.
var preparedPlaces = []string{
	"delivered", "claimed", "step 0 ended", "boundary taken", "step 1 ended", "step 2 ended", "step 3 ended",
	"step 4 ended", "step 5 ended", "outcome published", "acknowledged", "boundary prepared", "boundary pooled",
}

// The crash matrix of prepared boundaries: killed at every place of an attempt that takes one, and of the filler.
// None is half built, registered twice, or lost.
func TestKilledWithPreparedBoundaries(t *testing.T) {
	t.Parallel()
	const pool = 2
	d := newPostgres(t)
	url := natstest.Start(t)
	env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "1s"), with("PREPARED_BOUNDARIES", fmt.Sprint(pool)))
	end := func(p *process) {
		t.Helper()
		d.holds(t, pool)
		p.signal(t, syscall.SIGTERM)
		testkit.Equal(t, "exit code", p.wait(t), 0)
	}
	first := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", "boundary prepared")))
	testkit.Equal(t, "exit code of who prepares the first", first.wait(t), -1)
	end(launch(t, env))
	js := natstest.JetStream(t, url)
	for i, place := range preparedPlaces {
		killed := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", place)))
		publish(t, js, requestFor(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
		testkit.Equal(t, "exit code at "+place, killed.wait(t), -1)
		again := launch(t, env)
		testkit.Logged(t, &again.stderr, "taking requests", "workers")
		settled(t, js)
		end(again)
		testkit.Equal(t, "leftovers after "+place, fmt.Sprint(d.leftovers()), "[]")
	}
	outcomes := stored(t, js)
	whole(t, d, outcomes, "", len(preparedPlaces))
	testkit.Equal(t, "boundaries in the pool", len(d.pooled()), pool)
	testkit.Equal(t, "schemas", fmt.Sprint(d.rows(system, `SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant\_%' ORDER BY 1`)),
		fmt.Sprint(d.rows(system, "SELECT schema_name FROM {b}tenant_registry WHERE NOT is_system ORDER BY 1")))
	// Of those killed before they began, and of those whose first attempt has ended with the process, the second one
	// goes the ordinary way.
	prepared := 0
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
	if prepared < 6 {
		t.Errorf("%d tenants were prepared", prepared)
	}
}

// whole judges what is there after all requests are settled: n outcomes with that cause, no two for one
// request, and the registry and the tenants that they speak of.
func whole(t *testing.T, d testDatabase, outcomes []event.Event, cause events.CauseCode, n int) {
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
	verified(t, d, len(named)+1)
	testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
}

// verified compares all tenants, the bootstrap tenant among them, with the definition.
func verified(t *testing.T, d testDatabase, n int) {
	t.Helper()
	// A thousand take long where the race detector looks on.
	limit := testkit.Patience + time.Duration(n)*100*time.Millisecond
	code, stdout, stderr := commandWithin(t, limit, settings(d.env), "tenants", "verify", "--strict")
	if want := fmt.Sprintf("checked %d, in order %d,", n, n); code != 0 || !strings.Contains(stdout, want) {
		t.Errorf("tenants verify: exit code %d, not %q: %s%s", code, want, testkit.Tail(stdout), stderr)
	}
}

// A request that kills the process each time runs out of attempts like any other, and harms no other request:
// neither those after it, nor those in flight at the same time.
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
		outcomes := stored(t, js)
		testkit.Equal(t, "outcomes", census(t, outcomes), fmt.Sprintf("ATTEMPTS_EXHAUSTED 1, provisioned %d", others))
		for _, e := range outcomes {
			if e.Type() == events.TypeProvisioningFailed {
				data, err := events.FailedFrom(e)
				testkit.Must(t, err)
				testkit.Equal(t, "tenant", data.TenantID, "poison")
				testkit.Equal(t, "attempts", data.Attempts, attempts)
			}
		}
		testkit.Equal(t, "registered tenants", len(d.tenants()), others)
		verified(t, d, others+1)
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
