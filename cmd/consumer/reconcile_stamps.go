package main

import (
	"cmp"

	"example.com/tenant-provisioner/internal/recovery"
	"example.com/tenant-provisioner/internal/terminal"
)

// stampsLine has the ids of registry and streams, in JSON form.
type stampsLine struct {
	Registry string `json:"registry"` // empty: the database has none
	Streams  string `json:"streams"`  // empty: no stream carries an id
	CopyOf   string `json:"copy_of,omitempty"`
	Problem  string `json:"problem,omitempty"` // why --apply refuses
}

// text is the line for people.
func (l stampsLine) text(colours terminal.Palette) string {
	ids := "registry and streams carry the id " + l.Registry
	if l.Registry == "" || l.Registry != l.Streams {
		ids = "registry " + cmp.Or(l.Registry, "missing") + ", streams " + cmp.Or(l.Streams, "without an id")
	}
	if l.Problem == "" {
		return colours.Mark(terminal.MarkOK) + " " + ids + "\n"
	}
	return colours.Mark(terminal.MarkFailed) + " " + ids + "\n    --apply refuses: " + terminal.Plain(l.Problem) + "\n"
}

// stamps writes the ids of registry and streams.
func (r *reconcileReport) stamps(s recovery.Stamps) {
	l := stampsLine{Registry: s.Registry, Streams: s.Streams, CopyOf: s.CopyOf}
	if s.Refused != nil {
		l.Problem, r.sum.refused = s.Refused.Error(), true
	}
	r.bar.Clear() //nolint:errcheck // a bar is not a result
	if r.lines != nil {
		r.recordWriteError(r.lines.Encode(map[string]stampsLine{"stamps": l}))
	} else {
		r.print(l.text(r.colours))
	}
}

// nothingToBind is the report of --accept-database where no stream exists.
func (r *reconcileReport) nothingToBind() error {
	r.bar.Clear() //nolint:errcheck // a bar is not a result
	if r.lines != nil {
		r.recordWriteError(r.lines.Encode(map[string]reconcileSummary{"summary": r.sum}))
	} else {
		r.print(recovery.ErrNothingToBind.Error() + "; the first start of the service creates the streams with the " +
			"registry's id\n")
	}
	return r.err
}
