package client_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What publishers and subscribers import brings no server, driver, telemetry or command line with it, and nothing of
// the service.
func TestDependencies(t *testing.T) {
	t.Parallel()
	const module = "example.com/tenant-provisioner/"
	basis := []string{
		"github.com/cloudevents/sdk-go/v2", "github.com/google/uuid",
		"github.com/json-iterator/go", "github.com/modern-go/concurrent", "github.com/modern-go/reflect2",
	}
	carrier := []string{
		"github.com/nats-io/nats.go", "github.com/nats-io/nkeys", "github.com/nats-io/nuid", "github.com/klauspost/compress",
		"golang.org/x/crypto", "golang.org/x/sys",
	}
	for name, allowed := range map[string][]string{
		"events":            basis,
		"events/client":     slices.Concat(basis, carrier, []string{module + "events"}),
		"events/eventstest": slices.Concat(basis, carrier, []string{module + "events"}),
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}",
			module+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		found := strings.Fields(string(out))
		if !slices.Contains(found, module+name) {
			t.Errorf("%s is not in its own list: %v", name, found)
		}
		for _, path := range found {
			isAllowed := func(prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }
			if path != module+name && !slices.ContainsFunc(allowed, func(prefix string) bool {
				return isAllowed(prefix) && (!strings.HasPrefix(path, module) || path == prefix)
			}) {
				t.Errorf("%s brings %s with it", name, path)
			}
		}
	}
}
