package natsconn

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// Connections, and handles of JetStream, are made here alone: another place would forget a variable.
func TestOneConstructor(t *testing.T) {
	t.Parallel()
	other := regexp.MustCompile(`\b(nats\.Connect|nats\.GetDefaultOptions|jetstream\.New\w*)\(|"\$JS\.API|\.JetStream\(nats\.`)
	seen := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		tests := strings.HasSuffix(path, "_test.go") || strings.Contains(path, "natstest")
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || tests {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found := other.FindString(string(text))
		if filepath.Base(filepath.Dir(path)) == "natsconn" || found == "" {
			seen++
			return nil
		}
		t.Errorf("%s: %s", path, found)
		return nil
	})
	testkit.Must(t, err)
	if seen < 100 {
		t.Errorf("%d files were read", seen)
	}
}
