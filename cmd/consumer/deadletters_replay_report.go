package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/schollz/progressbar/v3"

	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/terminal"
)

// Statuses of a dead letter in the report.
const (
	statusReplayed    = "replayed"
	statusRepeated    = "replayed_before" // by another operator, or by an interrupted run
	statusGone        = "gone"
	statusNotReplayed = "not_replayed"
	statusNotFound    = "not_found"
	statusWouldReplay = "would_replay"
)

// Outcomes of a replay. Empty: the command did not wait for it.
const (
	outcomeProvisioned = "provisioned"
	outcomeAlready     = "had_succeeded_already"
	outcomeFailed      = "failed"
	outcomeNone        = "not_seen"
)

// replayLine is one dead letter in the report.
type replayLine struct {
	Key       string `json:"key,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Replay    int    `json:"replay,omitempty"` // the replay's number
	Status    string `json:"status"`
	Outcome   string `json:"outcome,omitempty"`
	Cause     string `json:"cause,omitempty"` // of the failed replay
	OutcomeID string `json:"outcome_id,omitempty"`
	// NotRestored are headers of the original that the replay lacks under their original names.
	NotRestored []string `json:"headers_not_restored,omitempty"`
	Error       string   `json:"error,omitempty"`
}

func newReplayLine(l handler.DeadLetter) replayLine {
	return replayLine{Key: l.Key, Tenant: l.Tenant, Reason: l.Reason}
}

// refused is the line of a dead letter that this run did not replay.
func (l replayLine) refused(err error) replayLine {
	l.Status, l.Replay, l.Error = statusNotReplayed, 0, err.Error()
	if errors.Is(err, handler.ErrGone) {
		l.Status, l.Error = statusGone, ""
	}
	return l
}

// text is the line for people.
func (l replayLine) text() string {
	if l.Status == statusNotFound {
		return terminal.Plain(l.Error)
	}
	text := fmt.Sprintf("%s %s %s: ", shortKey(l.Key), cell(l.Tenant, 40), cell(l.Reason, 30))
	switch l.Status {
	case statusGone:
		return text + "no longer exists: replayed, removed or replaced by another process"
	case statusNotReplayed:
		return text + "not replayed: " + terminal.Plain(l.Error)
	case statusWouldReplay:
		return fmt.Sprintf("%swould be replayed, as replay %d", text, l.Replay)
	case statusRepeated:
		text += fmt.Sprintf("replayed before, by another process or an interrupted run, as replay %d", l.Replay)
	default:
		text += fmt.Sprintf("replayed, as replay %d", l.Replay)
	}
	switch l.Outcome {
	case outcomeProvisioned:
		text += ": provisioned"
	case outcomeAlready:
		text += ": had succeeded already, nothing changed"
	case outcomeFailed:
		text += ": failed again, " + cell(l.Cause, 30)
	case outcomeNone:
		text += ": no outcome seen yet"
	}
	if len(l.NotRestored) > 0 {
		text += "; without its headers " + cell(strings.Join(l.NotRestored, ", "), 100)
	}
	if l.Error != "" {
		text += "; " + terminal.Plain(l.Error)
	}
	return text
}

// replayReport writes a line for each dead letter, and the summary.
type replayReport struct {
	out   io.Writer
	lines *json.Encoder // nil: text

	mu       sync.Mutex
	bar      *progressbar.ProgressBar // nil: none
	quiet    bool                     // the bar and the lines share a terminal
	sum      replaySummary
	troubled bool // something was not replayed
	err      error

	interrupted, reconnected bool
}

// replaySummary counts dead letters by status and outcome.
type replaySummary struct {
	Selected    int            `json:"selected"`
	Replayed    int            `json:"replayed"`        // by this run
	Repeated    int            `json:"replayed_before"` // by another operator, or by an interrupted run
	Gone        int            `json:"gone"`
	NotReplayed int            `json:"not_replayed"`
	NotFound    int            `json:"not_found"`
	WouldReplay int            `json:"would_replay,omitempty"`
	Provisioned int            `json:"provisioned"`
	Already     int            `json:"had_succeeded_already"`
	Failed      map[string]int `json:"failed"` // by cause
	NotSeen     int            `json:"not_seen"`
	Interrupted bool           `json:"interrupted"`
	Reconnected bool           `json:"reconnected"` // an outcome may have been missed
}

func newReplayReport(a *app, asJSON bool) *replayReport {
	r := &replayReport{out: a.Out, sum: replaySummary{Failed: map[string]int{}}}
	if asJSON {
		r.lines = json.NewEncoder(a.Out)
	}
	return r
}

// showProgress shows a progress bar. With quiet, where the lines would share its terminal, only lines with an error are
// written; the summary counts the rest.
func (r *replayReport) showProgress(bar *progressbar.ProgressBar, quiet bool) {
	r.bar, r.quiet = bar, quiet
}

// add counts a dead letter that is done, and writes its line.
func (r *replayReport) add(l replayLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.add(l)
	r.troubled = r.troubled || l.Error != ""
	switch {
	case r.lines != nil:
		r.recordWriteError(r.lines.Encode(l))
	case !r.quiet:
		r.print(l.text() + "\n")
	case l.Error != "":
		r.bar.Clear() //nolint:errcheck // a bar is not a result
		r.print(l.text() + "\n")
	}
	if r.bar != nil {
		r.bar.Add(1) //nolint:errcheck // as above; there may be more dead letters than were counted
	}
}

func (s *replaySummary) add(l replayLine) {
	s.Selected++
	switch l.Status {
	case statusReplayed:
		s.Replayed++
	case statusRepeated:
		s.Repeated++
	case statusGone:
		s.Gone++
	case statusNotReplayed:
		s.NotReplayed++
	case statusNotFound:
		s.NotFound++
	case statusWouldReplay:
		s.WouldReplay++
	}
	switch l.Outcome {
	case outcomeProvisioned:
		s.Provisioned++
	case outcomeAlready:
		s.Already++
	case outcomeFailed:
		s.Failed[l.Cause]++
	case outcomeNone:
		s.NotSeen++
	}
}

func (r *replayReport) print(text string) {
	_, err := io.WriteString(r.out, text)
	r.recordWriteError(err)
}

// recordWriteError keeps the first write error. The replay continues: it does not depend on the report.
func (r *replayReport) recordWriteError(err error) {
	if r.err == nil {
		r.err = err
	}
}

// end writes the summary. It returns [errSilent] if a replay failed or its outcome was not seen, or the run was
// interrupted.
func (r *replayReport) end(f replayFlags) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bar != nil {
		r.bar.Clear() //nolint:errcheck // a bar is not a result
	}
	r.sum.Interrupted, r.sum.Reconnected = r.interrupted, r.reconnected
	if r.lines != nil {
		r.recordWriteError(r.lines.Encode(map[string]replaySummary{"summary": r.sum}))
	} else {
		r.print(r.sum.text(f))
	}
	switch {
	case r.err != nil:
		return r.err
	case r.troubled, r.interrupted, len(r.sum.Failed) > 0, r.sum.NotSeen > 0:
		return errSilent
	}
	return nil
}

// text is the summary for people.
func (s replaySummary) text(f replayFlags) string {
	var b strings.Builder
	if s.Selected == 0 && !s.Interrupted {
		return "no dead letter matches; nothing to do\n"
	}
	row := func(n int, what string) {
		if n > 0 {
			fmt.Fprintf(&b, "%8d %s\n", n, what)
		}
	}
	fmt.Fprintf(&b, "\n%8d selected\n", s.Selected)
	row(s.WouldReplay, "would be replayed")
	row(s.Replayed, "replayed")
	row(s.Repeated, "replayed before, by another process or an interrupted run")
	row(s.Gone, "no longer exists: replayed, removed or replaced by another process; the outcome is not known here")
	row(s.NotReplayed, "not replayed, or without confirmation; see above")
	row(s.NotFound, "not found")
	if f.wait > 0 && !f.dryRun {
		row(s.Provisioned, "outcomes: provisioned")
		row(s.Already, "outcomes: had succeeded already, nothing changed")
		for _, cause := range slices.Sorted(maps.Keys(s.Failed)) {
			row(s.Failed[cause], "outcomes: failed again, "+cell(cause, 30))
		}
		row(s.NotSeen, "outcomes not seen yet; the requests are in the stream and will be decided while the service "+
			"runs: see consumer watch --all")
		if s.NotSeen > 0 && s.Reconnected {
			b.WriteString("The connection to NATS was lost in the meantime; an outcome may have been missed.\n")
		}
	}
	if s.Interrupted {
		b.WriteString("Interrupted: what is not listed was not touched. It is safe to repeat the command.\n")
	}
	return b.String()
}
