package doctest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

const unitPath = "deploy/systemd/tenant-provisioner.service"

// assignmentsIn reads a file of assignments.
func assignmentsIn(t *testing.T, path string) map[string]string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, path))
	testkit.Must(t, err)
	return assignments(string(source))
}

// assignments reads lines of NAME=VALUE. The last value of a repeated name counts.
func assignments(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	return values
}

// The unit agrees with the program and with the page.
func TestUnit(t *testing.T) {
	t.Parallel()
	unit := assignmentsIn(t, unitPath)
	stop, err := time.ParseDuration(unit["TimeoutStopSec"])
	testkit.Must(t, err)
	outlastsDraining(t, unitPath, stop)
	for name, want := range map[string]string{
		"Restart": "always", "StartLimitIntervalSec": "0", "DynamicUser": "yes", "NoNewPrivileges": "yes",
		"ProtectSystem": "strict", "StateDirectory": "tenant-provisioner", "KillMode": "mixed",
		"Type": "notify", "NotifyAccess": "main", "WatchdogSec": "60s",
		"MemoryDenyWriteExecute": "no", // pgscript needs it
	} {
		if unit[name] != want {
			t.Errorf("%s=%s, want %s", name, unit[name], want)
		}
	}
	const environment = "deploy/systemd/environment.example"
	given := assignmentsIn(t, environment)
	knowsVariables(t, environment, given)
	if len(given) < 3 {
		t.Errorf("%s has %v", environment, given)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "deploying.md"))
	testkit.Must(t, err)
	documents := filepath.Dir(strings.TrimPrefix(unit["Documentation"], "file://"))
	for _, path := range []string{strings.Fields(unit["ExecStart"])[0], unit["EnvironmentFile"], documents} {
		if !strings.Contains(string(page), path) {
			t.Errorf("docs/deploying.md does not mention %s", path)
		}
	}
}
