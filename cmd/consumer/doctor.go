package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func doctorCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what endangers provisioning, and for what was left behind",
		Long: "Looks at the database, whether the service runs or not, and says of each finding what to do. Nothing is\n" +
			"written. Exits 1 if something endangers provisioning; what is merely left behind is a warning.",
		Example: "  consumer doctor\n  consumer doctor --json | jq '.checks[] | select(.status != \"ok\")'",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			return a.report(examine(cmd.Context(), c), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

// What a check finds.
const (
	sound   = "ok"
	warning = "warning" // nothing that a request would notice
	fault   = "fault"   // requests cannot be served
)

// check is one thing that was looked at, for programs.
type check struct {
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do: commands or SQL, one a line
}

// examine makes all checks. What cannot be looked at is a finding too, and not the end of the others.
func examine(ctx context.Context, c Config) []check {
	return examineDatabase(ctx, c)
}

func examineDatabase(ctx context.Context, c Config) (checks []check) {
	const name = "registry"
	r, err := openReader(ctx, c)
	if err != nil {
		return []check{unread(name, err)}
	}
	defer func() {
		if err := r.Close(); err != nil {
			checks = append(checks, unread(name, err))
		}
	}()
	n, err := r.Count(ctx)
	if err != nil {
		return []check{unread(name, err)}
	}
	found := check{Name: name, Status: sound, Message: fmt.Sprintf("can be read; tenants: %d", n)}
	return append([]check{found}, examineLeftovers(ctx, c, r)...)
}

// unread is the finding that something could not be looked at. Errors of several hosts come in several lines.
func unread(name string, err error) check {
	why := strings.Join(strings.Fields(err.Error()), " ")
	return check{Name: name, Status: fault, Message: "could not be looked at: " + why}
}

// report shows the checks, and makes a negative answer of a fault.
func (a *app) report(checks []check, asJSON bool) error {
	if err := a.showChecks(checks, asJSON); err != nil {
		return err
	}
	for _, c := range checks {
		if c.Status == fault {
			return errNegative
		}
	}
	return nil
}

func (a *app) showChecks(checks []check, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false) // hints are for copying
		return encoder.Encode(map[string][]check{"checks": checks})
	}
	colours := a.palette(a.stdout)
	marks := map[string]string{
		sound: colours.mark(markGood) + " ", warning: colours.mark(markCareful) + " ", fault: colours.mark(markBad) + " ",
	}
	lines := &table{w: a.stdout, widths: make([]int, 1)}
	for _, c := range checks { // as wide everywhere, though hints come between
		lines.widths[0] = max(lines.widths[0], width(marks[c.Status]+c.Name))
	}
	var faults error
	for _, c := range checks {
		faults = cmp.Or(faults, lines.write([]string{marks[c.Status] + c.Name, plain(c.Message)}), a.showHint(c.Hint))
	}
	return faults
}

// hintsShown is how many lines of a hint people are shown; programs get them all.
const hintsShown = 20

func (a *app) showHint(hint string) error {
	if hint == "" {
		return nil
	}
	lines := strings.Split(hint, "\n")
	for i, line := range lines {
		lines[i] = plain(line)
	}
	if n := len(lines) - hintsShown; n > 0 {
		lines = append(lines[:hintsShown:hintsShown], fmt.Sprintf("… and %d more; --json has them all", n))
	}
	_, err := fmt.Fprintf(a.stdout, "    %s\n", strings.Join(lines, "\n    "))
	return err
}
