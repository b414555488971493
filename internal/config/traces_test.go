package config

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/testkit"
)

// hidden is a secret in a value.
const hidden = "Zq7kept8private"

// traceFaults checks an environment in which traces are on.
func traceFaults(env map[string]string) string {
	all := map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}
	for name, value := range env {
		all[name] = value
	}
	err := checkTraces(envconfig.MapLookuper(all))
	if err == nil {
		return ""
	}
	return err.Error()
}

// Every variable is refused by its name where its value is wrong, and its error shows no secret.
func TestInvalidTraceVariables(t *testing.T) {
	t.Parallel()
	notPEM := filepath.Join(t.TempDir(), "not.pem")
	testkit.Must(t, os.WriteFile(notPEM, []byte("not PEM"), 0o600))
	invalid := map[string][]string{
		"OTEL_SDK_DISABLED":    {"yes", "1", " true"},
		"OTEL_TRACES_EXPORTER": {"jaeger", "otlp,console", " otlp", "OTLP"},
		"OTEL_TRACES_SAMPLER":  {"bogus", "jaeger_remote", "xray"},
		"OTEL_SERVICE_NAME":    {},
		"OTEL_BSP_MAX_QUEUE_SIZE": {
			"-1", "0", "many", "1e3", " 5", "1000001", "9223372036854775807", "99999999999999999999",
		},
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": {"-1", "0", "x", "9223372036854775807"},
		"OTEL_BSP_SCHEDULE_DELAY":        {"-1", "0", "5s", "9223372036854775807"},
		"OTEL_BSP_EXPORT_TIMEOUT":        {"-1", "30s", "9223372036854775807"},
		"OTEL_RESOURCE_ATTRIBUTES":       {hidden, "a=b," + hidden, "=" + hidden, "a=" + hidden + "%zz"},
		"OTEL_GO_X_OBSERVABILITY":        {"1", "on"},
		"OTEL_GO_X_RESOURCE":             {"1"},
	}
	for _, name := range []string{
		"ATTRIBUTE_COUNT", "ATTRIBUTE_VALUE_LENGTH", "EVENT_ATTRIBUTE_COUNT", "LINK_ATTRIBUTE_COUNT", "SPAN_ATTRIBUTE_COUNT",
		"SPAN_ATTRIBUTE_VALUE_LENGTH", "SPAN_EVENT_COUNT", "SPAN_LINK_COUNT",
	} {
		invalid["OTEL_"+name+"_LIMIT"] = []string{"-2", "none", "1k", "99999999999999999999"}
	}
	for name, values := range map[string][]string{
		"PROTOCOL": {"udp", "http/json", "gRPC"}, "INSECURE": {"yes", "1", "t"}, "COMPRESSION": {"zstd", "GZIP"},
		"TIMEOUT":     {"10s", "0", "-1", "1.5", "9223372036854775807"},
		"CERTIFICATE": {"/nowhere.pem", notPEM, t.TempDir()}, "CLIENT_CERTIFICATE": {"/nowhere.pem"}, "CLIENT_KEY": {"/nowhere.pem"},
		"HEADERS": {
			"Authorization: Basic " + hidden, "Authorization: Basic " + hidden + "==", "x-team=a,Authorization " + hidden,
			"api-key=" + hidden + "%zz", "=" + hidden, "api key=" + hidden, "api-key=" + hidden + "%0d%0ax: y", "api-key=" + hidden + "é",
			hidden,
		},
		"ENDPOINT": {
			"::::", "127.0.0.1:4318", "collector", "collector:4318", "http://", "http:///v1", "ftp://collector:4318", "unix:///run/otel",
			"http://collector:99999", "http://collector:0", "http://u:" + hidden + "@127.0.0.1:x1", "http://u:" + hidden + "@collector",
			"http://" + hidden + "@collector", "http://collector?token=" + hidden, "http://collector/#" + hidden, "http://%zz" + hidden,
		},
	} {
		invalid[otlp+name], invalid[otlpTraces+name] = values, values
	}
	for _, v := range traceVariables {
		values, listed := invalid[v.name]
		if !listed && v.name != "OTEL_TRACES_SAMPLER_ARG" {
			t.Errorf("%s has no invalid values in this test", v.name)
		}
		for _, value := range values {
			text := traceFaults(map[string]string{v.name: value})
			if !strings.Contains(text, v.name+": ") {
				t.Errorf("%s=%q is not refused by its name: %q", v.name, value, text)
			}
			if strings.Contains(text, hidden) {
				t.Errorf("%s=%q: the error shows the secret: %s", v.name, value, text)
			}
		}
	}
}

// Variables that depend on each other.
func TestInvalidTraceCombinations(t *testing.T) {
	t.Parallel()
	ca := certificateFile(t)
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"ratio above 1":   {map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1.5"}, []string{"OTEL_TRACES_SAMPLER_ARG: "}},
		"ratio, negative": {map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "-1"}, []string{"OTEL_TRACES_SAMPLER_ARG: "}},
		"ratio, NaN":      {map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "NaN"}, []string{"OTEL_TRACES_SAMPLER_ARG: "}},
		"ratio, a word":   {map[string]string{"OTEL_TRACES_SAMPLER": "TraceIDRatio", "OTEL_TRACES_SAMPLER_ARG": "half"}, []string{"OTEL_TRACES_SAMPLER_ARG: "}},
		"certificate without key": {
			map[string]string{otlp + "CLIENT_CERTIFICATE": ca}, []string{otlp + "CLIENT_CERTIFICATE: ", otlp + "CLIENT_KEY"},
		},
		"key without certificate": {
			map[string]string{otlpTraces + "CLIENT_KEY": ca}, []string{otlpTraces + "CLIENT_CERTIFICATE: "},
		},
		"no pair": {
			map[string]string{otlp + "CLIENT_CERTIFICATE": ca, otlp + "CLIENT_KEY": ca}, []string{"not a certificate and its key"},
		},
		"certificate without TLS": {
			map[string]string{otlp + "ENDPOINT": "http://collector:4318", otlp + "CERTIFICATE": ca}, []string{otlp + "CERTIFICATE: ", "https://"},
		},
		"certificate, insecure": {
			map[string]string{otlpTraces + "INSECURE": "true", otlp + "CERTIFICATE": ca}, []string{otlp + "CERTIFICATE: "},
		},
		"unix by HTTP": {map[string]string{otlp + "ENDPOINT": "unix:///run/otel"}, []string{otlp + "ENDPOINT: "}},
		"all at once": {
			map[string]string{"OTEL_BSP_MAX_QUEUE_SIZE": "-1", "OTEL_TRACES_SAMPLER": "x", otlp + "TIMEOUT": "10s", otlp + "ENDPOINT": "::::"},
			[]string{"OTEL_BSP_MAX_QUEUE_SIZE: ", "OTEL_TRACES_SAMPLER: ", otlp + "TIMEOUT: ", otlp + "ENDPOINT: "},
		},
	} {
		testkit.Contains(t, name, traceFaults(c.env), c.want...)
	}
}

func TestValidTraceVariables(t *testing.T) {
	t.Parallel()
	ca := certificateFile(t)
	for name, env := range map[string]map[string]string{
		"none":          nil,
		"HTTP":          {otlp + "ENDPOINT": "http://127.0.0.1:4318"},
		"HTTPS, a path": {otlpTraces + "ENDPOINT": " https://collector.internal/v1/traces ", otlp + "CERTIFICATE": ca},
		"IPv6":          {otlp + "ENDPOINT": "http://[::1]:4318"},
		"gRPC":          {otlp + "ENDPOINT": "http://collector:4317", otlp + "PROTOCOL": "grpc", otlp + "CERTIFICATE": ca},
		"gRPC, name":    {otlp + "ENDPOINT": "collector:4317", otlpTraces + "PROTOCOL": "grpc", otlp + "INSECURE": "TRUE"},
		"gRPC, socket":  {otlp + "ENDPOINT": "unix:///run/otel.sock", otlp + "PROTOCOL": "grpc"},
		"gRPC, DNS":     {otlp + "ENDPOINT": "dns:///collector:4317", otlp + "PROTOCOL": "grpc"},
		"headers":       {otlp + "HEADERS": "Authorization=Basic%20dXNlcjpwYXNz==, x-team = a b ,", otlpTraces + "HEADERS": "api-key=a%25b"},
		"blanks":        {otlp + "TIMEOUT": " 10000 ", otlp + "COMPRESSION": " gzip "},
		"sampler":       {"OTEL_TRACES_SAMPLER": "ParentBased_TraceIDRatio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
		"sampler alone": {"OTEL_TRACES_SAMPLER": "traceidratio"},
		"not its":       {"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "endpoint=http://x"},
		"numbers":       {"OTEL_BSP_MAX_QUEUE_SIZE": "4096", "OTEL_BSP_SCHEDULE_DELAY": "1000", "OTEL_SPAN_EVENT_COUNT_LIMIT": "-1"},
		"attributes":    {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod,team=a%20b,empty="},
		"disabled":      {"OTEL_SDK_DISABLED": "True", "OTEL_BSP_MAX_QUEUE_SIZE": "-1", otlp + "ENDPOINT": "::::"},
		"not disabled":  {"OTEL_SDK_DISABLED": "false"},
		"off":           {"OTEL_TRACES_EXPORTER": "none", "OTEL_BSP_MAX_QUEUE_SIZE": "-1"},
	} {
		if text := traceFaults(env); text != "" {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// certificateFile is a file with a certificate.
func certificateFile(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	testkit.Must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	return file
}

// The list has every variable that the libraries read, in the versions of go.mod.
func TestTraceVariablesAreThoseOfTheLibraries(t *testing.T) {
	t.Parallel()
	modules := []string{
		"go.opentelemetry.io/otel/sdk",
		"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp", "go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc",
	}
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-m", "-f", "{{.Dir}}"}, modules...)...).Output()
	testkit.Must(t, err)
	dirs := strings.Fields(string(out))
	testkit.Equal(t, "modules", len(dirs), len(modules))
	read := map[string]bool{ // which this program reads itself
		"OTEL_SDK_DISABLED": true, "OTEL_TRACES_EXPORTER": true, otlp + "PROTOCOL": true, otlpTraces + "PROTOCOL": true,
	}
	for file, names := range map[string]*regexp.Regexp{
		dirs[0] + "/trace/internal/env/env.go":        regexp.MustCompile(`"(OTEL_\w+)"`),
		dirs[0] + "/trace/sampler_env.go":             regexp.MustCompile(`"(OTEL_\w+)"`),
		dirs[0] + "/resource/env.go":                  regexp.MustCompile(`"(OTEL_\w+)"`),
		dirs[0] + "/internal/x/features.go":           regexp.MustCompile(`(OTEL_GO_X_(?:OBSERVABILITY|RESOURCE))`),
		dirs[1] + "/internal/otlpconfig/envconfig.go": regexp.MustCompile(`"([A-Z][A-Z_]+)"`),
		dirs[2] + "/internal/otlpconfig/envconfig.go": regexp.MustCompile(`"([A-Z][A-Z_]+)"`),
	} {
		source, err := os.ReadFile(file)
		testkit.Must(t, err)
		found := names.FindAllStringSubmatch(string(source), -1)
		if len(found) == 0 {
			t.Errorf("%s names no variable; has it moved?", file)
		}
		for _, name := range found {
			switch {
			case strings.HasPrefix(name[1], "OTEL_") && name[1]+"_" != otlp:
				read[name[1]] = true
			case !strings.HasPrefix(name[1], "OTEL_"):
				read[otlp+name[1]] = true
			}
		}
	}
	for _, v := range traceVariables {
		if !read[v.name] {
			t.Errorf("%s is in the list, but no library reads it", v.name)
		}
		delete(read, v.name)
	}
	for name := range read {
		t.Errorf("%s is not in the list", name)
	}
}

func TestUnusedTraceVariables(t *testing.T) {
	t.Parallel()
	got := UnusedTraceVariables([]string{
		"PATH=/bin", "OTEL_EXPORTER_OTLP_ENDPONT=http://x", "OTEL_EXPORTER_OTLP_ENDPOINT=http://x", "OTEL_METRICS_EXPORTER=otlp",
		"OTEL_PROPAGATORS=b3", "OTEL_LOGS_EXPORTER=", "OTELX=1", "OTEL_BSP_MAX_QUEUE_SIZE=5",
	})
	want := []string{"OTEL_EXPORTER_OTLP_ENDPONT", "OTEL_METRICS_EXPORTER", "OTEL_PROPAGATORS"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
