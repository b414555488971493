package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"

	"example.com/tenant-provisioner/internal/repeatlog"
)

// libraryQuiet is the time without a failed export, or another message of a library, after which an episode of them is
// over. It is longer than an export with its retries.
const libraryQuiet = 5 * time.Minute

// TakeDefaultLogs makes log the logger of libraries that have none of their own: those that use the packages log and
// slog of the standard library.
func TakeDefaultLogs(log *slog.Logger) {
	slog.SetLogLoggerLevel(slog.LevelWarn) // of lines that the package log writes
	slog.SetDefault(log)
}

// takeTraceLogs makes log the logger of OpenTelemetry and of gRPC, which write plain lines to stderr by default.
func takeTraceLogs(log *slog.Logger) {
	faults := repeatlog.NewWithQuiet(log, libraryQuiet, "no further OpenTelemetry errors")
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { faults.Warn("OpenTelemetry", err) }))
	otel.SetLogger(logr.New(otelSink{faults}))
	takeGRPCLogs()
}

// otelSink takes what OpenTelemetry logs, which is not the errors of exports. It drops all values, because a value can
// be that of a variable that holds a secret: config has refused an invalid one by its name.
type otelSink struct{ faults *repeatlog.Log }

func (otelSink) Init(logr.RuntimeInfo) {}

// Enabled reports whether a level is logged: errors and warnings are.
func (otelSink) Enabled(level int) bool { return level <= 1 }

func (s otelSink) Info(_ int, message string, _ ...any) {
	s.faults.Warn("OpenTelemetry: "+message, nil)
}

func (s otelSink) Error(_ error, message string, _ ...any) {
	s.faults.Warn("OpenTelemetry: "+message, nil)
}

func (s otelSink) WithValues(...any) logr.LogSink { return s }

func (s otelSink) WithName(string) logr.LogSink { return s }

// takeGRPCLogs passes gRPC's errors to the default logger. gRPC allows it only before it is used.
var takeGRPCLogs = sync.OnceFunc(func() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, grpcErrors{}))
})

// grpcErrors writes each line that gRPC logs as an error.
type grpcErrors struct{}

func (grpcErrors) Write(line []byte) (int, error) {
	slog.Warn(fmt.Sprintf("gRPC: %s", bytes.TrimSpace(line)))
	return len(line), nil
}
