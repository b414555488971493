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
	"github.com/sethvargo/go-envconfig"
	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/natsserver"
	"example.com/tenant-provisioner/internal/page"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/recovery"
	"example.com/tenant-provisioner/internal/telemetry"
)

// replacePause is the pause before a connection that the client has closed for good is replaced.
const replacePause = time.Second

// firstConnectTime is how long the start waits for a connection before it reports that it is not connected.
const firstConnectTime = 2 * time.Second

// serve starts the parts of the service in order, adds each to running, and takes requests until ctx ends. It returns
// when running work is finished or released; the parts still run.
func serve(
	ctx context.Context, env envconfig.Lookuper, c config.Config, log *slog.Logger, lines *telemetry.LogBuffer,
	running *parts, manager *systemd,
) error {
	log.InfoContext(ctx, "starting", "version", buildinfo.Version(),
		"nats", cmp.Or(config.Redact("NATS_URL", c.NATSURL), "embedded"),
		"database", config.Redact("DATABASE_URL", c.DatabaseURL))
	traces, stopTracing, err := telemetry.StartTraces(ctx, env, log)
	if err != nil {
		return err
	}
	running.started("traces", stopTracing)
	s, err := newService(c, traces, log, running)
	if err != nil {
		return err
	}
	s.counts.WatchLog(lines)
	stopHTTP, err := serveHTTP(ctx, c.HTTPAddr, &s.serving, s.counts.Handler(), s.page, log)
	if err != nil {
		return err
	}
	running.started("HTTP server", func() error {
		stopHTTP()
		s.page.Close()
		return nil
	})
	go manager.run(func() error { return s.serving.Load().alive() }, func() error { return s.serving.Load().ready() })
	if c.NATSURL == "" {
		if s.server, err = natsserver.Start(ctx, c.EmbeddedAddr, c.EmbeddedDir, log); err != nil {
			return err
		}
		running.started("NATS", s.server.Stop)
	}
	return s.serve(ctx)
}

// service is what lasts longer than a connection to NATS.
type service struct {
	config.Config
	steps   []pipeline.Step
	traces  trace.TracerProvider
	log     *slog.Logger
	serving atomic.Pointer[probes]
	counts  *telemetry.Metrics
	page    *page.Page
	server  *natsserver.Server // nil: another process's
	db      database.Store     // nil: not opened yet
	running *parts
}

func newService(c config.Config, traces trace.TracerProvider, log *slog.Logger, running *parts) (*service, error) {
	s := &service{Config: c, steps: c.Steps(), traces: traces, log: log, running: running}
	s.serving.Store(starting(func() error { return errors.New("starting") }))
	ready := func() error { return s.serving.Load().ready() }
	s.counts = telemetry.NewMetrics(s.steps)
	s.counts.WatchProbes(func() error { return s.serving.Load().alive() }, ready,
		func() bool { return s.serving.Load().restored() })
	var err error
	s.page, err = newPage(c, s.steps, ready)
	return s, err
}

// serve takes requests until ctx ends.
func (s *service) serve(ctx context.Context) error {
	for {
		err := s.run(ctx)
		if !errors.Is(err, nats.ErrConnectionClosed) || ctx.Err() != nil {
			return err
		}
		// The client closes its connection for good after some errors of the server, such as a message over a max_payload
		// that was lowered after the client had connected. (nats.go 1.55.0, processErr)
		s.log.ErrorContext(ctx, "NATS client has closed its connection; connecting again", "error", err)
		s.serving.Store(starting(func() error { return err }))
		select {
		case <-time.After(replacePause):
		case <-ctx.Done():
			return nil
		}
	}
}

// run connects to NATS and to the database, and takes requests until ctx ends. It returns [nats.ErrConnectionClosed] if
// the client has closed the connection to NATS for good.
func (s *service) run(ctx context.Context) (err error) {
	c, log := s.Config, s.log
	var inProcess nats.InProcessConnProvider
	if s.server != nil {
		inProcess = s.server
	}
	// No reconnect buffer: a message that is published late may be outdated. The handler decides again before it retries.
	link, err := natsconn.Connect(ctx, c, inProcess, log, true, nats.ReconnectBufSize(-1))
	if err != nil {
		return err
	}
	s.running.started("NATS", func() error {
		link.Close(ctx)
		if s.server == nil {
			return nil
		}
		return s.server.Stop()
	})
	defer func() {
		if errors.Is(err, nats.ErrConnectionClosed) { // another one replaces it
			link.Close(ctx)
		}
	}()
	js := link.JetStream()
	s.counts.Reset()
	sampleQueue := s.counts.WatchQueue(js, log)
	s.page.Connect(js)
	var stamps handler.StreamStamps
	err = s.awaitNATS(ctx, "NATS", link, func(ctx context.Context) (err error) {
		stamps, err = c.Topology().Check(ctx, js)
		return err
	})
	if err != nil {
		return err
	}

	if err := s.openDatabase(ctx, recovery.AllowNew(stamps)); err != nil {
		return err
	}
	s.counts.WatchStore(s.db)

	topology := c.Topology()
	err = s.awaitNATS(ctx, "NATS and the database", link, func(ctx context.Context) (err error) {
		topology.Registry, err = recovery.BindStreams(ctx, js, s.db, c.Manage, log)
		if err != nil {
			return err
		}
		return topology.Ensure(ctx, js)
	})
	if err != nil {
		return err
	}
	defer sampleQueue(ctx)()
	defer keepPruning(ctx, c.Retention, js, s.db, log)()
	h, err := NewHandler(c, topology, s.steps, link, s.db, s.counts, s.traces, log)
	if err != nil {
		return err
	}
	// The embedded server is checked too: the handler notices its failure only when there is work.
	ready := func() error { return cmp.Or(s.server.Err(), h.Err()) }
	s.serving.Store(&probes{alive: h.Liveness, ready: ready, restored: h.Restored})
	s.counts.WatchHandler(h)
	s.running.takesRequests.Store(true)
	err = h.Run(ctx)
	if errors.Is(err, nats.ErrConnectionClosed) { // all workers have ended
		s.running.takesRequests.Store(false)
	}
	return err
}

// openDatabase waits for the database and opens it, unless that was done for an earlier connection to NATS.
func (s *service) openDatabase(ctx context.Context, missing database.NewRegistry) error {
	if s.db != nil {
		return nil
	}
	server := dependency{
		name: "the database", unavailable: pipeline.IsOutage,
		state: func() error { return nil }, changed: func() <-chan struct{} { return nil },
	}
	err := s.up(ctx, server, func() (err error) {
		s.db, err = database.Open(ctx, s.Config, missing, s.traces, s.log)
		return err
	})
	if err != nil {
		return err
	}
	s.running.started("database", s.db.Close)
	err = s.up(ctx, server, func() error { return database.CheckFurther(ctx, s.Config, s.db, s.log) })
	if err != nil {
		return err
	}
	stopFilling := database.FillPool(ctx, s.db)
	s.running.started("database", func() error {
		stopFilling()
		return s.db.Close()
	})
	s.page.Watch(func() page.Database { return pageDatabase(s.db) })
	s.page.LookUp(pageLookup(s.db))
	return nil
}

// awaitNATS waits for a server that answers, and calls fn with it until fn succeeds or the server's answer ends it.
// what names what fn needs.
func (s *service) awaitNATS(
	ctx context.Context, what string, link *natsconn.Link, fn func(context.Context) error,
) error {
	disconnected := func(err error) error {
		if errors.Is(err, nats.ErrDisconnected) {
			return fmt.Errorf("no connection to %s: %w", cmp.Or(config.Redact("NATS_URL", s.NATSURL), s.EmbeddedAddr), err)
		}
		return err
	}
	s.serving.Store(starting(func() error {
		return fmt.Errorf("starting: waiting for %s: %w", what, cmp.Or(link.Err(), errors.New("it has not answered yet")))
	}))
	if changed := link.Changed(); errors.Is(link.Err(), nats.ErrDisconnected) { // connecting has only begun
		select {
		case <-changed:
		case <-time.After(firstConnectTime):
		case <-ctx.Done():
		}
	}
	err := s.up(ctx, dependency{
		name: what, unavailable: func(err error) bool { return natsconn.Unavailable(err) || pipeline.IsOutage(err) },
		state: func() error { return cmp.Or(s.server.Err(), disconnected(link.Err())) }, changed: link.Changed,
	}, func() error {
		if err := disconnected(link.Err()); err != nil {
			return err
		}
		if err := natsconn.CheckInbox(ctx, link.Conn()); err != nil {
			return err
		}
		return fn(ctx)
	})
	if err != nil {
		return fmt.Errorf("JetStream: %w", err)
	}
	return nil
}

// up calls fn until the server that it needs is available. In the meantime the probes report what the service waits
// for: the server's state at the time of the probe, or else why fn failed.
func (s *service) up(ctx context.Context, d dependency, fn func() error) error {
	waiting := func(err error) {
		s.serving.Store(starting(func() error {
			return fmt.Errorf("starting: waiting for %s: %w", d.name, cmp.Or(d.state(), err))
		}))
	}
	waiting(errors.New("it has not answered yet"))
	return retryUntilUp(ctx, s.Config, s.log, d, func() error {
		err := fn()
		if err != nil {
			waiting(err)
		}
		return err
	})
}
