package service

import (
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// A server that is too old is refused by name at the start.
func TestServiceRefusesAnOldServer(t *testing.T) {
	t.Parallel()
	r := run(t, natstest.OfVersion(t, "2.10.3"))
	err := testkit.Receive(t, "the service ends", r.ended)
	r.ended <- nil
	if err == nil {
		t.Fatal("the service took an old server")
	}
	testkit.Contains(t, "the error", err.Error(), "2.10.3", "upgrade it to "+natsconn.Oldest)
}

// While the service waits for the database, the probe names the database, not what it waited for before.
func TestProbeNamesWhatTheServiceWaitsForNow(t *testing.T) {
	t.Parallel()
	silent := strings.TrimPrefix(natstest.Silent(t), "nats://")
	r := run(t, natstest.Start(t), map[string]string{"DATABASE_URL": "postgres://me@" + silent + "/tenants"})
	r.awaitNotReady("waiting for the database: it has not answered yet")
	// A metric that is missing until the service has started could not raise an alert about a start that waits.
	testkit.Contains(t, "the metrics", body(r.counts.Handler().ServeHTTP),
		"tenant_provisioner_ready 0", "tenant_provisioner_alive 1", "tenant_provisioner_database_mismatch 0", "tenant_provisioner_queue_up 0")
}

// A cluster that is still forming is waited for.
func TestServiceWaitsForACluster(t *testing.T) {
	t.Parallel()
	var clients, routes []string
	for range 3 {
		clients, routes = append(clients, testkit.FreeAddr(t)), append(routes, testkit.FreeAddr(t))
	}
	start := func(i int) {
		natstest.StartConfigured(t, fmt.Sprintf("server_name: n%d\nlisten: %q\ncluster { name: C, listen: %q, routes: [%s] }",
			i, clients[i], routes[i], "nats://"+strings.Join(routes, ", nats://")))
	}
	start(0)
	r := run(t, "nats://"+strings.Join(clients, ",nats://"), map[string]string{"NATS_REPLICAS": "3"})
	r.awaitNotReady("temporarily unavailable")
	start(1)
	start(2)
	r.awaitReady()
	js := natstest.JetStream(t, "nats://"+clients[2])
	publishRequests(t, js, "acme")
	awaitOutcomes(t, js, 1, 0)
}

// The server closes the connection for a message that is larger than its max_payload, which was lowered after the client
// had connected. The client then gives up for good, and the service replaces it.
func TestConnectionThatTheClientClosedIsReplaced(t *testing.T) {
	t.Parallel()
	s := natstest.StartConfigured(t, "max_payload: 1MB")
	r := run(t, s.URL)
	r.awaitReady()
	js := natstest.JetStream(t, s.URL)
	s.Reload("max_payload: 8KB")
	// Its dead letter holds it and the reasons.
	_, err := js.PublishMsg(t.Context(), message(nil, []byte(strings.Repeat("x", 8<<10-200))))
	testkit.Must(t, err)
	testkit.Logs(t, r.log, "NATS client has closed its connection; connecting again")
	awaitOutcomes(t, js, 1, 1)
	r.awaitReady()
	testkit.Contains(t, "the metrics", body(r.counts.Handler().ServeHTTP), "tenant_provisioner_ready 1")
}
