package telemetry

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"example.com/tenant-provisioner/internal/testkit"
)

// keys receives the header api-key of each export.
type keys chan string

func (k keys) ServeHTTP(_ http.ResponseWriter, r *http.Request) { k <- r.Header.Get("Api-Key") }

// grpcKeys is keys by gRPC.
type grpcKeys struct {
	collector.UnimplementedTraceServiceServer
	keys keys
}

func (g grpcKeys) Export(
	ctx context.Context, _ *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	sent, _ := metadata.FromIncomingContext(ctx)
	g.keys <- strings.Join(sent.Get("api-key"), ",")
	return &collector.ExportTraceServiceResponse{}, nil
}

// Headers that are replaced in their file are sent with the next export.
func TestTraceHeadersAreReadAgain(t *testing.T) { // not parallel: it sets the environment
	got := make(keys, 10)
	byHTTP := httptest.NewServer(got)
	defer byHTTP.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	byGRPC := grpc.NewServer()
	collector.RegisterTraceServiceServer(byGRPC, grpcKeys{keys: got})
	go byGRPC.Serve(listener) // it ends with the test
	defer byGRPC.Stop()
	file := filepath.Join(t.TempDir(), "headers")
	write := func(text string) { testkit.Must(t, os.WriteFile(file, []byte(text), 0o600)) }
	for protocol, url := range map[string]string{"http/protobuf": byHTTP.URL, "grpc": "http://" + listener.Addr().String()} {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
		write("api-key=first\n")
		e, err := newExporter(t.Context(), envconfig.MapLookuper(map[string]string{
			"OTEL_EXPORTER_OTLP_HEADERS_FILE": file, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
		}))
		testkit.Must(t, err)
		spans := tracetest.SpanStubs{{Name: "a"}}.Snapshots()
		for _, key := range []string{"first", "first", "second,%20third"} {
			write("api-key=" + strings.ReplaceAll(key, ",", "%2C") + "\n")
			testkit.Must(t, e.ExportSpans(t.Context(), spans))
			testkit.Equal(t, "key by "+protocol, <-got, strings.ReplaceAll(key, "%20", " "))
		}
		write("")
		if err := e.ExportSpans(t.Context(), spans); err == nil {
			t.Error("spans are exported without headers")
		}
		testkit.Must(t, e.Shutdown(t.Context()))
	}
}
