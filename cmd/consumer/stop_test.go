package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// On a signal to stop the service finishes running attempts and releases the rest: the next process does not wait for
// AckWait, and no attempt is spent without a result.
func TestStopUnderLoad(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		const requests, ackWait, drain = 60, 4 * testkit.Patience, 2 * testkit.Patience // longer than the test waits
		url := natstest.Start(t)
		env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", ackWait.String()), with("DRAIN_TIMEOUT", drain.String()))
		js := natstest.JetStream(t, url)
		total, done := 0, 0
		for done == total { // until work is left when the service stops
			if total == 10*requests {
				t.Fatal("the service is never stopped at work")
			}
			first := startReplicas(t, 1, env)[0]
			messages := make([]*nats.Msg, requests)
			for i := range messages {
				messages[i] = requestFor(t, fmt.Sprintf("order_%d", total+i), fmt.Sprintf("tenant_order_%d", total+i))
			}
			publishConcurrently(t, js, messages)
			testkit.Eventually(t, "some are done", func() bool { return published(t, js) >= total+10 })
			first.signal(t, syscall.SIGTERM)
			testkit.Equal(t, "exit code", first.wait(t), 0)
			total, done = total+requests, published(t, js)
		}
		stopped := time.Now()
		startReplicas(t, 1, env)
		awaitFirstAttempts(t, d, js, total, ackWait/2)
		t.Logf("%d of %d done when it had stopped, all %s later", done, total, time.Since(stopped).Round(time.Millisecond))
	})
}

// Three replicas are replaced one after the other under load, without an effect on requests.
func TestRollingRestart(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		const requests, ackWait = 60, 5 * time.Minute
		url := natstest.Start(t)
		env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", ackWait.String()))
		fleet := startReplicas(t, 3, env)
		js := natstest.JetStream(t, url)
		f := startLoad(t, js, requests, 20*time.Millisecond)
		for i, old := range fleet {
			f.awaitPublished(t, requests*(i+1)/(len(fleet)+1))
			old.signal(t, syscall.SIGTERM)
			testkit.Equal(t, "exit code", old.wait(t), 0)
			startReplicas(t, 1, env)
		}
		f.finish(t, d, js, ackWait/2) // sooner than the redelivery of requests that are not released
	})
}
