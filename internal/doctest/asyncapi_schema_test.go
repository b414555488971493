//go:build asyncapi

package doctest

import (
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/tenant-provisioner/internal/testkit"
)

// The official schema of AsyncAPI 3.0, schemas/3.0.0.json of asyncapi/spec-json-schemas, accepts the document. It is in
// no Go module, and not part of this project.
func TestAsyncAPIAgainstTheOfficialSchema(t *testing.T) {
	t.Parallel()
	file := os.Getenv("ASYNCAPI_SCHEMA")
	if file == "" {
		t.Fatal("ASYNCAPI_SCHEMA is not set; set it to the path of a copy of schemas/3.0.0.json of " +
			"https://github.com/asyncapi/spec-json-schemas")
	}
	text, err := os.ReadFile(file)
	testkit.Must(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	testkit.Must(t, c.AddResource("file:///asyncapi.json", parse(t, string(text))))
	s, err := c.Compile("file:///asyncapi.json")
	testkit.Must(t, err)
	_, tree := readAsyncAPI(t)
	if err := s.Validate(tree); err != nil {
		t.Error(err)
	}
	delete(tree.(map[string]any), "info")
	if s.Validate(tree) == nil {
		t.Error("the schema accepts a document without info: it is not that of AsyncAPI 3.0")
	}
}
