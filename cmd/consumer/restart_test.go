package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// A stopped service releases requests to its embedded server. They are redelivered immediately after a restart, and the
// attempt does not count.
func TestRestartOfTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	const requests, ackWait = 60, 4 * testkit.Patience // longer than the test waits
	d := newSQLite(t)
	env := settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t)),
		with("DRAIN_TIMEOUT", "1ms"), with("ACK_WAIT", ackWait.String()), with("MAX_ATTEMPTS", "1"))
	p := launch(t, env)
	url := testkit.Logged(t, &p.stderr, "embedded NATS server is up", "url")
	testkit.Logged(t, &p.stderr, "taking requests", "workers")
	js := natstest.JetStream(t, url)
	for i := range requests {
		publish(t, js, requestFor(t, fmt.Sprintf("order-%d", i), fmt.Sprintf("tenant_%d", i)))
	}
	begin := time.Now()
	for range 5 {
		steps := strings.Count(p.stderr.String(), "Step ") + 20
		testkit.Eventually(t, "the program is at work", func() bool {
			return strings.Count(p.stderr.String(), "Step ") >= steps || isSettled(t, js)
		})
		p.signal(t, syscall.SIGTERM)
		testkit.Equal(t, "exit code", p.wait(t), 0)
		p = launch(t, env)
		testkit.Logged(t, &p.stderr, "taking requests", "workers")
		js = natstest.JetStream(t, url)
	}
	awaitSettled(t, js)
	if took := time.Since(begin); took > ackWait/2 {
		t.Errorf("settled after %s", took)
	}
	outcomes := storedOutcomes(t, js)
	testkit.Equal(t, "outcomes", countOutcomes(t, outcomes), fmt.Sprintf("provisioned %d", requests))
	for _, e := range outcomes {
		data, err := events.ProvisionedFrom(e)
		testkit.Must(t, err)
		testkit.Equal(t, "attempts of "+data.TenantID, data.Attempts, 1)
	}
}
