package events_test

import (
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
)

const traceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// Invariant 9: an outcome passes on what W3C Trace Context calls valid, and nothing else.
func TestOutcomeTraceContext(t *testing.T) {
	t.Parallel()
	const noTrace, noSpan = "00000000000000000000000000000000", "0000000000000000"
	members := func(n int) string { return strings.TrimSuffix(strings.Repeat("k=v,", n), ",") }
	for name, c := range map[string]struct {
		parent, state   string
		want, wantState string
	}{
		"nothing":                 {"", "", "", ""},
		"parent":                  {traceParent, "", traceParent, ""},
		"both":                    {traceParent, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", traceParent, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"},
		"other flags":             {traceParent[:53] + "ff", "", traceParent[:53] + "ff", ""},
		"later version":           {"01" + traceParent[2:], "", "01" + traceParent[2:], ""},
		"later version, longer":   {"01" + traceParent[2:] + "-what=ever", "", "01" + traceParent[2:] + "-what=ever", ""},
		"state alone":             {"", "k=v", "", ""},
		"garbage":                 {"garbage", "k=v", "", ""},
		"version ff":              {"ff" + traceParent[2:], "k=v", "", ""},
		"version 00, longer":      {traceParent + "-01", "", "", ""},
		"longer without a hyphen": {"01" + traceParent[2:] + "01", "", "", ""},
		"upper case":              {strings.ToUpper(traceParent), "", "", ""},
		"blank around":            {" " + traceParent, "", "", ""},
		"no flags":                {traceParent[:52], "", "", ""},
		"trace id of zeros":       {"00-" + noTrace + traceParent[35:], "", "", ""},
		"span id of zeros":        {traceParent[:36] + noSpan + "-01", "", "", ""},
		"short trace id":          {strings.Replace(traceParent, "0af7", "0af", 1), "", "", ""},
		"control character":       {"01" + traceParent[2:] + "-\n", "", "", ""},
		"state, garbage":          {traceParent, "garbage", traceParent, ""},
		"state, blanks":           {traceParent, " k=v , ,l=w", traceParent, " k=v , ,l=w"},
		"state, tab":              {traceParent, "k=v,\tl=w", traceParent, ""},
		"state, of a tenant":      {traceParent, "1a@b-c=v w", traceParent, "1a@b-c=v w"},
		"state, 32 members":       {traceParent, members(32), traceParent, members(32)},
		"state, 33 members":       {traceParent, members(33), traceParent, ""},
		"state, upper-case key":   {traceParent, "K=v", traceParent, ""},
		"state, two equal signs":  {traceParent, "k=v=w", traceParent, ""},
		"state, not ASCII":        {traceParent, "k=ü", traceParent, ""},
		"state, only commas":      {traceParent, ",,", traceParent, ""},
		"state, too long":         {traceParent, members(32) + strings.Repeat(" ", 1000), traceParent, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := must(t)(events.NewProvisioningFailed(events.Outcome{
				ID: "1", Source: "/p", Time: noon, TraceParent: c.parent, TraceState: c.state,
			}, events.ProvisioningFailed{}))
			for name, want := range map[string]string{"traceparent": c.want, "tracestate": c.wantState} {
				if got, _ := e.Extensions()[name].(string); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			checkRoundTrip(t, e)
		})
	}
}
