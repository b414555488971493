//go:build soak

package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// Three replicas are killed at random moments while they process requests, of which some are duplicates, invalid or no
// events. No request may be lost, duplicated or half done.
func TestSoakRandomKills(t *testing.T) {
	const (
		replicas  = 3
		rounds    = 12
		soakLimit = 10 * time.Minute
	)
	for name, engine := range map[string]struct {
		open     func(*testing.T) testDatabase
		requests int // for about a minute
		further  bool
		prepared string
	}{
		"postgres": {newPostgres, 2040, false, "0"}, "sqlite": {newSQLite, 6000, false, "0"},
		"postgres, scripts and seeds": {withManyLocks, 600, true, "20"}, "sqlite, scripts and seeds": {newSQLite, 3000, true, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			requests := engine.requests
			d, url := engine.open(t), natstest.Start(t)
			var f further
			if engine.further {
				d = withPlainRole(t, d)
				f = withFurther(t, d)
				f.env["PREPARED_BOUNDARIES"] = engine.prepared
			}
			// Each kill may spend an attempt, and this test does not test the limit.
			env := settings(d.env, f.env, with("NATS_URL", url), with("ACK_WAIT", "2s"), with("MAX_ATTEMPTS", "100"))
			fleet := make([]*process, replicas)
			for i := range fleet {
				fleet[i] = launch(t, env)
			}
			js := natstest.JetStream(t, url)
			testkit.Eventually(t, "the streams exist", func() bool {
				_, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
				return err == nil
			})

			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 0))
			want, undecodable := map[string]events.CauseCode{}, 0
			started, kills, published := time.Now(), 0, 0
			for published < requests || !idle(t, js) {
				if published < requests { // as much as they do between two kills
					undecodable += publishMix(t, js, random, want, published, published+requests/rounds)
					published += requests / rounds
				}
				if time.Since(started) > soakLimit {
					t.Fatalf("seed %d: not settled within %s", seed, soakLimit)
				}
				i := random.IntN(replicas)
				if engine.further { // a start compiles the grammar of scripts, for seconds: none would get to its work
					testkit.Logged(t, &fleet[i].stderr, "taking requests", "workers")
				}
				time.Sleep(2*time.Second + time.Duration(random.IntN(3000))*time.Millisecond)
				fleet[i].signal(t, syscall.SIGKILL)
				fleet[i].wait(t)
				fleet[i] = launch(t, env)
				kills++
			}
			awaitSettled(t, js)
			took := time.Since(started).Round(time.Second)

			outcomes := storedOutcomes(t, js)
			distinct := len(want) + undecodable
			lost, duplicated := compareAll(t, d, outcomes, want, undecodable)
			if engine.further {
				f.check(t, d, outcomes)
			} else {
				for _, tenant := range d.tenants() {
					for _, table := range []string{"docbasket", "route_operations"} {
						testkit.Equal(t, "rows of "+tenant, fmt.Sprint(d.rows(tenant, "SELECT count(*) FROM {b}"+table)), "[0]")
					}
				}
			}
			t.Logf("%s: %d messages, %d requests, %d kills of %d consumers, %d lost, %d duplicated, in %s, seed %d: %s", name,
				requests, distinct, kills, replicas, lost, duplicated, took, seed, countOutcomes(t, outcomes))
		})
	}
}

// withManyLocks is a database of a server that can lock all tenants in one transaction, as DROP OWNED does.
func withManyLocks(t *testing.T) testDatabase {
	t.Helper()
	url := postgrestest.Private(t, "max_locks_per_transaction=2000").URL
	return postgresAt(t, url, url)
}

// publishMix publishes requests with these numbers: about 10 % are published twice, 5 % are invalid, 2 % are no
// events. It adds to want the cause that each request must have, "" for success, and returns the number of
// undecodable messages.
func publishMix(
	t *testing.T, js jetstream.JetStream, random *rand.Rand, want map[string]events.CauseCode, from, to int,
) (undecodable int) {
	t.Helper()
	for published := from; published < to; published++ {
		id := fmt.Sprintf("order-%d", published)
		switch p := random.IntN(100); {
		case p < 2:
			publish(t, js, &nats.Msg{Subject: events.TypeRequested, Data: []byte("no event " + id)})
			undecodable++
		case p < 7:
			msg := requestFor(t, id, "placeholder")
			msg.Header, msg.Data = nil, []byte(fmt.Sprintf(`{"specversion":"1.0","type":%q,"source":%q,"id":%q,`+
				`"data":{"tenant_id":"not valid","display_name":"A","created_by":"t"}}`, events.TypeRequested, billing, id))
			publish(t, js, msg)
			want[id] = events.CauseInvalidTenantID
		case p < 17 && published+1 < to:
			msg := requestFor(t, id, "tenant_"+strconv.Itoa(published))
			publish(t, js, msg, msg)
			published++
			want[id] = ""
		default:
			publish(t, js, requestFor(t, id, "tenant_"+strconv.Itoa(published)))
			want[id] = ""
		}
	}
	return undecodable
}

func idle(t *testing.T, js jetstream.JetStream) bool {
	t.Helper()
	consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	info := consumer.CachedInfo()
	return info.NumPending == 0 && info.NumAckPending == 0
}

// compareAll compares outcomes with requests, and the registry with outcomes. It returns how many requests have no
// outcome, and how many outcomes are one too many.
func compareAll(
	t *testing.T, d testDatabase, outcomes []event.Event, want map[string]events.CauseCode, undecodable int,
) (lost, duplicated int) {
	t.Helper()
	provisioned := map[string]bool{}
	for _, e := range outcomes {
		var request *events.Request
		var cause events.CauseCode
		if e.Type() == events.TypeProvisioned {
			data, err := events.ProvisionedFrom(e)
			testkit.Must(t, err)
			request, provisioned[data.TenantID] = &data.Request, true
		} else {
			data, err := events.FailedFrom(e)
			testkit.Must(t, err)
			if request, cause = data.Request, data.Cause.Code; request == nil {
				undecodable--
				continue
			}
		}
		expected, found := want[request.ID]
		if !found {
			t.Errorf("request %s has two outcomes, or was never published", request.ID)
			duplicated++
			continue
		}
		delete(want, request.ID)
		testkit.Equal(t, "cause of "+request.ID, cause, expected)
	}
	testkit.Equal(t, "requests without an outcome", len(want), 0)
	testkit.Equal(t, "undecodable messages without an outcome", undecodable, 0)
	registered := d.tenants()
	testkit.Equal(t, "registered tenants", len(registered), len(provisioned))
	for _, tenant := range registered {
		if !provisioned[tenant] {
			t.Errorf("%s is registered and has no outcome", tenant)
		}
	}
	return len(want) + max(undecodable, 0), duplicated + max(-undecodable, 0)
}
