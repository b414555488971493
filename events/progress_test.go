package events_test

import (
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
)

// For any identity of the request the event is small and readable, and its id identifies the request.
func TestProgressOfAnyRequest(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]events.Request{
		"usual": {Source: billing, ID: requestID},
		"long":  {Source: "/" + strings.Repeat("s", 100_000), ID: strings.Repeat("ü", 100_000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := events.Progress{
				TenantID: "acme", Request: request, Attempt: 3, Replay: 1,
				Step: events.Step{Number: 2, Name: "initialize_schema"}, State: events.StepFailed, DurationMS: 1.5,
			}
			header, body, err := events.EncodeProgress(events.DefaultSource, noon, data)
			if err != nil {
				t.Fatal(err)
			}
			if len(body) > 8<<10 {
				t.Errorf("%d bytes", len(body))
			}
			e := must(t)(events.Decode(header, body))
			read, err := events.ProgressFrom(e)
			if err != nil {
				t.Fatal(err)
			}
			if e.Subject() != "acme" || read.State != events.StepFailed || read.Attempt != 3 || read.Step != data.Step {
				t.Errorf("subject %q, data %+v", e.Subject(), read)
			}
			if e.ID() != events.ProgressID(request.Source, request.ID, read) {
				t.Error("the id is not that of the request")
			}
			if e.ID() == events.ProgressID(request.Source, request.ID+"x", read) {
				t.Error("another request has the same id")
			}
		})
	}
}

// For any text and time, EncodeProgress returns an error or an event with what it was given.
func TestEncodeProgress(t *testing.T) {
	t.Parallel()
	texts := []string{"", "acme", "/billing", "a b", "ü…", "<&>\"\\", "\x00", "\xff", "\ufffe", "\u2028", " ", "%zz", "HTTP://x#", strings.Repeat("ü", 3000)}
	times := []time.Time{noon, {}, time.Unix(1, 123456789), noon.In(time.FixedZone("", 3600)), time.Unix(1<<40, 0), time.Unix(-1<<40, 0)}
	encoded := 0
	for _, tenant := range []string{"acme", "a-1", "", "a b", "_docex_x_"} {
		for _, source := range texts {
			for _, text := range texts {
				for i, at := range times {
					header, body, err := events.EncodeProgress(source, at, events.Progress{
						TenantID: tenant, Request: events.Request{Source: text, ID: text}, Attempt: i, Replay: 1 - i,
						State: events.StepDone, Step: events.Step{Number: i, Name: text}, DurationMS: float64(i) / 3,
					})
					if err != nil {
						continue
					}
					encoded++
					e := must(t)(events.Decode(header, body))
					if e.Source() != source || e.Subject() != tenant || !e.Time().Equal(at) {
						t.Fatalf("tenant %.20q, source %.20q, at %s: got %s", tenant, source, at, e)
					}
				}
			}
		}
	}
	// Two tenants, the seven sources that are URI references, and the four times that can be written.
	if want := 2 * 7 * len(texts) * 4; encoded != want {
		t.Errorf("%d were encoded, want %d", encoded, want)
	}
}

// Events that differ in attempt, replay, step or state have different ids.
func TestProgressIDs(t *testing.T) {
	t.Parallel()
	base := events.Progress{Attempt: 1, Step: events.Step{Number: 1}, State: events.StepStarted}
	ids := map[string]bool{events.ProgressID(billing, "1", base): true}
	for _, change := range []func(*events.Progress){
		func(p *events.Progress) { p.Attempt = 2 },
		func(p *events.Progress) { p.Replay = 1 },
		func(p *events.Progress) { p.Step.Number = 2 },
		func(p *events.Progress) { p.State = events.StepDone },
	} {
		p := base
		change(&p)
		ids[events.ProgressID(billing, "1", p)] = true
	}
	if len(ids) != 5 {
		t.Errorf("%d ids, want 5", len(ids))
	}
}

func TestProgressFromRejects(t *testing.T) {
	t.Parallel()
	all := samples(t)
	if _, err := events.ProgressFrom(all["provisioned_schema"]); err == nil {
		t.Error("an event of another type is read")
	}
	empty := all["progress_done"].Clone()
	if err := empty.SetData("application/json", struct{}{}); err != nil {
		t.Fatal(err)
	}
	if _, err := events.ProgressFrom(empty); err == nil {
		t.Error("data without a state is read")
	}
}
