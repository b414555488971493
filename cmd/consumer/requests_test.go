package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestRequestsShowListsAttemptsAndReplays(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env, js := startProvisioned(t, d)
		show := func(id string, more ...string) (code int, stdout, stderr string) {
			return command(t, env, append([]string{"requests", "show", billing, id}, more...)...)
		}
		key := events.RequestKey(billing, "order-2")
		replay := requestFor(t, "order-2", "acme")
		replay.Header.Set("Replay-Number", "1")
		publish(t, js, replay)
		awaitSettled(t, js)

		var code int
		var stdout, stderr string
		testkit.Eventually(t, "the dead letter is confirmed", func() bool {
			code, stdout, stderr = show("order-2")
			return strings.Contains(stdout, "confirmed, key "+key) && !strings.Contains(stdout, "not confirmed")
		})
		letters, err := js.Stream(t.Context(), events.StreamDeadLetters)
		testkit.Must(t, err)
		created := letters.CachedInfo().Created
		testkit.Contains(t, "the dead letter's stream", stdout, ", in the stream created "+terminal.Time(created)+"\n")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "stderr", stderr, "")
		testkit.Contains(t, "a failed request", stdout, "source       "+billing+"\n", "key          "+key+"\n", "tenant       acme\n",
			"state        failed\n", "replay       1\n", "last cause   TENANT_EXISTS\n", "last step    validate_request\n",
			"outcome      "+events.OutcomeID(billing, "order-2", 1, events.TypeProvisioningFailed)+" tenant.provisioning_failed\n",
			"history\n")
		if strings.Contains(stdout, "specversion") {
			t.Errorf("the outcome is shown:\n%s", stdout)
		}
		code, stdout, _ = show("order-2", "--json")
		testkit.Equal(t, "exit code", code, 0)
		view := objects[requestView](t, stdout)[0]
		var history []string
		for _, entry := range view.History {
			history = append(history, fmt.Sprintf("%s %d %d %s", entry.Event, entry.Replay, entry.Attempt, entry.Cause))
			if time.Since(entry.At).Abs() > 10*time.Minute {
				t.Errorf("at %s", entry.At)
			}
		}
		testkit.Equal(t, "history", strings.Join(history, ", "), "begun 0 1 , failed 0 1 TENANT_EXISTS, begun 1 1 , failed 1 1 TENANT_EXISTS")
		validator(t)(view.Outcome)
		testkit.Equal(t, "the dead letter's stream", view.DeadLetterStream, created.UTC().Format(time.RFC3339Nano))
		if view.Key != key || view.State != "failed" || view.Replay != 1 || !view.DeadLetterConfirmed || view.TenantID != "acme" ||
			view.OutcomeType != events.TypeProvisioningFailed {
			t.Errorf("%+v", view)
		}

		code, stdout, _ = show("order-1")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Contains(t, "a request that succeeded", stdout, "state        provisioned\n", "dead letter  none\n", "begun", "provisioned")

		code, stdout, stderr = show("order-9")
		testkit.Equal(t, "exit code of an unknown request", code, 1)
		testkit.Equal(t, "stdout", stdout, "")
		testkit.Contains(t, "stderr", stderr, `no request with source "/billing" and id "order-9"`)
	})
}

// The stream of dead letters is lost. A request that failed and is sent again has its dead letter again, and can be
// replayed once the cause is fixed.
func TestDeadLettersOfALostStream(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		d.createBoundary("occupied", "CREATE TABLE {b}mine (n integer)", "INSERT INTO {b}mine VALUES (1)")
		env, js := startProvisioned(t, d)
		publish(t, js, requestFor(t, "order-4", "occupied"), &nats.Msg{Subject: events.TypeRequested, Data: []byte("please")})
		awaitSettled(t, js)
		testkit.Equal(t, "dead letters", deadLetters(t, js), 3)

		testkit.Must(t, js.DeleteStream(t.Context(), events.StreamDeadLetters))
		publish(t, js, requestFor(t, "order-4", "occupied")) // the service creates the stream again
		awaitSettled(t, js)
		testkit.Equal(t, "dead letters", deadLetters(t, js), 1)
		d.execute("occupied", "DELETE FROM {b}mine")
		code, stdout, stderr := command(t, env, "dead-letters", "replay", "--all", "--yes")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Contains(t, "output", stdout+stderr, "occupied BOUNDARY_NOT_EMPTY: replayed, as replay 1: provisioned")
		testkit.Equal(t, "tenants", fmt.Sprint(d.tenants()), "[acme beta occupied]")
	})
}

func TestUntrustedTextOnATerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Acme Ünïted 株式会社": "Acme Ünïted 株式会社", "": `""`, "a\nb": `"a\nb"`, "\x1b[2J": `"\x1b[2J"`, " a": `" a"`,
		"\u202eevil": `"\u202eevil"`, "\xff": `"\xff"`,
	} {
		testkit.Equal(t, text, terminal.Plain(text), want)
	}
	testkit.Equal(t, "a time that could not be read", terminal.Time(time.Time{}), "?")
}
