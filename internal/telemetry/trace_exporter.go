package telemetry

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/sethvargo/go-envconfig"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"example.com/tenant-provisioner/internal/config"
)

// newExporter returns the exporter of the environment. The libraries read the rest of its configuration there.
func newExporter(ctx context.Context, env envconfig.Lookuper) (sdktrace.SpanExporter, error) {
	name, protocol := config.TraceExporter(env)
	if name == "console" {
		return stdouttrace.New()
	}
	file := config.TraceHeadersFile(env)
	if file == "" {
		return newOTLP(ctx, protocol, nil)
	}
	e := &fileExporter{file: file, protocol: protocol}
	if err := e.refresh(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// newOTLP returns an exporter with these headers; nil: those of the environment.
func newOTLP(ctx context.Context, protocol string, headers map[string]string) (sdktrace.SpanExporter, error) {
	if protocol == "grpc" {
		var options []otlptracegrpc.Option
		if headers != nil {
			options = append(options, otlptracegrpc.WithHeaders(headers))
		}
		return otlptracegrpc.New(ctx, options...)
	}
	var options []otlptracehttp.Option
	if headers != nil {
		options = append(options, otlptracehttp.WithHeaders(headers))
	}
	return otlptracehttp.New(ctx, options...)
}

// fileExporter exports with headers from a file. An exporter keeps the headers that it began with. So this makes a new
// one when the file has changed.
type fileExporter struct {
	file     config.ValueFile
	protocol string

	mu      sync.Mutex
	headers map[string]string // those of current
	current sdktrace.SpanExporter
}

// ExportSpans implements [sdktrace.SpanExporter].
func (e *fileExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.refresh(ctx); err != nil {
		return err
	}
	return e.current.ExportSpans(ctx, spans)
}

// Shutdown implements [sdktrace.SpanExporter].
func (e *fileExporter) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current.Shutdown(ctx)
}

// refresh makes the exporter for the headers that are in the file now. The caller holds the lock, or is the only one to
// have e.
func (e *fileExporter) refresh(ctx context.Context) error {
	headers, err := config.ReadTraceHeaders(e.file)
	if err != nil {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_HEADERS_FILE: %w", err)
	}
	if e.current != nil && maps.Equal(headers, e.headers) {
		return nil
	}
	next, err := newOTLP(ctx, e.protocol, headers)
	if err != nil {
		return err
	}
	if e.current != nil {
		err = e.current.Shutdown(ctx)
	}
	e.current, e.headers = next, headers
	return err
}
