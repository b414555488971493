package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
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

// requests show states what has become of a dead letter, as far as ledger and stream know it.
func TestRequestsShowADeadLetterThatIsGone(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		d.createBoundary("occupied", "CREATE TABLE {b}mine (n integer)", "INSERT INTO {b}mine VALUES (1)")
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		js := natstest.JetStream(t, env["NATS_URL"])
		service := serve(t, env)
		publish(t, js, requestFor(t, "order-1", "occupied"), requestFor(t, "order-2", "occupied"))
		awaitSettled(t, js)
		show := func(id string, env map[string]string, status string, parts ...string) {
			t.Helper()
			code, stdout, stderr := command(t, env, "requests", "show", billing, id)
			testkit.Equal(t, "exit code: "+stderr, code, 0)
			testkit.Equal(t, "stderr", stderr, "")
			testkit.Contains(t, "stdout", stdout, parts...)
			_, stdout, _ = command(t, env, "requests", "show", billing, id, "--json")
			testkit.Equal(t, "status", objects[requestView](t, stdout)[0].DeadLetter.Status, status)
		}
		testkit.Eventually(t, "both dead letters are confirmed", func() bool {
			_, one, _ := command(t, env, "requests", "show", billing, "order-1")
			_, two, _ := command(t, env, "requests", "show", billing, "order-2")
			return strings.Contains(one, "letter  confirmed") && strings.Contains(two, "letter  confirmed")
		})
		key := events.RequestKey(billing, "order-1")
		code, stdout, _ := command(t, env, "requests", "show", billing, "order-1", "--json")
		testkit.Equal(t, "exit code", code, 0)
		letter := objects[requestView](t, stdout)[0].DeadLetter
		testkit.Equal(t, "status and replay", fmt.Sprint(letter.Status, *letter.Replay), "stored0")

		code, _, _ = command(t, env, "dead-letters", "remove", key, "--yes")
		testkit.Equal(t, "exit code of remove", code, 0)
		show("order-1", env, "not_stored", "confirmed, key "+key, "no longer in TENANT_DEAD_LETTERS: removed, replayed, expired or purged",
			"keeps no record")

		d.execute("occupied", "DELETE FROM {b}mine")
		code, _, stderr := command(t, env, "dead-letters", "replay", events.RequestKey(billing, "order-2"), "--wait", outcomeWait)
		testkit.Equal(t, "exit code of replay: "+stderr, code, 0)
		show("order-2", env, "not_stored", "dead letter  none: replay 1 succeeded\n")

		unreachable := merge(env, with("NATS_URL", "nats://127.0.0.1:1"))
		show("order-1", unreachable, "unknown", "confirmed, key "+key, "whether TENANT_DEAD_LETTERS has it is unknown: ", "127.0.0.1:1")
		show("order-2", unreachable, "unknown", "none to be expected; whether TENANT_DEAD_LETTERS has it is unknown")

		service.stop(t)
		testkit.Must(t, js.DeleteStream(t.Context(), events.StreamDeadLetters))
		show("order-1", env, "not_stored", "stream TENANT_DEAD_LETTERS does not exist any more")
		serve(t, env)
		show("order-1", env, "not_stored", "the stream was made again 20", ", without it")
	})
}
