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

// A publication is delayed on its way to NATS while another replica settles the request and an operator acts. What
// arrives then must not undo that.
func TestPublicationThatArrivesLate(t *testing.T) {
	t.Parallel()
	deadLetter, outcome := "HPUB "+events.SubjectDeadLetterPrefix, "HPUB "+events.TypeProvisioningFailed+" "
	cases := map[string]struct {
		course, held string
		then         interference
	}{
		"dead letter, removed":        {"refused", deadLetter, interference{remove: true}},
		"dead letter, failed again":   {"refused", deadLetter, interference{replay: true}},
		"dead letter, replayed":       {"failed in step 4", deadLetter, interference{replay: true, fix: true}},
		"outcome, failed again":       {"refused", outcome, interference{replay: true}},
		"outcome, replayed":           {"failed in step 4", outcome, interference{replay: true, fix: true}},
		"dead letter, only the other": {"refused", deadLetter, interference{}},
	}
	for name, late := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, natsURL := newSQLite(t), natstest.Start(t)
			way, through := newRelay(t, natsURL)
			held := way.hold(t, late.held)
			c := frozenCase{frozenCourse: frozenCourses()[late.course], then: late.then, soon: true}
			env := settings(d.env, with("NATS_URL", natsURL), with("ACK_WAIT", "1s"))
			js := natstest.JetStream(t, natsURL)
			a := c.started(t, d, js, merge(env, with("NATS_URL", through)))
			select {
			case <-held.reached:
			case <-time.After(testkit.Patience):
				t.Fatal("the publication is not on its way")
			}
			b := launch(t, env)
			settled(t, js)
			want := append([]events.CauseCode{c.cause}, c.interfere(t, d, env, js)...)
			held.release()
			c.ends(t, d, js, a, b, want)
		})
	}
}

// The connection is lost before the publication. The client keeps what is published until it has reconnected: by then
// it is stale.
func TestPublicationWithoutAConnection(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"failure recorded"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			d, natsURL := newSQLite(t), natstest.Start(t)
			way, through := newRelay(t, natsURL)
			c := frozenCase{frozenCourse: frozenCourses()["refused"], place: place, then: interference{remove: true}}
			env := settings(d.env, with("NATS_URL", natsURL), with("ACK_WAIT", "1s"))
			js := natstest.JetStream(t, natsURL)
			a := c.frozen(t, d, js, merge(env, with("NATS_URL", through)))
			way.cut()
			a.signal(t, syscall.SIGCONT)
			testkit.Logged(t, &a.stderr, "NATS connection lost; reconnecting", "error")
			// The first one may have been written to the connection that was cut. The next is kept by the client.
			testkit.Eventually(t, "a publication has failed", func() bool { return strings.Contains(a.stderr.String(), "could not publish event") })
			b := launch(t, env)
			settled(t, js)
			want := append([]events.CauseCode{c.cause}, c.interfere(t, d, env, js)...)
			way.restore(t)
			testkit.Logged(t, &a.stderr, "NATS connection is back", "level")
			c.ends(t, d, js, a, b, want)
		})
	}
}
