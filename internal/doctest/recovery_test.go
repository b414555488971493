package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// Each situation of docs/recovery.md names the test that plays it, for make recovery-drill.
func TestRecoverySituationsAreTested(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "recovery.md"))
	testkit.Must(t, err)
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 18 {
		t.Errorf("docs/recovery.md names %d tests", len(named))
	}
	var sources strings.Builder
	for _, dir := range []string{"cmd/consumer", "internal/handler", "internal/sql"} {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
		testkit.Must(t, err)
		for _, file := range files {
			content, err := os.ReadFile(file)
			testkit.Must(t, err)
			sources.Write(content)
		}
	}
	for _, name := range named {
		if !strings.Contains(sources.String(), "\nfunc "+name[1]+"(t *testing.T)") {
			t.Errorf("there is no test %s", name[1])
		}
	}
}
