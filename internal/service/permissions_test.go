package service

import (
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// usersConfig is a server's configuration with an administrator and the service's user, which has all permissions but
// those to publish or subscribe to these subjects.
func usersConfig(denyPublish, denySubscribe string) string {
	denied := func(subject string) string {
		if subject == "" {
			return "[]"
		}
		return fmt.Sprintf("[%q]", subject)
	}
	return fmt.Sprintf("accounts { A { jetstream: enabled, users: [ {user: admin, password: pw}, {user: me, password: pw, "+
		"permissions: {publish: {deny: %s}, subscribe: {deny: %s}}} ] } }", denied(denyPublish), denied(denySubscribe))
}

func as(user, url string) string { return strings.Replace(url, "://", "://"+user+":pw@", 1) }

// A permission that is taken away while the service runs is an outage: the service is not ready and names the
// permission. When it is back, the service goes on by itself; no request is lost, and none has two outcomes.
func TestPermissionComesBack(t *testing.T) {
	t.Parallel()
	const (
		valid   = "a request"
		invalid = "a message that is no event"
		deleted = "the durable consumer is deleted"
	)
	for name, c := range map[string]struct {
		publish, subscribe string // what the user may not
		needed             string // by what
		reason             string
	}{
		"replies":            {subscribe: "_INBOX.>", reason: "_INBOX.>"},
		"pull requests":      {"$JS.API.CONSUMER.MSG.NEXT.>", "", valid, `"$JS.API.CONSUMER.MSG.NEXT.TENANT_REQUESTS.tenant-provisioner"`},
		"acknowledgements":   {"$JS.ACK.>", "", valid, `"$JS.ACK.`},
		"terminations":       {"$JS.ACK.>", "", invalid, `"$JS.ACK.`},
		"outcomes":           {"tenant.provisioned", "", valid, `"tenant.provisioned"`},
		"failed outcomes":    {"tenant.provisioning_failed", "", invalid, `"tenant.provisioning_failed"`},
		"dead letters":       {"tenant.dead_letter.>", "", invalid, `"tenant.dead_letter.`},
		"reads of one":       {"$JS.API.STREAM.MSG.GET.>", "", invalid, `"$JS.API.STREAM.MSG.GET.TENANT_DEAD_LETTERS"`},
		"state of streams":   {"$JS.API.STREAM.INFO.>", "", deleted, `"$JS.API.STREAM.INFO.TENANT_`},
		"state of consumer":  {"$JS.API.CONSUMER.INFO.>", "", deleted, `"$JS.API.CONSUMER.INFO.TENANT_REQUESTS.tenant-provisioner"`},
		"consumer creation":  {"$JS.API.CONSUMER.CREATE.>", "", deleted, `"$JS.API.CONSUMER.CREATE.TENANT_REQUESTS.tenant-provisioner"`},
		"all publications":   {">", "", valid, `"tenant.provisioned"`},
		"all of the tenants": {"tenant.>", "", invalid, `"tenant.dead_letter.`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.StartConfigured(t, usersConfig("", ""))
			r := run(t, as("me", s.URL))
			r.awaitReady()
			js := natstest.JetStream(t, as("admin", s.URL))
			outcomes, letters := 2, 0 // with the last request's
			s.Reload(usersConfig(c.publish, c.subscribe))
			switch c.needed {
			case valid:
				publishRequests(t, js, "first")
			case invalid:
				publishRequests(t, js, "")
				letters = 1
			case deleted:
				testkit.Must(t, js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
				outcomes = 1
			default:
				outcomes = 1
			}
			r.awaitNotReady(c.reason)
			s.Reload(usersConfig("", ""))
			r.awaitReady()
			publishRequests(t, js, "last")
			awaitOutcomes(t, js, outcomes, letters)
			r.awaitReady()
		})
	}
}

// Progress is for screens: without the permission to publish it, requests are served, and the log names the subject.
func TestProgressPermissionIsMissing(t *testing.T) {
	t.Parallel()
	s := natstest.StartConfigured(t, usersConfig("tenant.progress.>", ""))
	r := run(t, as("me", s.URL))
	r.awaitReady()
	js := natstest.JetStream(t, as("admin", s.URL))
	publishRequests(t, js, "acme")
	awaitOutcomes(t, js, 1, 0)
	publishRequests(t, js, "ACME") // exists, so that a step fails
	awaitOutcomes(t, js, 2, 1)
	testkit.Logs(t, r.log, "tenant.progress.ACME")
	testkit.Must(t, r.serving.Load().ready())
}

// The user is removed, and is back: the service starts, waits and goes on.
func TestServiceStartsWithARefusedUser(t *testing.T) {
	t.Parallel()
	without := "accounts { A { jetstream: enabled, users: [ {user: admin, password: pw} ] } }"
	s := natstest.StartConfigured(t, without)
	r := run(t, as("me", s.URL))
	r.awaitNotReady("Authorization Violation")
	s.Reload(usersConfig("", ""))
	r.awaitReady()
	js := natstest.JetStream(t, as("admin", s.URL))
	for i := range 2 {
		s.Reload(without)
		r.awaitNotReady("Authorization Violation")
		s.Reload(usersConfig("", ""))
		r.awaitReady()
		publishRequests(t, js, fmt.Sprint("tenant_", i))
	}
	awaitOutcomes(t, js, 2, 0)
}
