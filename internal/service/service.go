// Package service wires the packages together and runs the service: it starts them in order, answers HTTP from the
// start, and stops them within one deadline.
package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

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

// natsWriteTimeout is how long a write to NATS may block, and with it every other use of the connection, before the
// connection is given up. The client's default is a minute.
const natsWriteTimeout = 5 * time.Second

// serve starts the parts of the service in order, adds each to running, and takes requests until ctx ends. It returns
// when running work is finished or released; the parts still run.
func serve(
	ctx context.Context, env envconfig.Lookuper, c config.Config, log *slog.Logger, lines *telemetry.LogBuffer,
	running *parts,
) error {
	log.InfoContext(ctx, "starting", "version", buildinfo.Version(),
		"nats", cmp.Or(config.Redact("NATS_URL", c.NATSURL), "embedded"),
		"database", config.Redact("DATABASE_URL", c.DatabaseURL))
	traces, stopTracing, err := telemetry.StartTraces(ctx, env, log)
	if err != nil {
		return err
	}
	running.started("traces", stopTracing)
	var serving atomic.Pointer[probes]
	serving.Store(starting(errors.New("starting")))
	steps := pipeline.Steps()
	counts := telemetry.NewMetrics(steps)
	counts.WatchLog(lines)
	operatorPage, err := newPage(c, steps, func() error { return serving.Load().ready() })
	if err != nil {
		return err
	}
	stopHTTP, err := serveHTTP(ctx, c.HTTPAddr, &serving, counts.Handler(), operatorPage, log)
	if err != nil {
		return err
	}
	running.started("HTTP server", func() error {
		stopHTTP()
		operatorPage.Close()
		return nil
	})

	var server *natsserver.Server
	var inProcess nats.InProcessConnProvider
	stopServer := func() error { return nil }
	if c.NATSURL == "" {
		if server, err = natsserver.Start(ctx, c.EmbeddedAddr, c.EmbeddedDir, log); err != nil {
			return err
		}
		inProcess, stopServer = server, server.Stop
		running.started("NATS", stopServer)
	}
	var last natsconn.LastError
	// No reconnect buffer: a message that is published late may be outdated. The handler decides again before it retries.
	nc, err := natsconn.Connect(c, inProcess, log, true, last.Option(), nats.ReconnectBufSize(-1),
		nats.FlusherTimeout(natsWriteTimeout))
	if err != nil {
		return err
	}
	running.started("NATS", func() error {
		natsconn.Close(ctx, nc)
		return stopServer()
	})
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	counts.WatchQueue(js, log)
	operatorPage.Connect(js)
	up := func(what string, unavailable func(error) bool, fn func() error) error {
		serving.Store(starting(fmt.Errorf("starting: waiting for %s", what)))
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
	stopFilling := database.FillPool(ctx, db)
	running.started("database", func() error {
		stopFilling()
		return db.Close()
	})
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
	running.takesRequests.Store(true)
	return h.Run(ctx)
}
