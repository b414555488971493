package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/terminal"
)

// requestSource is the CloudEvents source of requests from the command line.
const requestSource = "/tenant-provisioner/cli"

const publishTimeout = 10 * time.Second

// requestFlags are the flags of consumer request.
type requestFlags struct {
	displayName, createdBy, strategy, plan, id, source, file string

	rate   float64
	wait   time.Duration
	asJSON bool
}

func requestCommand(a *app) *cobra.Command {
	var f requestFlags
	cmd := &cobra.Command{
		Use:   "request [TENANT]",
		Short: "Publish a request for a tenant, or those of a file",
		Long: "Publishes a tenant.requested event. With --wait it shows the outcome and exits 0 if the tenant was\n" +
			"provisioned, 1 if not; on a terminal it shows the steps as they happen. The same --source and --id are the\n" +
			"same request, and have one outcome.\n\n" +
			"With --file it publishes many: JSON Lines, or CSV with a header, of tenant_id, display_name, created_by,\n" +
			"plan, isolation_strategy and id. Other flags are for what a line leaves out; the id is made from the\n" +
			"tenant's. All lines are checked before the first is published. You can safely interrupt the command and\n" +
			"repeat it: the same line is the same request. With --wait it shows each failure, waits this long after\n" +
			"the last request, and exits 1 if a tenant was not provisioned. --json prints one object a line, and a\n" +
			"summary as the last.",
		Example: "  consumer request acme --display-name 'Acme Inc.' --created-by billing --wait 30s\n" +
			"  consumer request --file tenants.csv --created-by import --rate 50 --wait 5m",
		Args: f.check,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.file != "" {
				return a.importRequests(cmd.Context(), f)
			}
			return a.request(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.displayName, "display-name", "", "the customer's name (required without --file)")
	flags.StringVar(&f.createdBy, "created-by", "", "the person or system that requests (required without --file)")
	flags.StringVar(&f.strategy, "isolation-strategy", "", "schema or database (default: the one that fits the database)")
	flags.StringVar(&f.plan, "plan", "", "one of the service's plans (default: the service's default)")
	flags.StringVar(&f.id, "id", "", "the request's id (default: a new one)")
	flags.StringVar(&f.source, "source", requestSource, "the request's source")
	flags.DurationVar(&f.wait, "wait", 0, "wait this long for the outcome")
	flags.BoolVar(&f.asJSON, "json", false, "print events as JSON")
	completeFlag(cmd, "isolation-strategy",
		cobra.FixedCompletions([]cobra.Completion{events.IsolationSchema, events.IsolationDatabase}, noFiles))
	flags.StringVar(&f.file, "file", "", "publish the requests of this file; - is standard input")
	flags.Float64Var(&f.rate, "rate", 0, "with --file, publish at most this many a second (0: as fast as possible)")
	return cmd
}

// check validates the flags and arguments, each by itself first.
func (f *requestFlags) check(cmd *cobra.Command, args []string) error {
	const maxRate = 1e6
	if err := checkInput(cmd, args); err != nil {
		return err
	}
	switch {
	case !(f.rate >= 0 && f.rate <= maxRate): // negated, so that it catches NaN
		return usageError(fmt.Errorf("--rate: %v is not 0 to %v a second", f.rate, maxRate))
	case f.file != "" && len(args) > 0:
		return surplus(cmd, args[0])
	case f.file != "" && (f.id != "" || f.displayName != ""):
		return usageError(errors.New("--id and --display-name are for one request; write them in the file"))
	case f.file != "":
		return nil
	case f.rate > 0:
		return usageError(errors.New("--rate is for --file"))
	}
	if err := exactly(1)(cmd, args); err != nil {
		return err
	}
	var missing []string
	for _, name := range []string{"created-by", "display-name"} {
		if !cmd.Flags().Changed(name) {
			missing = append(missing, strconv.Quote(name))
		}
	}
	if len(missing) > 0 {
		return usageError(fmt.Errorf("required flag(s) %s not set", strings.Join(missing, ", ")))
	}
	return nil
}

func (a *app) request(ctx context.Context, tenant string, f requestFlags) error {
	var live *terminal.Live
	if f.wait > 0 && !f.asJSON {
		live = a.Live()
	}
	if live != nil { // logs appear above the live block
		a = &app{terminal.IO{Env: a.Env, In: a.In, Out: a.Out, Err: live}}
	}
	c, log, err := a.configure(ctx)
	if err != nil {
		return err
	}
	if f.id == "" {
		f.id = uuid.NewString()
	}
	e, err := requestEvent(f.source, f.id, events.Requested{
		TenantID: tenant, DisplayName: f.displayName, CreatedBy: f.createdBy, IsolationStrategy: f.strategy,
		Plan: f.plan,
	})
	if err != nil {
		return usageError(err)
	}
	// The service validates requests, and --wait shows its outcome. Without --wait this is an early warning.
	if err := validateRequest(e); err != nil && f.wait <= 0 {
		fmt.Fprintf(a.Err, "consumer: the service will refuse this request: %v\n", err) //nolint:errcheck // advice
	}
	js, end, err := natsconn.Open(ctx, c, log)
	if err != nil {
		return err
	}
	defer end()
	if f.wait <= 0 {
		return a.publishRequest(ctx, js, e, f.asJSON)
	}
	requests, err := client.Open(ctx, js)
	if err != nil {
		return fmt.Errorf("nothing was published: %w", err)
	}
	defer requests.Close()
	stop := func() {}
	if live != nil { // before the request is published: the first step may begin immediately
		stop = sync.OnceFunc(follow(ctx, live, js.Conn(), tenant, e.Source(), e.ID(), a.Palette(live)))
		defer stop()
	}
	publishing, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	receipt, err := requests.Publish(publishing, e)
	if err != nil {
		return explainPublication(ctx, err, e)
	}
	outcome, err := awaitOutcome(ctx, requests, receipt, f.wait)
	stop()
	if err != nil && outcome.Event.Context == nil {
		return err
	}
	if failed := a.show(outcome.Event, f.asJSON); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	if outcome.Failed != nil {
		return errSilent
	}
	return nil
}

// requestEvent makes the event of a request, also of one that the service will refuse.
func requestEvent(source, id string, data events.Requested) (event.Event, error) {
	e := event.New()
	e.SetType(events.TypeRequested)
	e.SetSource(source)
	e.SetID(id)
	e.SetTime(time.Now().UTC())
	if err := e.SetData(event.ApplicationJSON, data); err != nil {
		return e, err
	}
	_, _, err := events.Encode(e)
	return e, err
}

func validateRequest(e event.Event) error {
	data, err := events.RequestedFrom(e)
	if err != nil {
		return err
	}
	return data.Validate()
}

// publishRequest publishes a request and shows that the stream has it.
func (a *app) publishRequest(ctx context.Context, js jetstream.JetStream, e event.Event, asJSON bool) error {
	publishing, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	receipt, err := client.Publish(publishing, js, e)
	if err != nil {
		return explainPublication(ctx, err, e)
	}
	if asJSON {
		return writeJSON(a.Out, e)
	}
	_, err = fmt.Fprintf(a.Out, "requested %s: source %s, id %s\n",
		terminal.Plain(receipt.TenantID), terminal.Plain(receipt.Source), terminal.Plain(receipt.ID))
	return err
}

// explainPublication adds to the error of a publication that ended without an answer how to repeat it: the stream may
// have the request.
func explainPublication(ctx context.Context, err error, e event.Event) error {
	again := fmt.Sprintf("the request may be in the stream: repeat the command with --source %s --id %s",
		e.Source(), e.ID())
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted; %s", again)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w; %s", err, again)
	}
	return err
}

// awaitOutcome waits for the outcome of a request. With [client.ErrOtherTenant] it returns the outcome too.
func awaitOutcome(
	ctx context.Context, requests *client.Client, r client.Receipt, wait time.Duration,
) (client.Outcome, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	outcome, err := requests.Await(waiting, r)
	again := fmt.Sprintf("the request is in the stream and will be decided: repeat the command with --source %s --id %s",
		r.Source, r.ID)
	switch {
	case err == nil:
		return outcome, nil
	case errors.Is(err, client.ErrOtherTenant):
		return outcome, fmt.Errorf("source %s and id %s identify an earlier request, for tenant %s, whose outcome this is. "+
			"Tenant %s was not requested; repeat the command with another --id",
			r.Source, r.ID, events.Quote(outcome.TenantID()), events.Quote(r.TenantID))
	case ctx.Err() != nil:
		return outcome, fmt.Errorf("interrupted; %s", again)
	case errors.Is(err, context.DeadlineExceeded):
		return outcome, fmt.Errorf("no outcome within %s; %s", wait, again)
	}
	return outcome, fmt.Errorf("%w; %s", err, again)
}
