package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// stopLimit is how long a stop may take beyond DRAIN_TIMEOUT, whatever hangs: 7 s as docs/deploying.md says, and 8 s
// because the machine may be busy. A sum of the timeouts of all parts is longer.
const stopLimit = 7*time.Second + 8*time.Second

// PostgreSQL, NATS and the collector of traces hang: connections stay open, and nothing answers. The service ends within
// its deadline, with exit code 0.
func TestStopWhileEverythingHangs(t *testing.T) {
	t.Parallel()
	const drain = time.Second
	for name, requests := range map[string]int{"idle": 0, "with work": 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, nats := newPostgres(t), natstest.Start(t)
			database, databaseURL := newRelay(t, d.env["DATABASE_URL"])
			relay, natsURL := newRelay(t, nats)
			collector, _ := silentServer(t)
			p := launch(t, settings(d.env, map[string]string{
				"DATABASE_URL": databaseURL, "NATS_URL": natsURL, "DRAIN_TIMEOUT": drain.String(), "PREPARED_BOUNDARIES": "2",
				"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + collector, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
			}))
			testkit.Logged(t, &p.stderr, "taking requests", "workers")
			js := natstest.JetStream(t, nats)
			for i := range requests {
				publish(t, js, requestFor(t, fmt.Sprint(i), fmt.Sprint("tenant_", i)))
			}
			if requests > 0 {
				testkit.Logs(t, &p.stderr, "Step 2/5")
			}
			defer database.stall()()
			defer relay.stall()()
			began := time.Now()
			p.signal(t, syscall.SIGTERM)
			testkit.Equal(t, "exit code", p.wait(t), 0)
			took := time.Since(began)
			t.Logf("ended after %s", took.Round(time.Millisecond))
			if took > drain+stopLimit {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// A second signal ends the process at once.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	d, nats := newSQLite(t), natstest.Start(t)
	relay, natsURL := newRelay(t, nats)
	p := launch(t, settings(d.env, with("NATS_URL", natsURL), with("DRAIN_TIMEOUT", (2*testkit.Patience).String())))
	testkit.Logged(t, &p.stderr, "taking requests", "workers")
	js := natstest.JetStream(t, nats)
	for i := range 20 {
		publish(t, js, requestFor(t, fmt.Sprint(i), fmt.Sprint("tenant_", i)))
	}
	testkit.Logs(t, &p.stderr, "Step 2/5")
	defer relay.stall()() // work does not end
	p.signal(t, syscall.SIGTERM)
	testkit.Logged(t, &p.stderr, "stopping", "within")
	testkit.Eventually(t, "the process ends", func() bool {
		p.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case err := <-p.done:
			p.done <- err
			return true
		default:
			return false
		}
	})
	testkit.Equal(t, "exit code", p.wait(t), -1) // by the signal, not at the end of the drain
}
