package pipeline

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
)

// withFurther configures the further steps.
func withFurther(further ...string) *testbed {
	b := newTestbed()
	b.config.Steps = Steps(further...)
	if slices.Contains(further, RunInitScripts) {
		b.config.Scripts = &Scripts{Files: []Script{{Name: "010_a.sql", SHA256: "aa"}, {Name: "020_b.sql", SHA256: "bb"}}}
	}
	return b
}

// The further steps run between validate_schema and register_tenant. What the scripts have touched is checked once, after
// the last row is written.
func TestFurtherStepsRunInOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		further, calls []string
		scripts, rows  int
	}{
		{nil, nil, 0, 0},
		{[]string{RunInitScripts}, []string{"scripts", "inspect", "confined"}, 2, 0},
		{[]string{LoadSeedData}, []string{"seeds"}, 0, 2},
		{[]string{RunInitScripts, LoadSeedData}, []string{"scripts", "inspect", "seeds", "confined"}, 2, 2},
	} {
		b := withFurther(c.further...)
		got := success(t, b.run(t))
		want := slices.Concat([]string{"claim", "begin", "boundary", "tables", "indexes", "inspect"}, c.calls,
			[]string{"register", "close"})
		if diff := cmp.Diff(want, b.calls); diff != "" {
			t.Errorf("%v: calls:\n%s", c.further, diff)
		}
		if len(got.Steps) != 5+len(c.further) || got.Steps[len(got.Steps)-1].Step != (events.Step{
			Number: 5 + len(c.further), Name: "register_tenant",
		}) {
			t.Errorf("%v: steps %+v", c.further, got.Steps)
		}
		row := b.tenants["acme"]
		if len(got.Scripts) != c.scripts || got.Seeded["docbasket"] != c.rows || !slices.Equal(row.Scripts, got.Scripts) {
			t.Errorf("%v: scripts %v, in the registry %v, seeded %v", c.further, got.Scripts, row.Scripts, got.Seeded)
		}
		if c.further != nil {
			want := Values{
				TenantID: "acme", DisplayName: secretName, CreatedBy: row.CreatedBy, Plan: row.Plan.Name, Now: row.CreatedAt,
			}
			if b.values != want || row.CreatedAt.IsZero() {
				t.Errorf("%v: the values are %+v, want %+v", c.further, b.values, want)
			}
		}
	}
}

// A boundary that has all scripts is not inspected again.
func TestScriptsThatThePoolHasRun(t *testing.T) {
	t.Parallel()
	b := withFurther(RunInitScripts)
	b.scripted = true
	got := success(t, b.run(t))
	want := []string{"claim", "begin", "boundary", "tables", "indexes", "inspect", "scripts", "confined", "register", "close"}
	if diff := cmp.Diff(want, b.calls); diff != "" || len(got.Scripts) != 2 {
		t.Errorf("scripts %v, calls:\n%s", got.Scripts, diff)
	}
}

// A failure is reported at the step of its cause: a script's trigger may fire while seeds are loaded, and what a script
// has touched is seen at the end.
func TestFailuresOfFurtherSteps(t *testing.T) {
	t.Parallel()
	script := ScriptFailed("010_a.sql", 3, "42P01", errors.New("no such table"))
	seed := SeedFailed("docbasket.jsonl", 7, "22001", errors.New("too long"))
	for call, c := range map[string]struct {
		fault error
		code  events.CauseCode
		step  events.Step
		text  string
	}{
		"scripts":  {script, events.CauseInitScriptFailed, events.Step{Number: 5, Name: RunInitScripts}, "010_a.sql, line 3"},
		"confined": {script, events.CauseInitScriptFailed, events.Step{Number: 5, Name: RunInitScripts}, "010_a.sql, line 3"},
		"seeds":    {seed, events.CauseSeedDataFailed, events.Step{Number: 6, Name: LoadSeedData}, "docbasket.jsonl, line 7"},
	} {
		b := withFurther(RunInitScripts, LoadSeedData)
		b.fail[call] = c.fault
		failed := failure(t, b.run(t))
		if failed.Cause.Code != c.code || failed.Step != c.step || !strings.Contains(failed.Cause.Message, c.text) ||
			!failed.Replayable {
			t.Errorf("%s: %+v", call, failed)
		}
		if len(b.tenants) > 0 {
			t.Errorf("%s: registered", call)
		}
	}
}

// A script that changes the definition's tables fails; one that adds to them does not.
func TestDefinitionHoldsAfterScripts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Inspection)
		fails  bool
	}{
		"a dropped table": {func(i *Inspection) { i.Differences = []string{"table document is missing"} }, true},
		"a column more":   {func(i *Inspection) { i.Warnings = []string{"document.note is not in the definition"} }, false},
	} {
		b := withFurther(RunInitScripts)
		steps := b.config.Steps
		i := slices.IndexFunc(steps, func(s Step) bool { return s.Name == RunInitScripts })
		b.onScripts = func() { c.change(&b.found) }
		result := b.run(t)
		if !c.fails {
			success(t, result)
			continue
		}
		failed := failure(t, result)
		if failed.Cause.Code != events.CauseInitScriptFailed || failed.Step.Number != i ||
			!strings.Contains(failed.Cause.Message, "table document is missing") {
			t.Errorf("%s: %+v", name, failed)
		}
	}
}

// created_at is the time of the values that scripts and seeds get.
func TestCreatedAtHasWholeMicroseconds(t *testing.T) {
	t.Parallel()
	b := withFurther(LoadSeedData)
	success(t, b.run(t))
	if at := b.values.Now; at.Location() != time.UTC || at.Nanosecond()%1000 != 0 {
		t.Errorf("now is %v", at)
	}
}
