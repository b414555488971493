package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// spans is an OpenTelemetry collector of spans.
type spans struct {
	mu      sync.Mutex
	all     []*otlp.Span
	service string
	header  http.Header
}

func collectSpans(t *testing.T) (s *spans, url string) {
	t.Helper()
	s = &spans{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.header = r.Header
		for _, resource := range request.GetResourceSpans() {
			for _, a := range resource.GetResource().GetAttributes() {
				if a.GetKey() == "service.name" {
					s.service = a.GetValue().GetStringValue()
				}
			}
			for _, scope := range resource.GetScopeSpans() {
				s.all = append(s.all, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(server.Close)
	return s, server.URL
}

// named returns the spans of the trace with this name, or with this prefix if it ends in *.
func (s *spans) named(trace, name string) (found []*otlp.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.all {
		prefix, open := strings.CutSuffix(name, "*")
		if hex.EncodeToString(span.GetTraceId()) == trace &&
			(span.GetName() == name || open && strings.HasPrefix(span.GetName(), prefix)) {
			found = append(found, span)
		}
	}
	return found
}

// one returns the only span of that name in the trace.
func (s *spans) one(t *testing.T, trace, name string) *otlp.Span {
	t.Helper()
	found := s.named(trace, name)
	if len(found) != 1 {
		var names []string
		for _, span := range s.named(trace, "*") {
			names = append(names, span.GetName())
		}
		t.Fatalf("%d spans are named %q, of %q", len(found), name, names)
	}
	return found[0]
}

const secretDisplay = "A name that is nobody's business"

func parent(span *otlp.Span) string { return hex.EncodeToString(span.GetParentSpanId()) }
func spanID(span *otlp.Span) string { return hex.EncodeToString(span.GetSpanId()) }

// tracedRequest is a request that continues a trace.
func tracedRequest(t *testing.T, id, tenant, traceParent string) *nats.Msg {
	t.Helper()
	e, err := events.NewRequested("/billing", id, events.Requested{TenantID: tenant, DisplayName: secretDisplay, CreatedBy: "test"})
	testkit.Must(t, err)
	e.SetExtension("traceparent", traceParent)
	header, body, err := events.Encode(e)
	testkit.Must(t, err)
	return &nats.Msg{Subject: events.TypeRequested, Header: header, Data: body}
}

func TestTraces(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		seen, url := collectSpans(t)
		p := launch(t, settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("NATS_EMBEDDED_ADDR", "127.0.0.1:0"),
			with("OTEL_EXPORTER_OTLP_ENDPOINT", url), with("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20xyzzy"),
			with("LOG_LEVEL", "debug")))
		js := natstest.JetStream(t, testkit.Logged(t, &p.stderr, "embedded NATS server is up", "url"))
		testkit.Logged(t, &p.stderr, "taking requests", "workers")
		const trace, caller, unwanted = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "1af7651916cd43dd8448eb211c80319c"
		publish(t, js,
			tracedRequest(t, "1", "acme", "00-"+trace+"-"+caller+"-01"),
			tracedRequest(t, "2", "umbrella", "00-"+unwanted+"-"+caller+"-00")) // its caller does not sample the trace
		awaitSettled(t, js)
		publish(t, js, tracedRequest(t, "1", "acme", "00-"+trace+"-"+caller+"-01"), // a duplicate
			tracedRequest(t, "3", "acme", "00-"+strings.Repeat("2", 32)+"-"+caller+"-01"))
		awaitSettled(t, js)
		outcomes := map[string]event.Event{}
		for _, e := range storedOutcomes(t, js) {
			outcomes[e.Extensions()["causationid"].(string)] = e
		}
		p.signal(t, syscall.SIGTERM)
		testkit.Equal(t, "exit code", p.wait(t), 0)

		testkit.Equal(t, "service", seen.service, "tenant-provisioner")
		testkit.Equal(t, "authorization", seen.header.Get("Authorization"), "Bearer xyzzy")
		if strings.Contains(p.stderr.String(), "xyzzy") {
			t.Error("the log has the collector's password")
		}
		testkit.Contains(t, "the log", p.stderr.String(), `"trace_id":"`+trace+`"`)

		deliveries := seen.named(trace, "process tenant.requested")
		testkit.Equal(t, "deliveries", len(deliveries), 2)
		decided := deliveries[0]
		testkit.Equal(t, "the request's span is the parent", parent(decided), caller)
		var last *otlp.Span
		for _, step := range pipeline.Steps() {
			last = seen.one(t, trace, step.Name)
			testkit.Equal(t, "parent of "+step.Name, parent(last), spanID(decided))
		}
		if len(seen.children(last)) == 0 {
			t.Errorf("no statement was traced below %s", last.GetName())
		}
		testkit.Equal(t, "the outcome continues the trace", outcomes["1"].Extensions()["traceparent"],
			any("00-"+trace+"-"+spanID(decided)+"-01"))
		testkit.Equal(t, "the outcome of an unsampled trace is marked", strings.HasSuffix(
			outcomes["2"].Extensions()["traceparent"].(string), "-00",
		), true)
		testkit.Equal(t, "spans of the unsampled trace", len(seen.named(unwanted, "*")), 0)
		// Both publications link to the span that decided the outcome.
		publications := seen.named(trace, "publish tenant.provisioned")
		testkit.Equal(t, "publications", len(publications), 2)
		for _, span := range publications {
			if len(span.GetLinks()) != 1 || hex.EncodeToString(span.GetLinks()[0].GetSpanId()) != spanID(decided) {
				t.Errorf("links of a publication: %v", span.GetLinks())
			}
		}
		failed := seen.one(t, strings.Repeat("2", 32), "process tenant.requested")
		testkit.Equal(t, "status of a failure", failed.GetStatus().GetCode(), otlp.Status_STATUS_CODE_ERROR)
		for _, span := range seen.all {
			if text := span.String(); strings.Contains(text, secretDisplay) {
				t.Errorf("a span holds the payload: %s", text)
			}
		}
	})
}

// children returns the child spans of a span.
func (s *spans) children(of *otlp.Span) (found []*otlp.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.all {
		if parent(span) == spanID(of) {
			found = append(found, span)
		}
	}
	return found
}
