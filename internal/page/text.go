package page

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/terminal"
)

// Maximum lengths of displayed untrusted text, in characters.
const (
	maxName    = 64
	maxMessage = 240
	maxReason  = 1000 // why no requests are taken: what the server said stands at its end
	maxFull    = 512  // of what a page is about: a name or a path
)

// legend is the colour of a step.
type legend struct {
	Number, Color int
	Title         string
}

// functions are the functions of the template. build identifies the version of style and script.
func functions(build string, steps []string) template.FuncMap {
	return template.FuncMap{
		"build": func() string { return build },
		"name":  func(s any) string { return display(fmt.Sprint(s), maxName) },
		"full":  func(s string) string { return display(s, maxFull) },
		"message": func(s any) string {
			return display(oneLine(fmt.Sprint(s)), maxMessage)
		},
		"reason": func(err error) string { return display(oneLine(err.Error()), maxReason) },
		"clock":  func(t time.Time) string { return t.UTC().Format(time.TimeOnly) },
		"hour":   hour,
		"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"since":  func(now, t time.Time) string { return span(now.Sub(t)) },
		"span":   span,
		"group":  group,
		"rate":   func(r float64) string { return strconv.FormatFloat(r, 'f', 2, 64) },
		"ms":     milliseconds,
		"bar":    func(p *events.Provisioned) bar { return newBar(p, len(steps)) },
		"steps": func() (all []legend) {
			for i, title := range steps {
				all = append(all, legend{Number: i + 1, Color: colorOf(i+1, len(steps)), Title: title})
			}
			return all
		},
	}
}

// oneLine joins the lines of a message, each once: a driver reports every connection attempt on a line of its own.
func oneLine(s string) string {
	if len(s) > 4*maxReason {
		s = strings.ToValidUTF8(s[:4*maxReason], "")
	}
	var all []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	return strings.ReplaceAll(strings.Join(all, " · "), ": · ", ": ")
}

// display makes untrusted text safe to display. It quotes text with unprintable characters, such as those that change
// the direction of writing, and truncates it.
func display(s string, limit int) string {
	if s == "" {
		return "(empty)"
	}
	// Do not scan a megabyte to show a few characters.
	if bytes := utf8.UTFMax * (limit + 1); len(s) > bytes {
		s = strings.ToValidUTF8(s[:bytes], "")
	}
	s = terminal.Plain(s)
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}

// span formats a duration for people: two units at most. No line breaks between a number and its unit.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d\u00a0s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d\u00a0min %d\u00a0s", d/time.Minute, d%time.Minute/time.Second)
	case d < 2*day:
		return fmt.Sprintf("%d\u00a0h %d\u00a0min", d/time.Hour, d%time.Hour/time.Minute)
	case d%day < time.Hour:
		return group(d/day) + "\u00a0d"
	}
	return fmt.Sprintf("%s\u00a0d %d\u00a0h", group(d/day), d%day/time.Hour)
}

// group formats a whole number with commas between thousands.
func group(n any) string {
	digits := fmt.Sprintf("%d", n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// milliseconds formats a duration of an outcome, which is untrusted and can be any number.
func milliseconds(ms float64) string {
	if ms < 0 || ms >= 1e9 {
		return fmt.Sprintf("%.3g", ms)
	}
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(ms, 'f', 1, 64), ".")
	n, err := strconv.Atoi(whole)
	if err != nil {
		return whole
	}
	return group(n) + "." + fraction
}
