package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	testkit.Must(t, err)
	return n
}

// fakeService publishes what the service publishes, when the test calls it.
type fakeService struct {
	t  *testing.T
	js jetstream.JetStream
}

// newFakeService returns one, and the environment for its commands.
func newFakeService(t *testing.T) (*fakeService, map[string]string) {
	t.Helper()
	env := settings(with("NATS_URL", natstest.Start(t)))
	s := &fakeService{t, natstest.JetStream(t, env["NATS_URL"])}
	err := (&config.Config{Replicas: 1, Manage: true, AckWait: 30 * time.Second}).Topology().Ensure(t.Context(), s.js)
	testkit.Must(t, err)
	return s, env
}

// awaitRequest waits for the nth request.
func (s *fakeService) awaitRequest(n uint64) {
	s.t.Helper()
	testkit.Eventually(s.t, "the request is published", func() bool {
		stream, err := s.js.Stream(s.t.Context(), events.StreamRequests)
		testkit.Must(s.t, err)
		return stream.CachedInfo().State.Msgs >= n
	})
}

// publishProgress publishes the progress of a request for acme.
func (s *fakeService) publishProgress(id string, attempt, step int, state string, ms float64) {
	s.t.Helper()
	header, body, err := events.EncodeProgress(events.DefaultSource, time.Now(), events.Progress{
		TenantID: "acme", Request: events.Request{Source: billing, ID: id}, Attempt: attempt, State: state, DurationMS: ms,
		Step: events.Step{Number: step, Name: pipeline.Steps()[step].Name},
	})
	testkit.Must(s.t, err)
	testkit.Must(s.t, s.js.Conn().PublishMsg(&nats.Msg{Subject: events.ProgressSubject("acme"), Header: header, Data: body}))
	testkit.Must(s.t, s.js.Conn().Flush())
}

// provision publishes the outcome.
func (s *fakeService) provision(id string) {
	s.t.Helper()
	e, err := events.NewProvisioned(events.Outcome{
		ID: events.OutcomeID(billing, id, 0, events.TypeProvisioned), Source: events.DefaultSource, Time: time.Now(),
	}, events.Provisioned{
		TenantID: "acme", DisplayName: "Acme", IsolationStrategy: events.IsolationSchema, SchemaName: "tenant_acme",
		Request: events.Request{Source: billing, ID: id}, Attempts: 2,
	})
	testkit.Must(s.t, err)
	header, body, err := events.Encode(e)
	testkit.Must(s.t, err)
	publish(s.t, s.js, &nats.Msg{Subject: e.Type(), Header: header, Data: body})
}

// The command shows the steps of this request only, as they happen, and replaces them with the outcome.
func TestRequestShowsStepsOnATerminal(t *testing.T) {
	t.Parallel()
	fakeService, env := newFakeService(t)
	s := newTerminal(t, 80, 24)
	ended := make(chan int, 1)
	go func() {
		ended <- s.command(t, env, nil, nil, requestArgs("acme", "--wait", outcomeWait, "--source", billing, "--id", "order-1")...)
	}()
	// The last part is of the last line if more is asserted: the screen may be read while it is drawn.
	awaitScreen := func(parts ...string) (shown string) {
		t.Helper()
		testkit.Eventually(t, "the screen shows "+strings.Join(parts, ", "), func() bool {
			shown = s.text()
			for _, part := range parts {
				if !strings.Contains(shown, part) {
					return false
				}
			}
			return true
		})
		return shown
	}
	fakeService.awaitRequest(1)
	awaitScreen("published; no step has begun yet")
	fakeService.publishProgress("order-1", 1, 0, events.StepDone, 0.5)
	fakeService.publishProgress("order-1", 1, 1, events.StepStarted, 0)
	shown := awaitScreen("✓ Step 0/5: validate_request               0.5 ms", " Step 1/5: create_isolation_boundary",
		"· Step 5/5: register_tenant")
	if strings.Contains(shown, "published") || strings.Contains(shown, "✓ Step 1/5") {
		t.Errorf("the screen shows\n%s", shown)
	}
	fakeService.publishProgress("another", 7, 3, events.StepFailed, 99) // for the same tenant
	fakeService.publishProgress("order-1", 1, 1, events.StepDone, 3.5)
	fakeService.publishProgress("order-1", 1, 2, events.StepFailed, 7)
	awaitScreen("✓ Step 1/5: create_isolation_boundary      3.5 ms", "✗ Step 2/5: initialize_schema              7.0 ms")
	fakeService.publishProgress("order-1", 2, 0, events.StepStarted, 0)
	fakeService.publishProgress("order-1", 1, 2, events.StepFailed, 7) // late
	shown = awaitScreen("attempt 2", "· Step 1/5", "· Step 2/5", "· Step 5/5: register_tenant")
	if strings.Contains(shown, "✗") || strings.Contains(shown, "attempt 7") ||
		len(strings.Split(shown, "\n")) != 7 {
		t.Errorf("the screen shows\n%s", shown)
	}
	fakeService.provision("order-1")
	testkit.Equal(t, "exit code", <-ended, 0)
	s.closeTTY(t)
	if shown := s.text(); !strings.HasPrefix(shown, "✓ tenant.provisioned acme\n    tenant_acme, ") || strings.Contains(shown, "Step") {
		t.Errorf("finally the screen shows\n%s", shown)
	}
}

// Without progress events, as from a service of an earlier version, the command still waits for the outcome.
func TestRequestWithoutProgress(t *testing.T) {
	t.Parallel()
	fakeService, env := newFakeService(t)
	s := newTerminal(t, 20, 5)
	ended := make(chan int, 1)
	go func() {
		ended <- s.command(t, env, nil, nil, requestArgs("acme", "--wait", outcomeWait, "--source", billing, "--id", "order-1")...)
	}()
	fakeService.awaitRequest(1)
	testkit.Must(t, fakeService.js.Conn().Publish(events.ProgressSubject("acme"), []byte("what?")))
	fakeService.provision("order-1")
	testkit.Equal(t, "exit code", <-ended, 0)
	s.closeTTY(t)
	testkit.Contains(t, "the screen", s.text(), "✓ tenant.provisioned acme")
}

// If one or both outputs are piped, or with --json, the output has no control codes and no steps. The outcome is
// unchanged.
func TestRequestShowsNoStepsWhenPiped(t *testing.T) {
	t.Parallel()
	service := serve(t, settings(newSQLite(t).env, with("NATS_EMBEDDED_DIR", t.TempDir())))
	env := settings(with("NATS_URL", testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url")))
	for name, c := range map[string]struct{ stdout, stderr, json bool }{
		"stdout is piped": {stdout: true}, "stderr is piped": {stderr: true}, "json": {json: true},
		"both are piped": {stdout: true, stderr: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTerminal(t, 80, 24)
			tenant := strings.ReplaceAll(name, " ", "_")
			args := requestArgs(tenant, "--wait", outcomeWait)
			if c.json {
				args = append(args, "--json")
			}
			var stdout, stderr testkit.Output
			testkit.Equal(t, "exit code", s.command(t, env, piped(c.stdout, &stdout), piped(c.stderr, &stderr), args...), 0)
			s.closeTTY(t)
			testkit.Contains(t, "output", stdout.String()+s.text(), "tenant.provisioned", tenant)
			sent := s.sent()
			if !c.stdout && !c.json { // the outcome is on the terminal, in colours
				sent = colorCodes.ReplaceAllString(sent, "")
			}
			if strings.Contains(sent+stdout.String()+stderr.String(), "\x1b") || strings.Contains(sent, "⠋") {
				t.Errorf("control codes or steps:\n%q\n%q\n%q", sent, stdout.String(), stderr.String())
			}
		})
	}
}

// piped is the writer, or nil for a terminal.
func piped(is bool, w *testkit.Output) interface{ Write([]byte) (int, error) } {
	if is {
		return w
	}
	return nil
}

// With the real service only the outcome remains on the terminal.
func TestRequestOnATerminal(t *testing.T) {
	t.Parallel()
	service := serve(t, settings(newSQLite(t).env, with("NATS_EMBEDDED_DIR", t.TempDir())))
	env := settings(with("NATS_URL", testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url")))
	for tenant, code := range map[string]int{"acme": 0, "not an id": 1} {
		s := newTerminal(t, 80, 24)
		testkit.Equal(t, "exit code", s.command(t, env, nil, nil, requestArgs(tenant, "--wait", outcomeWait)...), code)
		s.closeTTY(t)
		if !strings.HasPrefix(s.text(), map[int]string{0: terminal.MarkOK, 1: terminal.MarkFailed}[code]+" tenant.provision") {
			t.Errorf("the screen shows\n%s", s.text())
		}
	}
}

// Log lines appear above the drawn lines, complete.
func TestScreenKeepsLogLines(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, 40, 5)
	view := &terminal.Live{File: s.tty}
	view.Draw([]string{"one", "two", "three"})
	_, err := view.Write([]byte("a line of the log\n"))
	testkit.Must(t, err)
	view.Draw([]string{"one", "four"})
	_, err = view.Write([]byte("another\n"))
	testkit.Must(t, err)
	// Lines that do not fit are omitted at the top, because they cannot be erased.
	view.Draw([]string{"1", "2", "3", "4", "5", "6"})
	view.Draw([]string{"last"})
	s.closeTTY(t)
	testkit.Equal(t, "the screen", s.text(), "a line of the log\nanother\nlast")
}
