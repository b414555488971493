//go:build external

package doctest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// systemd accepts the unit, and its exposure rating does not get worse.
func TestExternalUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing; on Debian: apt-get install systemd")
	}
	source, err := os.ReadFile(filepath.Join(root, unitPath))
	testkit.Must(t, err)
	// systemd-analyze requires the program at the path in the unit.
	unit := filepath.Join(t.TempDir(), filepath.Base(unitPath))
	text := strings.ReplaceAll(string(source), "/usr/local/bin/consumer", consumer(t))
	testkit.Must(t, os.WriteFile(unit, []byte(text), 0o600))
	for _, args := range [][]string{
		{"verify", "--man=no", unit},
		{"security", "--offline=true", "--threshold=13", "--no-pager", unit}, // an exposure of at most 1.3 of 10
	} {
		out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, tail(string(out)))
		}
		if args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze verify reports:\n%s", out)
		}
	}
}
