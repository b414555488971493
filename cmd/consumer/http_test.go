package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

var httpClient = &http.Client{Timeout: testkit.Patience, Transport: &http.Transport{DisableKeepAlives: true}}

func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	code, body, err := fetch(t, url)
	testkit.Must(t, err)
	return code, body
}

// getComplete returns a page that has all of its data: on a busy machine a source may exceed its timeout.
func getComplete(t *testing.T, url string) (page string) {
	t.Helper()
	testkit.Eventually(t, "all data of the page is available", func() bool {
		_, page = get(t, url)
		return !strings.Contains(page, "Not available:")
	})
	return page
}

// fetch is get for a service that may stop.
func fetch(t *testing.T, url string) (code int, body string, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	testkit.Must(t, err)
	response, err := httpClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), errors.Join(err, response.Body.Close())
}

// awaitNotReady waits until /readyz answers 503 with this part of its reason.
func awaitNotReady(t *testing.T, base, reason string) {
	t.Helper()
	var code int
	var body string
	defer func() {
		if t.Failed() {
			t.Logf("/readyz: %d %s", code, body)
		}
	}()
	testkit.Eventually(t, "/readyz reports "+reason, func() bool {
		code, body = get(t, base+"/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, reason)
	})
}

// scrape waits until the metrics have every part. A request is settled before it is counted, and values that NATS
// returns too late are omitted.
func scrape(t *testing.T, base string, parts ...string) (body string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			testkit.Contains(t, "/metrics", body, parts...)
		}
	}()
	testkit.Eventually(t, "the metrics have every part", func() bool {
		var code int
		code, body = get(t, base+"/metrics")
		return code == http.StatusOK && !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(body, part) })
	})
	return body
}

func TestProbes(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	service := serve(t, settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0")))
	addr := testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	health := func() (int, string) {
		t.Helper()
		code, stdout, stderr := command(t, settings(with("HTTP_ADDR", addr)), "health")
		testkit.Equal(t, "stderr of health", stderr, "")
		return code, stdout
	}
	for _, path := range []string{"/livez", "/readyz"} {
		code, body := get(t, "http://"+addr+path)
		testkit.Equal(t, path, code, http.StatusOK)
		testkit.Equal(t, path, body, "ok\n")
	}
	code, text := health()
	testkit.Equal(t, "health", code, 0)
	testkit.Equal(t, "health", text, "ok\n")
	code, _ = get(t, "http://"+addr+"/nothing")
	testkit.Equal(t, "/nothing", code, http.StatusNotFound)
}

// NATS is unavailable when the service gets a signal to stop: the drain does not exceed its timeout.
func TestStopWhileNATSIsUnavailable(t *testing.T) {
	t.Parallel()
	relay, relayURL := newRelay(t, natstest.Start(t))
	service := serve(t, settings(newSQLite(t).env, with("NATS_URL", relayURL), with("DRAIN_TIMEOUT", "1s")))
	relay.cut()
	testkit.Logged(t, &service.stderr, "NATS connection lost; reconnecting", "error")
	testkit.Equal(t, "exit code", service.stop(t), 0)
}

// Outcomes are counted once each, however often they are delivered.
func TestMetrics(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	service := serve(t, settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0")))
	addr := testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	js := natstest.JetStream(t, testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url"))
	long := "a-tenant-that-DocEX-cannot-open"
	publish(t, js, requestFor(t, "order-1", long), requestFor(t, "order-1", long))
	awaitSettled(t, js)
	publish(t, js, requestFor(t, "order-2", long))
	awaitSettled(t, js)
	body := scrape(t, "http://"+addr,
		`tenant_provisioner_outcomes_total{cause="",type="tenant.provisioned"} 1`,
		`tenant_provisioner_outcomes_total{cause="TENANT_EXISTS",type="tenant.provisioning_failed"} 1`,
		`tenant_provisioner_warnings_total{code="NOT_DOCEX_COMPATIBLE",step="validate_request"} 1`,
		`tenant_provisioner_step_duration_seconds_count{result="ok",step="register_tenant"} `,
		`tenant_provisioner_step_duration_seconds_count{result="error",step="validate_request"} 1`,
		`tenant_provisioner_attempts_total{result="provisioned"} 1`,
		`tenant_provisioner_attempts_total{result="failed"} 1`,
		`tenant_provisioner_request_duration_seconds_count{type="tenant.provisioned"} 2`,
		`tenant_provisioner_request_duration_seconds_count{type="tenant.provisioning_failed"} 1`,
		`tenant_provisioner_requests_in_hand 0`,
		`tenant_provisioner_workers 4`,
		`tenant_provisioner_ready 1`,
		`tenant_provisioner_alive 1`,
		`tenant_provisioner_database_mismatch 0`,
		`tenant_provisioner_queue_up 1`,
		`tenant_provisioner_queue_pending_requests 0`,
		`tenant_provisioner_queue_oldest_request_age_seconds 0`,
		`tenant_provisioner_queue_max_age_seconds 7.776e+06`,
		`tenant_provisioner_dead_letters 1`,
		`tenant_provisioner_build_info{goversion="go`,
		`go_sql_max_open_connections{db_name="commits"} `,
	)
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	testkit.Must(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "tenant_provisioner_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// Values that NATS does not return are omitted, and a scrape does not wait for them.
func TestMetricsWhileNATSIsUnavailable(t *testing.T) {
	t.Parallel()
	d := newPostgres(t)
	relay, relayURL := newRelay(t, natstest.Start(t))
	service := serve(t, settings(d.env, with("NATS_URL", relayURL), with("HTTP_ADDR", "127.0.0.1:0")))
	addr := testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	scrape(t, "http://"+addr, "tenant_provisioner_queue_up 1", "pgxpool_max_conns 5")
	relay.cut()
	testkit.Logged(t, &service.stderr, "NATS connection lost; reconnecting", "error")
	body := scrape(t, "http://"+addr, "tenant_provisioner_queue_up 0", "tenant_provisioner_ready 0", "tenant_provisioner_alive 1")
	if strings.Contains(body, "tenant_provisioner_queue_pending_requests") {
		t.Error("an old value is shown")
	}
}

// The database becomes unavailable while the service works: it reports that, waits, and resumes without a lost attempt.
func TestReadinessFollowsTheDatabase(t *testing.T) {
	t.Parallel()
	d := newPostgres(t)
	relay, relayURL := newRelay(t, d.env["DATABASE_URL"])
	env := settings(with("DATABASE_URL", relayURL), with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", "127.0.0.1:0"))
	service := serve(t, env)
	addr := testkit.Logged(t, &service.stderr, "HTTP server is up", "addr")
	js := natstest.JetStream(t, testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url"))
	publish(t, js, requestFor(t, "order-1", "acme"))
	awaitSettled(t, js)

	relay.cut()
	publish(t, js, requestFor(t, "order-2", "umbrella"))
	awaitNotReady(t, "http://"+addr, "connect")
	code, stdout, _ := command(t, with("HTTP_ADDR", addr), "health")
	testkit.Equal(t, "exit code of health", code, 1)
	testkit.Contains(t, "health", stdout, "connect")
	code, _ = get(t, "http://"+addr+"/livez")
	testkit.Equal(t, "/livez", code, http.StatusOK)

	relay.restore(t)
	testkit.Eventually(t, "ready again", func() bool {
		code, _ := get(t, "http://"+addr+"/readyz")
		return code == http.StatusOK
	})
	awaitSettled(t, js)
	outcomes := storedOutcomes(t, js)
	testkit.Equal(t, "outcomes", countOutcomes(t, outcomes), "provisioned 2")
	data, err := events.ProvisionedFrom(outcomes[1])
	testkit.Must(t, err)
	testkit.Equal(t, "attempts", data.Attempts, 1)
}

// health queries the service itself, whatever HTTP_ADDR looks like and whatever proxy the environment names.
func TestHealthUsesNoProxy(t *testing.T) {
	t.Parallel()
	hosts := []string{"", "0.0.0.0", "[::]", "127.0.0.1", "localhost"}
	// Go uses no proxy for those. It does for other addresses and names of this machine.
	addresses, err := net.InterfaceAddrs()
	testkit.Must(t, err)
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			hosts = append(hosts, n.IP.String())
			break
		}
	}
	for _, host := range hosts {
		_, port, err := net.SplitHostPort(testkit.FreeAddr(t))
		testkit.Must(t, err)
		env := settings(newSQLite(t).env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("HTTP_ADDR", host+":"+port))
		r := serve(t, env)
		proxy := "http://127.0.0.1:9" // no process listens there
		env = settings(env, with("HTTP_PROXY", proxy), with("http_proxy", proxy), with("ALL_PROXY", proxy))
		testkit.Eventually(t, "health at "+host, func() bool { return launch(t, env, "health").wait(t) == 0 })
		testkit.Equal(t, "exit code", r.stop(t), 0)
	}
}

func TestHealthWithoutAService(t *testing.T) {
	t.Parallel()
	code, _, stderr := command(t, settings(with("HTTP_ADDR", testkit.FreeAddr(t))), "health")
	testkit.Equal(t, "exit code", code, 1)
	testkit.Contains(t, "stderr", stderr, "refused")
	code, _, stderr = command(t, settings(), "health")
	testkit.Equal(t, "exit code without HTTP_ADDR", code, 2)
	testkit.Contains(t, "stderr", stderr, "HTTP_ADDR")
}
