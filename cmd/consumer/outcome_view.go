package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/terminal"
)

// stepWidth is the width of the widest name, in columns.
func stepWidth(names []string) (columns int) {
	for _, name := range names {
		columns = max(columns, terminal.Width(terminal.Plain(name)))
	}
	return columns
}

// show writes an outcome to stdout, as JSON or for people.
func (a *app) show(e event.Event, asJSON bool) error {
	if asJSON {
		return writeJSON(a.Out, e)
	}
	return showOutcome(a.Out, a.Palette(a.Out), e)
}

// showOutcome writes an outcome for people. Its text is untrusted: any publisher may have put it into the stream.
func showOutcome(w io.Writer, p terminal.Palette, e event.Event) error {
	var b strings.Builder
	switch e.Type() {
	case events.TypeProvisioned:
		data, err := events.ProvisionedFrom(e)
		if err != nil { // from another publisher; the outcomes after it must still be shown
			fmt.Fprintf(&b, "%s %s\n", p.Mark(terminal.MarkUnknown), terminal.Plain(err.Error()))
			break
		}
		showProvisioned(&b, p, data)
	case events.TypeProvisioningFailed:
		data, err := events.FailedFrom(e)
		if err != nil {
			fmt.Fprintf(&b, "%s %s\n", p.Mark(terminal.MarkUnknown), terminal.Plain(err.Error()))
			break
		}
		showFailed(&b, p, data)
	}
	fmt.Fprintf(&b, "    %s\n", p.Dim.Sprintf("outcome id: %s", terminal.Plain(e.ID())))
	_, err := io.WriteString(w, b.String())
	return err
}

func showProvisioned(b *strings.Builder, p terminal.Palette, data events.Provisioned) {
	fmt.Fprintf(b, "%s %s %s\n", p.Mark(terminal.MarkOK), events.TypeProvisioned, terminal.Plain(data.TenantID))
	prepared := ""
	if data.Prepared {
		prepared = "prepared, "
	}
	fmt.Fprintf(b, "    %s, %d tables, %d indexes, %sattempt %d, %.1f ms\n",
		terminal.Plain(data.SchemaName+data.DatabasePath), data.Tables, data.Indexes, prepared, data.Attempts,
		data.DurationMS)
	if data.Plan != "" {
		fmt.Fprintf(b, "    plan %s\n", planWithLimits(data.Plan, data.PlanLimits))
	}
	if n := len(data.Scripts); n > 0 {
		fmt.Fprintf(b, "    scripts %d, the last %s\n", n, terminal.Plain(data.Scripts[n-1].Name))
	}
	if len(data.Seeded) > 0 {
		fmt.Fprintf(b, "    seeded %s\n", seededText(data.Seeded))
	}
	var names []string
	for _, s := range data.Steps {
		names = append(names, s.Name)
	}
	width := stepWidth(names)
	for i, s := range data.Steps {
		fmt.Fprintf(b, "    Step %d/%d: %s %8.1f ms", s.Number, len(data.Steps),
			terminal.Pad(terminal.Plain(s.Name), width), s.DurationMS)
		if i == len(data.Steps)-1 {
			b.WriteString(" and its commit") // its duration is unknown: the event is part of the commit
		}
		b.WriteByte('\n')
	}
	for _, w := range data.Warnings {
		fmt.Fprintf(b, "    %s: %s\n", p.Warning.Sprintf("warning %s", terminal.Plain(w.Code)), terminal.Plain(w.Message))
	}
}

func showFailed(b *strings.Builder, p terminal.Palette, data events.ProvisioningFailed) {
	tenant := ""
	if data.TenantID != "" {
		tenant = " " + events.Quote(data.TenantID)
	}
	fmt.Fprintf(b, "%s %s%s\n", p.Mark(terminal.MarkFailed), events.TypeProvisioningFailed, tenant)
	fmt.Fprintf(b, "    step %d %s: %s\n", data.Step.Number, terminal.Plain(data.Step.Name),
		p.Failed.Sprint(terminal.Plain(string(data.Cause.Code))))
	for _, text := range []string{data.Cause.Message, data.Cause.Detail} {
		if text != "" {
			fmt.Fprintf(b, "    %s\n", terminal.Plain(text))
		}
	}
	for _, left := range data.LeftBehind {
		fmt.Fprintf(b, "    left behind: %s\n", terminal.Plain(left))
	}
	fmt.Fprintf(b, "    %s\n", p.Dim.Sprintf("dead letter: %s", terminal.Plain(data.DeadLetter.Subject)))
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

// seededText lists tables with the rows that were loaded.
func seededText(seeded map[string]int) string {
	var all []string
	for _, table := range slices.Sorted(maps.Keys(seeded)) {
		all = append(all, fmt.Sprintf("%s: %d", terminal.Plain(table), seeded[table]))
	}
	return strings.Join(all, ", ")
}
