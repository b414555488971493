package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/tenant-provisioner/events"
)

// schema compiles one of the embedded schemas, or the part of it that fragment names.
func schema(t *testing.T, eventType, fragment string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	name := eventType + ".schema.json"
	if err := c.AddResource(name, schemaText(t, eventType)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name + fragment)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func schemaText(t *testing.T, eventType string) any {
	t.Helper()
	text, err := events.Schemas.ReadFile("schemas/" + eventType + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, text)
}

func parse(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var allTypes = []string{
	events.TypeRequested, events.TypeProvisioned, events.TypeProvisioningFailed, events.TypeProgress,
}

// Invariant 10: the code writes the examples, they pass their schema, and the code reads them.
func TestExamples(t *testing.T) {
	t.Parallel()
	all := samples(t)
	seen := map[string]bool{}
	for name, e := range all {
		_, body := encode(t, e)
		golden(t, "examples/"+name+".json", indent(t, body))
	}
	files, err := fs.Glob(events.Examples, "examples/*.json")
	if err != nil || len(files) != len(all) {
		t.Fatalf("%d files, %d samples, %v", len(files), len(all), err)
	}
	for _, file := range files {
		text, err := events.Examples.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.Decode(nil, text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		seen[e.Type()] = true
		if err := schema(t, e.Type(), "").Validate(parse(t, text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if err := schema(t, e.Type(), "#/$defs/data").Validate(parse(t, e.Data())); err != nil {
			t.Errorf("%s, data alone: %v", file, err)
		}
		if diff := cmp.Diff(plain(t, all[strings.TrimSuffix(path.Base(file), ".json")])["id"], e.ID()); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
		switch e.Type() {
		case events.TypeRequested:
			r, err := events.RequestedFrom(e)
			if err == nil {
				err = r.Validate()
			}
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
		case events.TypeProvisioned:
			if _, err := events.ProvisionedFrom(e); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		case events.TypeProvisioningFailed:
			if _, err := events.FailedFrom(e); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		case events.TypeProgress:
			if _, err := events.ProgressFrom(e); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, slices.Sorted(slices.Values(allTypes))) {
		t.Errorf("examples of %v only", got)
	}
}

// Invariant 10: a change that breaks a sample fails its schema. A change is a path and the new value; remove{} removes
// the member.
func TestSchemasReject(t *testing.T) {
	t.Parallel()
	type remove struct{}
	all := samples(t)
	for sample, changes := range map[string]map[string]any{
		"requested": {
			"specversion": "0.3", "id": "", "source": "", "type": "x", "time": "now", "datacontenttype": "text/plain", "data": remove{},
			"data/tenant_id": "a b", "data/display_name": "", "data/created_by": json.Number("1"), "data/isolation_strategy": "table",
			"data/plan": "",
		},
		"requested_database": {"data/plan": json.Number("1")},
		"provisioned_schema": {
			"id": remove{}, "time": remove{}, "datacontenttype": "text/plain", "data/tenant_id": remove{}, "data/schema_name": remove{},
			"data/database_path": "x", "data/isolation_strategy": "database", "data/request": remove{}, "data/request/id": remove{},
			"data/request/key": strings.Repeat("A", 64), "data/steps/0/name": "x",
			"data/warnings": nil, "data/steps": nil, "data/attempts": json.Number("0"), "data/replay": json.Number("-1"),
			"data/prepared": "no", "data/definition": "5B1E0C7A94F2D386", "data/created_at": "now", "data/duration_ms": json.Number("-1"), "data/tables": json.Number("1.5"),
		},
		"provisioned_database": {
			"data/database_path": remove{}, "data/schema_name": "x", "data/warnings/0/code": remove{}, "data/warnings/0/step/name": "x",
			"data/steps/0/duration_ms": remove{}, "data/steps/0/number": json.Number("1000"),
			"data/plan": remove{}, "data/plan_limits/max_bytes": json.Number("0"), "data/plan_limits/max_rows": "100000",
		},
		"failed_tenant_exists": {
			"data/cause": remove{}, "data/cause/code": "OTHER", "data/cause/message": "", "data/step": remove{}, "data/replayable": remove{},
			"data/dead_letter/subject": "x", "data/left_behind": nil, "data/request": remove{}, "data/tenant_id": json.Number("1"),
		},
		"failed_undecodable": {
			"data/tenant_id": "acme", "data/request": map[string]any{"source": "/s", "id": "1"}, "data/cause/code": "TENANT_EXISTS",
		},
		"progress_started": {
			"data/tenant_id": "a b", "data/request": remove{}, "data/attempt": json.Number("0"), "data/state": "running",
			"data/step/number": json.Number("8"), "data/duration_ms": json.Number("1"), "subject": "",
		},
		"progress_done": {"data/duration_ms": json.Number("-1"), "data/replay": remove{}, "type": "tenant.progress.acme"},
	} {
		_, body := encode(t, all[sample])
		s := schema(t, all[sample].Type(), "")
		for where, value := range changes {
			t.Run(sample+"/"+where, func(t *testing.T) {
				t.Parallel()
				v := parse(t, body)
				keys := strings.Split(where, "/")
				at := v
				for _, key := range keys[:len(keys)-1] {
					if list, ok := at.([]any); ok {
						at = list[key[0]-'0']
					} else {
						at = at.(map[string]any)[key]
					}
				}
				object := at.(map[string]any)
				if _, gone := value.(remove); gone {
					delete(object, keys[len(keys)-1])
				} else {
					object[keys[len(keys)-1]] = value
				}
				if s.Validate(v) == nil {
					t.Errorf("passes with %v", value)
				}
			})
		}
	}
}

// Invariant 10: the schemas accept outcomes of earlier versions, which have no request.key.
func TestSchemasAcceptEarlierOutcomes(t *testing.T) {
	t.Parallel()
	all := samples(t)
	for _, name := range []string{"provisioned_schema", "provisioned_database", "failed_tenant_exists", "failed_attempts_exhausted"} {
		_, body := encode(t, all[name])
		v := parse(t, body)
		request := v.(map[string]any)["data"].(map[string]any)["request"].(map[string]any)
		if request["key"] != events.RequestKey(billing, requestID) {
			t.Errorf("%s: request %v", name, request)
		}
		delete(request, "key")
		if err := schema(t, all[name].Type(), "").Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Invariant 10: one rule for tenant ids and texts, in Go and in the schema.
func TestSchemaAgreesWithValidate(t *testing.T) {
	t.Parallel()
	data := schema(t, events.TypeRequested, "#/$defs/data")
	check := func(r events.Requested, legal bool) {
		t.Helper()
		inGo := r.Validate() == nil
		inSchema := data.Validate(map[string]any{
			"tenant_id": r.TenantID, "display_name": r.DisplayName, "created_by": r.CreatedBy,
		}) == nil
		if inGo != legal || inSchema != legal {
			t.Errorf("%.80q: Go %t, schema %t, want %t", r, inGo, inSchema, legal)
		}
	}
	for id, legal := range map[string]bool{
		"a": true, "A-b_9": true, "-": true, "_": true, strings.Repeat("x", 255): true, "_docex_": true, "_docex": true,
		"x_docex_a_": true, "_docex_a": true, "_DOCEX_a_": true, "_docex_a_b": true, "1": true,
		"": false, strings.Repeat("x", 256): false, "a b": false, "a.b": false, "ä": false, "a\n": false, "\na": false,
		"a\x00": false, "../a": false, "a/b": false, `a"`: false, "a;": false, "_docex_system_": false, "_docex__": false,
		"docex_first_tenant": false, "docex_first_tenant_": true, "xdocex_first_tenant": true, "DOCEX_FIRST_TENANT": true,
		"_docex_a_b_": false, "_docex_-_": false, "ａ": false, "a\u200b": false, "%41": false, " a": false,
	} {
		check(events.Requested{TenantID: id, DisplayName: "d", CreatedBy: "c"}, legal)
		if (events.ValidateTenantID(id) == nil) != legal {
			t.Errorf("%q", id)
		}
	}
	for text, legal := range map[string]bool{
		"x": true, " ": true, "Zürich “1”": true, strings.Repeat("😀", 255): true, "a\u200bb": true,
		"": false, strings.Repeat("😀", 256): false, "a\nb": false, "\x00": false, "\x7f": false, "\u0085": false, "\u009f": false,
	} {
		check(events.Requested{TenantID: "a", DisplayName: text, CreatedBy: "c"}, legal)
		check(events.Requested{TenantID: "a", DisplayName: "d", CreatedBy: text}, legal)
	}
}

// Invariant 10: one rule for the content type of the data.
func TestSchemaAgreesOnContentType(t *testing.T) {
	t.Parallel()
	s := schema(t, events.TypeRequested, "")
	for contentType, legal := range map[string]bool{
		"": true, "application/json": true, "Application/JSON; charset=UTF-8": true, "text/json": true, "model/json": true,
		"application/vnd.acme.v1+json": true, "image/x+json ;a=b": true,
		"json": false, "application/xml": false, "application/jsonx": false, "application/x-json": false, `text/plain;a="/json"`: false,
	} {
		text := bare(fmt.Sprintf(`"datacontenttype":%q,"data":%s`, contentType, requestData))
		e := must(t)(events.Decode(nil, []byte(text)))
		_, err := events.RequestedFrom(e)
		inSchema := s.Validate(parse(t, []byte(text)))
		if (err == nil) != legal || (inSchema == nil) != legal {
			t.Errorf("%q, want %t: Go %v, schema %v", contentType, legal, err, inSchema)
		}
	}
}

// Invariant 10: enumerations are the constants.
func TestSchemaEnumerations(t *testing.T) {
	t.Parallel()
	at := func(eventType string, keys ...string) []string {
		t.Helper()
		v := schemaText(t, eventType)
		for _, key := range keys {
			v = v.(map[string]any)[key]
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		var texts []string
		for _, item := range list {
			if s, ok := item.(string); ok {
				texts = append(texts, s)
			}
		}
		return texts
	}
	var codes []string
	for _, code := range events.CauseCodes() {
		codes = append(codes, string(code))
	}
	if diff := cmp.Diff(codes, at(events.TypeProvisioningFailed, "$defs", "cause", "properties", "code", "enum")); diff != "" {
		t.Errorf("cause codes:\n%s", diff)
	}
	strategies := []string{events.IsolationSchema, events.IsolationDatabase}
	for _, eventType := range allTypes[:2] {
		if diff := cmp.Diff(strategies, at(eventType, "$defs", "data", "properties", "isolation_strategy", "enum")); diff != "" {
			t.Errorf("strategies of %s:\n%s", eventType, diff)
		}
	}
	warnings := []string{events.WarnIndexFailed, events.WarnSchemaDiffers, events.WarnNotDocEXCompatible}
	if diff := cmp.Diff(warnings, at(events.TypeProvisioned, "$defs", "warning", "properties", "code", "examples")); diff != "" {
		t.Errorf("warnings:\n%s", diff)
	}
	steps := at(events.TypeProvisioned, "$defs", "step", "properties", "name", "enum")
	for _, eventType := range allTypes[2:] {
		if diff := cmp.Diff(steps, at(eventType, "$defs", "step", "properties", "name", "enum")); diff != "" || len(steps) == 0 {
			t.Errorf("steps of %s:\n%s", eventType, diff)
		}
	}
	states := []string{events.StepStarted, events.StepDone, events.StepFailed}
	if diff := cmp.Diff(states, at(events.TypeProgress, "$defs", "data", "properties", "state", "enum")); diff != "" {
		t.Errorf("states:\n%s", diff)
	}
	for _, eventType := range allTypes {
		if got := at(eventType, "properties", "type", "const"); !slices.Equal(got, []string{eventType}) {
			t.Errorf("type is %v", got)
		}
		if got := at(eventType, "$id"); !slices.Equal(got, []string{eventType + ".schema.json"}) {
			t.Errorf("$id is %v", got)
		}
	}
}
