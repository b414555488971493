package main

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/telemetry"
	"example.com/tenant-provisioner/internal/terminal"
)

// app is the environment of every command.
type app struct {
	terminal.IO
}

func newRoot(a *app) *cobra.Command {
	run := runCommand(a)
	root := &cobra.Command{
		Use:   "consumer",
		Short: "Provisions tenants on request",
		Long: "Takes tenant.requested CloudEvents from NATS JetStream, builds each tenant's PostgreSQL schema or\n" +
			"SQLite file, and publishes one outcome. Without a command it runs the service.\n" +
			"Configuration comes from the environment; see: consumer config.",
		Example: "  consumer run\n  consumer demo\n" +
			"  consumer request acme --display-name 'Acme Inc.' --created-by billing --wait 30s",
		Args: noArguments,
		RunE: run.RunE,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			return cmp.Or(usageError(cmd.ValidateRequiredFlags()), checkInput(cmd, args))
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       buildinfo.Version(),
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(run, demoCommand(a), requestCommand(a), watchCommand(a), tenantsCommand(a), requestsCommand(a),
		deadLettersCommand(a), reconcileCommand(a), backupCommand(a), doctorCommand(a), configCommand(a), healthCommand(a),
		versionCommand(a))
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetVersionTemplate(versionLine())
	addHelpers(root)
	return root
}

// configure loads the configuration and creates the logger.
func (a *app) configure(ctx context.Context) (config.Config, *slog.Logger, error) {
	c, err := config.Load(ctx, a.Env)
	if err != nil {
		return c, nil, err
	}
	return c, telemetry.NewLogger(a.Err, c.LogLevel, c.LogFormat), nil
}
