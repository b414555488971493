package events_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
)

// request returns a tenant.requested event with this subject, content type and data.
func request(subject, contentType, data string) event.Event {
	e := event.New()
	e.SetID("1")
	e.SetSource("/s")
	e.SetType(events.TypeRequested)
	e.SetSubject(subject)
	e.SetDataContentType(contentType)
	e.DataEncoded = []byte(data)
	return e
}

const whole = `"tenant_id":"acme","display_name":"Acme","created_by":"me"`

// Invariant 7.
func TestRequestedFromReads(t *testing.T) {
	t.Parallel()
	acme := events.Requested{TenantID: "acme", DisplayName: "Acme", CreatedBy: "me"}
	onSchema := acme
	onSchema.IsolationStrategy = "schema"
	onFree := acme
	onFree.Plan = "free"
	for name, c := range map[string]struct {
		subject, contentType, data string
		want                       events.Requested
	}{
		"required only":          {"", "", "{" + whole + "}", acme},
		"with strategy":          {"acme", "application/json", "{" + whole + `,"isolation_strategy":"schema"}`, onSchema},
		"null strategy":          {"", "application/json; charset=utf-8", "{" + whole + `,"isolation_strategy":null}`, acme},
		"unknown fields":         {"", "Application/Vnd.x+JSON", "{" + whole + `,"quota":{"a":[1]},"TENANT_ID":7}`, acme},
		"with plan":              {"acme", "", "{" + whole + `,"plan":"free"}`, onFree},
		"null plan":              {"", "", "{" + whole + `,"plan":null}`, acme},
		"space around":           {"", "text/json", " {" + whole + "}\n", acme},
		"content is not checked": {"", "", `{"tenant_id":"","display_name":"","created_by":"","isolation_strategy":"x"}`, events.Requested{IsolationStrategy: "x"}},
		"subject of a bad id":    {"other", "", `{"tenant_id":"not an id","display_name":"Acme","created_by":"me"}`, events.Requested{TenantID: "not an id", DisplayName: "Acme", CreatedBy: "me"}},
		"subject, reserved id":   {"other", "", `{"tenant_id":"_docex_x_","display_name":"Acme","created_by":"me"}`, events.Requested{TenantID: "_docex_x_", DisplayName: "Acme", CreatedBy: "me"}},
		"NUL is for Validate":    {"", "", `{"tenant_id":"a\u0000","display_name":"Acme","created_by":"me"}`, events.Requested{TenantID: "a\x00", DisplayName: "Acme", CreatedBy: "me"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := events.RequestedFrom(request(c.subject, c.contentType, c.data))
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// Invariant 7: the error names the field, and the tenant is read if possible.
func TestRequestedFromRejects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subject, contentType, data string
		field, tenant              string
	}{
		"XML":                        {"", "application/xml", "{" + whole + "}", "datacontenttype", ""},
		"no data":                    {"", "", "", "data", ""},
		"null":                       {"", "", "null", "data", ""},
		"a list":                     {"", "", "[]", "data", ""},
		"cut off":                    {"", "", "{" + whole, "data", ""},
		"trailing data":              {"", "", "{" + whole + "}{}", "data", ""},
		"not UTF-8":                  {"", "", "{" + whole + ",\"x\":\"\xff\"}", "data", ""},
		"too deep":                   {"", "", "{" + whole + `,"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + "}", "data", ""},
		"tenant twice":               {"", "", "{" + whole + `,"tenant_id":"acme"}`, "data", ""},
		"tenant twice, escaped":      {"", "", "{" + whole + `,"tenant\u005fid":"b"}`, "data", ""},
		"another twice":              {"", "", "{" + whole + `,"created_by":"you"}`, "data", "acme"},
		"unknown twice":              {"", "", "{" + whole + `,"x":1,"x":2}`, "data", "acme"},
		"tenant missing":             {"", "", `{"display_name":"Acme","created_by":"me"}`, "tenant_id", ""},
		"tenant by another case":     {"", "", `{"Tenant_ID":"acme","display_name":"Acme","created_by":"me"}`, "tenant_id", ""},
		"tenant null":                {"", "", `{"tenant_id":null,"display_name":"Acme","created_by":"me"}`, "tenant_id", ""},
		"tenant is a number":         {"acme", "", `{"tenant_id":1,"display_name":"Acme","created_by":"me"}`, "tenant_id", ""},
		"tenant, lone surrogate":     {"", "", `{"tenant_id":"\ud800","display_name":"Acme","created_by":"me"}`, "tenant_id", ""},
		"display_name missing":       {"other", "", `{"tenant_id":"acme","created_by":"me"}`, "display_name", "acme"},
		"display_name is a list":     {"", "", `{"tenant_id":"acme","display_name":[],"created_by":"me"}`, "display_name", "acme"},
		"created_by null":            {"", "", `{"tenant_id":"acme","display_name":"Acme","created_by":null}`, "created_by", "acme"},
		"isolation_strategy is true": {"", "", "{" + whole + `,"isolation_strategy":true}`, "isolation_strategy", "acme"},
		"isolation_strategy empty":   {"", "", "{" + whole + `,"isolation_strategy":""}`, "isolation_strategy", "acme"},
		"plan is an object":          {"acme", "", "{" + whole + `,"plan":{"name":"free"}}`, "plan", "acme"},
		"plan is a number":           {"", "", "{" + whole + `,"plan":1}`, "plan", "acme"},
		"plan empty":                 {"", "", "{" + whole + `,"plan":""}`, "plan", "acme"},
		"plan, lone surrogate":       {"", "", "{" + whole + `,"plan":"\ud800"}`, "plan", "acme"},
		"plan after all others":      {"other", "", "{" + whole + `,"plan":1}`, "subject", "acme"},
		"subject differs":            {"other", "", "{" + whole + "}", "subject", "acme"},
		"subject differs in case":    {"ACME", "", "{" + whole + "}", "subject", "acme"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := events.RequestedFrom(request(c.subject, c.contentType, c.data))
			var fault *events.RequestError
			if !errors.As(err, &fault) || fault.Code != events.CauseInvalidRequest || fault.Field != c.field {
				t.Fatalf("%#v, want one about %s", err, c.field)
			}
			if got.TenantID != c.tenant {
				t.Errorf("tenant is %q, want %q", got.TenantID, c.tenant)
			}
			checkShort(t, err)
		})
	}
}

// Invariants 1 and 7: the consumer reads what a publisher creates.
func TestNewRequested(t *testing.T) {
	t.Parallel()
	acme := events.Requested{TenantID: "acme", DisplayName: "Acme <&> Söhne", CreatedBy: "me", IsolationStrategy: "database"}
	e := must(t)(events.NewRequested("urn:x", " 1", acme))
	if e.ID() != " 1" || e.Source() != "urn:x" || e.Type() != events.TypeRequested || e.Subject() != "acme" ||
		e.DataContentType() != "application/json" || time.Since(e.Time()) > 10*time.Minute || e.Time().Location() != time.UTC {
		t.Errorf("%v", e)
	}
	checkRoundTrip(t, e)
	if got, err := events.RequestedFrom(e); err != nil || got != acme {
		t.Errorf("%+v, %v", got, err)
	}

	for name, c := range map[string]struct {
		source, id string
		change     func(*events.Requested)
		text       string
	}{
		"bad tenant":       {"/s", "1", func(r *events.Requested) { r.TenantID = "a b" }, "tenant_id"},
		"reserved tenant":  {"/s", "1", func(r *events.Requested) { r.TenantID = "_docex_system_" }, "reserved"},
		"no name":          {"/s", "1", func(r *events.Requested) { r.DisplayName = "" }, "display_name"},
		"long name":        {"/s", "1", func(r *events.Requested) { r.DisplayName = strings.Repeat("ü", 256) }, "256 characters"},
		"name, not UTF-8":  {"/s", "1", func(r *events.Requested) { r.DisplayName = "\xff" }, "UTF-8"},
		"name with tab":    {"/s", "1", func(r *events.Requested) { r.DisplayName = "a\tb" }, "U+0009"},
		"no creator":       {"/s", "1", func(r *events.Requested) { r.CreatedBy = "" }, "created_by"},
		"no source":        {"", "1", nil, "source is missing"},
		"source, no URI":   {"%zz", "1", nil, "source"},
		"no id":            {"/s", "", nil, "id is missing"},
		"id with newline":  {"/s", "a\nb", nil, "U+000A"},
		"source, no UTF-8": {"\xff", "1", nil, "UTF-8"},
	} {
		r := acme
		if c.change != nil {
			c.change(&r)
		}
		if e, err := events.NewRequested(c.source, c.id, r); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, %v", name, e, err)
		} else {
			checkShort(t, err)
		}
	}
}
