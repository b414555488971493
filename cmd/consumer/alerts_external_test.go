//go:build external

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"example.com/tenant-provisioner/internal/testkit"
)

// ruleTest is a test of promtool.
type ruleTest struct {
	Name        string       `json:"name"`
	Interval    string       `json:"interval"`
	InputSeries []ruleSeries `json:"input_series"`
	Queries     []ruleQuery  `json:"promql_expr_test"`
}

type ruleSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type ruleQuery struct {
	Expr     string           `json:"expr"`
	EvalTime string           `json:"eval_time"`
	Samples  []map[string]int `json:"exp_samples"`
}

// The alerts that watch what the others read.
const (
	alertDown, alertReplicaDown = "TenantProvisionerDown", "TenantProvisionerReplicaDown"
	alertMissing                = "TenantProvisionerMetricsMissing"
	alertQueue                  = "TenantQueueUnknown"
)

// When a metric that an alert reads is missing or not a number, when its replicas are down or restart, or when the
// service cannot read the queue, the alert still fires, or another one does. Three replicas run.
func TestExternalAlertsDoNotGoBlind(t *testing.T) {
	t.Parallel()
	promtool := requireProgram(t, "promtool")
	tests := map[string]ruleTest{}
	text, err := os.ReadFile(rules + "/alerts_test.yml")
	testkit.Must(t, err)
	var file struct{ Tests []ruleTest }
	testkit.Must(t, yaml.Unmarshal(text, &file))
	for _, test := range file.Tests {
		tests[test.Name] = test
	}

	var cases []ruleTest
	for _, group := range alertRules(t).Groups {
		for _, rule := range group.Rules {
			cases = append(cases, blindCases(t, rule.Alert, rule.Expr, tests)...)
		}
	}
	if len(cases) < 200 {
		t.Errorf("only %d cases", len(cases))
	}
	path, err := filepath.Abs(rules + "/alerts.yml")
	testkit.Must(t, err)
	text, err = yaml.Marshal(map[string]any{"rule_files": []string{path}, "evaluation_interval": "1m", "tests": cases})
	testkit.Must(t, err)
	generated := filepath.Join(t.TempDir(), "blind.yml")
	testkit.Must(t, os.WriteFile(generated, text, 0o600))
	if out, err := exec.Command(promtool, "test", "rules", generated).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// replicaSeries are the series of one instance, minute by minute.
type replicaSeries map[string][]string

// blindCases are the faults of every metric that an alert reads, beginning with the state in which the alert fires.
func blindCases(t *testing.T, alert, expr string, tests map[string]ruleTest) (cases []ruleTest) {
	t.Helper()
	fires := tests[alert+" fires"]
	minutes := 12 // longer than the watching alerts wait
	for _, query := range fires.Queries {
		at, err := time.ParseDuration(query.EvalTime)
		testkit.Must(t, err)
		minutes = max(minutes, int(at.Minutes()))
	}
	add := func(fault string, replicas []replicaSeries, want ...string) {
		cases = append(cases, ruleCase(alert+": "+fault, replicas, minutes, want))
	}
	three := func(change ...func(replicaSeries)) (all []replicaSeries) {
		for range 3 {
			r := replicaSeries{}
			for _, s := range slices.Concat(tests["healthy"].InputSeries, fires.InputSeries) {
				r[instance.ReplaceAllString(s.Series, "")] = expand(t, s.Values, minutes)
			}
			switch alert {
			case alertDown, alertReplicaDown: // their tests have replicas of their own
				r.set("up", "0")
			case alertMissing: // its test has no metric; here each goes by itself
				r = replicaSeries{}
				for _, s := range tests["healthy"].InputSeries {
					r[s.Series] = expand(t, s.Values, minutes)
				}
			}
			for _, f := range change {
				f(r)
			}
			all = append(all, r)
		}
		return all
	}
	down := func(r replicaSeries) { r.set("", "_"); r.set("up", "0") }
	itself := []string{alert}
	if alert == alertMissing {
		itself = nil
	}

	add("as it is", three(), itself...)
	add("all targets down", three(down), alertDown)
	oneDown := three()
	down(oneDown[0])
	add("one target down", oneDown, append(itself, alertReplicaDown)...)
	add("counters begin again", three(func(r replicaSeries) { r.reset(minutes - 5) }), itself...)
	pollFails := itself
	if strings.Contains(expr, "_queue_") || regexp.MustCompile(`_(dead_letters|\w+_usage_ratio)\{`).MatchString(expr) {
		pollFails = []string{alertQueue}
	}
	add("the queue cannot be read", three(func(r replicaSeries) {
		for _, name := range []string{
			"queue_oldest_request_age_seconds", "queue_max_age_seconds", "queue_redelivered_requests", "dead_letters",
			"stream_usage_ratio", "account_usage_ratio",
		} {
			r.set("tenant_provisioner_"+name, "_")
		}
		r.set("tenant_provisioner_queue_up", "0")
	}), pollFails...)

	for _, metric := range metricsOf(expr) {
		switch metric {
		case "tenant_provisioner_request_duration_seconds", "go_sql_open_connections":
			continue // replaced by the classic histogram, and by the pool of PostgreSQL
		case "tenant_provisioner_prepared_boundaries_target":
			continue // read only to know whether there is a pool, whose metrics are registered together
		}
		if !three()[0].has(metric) {
			t.Errorf("the test \"healthy\" has no %s", metric)
		}
		guard := alertMissing
		if metric == "up" {
			guard = alertDown
		}
		for _, value := range []string{"_", "NaN"} {
			add(metric+" is "+value, three(func(r replicaSeries) { r.set(metric, value) }), guard)
		}
		if metric != "up" {
			one := three()
			one[0].set(metric, "_")
			add(metric+" of one replica is missing", one, guard)
		}
		// Other metrics are 0 where there is nothing to report.
		zero := map[string]string{
			"up": alertDown, "tenant_provisioner_ready": "TenantProvisionerNotReady",
			"tenant_provisioner_alive": "TenantProvisionerStuck", "tenant_provisioner_queue_up": alertQueue,
		}
		if want := zero[metric]; want != "" {
			add(metric+" is 0", three(func(r replicaSeries) { r.set(metric, "0") }), want)
		}
	}
	return cases
}

// ruleCase is a test in which the wanted alerts fire, and of the watching ones no other.
func ruleCase(name string, replicas []replicaSeries, minutes int, want []string) ruleTest {
	c := ruleTest{Name: name, Interval: "1m"}
	for i, r := range replicas {
		for series, values := range r {
			c.InputSeries = append(c.InputSeries, ruleSeries{
				strings.Replace(series, "{", fmt.Sprintf("{instance=%q,", string(rune('a'+i))), 1), strings.Join(values, " "),
			})
		}
	}
	query := func(alert, compare string) string { // promtool prints the expression, not the name of the test
		return fmt.Sprintf(`count(ALERTS{alertstate="firing",alertname=%q}) %s # %s`, alert, compare, name)
	}
	at := fmt.Sprint(minutes, "m")
	for _, alert := range want {
		c.Queries = append(c.Queries, ruleQuery{query(alert, "> bool 0"), at, []map[string]int{{"value": 1}}})
	}
	if strings.HasSuffix(name, "as it is") {
		for _, alert := range []string{alertDown, alertReplicaDown, alertMissing, alertQueue} {
			// A replica that is down fires both.
			if !slices.Contains(want, alert) && !(slices.Contains(want, alertDown) || slices.Contains(want, alertReplicaDown)) {
				c.Queries = append(c.Queries, ruleQuery{query(alert, ""), at, []map[string]int{}})
			}
		}
	}
	return c
}

var (
	instance = regexp.MustCompile(`,instance="\w"`)
	selector = regexp.MustCompile(`(\w+)\{job=`)
)

// metricsOf are the names of the metrics in an expression.
func metricsOf(expr string) (names []string) {
	for _, found := range selector.FindAllStringSubmatch(expr, -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r replicaSeries) has(metric string) bool {
	for series := range r {
		if strings.HasPrefix(series, metric+"{") {
			return true
		}
	}
	return false
}

// set gives every series of a metric one value; an empty metric is all.
func (r replicaSeries) set(metric, value string) {
	for series, values := range r {
		if metric == "" || strings.HasPrefix(series, metric+"{") {
			r[series] = slices.Repeat([]string{value}, len(values))
		}
	}
}

// reset sets all counters to 0 at a minute, from which they count again.
func (r replicaSeries) reset(minute int) {
	counter := regexp.MustCompile(`_(total|count|bucket|ns)\{`)
	for series, values := range r {
		if !counter.MatchString(series) || len(values) <= minute {
			continue
		}
		base, err := strconv.ParseFloat(values[minute], 64)
		if err != nil {
			continue
		}
		for i := minute; i < len(values); i++ {
			v, _ := strconv.ParseFloat(values[i], 64)
			values[i] = strconv.FormatFloat(v-base, 'f', -1, 64)
		}
	}
}

// expand writes the values of a series out, until a minute: 1x2 is 1 1 1, 0+5x2 is 0 5 10, _x2 is _ _.
func expand(t *testing.T, text string, minutes int) (values []string) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		value, count, repeated := strings.Cut(word, "x")
		n := 0
		if repeated {
			var err error
			n, err = strconv.Atoi(count)
			testkit.Must(t, err)
		}
		start, step, grows := strings.Cut(value, "+")
		switch {
		case value == "_":
			values = append(values, slices.Repeat([]string{"_"}, max(n, 1))...)
		case grows:
			from, err := strconv.ParseFloat(start, 64)
			testkit.Must(t, err)
			by, err := strconv.ParseFloat(step, 64)
			testkit.Must(t, err)
			for i := range n + 1 {
				values = append(values, strconv.FormatFloat(from+by*float64(i), 'f', -1, 64))
			}
		default:
			values = append(values, slices.Repeat([]string{value}, n+1)...)
		}
	}
	return values[:min(len(values), minutes+1)]
}
