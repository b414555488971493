package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// A publication is delayed on its way to NATS while another replica settles the request and an operator acts. The late
// message must not undo that.
func TestPublicationThatArrivesLate(t *testing.T) {
	t.Parallel()
	deadLetter, outcome := "HPUB "+events.SubjectDeadLetterPrefix, "HPUB "+events.TypeProvisioningFailed+" "
	cases := map[string]struct {
		scenario, held string
		then           interference
	}{
		"dead letter, removed":       {"refused", deadLetter, interference{remove: true}},
		"dead letter, failed again":  {"refused", deadLetter, interference{replay: true}},
		"dead letter, replayed":      {"boundary differs", deadLetter, interference{replay: true, fix: true}},
		"outcome, failed again":      {"refused", outcome, interference{replay: true}},
		"outcome, replayed":          {"boundary differs", outcome, interference{replay: true, fix: true}},
		"dead letter, other replica": {"refused", deadLetter, interference{}},
	}
	for name, late := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, natsURL := newSQLite(t), natstest.Start(t)
			relay, relayURL := newRelay(t, natsURL)
			held := relay.hold(t, late.held)
			c := frozenCase{frozenScenario: frozenScenarios()[late.scenario], then: late.then, withinWindow: true}
			env := settings(d.env, with("NATS_URL", natsURL), with("ACK_WAIT", "1s"))
			js := natstest.JetStream(t, natsURL)
			a := c.startReplica(t, d, js, merge(env, with("NATS_URL", relayURL)))
			select {
			case <-held.reached:
			case <-time.After(testkit.Patience):
				t.Fatal("the replica does not send the publication")
			}
			b := launch(t, env)
			awaitSettled(t, js)
			want := append([]events.CauseCode{c.cause}, c.interfere(t, d, env, js)...)
			held.release()
			c.finish(t, d, js, a, b, want)
		})
	}
}

// The connection is lost before the publication. The client buffers the message until it has reconnected: by then it is
// stale.
func TestPublicationWithoutAConnection(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"failure recorded"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			d, natsURL := newSQLite(t), natstest.Start(t)
			relay, relayURL := newRelay(t, natsURL)
			c := frozenCase{frozenScenario: frozenScenarios()["refused"], point: point, then: interference{remove: true}}
			env := settings(d.env, with("NATS_URL", natsURL), with("ACK_WAIT", "1s"))
			js := natstest.JetStream(t, natsURL)
			a := c.startFrozen(t, d, js, merge(env, with("NATS_URL", relayURL)))
			relay.cut()
			a.signal(t, syscall.SIGCONT)
			testkit.Logged(t, &a.stderr, "NATS connection lost; reconnecting", "error")
			// The first one may have been written to the connection that was cut. The client buffers the next.
			testkit.Eventually(t, "a publication has failed", func() bool { return strings.Contains(a.stderr.String(), "could not publish event") })
			b := launch(t, env)
			awaitSettled(t, js)
			want := append([]events.CauseCode{c.cause}, c.interfere(t, d, env, js)...)
			relay.restore(t)
			testkit.Logged(t, &a.stderr, "NATS connection is back", "level")
			c.finish(t, d, js, a, b, want)
		})
	}
}
