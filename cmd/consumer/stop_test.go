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

// On a signal to stop the service finishes what runs and releases the rest: the next process does not wait for
// AckWait, and nothing was tried that did not get its result.
func TestStopUnderLoad(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		const requests, ackWait, drain = 60, 4 * testkit.Patience, 2 * testkit.Patience // neither is waited for
		url := natstest.Start(t)
		env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", ackWait.String()), with("DRAIN_TIMEOUT", drain.String()))
		js := natstest.JetStream(t, url)
		total, done := 0, 0
		for done == total { // until it has not done everything before it is told to stop
			if total == 10*requests {
				t.Fatal("it is never stopped at work")
			}
			first := enlist(t, 1, env)[0]
			messages := make([]*nats.Msg, requests)
			for i := range messages {
				messages[i] = requestFor(t, fmt.Sprintf("order_%d", total+i), fmt.Sprintf("tenant_order_%d", total+i))
			}
			immediately(t, js, messages)
			testkit.Eventually(t, "some are done", func() bool { return published(t, js) >= total+10 })
			first.signal(t, syscall.SIGTERM)
			testkit.Equal(t, "exit code", first.wait(t), 0)
			total, done = total+requests, published(t, js)
		}
		told := time.Now()
		enlist(t, 1, env)
		allAtFirst(t, d, js, total, ackWait/2)
		t.Logf("%d of %d done when it had stopped, all %s later", done, total, time.Since(told).Round(time.Millisecond))
	})
}

// Three replicas are replaced one after the other under load, without an effect on requests.
func TestRollingRestart(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		const requests, ackWait = 60, 5 * time.Minute
		url := natstest.Start(t)
		env := settings(d.env, with("NATS_URL", url), with("ACK_WAIT", ackWait.String()))
		fleet := enlist(t, 3, env)
		js := natstest.JetStream(t, url)
		f := pour(t, js, requests, 20*time.Millisecond)
		for i, old := range fleet {
			f.reaches(t, requests*(i+1)/(len(fleet)+1))
			old.signal(t, syscall.SIGTERM)
			testkit.Equal(t, "exit code", old.wait(t), 0)
			enlist(t, 1, env)
		}
		f.ends(t, d, js, ackWait/2) // earlier than what was not handed back
	})
}
