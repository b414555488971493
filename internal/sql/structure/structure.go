// Package structure compares boundaries by everything in them: tables, functions, views and whatever else a database
// can have there. It does not know what a tenant should have; one boundary is the reference for the others. The engines
// read a boundary from their catalogue, in a form that does not depend on its name.
//
// Left aside, because they differ between tenants that are otherwise the same: rows, owners, privileges (default
// privileges too), comments, security labels, publications, tablespaces, whether a materialized view has its rows, the
// version of a collation, statistics, and on SQLite page size, encoding and the tables that SQLite itself makes.
//
// A text that the database returns for the same object is the same for all boundaries of one server. It is nearly the
// same for servers of different major versions: a later one may print a view, or an expression, in another way.
package structure

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Kinds of objects with rules of their own. An engine gives all others their names.
const (
	Column = "column"
	Index  = "index"
)

// Properties with rules of their own.
const (
	Type       = "type" // of a column: in the definition's spelling, see [sql.Holds]
	Definition = "definition"
	NotNull    = "not null"
	Default    = "default"
	Generated  = "generated"
	Domain     = "domain" // the column's type is a domain, which can refuse a value
	// Constraints are clauses of a definition that only its text shows.
	Constraints = "constraints"
	// IndexKind is the kind of an index: [PlainIndex], or one that can refuse a row.
	IndexKind  = "kind"
	PlainIndex = "plain"
)

// Property is one property of an object.
type Property struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"` // empty: not set
	// Varies: the value depends on the tenant, so it is not compared. See [Common].
	Varies bool `json:"varies,omitempty"`
}

// Object is something in a boundary.
type Object struct {
	Kind       string     `json:"kind"`
	Parent     string     `json:"parent,omitempty"` // the table, view or type that it belongs to; empty: it stands alone
	Name       string     `json:"name,omitempty"`
	Place      int        `json:"place,omitempty"` // of a column among the columns of its table
	Properties []Property `json:"properties,omitempty"`
}

// key identifies an object.
type key struct{ kind, parent, name string }

func (o Object) key() key { return key{o.Kind, o.Parent, o.Name} }

// get returns the value of a property.
func (o Object) get(property string) Property {
	for _, p := range o.Properties {
		if p.Name == property {
			return p
		}
	}
	return Property{Name: property}
}

// String names the object in messages, on one line.
func (o Object) String() string {
	switch {
	case o.Parent == "":
		return o.Kind + " " + escape(o.Name)
	case o.Kind == Column:
		return o.Kind + " " + escape(o.Parent) + "." + escape(o.Name)
	}
	return o.Kind + " " + escape(o.Name) + " on " + escape(o.Parent)
}

// Structure is what a boundary consists of.
type Structure struct {
	Objects []Object `json:"objects"` // in a fixed order
	// Unreadable names what is in the boundary and cannot be compared, with the reason.
	Unreadable []string `json:"-"`
	// Varying are objects that depend on the tenant by their names, without these. See [Common].
	Varying []Object `json:"varying,omitempty"`
}

// New returns the structure of these objects, in their order. Properties without a value are dropped.
func New(objects []Object, unreadable []string) Structure {
	for i, o := range objects {
		objects[i].Properties = slices.DeleteFunc(o.Properties, func(p Property) bool { return p.Value == "" && !p.Varies })
	}
	slices.SortStableFunc(objects, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Place, b.Place),
			cmp.Compare(a.Name, b.Name))
	})
	slices.Sort(unreadable)
	return Structure{Objects: objects, Unreadable: unreadable}
}

// fingerprintLength is 64 bits in hex, as of [sql.Fingerprint].
const fingerprintLength = 16

// Fingerprint identifies the structure. It does not depend on the boundary's name, on the session, or on what was left
// aside; it includes the order of columns.
func (s Structure) Fingerprint() string {
	var text []byte
	for _, o := range s.Objects {
		text = fmt.Appendf(text, "%q %q %q\n", o.Kind, o.Parent, o.Name)
		for _, p := range o.Properties {
			text = fmt.Appendf(text, "\t%q %q %t\n", p.Name, p.Value, p.Varies)
		}
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:fingerprintLength]
}

// Count returns the number of tables, and of indexes that belong to no key.
func (s Structure) Count() (tables, indexes int) {
	for _, o := range s.Objects {
		switch {
		case slices.Contains(tableKinds, o.Kind):
			tables++
		case o.Kind == Index:
			indexes++
		}
	}
	return tables, indexes
}

// tableKinds are the kinds of objects that hold rows of their own.
var tableKinds = []string{"table", "virtual table", "foreign table"}

// Contents names what is in the boundary, without the parts of other objects.
func (s Structure) Contents() (names []string) {
	for _, o := range s.Objects {
		if o.Parent == "" {
			names = append(names, o.String())
		}
	}
	return append(names, s.Unreadable...)
}

// byKey returns the objects by their keys.
func (s Structure) byKey() map[key]Object {
	objects := make(map[key]Object, len(s.Objects))
	for _, o := range s.Objects {
		objects[o.key()] = o
	}
	return objects
}
