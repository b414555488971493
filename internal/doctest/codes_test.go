package doctest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
)

// causeCodes are the constants of package events, in their order, read from the source: a list would have to be kept.
func causeCodes(t *testing.T) (codes []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "events", "causes.go"), nil, 0)
	must(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != "CauseCode" {
			return true
		}
		for _, value := range spec.Values {
			code, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			must(t, err)
			codes = append(codes, code)
		}
		return true
	})
	if len(codes) < 10 || codes[0] != string(events.CauseUndecodableEvent) {
		t.Fatalf("cause codes: %v", codes)
	}
	return codes
}

// encoded is an event in structured mode, as a tree, which is equal for equal events.
func encoded(t *testing.T, e event.Event) any {
	t.Helper()
	_, body, err := events.Encode(e)
	must(t, err)
	return parse(t, string(body))
}
