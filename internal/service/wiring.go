package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/repeatlog"
	"example.com/tenant-provisioner/internal/telemetry"
)

// NewHandler returns a handler that runs these steps on a connection and a database.
func NewHandler(
	c config.Config, steps []pipeline.Step, nc *nats.Conn, db database.Store, counts *telemetry.Metrics,
	traces trace.TracerProvider, log *slog.Logger,
) (*handler.Handler, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	provisioner, err := pipeline.New(pipeline.Config{
		Database: db, Source: c.EventSource, Log: log, Now: time.Now, Steps: steps,
		Observer: &observer{counts, handler.NewProgress(nc, c.EventSource, log)}, Workers: c.Concurrency,
		Limit: pipeline.Limit{Attempts: c.MaxAttempts, Lease: c.AckWait}, Tracer: telemetry.Tracer(traces),
	})
	if err != nil {
		return nil, err
	}
	return handler.New(handler.Config{
		Conn: nc, JetStream: js, Topology: c.Topology(), Provisioner: provisioner, Workers: c.Concurrency,
		Backoff: c.Backoff(), DrainTimeout: c.DrainTimeout, Log: log, OnPublished: counts.ObserveRequest,
		OnDeadLetterRefused: counts.DeadLetterRefused,
		Tracer:              telemetry.Tracer(traces),
	})
}

// retryUntilUp retries fn while the server that it needs is unavailable: supervisors start programs in any order. what
// names the server in the log.
func retryUntilUp(
	ctx context.Context, c config.Config, log *slog.Logger, what string, unavailable func(error) bool, fn func() error,
) error {
	faults := repeatlog.New(log)
	for n := 1; ; n++ {
		err := fn()
		if err == nil {
			faults.Recovered(what + " is available")
		}
		if !unavailable(err) {
			return err
		}
		delay := min(c.Backoff().Delay(n), 10*time.Second)
		faults.Warn("waiting for "+what, err, "again_in", delay.String())
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return fmt.Errorf("stopped while waiting for %s: %w", what, errors.Join(err, context.Cause(ctx)))
		}
	}
}
