package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/tenant-provisioner/events"
)

var update = flag.Bool("update", false, "rewrite testdata and examples from what the code writes")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 4, 12, 0, 0, 250_000_000, time.UTC)

const (
	billing   = "/billing/signup"
	requestID = "7f3c1e0a-order-1009"
)

// samples returns the events in examples/, by file name.
func samples(t *testing.T) map[string]event.Event {
	t.Helper()
	request := func(data events.Requested) event.Event {
		return must(t)(events.NewRequested(billing, requestID, data))
	}
	acme := request(events.Requested{TenantID: "acme", DisplayName: "Acme Corporation", CreatedBy: "signup@example.com"})
	acme.SetTime(noon.Add(-time.Second))
	acme.SetExtension("correlationid", "order-1009")
	acme.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	local := request(events.Requested{
		TenantID: "tenant-42", DisplayName: "Zürich “North”", CreatedBy: "ops", IsolationStrategy: events.IsolationDatabase,
		Plan: "free",
	})
	local.SetTime(noon.Add(-time.Second))

	outcome := func(of event.Event, replay int, eventType string) events.Outcome {
		o := events.OutcomeFor(of)
		o.ID = events.OutcomeID(billing, requestID, replay, eventType)
		o.Source, o.Time = events.DefaultSource, noon
		return o
	}
	validateRequest := events.Step{Number: 0, Name: "validate_request"} // an outcome has the times of the steps after it
	steps := []events.StepTiming{
		{Step: events.Step{Number: 1, Name: "create_isolation_boundary"}, DurationMS: 1.1},
		{Step: events.Step{Number: 2, Name: "initialize_schema"}, DurationMS: 21.5},
		{Step: events.Step{Number: 3, Name: "create_indexes"}, DurationMS: 9.25},
		{Step: events.Step{Number: 4, Name: "validate_schema"}, DurationMS: 6},
		{Step: events.Step{Number: 5, Name: "register_tenant"}, DurationMS: 2.125},
	}
	further := slices.Concat(steps[:4:4], []events.StepTiming{
		{Step: events.Step{Number: 5, Name: "run_init_scripts"}, DurationMS: 3.5},
		{Step: events.Step{Number: 6, Name: "load_seed_data"}, DurationMS: 1.75},
		{Step: events.Step{Number: 7, Name: "register_tenant"}, DurationMS: 2.125},
	})
	onSchema := events.Provisioned{
		TenantID: "acme", DisplayName: "Acme Corporation", IsolationStrategy: events.IsolationSchema,
		SchemaName: "tenant_acme", CreatedAt: noon.Add(-10 * time.Millisecond), CreatedBy: "signup@example.com",
		Request: events.Request{Source: billing, ID: requestID}, Attempts: 1, Prepared: true,
		Definition: "5b1e0c7a94f2d386", Tables: 11, Indexes: 18, Steps: steps, DurationMS: 40.375,
	}
	onDatabase := events.Provisioned{
		TenantID: "tenant-42", DisplayName: "Zürich “North”", IsolationStrategy: events.IsolationDatabase,
		DatabasePath: "storage/tenant_tenant-42/docex.db", CreatedAt: noon.Add(-10 * time.Millisecond), CreatedBy: "ops",
		Plan: "free", PlanLimits: events.PlanLimits{MaxBytes: 1 << 30, MaxRows: 100_000},
		Request: events.Request{Source: billing, ID: requestID}, Attempts: 2, Replay: 1,
		Definition: "c0ffee0123456789", Tables: 11, Indexes: 17, Steps: further, DurationMS: 45.625,
		Scripts: []events.Script{{Name: "010_listing.sql", SHA256: strings.Repeat("0123456789abcdef", 4)}},
		Seeded:  map[string]int{"docbasket": 1},
		Warnings: []events.Warning{
			{
				Step: validateRequest, Code: events.WarnNotDocEXCompatible,
				Message: "DocEX opens this tenant, but would not have created it: its own create() takes 1 to 30 of " +
					"A–Z a–z 0–9 _, the first not a digit",
			},
			{
				Step: steps[2].Step, Code: events.WarnIndexFailed,
				Message: "idx_document_checksum: database or disk is full",
			},
		},
	}
	deadLetter := func(key string) events.DeadLetter {
		return events.DeadLetter{Stream: events.StreamDeadLetters, Subject: events.DeadLetterSubject(key)}
	}
	exists := events.ProvisioningFailed{
		TenantID: "acme", Request: &events.Request{Source: billing, ID: requestID}, Step: validateRequest,
		Cause:    events.Cause{Code: events.CauseTenantExists, Message: `"acme" is registered already; choose another tenant_id`},
		Attempts: 1, DeadLetter: deadLetter(events.RequestKey(billing, requestID)),
	}
	exhausted := events.ProvisioningFailed{
		TenantID: "acme", Request: &events.Request{Source: billing, ID: requestID}, Step: steps[1].Step,
		Cause: events.Cause{
			Code: events.CauseAttemptsExhausted, Message: "8 of 8 attempts failed; replay the request once the cause is gone",
			Detail: "55P03: canceling statement due to lock timeout",
		},
		Replayable: true, Attempts: 8, DeadLetter: deadLetter(events.RequestKey(billing, requestID)),
		LeftBehind: []string{"storage/tenant_acme/docex.db.partial"},
	}
	unreadKey := events.UndecodableKey(events.StreamRequests, 1009, noon, []byte("[]"))
	undecodable := events.ProvisioningFailed{
		Step: validateRequest,
		Cause: events.Cause{
			Code: events.CauseUndecodableEvent, Message: "not a CloudEvent: batches are refused: publish each event on its own",
		},
		Attempts: 1, DeadLetter: deadLetter(unreadKey),
	}
	unread := events.OutcomeFor(event.Event{})
	unread.ID = events.UndecodableOutcomeID(unreadKey, 0)
	unread.Source, unread.Time = events.DefaultSource, noon

	failed := outcome(acme, 0, events.TypeProvisioningFailed)
	progressOf := func(step events.StepTiming, state string, ms float64) event.Event {
		return progress(t, events.Progress{
			TenantID: "acme", Request: events.Request{Source: billing, ID: requestID}, Attempt: 1,
			Step: step.Step, State: state, DurationMS: ms,
		})
	}
	return map[string]event.Event{
		"requested":                 acme,
		"requested_database":        local,
		"provisioned_schema":        must(t)(events.NewProvisioned(outcome(acme, 0, events.TypeProvisioned), onSchema)),
		"provisioned_database":      must(t)(events.NewProvisioned(outcome(local, 1, events.TypeProvisioned), onDatabase)),
		"failed_tenant_exists":      must(t)(events.NewProvisioningFailed(failed, exists)),
		"failed_attempts_exhausted": must(t)(events.NewProvisioningFailed(failed, exhausted)),
		"failed_undecodable":        must(t)(events.NewProvisioningFailed(unread, undecodable)),
		"progress_started":          progressOf(steps[1], events.StepStarted, 0),
		"progress_done":             progressOf(steps[1], events.StepDone, steps[1].DurationMS),
	}
}

// must ends the test if an event cannot be created.
func must(t *testing.T) func(event.Event, error) event.Event {
	return func(e event.Event, err error) event.Event {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

func encode(t *testing.T, e event.Event) (map[string][]string, []byte) {
	t.Helper()
	header, body, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return header, body
}

// golden compares got with a file; -update writes it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test ./events -update writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-file +code):\n%s", path, diff)
	}
}

func indent(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), '\n')
}

// progress creates a progress event.
func progress(t *testing.T, data events.Progress) event.Event {
	t.Helper()
	header, body, err := events.EncodeProgress(events.DefaultSource, noon, data)
	if err != nil {
		t.Fatal(err)
	}
	return must(t)(events.Decode(header, body))
}
