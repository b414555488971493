package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/testkit"
)

// awaitWaiting waits until a replay has removed all dead letters, and reads the stream of outcomes.
func (m *deadLetterServer) awaitWaiting() {
	m.t.Helper()
	testkit.Eventually(m.t, "the dead letters are replayed, and the command waits for outcomes", func() bool {
		if m.messages(events.StreamDeadLetters) > 0 {
			return false
		}
		outcomes, err := m.js.Stream(m.t.Context(), events.StreamEvents)
		testkit.Must(m.t, err)
		for info := range outcomes.ListConsumers(m.t.Context()).Info() {
			if info.NumWaiting > 0 {
				return true
			}
		}
		return false
	})
}

// announce publishes the outcome of a replay, as the service does.
func (m *deadLetterServer) announce(id, kind string, replay int) {
	m.t.Helper()
	header, body := outcomeOf(m.t, id, kind, replay, false)
	publish(m.t, m.js, &nats.Msg{Subject: kind, Header: header, Data: body})
}

// Each replay has the outcome that its own publication can cause, whatever else is published.
func TestReplaysAreCountedByPublication(t *testing.T) {
	t.Parallel()
	const ok, failed = events.TypeProvisioned, events.TypeProvisioningFailed
	type outcome struct {
		kind    string
		replay  int
		earlier bool
	}
	for name, c := range map[string]struct {
		replays  []handler.Replayed // of one request
		outcomes []outcome
		want     string // of each replay, by its number
	}{
		"its own":                       {[]handler.Replayed{{Number: 1}}, []outcome{{ok, 1, false}}, "1 provisioned 1"},
		"the failure before it":         {[]handler.Replayed{{Number: 2}}, []outcome{{failed, 1, false}}, ""},
		"a success before it":           {[]handler.Replayed{{Number: 2}}, []outcome{{ok, 0, false}}, "2 had_succeeded_already 0"},
		"the ledger is ahead":           {[]handler.Replayed{{Number: 1}}, []outcome{{failed, 5, false}}, "1 failed 5"},
		"published before the replay":   {[]handler.Replayed{{Number: 1}}, []outcome{{ok, 1, true}}, ""},
		"replayed by another, long ago": {[]handler.Replayed{{Number: 1, Repeated: true}}, []outcome{{failed, 1, true}}, "1 failed 1"},
		"the second of two is not yet":  {[]handler.Replayed{{Number: 1}, {Number: 4}}, []outcome{{failed, 1, false}}, "1 failed 1"},
		"in the other order":            {[]handler.Replayed{{Number: 4}, {Number: 1}}, []outcome{{failed, 1, false}}, "1 failed 1"},
		"each of two has its own":       {[]handler.Replayed{{Number: 1}, {Number: 4}}, []outcome{{failed, 1, false}, {ok, 4, false}}, "1 failed 1, 4 provisioned 4"},
		"both are the same replay":      {[]handler.Replayed{{Number: 1}, {Number: 1}}, []outcome{{ok, 1, false}}, "1 provisioned 1, 1 provisioned 1"},
		"published twice":               {[]handler.Replayed{{Number: 1}, {Number: 2}}, []outcome{{failed, 1, false}, {failed, 1, false}}, "1 failed 1"},
		"one of two was there already":  {[]handler.Replayed{{Number: 1}, {Number: 1, Repeated: true}}, []outcome{{ok, 1, true}}, "1 provisioned 1"},
		"published again by a replica":  {[]handler.Replayed{{Number: 1}}, []outcome{{ok, 1, false}, {ok, 1, false}}, "1 provisioned 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			o := newReplayOutcomes(nil, func(l replayLine) {
				for _, replay := range []int{0, 1, 4, 5} {
					for _, kind := range []string{ok, failed} {
						if l.OutcomeID == events.OutcomeID(billing, "1", replay, kind) {
							got = append(got, fmt.Sprint(l.Replay, " ", l.Outcome, " ", replay))
						}
					}
				}
			})
			for _, r := range c.replays {
				r.Request, r.Key = &events.Request{Source: billing, ID: "1"}, events.RequestKey(billing, "1")
				o.during(func() (replayLine, *handler.Replayed) { return replayLine{Replay: r.Number}, &r })
			}
			for _, published := range c.outcomes {
				e, err := events.Decode(outcomeOf(t, "1", published.kind, published.replay, false))
				testkit.Must(t, err)
				o.receive(e, published.earlier)
			}
			testkit.Equal(t, "settled", strings.Join(got, ", "), c.want)
			testkit.Equal(t, "left", o.left(), len(c.replays)-len(got))
		})
	}
}

// Without its key, the outcome of an undecodable message cannot be told from that of another one.
func TestReplayWithoutAKey(t *testing.T) {
	t.Parallel()
	var got []replayLine
	o := newReplayOutcomes(nil, func(l replayLine) { got = append(got, l) })
	o.during(func() (replayLine, *handler.Replayed) { return replayLine{Key: "old"}, &handler.Replayed{Number: 1} })
	testkit.Equal(t, "settled", fmt.Sprint(len(got), " ", got[0].Outcome, " ", o.left()), "1 not_seen 0")
	o.receive(event.New(), false)
}

// Two dead letters of one request: an earlier version could not decode one of its messages. The outcome of one replay is
// not that of the other.
func TestReplayOfTwoDeadLettersOfOneRequest(t *testing.T) {
	m := newDeadLetterServer(t)
	msg := requestFor(t, "1", "acme")
	original := func() *nats.Msg { return &nats.Msg{Header: maps.Clone(msg.Header), Data: msg.Data} }
	stored := time.Unix(0, 1_700_000_000_123_456_789)
	undecodable := m.put(events.UndecodableKey(events.StreamRequests, 1, stored, msg.Data), original(), "",
		"UNDECODABLE_EVENT", 0, "Stored", stored.UTC().Format(time.RFC3339Nano))
	failed := m.put(events.RequestKey(billing, "1"), original(), "acme", "PERMISSION_DENIED", 0, "Replay", "3")
	r := start(t, m.env, "dead-letters", "replay", "--all", "--yes", "--json", "--wait", outcomeWait)
	m.awaitWaiting()
	m.announce("1", events.TypeProvisioningFailed, 1)
	m.announce("1", events.TypeProvisioned, 4)
	testkit.Equal(t, "exit code", r.wait(t), 1)
	lines, summary := replayed(t, r.stdout.String())
	testkit.Equal(t, "provisioned and failed", fmt.Sprint(summary.Provisioned, summary.Failed), "1 map[TENANT_EXISTS:1]")
	for _, l := range lines {
		want := map[string]string{undecodable: "1 failed", failed: "4 provisioned"}[l.Key]
		testkit.Equal(t, "its outcome", fmt.Sprint(l.Replay, " ", l.Outcome), want)
	}
}

// What was published before the run is not an outcome of its replays. If an interrupted run has published a replay, its
// outcome counts.
func TestReplayCountsNoOlderOutcome(t *testing.T) {
	m := newDeadLetterServer(t)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	published := requestFor(t, "2", "umbrella")
	failed := &nats.Msg{Header: maps.Clone(published.Header), Data: published.Data}
	m.put(events.RequestKey(billing, "2"), failed, "umbrella", "PERMISSION_DENIED", 0, "Nonce", "nonce")
	published.Header.Set("Replay-Number", "1")
	published.Header.Set("Nats-Msg-Id", "replay.1.nonce")
	publish(t, m.js, published)
	m.announce("1", events.TypeProvisioned, 1)
	m.announce("2", events.TypeProvisioned, 1)
	code, stdout := m.run("replay", "--all", "--yes", "--json", "--wait", "10s")
	testkit.Equal(t, "exit code", code, 1)
	lines, _ := replayed(t, stdout)
	got := map[string]string{}
	for _, l := range lines {
		got[l.Tenant] = l.Status + " " + l.Outcome
	}
	testkit.Equal(t, "outcomes", fmt.Sprint(got), "map[acme:replayed not_seen umbrella:replayed_before provisioned]")
	m.assertStored(2, 0)
}

// The command ends when the stream of outcomes is deleted, and leaves no consumer.
func TestReplayEndsWithTheStreamOfOutcomes(t *testing.T) {
	m := newDeadLetterServer(t)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	r := start(t, m.env, "dead-letters", "replay", "--all", "--yes", "--json", "--wait", "1h")
	m.awaitWaiting()
	testkit.Must(t, m.js.DeleteStream(t.Context(), events.StreamEvents))
	testkit.Equal(t, "exit code", r.wait(t), 1)
	testkit.Contains(t, "stderr", r.stderr.String(), "stopped waiting for outcomes: stream TENANT_EVENTS", "not found")
	_, summary := replayed(t, r.stdout.String())
	testkit.Equal(t, "not seen", summary.NotSeen, 1)

	m.serve()
	awaitSettled(t, m.js)
	m.addDeadLetter("2", "umbrella", "PERMISSION_DENIED", 0)
	stream, err := m.js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	r = start(t, m.env, "dead-letters", "replay", "--all", "--yes", "--json", "--wait", "1h")
	testkit.Equal(t, "exit code", r.wait(t), 0)
	names := stream.ConsumerNames(t.Context())
	for name := range names.Name() {
		t.Errorf("the command left the consumer %s", name)
	}
}

func TestReplaySurvivesTheLossOfItsConsumer(t *testing.T) {
	m := newDeadLetterServer(t)
	m.addDeadLetter("1", "acme", "PERMISSION_DENIED", 0)
	r := start(t, m.env, "dead-letters", "replay", "--all", "--yes", "--json", "--wait", outcomeWait)
	m.awaitWaiting()
	stream, err := m.js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	for name := range stream.ConsumerNames(t.Context()).Name() {
		testkit.Must(t, stream.DeleteConsumer(t.Context(), name))
	}
	m.serve()
	testkit.Equal(t, "exit code", r.wait(t), 0)
	_, summary := replayed(t, r.stdout.String())
	testkit.Equal(t, "provisioned", summary.Provisioned, 1)
}
