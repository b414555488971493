package main

import (
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// pooledSchemas returns the schemas in the pool of prepared boundaries.
func (d testDatabase) pooledSchemas() []string {
	return d.rows(system, "SELECT schema_name FROM {b}prepared_boundaries ORDER BY schema_name")
}

// awaitPool waits until the pool holds n boundaries.
func (d testDatabase) awaitPool(t *testing.T, n int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("the pool holds %d boundaries", n), func() bool { return len(d.pooledSchemas()) == n })
}

// newPostgresWithPool returns a database with a registry and n prepared boundaries, without a running service.
func newPostgresWithPool(t *testing.T, n int) testDatabase {
	t.Helper()
	d := newPostgres(t)
	r := serve(t, settings(d.env, with("NATS_URL", natstest.Start(t)), with("PREPARED_BOUNDARIES", fmt.Sprint(n))))
	d.awaitPool(t, n)
	testkit.Equal(t, "exit code", r.stop(t), 0)
	return d
}

// The service prepares boundaries, uses them, and reports it.
func TestServicePreparesBoundaries(t *testing.T) {
	t.Parallel()
	d := newPostgres(t)
	env := settings(d.env, with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0"))
	without := serve(t, env)
	_, metrics := get(t, "http://"+testkit.Logged(t, &without.stderr, "HTTP server is up", "addr")+"/metrics")
	if strings.Contains(metrics, "_prepared_") {
		t.Error("there are metrics of a pool that does not exist")
	}
	testkit.Equal(t, "exit code", without.stop(t), 0)

	r := serve(t, merge(env, with("PREPARED_BOUNDARIES", "1")))
	http := "http://" + testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
	awaitMetric := func(what string) {
		t.Helper()
		testkit.Eventually(t, "the metrics have "+what, func() bool {
			_, text := get(t, http+"/metrics")
			return strings.Contains(text, "\ntenant_provisioner_prepared_"+what+"\n")
		})
	}
	awaitMetric("boundaries 1")
	awaitMetric("boundaries_target 1")
	awaitMetric("taken_total 0")
	js := natstest.JetStream(t, env["NATS_URL"])
	publish(t, js, requestFor(t, "order-1", "acme"))
	awaitSettled(t, js)
	awaitMetric("taken_total 1")
	awaitMetric("misses_total 0")
	awaitMetric("boundaries 1") // again
	outcomes := storedOutcomes(t, js)
	testkit.Equal(t, "outcomes", len(outcomes), 1)
	data, err := events.ProvisionedFrom(outcomes[0])
	testkit.Must(t, err)
	if !data.Prepared || data.Tables != 11 || data.Indexes != 18 || len(data.Steps) != 5 {
		t.Errorf("%+v", data)
	}
	var shown strings.Builder
	testkit.Must(t, showOutcome(&shown, terminal.NewPalette(false), outcomes[0]))
	testkit.Contains(t, "text output", shown.String(), "18 indexes, prepared, attempt 1,")
	verifyTenants(t, d, 2)
}
