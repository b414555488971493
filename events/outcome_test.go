package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
)

// Invariants 6 and 9: the bytes on the wire.
func TestWireFormat(t *testing.T) {
	t.Parallel()
	for name, e := range samples(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header, body := encode(t, e)
			if diff := cmp.Diff(structured, header); diff != "" {
				t.Errorf("header: %s", diff)
			}
			golden(t, "testdata/"+name+".structured", append(body, '\n'))

			header, body, err := events.EncodeBinary(e)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			for _, name := range slices.Sorted(maps.Keys(header)) {
				fmt.Fprintf(&text, "%s: %s\n", name, header[name][0])
			}
			fmt.Fprintf(&text, "\n%s\n", body)
			golden(t, "testdata/"+name+".binary", text.Bytes())
			checkRoundTrip(t, e)
		})
	}
}

// Invariant 9: an outcome repeats attributes of its request, and omits those that the request lacks.
func TestOutcomeAttributes(t *testing.T) {
	t.Parallel()
	request := func(extensions map[string]any) event.Event {
		e := must(t)(events.NewRequested(billing, requestID, events.Requested{TenantID: "a", DisplayName: "A", CreatedBy: "me"}))
		for name, value := range extensions {
			e.SetExtension(name, value)
		}
		return e
	}
	for name, c := range map[string]struct {
		request event.Event
		want    map[string]any
	}{
		"undecodable":       {event.Event{}, nil},
		"nothing":           {request(nil), map[string]any{"correlationid": requestID, "causationid": requestID}},
		"correlation":       {request(map[string]any{"correlationid": "c"}), map[string]any{"correlationid": "c", "causationid": requestID}},
		"correlation is 42": {request(map[string]any{"correlationid": 42}), map[string]any{"correlationid": "42", "causationid": requestID}},
		"trace": {
			request(map[string]any{"traceparent": traceParent, "tracestate": "k=v"}),
			map[string]any{"correlationid": requestID, "causationid": requestID, "traceparent": traceParent, "tracestate": "k=v"},
		},
		"trace is invalid": {
			request(map[string]any{"traceparent": "garbage", "tracestate": "k=v"}),
			map[string]any{"correlationid": requestID, "causationid": requestID},
		},
		"trace state is invalid": {
			request(map[string]any{"traceparent": traceParent, "tracestate": "garbage"}),
			map[string]any{"correlationid": requestID, "causationid": requestID, "traceparent": traceParent},
		},
		"trace too long": {
			request(map[string]any{"traceparent": "01" + traceParent[2:] + "-" + strings.Repeat("0", 2000)}),
			map[string]any{"correlationid": requestID, "causationid": requestID},
		},
		"correlation too long": {
			request(map[string]any{"correlationid": strings.Repeat("c", 1025)}),
			map[string]any{"correlationid": strings.Repeat("c", 1021) + "…", "causationid": requestID},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := events.OutcomeFor(c.request)
			o.ID, o.Source, o.Time = "1", events.DefaultSource, noon.In(time.FixedZone("", 7200))
			e := must(t)(events.NewProvisioningFailed(o, events.ProvisioningFailed{TenantID: "a"}))
			if diff := cmp.Diff(c.want, e.Extensions()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if e.Subject() != "a" || e.Time() != noon || e.DataContentType() != "application/json" {
				t.Errorf("%v", e)
			}
			if e := must(t)(events.NewProvisioned(o, events.Provisioned{TenantID: "a"})); !cmp.Equal(c.want, e.Extensions()) {
				t.Errorf("provisioned: %v", e)
			}
		})
	}
}

// Invariant 9.
func TestOutcomeSubject(t *testing.T) {
	t.Parallel()
	o := events.Outcome{ID: "1", Source: "/p", Time: noon}
	for tenant, want := range map[string]string{
		"acme": "acme", "": "", "  ": "", "a\x00b": "", "a\nb": "", "\uffff": "", "\xff": "", "not an id!": "not an id!",
	} {
		e := must(t)(events.NewProvisioningFailed(o, events.ProvisioningFailed{TenantID: tenant}))
		if e.Subject() != want {
			t.Errorf("subject of %q is %q, want %q", tenant, e.Subject(), want)
		}
		checkRoundTrip(t, e)
	}
}

// Invariant 9: in the encoded data, empty lists are lists and times are UTC.
func TestOutcomeData(t *testing.T) {
	t.Parallel()
	o := events.Outcome{ID: "1", Source: "/p", Time: noon}
	p := must(t)(events.NewProvisioned(o, events.Provisioned{TenantID: "a", CreatedAt: noon.In(time.FixedZone("", 3600))}))
	for _, want := range []string{`"warnings":[]`, `"steps":[]`, `"created_at":"2026-03-04T12:00:00.25Z"`} {
		if !bytes.Contains(p.Data(), []byte(want)) {
			t.Errorf("%s lacks %s", p.Data(), want)
		}
	}
	f := must(t)(events.NewProvisioningFailed(o, events.ProvisioningFailed{}))
	var members map[string]any
	if err := json.Unmarshal(f.Data(), &members); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{}, members["left_behind"]); diff != "" {
		t.Error(diff)
	}
	for _, absent := range []string{"tenant_id", "request"} {
		if _, there := members[absent]; there {
			t.Errorf("%s is in %s", absent, f.Data())
		}
	}
}

// Invariant 9: an outcome can be published, whatever the request contains.
func TestOutcomeIsBounded(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"text": "x", "quotes": `"`, "NUL": "\x00", "three bytes": "€", "separators": "\u2028", "not UTF-8": "\xff", "C1": "\u0085",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			long := strings.Repeat(unit, 1<<20)
			request := event.New()
			request.SetID(long)
			request.SetExtension("correlationid", long)
			request.SetExtension("traceparent", long)
			request.SetExtension("tracestate", long)
			o := events.OutcomeFor(request)
			o.ID, o.Source, o.Time = "1", events.DefaultSource, noon

			left := slices.Repeat([]string{long}, 100)
			e := must(t)(events.NewProvisioningFailed(o, events.ProvisioningFailed{
				TenantID: long, Request: &events.Request{Source: long, ID: long}, Step: events.Step{Name: long},
				Cause:      events.Cause{Code: events.CauseCode(long), Message: long, Detail: long},
				DeadLetter: events.DeadLetter{Stream: long, Subject: long}, LeftBehind: left,
			}))
			if _, body := encode(t, e); len(body) > 48<<10 {
				t.Errorf("structured: %d bytes", len(body))
			}
			header, body, err := events.EncodeBinary(e)
			if err != nil {
				t.Fatal(err)
			}
			size := len(body)
			for name, values := range header {
				size += len(name) + len(values[0])
			}
			if size > 48<<10 {
				t.Errorf("binary: %d bytes", size)
			}
			checkRoundTrip(t, e)
			key := events.RequestKey(long, long)
			data, err := events.FailedFrom(e)
			if data.Request == nil || data.Request.Key != key {
				t.Errorf("request %.100q, key of the whole is %s", data.Request, key)
			}
			if err != nil || len(data.LeftBehind) != 17 || data.LeftBehind[16] != "… and 84 more" || left[16] != long {
				t.Errorf("left behind: %d entries, %v", len(data.LeftBehind), err)
			}
			if !strings.HasSuffix(data.TenantID, "…") || len(data.Request.ID) > 1024 {
				t.Errorf("cut without a mark: %q, %q", data.TenantID, data.Request.ID)
			}

			warnings := []events.Warning{{Message: long}}
			e = must(t)(events.NewProvisioned(o, events.Provisioned{
				TenantID: "a", Request: events.Request{Source: long, ID: long}, Warnings: warnings,
			}))
			if _, body := encode(t, e); len(body) > 16<<10 || warnings[0].Message != long {
				t.Errorf("provisioned: %d bytes", len(body))
			}
			if data, err := events.ProvisionedFrom(e); err != nil || data.Request.Key != key {
				t.Errorf("provisioned: key %s, %v", data.Request.Key, err)
			}
		})
	}
	e := must(t)(events.NewProvisioningFailed(
		events.Outcome{ID: "1", Source: "/p", Time: noon},
		events.ProvisioningFailed{TenantID: strings.Repeat("x", 1024), Cause: events.Cause{Code: "X"}},
	))
	if data, err := events.FailedFrom(e); err != nil || data.TenantID != strings.Repeat("x", 1024) {
		t.Errorf("1024 bytes were cut: %v", err)
	}
}

// Invariant 9: two requests whose ids are cut to the same text keep different keys. A key that the caller has set is
// replaced by that of the whole source and id.
func TestOutcomesOfCutIDsHaveTheirOwnKeys(t *testing.T) {
	t.Parallel()
	o := events.Outcome{ID: "1", Source: "/p", Time: noon}
	long := strings.Repeat("x", 3000)
	for _, id := range []string{"1", long + "1", long + "2", strings.Repeat("é", 600), "dots…"} {
		request := events.Request{Source: billing, ID: id, Key: "of another"}
		e := must(t)(events.NewProvisioned(o, events.Provisioned{TenantID: "a", Request: request}))
		if data, err := events.ProvisionedFrom(e); err != nil || data.Request.Key != events.RequestKey(billing, id) {
			t.Errorf("%.20s, %d bytes: %+v, %v", id, len(id), data.Request, err)
		}
		e = must(t)(events.NewProvisioningFailed(o, events.ProvisioningFailed{
			Request: &request, Cause: events.Cause{Code: events.CauseTenantExists},
		}))
		if data, err := events.FailedFrom(e); err != nil || data.Request.Key != events.RequestKey(billing, id) {
			t.Errorf("%.20s, %d bytes: %+v, %v", id, len(id), data.Request, err)
		}
		if request.Key != "of another" || request.ID != id {
			t.Errorf("the caller's request was changed: %.100q", request)
		}
		e = progress(t, events.Progress{TenantID: "a", Request: request, State: "done"})
		if data, err := events.ProgressFrom(e); err != nil || data.Request.Key != "" {
			t.Errorf("progress: %+v, %v", data.Request, err)
		}
	}
}

func TestOutcomeRejectsInvalidAttributes(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]events.Outcome{
		"no id":       {Source: "/p", Time: noon},
		"no source":   {ID: "1", Time: noon},
		"no time":     {ID: "1", Source: "/p"},
		"bad source":  {ID: "1", Source: "%zz", Time: noon},
		"long source": {ID: "1", Source: strings.Repeat("x", 1025), Time: noon},
	} {
		if e, err := events.NewProvisioned(o, events.Provisioned{}); err == nil {
			t.Errorf("%s: %v", name, e)
		}
		if e, err := events.NewProvisioningFailed(o, events.ProvisioningFailed{}); err == nil {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestOutcomesAreRead(t *testing.T) {
	t.Parallel()
	all := samples(t)
	p, err := events.ProvisionedFrom(all["provisioned_database"])
	if err != nil || p.TenantID != "tenant-42" || p.Attempts != 2 || len(p.Warnings) != 2 || len(p.Steps) != 7 || !p.CreatedAt.Before(noon) {
		t.Errorf("want 2 attempts, 2 warnings, 7 steps: %+v, %v", p, err)
	}
	f, err := events.FailedFrom(all["failed_attempts_exhausted"])
	if err != nil || f.Cause.Code != events.CauseAttemptsExhausted || f.Request.ID != requestID || len(f.LeftBehind) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := events.ProvisionedFrom(all["failed_tenant_exists"]); err == nil {
		t.Error("a failure was read as success")
	}
	if _, err := events.FailedFrom(all["provisioned_schema"]); err == nil {
		t.Error("a success was read as failure")
	}
	for name, data := range map[string]string{
		"no data": "", "empty": "{}", "list": "[]", "cut off": "{", "wrong type": `{"attempts":"x"}`,
		"wrong time": `{"created_at":"` + strings.Repeat("x", 1<<16) + `"}`, "twice": `{"attempts":1,"attempts":2}`,
	} {
		p, f := all["provisioned_schema"].Clone(), all["failed_tenant_exists"].Clone()
		p.DataEncoded, f.DataEncoded = []byte(data), []byte(data)
		if got, err := events.ProvisionedFrom(p); err == nil {
			t.Errorf("%s: %+v", name, got)
		} else {
			checkShort(t, err)
		}
		if got, err := events.FailedFrom(f); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
		p.SetDataContentType("text/plain")
		if got, err := events.ProvisionedFrom(p); err == nil {
			t.Errorf("%s as text: %+v", name, got)
		}
	}
}
