package main

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// Whatever number a publisher gives to a request, an operator can replay it once its cause is fixed.
func TestReplayNumberOfAPublisher(t *testing.T) {
	headers := []struct {
		header      nats.Header
		known, new_ int // the replay number of the outcome, if the ledger has the request and if not
	}{
		{nats.Header{"Replay-Number": {"2147483647"}}, 0, 0},
		{nats.Header{"Replay-Number": {"2147483646"}}, 0, 0},
		{nats.Header{"Replay-Number": {"1000000000"}}, 1_000_000_000, 1_000_000_000},
		{nats.Header{"Replay-Number": {"1000000001"}}, 0, 0},
		{nats.Header{"Replay-Number": {"9223372036854775807"}}, 0, 0},
		{nats.Header{"Replay-Number": {"99999999999999999999"}}, 0, 0},
		{nats.Header{"Replay-Number": {"-1"}}, 0, 0},
		{nats.Header{"Replay-Number": {" 1 "}}, 1, 1},
		{nats.Header{"Replay-Number": {"1 "}}, 1, 1},
		{nats.Header{"Replay-Number": {"+1"}}, 0, 0},
		{nats.Header{"Replay-Number": {"0x1"}}, 0, 0},
		{nats.Header{"Replay-Number": {"1e3"}}, 0, 0},
		{nats.Header{"Replay-Number": {"١"}}, 0, 0},
		{nats.Header{"Replay-Number": {"2", "2147483647", "3"}}, 0, 0}, // the largest counts, and is out of range
		{nats.Header{"Replay-Number": {"2"}, "replay-number": {"3"}}, 3, 3},
	}
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		url := natstest.Start(t)
		env := settings(d.env, with("NATS_URL", url))
		service := serve(t, env)
		js := natstest.JetStream(t, url)
		want := map[string]int{} // the replay number of each tenant's last failure
		for i, h := range headers {
			for _, known := range []bool{true, false} {
				tenant := fmt.Sprintf("t%d_%v", i, known)
				d.createBoundary(tenant, "CREATE TABLE {b}precious (n integer)", "INSERT INTO {b}precious VALUES (1)")
				want[tenant] = h.new_
				if known {
					publish(t, js, requestFor(t, tenant, tenant))
					awaitSettled(t, js)
					want[tenant] = h.known
				}
				msg := requestFor(t, tenant, tenant)
				for name, values := range h.header {
					msg.Header[name] = values
				}
				publish(t, js, msg)
				awaitSettled(t, js)
			}
		}
		last := map[string]int{}
		for _, e := range storedOutcomes(t, js) {
			data, err := events.FailedFrom(e)
			testkit.Must(t, err)
			testkit.Equal(t, "cause", data.Cause.Code, events.CauseBoundaryNotEmpty)
			last[data.TenantID] = data.Replay
		}
		for tenant, replay := range want {
			testkit.Equal(t, fmt.Sprintf("replay of %s", tenant), last[tenant], replay)
			d.rows(tenant, "DELETE FROM {b}precious RETURNING 'x'")
		}
		code, stdout, stderr := command(t, env, "dead-letters", "replay", "--all", "--yes", "--wait", outcomeWait)
		testkit.Equal(t, "exit code", code, 0)
		testkit.Contains(t, "stdout", stdout+stderr, fmt.Sprintf("%d selected", len(want)))
		testkit.Equal(t, "tenants", len(d.tenants()), len(want))
		for _, e := range storedOutcomes(t, js) {
			if e.Type() != events.TypeProvisioned {
				continue
			}
			data, err := events.ProvisionedFrom(e)
			testkit.Must(t, err)
			testkit.Equal(t, fmt.Sprintf("replay of %s", data.TenantID), data.Replay, want[data.TenantID]+1)
		}
		testkit.Equal(t, "exit code", service.stop(t), 0)
	})
}
