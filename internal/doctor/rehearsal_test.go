package doctor

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/testkit"
)

// Scripts may take as long as the service allows them, in each rehearsal.
func TestRehearsalTime(t *testing.T) {
	t.Parallel()
	scripts, plans := t.TempDir(), filepath.Join(t.TempDir(), "plans.yaml")
	testkit.Must(t, os.Mkdir(filepath.Join(scripts, "sqlite"), 0o700))
	testkit.Must(t, os.WriteFile(filepath.Join(scripts, "sqlite", "010_a.sql"), []byte("SELECT 1;\n"), 0o600))
	testkit.Must(t, os.WriteFile(plans, []byte("default: a\nplans: {a: {}, b: {}, c: {}}\n"), 0o600))
	for name, c := range map[string]struct {
		env  map[string]string
		want time.Duration
	}{
		"without scripts": {map[string]string{"PLANS": plans}, 30 * time.Second},
		"scripts":         {map[string]string{"INIT_SCRIPTS": scripts, "INIT_SCRIPT_TIMEOUT": "5m"}, 3 * (5*time.Minute + 30*time.Second)},
		"and plans": {
			map[string]string{"INIT_SCRIPTS": scripts, "INIT_SCRIPT_TIMEOUT": "90s", "PLANS": plans}, 5 * 2 * time.Minute,
		},
	} {
		loaded, err := config.Load(t.Context(), envconfig.MapLookuper(c.env))
		testkit.Must(t, err)
		testkit.Equal(t, name, rehearsalTime(loaded), c.want)
	}
}
