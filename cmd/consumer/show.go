package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
)

// show writes an outcome for programs, as JSON, or for people.
func show(w io.Writer, e event.Event, asJSON bool) error {
	if asJSON {
		return writeJSON(w, e)
	}
	return showOutcome(w, e)
}

// showOutcome writes an outcome for people.
func showOutcome(w io.Writer, e event.Event) error {
	var b strings.Builder
	switch e.Type() {
	case events.TypeProvisioned:
		data, err := events.ProvisionedFrom(e)
		if err != nil { // not ours; what follows it shall be seen
			fmt.Fprintf(&b, "? %v\n", err)
			break
		}
		fmt.Fprintf(&b, "✓ %s %s\n", e.Type(), data.TenantID)
		prepared := ""
		if data.Prepared {
			prepared = "prepared, "
		}
		fmt.Fprintf(&b, "    %s%s, %d tables, %d indexes, %sattempt %d, %.1f ms\n",
			data.SchemaName, data.DatabasePath, data.Tables, data.Indexes, prepared, data.Attempts, data.DurationMS)
		for i, s := range data.Steps {
			fmt.Fprintf(&b, "    Step %d/%d: %-26s %8.1f ms", s.Number, len(data.Steps), s.Name, s.DurationMS)
			if i == len(data.Steps)-1 {
				b.WriteString(" and its commit") // which the event, being part of it, cannot time
			}
			b.WriteByte('\n')
		}
		for _, w := range data.Warnings {
			fmt.Fprintf(&b, "    warning %s: %s\n", w.Code, w.Message)
		}
	case events.TypeProvisioningFailed:
		data, err := events.FailedFrom(e)
		if err != nil {
			fmt.Fprintf(&b, "? %v\n", err)
			break
		}
		tenant := ""
		if data.TenantID != "" {
			tenant = " " + events.Quote(data.TenantID)
		}
		fmt.Fprintf(&b, "✗ %s%s\n", e.Type(), tenant)
		fmt.Fprintf(&b, "    step %d %s: %s\n", data.Step.Number, data.Step.Name, data.Cause.Code)
		fmt.Fprintf(&b, "    %s\n", data.Cause.Message)
		if data.Cause.Detail != "" {
			fmt.Fprintf(&b, "    %s\n", data.Cause.Detail)
		}
		for _, left := range data.LeftBehind {
			fmt.Fprintf(&b, "    left behind: %s\n", left)
		}
		fmt.Fprintf(&b, "    dead letter: %s\n", data.DeadLetter.Subject)
	}
	fmt.Fprintf(&b, "    outcome id: %s\n", e.ID())
	_, err := io.WriteString(w, b.String())
	return err
}

// writeJSON writes an event as one line of JSON.
func writeJSON(w io.Writer, e event.Event) error {
	_, body, err := events.Encode(e)
	if err != nil {
		return err
	}
	var line strings.Builder
	if err := json.NewEncoder(&line).Encode(json.RawMessage(body)); err != nil {
		return err
	}
	_, err = io.WriteString(w, line.String())
	return err
}
