package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/doctor"
)

func healthCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "health",
		Short:   "Check whether the service on this machine takes requests",
		Long:    "Queries /readyz at HTTP_ADDR and exits 0 or 1: a health check for images that contain only this program.",
		Example: "  consumer health",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			if c.HTTPAddr == "" {
				return usageError(errors.New("HTTP_ADDR is empty: the service has no HTTP server to query"))
			}
			status, text, err := doctor.AskReady(cmd.Context(), c.HTTPAddr)
			if err != nil {
				return fmt.Errorf("no service answers at HTTP_ADDR %s: %w", c.HTTPAddr, err)
			}
			fmt.Fprintln(a.Out, text) //nolint:errcheck // the exit code reports it too
			if status != http.StatusOK {
				return errSilent
			}
			return nil
		},
	}
}
