package main

import (
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/service"
)

func runCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the service (the default)",
		Long: "Takes requests until SIGTERM or SIGINT, then drains: it finishes running attempts within DRAIN_TIMEOUT,\n" +
			"and returns the other requests to the stream.",
		Example: "  consumer run\n  NATS_URL=nats://localhost DATABASE_URL=postgres://localhost/tenants consumer run",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, log, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			return service.Run(cmd.Context(), a.Env, c, log)
		},
	}
}
