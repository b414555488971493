//go:build upgrade

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// earlier returns the earlier version of the program, which FROM names.
func earlier(t *testing.T, tags string) variant {
	t.Helper()
	from := os.Getenv("FROM")
	if from == "" {
		t.Fatal("FROM, the commit or tag of the earlier version, is not set: run make upgrade-test")
	}
	return variant{from: from, tags: tags}
}

// onInstallations is onBothEngines, with a schema public that does not hinder earlier versions.
func onInstallations(t *testing.T, test func(t *testing.T, d testDatabase)) {
	t.Helper()
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		t.Helper()
		if !d.sqlite() {
			execute(t, "pgx", d.env["DATABASE_URL"], "", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
		}
		d.upgraded = true
		test(t, d)
	})
}

// launchReady starts a replica, and waits until it takes requests.
func launchReady(t *testing.T, v variant, env map[string]string) *process {
	t.Helper()
	p := launchVariant(t, v, env)
	testkit.Logged(t, &p.stderr, "taking requests", "workers")
	return p
}

// end stops a replica as a supervisor does.
func (p *process) end(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", p.wait(t), 0)
}

// Replicas of both versions serve one load: 500 requests while the replicas of the earlier version are replaced one by
// one, one of them by SIGKILL, and 500 more while they are replaced back, on PostgreSQL again with a SIGKILL. With SQLite
// and one replica the versions take turns. Each request has one outcome.
func TestUpgradeAndBackUnderLoad(t *testing.T) {
	onInstallations(t, func(t *testing.T, d testDatabase) {
		const requests = 500
		url := natstest.Start(t)
		env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "2s"), with("MAX_ATTEMPTS", "100"), with("LOG_LEVEL", "info"))
		size := 2
		if d.sqlite() {
			size = 1
		} else {
			env["PREPARED_BOUNDARIES"] = "8"
		}
		before, now := earlier(t, ""), variant{}
		fleet := make([]*process, size)
		for i := range fleet {
			fleet[i] = launchReady(t, before, env)
		}
		js := natstest.JetStream(t, url)
		for round, to := range []variant{now, before} {
			load := startLoadFrom(t, js, round*requests, requests, time.Millisecond) // faster than they work
			for i := range fleet {
				awaitOutcomes(t, js, round*requests+(i+1)*requests/(size+1))
				// On SQLite the earlier version refuses a file that this one was placing when it was killed: docs/deploying.md.
				kill := i == size-1 && (round == 0 || !d.sqlite())
				if kill { // at work, in the middle of the load
					fleet[i].awaitStep(t)
					fleet[i].signal(t, syscall.SIGKILL)
					testkit.Equal(t, "exit code", fleet[i].wait(t), -1)
				} else {
					fleet[i].end(t)
				}
				fleet[i] = launchReady(t, to, env)
			}
			load.awaitAllPublished(t, testkit.Patience)
			awaitAllProvisioned(t, d, js, (round+1)*requests, testkit.Patience)
			d.checkLedger(t, (round+1)*requests)
		}
		for _, p := range fleet {
			p.end(t)
		}
		testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
	})
}

// awaitOutcomes waits until n outcomes are published.
func awaitOutcomes(t *testing.T, js jetstream.JetStream, n int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("%d outcomes are published", n), func() bool {
		stream, err := js.Stream(t.Context(), events.StreamEvents)
		return err == nil && stream.CachedInfo().State.Msgs >= uint64(n)
	})
}

// awaitStep waits until the replica begins one more step.
func (p *process) awaitStep(t *testing.T) {
	t.Helper()
	steps := strings.Count(p.stderr.String(), "Step ")
	testkit.Eventually(t, "the replica is at work", func() bool { return strings.Count(p.stderr.String(), "Step ") > steps })
}

// checkLedger asserts that the ledger has n requests, all provisioned.
func (d testDatabase) checkLedger(t *testing.T, n int) {
	t.Helper()
	states := d.rows(system, "SELECT state FROM {b}tenant_requests ORDER BY state")
	testkit.Equal(t, "requests in the ledger", len(states), n)
	testkit.Equal(t, "states in the ledger", fmt.Sprint(slices.Compact(states)), "[provisioned]")
}

// What the earlier version has left is taken over, with SQLite also in the embedded server's directory: its tenants are
// in order, its dead letters can be replayed, requests that it has taken or that waited get one outcome each, and those
// that it has decided get no second one. The earlier version starts again afterwards.
func TestUpgradeTakesOverWhatWasLeft(t *testing.T) {
	onInstallations(t, func(t *testing.T, d testDatabase) {
		const decided, running, pool = 5, 25, 4
		env := settings(d.env, with("ACK_WAIT", "2s"), with("MAX_ATTEMPTS", "100"))
		var url string
		if d.sqlite() {
			addr := testkit.FreeAddr(t)
			env["NATS_EMBEDDED_ADDR"], env["NATS_EMBEDDED_DIR"], url = addr, t.TempDir(), "nats://"+addr
		} else {
			url = natstest.Start(t)
			env["NATS_URL"], env["PREPARED_BOUNDARIES"] = url, fmt.Sprint(pool)
		}
		before := earlier(t, "")
		old := launchReady(t, before, env)
		js := natstest.JetStream(t, url)
		n := 0
		request := func(count int) {
			for range count {
				n++
				publish(t, js, requestFor(t, fmt.Sprintf("order-%d", n), fmt.Sprintf("tenant_%d", n)))
			}
		}
		request(decided)
		publish(t, js, requestFor(t, "exists", "tenant_1"), scenarios["undecodable"].request(t, "", ""))
		publish(t, js, scenarios["refused"].request(t, "refused", ""))
		awaitSettled(t, js)
		replay := func(v variant, args ...string) {
			p := launchVariant(t, v, env, append([]string{"dead-letters", "replay"}, args...)...)
			testkit.Equal(t, "exit code of replay", p.wait(t), 1) // it fails again
		}
		replay(before, "--reason", "TENANT_EXISTS")
		if !d.sqlite() {
			d.awaitPool(t, pool)
		}
		request(running)
		old.awaitStep(t)
		old.signal(t, syscall.SIGKILL)
		testkit.Equal(t, "exit code", old.wait(t), -1)

		now := launchReady(t, variant{}, env)
		awaitSettled(t, js)
		provisioned := fmt.Sprintf("provisioned %d", n)
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)),
			"INVALID_TENANT_ID 1, TENANT_EXISTS 2, UNDECODABLE_EVENT 1, "+provisioned)
		testkit.Equal(t, "registered tenants", len(d.tenants()), n)
		verifyTenants(t, d, n+1)
		testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
		testkit.Equal(t, "dead letters", deadLetters(t, js), 3)
		replay(variant{}, "--all", "--yes")
		awaitSettled(t, js)
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)),
			"INVALID_TENANT_ID 2, TENANT_EXISTS 3, UNDECODABLE_EVENT 2, "+provisioned)
		testkit.Equal(t, "dead letters", deadLetters(t, js), 3)
		now.end(t)

		old = launchReady(t, before, env)
		request(1)
		awaitSettled(t, js)
		replay(before, "--reason", "TENANT_EXISTS")
		awaitSettled(t, js)
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)),
			fmt.Sprintf("INVALID_TENANT_ID 2, TENANT_EXISTS 4, UNDECODABLE_EVENT 2, provisioned %d", n))
		verifyTenants(t, d, n+1)
		old.end(t)
	})
}

// If this version has recreated the durable consumer, the earlier version refuses to start on it, by name. The commands
// of docs/deploying.md make going back possible, and no request gets a second outcome.
func TestUpgradeAndBackAfterTheConsumerWasRecreated(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	url := natstest.Start(t)
	env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "1s"))
	now := launchReady(t, variant{}, env)
	js := natstest.JetStream(t, url)
	publish(t, js, requestFor(t, "order-1", "acme"), scenarios["refused"].request(t, "refused", ""))
	awaitSettled(t, js)
	now.end(t)
	next := durableConsumer(t, js).AckFloor.Stream + 1
	testkit.Must(t, js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
	_, err := js.CreateConsumer(t.Context(), events.StreamRequests, jetstream.ConsumerConfig{ // as the service recreates it
		Durable: events.DurableConsumer, AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1, MaxAckPending: -1,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next,
		Metadata: map[string]string{"tenant-provisioner.start-sequence": fmt.Sprint(next)},
	})
	testkit.Must(t, err)
	now = launchReady(t, variant{}, env)
	publish(t, js, requestFor(t, "order-2", "acme2"))
	awaitSettled(t, js)
	now.end(t)

	refused := launchVariant(t, earlier(t, ""), env)
	testkit.Equal(t, "exit code", refused.wait(t), 1)
	testkit.Contains(t, "stderr", refused.stderr.String(), "consumer tenant-provisioner on TENANT_REQUESTS", "deliver_policy")
	// nats stream purge --seq, nats consumer rm
	stream, err := js.Stream(t.Context(), events.StreamRequests)
	testkit.Must(t, err)
	testkit.Must(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(durableConsumer(t, js).AckFloor.Stream+1)))
	testkit.Must(t, js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
	old := launchReady(t, earlier(t, ""), env)
	publish(t, js, requestFor(t, "order-3", "acme3"))
	awaitSettled(t, js)
	old.end(t)
	testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "INVALID_TENANT_ID 1, provisioned 3")
	testkit.Equal(t, "deliveries of the new consumer", durableConsumer(t, js).Delivered.Consumer, 1)
}

func durableConsumer(t *testing.T, js jetstream.JetStream) *jetstream.ConsumerInfo {
	t.Helper()
	consumer, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
	testkit.Must(t, err)
	return consumer.CachedInfo()
}

// The crash matrix across versions: one version is killed at every point between two durable effects, the other one
// finishes, forth and back. Each request has one outcome, the registry matches the outcomes, and every tenant is complete.
func TestUpgradeAfterAKillAtEveryPoint(t *testing.T) {
	for _, direction := range []struct {
		name         string
		killed, then func(*testing.T) variant
	}{
		{"forth", func(t *testing.T) variant { return earlier(t, "crashpoints") }, func(*testing.T) variant { return variant{} }},
		{"back", func(*testing.T) variant { return variant{tags: "crashpoints"} }, func(t *testing.T) variant { return earlier(t, "") }},
	} {
		for name, f := range scenarios {
			if direction.name == "back" && name == "undecodable" {
				continue // the earlier version decides such a message again: docs/deploying.md
			}
			if direction.name == "back" {
				f.sqlite = nil // the earlier version may refuse the file that was placed, as that document says
			}
			t.Run(direction.name+"/"+name, func(t *testing.T) {
				onInstallations(t, func(t *testing.T, d testDatabase) {
					testKillsAcrossVersions(t, d, f, direction.killed(t), direction.then(t))
				})
			})
		}
	}
}

func testKillsAcrossVersions(t *testing.T, d testDatabase, f scenario, version, then variant) {
	t.Helper()
	points := f.pointsOn(d)
	url := natstest.Start(t)
	env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "1s"))
	launchReady(t, then, env).end(t)
	js := natstest.JetStream(t, url)
	kills := 0
	for i, point := range points {
		if f.prepare != nil {
			f.prepare(d, fmt.Sprintf("tenant_%d", i))
		}
		killed := launchVariant(t, version, merge(env, with("CRASH_AT", point)))
		publish(t, js, f.request(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
		if !killed.isKilled(t, js) { // that version has no such point
			continue
		}
		kills++
		again := launchReady(t, then, env)
		awaitSettled(t, js)
		again.end(t)
		if outcomes := len(storedOutcomes(t, js)); outcomes != i+1 {
			t.Fatalf("%d outcomes of %d requests after %s", outcomes, i+1, point)
		}
	}
	t.Logf("killed at %d of %d points", kills, len(points))
	if kills == 0 {
		t.Error("no point was reached, so this test proves nothing")
	}
	checkConsistency(t, d, storedOutcomes(t, js), f.cause, len(points))
	letters := 0
	if f.cause != "" {
		letters = len(points)
	}
	testkit.Equal(t, "dead letters", deadLetters(t, js), letters)
}

// isKilled waits until a crash point has killed the replica. It reports false if the replica has settled all requests
// without reaching the point, and has been stopped.
func (p *process) isKilled(t *testing.T, js jetstream.JetStream) bool {
	t.Helper()
	testkit.Eventually(t, "the replica is killed, or has settled all", func() bool { return len(p.done) > 0 || isSettled(t, js) })
	p.Process.Signal(syscall.SIGTERM) // it may have ended
	return p.wait(t) == -1
}
