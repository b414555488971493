package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// traceVariables are the variables of which one turns traces on. All others of OpenTelemetry's are read by its
// libraries: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
var traceVariables = []string{
	"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
}

// TracesEnabled reports whether the environment asks for traces.
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

// traceChoices are those variables of OpenTelemetry's that are a choice; its libraries do not say of which.
var traceChoices = []struct {
	name    string
	allowed []string
}{
	{"OTEL_TRACES_EXPORTER", []string{"otlp", "console", "none"}},
	{"OTEL_EXPORTER_OTLP_PROTOCOL", []string{"http/protobuf", "grpc"}},
	{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", []string{"http/protobuf", "grpc"}},
}

// checkTraces judges what is asked for, if traces are.
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
