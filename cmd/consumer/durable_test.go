package main

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// A published outcome is committed and synced. The server and the program are killed under load, as in a power failure,
// with and without prepared boundaries. Before the program restarts, the database has every outcome, with its tenant
// and all tables.
func TestPublishedOutcomesSurviveAServerCrash(t *testing.T) {
	t.Parallel()
	const rounds, requests = 2, 40
	s := postgrestest.Private(t, "fsync=on", "full_page_writes=on", "synchronous_commit=off") // which it overrides
	d, nats := postgresAt(t, s.URL, s.URL), natstest.Start(t)
	env := settings(d.env, with("NATS_URL", nats), with("ACK_WAIT", "1s"))
	js := natstest.JetStream(t, nats)
	prepared, total := 0, 0
	for round, proven := 0, 0; proven < rounds; round++ {
		if round == 10*rounds {
			t.Fatal("the program is never killed at work")
		}
		roundEnv := merge(env, with("PREPARED_BOUNDARIES", fmt.Sprint(20*(round%2))))
		fleet := []*process{launch(t, roundEnv), launch(t, roundEnv)}
		for _, p := range fleet {
			testkit.Logged(t, &p.stderr, "taking requests", "workers")
		}
		if round%2 == 1 {
			testkit.Eventually(t, "boundaries are prepared", func() bool {
				return len(d.rows(system, "SELECT schema_name FROM {b}prepared_boundaries")) >= 10
			})
		}
		before := published(t, js)
		total += requests
		for i := range requests {
			publish(t, js, requestFor(t, fmt.Sprintf("order-%d-%d", round, i), fmt.Sprintf("tenant_%d_%d", round, i)))
		}
		testkit.Eventually(t, "the program is at work", func() bool { return published(t, js) >= before+5 })
		s.Kill()
		for _, p := range fleet {
			p.signal(t, syscall.SIGKILL)
			p.wait(t)
		}
		outcomes := storedOutcomes(t, js)
		s.Start()
		if len(outcomes) < total {
			proven++
		} else {
			t.Logf("round %d: all was done before the kill, which proves nothing; repeating", round)
		}
		// One query: a query for each outcome takes minutes.
		recorded := d.rows(system, "SELECT t.tenant_id || ' ' || r.outcome_id || ' ' || t.schema_name || ' ' || s.tables "+
			"FROM {b}tenant_registry t JOIN {b}tenant_requests r ON r.tenant_id = t.tenant_id JOIN (SELECT schemaname, "+
			"count(*) AS tables FROM pg_tables GROUP BY schemaname) s ON s.schemaname = t.schema_name")
		for _, e := range outcomes {
			testkit.Equal(t, "type", e.Type(), events.TypeProvisioned)
			data, err := events.ProvisionedFrom(e)
			testkit.Must(t, err)
			if data.Prepared {
				prepared++
			}
			if want := data.TenantID + " " + e.ID() + " " + data.SchemaName + " 11"; !slices.Contains(recorded, want) {
				t.Errorf("round %d: published %q, which is not in the database", round, want)
			}
		}
	}
	if prepared == 0 {
		t.Error("no tenant was prepared")
	}
	last := launch(t, env)
	testkit.Logged(t, &last.stderr, "taking requests", "workers")
	awaitAllProvisioned(t, d, js, total, testkit.Patience)
	testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
}

// published returns the number of outcomes in their stream.
func published(t *testing.T, js jetstream.JetStream) int {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	return int(stream.CachedInfo().State.Msgs)
}
