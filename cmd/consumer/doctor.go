package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/terminal"
)

func doctorCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what endangers provisioning, and for what was left behind",
		Long: "Looks at the database and at NATS, whether the service runs or not, and says of each finding what to do.\n" +
			"Nothing is written or changed. Give it the service's environment. Exits 1 if something endangers\n" +
			"provisioning; the rest is a warning.",
		Example: "  consumer doctor\n  consumer doctor --json | jq '.checks[] | select(.status != \"ok\")'",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			return a.report(examine(cmd.Context(), c, time.Now), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

// What a check finds.
const (
	sound   = "ok"
	warning = "warning" // nothing that a request would notice now
	fault   = "fault"   // requests cannot be served, or what was confirmed can be lost
)

// check is one thing that was looked at, for programs.
type check struct {
	Name    string `json:"name"` // one of checkNames
	Status  string `json:"status"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do: commands, SQL or a sentence, one a line
}

// checkNames are all checks, in the order in which they are shown. docs/doctor.md explains each.
var checkNames = slices.Concat(
	[]string{
		"database", "database_version", "database_pooler", "database_writable", "database_rights", "registry_rights",
		"database_durability", "database_standby", "database_encoding", "database_locks", "database_connections",
		"database_neighbours", "database_event_triggers", "database_clock",
	},
	[]string{"storage", "storage_filesystem", "storage_space"},
	[]string{
		"registry", "registry_file", "registry_tenants", "registry_twins", "registry_names", "registry_collisions",
	},
	[]string{
		"prepared_boundaries", "prepared_unused", "prepared_definition", "prepared_missing", "prepared_contents",
		"prepared_owner", "prepared_astray", "files_under_construction",
	},
	[]string{
		"embedded_directory", "embedded_filesystem", "embedded_space",
		"nats", "nats_version", "nats_permissions", "nats_clock", "nats_sync", "jetstream", "jetstream_replicas",
		"requests_stream", "requests_room", "events_stream", "events_retention", "dead_letters_stream",
		"dead_letters_retention", "durable_consumer", "consumer_limits", "consumer_paused", "consumer_service",
		"consumer_redelivered", "requests_age",
	},
)

// well is a check that found nothing wrong.
func well(name, format string, args ...any) check {
	return check{Name: name, Status: sound, Message: fmt.Sprintf(format, args...)}
}

// warn is a check that found something to be mended some day, by what hint says.
func warn(name, hint, format string, args ...any) check {
	return check{Name: name, Status: warning, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// fail is a check that found something to be mended now.
func fail(name, hint, format string, args ...any) check {
	return check{Name: name, Status: fault, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// examine makes all checks. What cannot be looked at is a finding too, and not the end of the others. now is this
// machine's clock.
func examine(ctx context.Context, c config.Config, now func() time.Time) []check {
	return append(examineDatabase(ctx, c, now), examineNATS(ctx, c, now)...)
}

func examineDatabase(ctx context.Context, c config.Config, now func() time.Time) []check {
	if !c.OnPostgres() {
		return append(examineStorage(ctx, c), examineRegistry(ctx, c)...)
	}
	checks, usable := examinePostgres(ctx, c, now)
	if !usable {
		return checks
	}
	return append(checks, examineRegistry(ctx, c)...)
}

// unread is the finding that something could not be looked at. Errors of several hosts come in several lines.
func unread(name string, err error) check {
	why := strings.Join(strings.Fields(err.Error()), " ")
	return check{Name: name, Status: fault, Message: "could not be looked at: " + why}
}

// unseen is unread where that says nothing about the service, such as for want of a right that only looking needs.
func unseen(name, hint string, err error) check {
	found := unread(name, err)
	found.Status, found.Hint = warning, hint
	return found
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
		encoder := json.NewEncoder(a.Out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false) // hints are for copying
		return encoder.Encode(map[string][]check{"checks": checks})
	}
	colours := a.Palette(a.Out)
	marks := map[string]string{
		sound: colours.Mark(terminal.MarkOK) + " ", warning: colours.Mark(terminal.MarkWarning) + " ", fault: colours.Mark(terminal.MarkFailed) + " ",
	}
	lines := &terminal.Table{W: a.Out, Widths: make([]int, 1)}
	for _, c := range checks { // as wide everywhere, though hints come between
		lines.Widths[0] = max(lines.Widths[0], terminal.Width(marks[c.Status]+c.Name))
	}
	var faults error
	for _, c := range checks {
		faults = cmp.Or(faults, lines.Write([]string{marks[c.Status] + c.Name, terminal.Plain(c.Message)}), a.showHint(c.Hint))
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
		lines[i] = terminal.Plain(line)
	}
	if n := len(lines) - hintsShown; n > 0 {
		lines = append(lines[:hintsShown:hintsShown], fmt.Sprintf("… and %d more; --json has them all", n))
	}
	_, err := fmt.Fprintf(a.Out, "    %s\n", strings.Join(lines, "\n    "))
	return err
}
