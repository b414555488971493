package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// The document names every metric, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/observability.md")
	testkit.Must(t, err)
	names := func(pattern, text string) []string {
		found := map[string]bool{}
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found[match[1]] = true
		}
		return slices.Sorted(maps.Keys(found))
	}
	service := serve(t, settings(newPostgres(t).env, with("NATS_EMBEDDED_DIR", t.TempDir()),
		with("HTTP_ADDR", "127.0.0.1:0"), with("PREPARED_BOUNDARIES", "1")))
	addr := testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	js := natstest.JetStream(t, testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url"))
	publish(t, js, requestFor(t, "order-1", "acme"))
	awaitSettled(t, js)
	var exported []string
	documented := names("(?m)^\\| `(tenant_provisioner_\\w+)` \\|", string(text))
	defer func() {
		if t.Failed() {
			t.Logf("metrics %q, documented %q", exported, documented)
		}
	}()
	// A scrape omits values that NATS returns too late.
	testkit.Eventually(t, "the metrics are the documented ones", func() bool {
		_, metrics := get(t, "http://"+addr+"/metrics")
		exported = names(`(?m)^# TYPE (tenant_provisioner_\w+) `, metrics)
		return slices.Equal(exported, documented)
	})
}
