package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/recovery"
	"example.com/tenant-provisioner/internal/repeatlog"
	"example.com/tenant-provisioner/internal/telemetry"
)

// NewHandler returns a handler that runs these steps on a connection and a database.
func NewHandler(
	c config.Config, topology handler.Topology, steps []pipeline.Step, link *natsconn.Link, db database.Store,
	counts *telemetry.Metrics, traces trace.TracerProvider, log *slog.Logger,
) (*handler.Handler, error) {
	nc, js := link.Conn(), link.JetStream()
	provisioner, err := pipeline.New(pipeline.Config{
		Database: db, Source: c.EventSource, Log: log, Now: time.Now, Steps: steps,
		Scripts: c.Scripts(), Plans: c.Plans(),
		Observer: &observer{counts, handler.NewProgress(nc, c.EventSource, log)}, Workers: c.Concurrency,
		Limit: pipeline.Limit{Attempts: c.MaxAttempts, Lease: c.AckWait}, Tracer: telemetry.Tracer(traces),
	})
	if err != nil {
		return nil, err
	}
	return handler.New(handler.Config{
		Conn: nc, Link: link, JetStream: js, Topology: topology, Provisioner: provisioner, Workers: c.Concurrency,
		Backoff: c.Backoff(), DrainTimeout: c.DrainTimeout, Log: log, OnPublished: counts.ObserveRequest,
		OnDeadLetterRefused: counts.DeadLetterRefused,
		Tracer:              telemetry.Tracer(traces),
		Guard:               recovery.Guard{JetStream: js, Database: db, Log: log, SetCheckpoint: db.SetCheckpoint}.Check,
	})
}

// dependency is a server that the service waits for at its start: supervisors start programs in any order.
type dependency struct {
	name        string
	unavailable func(error) bool       // whether it may become available after this error
	state       func() error           // why it is unavailable now, for the probes; nil: it is available, or unknown
	changed     func() <-chan struct{} // the channel is closed when another try is worth it; it may be nil
}

// retryUntilUp calls fn until it succeeds, or fails although the server is available.
func retryUntilUp(ctx context.Context, c config.Config, log *slog.Logger, d dependency, fn func() error) error {
	faults := repeatlog.New(log)
	for n := 1; ; n++ {
		changed := d.changed()
		err := fn()
		if err == nil {
			faults.Recovered(d.name + " is available")
		}
		if !d.unavailable(err) {
			return err
		}
		delay := min(c.Backoff().Delay(n), 10*time.Second)
		faults.Warn("waiting for "+d.name, err, "again_in", delay.String())
		select {
		case <-time.After(delay):
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("stopped while waiting for %s: %w", d.name, errors.Join(err, context.Cause(ctx)))
		}
	}
}
