package doctest

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

var update = flag.Bool("update", false, "write the schemas of events/schemas into docs/asyncapi.yaml")

// The lines of docs/asyncapi.yaml between which its schemas are generated.
const (
	bundleBegin = "    # Generated from events/schemas: go test ./internal/doctest -run OneFile -update\n"
	bundleEnd   = "    # End of what is generated.\n"
)

// Promise 6: the document is one file, which a partner can be given: it refers to nothing outside, and its schemas are
// those of events/schemas. Their $id is left out: with it, references would be looked up below it.
func TestAsyncAPIIsOneFile(t *testing.T) {
	t.Parallel()
	_, tree := readAsyncAPI(t)
	references(tree, func(ref string) {
		if !strings.HasPrefix(ref, "#/") {
			t.Errorf("%s is outside of the file", ref)
		}
	})
	var block strings.Builder
	files, err := fs.Glob(events.Schemas, "schemas/*.json")
	testkit.Must(t, err)
	for _, file := range files {
		text, err := events.Schemas.ReadFile(file)
		testkit.Must(t, err)
		name := strings.TrimSuffix(path.Base(file), ".schema.json")
		schema := moved(parse(t, string(text)), "#/components/schemas/"+name).(map[string]any)
		delete(schema, "$id")
		delete(schema, "$schema")
		block.WriteString("    " + name + ": " + flow(t, schema))
	}
	file := filepath.Join(root, asyncapiPath)
	source, err := os.ReadFile(file)
	testkit.Must(t, err)
	before, rest, begins := strings.Cut(string(source), bundleBegin)
	is, after, ends := strings.Cut(rest, bundleEnd)
	switch {
	case !begins || !ends:
		t.Fatalf("%s has no place for the schemas, between the lines\n%s%s", asyncapiPath, bundleBegin, bundleEnd)
	case is == block.String():
	case *update:
		testkit.Must(t, os.WriteFile(file, []byte(before+bundleBegin+block.String()+bundleEnd+after), 0o644))
	default:
		t.Errorf("%s has other schemas than events/schemas; go test ./internal/doctest -run OneFile -update writes them",
			asyncapiPath)
	}
}

// flow writes a value as JSON that is YAML too: YAML has fewer characters that need no escape.
func flow(t *testing.T, value any) string {
	t.Helper()
	var text, b strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("      ", "  ")
	testkit.Must(t, e.Encode(value))
	for _, r := range text.String() {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xFFFF:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			fmt.Fprintf(&b, "\\U%08X", r)
		}
	}
	return b.String()
}

// moved returns a schema whose references within it lead to the place where it is now.
func moved(node any, place string) any {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			if ref, ok := value.(string); ok && key == "$ref" {
				node[key] = place + strings.TrimPrefix(ref, "#")
				continue
			}
			node[key] = moved(value, place)
		}
	case []any:
		for i, value := range node {
			node[i] = moved(value, place)
		}
	}
	return node
}
