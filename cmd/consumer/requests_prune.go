package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/sql"
)

func requestsPruneCommand(a *app) *cobra.Command {
	var olderThan time.Duration
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove old requests from the ledger",
		Long: "Removes requests that were decided longer ago than --older-than, with outcomes and history, in\n" +
			"batches, while the service runs. It keeps tenants, streams and requests that are running. The duration must\n" +
			"not be shorter than the max_age of stream TENANT_REQUESTS: a request that is delivered again after it was\n" +
			"pruned is a new one. LEDGER_RETENTION does the same every hour.",
		Example: "  consumer requests prune --older-than 2160h",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if olderThan <= 0 {
				return usageError(fmt.Errorf("--older-than %s is not a positive duration such as 2160h", olderThan))
			}
			return a.pruneRequests(cmd.Context(), olderThan)
		},
	}
	cmd.Flags().DurationVar(&olderThan, "older-than", 0, "remove requests decided longer ago, such as 2160h (required)")
	if err := cmd.MarkFlagRequired("older-than"); err != nil {
		panic(err) // a flag that is not defined above
	}
	return cmd
}

func (a *app) pruneRequests(ctx context.Context, olderThan time.Duration) (err error) {
	c, log, err := a.configure(ctx)
	if err != nil {
		return err
	}
	js, end, err := natsconn.Open(ctx, c, log)
	if err != nil {
		return err
	}
	latest, err := handler.ForgetBefore(ctx, js)
	end()
	if err != nil {
		return err
	}
	before := time.Now().Add(-olderThan)
	if latest.Before(before) {
		return usageError(fmt.Errorf("--older-than %s is shorter than the max_age of stream TENANT_REQUESTS, which can "+
			"deliver requests since %s again", olderThan, latest.UTC().Format(time.RFC3339)))
	}
	missing := database.NewRegistry{Allow: func(context.Context, []string) error {
		return fmt.Errorf("%w: check DATABASE_URL and REGISTRY_SCHEMA; the service creates the registry when it starts",
			sql.ErrNoRegistry)
	}}
	db, err := database.Open(ctx, c, missing, nil, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	total := 0
	bar := a.ProgressBar(-1, "pruning", "requests")
	err = database.Prune(ctx, db, before, func(n int) {
		total += n
		bar.Add(n) //nolint:errcheck // a bar is not a result
	})
	bar.Clear() //nolint:errcheck // as above
	if err != nil {
		return fmt.Errorf("pruned %d requests, then: %w", total, err)
	}
	_, err = fmt.Fprintf(a.Out, "pruned %d requests decided before %s\n", total, before.UTC().Format(time.RFC3339))
	return err
}
