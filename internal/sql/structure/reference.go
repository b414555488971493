package structure

import (
	"slices"

	"example.com/tenant-provisioner/internal/pipeline"
)

// Reference is what every boundary must have: what a scratch tenant's boundary had. It leaves the built-in tables to
// [sql.Compare], which accepts there what DocEX and earlier versions have made.
type Reference struct {
	Definition string    `json:"-"`                  // the fingerprint of all that a boundary has
	BuiltIn    []string  `json:"built_in,omitempty"` // the tables of the built-in definition
	Own        Structure `json:"own"`                // what a boundary has beyond these
}

// NewReference returns the reference of boundaries like that one. builtIn is what it had before the scripts ran.
func NewReference(builtIn, made Structure) Reference {
	r := Reference{Definition: made.Fingerprint(), Own: made}
	for _, o := range builtIn.Objects {
		if slices.Contains(containers, o.Kind) {
			r.BuiltIn = append(r.BuiltIn, o.Name)
		}
	}
	is := builtIn.byKey()
	r.Own.Objects = slices.DeleteFunc(slices.Clone(made.Objects), func(o Object) bool {
		_, ok := is[o.key()]
		return ok
	})
	return r
}

// Inspect adds to an inspection in what a tenant differs from the reference. madeBy is the definition that the registry
// has for the tenant.
func (r Reference) Inspect(in *pipeline.Inspection, found Structure, madeBy string) {
	drift, tolerated := r.Compare(found)
	earlier := ""
	if madeBy != r.Definition {
		earlier = "; the tenant was made by an earlier definition, without the scripts of today"
	}
	for _, text := range drift {
		in.Differences = append(in.Differences, "initialisation scripts: "+text+earlier)
	}
	for _, text := range tolerated {
		in.Warnings = append(in.Warnings, "initialisation scripts: "+text)
	}
}

// Count returns how many of the tables and indexes of the reference a boundary has.
func (r Reference) Count(found Structure) (tables, indexes int) {
	own := r.Own.byKey()
	found.Objects = slices.DeleteFunc(slices.Clone(found.Objects), func(o Object) bool {
		_, ok := own[o.key()]
		return !ok && !r.Own.varies(o)
	})
	return found.Count()
}

// Altered returns in what a boundary that no application has used differs from the reference. Of what Compare
// tolerates, only objects that may be those of one tenant are accepted.
func (r Reference) Altered(found Structure) (texts []string) {
	for _, d := range Compare(r.Own, found) {
		if d.Kind != Added || !r.Own.varies(d.Object) {
			texts = append(texts, d.Text)
		}
	}
	return texts
}

// Compare returns in what a boundary differs from the reference, and what of it is tolerated: see [Difference].
func (r Reference) Compare(found Structure) (drift, tolerated []string) {
	own := r.Own.byKey()
	found.Objects = slices.DeleteFunc(slices.Clone(found.Objects), func(o Object) bool {
		table := o.Parent
		if slices.Contains(containers, o.Kind) {
			table = o.Name
		}
		_, ok := own[o.key()]
		return !ok && slices.Contains(r.BuiltIn, table)
	})
	for _, d := range Compare(r.Own, found) {
		if d.Tolerated {
			tolerated = append(tolerated, d.Text)
		} else {
			drift = append(drift, d.Text)
		}
	}
	return drift, tolerated
}
