package structure

import (
	"encoding/json"
	"slices"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// A reference has nothing to say about the built-in tables, except about what the scripts add to them. It does not
// change by being stored.
func TestReference(t *testing.T) {
	t.Parallel()
	table := object("table", "", "document", "options", "a")
	column := object(Column, "document", "id", Type, "integer")
	builtIn := New([]Object{table, column, object("foreign key", "document", "of_document")}, nil)
	own := []Object{
		object(Column, "document", "extra", Type, "text"), object("table", "", "mine"),
		object(Column, "mine", "id", Type, "integer"), object("trigger", "mine", "stamps"),
	}
	reference := NewReference(builtIn, New(slices.Concat(builtIn.Objects, own), nil))
	text, err := json.Marshal(reference)
	testkit.Must(t, err)
	var stored Reference
	testkit.Must(t, json.Unmarshal(text, &stored))

	found := []Object{
		object("table", "", "document", "options", "b"), object(Column, "document", "id", Type, "bigint"),
		object("unique key", "document", "of_docex"), object("table", "", "another"), object("view", "", "a_view"),
	}
	for name, test := range map[string]struct {
		found            []Object
		drift, tolerated []string
	}{
		"has all": {
			found: own, tolerated: []string{"table another is not in the definition", "view a_view is not in the definition"},
		},
		"has nothing of its own": {
			drift:     []string{"column document.extra is missing", "table mine is missing"},
			tolerated: []string{"table another is not in the definition", "view a_view is not in the definition"},
		},
		"has more on its own tables": {
			found:     append(slices.Clone(own), object("trigger", "mine", "drops")),
			drift:     []string{"trigger drops on mine is not in the definition"},
			tolerated: []string{"table another is not in the definition", "view a_view is not in the definition"},
		},
	} {
		for _, r := range []Reference{reference, stored} {
			drift, tolerated := r.Compare(New(slices.Concat(found, test.found), nil))
			if !slices.Equal(drift, test.drift) || !slices.Equal(tolerated, test.tolerated) {
				t.Errorf("%s: drift %q, tolerated %q", name, drift, tolerated)
			}
		}
	}
}
