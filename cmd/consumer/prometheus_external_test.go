//go:build external

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// requireProgram returns the path of a program of Prometheus.
func requireProgram(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing; install it: apt-get install prometheus", program)
	}
	return path
}

const rules = "../../deploy/prometheus"

func TestExternalAlertRules(t *testing.T) {
	t.Parallel()
	promtool := requireProgram(t, "promtool")
	for _, args := range [][]string{
		{"check", "config", rules + "/prometheus.yml"},
		{"test", "rules", rules + "/alerts_test.yml"},
	} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", args, err, out)
		}
	}
}

// ruleGroups are the rules as far as the tests read them.
type ruleGroups struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Expr        string
			Annotations map[string]string
		}
	}
}

func alertRules(t *testing.T) (r ruleGroups) {
	t.Helper()
	text, err := os.ReadFile(rules + "/alerts.yml")
	testkit.Must(t, err)
	testkit.Must(t, yaml.Unmarshal(text, &r))
	return r
}

// panels are all expressions of the dashboard, by the title of their panel.
func panels(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/dashboard.json")
	testkit.Must(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	testkit.Must(t, json.Unmarshal(text, &dashboard))
	found := map[string][]string{}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			found[p.Title] = append(found[p.Title], strings.NewReplacer(
				"$__rate_interval", "15s", "[5m]", "[15s]", "$instance", ".*",
			).Replace(target.Expr))
		}
	}
	return found
}

// prometheusServer is a real server that scrapes one replica every second.
type prometheusServer struct{ url string }

func startPrometheus(t *testing.T, replica string, args ...string) prometheusServer {
	t.Helper()
	dir, addr := t.TempDir(), testkit.FreeAddr(t)
	config := filepath.Join(dir, "prometheus.yml")
	testkit.Must(t, os.WriteFile(config, []byte("global: {scrape_interval: 1s}\nscrape_configs:\n"+
		"  - {job_name: tenant-provisioner, static_configs: [{targets: ['"+replica+"']}]}\n"), 0o600))
	server := exec.Command(requireProgram(t, "prometheus"), append(args, "--config.file="+config,
		"--web.listen-address="+addr, "--storage.tsdb.path="+filepath.Join(dir, "data"))...)
	var log testkit.Output
	server.Stdout, server.Stderr = &log, &log
	testkit.Must(t, server.Start())
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		if t.Failed() {
			t.Log(testkit.Tail(log.String()))
		}
	})
	return prometheusServer{"http://" + addr}
}

// query returns the current values of an expression, or the error.
func (p prometheusServer) query(t *testing.T, expr string) (values []string, problem string) {
	t.Helper()
	response, err := httpClient.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err.Error()
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Sprint(response.Status, answer.Error, err)
	}
	for _, r := range answer.Data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values, ""
}

// Every query of the dashboard has data from a run, and every rule can be evaluated, whether the server stores native
// histograms (and then no classic ones) or not.
func TestExternalDashboardHasData(t *testing.T) {
	t.Parallel()
	d := newPostgres(t)
	service := serve(t, settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0"),
		with("PREPARED_BOUNDARIES", "2")))
	addr := testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	servers := []prometheusServer{
		startPrometheus(t, addr), startPrometheus(t, addr, "--enable-feature=native-histograms"),
	}
	js := natstest.JetStream(t, testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url"))
	n, missing := 0, ""
	defer func() {
		if t.Failed() {
			t.Log(missing)
		}
	}()
	testkit.Within(t, time.Minute, "every query has data", func() bool {
		n++ // load continues in the meantime, valid and invalid
		publish(t, js, requestFor(t, fmt.Sprint("good-", n), fmt.Sprint("tenant-", n)),
			requestFor(t, fmt.Sprint("bad-", n), "tenant-1"))
		time.Sleep(200 * time.Millisecond)
		missing = servers[0].missing(t)
		return missing == "" && servers[1].missing(t) == ""
	})
	if len(panels(t)) < 15 {
		t.Errorf("only %d panels were read", len(panels(t)))
	}
	metric := regexp.MustCompile(`\b(tenant_provisioner|pgxpool)_[a-z_]+`)
	for _, group := range alertRules(t).Groups {
		for _, rule := range group.Rules {
			for _, p := range servers {
				if _, problem := p.query(t, rule.Expr); problem != "" {
					t.Errorf("%s: %s", rule.Alert, problem)
				}
			}
			for _, name := range metric.FindAllString(rule.Expr, -1) {
				classic, _ := servers[0].query(t, name)
				native, _ := servers[1].query(t, name)
				if len(classic)+len(native) == 0 {
					t.Errorf("%s: there is no metric %s", rule.Alert, name)
				}
			}
			if want := "docs/runbook.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook_url"] != want {
				t.Errorf("%s: runbook_url is %q, want %s", rule.Alert, rule.Annotations["runbook_url"], want)
			}
		}
	}
}

// missing returns the first query of the dashboard that has no data.
func (p prometheusServer) missing(t *testing.T) string {
	t.Helper()
	for title, exprs := range panels(t) {
		for _, expr := range exprs {
			values, problem := p.query(t, expr)
			if strings.Contains(problem, "parse error") {
				t.Fatalf("%s: %s: %s", title, expr, problem)
			}
			if len(values) == 0 || values[0] == "NaN" {
				return fmt.Sprintf("%s: %s has no data %s", title, expr, problem)
			}
		}
	}
	return ""
}
