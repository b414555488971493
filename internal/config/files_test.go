package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/testkit"
)

// Each fault of a file is a line of its own, with the variable, the file, and what to do.
func TestFaultsOfFilesAreLines(t *testing.T) {
	t.Parallel()
	for variable, files := range map[string]map[string]string{
		"PLANS":        {"plans.yaml": "default: free\nplans: {free: {max_rows: -1}, pro: {seats: 5}}\n"},
		"SEED_DATA":    {"a.jsonl": "[]\n", "b.csv": "id;name\n1;a\n"},
		"INIT_SCRIPTS": {"sqlite/010_a.sql": "\xff", "sqlite/20_b.sql": "SELECT 1"},
	} {
		dir := t.TempDir()
		path := dir
		for name, text := range files {
			file := filepath.Join(dir, name)
			testkit.Must(t, os.MkdirAll(filepath.Dir(file), 0o700))
			testkit.Must(t, os.WriteFile(file, []byte(text), 0o600))
			if variable == "PLANS" {
				path = file
			}
		}
		_, err := Load(t.Context(), envconfig.MapLookuper(map[string]string{variable: path}))
		if err == nil {
			t.Fatalf("%s: it is read", variable)
		}
		lines := strings.Split(err.Error(), "\n")
		testkit.Equal(t, "faults of "+variable, len(lines), 2)
		for _, line := range lines {
			if !strings.HasPrefix(line, variable+": "+dir) {
				t.Errorf("%s: %s", variable, line)
			}
		}
	}
}
