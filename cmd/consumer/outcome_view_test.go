package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// Outcomes in the stream are untrusted: no text in them moves the cursor or changes a colour.
func TestShownTextHasNoControlCodes(t *testing.T) {
	t.Parallel()
	const evil = "a\x1b[2J\x1b]0;title\x07\rb\u202ec\u009b"
	outcome := func(eventType string) events.Outcome {
		return events.Outcome{
			ID: events.OutcomeID(billing, "1", 0, eventType), Source: events.DefaultSource, Time: time.Now(),
		}
	}
	step := events.Step{Number: 1, Name: evil}
	provisioned, err := events.NewProvisioned(outcome(events.TypeProvisioned), events.Provisioned{
		TenantID: evil, SchemaName: evil, Plan: evil, Warnings: []events.Warning{{Step: step, Code: evil, Message: evil}},
		Steps: []events.StepTiming{{Step: step}},
	})
	testkit.Must(t, err)
	failed, err := events.NewProvisioningFailed(outcome(events.TypeProvisioningFailed), events.ProvisioningFailed{
		TenantID: evil, Step: step, Cause: events.Cause{Code: evil, Message: evil, Detail: evil},
		LeftBehind: []string{evil}, DeadLetter: events.DeadLetter{Subject: evil},
	})
	testkit.Must(t, err)
	for _, e := range []event.Event{provisioned, failed} {
		var b strings.Builder
		testkit.Must(t, showOutcome(&b, terminal.NewPalette(false), e))
		assertNoControlCodes(t, e.Type(), b.String())
		b.Reset()
		testkit.Must(t, showOutcome(&b, terminal.NewPalette(true), e))
		assertNoControlCodes(t, e.Type()+" in colours", colorCodes.ReplaceAllString(b.String(), ""))
	}
	var b strings.Builder
	printError(&b, errors.New("a server says: "+evil))
	assertNoControlCodes(t, "an error", b.String())
	testkit.Contains(t, "an error", b.String(), "consumer: a server says: a")
	assertNoControlCodes(t, "a completion", strings.ReplaceAll(completion("acme", evil), "\t", ""))
}

func assertNoControlCodes(t *testing.T, what, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\x1b\x07\r\u009b\u202e") {
		t.Errorf("%s: %q", what, text)
	}
}
