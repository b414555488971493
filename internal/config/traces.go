package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// traceSwitches are the variables that turn traces on: any one suffices.
var traceSwitches = []string{
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
	return slices.ContainsFunc(traceSwitches, func(name string) bool {
		value, _ := env.Lookup(name)
		return strings.TrimSpace(value) != ""
	})
}

// traceVariable is a variable that OpenTelemetry's libraries read. They ignore an invalid value, log it, which may show
// a secret, or panic.
type traceVariable struct {
	name  string
	check func(value string) error // its error does not contain a value that may hold a secret
	// exact means that the libraries do not remove blanks around the value.
	exact bool
}

// Bounds of numbers. The largest queue takes 16 MB without its spans.
const (
	maxTraceQueue  = 1_000_000
	maxTraceMillis = 24 * 60 * 60 * 1000
)

// traceVariables are all variables that the libraries read for traces. A test compares the list with their sources.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
var traceVariables = slices.Concat([]traceVariable{
	{"OTEL_SDK_DISABLED", isTrueOrFalse, true},
	{"OTEL_TRACES_EXPORTER", isOneOf("otlp", "console", "none"), true},
	{"OTEL_TRACES_SAMPLER", isSampler, false},
	{"OTEL_TRACES_SAMPLER_ARG", isAnything, false}, // depends on the sampler
	{"OTEL_SERVICE_NAME", isAnything, false},
	{"OTEL_RESOURCE_ATTRIBUTES", isAttributes, false},
	{"OTEL_BSP_SCHEDULE_DELAY", isNumber(1, maxTraceMillis, "milliseconds"), true},
	{"OTEL_BSP_EXPORT_TIMEOUT", isNumber(0, maxTraceMillis, "milliseconds"), true},
	{"OTEL_BSP_MAX_QUEUE_SIZE", isNumber(1, maxTraceQueue, "spans"), true},
	{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", isNumber(1, maxTraceQueue, "spans"), true},
	{"OTEL_GO_X_OBSERVABILITY", isTrueOrFalse, true},
	{"OTEL_GO_X_RESOURCE", isTrueOrFalse, true},
},
	limits("ATTRIBUTE_COUNT", "ATTRIBUTE_VALUE_LENGTH", "EVENT_ATTRIBUTE_COUNT", "LINK_ATTRIBUTE_COUNT",
		"SPAN_ATTRIBUTE_COUNT", "SPAN_ATTRIBUTE_VALUE_LENGTH", "SPAN_EVENT_COUNT", "SPAN_LINK_COUNT"),
	// Those of the exporter: for all signals, and for traces alone.
	exporter("PROTOCOL", isOneOf("http/protobuf", "grpc"), true),
	exporter("ENDPOINT", isAnything, false), // depends on the protocol
	exporter("INSECURE", isTrueOrFalse, false),
	exporter("HEADERS", isHeaders, false),
	exporter("COMPRESSION", isOneOf("gzip", "none"), false),
	exporter("TIMEOUT", isNumber(1, maxTraceMillis, "milliseconds"), false),
	exporter("CERTIFICATE", isCertificates, false),
	exporter("CLIENT_CERTIFICATE", isReadable, false),
	exporter("CLIENT_KEY", isReadable, false),
)

// limits are the limits of spans; -1 means none.
func limits(names ...string) (list []traceVariable) {
	for _, name := range names {
		list = append(list, traceVariable{"OTEL_" + name + "_LIMIT", isNumber(-1, math.MaxInt32, ""), true})
	}
	return list
}

const (
	otlp       = "OTEL_EXPORTER_OTLP_"
	otlpTraces = "OTEL_EXPORTER_OTLP_TRACES_"
)

// traceHeaders may be in a file, which this program reads, not the libraries.
const traceHeaders = otlp + "HEADERS"

// TraceHeadersFile is OTEL_EXPORTER_OTLP_HEADERS_FILE.
func TraceHeadersFile(env envconfig.Lookuper) ValueFile {
	path, _ := env.Lookup(traceHeaders + fileSuffix)
	return ValueFile(strings.TrimSpace(path))
}

// ReadTraceHeaders returns the headers that are in the file, in the form of OTEL_EXPORTER_OTLP_HEADERS.
func ReadTraceHeaders(file ValueFile) (map[string]string, error) {
	list, err := file.Read()
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	if err := eachHeader(list, func(name, value string) { headers[name] = value }); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return headers, nil
}

// TraceExporter names the exporter of traces, "otlp" or "console", and the protocol of the first, "grpc" or
// "http/protobuf". The values of the variables were checked.
func TraceExporter(env envconfig.Lookuper) (name, protocol string) {
	value := func(name string) string {
		text, _ := env.Lookup(name)
		return text
	}
	return cmp.Or(value("OTEL_TRACES_EXPORTER"), "otlp"),
		cmp.Or(value(otlpTraces+"PROTOCOL"), value(otlp+"PROTOCOL"), "http/protobuf")
}

func exporter(name string, check func(string) error, exact bool) []traceVariable {
	return []traceVariable{{otlp + name, check, exact}, {otlpTraces + name, check, exact}}
}

// checkTraces returns the faults of OpenTelemetry's variables. Where traces are off, the libraries read none of them.
func checkTraces(env envconfig.Lookuper) error {
	if !TracesEnabled(env) {
		return nil
	}
	values, faulty := map[string]string{}, map[string]bool{}
	var faults []error
	reject := func(name string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
			faulty[name] = true
		}
	}
	for _, v := range traceVariables {
		value, _ := env.Lookup(v.name)
		if !v.exact {
			value = strings.TrimSpace(value)
		}
		values[v.name] = value
		if value != "" {
			reject(v.name, v.check(value))
		}
	}
	reject("OTEL_TRACES_SAMPLER_ARG",
		checkSamplerArgument(values["OTEL_TRACES_SAMPLER"], values["OTEL_TRACES_SAMPLER_ARG"]))
	if file := TraceHeadersFile(env); file != "" {
		_, err := ReadTraceHeaders(file)
		for _, other := range []string{traceHeaders, otlpTraces + "HEADERS"} {
			if values[other] != "" {
				err = fmt.Errorf("both it and %s are set; set one of them", other)
			}
		}
		reject(traceHeaders+fileSuffix, err)
	}
	grpc := cmp.Or(values[otlpTraces+"PROTOCOL"], values[otlp+"PROTOCOL"]) == "grpc"
	insecure := false
	for _, prefix := range []string{otlp, otlpTraces} {
		if endpoint := values[prefix+"ENDPOINT"]; endpoint != "" {
			reject(prefix+"ENDPOINT", checkEndpoint(endpoint, grpc))
			insecure = strings.HasPrefix(strings.ToLower(endpoint), "http:")
		}
	}
	for _, prefix := range []string{otlp, otlpTraces} { // they win over the endpoints, as in the library
		if value := values[prefix+"INSECURE"]; value != "" {
			insecure = strings.EqualFold(value, "true")
		}
	}
	for _, prefix := range []string{otlp, otlpTraces} {
		certificate, key := values[prefix+"CLIENT_CERTIFICATE"], values[prefix+"CLIENT_KEY"]
		switch {
		case (certificate == "") != (key == ""):
			reject(prefix+"CLIENT_CERTIFICATE", errors.New("set it together with "+prefix+"CLIENT_KEY, or neither"))
		case certificate != "" && !faulty[prefix+"CLIENT_CERTIFICATE"] && !faulty[prefix+"CLIENT_KEY"]:
			reject(prefix+"CLIENT_CERTIFICATE", checkKeyPair(certificate, key))
		}
		for _, name := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE"} {
			if values[prefix+name] != "" && insecure && !grpc {
				reject(prefix+name, errors.New("the endpoint is http://, without TLS; write https://, or unset "+prefix+name))
			}
		}
	}
	return errors.Join(faults...)
}

// traceNames lists the variables of traces.
func traceNames() []string {
	names := []string{traceHeaders + fileSuffix}
	for _, v := range traceVariables {
		names = append(names, v.name)
	}
	return names
}

// traceSettings lists the variables of traces that are set.
func traceSettings(env envconfig.Lookuper) (list []Setting) {
	for _, name := range traceNames() {
		if value, _ := env.Lookup(name); strings.TrimSpace(value) != "" {
			list = append(list, Setting{Name: name, Value: value, Given: true})
		}
	}
	return list
}

// UnusedTraceVariables returns the names that begin as OpenTelemetry's do but that nothing in this program reads, such
// as mistyped ones and those for other signals. environ is as [os.Environ] returns it.
func UnusedTraceVariables(environ []string) (names []string) {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		known := slices.Contains(traceNames(), name)
		if strings.HasPrefix(name, "OTEL_") && value != "" && !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
