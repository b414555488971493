package page

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

func TestDisplay(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"acme": "acme", "": "(empty)", " ": `" "`, "a b": "a b", "a\nb": `"a\nb"`, "a\u202eb": `"a\u202eb"`, "a\u200bb": `"a\u200bb"`,
		"שלום": "שלום", "\xff": `"\xff"`, "<b>": "<b>", "0123456789": "0123456789", "0123456789x": "012345678…",
		strings.Repeat("é", 1<<20): strings.Repeat("é", 9) + "…",
	} {
		testkit.Equal(t, given[:min(len(given), 20)], display(given, 10), want)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "one": "one", " one\n\n\ttwo ": "one · two",
		"failed to connect to `x`:\n\t1.2.3.4: refused\n\t1.2.3.4: refused\n\t5.6.7.8: refused": "failed to connect to `x`: " +
			"1.2.3.4: refused · 5.6.7.8: refused",
		strings.Repeat("a\n", 1<<20): "a",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%.80q: %q, want %q", text, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 0: "0 s", 999 * time.Millisecond: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min 0 s",
		3661 * time.Second: "1 h 1 min", 47*time.Hour + 59*time.Minute: "47 h 59 min", 2 * day: "2 d", 90*day + 5*time.Hour: "90 d 5 h",
		math.MaxInt64: "106,751 d 23 h",
	} {
		testkit.Equal(t, d.String(), strings.ReplaceAll(span(d), "\u00a0", " "), want)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567", 12345678: "12,345,678",
	} {
		testkit.Equal(t, "group", group(n), want)
	}
	for ms, want := range map[float64]string{
		0: "0.0", 4.56: "4.6", 1234.56: "1,234.6", 999999.96: "1,000,000.0", -1: "-1", 1e300: "1e+300", math.Inf(1): "+Inf", math.NaN(): "NaN",
	} {
		testkit.Equal(t, "ms", milliseconds(ms), want)
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	step := func(number int, ms float64) events.StepTiming {
		return events.StepTiming{Step: events.Step{Number: number, Name: "x"}, DurationMS: ms}
	}
	b := newBar(&events.Provisioned{DurationMS: 10, Steps: []events.StepTiming{step(1, 2), step(2, 5)}}, 2)
	testkit.Equal(t, "text", b.Text, "1 x 2.0 ms, 2 x 5.0 ms")
	testkit.Equal(t, "first", b.Parts[0], part{Color: 1, X: 0, Width: 200, MS: 2, Text: "1 x 2.0 ms"})
	testkit.Equal(t, "second", b.Parts[1], part{Color: 2, X: 200, Width: 500, MS: 5, Text: "2 x 5.0 ms"})

	// Whatever the values, the bar stays inside the drawing.
	var many []events.StepTiming
	for _, ms := range []float64{-1, 0, 1e300, math.MaxFloat64, math.MaxFloat64, 3, 4, 5, 6, 7, 8} {
		many = append(many, step(77, ms))
	}
	for _, steps := range [][]events.StepTiming{nil, many, many[:1], many[:2], many[:3]} {
		b := newBar(&events.Provisioned{DurationMS: 0.5, Steps: steps}, 5)
		if len(b.Parts) > maxSteps {
			t.Errorf("%d parts", len(b.Parts))
		}
		for _, p := range b.Parts {
			if p.Color != 0 || p.X < 0 || p.Width < 0 || p.X+p.Width > barWidth {
				t.Errorf("%+v", p)
			}
		}
	}
}
