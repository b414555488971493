package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
)

func decoded(t *testing.T, r Decision) event.Event {
	t.Helper()
	if !r.Decided() {
		t.Fatalf("%s: %v", r.Verdict, r.Err)
	}
	e, err := events.Decode(map[string][]string{"content-type": {"application/cloudevents+json"}}, r.Outcome.Body)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestStepsRunInOrder(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		b.slow = map[string]time.Duration{"tables": 1234567 * time.Nanosecond, "register": time.Second}
		got := success(t, b.run(t))
		want := []string{"claim", "begin", "boundary", "tables", "indexes", "inspect", "register", "close"}
		if !slices.Equal(b.calls, want) {
			t.Errorf("called %v, want %v", b.calls, want)
		}
		for i, s := range got.Steps {
			if s.Number != i+1 || s.Name != Steps()[i+1].Name {
				t.Errorf("step %d is %+v", i+1, s)
			}
		}
		// The outcome is recorded in the commit of step 5, so it cannot include the duration of that commit.
		if got.Steps[1].DurationMS != 1.234 || got.DurationMS != 1.234 {
			t.Errorf("%v ms of %v ms", got.Steps[1].DurationMS, got.DurationMS)
		}
		if got.TenantID != "acme" || got.DisplayName != secretName || got.SchemaName != "tenant_acme" || got.Attempts != 1 ||
			got.Request != (events.Request{Source: "/billing", ID: "order-1", Key: request(t).Key()}) || got.Tables != 11 || got.Indexes != 18 {
			t.Errorf("%+v", got)
		}
		if row := b.tenants["acme"]; !row.CreatedAt.Equal(got.CreatedAt) || row.CreatedAt.Nanosecond()%1000 != 0 {
			t.Errorf("created at %v in the registry, %v in the event", row.CreatedAt, got.CreatedAt)
		}
	})
}

// LastProgress is called while steps run, so that the race detector checks it.
func TestLastProgress(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	var p *Provisioner
	var last time.Time
	for i, s := range Steps() {
		b.config.Steps[i].Run = func(ctx context.Context, a *Attempt) error {
			progress := make(chan time.Time)
			go func() { progress <- p.LastProgress() }()
			if at := <-progress; at.Before(last) || at.IsZero() {
				t.Errorf("step %d: progress at %s, before that at %s", i, at, last)
			} else {
				last = at
			}
			go p.LastProgress() // and when the next step begins
			return s.Run(ctx, a)
		}
	}
	p = b.provisioner(t)
	if !p.LastProgress().IsZero() {
		t.Error("progress before any work")
	}
	success(t, p.Job(request(t)).Run(t.Context()))
	if !p.LastProgress().Equal(last) {
		t.Errorf("progress at %s, but the last step began at %s", p.LastProgress(), last)
	}
}

func TestEachStepLogsItsNumber(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		steps := Steps()
		b.config.Steps = slices.Insert(steps, len(steps)-1, Step{Name: "notify", Run: func(context.Context, *Attempt) error {
			return nil
		}})
		success(t, b.run(t))
		for number, s := range b.config.Steps {
			for _, end := range []string{"…", "done"} {
				line := fmt.Sprintf("Step %d/%d: %s %s", number, len(b.config.Steps)-1, s.Name, end)
				if n := strings.Count(b.log.String(), line); n != 1 {
					t.Errorf("the log has %q %d times", line, n)
				}
			}
		}
		if t.Failed() {
			t.Log(b.log.String())
		}
		for line := range strings.Lines(b.log.String()) {
			for _, field := range []string{"source=/billing", "request=order-1", "tenant=acme", "attempt=1", "replay=0"} {
				if !strings.Contains(line, field) {
					t.Errorf("no %s in %s", field, line)
				}
			}
		}
	})
}

// Invariant 3: nothing is opened for a request that step 0 rejects.
func TestRejectedRequestsOpenNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data map[string]any
		typ  string
		want events.CauseCode
	}{
		"another type": {typ: "order.created", want: events.CauseUnsupportedEventType},
		"no id":        {data: map[string]any{"display_name": "x", "created_by": "x"}, want: events.CauseInvalidRequest},
		"bad id":       {data: map[string]any{"tenant_id": "a b", "display_name": 5}, want: events.CauseInvalidTenantID},
		"reserved": {
			data: map[string]any{"tenant_id": "_docex_x_", "display_name": "x", "created_by": "x"},
			want: events.CauseReservedTenantID,
		},
		"no name": {data: map[string]any{"tenant_id": "acme", "created_by": "x"}, want: events.CauseInvalidRequest},
		"control": {
			data: map[string]any{"tenant_id": "acme", "display_name": "a\nb", "created_by": "x"},
			want: events.CauseInvalidRequest,
		},
		"other strategy": {
			data: map[string]any{
				"tenant_id": "acme", "display_name": "x", "created_by": "x",
				"isolation_strategy": "database",
			},
			want: events.CauseUnsupportedStrategy,
		},
		"exists": {
			data: map[string]any{"tenant_id": "old", "display_name": "x", "created_by": "x"},
			want: events.CauseTenantExists,
		},
	} {
		b := newTestbed()
		b.tenants["old"] = Tenant{ID: "old"}
		r := request(t)
		r.Event.Context = r.Event.Context.Clone()
		r.Event.SetSubject("")
		if c.typ != "" {
			r.Event.SetType(c.typ)
		}
		if c.data != nil {
			if err := r.Event.SetData("application/json", c.data); err != nil {
				t.Fatal(err)
			}
		}
		f := failure(t, b.provisioner(t).Job(r).Run(t.Context()))
		if f.Cause.Code != c.want || f.Step != (events.Step{Number: 0, Name: "validate_request"}) || f.Replayable {
			t.Errorf("%s: %+v", name, f)
		}
		if slices.Contains(b.calls, "begin") {
			t.Errorf("%s: called %v", name, b.calls)
		}
		if id, _ := c.data["tenant_id"].(string); c.want == events.CauseInvalidTenantID &&
			strings.Contains(b.log.String(), "tenant=\""+id) {
			t.Errorf("%s: the log has an invalid id as tenant", name)
		}
	}
}

func TestFailedEvent(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		b.left = []string{"storage/tenant_acme/docex.db"}
		b.fail["tables"] = fmt.Errorf("create the tables: %w", &Fault{
			Class: Permanent, Code: events.CausePermissionDenied,
			Message: "grant it", DriverCode: "42501", Err: errors.New("permission denied"),
		})
		r := request(t)
		r.Replay = 2
		r.Event.SetExtension("correlationid", "c-1")
		r.Event.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		result := b.provisioner(t).Job(r).Run(t.Context())
		e, f := decoded(t, result), failure(t, result)
		if e.Subject() != "acme" || e.Source() != "/test" || e.ID() != result.Outcome.ID ||
			e.ID() != events.OutcomeID("/billing",
				"order-1", 2, events.TypeProvisioningFailed) || !e.Time().Equal(time.Now()) {
			t.Errorf("%s", e)
		}
		for name, want := range map[string]string{
			"correlationid": "c-1", "causationid": "order-1",
			"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		} {
			if got := e.Extensions()[name]; got != want {
				t.Errorf("%s is %v, want %s", name, got, want)
			}
		}
		want := events.ProvisioningFailed{
			TenantID: "acme", Request: &events.Request{Source: "/billing", ID: "order-1", Key: r.Key()},
			Step: events.Step{Number: 2, Name: "initialize_schema"},
			Cause: events.Cause{
				Code: events.CausePermissionDenied, Message: "grant it",
				Detail: "42501: permission denied",
			},
			Replayable: true, Attempts: 1, Replay: 2, LeftBehind: b.left,
			DeadLetter: events.DeadLetter{Stream: "TENANT_DEAD_LETTERS", Subject: events.DeadLetterSubject(r.Key())},
		}
		if got, want := asJSON(t, f), asJSON(t, want); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		if b.failed.Step != "initialize_schema" || b.failed.Cause != want.Cause {
			t.Errorf("the ledger has %+v", b.failed)
		}
	})
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// In a race, a later step finds that the tenant exists. The failure is still reported at step 0.
func TestTenantExistsIsStepZeroWhereverFound(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"boundary", "register"} {
		b := newTestbed()
		b.fail[at] = fmt.Errorf("check again: %w", TenantExists("acme", "Acme"))
		f := failure(t, b.run(t))
		if f.Step.Number != 0 || f.Step.Name != "validate_request" || !strings.Contains(f.Cause.Message, `"Acme"`) {
			t.Errorf("%s: %+v", at, f)
		}
	}
}

func TestDecidedElsewhere(t *testing.T) {
	t.Parallel()
	theirs := Outcome{ID: "x", Type: events.TypeProvisioned, Body: []byte("theirs")}
	for _, at := range []string{"claim", "boundary", "register"} {
		b := newTestbed()
		b.fail[at] = fmt.Errorf("check again: %w", &AlreadyDecidedError{theirs})
		if got := b.run(t); got.Verdict != Acknowledge || string(got.Outcome.Body) != "theirs" ||
			slices.Contains(b.calls, "record_failure") {
			t.Errorf("%s: %+v after %v", at, got, b.calls)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	b.failing = map[string]error{"idx_b": errors.New("no room"), "idx_a": errors.New("no right")}
	b.found = Inspection{Tables: 11, Indexes: 15, MissingIndexes: []string{"idx_a", "idx_b", "idx_c"}}
	got := success(t, b.run(t))
	if got.Indexes != 15 || len(got.Warnings) != 3 { // one per index
		t.Fatalf("%+v", got)
	}
	for i, want := range []events.Warning{
		{Step: events.Step{Number: 3, Name: "create_indexes"}, Message: "index idx_a could not be created: no right"},
		{Step: events.Step{Number: 3, Name: "create_indexes"}, Message: "index idx_b could not be created: no room"},
		{Step: events.Step{Number: 4, Name: "validate_schema"}, Message: "index idx_c is missing"},
	} {
		if want.Code = events.WarnIndexFailed; got.Warnings[i] != want {
			t.Errorf("%+v, want %+v", got.Warnings[i], want)
		}
	}
}

// A boundary that existed is compared before anything is made in it. What adding cannot change fails at once.
func TestExistingBoundary(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	b.existed = true
	b.found.Differences = []string{"table x is missing", "y is integer"}
	b.found.Lasting = []string{"y is integer"}
	f := failure(t, b.run(t))
	if f.Cause.Code != events.CauseSchemaInvalid || f.Step.Name != "create_isolation_boundary" || !f.Replayable ||
		!strings.HasPrefix(f.Cause.Message, "schema tenant_acme already exists and cannot be completed: y is integer. ") {
		t.Errorf("%+v", f)
	}
	if slices.Contains(b.calls, "tables") {
		t.Errorf("something was made: %v", b.calls)
	}

	b = newTestbed()
	b.existed = true
	b.found.Warnings = []string{"no default", "no column"}
	b.found.Addable = []Addition{{Table: "document", Column: "size"}}
	b.failing = map[string]error{"idx_b": errors.New("no column")}
	got := success(t, b.run(t))
	validate := events.Step{Number: 4, Name: "validate_schema"}
	want := []events.Warning{
		{Step: validate, Code: events.WarnSchemaDiffers, Message: "the boundary existed, and is not as the service makes it: no default"},
		{Step: validate, Code: events.WarnSchemaDiffers, Message: "the boundary existed, and is not as the service makes it: no column"},
	}
	if !slices.Equal(got.Warnings, want) || !slices.Equal(b.added, b.found.Addable) {
		t.Errorf("warnings %+v, added %v", got.Warnings, b.added)
	}
}

// What the service has just made is the definition to the last default.
func TestNewBoundaryDiffers(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	b.found.Warnings = []string{"no default"}
	if f := failure(t, b.run(t)); f.Cause.Code != events.CauseSchemaInvalid || f.Step.Name != "validate_schema" {
		t.Errorf("%+v", f)
	}
}

// The event has as many differences as fit; the log has all.
func TestManyDifferences(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	for i := range 30 {
		b.found.Differences = append(b.found.Differences, fmt.Sprintf("d%d", i))
	}
	f := failure(t, b.run(t))
	if f.Cause.Code != events.CauseSchemaInvalid || !strings.HasSuffix(f.Cause.Message, "; d19; and 10 more") {
		t.Errorf("%+v", f)
	}
	if !strings.Contains(b.log.String(), "d29") {
		t.Error("the log lacks the rest")
	}
}

func TestLogHoldsNeitherPayloadNorNames(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"", "claim", "boundary", "tables", "register", "record_failure", "note"} {
		b := newTestbed()
		if at != "" {
			b.fail[at] = errors.New("broken")
		}
		b.run(t)
		if text := b.log.String(); strings.Contains(strings.ToLower(text), "confidential") {
			t.Errorf("a failure at %q logs\n%s", at, text)
		}
	}
}

func TestFaultOfAnError(t *testing.T) {
	t.Parallel()
	plain := errors.New("plain")
	for name, c := range map[string]struct {
		err  error
		want Fault
	}{
		"unknown": {plain, Fault{Class: Transient, Err: plain}},
		"busy":    {ErrBusy, Fault{Class: Transient, Err: ErrBusy}},
		"wrapped": {fmt.Errorf("x: %w", &Fault{Class: Outage, DriverCode: "57P01"}), Fault{Class: Outage, DriverCode: "57P01"}},
		"permanent": {Permanentf(events.CauseSchemaInvalid, "a %s", "b"), Fault{
			Class: Permanent, Code: events.CauseSchemaInvalid, Message: "a b",
		}},
		"request": {fmt.Errorf("x: %w", events.ValidateTenantID("_docex_x_")), Fault{
			Class: Permanent,
			Code:  events.CauseReservedTenantID, Message: events.ValidateTenantID("_docex_x_").Error(),
		}},
	} {
		if got := *faultOf(c.err); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	for f, want := range map[*Fault][2]string{
		{Message: "m"}: {"m", ""},
		{Err: plain}:   {"plain", "plain"},
		{Message: "m", DriverCode: "n", Err: plain}: {"m: plain", "n: plain"},
	} {
		if f.Error() != want[0] || f.Detail() != want[1] {
			t.Errorf("%q %q, want %q", f.Error(), f.Detail(), want)
		}
	}
}

// Verdicts that need no engine, by the call that fails.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	outage := &Fault{Class: Outage, Err: errors.New("unavailable")}
	denied := Permanentf(events.CausePermissionDenied, "no")
	for _, c := range []struct {
		at      string
		err     error
		want    Verdict
		attempt int
	}{
		{"claim", outage, Pause, 0},
		{"claim", denied, Pause, 0}, // a fault of the ledger is not the request's
		{"claim", errors.New("x"), Retry, 0},
		{"claim", ErrBusy, Retry, 0},
		{"begin", outage, Pause, 1},
		{"begin", errors.New("x"), Retry, 1},
		{"tables", denied, Terminate, 1},
		{"note", errors.New("x"), Acknowledge, 1}, // a lost note loses no request
	} {
		b := newTestbed()
		b.fail[c.at] = c.err
		got := b.run(t)
		if got.Verdict != c.want || got.Attempt != c.attempt || (got.Err == nil) != got.Decided() {
			t.Errorf("%v at %s: %+v", c.err, c.at, got)
		}
		if opened := slices.Contains(b.calls, "boundary"); opened != slices.Contains(b.calls, "close") {
			t.Errorf("%v at %s: %v", c.err, c.at, b.calls)
		}
	}
}

// A job that is stopped while its failure is being recorded still refunds the attempt (invariant 5).
func TestStoppedWhileRecordingAFailure(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	ctx, stop := context.WithCancel(t.Context())
	b.fail["tables"] = Permanentf(events.CauseSchemaInvalid, "no")
	b.fail["record_failure"] = context.Canceled
	b.config.Steps[2].Run = func(context.Context, *Attempt) error { stop(); return b.fail["tables"] }
	got := b.provisioner(t).Job(request(t)).Run(ctx)
	if got.Verdict != Release || len(b.notes) != 1 || !b.notes[0].Refund {
		t.Errorf("%+v, notes %+v", got, b.notes)
	}
}

// A message that is not a CloudEvent waits for the ledger as a request does.
func TestUndecodableWaitsForTheLedger(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, c := range map[string]struct {
		class       Class
		drain, stop bool
		want        Verdict
	}{
		"outage":                {Outage, false, false, Pause},
		"outage while draining": {Outage, true, false, Release},
		"transient":             {Transient, false, false, Retry},
		"a missing permission":  {Permanent, false, false, Pause},
		"stopping":              {Transient, false, true, Release},
	} {
		ctx := t.Context()
		if c.stop {
			ctx = stopped
		}
		b := newTestbed()
		b.fail["reject"] = &Fault{Class: c.class, Message: "no"}
		p := b.provisioner(t)
		if c.drain {
			p.Drain()
		}
		_, got := p.Undecodable(ctx,
			Message{Stream: "TENANT_REQUESTS", Sequence: 7, Time: time.Now()}, "delivery", errors.New("not JSON"))
		if got.Verdict != c.want || got.Err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestUndecodableIsAFunctionOfTheMessage(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		m := Message{Stream: "TENANT_REQUESTS", Sequence: 7, Time: time.Now().Add(-time.Hour), Body: []byte("please")}
		undecodable := func(b *testbed, m Message) (string, Outcome) {
			key, result := b.provisioner(t).Undecodable(t.Context(), m, "delivery", errors.New("not JSON"))
			if result.Verdict != Terminate {
				t.Fatalf("%+v", result)
			}
			return key, result.Outcome
		}
		key, first := undecodable(b, m)
		time.Sleep(time.Minute)
		again, second := undecodable(newTestbed(), m)
		if key != again || first.ID != second.ID || string(first.Body) != string(second.Body) {
			t.Errorf("%s\n%s", first.Body, second.Body)
		}
		if key != events.UndecodableKey("TENANT_REQUESTS", 7, m.Time, m.Body) || first.ID != events.UndecodableOutcomeID(key, 0) {
			t.Errorf("key %s, outcome id %s", key, first.ID)
		}
		f := failure(t, Decision{Verdict: Terminate, Outcome: first})
		if f.Cause.Code != events.CauseUndecodableEvent || f.Request != nil || f.TenantID != "" || f.Replayable {
			t.Errorf("%+v", f)
		}
		for what, change := range map[string]func(*Message){
			"sequence": func(m *Message) { m.Sequence = 8 }, "time": func(m *Message) { m.Time = m.Time.Add(1) },
			"body": func(m *Message) { m.Body = nil }, "stream": func(m *Message) { m.Stream = "OTHER" },
		} {
			other := m
			change(&other)
			otherKey, third := undecodable(newTestbed(), other)
			if otherKey == key || third.ID == first.ID {
				t.Errorf("%s is not part of key %s or outcome id %s", what, otherKey, third.ID)
			}
		}
		m.Replay = 1
		if _, third := undecodable(newTestbed(), m); third.ID == first.ID {
			t.Error("the replay has the same outcome id")
		}
		if !slices.Equal(b.calls, []string{"reject"}) {
			t.Errorf("called %v", b.calls)
		}
	})
}

func TestNewRejectsAnInvalidConfig(t *testing.T) {
	t.Parallel()
	for name, invalidate := range map[string]func(*Config){
		"database": func(c *Config) { c.Database = nil },
		"log":      func(c *Config) { c.Log = nil },
		"clock":    func(c *Config) { c.Now = nil },
		"source":   func(c *Config) { c.Source = "" },
		"attempts": func(c *Config) { c.Limit.Attempts = 0 },
		"lease":    func(c *Config) { c.Limit.Lease = 0 },
		"steps":    func(c *Config) { c.Steps = c.Steps[:1] },
	} {
		b := newTestbed()
		invalidate(&b.config)
		if _, err := New(b.config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The public contract and this package name the same steps and causes.
func TestContractNamesStepsAndCauses(t *testing.T) {
	t.Parallel()
	text, err := events.Schemas.ReadFile("schemas/tenant.provisioning_failed.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]struct{ Enum []string }
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range AllSteps() {
		names = append(names, s.Name)
	}
	if want := schema.Defs["step"].Properties["name"].Enum; !slices.Equal(names, want) {
		t.Errorf("AllSteps() has %v, events/schemas/tenant.provisioning_failed.schema.json has %v", names, want)
	}
	var listed []string
	for _, code := range events.CauseCodes() {
		listed = append(listed, string(code))
	}
	var table []string
	for code := range causes {
		table = append(table, string(code))
	}
	slices.Sort(table)
	for where, codes := range map[string][]string{
		"events/schemas/tenant.provisioning_failed.schema.json": schema.Defs["cause"].Properties["code"].Enum,
		"the constants of events/causes.go":                     causeCodes(t),
		"events.CauseCodes":                                     listed,
	} {
		slices.Sort(codes)
		if diff := cmp.Diff(table, codes); diff != "" {
			t.Errorf("cause codes of pipeline/fault.go (-) and of %s (+):\n%s", where, diff)
		}
	}
}

// The alert on failing requests counts the causes that are not the publisher's: those of replayable failures.
func TestAlertCountsReplayableCauses(t *testing.T) {
	t.Parallel()
	const path = "../../deploy/prometheus/alerts.yml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`cause=~"([A-Z_|]+)"`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s: no list of causes", path)
	}
	var want []string
	for code, row := range causes {
		if row.replayable {
			want = append(want, string(code))
		}
	}
	got := strings.Split(string(found[1]), "|")
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replayable causes (-) and those in deploy/prometheus/alerts.yml (+):\n%s", diff)
	}
}

// causeCodes are the constants of type events.CauseCode, read from their source.
func causeCodes(t *testing.T) (codes []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../events/causes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, is := n.(*ast.ValueSpec); is {
			literal := spec.Values[0].(*ast.BasicLit)
			code, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, code)
		}
		return true
	})
	return codes
}

func TestPing(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	b.fail["ping"] = errors.New("unavailable")
	if err := b.provisioner(t).Ping(t.Context()); err == nil {
		t.Error("the probe reports no error")
	}
}

// A panic in a step is an error of that attempt: what it opened is closed, and the request is retried.
func TestPanicIsAnErrorOfTheAttempt(t *testing.T) {
	t.Parallel()
	b := newTestbed()
	b.config.Steps[3].Run = func(context.Context, *Attempt) error { panic("out of cheese") }
	result := b.run(t)
	if result.Verdict != Retry || !strings.Contains(fmt.Sprint(result.Err), "out of cheese") {
		t.Errorf("%s, error %v", result.Verdict, result.Err)
	}
	if !slices.Contains(b.calls, "close") {
		t.Errorf("not closed: %v", b.calls)
	}
}

// observed records the calls of an Observer.
type observed []string

func (o *observed) StepBegan(r StepEvent) {
	*o = append(*o, fmt.Sprintf("%s of %s for %s, attempt %d", r.Step.Name, r.Request.ID, r.TenantID, r.Attempt))
}

func (o *observed) StepEnded(r StepEvent, took time.Duration, err error) {
	*o = append(*o, fmt.Sprint(r.Step.Number, " ", took, " ", err))
}
func (o *observed) AttemptEnded(r AttemptResult) { *o = append(*o, string(r)) }
func (o *observed) Warned(step, code string)     { *o = append(*o, "warned "+step+" "+code) }
func (o *observed) Recorded(eventType string, cause events.CauseCode) {
	*o = append(*o, strings.TrimSpace("recorded "+eventType+" "+string(cause)))
}

func TestObserverReceivesWhatIsRecorded(t *testing.T) {
	withFakeClock(t, func(t *testing.T) {
		b := newTestbed()
		var seen observed
		b.config.Observer = &seen
		b.failing = map[string]error{"idx_documents_status": errors.New("no")}
		b.slow = map[string]time.Duration{"register": time.Second}
		success(t, b.run(t))
		want := []string{
			"validate_request of order-1 for acme, attempt 1", "0 0s <nil>",
			"create_isolation_boundary of order-1 for acme, attempt 1", "1 0s <nil>",
			"initialize_schema of order-1 for acme, attempt 1", "2 0s <nil>",
			"create_indexes of order-1 for acme, attempt 1", "3 0s <nil>",
			"validate_schema of order-1 for acme, attempt 1", "4 0s <nil>",
			"register_tenant of order-1 for acme, attempt 1", "5 1s <nil>",
			"warned create_indexes INDEX_FAILED", "recorded tenant.provisioned", "provisioned",
		}
		if !slices.Equal(seen, want) {
			t.Errorf("observed %q, want %q", seen, want)
		}
		seen = nil
		b.outcome = nil
		failure(t, b.run(t)) // the tenant exists
		want = []string{"recorded tenant.provisioning_failed TENANT_EXISTS", "failed"}
		if got := seen[len(seen)-2:]; !slices.Equal(got, want) {
			t.Errorf("observed %q at the end, want %q", got, want)
		}
	})
}
