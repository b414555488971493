package doctest

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// settings returns the program's variables with their defaults.
func settings(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	testkit.Must(t, json.Unmarshal([]byte(output(t, consumer(t), "config", "--json")), &values))
	return values
}

// knowsVariables fails for variables that the program does not have.
func knowsVariables[V any](t *testing.T, where string, given map[string]V) {
	t.Helper()
	known := settings(t)
	for name := range given {
		if _, ok := known[name]; !ok && !strings.HasPrefix(name, "OTEL_") { // a library's variables
			t.Errorf("%s: the program has no variable %s", where, name)
		}
	}
}

// outlastsDraining fails if a supervisor would kill the program while it drains.
func outlastsDraining(t *testing.T, where string, patience time.Duration) {
	t.Helper()
	drain, err := time.ParseDuration(settings(t)["DRAIN_TIMEOUT"])
	testkit.Must(t, err)
	if patience < drain+15*time.Second {
		t.Errorf("%s: %s is not long enough for DRAIN_TIMEOUT, %s, and what follows it", where, patience, drain)
	}
}

// listensOnAllInterfaces fails if the address is not 0.0.0.0, or its port is not the default.
func listensOnAllInterfaces(t *testing.T, where, addr string) (port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	testkit.Must(t, err)
	_, normal, err := net.SplitHostPort(settings(t)["HTTP_ADDR"])
	testkit.Must(t, err)
	if host != "0.0.0.0" || port != normal {
		t.Errorf("%s: HTTP_ADDR is %s, want 0.0.0.0:%s: probes come from outside the container", where, addr, normal)
	}
	return port
}
