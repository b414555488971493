package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/recovery"
	"example.com/tenant-provisioner/internal/terminal"
)

// Statuses of a finding in the report.
const (
	findingPlanned = "planned" // --apply repairs it
	findingDone    = "done"
	findingLeft    = "left"
	findingListed  = "listed" // it needs no repair
)

// findingLine is one finding in the report, in JSON form.
type findingLine struct {
	Kind      string `json:"kind"`
	Tenant    string `json:"tenant,omitempty"`
	Boundary  string `json:"boundary,omitempty"`
	Source    string `json:"source,omitempty"`
	ID        string `json:"id,omitempty"`
	Key       string `json:"key,omitempty"`
	Replay    int    `json:"replay"`
	OutcomeID string `json:"outcome_id,omitempty"`
	// Of a published outcome: its message in TENANT_EVENTS, and the source of the event.
	Sequence    uint64 `json:"sequence,omitempty"`
	EventSource string `json:"event_source,omitempty"`

	At      time.Time `json:"at,omitzero"`
	Problem string    `json:"problem"`
	Status  string    `json:"status"`
	Action  string    `json:"action,omitempty"`
	Left    string    `json:"left,omitempty"`
}

func newFindingLine(f recovery.Finding, applied bool) findingLine {
	l := findingLine{
		Kind: string(f.Kind), Tenant: f.Tenant, Boundary: f.Boundary, Source: f.Request.Source, ID: f.Request.ID,
		Key: f.Request.Key, Replay: f.Replay, OutcomeID: f.OutcomeID, Sequence: f.Sequence(),
		EventSource: f.EventSource, At: f.At, Problem: f.Problem,
		Status: findingLeft, Action: string(f.Action), Left: f.Left,
	}
	switch {
	case f.IsListed():
		l.Status = findingListed
	case f.Done:
		l.Status = findingDone
	case f.Action != "" && !applied:
		l.Status = findingPlanned
	}
	return l
}

// what each action is called, planned and done.
var actionTexts = map[recovery.Action][2]string{
	recovery.ActionRestore:           {"would be restored from its outcome", "restored from its outcome"},
	recovery.ActionRecreate:          {"would be built again, empty", "built again, empty"},
	recovery.ActionPublishDeadLetter: {"its dead letter would be made again", "its dead letter was made again"},
	recovery.ActionPublishOutcome:    {"its outcome would be published again", "its outcome was published again"},
	recovery.ActionPublishRequest:    {"the request would be published again", "the request was published again"},
	recovery.ActionRecreateConsumer:  {"the consumer would be recreated", "the consumer was recreated"},
	recovery.ActionAccept:            {"would be recorded as accepted", "recorded as accepted"},
}

// text is the finding for people.
func (l findingLine) text(colours terminal.Palette) string {
	texts := actionTexts[recovery.Action(l.Action)]
	mark, result := terminal.MarkFailed, "left: "+terminal.Plain(l.Left)
	switch l.Status {
	case findingPlanned:
		mark, result = terminal.MarkWarning, texts[0]
	case findingDone:
		mark, result = terminal.MarkOK, texts[1]
	case findingListed:
		mark, result = terminal.MarkUnknown, terminal.Plain(l.Left)
	}
	subject := cell(l.Tenant, 60)
	switch {
	case l.Tenant != "":
	case l.Boundary != "":
		subject = terminal.Plain(l.Boundary)
	case l.Kind == string(recovery.KindConsumerAhead):
		subject = "the durable consumer"
	default:
		subject = "a request without a valid tenant"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", colours.Mark(mark), subject, terminal.Plain(l.Problem))
	if l.Key != "" {
		fmt.Fprintf(&b, "    request %s of %s, replay %d\n", cell(l.ID, 60), cell(l.Source, 60), l.Replay)
	}
	if l.Sequence != 0 {
		fmt.Fprintf(&b, "    message %d of stream %s, from %s\n", l.Sequence, events.StreamEvents, cell(l.EventSource, 60))
	}
	fmt.Fprintf(&b, "    %s\n", result)
	return b.String()
}

// reconcileSummary counts findings.
type reconcileSummary struct {
	Found       int            `json:"found"` // without those that are only listed
	Planned     int            `json:"planned"`
	Done        int            `json:"done"`
	Left        int            `json:"left"`
	Listed      int            `json:"listed"`
	Kinds       map[string]int `json:"kinds"`
	Interrupted bool           `json:"interrupted"`
	refused     bool           // registry and streams do not belong together
	// RequestsUntil: if the stream of requests was restored or made again, publishers must send again what they sent
	// later.
	RequestsUntil time.Time `json:"requests_until,omitzero"`

	byKind map[string]findingCounts // those of Kinds
}

// findingCounts counts findings by status.
type findingCounts map[string]int

// text is the line of a kind.
func (c findingCounts) text(kind string, applied bool) string {
	planned, done, left := c[findingPlanned], c[findingDone], c[findingLeft]
	switch {
	case c[findingListed] > 0:
		return fmt.Sprintf("  %s: listed %d\n", kind, c[findingListed])
	case applied:
		return fmt.Sprintf("  %s: found %d, repaired or accepted %d, left %d\n", kind, done+left, done, left)
	}
	return fmt.Sprintf("  %s: found %d: --apply repairs %d, and leaves %d\n", kind, planned+left, planned, left)
}

// reconcileReport writes findings and the summary.
type reconcileReport struct {
	app         *app
	applied     bool
	lines       *json.Encoder // nil: text
	colours     terminal.Palette
	bar         *progressbar.ProgressBar
	sum         reconcileSummary
	interrupted bool
	err         error
}

func newReconcileReport(a *app, f reconcileFlags) *reconcileReport {
	r := &reconcileReport{
		app: a, applied: f.apply, colours: a.Palette(a.Out), sum: reconcileSummary{
			Kinds: map[string]int{}, byKind: map[string]findingCounts{},
		},
		bar: a.ProgressBar(0, "reconciling", "findings"),
	}
	if f.asJSON {
		r.lines = json.NewEncoder(a.Out)
	}
	return r
}

func (r *reconcileReport) begin(p recovery.Plan) {
	r.sum.RequestsUntil = p.RequestsUntil.UTC()
	if r.applied {
		r.bar = r.app.ProgressBar(len(p.Findings), "reconciling", "findings")
	}
}

// add writes a finding.
func (r *reconcileReport) add(f recovery.Finding) {
	l := newFindingLine(f, r.applied)
	if r.sum.Kinds[l.Kind]++; r.sum.byKind[l.Kind] == nil {
		r.sum.byKind[l.Kind] = findingCounts{}
	}
	r.sum.byKind[l.Kind][l.Status]++
	switch l.Status {
	case findingPlanned:
		r.sum.Planned++
	case findingDone:
		r.sum.Done++
	case findingLeft:
		r.sum.Left++
	case findingListed:
		r.sum.Listed++
	}
	r.bar.Clear() //nolint:errcheck // a bar is not a result
	if r.lines != nil {
		r.recordWriteError(r.lines.Encode(l))
	} else {
		r.print(l.text(r.colours))
	}
	r.bar.Add(1) //nolint:errcheck // as above
}

func (r *reconcileReport) print(text string) {
	_, err := io.WriteString(r.app.Out, text)
	r.recordWriteError(err)
}

// recordWriteError keeps the first write error: the repair does not depend on the report.
func (r *reconcileReport) recordWriteError(err error) {
	if r.err == nil {
		r.err = err
	}
}

// end writes the summary. It returns [errSilent] if there is something to do, or something is left.
func (r *reconcileReport) end() error {
	r.bar.Clear() //nolint:errcheck // a bar is not a result
	r.sum.Found, r.sum.Interrupted = r.sum.Planned+r.sum.Done+r.sum.Left, r.interrupted
	if r.lines != nil {
		r.recordWriteError(r.lines.Encode(map[string]reconcileSummary{"summary": r.sum}))
	} else {
		r.print(r.sum.text(r.applied))
	}
	switch {
	case r.err != nil:
		return r.err
	case r.sum.Planned+r.sum.Left > 0, r.sum.refused, r.interrupted:
		return errSilent
	}
	return nil
}

// text is the summary for people.
func (s reconcileSummary) text(applied bool) string {
	var b strings.Builder
	switch {
	case s.Interrupted:
		fmt.Fprintf(&b, "Interrupted after %d findings, %d left. It is safe to repeat the command.\n", s.Found, s.Left)
		b.WriteString(s.kindsText(applied))
		return b.String()
	case s.Found == 0 && !s.refused:
		b.WriteString("database and streams agree; nothing to do. What was decided within the last minute may still be " +
			"published,\nand was not compared\n")
	case applied:
		fmt.Fprintf(&b, "found %d, repaired or accepted %d, left %d\n", s.Found, s.Done, s.Left)
	default:
		fmt.Fprintf(&b, "found %d: --apply repairs %d, and leaves %d\n", s.Found, s.Planned, s.Left)
	}
	b.WriteString(s.kindsText(applied))
	fmt.Fprintf(&b, "If stream TENANT_REQUESTS was restored or made again, publishers must send again what they sent "+
		"after %s.\n", s.RequestsUntil.Format(time.RFC3339))
	return b.String()
}

// kindsText has a line for each kind that was found.
func (s reconcileSummary) kindsText(applied bool) string {
	var b strings.Builder
	for _, kind := range recovery.Kinds {
		if counts := s.byKind[string(kind)]; counts != nil {
			b.WriteString(counts.text(string(kind), applied))
		}
	}
	return b.String()
}
