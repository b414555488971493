package doctest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

const (
	runbookPath    = "docs/runbook.md"
	alertsPath     = "deploy/prometheus/alerts.yml"
	alertTestsPath = "deploy/prometheus/alerts_test.yml"
)

// Promise 5.
func TestRunbookCauses(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(causeCodes(), titles(read(t, runbookPath).section("Causes", 3))); diff != "" {
		t.Errorf("sections of %s below Causes are not the cause codes:\n%s", runbookPath, diff)
	}
}

// The tables of causes and warnings for clients have every code.
func TestClientsCodes(t *testing.T) {
	t.Parallel()
	const path = "docs/clients.md"
	source, err := os.ReadFile(filepath.Join(root, path))
	testkit.Must(t, err)
	var warnings []string
	for _, step := range pipeline.AllSteps() {
		for _, code := range step.Warnings {
			if !slices.Contains(warnings, code) {
				warnings = append(warnings, code)
			}
		}
	}
	for title, want := range map[string][]string{"When a request fails": causeCodes(), "Warnings": warnings} {
		_, section, _ := strings.Cut(string(source), "\n## "+title+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		var codes []string
		for _, row := range regexp.MustCompile("(?m)^\\| (`[A-Z_, `]+`) \\|").FindAllStringSubmatch(section, -1) {
			codes = append(codes, strings.Split(strings.ReplaceAll(row[1], "`", ""), ", ")...)
		}
		if diff := cmp.Diff(want, codes); diff != "" {
			t.Errorf("the table of %s in %s is not the codes:\n%s", title, path, diff)
		}
	}
}

// Promise 5: each alert links to its section.
func TestRunbookAlerts(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(root, alertsPath))
	testkit.Must(t, err)
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Annotations map[string]string
			}
		}
	}
	testkit.Must(t, yaml.Unmarshal(source, &file))
	var alerts []string
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" { // a recording rule
				continue
			}
			alerts = append(alerts, rule.Alert)
			if url := rule.Annotations["runbook_url"]; !strings.HasSuffix(url, runbookPath+"#"+strings.ToLower(rule.Alert)) {
				t.Errorf("%s: runbook_url is %q", rule.Alert, url)
			}
		}
	}
	sections := titles(read(t, runbookPath).section("Alerts", 3))
	slices.Sort(alerts)
	slices.Sort(sections)
	if diff := cmp.Diff(slices.Compact(alerts), sections); diff != "" {
		t.Errorf("sections of %s below Alerts are not the alerts of %s:\n%s", runbookPath, alertsPath, diff)
	}
}

// Each alert has a test in which it fires and one in which it is silent. TestExternalAlertRules runs them.
func TestAlertsAreTested(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(alertTestsPath)))
	testkit.Must(t, err)
	alerts := titles(read(t, runbookPath).section("Alerts", 3))
	for _, alert := range alerts {
		for _, name := range []string{alert + " fires", alert + " is silent"} {
			if !strings.Contains(string(source), "\n  - name: "+name+"\n") {
				t.Errorf("alerts_test.yml has no test %q", name)
			}
		}
	}
	if len(alerts) < 21 {
		t.Errorf("only %d alerts", len(alerts))
	}
}

// Every section has the four parts.
func TestRunbookSections(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(root, runbookPath))
	testkit.Must(t, err)
	sections := strings.Split(string(source), "\n### ")[1:]
	if len(sections) < 20 {
		t.Errorf("only %d sections", len(sections))
	}
	for _, section := range sections {
		name, _, _ := strings.Cut(section, "\n")
		for _, part := range []string{"**Meaning.**", "**Diagnose.**", "**Fix.**", "**Resolved when**"} {
			if strings.Count(section, "\n"+part+" ") != 1 {
				t.Errorf("%s: %s does not occur exactly once", name, part)
			}
		}
	}
}

func titles(headings []heading) []string {
	all := make([]string, len(headings))
	for i, h := range headings {
		all[i] = h.text
	}
	return all
}
