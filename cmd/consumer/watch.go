package main

import (
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/internal/natsconn"
)

func watchCommand(a *app) *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:     "watch",
		Short:   "Show outcomes as they happen",
		Example: "  consumer watch\n  consumer watch --all --json | jq .data.cause",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, log, err := a.configure(ctx)
			if err != nil {
				return err
			}
			js, end, err := natsconn.Open(ctx, c, log)
			if err != nil {
				return err
			}
			defer end()
			skip := func(s client.Skipped) {
				if s.Event == nil {
					log.WarnContext(ctx, "a message in stream "+events.StreamEvents+" is not an outcome",
						"sequence", s.Sequence, "error", s.Err)
				} else if failed := a.show(*s.Event, asJSON); failed != nil { // an event of another publisher
					log.WarnContext(ctx, "could not show an event", "sequence", s.Sequence, "error", failed)
				}
			}
			outcomes, err := client.Outcomes(ctx, js, client.Options{All: all, Skip: skip})
			if err != nil {
				return err
			}
			defer outcomes.Close()
			for {
				outcome, err := outcomes.Next(ctx)
				if ctx.Err() != nil {
					return nil // interrupted, which is how the command ends
				}
				if err != nil {
					return err
				}
				if err := a.show(outcome.Event, asJSON); err != nil {
					return err
				}
			}
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one event a line, as JSON")
	cmd.Flags().BoolVar(&all, "all", false, "begin with the outcomes that the stream holds")
	return cmd
}
