package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/terminal"
)

// requestSource is the CloudEvents source of requests from the command line.
const requestSource = "/tenant-provisioner/cli"

const publishTimeout = 10 * time.Second

// requestFlags are the flags of consumer request.
type requestFlags struct {
	displayName, createdBy, strategy, plan, id, source string

	wait   time.Duration
	asJSON bool
}

func requestCommand(a *app) *cobra.Command {
	var f requestFlags
	cmd := &cobra.Command{
		Use:   "request TENANT",
		Short: "Publish a request for a tenant",
		Long: "Publishes a tenant.requested event. With --wait it shows the outcome and exits 0 if the tenant was\n" +
			"provisioned, 1 if not; on a terminal it shows the steps as they happen. The same --source and --id are the\n" +
			"same request, and have one outcome.",
		Example: "  consumer request acme --display-name 'Acme Inc.' --created-by billing --wait 30s",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.request(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.displayName, "display-name", "", "the customer's name (required)")
	flags.StringVar(&f.createdBy, "created-by", "", "the person or system that makes the request (required)")
	flags.StringVar(&f.strategy, "isolation-strategy", "", "schema or database (default: the one that fits the database)")
	flags.StringVar(&f.plan, "plan", "", "one of the service's plans (default: the service's default)")
	flags.StringVar(&f.id, "id", "", "the request's id (default: a new one)")
	flags.StringVar(&f.source, "source", requestSource, "the request's source")
	flags.DurationVar(&f.wait, "wait", 0, "wait this long for the outcome")
	flags.BoolVar(&f.asJSON, "json", false, "print events as JSON")
	completeFlag(cmd, "isolation-strategy",
		cobra.FixedCompletions([]cobra.Completion{events.IsolationSchema, events.IsolationDatabase}, noFiles))
	for _, name := range []string{"display-name", "created-by"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not defined above
		}
	}
	return cmd
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
	data := events.Requested{
		TenantID: tenant, DisplayName: f.displayName, CreatedBy: f.createdBy, IsolationStrategy: f.strategy,
		Plan: f.plan,
	}
	// The service validates requests, and --wait shows its outcome. Without --wait this is an early warning.
	if err := data.Validate(); err != nil && f.wait <= 0 {
		fmt.Fprintf(a.Err, "consumer: the service will refuse this request: %v\n", err) //nolint:errcheck // advice
	}
	e := event.New()
	e.SetType(events.TypeRequested)
	e.SetSource(f.source)
	e.SetID(f.id)
	e.SetTime(time.Now().UTC())
	if err := e.SetData(event.ApplicationJSON, data); err != nil {
		return err
	}
	f.id, f.source = e.ID(), e.Source() // as in the event, which trims spaces
	header, body, err := events.Encode(e)
	if err != nil {
		return usageError(err)
	}
	js, end, err := natsconn.Open(ctx, c, log)
	if err != nil {
		return err
	}
	defer end()
	var pending *requestOutcome
	if f.wait > 0 {
		if pending, err = openRequestOutcome(ctx, js, f.source, f.id, log); err != nil {
			return err
		}
		defer pending.close(ctx)
	}
	stop := func() {}
	if live != nil { // before the request is published: the first step may begin immediately
		stop = sync.OnceFunc(follow(ctx, live, js.Conn(), tenant, f.source, f.id, a.Palette(live)))
		defer stop()
	}
	if err := publishRequest(ctx, js, &nats.Msg{Subject: events.TypeRequested, Header: header, Data: body}); err != nil {
		return err
	}
	if f.wait <= 0 {
		if f.asJSON {
			return writeJSON(a.Out, e)
		}
		_, err := fmt.Fprintf(a.Out, "requested %s: source %s, id %s\n",
			terminal.Plain(tenant), terminal.Plain(f.source), terminal.Plain(f.id))
		return err
	}
	outcome, err := awaitOutcome(ctx, pending, f)
	stop()
	if err != nil {
		return err
	}
	if err := a.show(outcome, f.asJSON); err != nil {
		return err
	}
	if err := checkIdentity(tenant, f, outcome); err != nil {
		return err
	}
	if outcome.Type() != events.TypeProvisioned {
		return errSilent
	}
	return nil
}

// publishRequest publishes a request and waits until the stream has it.
func publishRequest(ctx context.Context, js jetstream.JetStream, msg *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	// The server has the subscriptions before the request: they go over the same connection.
	_, err := js.PublishMsg(ctx, msg)
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("stream %s does not exist; run the service once to create it", events.StreamRequests)
	}
	if err != nil {
		return fmt.Errorf("publish the request: %w", handler.ExplainPermission(js.Conn(), err, msg.Subject))
	}
	return nil
}
