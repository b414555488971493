package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/recovery"
)

// reconcileFlags are the flags of consumer reconcile.
type reconcileFlags struct {
	recovery.Options
	since                         string
	apply, asJSON                 bool
	acceptStreams, acceptDatabase bool
}

func reconcileCommand(a *app) *cobra.Command {
	var f reconcileFlags
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Repair what a restore of database or streams has lost",
		Long: "Compares ledger, registry and boundaries with outcomes, requests and dead letters, and shows what one side\n" +
			"has lost and the other still has. It changes nothing unless you give --apply, and works whether or not\n" +
			"the service runs.\n\n" +
			"With --apply it pauses the durable consumer, and repairs what it shows: it restores ledger and registry\n" +
			"from the published outcomes, makes dead letters again, publishes requests again that were passed without an\n" +
			"outcome, and recreates a consumer that is ahead of its stream. It drops and overwrites nothing. You can\n" +
			"safely interrupt and repeat it.\n\n" +
			"Some findings need your decision, and are left without it: --recreate builds missing boundaries again,\n" +
			"empty; --republish publishes outcomes again that their stream has lost; --accept records what is left, such\n" +
			"as a tenant that another request has, as lost, and implies --apply.\n\n" +
			"Registry and streams carry the same id. Where they do not, the service refuses to start until you choose the\n" +
			"right one: --accept-streams gives the registry the id of the streams, --accept-database gives the streams\n" +
			"the id of the registry, and binds them to this database. Both create a registry that is missing, and act at\n" +
			"once. Exits 0 if there is nothing to do, or all is done; 1 if there is something to do, or something is left.",
		Example: "  consumer reconcile\n  consumer reconcile --apply\n" +
			"  consumer reconcile --tenant acme --apply --recreate",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cmd.Flags().Changed("since") {
				if f.Since, err = parseSince(f.since, time.Now()); err != nil {
					return err
				}
			}
			if f.acceptStreams && f.acceptDatabase {
				return usageError(errors.New("give one of --accept-streams and --accept-database: only one side is right"))
			}
			return a.reconcile(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Tenant, "tenant", "", "only findings of this tenant id")
	flags.StringVar(&f.since, "since", "", "only findings since: a duration such as 24h, or an RFC 3339 time")
	flags.BoolVar(&f.apply, "apply", false, "repair the findings; without it nothing is changed")
	flags.BoolVar(&f.Recreate, "recreate", false, "build boundaries that are missing again, empty: their data is lost")
	flags.BoolVar(&f.Republish, "republish", false, "publish outcomes again that stream TENANT_EVENTS has lost")
	flags.BoolVar(&f.Accept, "accept", false, "record what is left as lost, so that it is not found; implies --apply")
	flags.BoolVar(&f.acceptStreams, "accept-streams", false, "give the registry the id of the streams, at once")
	flags.BoolVar(&f.acceptDatabase, "accept-database", false, "give the streams the id of the registry, at once")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line, and a summary as the last")
	completeFlag(cmd, "tenant", a.completeTenants(0))
	return cmd
}

func (a *app) reconcile(ctx context.Context, f reconcileFlags) (err error) {
	c, log, err := a.configure(ctx)
	if err != nil {
		return err
	}
	js, end, err := recovery.OpenStreams(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	r := &recovery.Reconciler{Config: c, JetStream: js, Log: log, Options: f.Options}
	switch {
	case f.acceptStreams:
		err = r.Bind(ctx, recovery.AcceptStreams)
	case f.acceptDatabase:
		err = r.Bind(ctx, recovery.AcceptDatabase)
	}
	f.apply = f.apply || f.Accept
	report := newReconcileReport(a, f)
	switch {
	case errors.Is(err, recovery.ErrNothingToBind) && !f.apply:
		return report.nothingToBind()
	case err != nil:
		return err
	case f.apply:
		err = r.Apply(ctx, report.begin, report.add)
	default:
		err = showPlan(ctx, r, report)
	}
	report.interrupted = ctx.Err() != nil
	if err != nil && !report.interrupted {
		report.bar.Clear() //nolint:errcheck // a bar is not a result
		return err
	}
	return report.end()
}

// showPlan writes the ids of registry and streams, and what --apply would do.
func showPlan(ctx context.Context, r *recovery.Reconciler, report *reconcileReport) error {
	stamps, err := r.Stamps(ctx)
	if err != nil {
		return err
	}
	report.stamps(stamps)
	plan, err := r.Plan(ctx)
	if err != nil {
		return err
	}
	report.begin(plan)
	for _, finding := range plan.Findings {
		report.add(finding)
	}
	return nil
}
