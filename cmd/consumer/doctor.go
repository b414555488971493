package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/terminal"
)

func doctorCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the database, NATS and the streams, and find leftovers",
		Long: "Checks the database and NATS, whether the service runs or not, and shows what to do about each finding.\n" +
			"It changes nothing: a request that it rehearses in PostgreSQL is rolled back. Run it with the service's\n" +
			"environment. Exits 1 if a finding is a fault, which endangers provisioning; warnings do not count.",
		Example: "  consumer doctor\n  consumer doctor --json | jq '.checks[] | select(.status != \"ok\")'",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			return a.report(doctor.Examine(cmd.Context(), c, time.Now), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// report shows the checks, and returns [errSilent] if one is a fault.
func (a *app) report(checks []doctor.Finding, asJSON bool) error {
	if err := a.showChecks(checks, asJSON); err != nil {
		return err
	}
	for _, c := range checks {
		if c.Status == doctor.Fault {
			return errSilent
		}
	}
	return nil
}

func (a *app) showChecks(checks []doctor.Finding, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(a.Out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false) // hints are for copying
		return encoder.Encode(map[string][]doctor.Finding{"checks": checks})
	}
	colours := a.Palette(a.Out)
	marks := map[string]string{
		doctor.OK:      colours.Mark(terminal.MarkOK) + " ",
		doctor.Warning: colours.Mark(terminal.MarkWarning) + " ",
		doctor.Fault:   colours.Mark(terminal.MarkFailed) + " ",
	}
	lines := &terminal.Table{W: a.Out, Widths: make([]int, 1)}
	for _, c := range checks { // the same width for all rows, although hints are written between them
		lines.Widths[0] = max(lines.Widths[0], terminal.Width(marks[c.Status]+c.Name))
	}
	var faults error
	for _, c := range checks {
		row := []string{marks[c.Status] + c.Name, terminal.Plain(c.Message)}
		faults = cmp.Or(faults, lines.Write(row), a.showHint(c.Hint))
	}
	return faults
}

// hintsShown is how many lines of a hint are shown; --json has all.
const hintsShown = 20

func (a *app) showHint(hint string) error {
	if hint == "" {
		return nil
	}
	lines := strings.Split(hint, "\n")
	for i, line := range lines {
		lines[i] = terminal.Plain(line)
	}
	if n := len(lines) - hintsShown; n > 0 {
		lines = append(lines[:hintsShown:hintsShown], fmt.Sprintf("… and %d more; --json has them all", n))
	}
	_, err := fmt.Fprintf(a.Out, "    %s\n", strings.Join(lines, "\n    "))
	return err
}
