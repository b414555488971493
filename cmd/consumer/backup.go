package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/recovery"
	"example.com/tenant-provisioner/internal/terminal"
)

func backupCommand(a *app) *cobra.Command {
	var databaseOnly bool
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy streams, registry and tenants while the service runs (SQLite, embedded NATS)",
		Long: "Copies the streams of the embedded NATS server, the registry and the tenants' SQLite files into a new\n" +
			"directory, from which the service can run. It works whether or not the service runs. DIR appears when the\n" +
			"backup is complete; until then it is DIR.partial. Run it as the service's user, with its environment and\n" +
			"working directory. Exits 1 if a tenant's file could not be copied; DIR then has all the others.\n\n" +
			"For PostgreSQL and other NATS servers, see docs/recovery.md: their own tools copy them, in the same order.",
		Example: "  consumer backup backups/monday\n" +
			"  DATABASE_URL=sqlite:backups/monday NATS_EMBEDDED_DIR=backups/monday/nats consumer run",
		Args: exactly(1),

		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, log, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			var bar *progressbar.ProgressBar
			report, err := (&recovery.Backup{
				Config: c, Log: log, Dir: args[0], DatabaseOnly: databaseOnly,
				Counted: func(tenants int) { bar = a.ProgressBar(tenants, "copying", "tenants") },
				Copied:  func() { bar.Add(1) }, //nolint:errcheck // a bar is not a result
			}).Run(cmd.Context())
			if bar != nil {
				bar.Clear() //nolint:errcheck // a bar is not a result
			}
			if cause := context.Cause(cmd.Context()); err != nil && cause != nil {
				return fmt.Errorf("interrupted, and %s was not made", args[0])
			}
			if err != nil {
				return err
			}
			return a.showBackup(args[0], report)
		},
	}
	cmd.Flags().BoolVar(&databaseOnly, "database-only", false,
		"leave out the streams of other NATS servers, which you have copied before")
	return cmd
}

// showBackup prints what the backup contains, and fails if a tenant's file could not be copied.
func (a *app) showBackup(dir string, r recovery.BackupReport) error {
	var b strings.Builder
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "%s %s\n    could not be copied: %s\n", a.Palette(a.Out).Mark(terminal.MarkFailed),
			terminal.Plain(f.TenantID), terminal.Plain(f.Err.Error()))
	}
	for _, s := range r.Streams {
		fmt.Fprintf(&b, "copied stream %s, messages: %d\n", s.Name, s.Messages)
	}
	fmt.Fprintf(&b, "copied the registry, tenants: %d, could not be copied: %d\n", r.Tenants-len(r.Faults), len(r.Faults))
	fmt.Fprintf(&b, "to serve it: DATABASE_URL=sqlite:%s ", terminal.Plain(dir))
	if len(r.Streams) > 0 {
		fmt.Fprintf(&b, "NATS_EMBEDDED_DIR=%s ", terminal.Plain(filepath.Join(dir, "nats")))
	}
	b.WriteString("consumer run\n")
	if _, err := fmt.Fprint(a.Out, b.String()); err != nil {
		return err
	}
	if len(r.Faults) > 0 {
		return errSilent
	}
	return nil
}
