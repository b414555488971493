package telemetry

import (
	"errors"
	"testing"

	"github.com/go-logr/logr"

	"example.com/tenant-provisioner/internal/repeatlog"
	"example.com/tenant-provisioner/internal/testkit"
)

// OpenTelemetry logs values of variables, such as headers with a token. They are dropped.
func TestOpenTelemetryLogHoldsNoValues(t *testing.T) {
	t.Parallel()
	const secret = "Zq7kept8private"
	written, text := logTo("json")
	log := logr.New(otelSink{repeatlog.New(written)})
	log.Error(errors.New("parse "+secret), "parse headers", "input", secret)
	log.WithName(secret).WithValues("key", secret).V(1).Info("limit reached", "value", secret)
	log.V(4).Info("TracerProvider created", "config", secret)
	testkit.Contains(t, "the log", text.String(), `"msg":"OpenTelemetry: parse headers"`, `"msg":"OpenTelemetry: limit reached"`)
	testkit.Lacks(t, "the log", text.String(), secret, "TracerProvider")
}
