package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
)

func plansOf(names ...string) *Plans {
	p := &Plans{Default: names[0], ByName: map[string]Plan{}}
	for i, name := range names {
		p.ByName[name] = Plan{Name: name, Limits: events.PlanLimits{MaxBytes: int64(i + 1), MaxRows: int64(10 * i)}}
	}
	return p
}

// requestWith returns a request whose field plan is this JSON text; empty: it has none.
func requestWith(t *testing.T, plan string) Request {
	t.Helper()
	r := request(t)
	if plan != "" {
		r.Event.DataEncoded = []byte(strings.Replace(string(r.Event.Data()), "{", `{"plan":`+plan+",", 1))
	}
	return r
}

// A request gets the plan that it names, or the default. Without plans the field is ignored, whatever it holds. A
// request for a plan that does not exist touches nothing.
func TestPlanOfARequest(t *testing.T) {
	t.Parallel()
	plans := plansOf("free", "pro")
	free := `{"plan":"free","plan_limits":{"max_bytes":1}}`
	const fails = "fails: "
	for name, c := range map[string]struct {
		plans      *Plans
		plan, want string // the plan of the outcome, or how the cause begins
	}{
		"named":                   {plans, `"pro"`, `{"plan":"pro","plan_limits":{"max_bytes":2,"max_rows":10}}`},
		"the default, named":      {plans, `"free"`, free},
		"none named":              {plans, "", free},
		"null":                    {plans, "null", free},
		"unknown":                 {plans, `"gold"`, fails + `plan: "gold" is not one of the plans: free, pro; send one of them, or omit it for free`},
		"in another case":         {plans, `"Free"`, fails + `plan: "Free" is not one of the plans`},
		"a number":                {plans, "1", fails + "plan: is not a string; send one"},
		"an object":               {plans, `{"name":"pro"}`, fails + "plan: is not a string; send one"},
		"empty":                   {plans, `""`, fails + "plan: is empty; omit it or set a value"},
		"named, without plans":    {nil, `"pro"`, "{}"},
		"none, without plans":     {nil, "", "{}"},
		"a number, without plans": {nil, "1", "{}"},
		"a list, without plans":   {nil, `["pro"]`, "{}"},
		"empty, without plans":    {nil, `""`, "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newTestbed()
			b.config.Plans = c.plans
			decision := b.provisioner(t).Job(requestWith(t, c.plan)).Run(t.Context())
			if cause, isFailure := strings.CutPrefix(c.want, fails); isFailure {
				f := failure(t, decision)
				if f.Cause.Code != events.CauseInvalidRequest || !strings.HasPrefix(f.Cause.Message, cause) || f.Step.Number != 0 {
					t.Errorf("%+v", f.Cause)
				}
				if got := fmt.Sprint(b.calls); got != "[claim record_failure]" {
					t.Errorf("called %s", got)
				}
				return
			}
			data := success(t, decision)
			row := b.tenants["acme"].Plan
			if row.Name != data.Plan || row.Limits != data.PlanLimits {
				t.Errorf("registered with %+v, announced with %q %+v", row, data.Plan, data.PlanLimits)
			}
			for _, part := range strings.Split(strings.Trim(c.want, "{}"), `,"plan_limits"`) {
				if !strings.Contains(string(decision.Outcome.Body), part) {
					t.Errorf("no %s in %s", part, decision.Outcome.Body)
				}
			}
			if c.want == "{}" && strings.Contains(string(decision.Outcome.Body), `"plan`) {
				t.Errorf("the outcome has a plan: %s", decision.Outcome.Body)
			}
		})
	}
}

// A fault of another field counts also without plans, and where the plan is wrong too.
func TestPlanHidesNoOtherFault(t *testing.T) {
	t.Parallel()
	for _, plans := range []*Plans{nil, plansOf("free")} {
		b := newTestbed()
		b.config.Plans = plans
		r := requestWith(t, "1")
		r.Event.DataEncoded = []byte(strings.Replace(string(r.Event.Data()), `"created_by":`, `"creator":`, 1))
		if f := failure(t, b.provisioner(t).Job(r).Run(t.Context())); !strings.HasPrefix(f.Cause.Message, "created_by: ") {
			t.Errorf("%+v", f.Cause)
		}
	}
}

// The message about an unknown plan fits into an outcome, however many plans there are.
func TestUnknownPlanOfMany(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("%s%02d", strings.Repeat("n", MaxPlanName-2), i))
	}
	b := newTestbed()
	b.config.Plans = plansOf(names...)
	f := failure(t, b.provisioner(t).Job(requestWith(t, fmt.Sprintf("%q", strings.Repeat("x", 10_000)))).Run(t.Context()))
	if got := f.Cause.Message; !strings.Contains(got, names[13]+", and 86 more; send one of them") || !strings.HasSuffix(got, names[0]) {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
