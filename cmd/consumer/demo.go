package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/natsserver"
	"example.com/tenant-provisioner/internal/service"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/telemetry"
	"example.com/tenant-provisioner/internal/terminal"
)

// demoTimeout is how long the demo waits for one outcome.
const demoTimeout = 2 * time.Minute

func demoCommand(a *app) *cobra.Command {
	var asJSON bool
	var dir, scripts, seeds, base string
	cmd := &cobra.Command{
		Use:   "demo [FILE…]",
		Short: "Run the whole path in one process",
		Long: "Starts NATS, SQLite and the service in this process, in a new directory, publishes request events,\n" +
			"and shows their outcomes. A FILE holds one event as JSON, or one a line; - is standard input.\n" +
			"Without files it publishes samples, valid and invalid. Exits 0 if every request got an outcome.\n" +
			"Of the environment only LOG_LEVEL and LOG_FORMAT count; three flags stand for INIT_SCRIPTS, SEED_DATA and\n" +
			"BASE_DEFINITION.",
		Example: "  consumer demo\n  consumer demo my-request.json --dir /tmp/demo --seed-data deploy/seed-data",

		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault), // files
		RunE: func(cmd *cobra.Command, files []string) error {
			messages, err := readMessages(files, cmd.InOrStdin())
			if err != nil {
				return err
			}
			if len(files) == 0 {
				messages = samples()
			}
			further := map[string]string{"INIT_SCRIPTS": scripts, "SEED_DATA": seeds, "BASE_DEFINITION": base}
			return a.demo(cmd.Context(), messages, dir, further, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the outcome events, one a line")
	cmd.Flags().StringVar(&dir, "dir", "", "a new or empty directory to use and keep (default: a temporary one)")
	cmd.Flags().StringVar(&scripts, "init-scripts", "", "a directory of scripts, which run in every tenant (INIT_SCRIPTS)")
	cmd.Flags().StringVar(&seeds, "seed-data", "", "a directory of rows, which every tenant gets (SEED_DATA)")
	cmd.Flags().StringVar(&base, "base-definition", "", "docex, or none: scripts make all of a tenant (BASE_DEFINITION)")
	completeFlag(cmd, "base-definition",
		cobra.FixedCompletions([]string{sql.BaseDocEX, sql.BaseNone}, cobra.ShellCompDirectiveNoFileComp))
	for _, flag := range []string{"dir", "init-scripts", "seed-data"} {
		completeFlag(cmd, flag, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	}
	return cmd
}

// demo runs the service on embedded defaults, whatever the environment, and publishes messages to it.
func (a *app) demo(
	ctx context.Context, messages []message, dir string, further map[string]string, asJSON bool,
) (err error) {
	c, log, err := a.demoConfig(ctx, further)
	if err != nil {
		return err
	}
	dir, remove, err := demoDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	c.DatabaseURL, c.EmbeddedDir = "sqlite:"+filepath.Join(dir, "storage"), filepath.Join(dir, "nats")
	server, err := natsserver.Start(ctx, "", c.EmbeddedDir, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	link, err := natsconn.Connect(ctx, c, server, log, false)
	if err != nil {
		return err
	}
	defer link.Close(ctx)
	db, err := database.Open(ctx, c, database.NewRegistry{}, nil, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := database.CheckFurther(ctx, c, db, log); err != nil {
		return err
	}
	steps := c.Steps()
	h, err := service.NewHandler(c, c.Topology(), steps, link, db, telemetry.NewMetrics(steps), nil, log)
	if err != nil {
		return err
	}
	js := link.JetStream()
	if err := c.Topology().Ensure(ctx, js); err != nil {
		return err
	}
	stream, err := openOutcomes(ctx, js, true, log)
	if err != nil {
		return err
	}
	defer stream.close(ctx)

	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- h.Run(serving) }()
	s := &demoPublisher{app: a, js: js, stream: stream, seen: map[string]event.Event{}, asJSON: asJSON}
	err = s.publishAll(ctx, messages)
	stop()
	return errors.Join(err, <-ended)
}

// demoConfig is the default configuration, with the log settings of the environment. The default level is error,
// because the demo shows outcomes.
func (a *app) demoConfig(ctx context.Context, further map[string]string) (config.Config, *slog.Logger, error) {
	own := map[string]string{"LOG_LEVEL": "error"}
	maps.Copy(own, further)
	for _, name := range []string{"LOG_LEVEL", "LOG_FORMAT"} {
		if value, ok := a.Env.Lookup(name); ok {
			own[name] = value
		}
	}
	demo := app{terminal.IO{Env: envconfig.MapLookuper(own), Out: a.Out, Err: a.Err}}
	return demo.configure(ctx)
}

// demoDir creates the directory of the demo. remove deletes it if dir is empty, which means a temporary one.
func demoDir(dir string) (_ string, remove func() error, err error) {
	if dir == "" {
		dir, err = os.MkdirTemp("", "tenant-provisioner-demo-")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	keep := func() error { return nil }
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return dir, keep, os.MkdirAll(dir, 0o755)
	case err != nil:
		return "", nil, usageError(err)
	case len(entries) > 0:
		return "", nil, usageError(fmt.Errorf("--dir %s is not empty; name a new directory", dir))
	}
	return dir, keep, nil
}
