package main

import (
	"os"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/service"
	"example.com/tenant-provisioner/internal/telemetry"
)

func runCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the service (the default)",
		Long: "Takes requests until SIGTERM, SIGINT or SIGHUP, then drains: it finishes running attempts within\n" +
			"DRAIN_TIMEOUT, and returns the other requests to the stream. A second SIGTERM or SIGINT ends it at once.",
		Example: "  consumer run\n  NATS_URL=nats://localhost DATABASE_URL=postgres://localhost/tenants consumer run",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			outliveReaders()
			c, err := config.Load(cmd.Context(), a.Env)
			if err != nil {
				return err
			}
			log, lines := telemetry.NewBufferedLogger(a.Err, c.LogLevel, c.LogFormat)
			defer lines.Close()
			telemetry.TakeDefaultLogs(log)
			for _, m := range config.Misspelled(os.Environ()) {
				log.WarnContext(cmd.Context(), "variable has no effect here; check its name", "variable", m.Name, "meant", m.Meant)
			}
			return service.Run(cmd.Context(), a.Env, c, log, lines)
		},
	}
}
