// Package service wires the packages together and runs the service: it starts them in order, answers HTTP from the
// start, and drains.
package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/natsserver"
	"example.com/tenant-provisioner/internal/page"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/telemetry"
)

// Run runs the service until ctx ends.
func Run(ctx context.Context, env envconfig.Lookuper, c config.Config, log *slog.Logger) (err error) {
	defer func() { // a signal to stop while the service waits for a server is not a failure
		// Not context.Cause: the cause of a signal wraps context.Canceled, which libraries return without the cause.
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = nil
		}
	}()
	log.InfoContext(ctx, "starting", "version", buildinfo.Version(),
		"nats", cmp.Or(config.Redact("NATS_URL", c.NATSURL), "embedded"),
		"database", config.Redact("DATABASE_URL", c.DatabaseURL))
	traces, stopTracing, err := telemetry.StartTraces(ctx, env, log)
	if err != nil {
		return err
	}
	defer stopTracing()
	var serving atomic.Pointer[probes]
	serving.Store(starting(errors.New("starting")))
	steps := pipeline.Steps()
	counts := telemetry.NewMetrics(steps)
	operatorPage, err := newPage(c, steps, func() error { return serving.Load().ready() })
	if err != nil {
		return err
	}
	defer operatorPage.Close()
	stopHTTP, err := serveHTTP(ctx, c.HTTPAddr, &serving, counts.Handler(), operatorPage, log)
	if err != nil {
		return err
	}
	defer stopHTTP()

	var server *natsserver.Server
	var inProcess nats.InProcessConnProvider
	if c.NATSURL == "" {
		if server, err = natsserver.Start(ctx, c.EmbeddedAddr, c.EmbeddedDir, log); err != nil {
			return err
		}
		inProcess = server
		defer func() { err = errors.Join(err, server.Stop()) }()
	}
	var last natsconn.LastError
	// No reconnect buffer: a message that is published late may be outdated. The handler decides again before it retries.
	nc, err := natsconn.Connect(c, inProcess, log, true, last.Option(), nats.ReconnectBufSize(-1))
	if err != nil {
		return err
	}
	defer natsconn.Close(ctx, nc)
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	defer counts.WatchQueue(ctx, js, log)()
	operatorPage.Connect(js)
	up := func(what string, unavailable func(error) bool, fn func() error) error {
		return retryUntilUp(ctx, c, log, what, unavailable, func() error {
			err := fn()
			if err != nil {
				serving.Store(starting(fmt.Errorf("starting: waiting for %s: %w", what, err)))
			}
			return err
		})
	}
	// Streams that contradict the contract are refused here, before the service takes any request.
	err = up("NATS", natsconn.Unavailable, func() error {
		if err := natsconn.Connected(nc, &last); err != nil {
			return fmt.Errorf("no connection to %s: %w", cmp.Or(config.Redact("NATS_URL", c.NATSURL), c.EmbeddedAddr), err)
		}
		if err := natsconn.CheckInbox(ctx, nc); err != nil {
			return err
		}
		_, err := c.Topology().Ensure(ctx, js)
		return err
	})
	if err != nil {
		return fmt.Errorf("JetStream: %w", err)
	}

	var db database.Store
	err = up("the database", pipeline.IsOutage, func() (err error) {
		db, err = database.Open(ctx, c, traces, log)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	defer database.FillPool(ctx, db)()
	counts.WatchStore(db)
	operatorPage.Watch(func() page.Database { return pageDatabase(db) })

	h, err := NewHandler(c, steps, nc, db, counts, traces, log)
	if err != nil {
		return err
	}
	// The embedded server is checked too: the handler notices its failure only when there is work.
	ready := func() error { return cmp.Or(server.Err(), h.Err()) }
	serving.Store(&probes{alive: h.Liveness, ready: ready})
	counts.WatchHandler(h, ready)
	err = h.Run(ctx)
	log.InfoContext(ctx, "stopped")
	return err
}
