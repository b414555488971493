package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// docs/dependencies.md names every direct requirement of go.mod, by its path or that of the module above it, and no
// other.
func TestDependenciesAreNamed(t *testing.T) {
	t.Parallel()
	goMod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	testkit.Must(t, err)
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	testkit.Must(t, err)
	var required, named []string
	for _, line := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(goMod), -1) {
		required = append(required, line[1])
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\| ").FindAllStringSubmatch(string(page), -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			named = append(named, name[1])
		}
	}
	covers := func(name, module string) bool {
		for _, prefix := range []string{"", "github.com/", "go.opentelemetry.io/"} {
			if module == prefix+name || strings.HasPrefix(module, prefix+name+"/") {
				return true
			}
		}
		return false
	}
	if len(required) == 0 || len(named) == 0 {
		t.Fatalf("%d requirements, %d names", len(required), len(named))
	}
	for _, module := range required {
		if !slices.ContainsFunc(named, func(name string) bool { return covers(name, module) }) {
			t.Errorf("%s is not in docs/dependencies.md", module)
		}
	}
	for _, name := range named {
		if !slices.ContainsFunc(required, func(module string) bool { return covers(name, module) }) {
			t.Errorf("docs/dependencies.md names %s, which go.mod does not require", name)
		}
	}
}
