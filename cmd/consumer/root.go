package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/telemetry"
	"example.com/tenant-provisioner/internal/terminal"
)

// app is the environment of every command.
type app struct {
	terminal.IO
}

func newRoot(a *app) *cobra.Command {
	run := runCommand(a)
	var envFile string
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
			cmd.SetContext(natsconn.WithCommand(cmd.Context(), commandName(cmd)))
			if err := cmp.Or(usageError(cmd.ValidateRequiredFlags()), checkInput(cmd, args)); err != nil || envFile == "" {
				return err
			}
			return a.useEnvFile(envFile)
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       buildinfo.Version(),
	}
	root.PersistentFlags().StringVar(&envFile, "env-file", "",
		"read variables from this file of NAME=value lines; the environment wins")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(run, demoCommand(a), requestCommand(a), watchCommand(a), tenantsCommand(a), requestsCommand(a),
		deadLettersCommand(a), reconcileCommand(a), backupCommand(a), doctorCommand(a), configCommand(a), healthCommand(a),
		versionCommand(a), licensesCommand(a), manCommand())
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetVersionTemplate(versionLine())
	addHelpers(root)
	return root
}

// useEnvFile puts the variables of a file under those of the environment.
func (a *app) useEnvFile(path string) error {
	file, err := config.ReadEnvFile(path)
	if err != nil {
		return err
	}
	for _, warning := range file.Unknown() {
		fmt.Fprintf(a.Err, "consumer: warning: %s\n", terminal.Plain(warning)) //nolint:errcheck // advice
	}
	a.Env, err = file.Under(a.Env)
	return err
}

// commandName is the command without the program, such as "dead-letters list".
func commandName(cmd *cobra.Command) string {
	_, name, _ := strings.Cut(cmd.CommandPath(), " ")
	return cmp.Or(name, "run")
}

// configure loads the configuration and creates the logger.
func (a *app) configure(ctx context.Context) (config.Config, *slog.Logger, error) {
	c, err := config.Load(ctx, a.Env)
	if err != nil {
		return c, nil, err
	}
	return c, telemetry.NewLogger(a.Err, c.LogLevel, c.LogFormat), nil
}
