package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// traceVariables are the variables that turn traces on: any one suffices. OpenTelemetry's libraries read all its other
// variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
var traceVariables = []string{
	"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
}

// TracesEnabled reports whether the environment turns traces on.
func TracesEnabled(env envconfig.Lookuper) bool {
	if disabled, _ := env.Lookup("OTEL_SDK_DISABLED"); strings.EqualFold(disabled, "true") {
		return false
	}
	if exporter, _ := env.Lookup("OTEL_TRACES_EXPORTER"); exporter == "none" {
		return false
	}
	for _, name := range traceVariables {
		if value, _ := env.Lookup(name); value != "" {
			return true
		}
	}
	return false
}

// traceChoices are the OpenTelemetry variables with a fixed set of values; its libraries do not name the set in their
// errors.
var traceChoices = []struct {
	name    string
	allowed []string
}{
	{"OTEL_TRACES_EXPORTER", []string{"otlp", "console", "none"}},
	{"OTEL_EXPORTER_OTLP_PROTOCOL", []string{"http/protobuf", "grpc"}},
	{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", []string{"http/protobuf", "grpc"}},
}

// checkTraces checks traceChoices if traces are on.
func checkTraces(env envconfig.Lookuper) error {
	if !TracesEnabled(env) {
		return nil
	}
	var faults []error
	for _, c := range traceChoices {
		if value, _ := env.Lookup(c.name); value != "" && !slices.Contains(c.allowed, value) {
			faults = append(faults, fmt.Errorf("%s: %q is not one of %s", c.name, value, strings.Join(c.allowed, ", ")))
		}
	}
	return errors.Join(faults...)
}
