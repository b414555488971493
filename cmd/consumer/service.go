package main

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
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/repeatlog"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
)

// store is a database together with its end.
type store interface {
	pipeline.Database
	Close() error
}

// openStore opens the configured database and brings its registry up to date.
func openStore(ctx context.Context, c config.Config, traces trace.TracerProvider, log *slog.Logger) (store, error) {
	if c.OnPostgres() {
		config := c.Postgres()
		config.Log, config.Traces = log, traces
		return postgres.Open(ctx, config)
	}
	config := c.SQLite()
	config.Log, config.Traces = log, traces
	return sqlite.Open(ctx, config)
}

// prepareAhead prepares boundaries in the background, if the store is to. The returned function ends that and waits.
func prepareAhead(ctx context.Context, db store) (stop func()) {
	pg, ok := db.(*postgres.Store)
	if !ok || pg.Prepared().Target == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		pg.Fill(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// newHandler wires a handler to a connection and a database.
func newHandler(
	c config.Config, nc *nats.Conn, db store, counts *metrics, traces trace.TracerProvider, log *slog.Logger,
) (*handler.Handler, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	provisioner, err := pipeline.New(pipeline.Config{
		Database: db, Source: c.EventSource, Log: log, Now: time.Now, Steps: pipeline.Steps(),
		Observer: &observer{counts, handler.NewProgress(nc, c.EventSource, log)}, Workers: c.Concurrency,
		Limit: pipeline.Limit{Attempts: c.MaxAttempts, Lease: c.AckWait}, Tracer: tracer(traces),
	})
	if err != nil {
		return nil, err
	}
	return handler.New(handler.Config{
		Conn: nc, JetStream: js, Topology: c.Topology(), Provisioner: provisioner, Workers: c.Concurrency,
		Backoff: c.Backoff(), DrainTimeout: c.DrainTimeout, Log: log, Settled: counts.settled,
		Unstored: counts.unstored.Inc,
		Tracer:   tracer(traces),
	})
}

// retryUntilUp repeats fn while what it needs is unavailable: supervisors start programs in any order. what names it in
// the log.
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
			return fmt.Errorf("%s was not there: %w", what, errors.Join(err, context.Cause(ctx)))
		}
	}
}
