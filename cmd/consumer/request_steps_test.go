package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/terminal"
)

// The steps shown after events that arrive late, twice, in the wrong order or not at all. A word is
// replay.attempt.step and s(tarted), d(one) or f(ailed).
func TestStepsFromProgressEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ received, want string }{
		"nothing":                            {"", "⠋ published; no step has begun yet, 0.0 s"},
		"in order":                           {"0.1.0s 0.1.0d 0.1.1s", "✓a ⠋b ·c"},
		"all":                                {"0.1.0s 0.1.0d 0.1.1s 0.1.1d 0.1.2s 0.1.2d", "✓a ✓b ✓c"},
		"a failure":                          {"0.1.0s 0.1.0d 0.1.1s 0.1.1f", "✓a ✗b ·c"},
		"an end is lost":                     {"0.1.0s 0.1.1s", "✓a ⠋b ·c"},
		"a beginning is lost":                {"0.1.0s 0.1.1d", "✓a ✓b ·c"},
		"all but the last are lost":          {"0.1.2s", "✓a ✓b ⠋c"},
		"an end before its beginning":        {"0.1.0d 0.1.0s", "✓a ·b ·c"},
		"the next step before the end":       {"0.1.0s 0.1.1s 0.1.0d", "✓a ⠋b ·c"},
		"twice":                              {"0.1.0s 0.1.0s 0.1.0d 0.1.0d 0.1.0s", "✓a ·b ·c"},
		"the next attempt":                   {"0.1.0d 0.1.1f 0.2.0s", "attempt_2 ⠋a ·b ·c"},
		"the last attempt is late":           {"0.2.0s 0.1.1f 0.1.2d", "attempt_2 ⠋a ·b ·c"},
		"a replay begins at attempt 1":       {"0.8.1f 1.1.0s", "replay_1,_attempt_1 ⠋a ·b ·c"},
		"before the replay":                  {"1.1.0s 0.8.1f", "replay_1,_attempt_1 ⠋a ·b ·c"},
		"an attempt resumes after an outage": {"0.1.0d 0.1.1f 0.1.0s 0.1.0d 0.1.1s", "✓a ⠋b ·c"},
		"a step of another version":          {"0.1.0s 0.1.7s 0.1.-1s", "⠋a ·b ·c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, now := newSteps([]string{"a", "b", "c"}), time.Now()
			for word := range strings.FieldsSeq(c.received) {
				s.apply(progressFrom(t, word), now)
			}
			var got []string
			for _, line := range s.lines(now, 0, 80, terminal.NewPalette(false)) {
				if mark, step, ok := strings.Cut(line, " Step "); ok {
					line = mark + strings.Fields(step)[1]
				} else if s.attempt > 0 {
					line = strings.ReplaceAll(line, " ", "_")
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A service that runs further steps is recognized by the first of them; one with unknown steps is not shown.
func TestFurtherStepsAreShown(t *testing.T) {
	t.Parallel()
	progress := func(number int, name string) events.Progress {
		return events.Progress{Attempt: 1, State: events.StepStarted, Step: events.Step{Number: number, Name: name}}
	}
	for want, received := range map[string][]events.Progress{
		"Step 5/5: register_tenant":  {progress(4, "validate_schema")},
		"Step 6/6: register_tenant":  {progress(5, "run_init_scripts")},
		"Step 7/7: register_tenant":  {progress(5, "run_init_scripts"), progress(6, "load_seed_data")},
		"Step 5/6: load_seed_data":   {progress(5, "load_seed_data"), progress(6, "register_tenant")},
		"Step 5/5: register_tenant ": {progress(0, "validate_request"), progress(5, "\x1b[2Jevil"), progress(99, "evil")},
	} {
		s, now := newSteps(stepNames(pipeline.Steps())), time.Now()
		for _, p := range received {
			s.apply(p, now)
		}
		if shown := strings.Join(s.lines(now, 0, 80, terminal.NewPalette(false)), "\n"); !strings.Contains(shown, want) ||
			strings.Contains(shown, "evil") {
			t.Errorf("want %s:\n%s", want, shown)
		}
	}
}

func progressFrom(t *testing.T, word string) (p events.Progress) {
	t.Helper()
	parts := strings.Split(word, ".")
	number := strings.TrimRight(parts[2], "sdf")
	p.Replay, p.Attempt, p.Step.Number = atoi(t, parts[0]), atoi(t, parts[1]), atoi(t, number)
	if n := p.Step.Number; n >= 0 && n < 3 {
		p.Step.Name = "abc"[n : n+1]
	}
	p.State = map[string]string{
		"s": events.StepStarted, "d": events.StepDone, "f": events.StepFailed,
	}[strings.TrimPrefix(parts[2], number)]
	return p
}

// Each line has its duration, so far or in total, and fits the terminal.
func TestStepsHaveDurations(t *testing.T) {
	t.Parallel()
	names := []string{"validate_request", "株式会社"}
	s, now := newSteps(names), time.Now()
	s.apply(events.Progress{Attempt: 2, Step: events.Step{Name: names[0]}, State: events.StepDone, DurationMS: 12.34}, now)
	s.apply(events.Progress{Attempt: 2, Step: events.Step{Number: 1, Name: names[1]}, State: events.StepStarted}, now)
	later := now.Add(1500 * time.Millisecond)
	want := []string{
		"attempt 2",
		"✓ Step 0/1: validate_request     12.3 ms",
		"⠼ Step 1/1: 株式会社              1.5 s",
	}
	if diff := cmp.Diff(want, s.lines(later, 400*time.Millisecond, 80, terminal.NewPalette(false))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, columns := range []int{1, 5, 20, 40} {
		for _, line := range s.lines(later, 0, columns, terminal.NewPalette(true)) {
			if terminal.Width(line) >= max(columns, 4) {
				t.Errorf("on %d columns: %q", columns, line)
			}
		}
	}
}
