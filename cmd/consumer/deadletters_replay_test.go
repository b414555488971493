package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/schollz/progressbar/v3"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// replayed decodes the output of replay --json.
func replayed(t *testing.T, stdout string) (lines []replayLine, summary replaySummary) {
	t.Helper()
	type either struct {
		replayLine
		Summary *replaySummary `json:"summary"`
	}
	for _, o := range objects[either](t, stdout) {
		if o.Summary != nil {
			summary = *o.Summary
			continue
		}
		lines = append(lines, o.replayLine)
	}
	return lines, summary
}

func TestReplayByFilter(t *testing.T) {
	m := newDeadLetterServer(t)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	m.addDeadLetter("2", "umbrella", "PERMISSION_DENIED", 0)
	m.addDeadLetter("3", "other", "ATTEMPTS_EXHAUSTED", 0)
	bad := requestFor(t, "4", "acme")
	bad.Data = []byte(strings.ReplaceAll(string(bad.Data), "acme", "not an id"))
	m.put(events.RequestKey(billing, "4"), bad, "not an id", "INVALID_TENANT_ID", 0)
	d := m.serve()

	// A dry run changes nothing.
	code, stdout := m.run("replay", "--all", "--dry-run")
	testkit.Equal(t, "exit code of a dry run", code, 0)
	testkit.Contains(t, "dry run", stdout, "acme PERMISSION_DENIED: would be replayed, as replay 1", "4 would be replayed")
	m.assertStored(0, 4)

	code, stdout = m.run("replay", "--reason", "PERMISSION_DENIED", "--reason", "TENANT_EXISTS", "--since", "1h", "--json")
	testkit.Equal(t, "exit code", code, 0)
	lines, summary := replayed(t, stdout)
	testkit.Equal(t, "lines", len(lines), 2)
	for _, l := range lines {
		want := replayLine{
			Key: l.Key, Tenant: l.Tenant, Reason: "PERMISSION_DENIED", Replay: 1, Status: "replayed", Outcome: "provisioned",
			OutcomeID: l.OutcomeID,
		}
		testkit.Equal(t, "line", fmt.Sprintf("%+v", l), fmt.Sprintf("%+v", want))
	}
	testkit.Equal(t, "summary", fmt.Sprintf("%+v", summary),
		fmt.Sprintf("%+v", replaySummary{Selected: 2, Replayed: 2, Provisioned: 2, Failed: map[string]int{}}))
	m.assertStored(2, 2)

	// --all includes requests that can never succeed.
	code, stdout = m.run("replay", "--all", "--yes")
	testkit.Equal(t, "exit code where one fails", code, 1)
	testkit.Contains(t, "stdout", stdout, "other ATTEMPTS_EXHAUSTED: replayed, as replay 1: provisioned",
		"not an id INVALID_TENANT_ID: replayed, as replay 1: failed again, INVALID_TENANT_ID",
		"2 selected", "1 outcomes: provisioned", "1 outcomes: failed again, INVALID_TENANT_ID")
	awaitSettled(t, m.js)
	m.assertStored(4, 1)
	testkit.Equal(t, "registered tenants", fmt.Sprint(d.tenants()), "[acme other umbrella]")

	for _, args := range [][]string{{"replay", "--tenant", "nobody"}, {"replay", "--since", "0s", "--dry-run"}} {
		code, stdout = m.run(args...)
		testkit.Equal(t, "exit code with nothing to do", code, 0)
		testkit.Contains(t, "stdout", stdout, "nothing to do")
	}
	_, stdout = m.run("replay", "--tenant", "nobody", "--json")
	testkit.Contains(t, "stdout", stdout, `"summary"`, `"selected":0`)
}

func TestReplayByKey(t *testing.T) {
	m := newDeadLetterServer(t)
	one := m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	m.addDeadLetter("2", "umbrella", "PERMISSION_DENIED", 0)
	m.serve()
	code, stdout := m.run("replay", "abcdefabcdef", one[:6], one, events.DeadLetterSubject(one))
	testkit.Equal(t, "exit code with an unknown key", code, 1)
	testkit.Contains(t, "stdout", stdout, `"abcdefabcdef" names no dead letter`, "acme PERMISSION_DENIED: replayed, as replay 1: provisioned",
		"2 selected", "1 replayed", "1 not found")
	m.assertStored(1, 1)
}

// The ledger already has the outcome: no tenant is provisioned twice, and the report shows it. The stream drops the
// outcome that is published again, so the command receives it on its subject.
func TestReplayOfASucceededRequest(t *testing.T) {
	m := newDeadLetterServer(t)
	m.serve()
	publish(t, m.js, requestFor(t, "1", "acme"))
	awaitSettled(t, m.js)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0, "Replay", "4")
	code, stdout := m.run("replay", "--all", "--yes", "--json")
	testkit.Equal(t, "exit code", code, 0)
	lines, summary := replayed(t, stdout)
	testkit.Equal(t, "outcome", lines[0].Outcome, "had_succeeded_already")
	testkit.Equal(t, "replay", lines[0].Replay, 5)
	testkit.Equal(t, "outcome id", lines[0].OutcomeID, events.OutcomeID(billing, "1", 0, events.TypeProvisioned))
	testkit.Equal(t, "count", summary.Already, 1)
	awaitSettled(t, m.js)
	m.assertStored(2, 0)
	testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, m.js)), "provisioned 1")
}

// A dead letter that reappears after its replay is replayed again, and the ledger returns the recorded outcome.
func TestReplayOfARestoredDeadLetter(t *testing.T) {
	m := newDeadLetterServer(t)
	m.serve()
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	code, stdout := m.run("replay", "--all", "--yes", "--wait", "0")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "stdout", stdout, "replayed, as replay 1\n")
	awaitSettled(t, m.js)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	code, stdout = m.run("replay", "--all", "--yes")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "stdout", stdout, "replayed, as replay 1: provisioned", "1 outcomes: provisioned")
	m.assertStored(2, 0)
	awaitSettled(t, m.js)
	testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, m.js)), "provisioned 1")
}

func TestReplayWithoutAService(t *testing.T) {
	m := newDeadLetterServer(t)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	m.addDeadLetter("2", "umbrella", "PERMISSION_DENIED", 0)
	code, stdout := m.run("replay", "--tenant", "acme", "--wait", "50ms")
	testkit.Equal(t, "exit code", code, 1)
	testkit.Contains(t, "stdout", stdout, "replayed, as replay 1: no outcome seen yet", "1 outcomes not seen yet", "consumer watch --all",
		"while the service runs")
	code, stdout = m.run("replay", "--all", "--yes", "--wait", "0")
	testkit.Equal(t, "exit code without waiting", code, 0)
	if strings.Contains(stdout, "outcome") {
		t.Errorf("the output mentions outcomes:\n%s", stdout)
	}
	m.assertStored(2, 0)
}

// The outcomes of these requests truncate or omit the request's id.
func TestReplayFindsOutcomesOfUnusualRequests(t *testing.T) {
	m := newDeadLetterServer(t)
	add := func(id, tenant string) string {
		msg := requestFor(t, id, "acme")
		msg.Data = []byte(strings.ReplaceAll(string(msg.Data), `"acme"`, `"`+tenant+`"`))
		return m.put(events.RequestKey(billing, id), msg, tenant, "PERMISSION_DENIED", 0)
	}
	long := strings.Repeat("x", 3000)
	want := map[string]string{
		add(long+"1", "long_one"):   "provisioned",
		add(long+"2", "long_two"):   "provisioned",
		add(long+"3", "not an id"):  "failed INVALID_TENANT_ID",
		add("dots…", "an_ellipsis"): "provisioned",
	}
	old := events.RequestKey(events.StreamRequests, "1") // of an earlier version
	want[m.put(old, &nats.Msg{Data: []byte("please")}, "", "UNDECODABLE_EVENT", 0)] = "failed UNDECODABLE_EVENT"
	for _, body := range []string{"please", ""} {
		key := events.UndecodableKey(events.StreamRequests, 1, time.Unix(0, 1_700_000_000_123_456_789), []byte(body))
		m.put(key, &nats.Msg{Data: []byte(body)}, "", "UNDECODABLE_EVENT", 0, "Stored", "2023-11-14T22:13:20.123456789Z")
		want[key] = "failed UNDECODABLE_EVENT"
	}
	m.serve()
	code, stdout := m.run("replay", "--all", "--yes", "--json")
	testkit.Equal(t, "exit code", code, 1)
	got := map[string]string{}
	lines, _ := replayed(t, stdout)
	for _, l := range lines {
		got[l.Key] = strings.TrimSpace(l.Outcome + " " + l.Cause)
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		testkit.Equal(t, key, got[key], want[key])
	}
}

// Outcomes of earlier versions have no request.key: the request is found by its source and id or, where these are
// truncated, by the outcome's id.
func TestReplayFindsOutcomesOfEarlierVersions(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3000)
	for _, id := range []string{"1", long + "1", long + "2", "dots…"} {
		for _, eventType := range []string{events.TypeProvisioned, events.TypeProvisioningFailed} {
			for _, earlier := range []bool{true, false} {
				settled := map[string]string{}
				o := newReplayOutcomes(nil, func(l replayLine) { settled[l.Key] = l.Outcome })
				for _, id := range []string{"1", long + "1", long + "2", "dots…"} {
					key := events.RequestKey(billing, id)
					o.during(func() (replayLine, *handler.Replayed) {
						return replayLine{Key: key}, &handler.Replayed{
							Request: &events.Request{Source: billing, ID: id}, Key: key, Number: 1,
						}
					})
				}
				e, err := events.Decode(outcomeOf(t, id, eventType, 1, earlier))
				testkit.Must(t, err)
				o.receive(e, false)
				want := map[string]string{events.RequestKey(billing, id): outcomeProvisioned}
				if eventType == events.TypeProvisioningFailed {
					want = map[string]string{events.RequestKey(billing, id): outcomeFailed}
				}
				testkit.Equal(t, fmt.Sprintf("%.10s, %d bytes, %s, earlier: %v", id, len(id), eventType, earlier), fmt.Sprint(settled), fmt.Sprint(want))
				testkit.Equal(t, "left", o.left(), 3)
			}
		}
	}
}

// outcomeOf is the outcome of a replay of a request, as this version or an earlier one writes it.
func outcomeOf(t *testing.T, id, eventType string, replay int, earlier bool) (nats.Header, []byte) {
	t.Helper()
	o := events.Outcome{ID: events.OutcomeID(billing, id, replay, eventType), Source: events.DefaultSource, Time: time.Now()}
	request := events.Request{Source: billing, ID: id}
	e, err := events.NewProvisioned(o, events.Provisioned{TenantID: "acme", Request: request, Replay: replay})
	if eventType == events.TypeProvisioningFailed {
		e, err = events.NewProvisioningFailed(o, events.ProvisioningFailed{
			Request: &request, Replay: replay, Cause: events.Cause{Code: events.CauseTenantExists},
			DeadLetter: events.DeadLetter{Subject: events.DeadLetterSubject(events.RequestKey(billing, id))},
		})
	}
	testkit.Must(t, err)
	header, body, err := events.Encode(e)
	testkit.Must(t, err)
	if earlier {
		key := `,"key":"` + events.RequestKey(billing, id) + `"`
		testkit.Equal(t, "keys in the event", strings.Count(string(body), key), 1)
		body = []byte(strings.Replace(string(body), key, "", 1))
	}
	return header, body
}

// An event that claims to be the outcome, but has another id, is ignored.
func TestReplayIgnoresAForgedOutcome(t *testing.T) {
	m := newDeadLetterServer(t)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	forged := event.New()
	forged.SetID("1")
	forged.SetSource("/forger")
	forged.SetType(events.TypeProvisioned)
	testkit.Must(t, forged.SetData(event.ApplicationJSON, events.Provisioned{
		TenantID: "acme", Replay: 1, Request: events.Request{Source: billing, ID: "1"},
	}))
	header, body, err := events.Encode(forged)
	testkit.Must(t, err)
	publish(t, m.js, &nats.Msg{Subject: events.TypeProvisioned, Header: header, Data: body},
		&nats.Msg{Subject: events.TypeProvisioningFailed, Data: []byte("garbage")})
	code, stdout := m.run("replay", "--all", "--yes", "--wait", "200ms")
	testkit.Equal(t, "exit code", code, 1)
	testkit.Contains(t, "stdout", stdout, "no outcome seen yet")
}

func TestReplayRate(t *testing.T) {
	m := newDeadLetterServer(t)
	for i := range 5 {
		m.addDeadLetter(fmt.Sprint(i), "acme", "PERMISSION_DENIED", 0)
	}
	begin := time.Now()
	code, _ := m.run("replay", "--all", "--yes", "--rate", "20", "--wait", "0")
	testkit.Equal(t, "exit code", code, 0)
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("5 at 20 a second took %s", took)
	}
	m.assertStored(5, 0)
}

// After a signal the command stops before the next dead letter, and reports what it has done.
func TestReplayInterrupted(t *testing.T) {
	m := newDeadLetterServer(t)
	for i := range 3 {
		m.addDeadLetter(fmt.Sprint(i), "acme", "PERMISSION_DENIED", 0)
	}
	r := start(t, m.env, "dead-letters", "replay", "--all", "--yes", "--rate", "0.001", "--wait", "0")
	testkit.Eventually(t, "the first is replayed", func() bool { return strings.Contains(r.stdout.String(), "as replay 1") })
	testkit.Equal(t, "exit code", r.stop(t), 1)
	testkit.Contains(t, "stdout", r.stdout.String(), "1 selected", "Interrupted", "safe to repeat")
	testkit.Equal(t, "stderr", r.stderr.String(), "")
	m.assertStored(1, 2)

	// While it waits for outcomes.
	r = start(t, m.env, "dead-letters", "replay", "--all", "--yes", "--wait", "1h", "--json")
	testkit.Eventually(t, "all are replayed", func() bool { return m.messages(events.StreamDeadLetters) == 0 })
	testkit.Equal(t, "exit code", r.stop(t), 1)
	lines, summary := replayed(t, r.stdout.String())
	testkit.Equal(t, "lines", len(lines), 2)
	testkit.Equal(t, "not seen", summary.NotSeen, 2)
	testkit.Equal(t, "interrupted", summary.Interrupted, true)
}

// Two operators replay everything at the same time: each dead letter is replayed once, and both see the outcomes.
func TestTwoOperatorsReplay(t *testing.T) {
	m := newDeadLetterServer(t)
	const n = 12
	for i := range n {
		m.addDeadLetter(fmt.Sprint(i), fmt.Sprint("tenant_", i), "PERMISSION_DENIED", 0)
	}
	d := m.serve()
	operators := []*running{}
	for range 2 {
		operators = append(operators, start(t, m.env, "dead-letters", "replay", "--all", "--yes", "--json"))
	}
	published := 0
	for _, r := range operators {
		testkit.Equal(t, "exit code", r.wait(t), 0)
		lines, summary := replayed(t, r.stdout.String())
		published += summary.Replayed
		testkit.Equal(t, "outcomes seen", summary.Provisioned, summary.Replayed+summary.Repeated)
		testkit.Equal(t, "lines", len(lines), summary.Selected)
	}
	testkit.Equal(t, "replays", published, n)
	m.assertStored(n, 0)
	testkit.Equal(t, "registered tenants", len(d.tenants()), n)
	testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, m.js)), fmt.Sprintf("provisioned %d", n))
}

// The connection is lost before the outcome arrives: the command finds it in the stream.
func TestReplayOverALostConnection(t *testing.T) {
	m := newDeadLetterServer(t)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	relay, relayURL := newRelay(t, m.env["NATS_URL"])
	r := start(t, settings(with("NATS_URL", relayURL)), "dead-letters", "replay", "--all", "--yes", "--json")
	m.awaitWaiting()
	relay.cut()
	m.serve()
	awaitSettled(t, m.js)
	relay.restore(t)
	testkit.Equal(t, "exit code", r.wait(t), 0)
	lines, summary := replayed(t, r.stdout.String())
	testkit.Equal(t, "outcome", lines[0].Outcome, "provisioned")
	testkit.Equal(t, "reconnected", summary.Reconnected, true)
}

// Without the stream of requests every publish fails: the command stops, and no dead letter is lost.
func TestReplayGivesUp(t *testing.T) {
	m := newDeadLetterServer(t)
	for i := range 5 {
		m.addDeadLetter(fmt.Sprint(i), "acme", "PERMISSION_DENIED", 0)
	}
	testkit.Must(t, m.js.DeleteStream(t.Context(), events.StreamRequests))
	for _, wait := range []string{"0", "1h"} {
		code, stdout, stderr := command(t, m.env, "dead-letters", "replay", "--all", "--yes", "--wait", wait)
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "stderr", stderr, "stopped after 3 faults in a row")
		testkit.Contains(t, "stdout", stdout, "not replayed: stream TENANT_REQUESTS does not exist", "3 not replayed")
		testkit.Equal(t, "dead letters", m.messages(events.StreamDeadLetters), uint64(5))
	}
}

// On a terminal a bar shows the progress, and only errors are written.
func TestReplayProgress(t *testing.T) {
	t.Parallel()
	var stdout, stderr testkit.Output
	report := newReplayReport(&app{terminal.IO{Out: &stdout}}, false)
	report.showProgress(progressbar.NewOptions(2, progressbar.OptionSetWriter(&stderr),
		progressbar.OptionSetDescription("replaying"), progressbar.OptionShowCount()), true)
	report.add(replayLine{Key: "one", Status: statusReplayed, Replay: 1})
	report.add(replayLine{Key: "two", Status: statusNotReplayed, Error: "no header"})
	report.add(replayLine{Key: "three", Status: statusReplayed, Replay: 1}) // one more than was counted
	testkit.Equal(t, "result", report.end(replayFlags{}), errSilent)
	testkit.Contains(t, "stderr", stderr.String(), "replaying", "1/2")
	testkit.Contains(t, "stdout", stdout.String(), "two - -: not replayed: no header", "3 selected")
	if strings.Contains(stdout.String(), "one") {
		t.Errorf("the bar shows that already:\n%s", stdout.String())
	}
}
