package doctest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

const asyncapiPath = "docs/asyncapi.yaml"

// asyncapi has the fields of AsyncAPI 3.0 that the document uses; others are rejected. make asyncapi checks the
// document against the official schema.
type asyncapi struct {
	Version            string `json:"asyncapi"`
	Info               struct{ Title, Version, Description string }
	DefaultContentType string
	Servers            map[string]struct{ Host, Protocol, Description string }
	Channels           map[string]struct {
		Address, Title, Description string
		Servers                     []reference
		Parameters                  map[string]struct{ Description, Location string }
		Messages                    map[string]reference
		JetStream                   struct{ Stream, Consumer string } `json:"x-jetstream"`
	}
	Operations map[string]struct {
		Action, Title, Description string
		Channel                    reference
		Messages                   []reference
		Bindings                   bindings
	}
	Components struct {
		CorrelationIDs map[string]struct{ Description, Location string } `json:"correlationIds"`
		Schemas        map[string]any
		Messages       map[string]message
	}
}

type (
	reference struct {
		Ref string `json:"$ref"`
	}
	bindings struct {
		NATS struct {
			BindingVersion string
		}
	}
	message struct {
		Name, Title, Summary, ContentType string
		Headers                           reference
		CorrelationID                     reference `json:"correlationId"`
		Payload                           map[string]any
		Bindings                          bindings
		Examples                          []example
	}
	example struct {
		Name    string
		Headers map[string]string
		Payload any
	}
)

func readAsyncAPI(t *testing.T) (a asyncapi, tree any) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, asyncapiPath))
	testkit.Must(t, err)
	testkit.Must(t, yaml.UnmarshalStrict(source, &a))
	return a, readYAML(t, asyncapiPath)
}

// readYAML reads a file as JSON, so that numbers have the types that schemas expect.
func readYAML(t *testing.T, name string) any {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, name))
	testkit.Must(t, err)
	text, err := yaml.YAMLToJSONStrict(source)
	testkit.Must(t, err)
	return parse(t, string(text))
}

func parse(t *testing.T, text string) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	testkit.Must(t, err)
	return value
}

// Promise 6: the document has what AsyncAPI 3.0 requires, and no unknown fields.
func TestAsyncAPIIsWellFormed(t *testing.T) {
	t.Parallel()
	a, tree := readAsyncAPI(t)
	if a.Version != "3.0.0" || a.Info.Title == "" || a.Info.Version == "" || len(a.Servers) == 0 {
		t.Errorf("version %q, info %+v, servers %v", a.Version, a.Info, a.Servers)
	}
	for name, o := range a.Operations {
		if o.Action != "send" && o.Action != "receive" {
			t.Errorf("operation %s: action %q", name, o.Action)
		}
		for _, m := range o.Messages { // must belong to the operation's channel
			if !strings.HasPrefix(m.Ref, o.Channel.Ref+"/messages/") {
				t.Errorf("operation %s: %s is not a message of %s", name, m.Ref, o.Channel.Ref)
			}
		}
	}
	for name, c := range a.Channels {
		for _, part := range strings.Split(c.Address, ".") {
			parameter := strings.Trim(part, "{}")
			if _, has := c.Parameters[parameter]; has != (parameter != part) {
				t.Errorf("channel %s: parameters of %s are %v", name, c.Address, c.Parameters)
			}
		}
	}
	found := 0
	references(tree, func(ref string) {
		found++
		if err := resolve(t, tree, ref); err != "" {
			t.Errorf("%s: %s", ref, err)
		}
	})
	if found < 20 {
		t.Errorf("only %d references", found)
	}
}

// references calls fn with each reference of a document.
func references(node any, fn func(ref string)) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			if ref, ok := value.(string); ok && key == "$ref" {
				fn(ref)
			}
			references(value, fn)
		}
	case []any:
		for _, value := range node {
			references(value, fn)
		}
	}
}

// resolve follows a reference. If there is no target, it returns the reason.
func resolve(t *testing.T, tree any, ref string) string {
	t.Helper()
	u, err := url.Parse(ref)
	if err != nil {
		return err.Error()
	}
	if u.Path != "" {
		source, err := os.ReadFile(filepath.Join(root, path.Dir(asyncapiPath), u.Path))
		if err != nil {
			return err.Error()
		}
		tree = parse(t, string(source))
	}
	for _, key := range strings.Split(strings.TrimPrefix(u.Fragment, "/"), "/") {
		if key == "" {
			continue
		}
		object, _ := tree.(map[string]any)
		if tree = object[key]; tree == nil {
			return "there is no " + key
		}
	}
	return ""
}

// validator compiles the schemas of the document and of the files that it refers to. The returned function validates a
// value against the schema at a place in the document.
func validator(t *testing.T) func(place string, value any) error {
	t.Helper()
	const base = "file:///root/"
	_, tree := readAsyncAPI(t)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	testkit.Must(t, c.AddResource(base+asyncapiPath, tree))
	files, err := fs.Glob(events.Schemas, "schemas/*.json")
	testkit.Must(t, err)
	for _, file := range files {
		text, err := events.Schemas.ReadFile(file)
		testkit.Must(t, err)
		testkit.Must(t, c.AddResource(base+"events/"+file, parse(t, string(text))))
	}
	return func(place string, value any) error {
		s, err := c.Compile(base + asyncapiPath + place)
		if err != nil {
			return err
		}
		return s.Validate(value)
	}
}

// checkMessage validates headers and payload of a message that the document describes.
func checkMessage(t *testing.T, a asyncapi, name string, headers map[string]string, payload any) {
	t.Helper()
	valid := validator(t)
	m := a.Components.Messages[name]
	place := "#/components/messages/" + name + "/payload"
	if m.Payload["schema"] != nil {
		place += "/schema"
	}
	if err := valid(place, payload); err != nil {
		t.Errorf("%s, payload: %v", name, err)
	}
	object := map[string]any{}
	for header, value := range headers {
		object[header] = value
	}
	if err := valid(m.Headers.Ref, object); err != nil {
		t.Errorf("%s, headers: %v", name, err)
	}
}

// Promise 6: examples pass their schemas, and are those of package events.
func TestAsyncAPIExamples(t *testing.T) {
	t.Parallel()
	a, tree := readAsyncAPI(t)
	seen := map[string]bool{}
	for name, m := range a.Components.Messages {
		if len(m.Examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		list := at(tree, "components", "messages", name, "examples").([]any)
		for i, e := range m.Examples {
			payload := list[i].(map[string]any)["payload"]
			checkMessage(t, a, name, e.Headers, payload)
			text, err := json.Marshal(payload)
			testkit.Must(t, err)
			header := map[string][]string{}
			for key, value := range e.Headers {
				header[key] = []string{value}
			}
			got, err := events.Decode(header, text)
			if err != nil {
				t.Errorf("%s, %s: %v", name, e.Name, err)
				continue
			}
			original, err := events.Examples.ReadFile("examples/" + e.Name + ".json")
			testkit.Must(t, err)
			want, err := events.Decode(nil, original)
			testkit.Must(t, err)
			if diff := cmp.Diff(encoded(t, want), encoded(t, got)); diff != "" {
				t.Errorf("%s, %s is not events/examples/%s.json:\n%s", name, e.Name, e.Name, diff)
			}
			seen[e.Name+".json"] = true
		}
	}
	files, err := fs.Glob(events.Examples, "examples/*.json")
	testkit.Must(t, err)
	for _, file := range files {
		if !seen[path.Base(file)] {
			t.Errorf("%s is in no message of %s", file, asyncapiPath)
		}
	}
}

// Promise 6: names are those of the code.
func TestAsyncAPINames(t *testing.T) {
	t.Parallel()
	a, tree := readAsyncAPI(t)
	type names struct{ Address, Stream, Consumer string }
	got := map[string]names{}
	for name, c := range a.Channels {
		got[name] = names{c.Address, c.JetStream.Stream, c.JetStream.Consumer}
	}
	want := map[string]names{
		"requested":          {events.TypeRequested, events.StreamRequests, events.DurableConsumer},
		"provisioned":        {events.TypeProvisioned, events.StreamEvents, ""},
		"provisioningFailed": {events.TypeProvisioningFailed, events.StreamEvents, ""},
		"deadLetter":         {events.SubjectDeadLetterPrefix + "{key}", events.StreamDeadLetters, ""},
		"progress":           {events.SubjectProgressPrefix + "{tenant_id}", "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("channels:\n%s", diff)
	}
	schemas := at(tree, "components", "schemas")
	for _, headers := range []string{"structuredHeaders", "binaryHeaders"} {
		if at(schemas, headers, "properties", handler.ReplayHeader) == nil {
			t.Errorf("%s: no %s", headers, handler.ReplayHeader)
		}
	}
	for _, headers := range []string{"structuredHeaders", "outcomeHeaders", "progressHeaders"} {
		properties := at(schemas, headers, "properties").(map[string]any)
		if properties["content-type"] == nil {
			t.Errorf("%s: no content-type", headers)
		}
	}
	deadLetter := at(schemas, "deadLetterHeaders", "properties")
	if diff := cmp.Diff(causeCodes(), texts(at(deadLetter, "Dead-Letter-Reason", "enum"))); diff != "" {
		t.Errorf("cause codes:\n%s", diff)
	}
	var steps []string
	for _, s := range pipeline.AllSteps() {
		steps = append(steps, s.Name)
	}
	for _, name := range []string{events.TypeProgress, events.TypeProvisioned, events.TypeProvisioningFailed} {
		text, err := events.Schemas.ReadFile("schemas/" + name + ".schema.json")
		testkit.Must(t, err)
		step := at(parse(t, string(text)), "$defs", "step", "properties")
		if diff := cmp.Diff(steps, texts(at(step, "name", "enum"))); diff != "" {
			t.Errorf("steps in the schema of %s:\n%s", name, diff)
		}
		if got := at(step, "number", "maximum"); fmt.Sprint(got) != strconv.Itoa(len(steps)-1) {
			t.Errorf("the schema of %s allows step numbers up to %v, want %d", name, got, len(steps)-1)
		}
	}
	if diff := cmp.Diff(steps, texts(at(deadLetter, "Dead-Letter-Step", "enum"))); diff != "" {
		t.Errorf("steps:\n%s", diff)
	}
	if v := at(schemas, "outcomeHeaders", "properties", "content-type", "const"); v != events.ContentType {
		t.Errorf("content type of outcomes is %v", v)
	}
}

// at returns the value at a place in a tree; nil if there is none.
func at(node any, keys ...string) any {
	for _, key := range keys {
		switch n := node.(type) {
		case map[string]any:
			node = n[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(n) {
				return nil
			}
			node = n[i]
		default:
			return nil
		}
	}
	return node
}

func texts(node any) []string {
	list, _ := node.([]any)
	all := make([]string, len(list))
	for i, item := range list {
		all[i], _ = item.(string)
	}
	return all
}
