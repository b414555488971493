package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// elsewhere is a command of a document that is not run with the others, and the step or test that replaces the run.
type elsewhere struct {
	document string
	command  string // its beginning
	why      string // the reason
	instead  string // .ci/run with its step, or the test
}

// notRun returns all commands that are not run with the others.
func notRun() []elsewhere {
	return []elsewhere{
		{"README.md", "make demo", "runs in CI", ".ci/run demo"},
		{"README.md", "make test", "runs in CI", ".ci/run test"},
		{"README.md", "make up", "needs Docker and images", "TestComposeFile"},
		{"README.md", "consumer tenants list", "needs the database of make up", "TestComposeFile"},
		{"README.md", "make down", "needs Docker and images", "TestComposeFile"},
		{"CONTRIBUTING.md", "make test", "runs in CI", ".ci/run test"},
		{"CONTRIBUTING.md", "make lint", "runs in CI", ".ci/run lint"},
		{"CONTRIBUTING.md", "make tidy-check", "runs in CI", ".ci/run tidy-check"},
		{"CONTRIBUTING.md", "git grep ", "changes the sources", "TestModulePathIsChanged"},
		{"docs/deploying.md", "make build", "runs in CI, as a part of make test", ".ci/run test"},
		{"docs/deploying.md", "make image ", "needs Docker and images", "TestManifests"},
		{"docs/deploying.md", "docker push ", "needs a registry", "TestManifests"},
		{"docs/deploying.md", "make up", "needs Docker and images", "TestComposeFile"},
		{"docs/deploying.md", "make down", "needs Docker and images", "TestComposeFile"},
		{"docs/deploying.md", "sudo ", "changes the machine", "TestExternalUnit"},
		{"docs/deploying.md", "sudoedit ", "changes the machine", "TestUnit"},
		{"docs/deploying.md", "journalctl ", "needs a machine that runs systemd", "TestExternalUnit"},
		{"docs/deploying.md", "kubectl ", "needs a cluster", "TestManifests"},
		{"docs/deploying.md", "helm ", "needs a cluster", ".ci/run chart-check"},
		{"docs/docex.md", "psql ", "needs a superuser, and tenants of DocEX", "TestDocEXWithARoleThatOwnsNothing"},
		{"docs/observability.md", "promtool ", "needs Prometheus", "TestExternalAlertRules"},
	}
}

// notHere matches programs that change the machine or shared systems. Each of their commands needs a row in notRun.
var notHere = regexp.MustCompile(`^(sudo|sudoedit|apt-get|systemctl|journalctl|docker|docker-compose|kubectl|promtool|helm|make|go)\b`)

// ranElsewhere returns the row for a command.
func ranElsewhere(document string, s statement) (elsewhere, bool) {
	for _, row := range notRun() {
		if row.document == document && strings.HasPrefix(s.name, row.command) {
			return row, true
		}
	}
	return elsewhere{}, false
}

// check fails if the step or test that the row names does not exist.
func (row elsewhere) check(t *testing.T) {
	t.Helper()
	if step, isCI := strings.CutPrefix(row.instead, ".ci/run "); isCI {
		ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
		testkit.Must(t, err)
		if !regexp.MustCompile(`(?m)^for step in .*\b` + step + `\b`).Match(ci) {
			t.Errorf("%s: .ci/run has no step %s, for %q", row.document, step, row.command)
		}
		return
	}
	if !hasTest(t, row.instead) {
		t.Errorf("%s: there is no %s, for %q", row.document, row.instead, row.command)
	}
}

// hasTest reports whether a test of this package, or of the program, has that name, under any build tag.
func hasTest(t *testing.T, name string) bool {
	t.Helper()
	for _, pattern := range []string{"*_test.go", filepath.Join(root, "cmd", "consumer", "*_test.go")} {
		files, err := filepath.Glob(pattern)
		testkit.Must(t, err)
		for _, file := range files {
			source, err := os.ReadFile(file)
			testkit.Must(t, err)
			if strings.Contains(string(source), "\nfunc "+name+"(") {
				return true
			}
		}
	}
	return false
}
