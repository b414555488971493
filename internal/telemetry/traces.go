package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/sethvargo/go-envconfig"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/config"
)

// traceStopTimeout bounds the export of the last spans.
const traceStopTimeout = 2 * time.Second

// StartTraces returns a tracer provider, or nil where traces are off. stop exports the last spans, and takes
// at most traceStopTimeout.
func StartTraces(
	ctx context.Context, env envconfig.Lookuper, log *slog.Logger,
) (_ trace.TracerProvider, stop func() error, _ error) {
	if unused := config.UnusedTraceVariables(os.Environ()); len(unused) > 0 {
		log.WarnContext(ctx, "OpenTelemetry variables have no effect here; check their names", "variables", unused)
	}
	if !config.TracesEnabled(env) {
		return nil, func() error { return nil }, nil
	}
	takeTraceLogs(log) // a failed export loses its spans and affects nothing else
	exporter, err := newExporter(ctx, env)
	if err != nil {
		return nil, nil, config.NewError(fmt.Errorf("OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_…: %w", err))
	}
	what, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", buildinfo.Name), attribute.String("service.version", buildinfo.Version()),
		),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, nil, config.NewError(fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err))
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(boundedSpans{exporter}), sdktrace.WithResource(what),
		sdktrace.WithRawSpanLimits(spanLimits()))
	log.InfoContext(ctx, "sending traces")
	return provider, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceStopTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.WarnContext(ctx, "could not send the last spans", "error", err)
		}
		return nil // lost spans do not make the stop a failure
	}, nil
}

// Tracer returns the program's tracer, or nil without a provider.
func Tracer(provider trace.TracerProvider) trace.Tracer {
	if provider == nil {
		return nil
	}
	return provider.Tracer("example.com/tenant-provisioner")
}
