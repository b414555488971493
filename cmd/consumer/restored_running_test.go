package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// The database is replaced by an older copy while the service runs and requests arrive. The name of a lost tenant is
// not given to another request, also not for the moment until the guard is due.
func TestDatabaseIsRestoredUnderTheService(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0"), with("ACK_WAIT", "2s"))
		js := natstest.JetStream(t, env["NATS_URL"])
		served(t, env, js, "a1")
		backup := copyOf(t, d)
		r := serve(t, env)
		address := r.http(t)
		publish(t, js, requestFor(t, "r-b1", "b1"), requestFor(t, "r-b2", "b2"))
		awaitSettled(t, js)
		d.restore(t, backup)
		publish(t, js, requestFor(t, "thief", "b1"))
		if d.sqlite() { // the file was replaced, and the service has the former one open
			awaitNotReady(t, address, "is not the file that was opened; restart the service")
			testkit.Equal(t, "exit code", r.stop(t), 0)
			r = start(t, env, "run")
			address = r.http(t)
		}
		awaitNotReady(t, address, "the database is older than the streams")
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "provisioned 3")
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1")

		// A repair in part does not make it ready.
		code, stdout, stderr := command(t, env, "reconcile", "--tenant", "b2", "--apply", "--recreate")
		testkit.Equal(t, "exit code: "+stdout+stderr, code, 0)
		awaitNotReady(t, address, `tenant "b1"`)
		code, stdout, stderr = command(t, env, "reconcile", "--apply", "--recreate")
		testkit.Equal(t, "exit code: "+stdout+stderr, code, 0)
		testkit.Eventually(t, "the service is ready again", func() bool {
			code, _ := get(t, address+"/readyz")
			return code == http.StatusOK
		})
		awaitSettled(t, js)
		testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "TENANT_EXISTS 1, provisioned 3")
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1 b1 b2")
		testkit.Equal(t, "exit code", r.stop(t), 0)
	})
}

// Messages that are not outcomes, stored after the lost ones, do not hide that the database is older.
func TestGarbageDoesNotHideARestore(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)), with("HTTP_ADDR", "127.0.0.1:0"))
		js := natstest.JetStream(t, env["NATS_URL"])
		served(t, env, js, "a1")
		backup := copyOf(t, d)
		served(t, env, js, "b1")
		d.restore(t, backup)
		for _, subject := range []string{events.TypeProvisioned, events.TypeProvisioningFailed} {
			publish(t, js, &nats.Msg{Subject: subject, Data: []byte("{}")})
		}
		r := start(t, env, "run")
		awaitNotReady(t, r.http(t), `tenant "b1"`)
		testkit.Equal(t, "exit code", r.stop(t), 0)
	})
}
