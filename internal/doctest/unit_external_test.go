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

// systemd accepts the unit, and rates it as well as it was.
func TestExternalUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is missing; on Debian: apt-get install systemd")
	}
	source, err := os.ReadFile(filepath.Join(root, unitPath))
	testkit.Must(t, err)
	// It wants to see the program where the unit has it.
	unit := filepath.Join(t.TempDir(), filepath.Base(unitPath))
	text := strings.ReplaceAll(string(source), "/usr/local/bin/consumer", consumer(t))
	testkit.Must(t, os.WriteFile(unit, []byte(text), 0o600))
	for _, args := range [][]string{
		{"verify", "--man=no", unit},
		{"security", "--offline=true", "--threshold=13", "--no-pager", unit}, // exposure of 1.3 at most, of 10
	} {
		out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, tail(string(out)))
		}
		if args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze verify complains:\n%s", out)
		}
	}
}
