package main

import (
	"cmp"
	"fmt"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/terminal"
)

// steps is the known progress of a request, from events that may arrive late, twice, in any order or not at all. It is
// only for display: the result is in the outcome.
type steps struct {
	names           []string // of all steps
	replay, attempt int
	states          []stepState
}

// stepState is the known state of one step. The zero value: unknown.
type stepState struct {
	state string
	took  float64   // in milliseconds; 0: unknown
	began time.Time // when the event arrived
}

func newSteps(names []string) *steps {
	return &steps{names: names, states: make([]stepState, len(names))}
}

// learn finds out from the first further step which of them the service runs. It reports false for a step that no
// service of this version has at that place.
func (s *steps) learn(step events.Step) bool {
	both := []string{pipeline.RunInitScripts, pipeline.LoadSeedData}
	for _, names := range [][]string{
		s.names, stepNames(pipeline.Steps()), stepNames(pipeline.Steps(both[0])), stepNames(pipeline.Steps(both[1])),
		stepNames(pipeline.Steps(both...)), stepNames(pipeline.OwnSteps(both[0])), stepNames(pipeline.OwnSteps(both...)),
	} {
		if step.Number < 0 || step.Number >= len(names) || names[step.Number] != step.Name {
			continue
		}
		s.names = names
		s.states = append(s.states, make([]stepState, len(names))...)[:len(names)]
		return true
	}
	return false
}

// stepNames are the names of steps.
func stepNames(all []pipeline.Step) (names []string) {
	for _, step := range all {
		names = append(names, step.Name)
	}
	return names
}

// apply applies an event.
func (s *steps) apply(p events.Progress, now time.Time) {
	number := p.Step.Number
	if !s.learn(p.Step) {
		return // from another version, which has other steps
	}
	age := cmp.Or(cmp.Compare(p.Replay, s.replay), cmp.Compare(p.Attempt, s.attempt))
	if age < 0 {
		return // of an attempt that is over
	}
	// An attempt that an outage interrupted begins again under the same number.
	if restarted := p.State == events.StepStarted && s.hasFailed(); age > 0 || restarted {
		s.replay, s.attempt = p.Replay, p.Attempt
		clear(s.states)
	}
	at := &s.states[number]
	switch {
	case p.State != events.StepStarted:
		at.state, at.took = p.State, p.DurationMS
	case at.state == "":
		at.state, at.began = p.State, now
	}
	for i := range number { // a step begins only after those before it are done
		if s.states[i].state != events.StepDone {
			s.states[i].state = events.StepDone
		}
	}
}

func (s *steps) hasFailed() bool {
	for _, at := range s.states {
		if at.state == events.StepFailed {
			return true
		}
	}
	return false
}

// spinner are the frames of the mark of a running step.
var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

const spinnerInterval = 100 * time.Millisecond

// lines formats the steps for a terminal of that many columns.
func (s *steps) lines(now time.Time, since time.Duration, columns int, p terminal.Palette) []string {
	working := string(spinner[int(since/spinnerInterval)%len(spinner)])
	line := func(mark, text string) string { return mark + " " + terminal.Fit(text, max(columns-3, 1)) }
	if s.attempt == 0 {
		return []string{line(working, fmt.Sprintf("published; no step has begun yet, %.1f s", since.Seconds()))}
	}
	var all []string
	if s.attempt > 1 || s.replay > 0 {
		heading := fmt.Sprintf("attempt %d", s.attempt)
		if s.replay > 0 {
			heading = fmt.Sprintf("replay %d, %s", s.replay, heading)
		}
		all = append(all, p.Dim.Sprint(terminal.Fit(heading, max(columns-1, 1))))
	}
	width := stepWidth(s.names)
	for i, at := range s.states {
		text := fmt.Sprintf("Step %d/%d: %s", i, len(s.names)-1, terminal.Pad(s.names[i], width))
		if at.took > 0 {
			text += fmt.Sprintf(" %8.1f ms", at.took)
		}
		switch at.state {
		case events.StepDone:
			all = append(all, line(p.Mark(terminal.MarkOK), text))
		case events.StepFailed:
			all = append(all, line(p.Mark(terminal.MarkFailed), text))
		case events.StepStarted:
			all = append(all, line(working, text+fmt.Sprintf(" %8.1f s", now.Sub(at.began).Seconds())))
		default:
			all = append(all, p.Dim.Sprint(line("·", text)))
		}
	}
	return all
}
