package structure

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/tenant-provisioner/internal/sql"
)

// DifferenceKind says what is different.
type DifferenceKind int

// The kinds of differences.
const (
	Missing DifferenceKind = iota // the reference has it, the boundary does not
	Changed
	Added // the boundary has it, the reference does not
)

// Difference is one difference between a boundary and the reference.
type Difference struct {
	Kind   DifferenceKind
	Object Object // as the reference has it; of [Added], as the boundary has it
	Text   string // for people, on one line
	// Tolerated: the boundary works as the reference does, though slower or with more in it. All others are drift.
	Tolerated bool
}

// Compare returns in what a boundary differs from the reference.
//
// A column may have a wider type, as [sql.Holds] defines it. Tolerated are a missing plain index, another order of
// columns (upgrade adds them at the end), and additions that leave what the reference has as it is: objects that stand
// alone, plain indexes, and columns that fill themselves. The parts of a missing or an added table are not named.
func Compare(reference, found Structure) []Difference {
	c := comparison{}
	has, wants := found.byKey(), reference.byKey()
	missing, added := onlyIn(reference, has), onlyIn(found, wants)
	for _, want := range reference.Objects {
		got, ok := has[want.key()]
		switch {
		case ok:
			c.properties(want, got)
		case !missing[want.Parent]:
			c.add(Missing, want, isPlainIndex(want), "%s is missing", want)
		}
	}
	c.columnOrder(reference, found)
	for _, got := range found.Objects {
		if _, ok := wants[got.key()]; !ok && !added[got.Parent] {
			c.add(Added, got, isHarmless(got) || reference.varies(got), "%s is not in the definition", got)
		}
	}
	return c.differences
}

// onlyIn returns the names of objects with parts that only one of two structures has.
func onlyIn(one Structure, other map[key]Object) map[string]bool {
	names := map[string]bool{}
	for _, o := range one.Objects {
		if _, ok := other[o.key()]; !ok && o.Parent == "" && slices.Contains(containers, o.Kind) {
			names[o.Name] = true
		}
	}
	return names
}

// containers are the kinds that other objects belong to. In one boundary no two of them have the same name.
var containers = []string{"table", "virtual table", "foreign table", "view", "materialized view", "type", "domain"}

type comparison struct{ differences []Difference }

func (c *comparison) add(kind DifferenceKind, o Object, tolerated bool, format string, args ...any) {
	c.differences = append(c.differences, Difference{
		Kind: kind, Object: o, Text: fmt.Sprintf(format, args...), Tolerated: tolerated,
	})
}

func isPlainIndex(o Object) bool { return o.Kind == Index && o.get(IndexKind).Value == PlainIndex }

// isHarmless reports whether an added object leaves what the reference has as it is.
func isHarmless(o Object) bool {
	if o.Kind == Column {
		return o.get(Generated).Value == "" && o.get(Domain).Value == "" && o.get(Constraints).Value == "" &&
			(o.get(NotNull).Value == "" || o.get(Default).Value != "" || o.get("identity").Value != "")
	}
	return o.Parent == "" || isPlainIndex(o)
}

// properties compares one object.
func (c *comparison) properties(want, got Object) {
	wider := false
	if want.Kind == Column {
		w, g := want.get(Type).Value, got.get(Type).Value
		wider = w != g && sql.Holds(g, w)
	}
	compare := func(w, g Property) {
		switch {
		case w.Varies || g.Varies || w.Value == g.Value:
		case wider && w.Name == Type:
		case wider && w.Name == Default && uncast(w.Value) == uncast(g.Value):
		case w.Name == Type || w.Name == Definition:
			is, wants := excerpts(g.Value, w.Value)
			c.add(Changed, want, false, "%s is %s, want %s", want, is, wants)
		default:
			is, wants := excerpts(g.Value, w.Value)
			c.add(Changed, want, false, "%s: %s is %s, want %s", want, w.Name, is, wants)
		}
	}
	for _, w := range want.Properties {
		compare(w, got.get(w.Name))
	}
	for _, g := range got.Properties {
		if w := want.get(g.Name); w.Value == "" && !w.Varies {
			compare(w, g)
		}
	}
}

// castLiteral matches a literal with the casts that PostgreSQL adds to the default of a column.
var castLiteral = regexp.MustCompile(`^(?:(E?'(?:[^']|'')*')|\(?(-?[0-9.]+)\)?)(?:::[a-z ]+(?:\([0-9,]+\)[a-z ]*)?)*$`)

// uncast returns a default without the casts to its column's type: of '0'::bigint and 0, it returns 0.
func uncast(value string) string {
	m := castLiteral.FindStringSubmatch(value)
	if m == nil {
		return value
	}
	return strings.Trim(m[1]+m[2], "'")
}

// columnOrder compares the order of the columns that both have.
func (c *comparison) columnOrder(reference, found Structure) {
	has, wants := found.byKey(), reference.byKey()
	order := func(s Structure, other map[key]Object) map[string][]string {
		names := map[string][]string{}
		for _, o := range s.Objects {
			if _, both := other[o.key()]; both && o.Place > 0 {
				names[o.Parent] = append(names[o.Parent], o.Name)
			}
		}
		return names
	}
	got := order(found, wants)
	want := order(reference, has)
	for _, o := range reference.Objects {
		if slices.Contains(containers, o.Kind) && !slices.Equal(want[o.Name], got[o.Name]) {
			is, wanted := excerpts(strings.Join(got[o.Name], ", "), strings.Join(want[o.Name], ", "))
			c.add(Changed, o, o.Kind != "type", "%s: the order of columns is %s, want %s", o, is, wanted)
		}
	}
}

// Common returns what two boundaries have in common that were made for different tenants: the reference for all others.
// A property that differs depends on the tenant, and so does an object that only one has: by its name, or because it is
// made for some tenants only. Neither can be compared with other tenants, so they are named among Unreadable.
func Common(a, b Structure) Structure {
	common := Structure{Unreadable: slices.Clone(a.Unreadable), Varying: slices.Clone(a.Varying)}
	has, wants := b.byKey(), a.byKey()
	common.vary(a, has)
	common.vary(b, wants)
	for _, o := range a.Objects {
		other, ok := has[o.key()]
		if !ok {
			continue
		}
		var properties []Property
		for _, name := range propertyNames(o, other) {
			p := o.get(name)
			if q := other.get(name); p != q && !p.Varies {
				p = Property{Name: name, Varies: true}
				common.Unreadable = append(common.Unreadable, fmt.Sprintf("%s: its %s depends on the tenant", o, name))
			}
			properties = append(properties, p)
		}
		o.Properties = properties
		common.Objects = append(common.Objects, o)
	}
	s := New(common.Objects, common.Unreadable)
	s.Varying = common.Varying
	return s
}

// vary adds the objects that only one of two structures has. Not named are the parts of a table that the other lacks,
// and objects of which the other probably has the same under another name.
func (s *Structure) vary(one Structure, other map[key]Object) {
	added, known := onlyIn(one, other), slices.Clone(s.Varying)
	for _, o := range one.Objects {
		if _, ok := other[o.key()]; !ok && !added[o.Parent] && !(Structure{Varying: known}).varies(o) {
			s.Varying = append(s.Varying, Object{Kind: o.Kind, Parent: o.Parent})
			s.Unreadable = append(s.Unreadable, o.String()+": its name, or whether it is made, depends on the tenant")
		}
	}
}

// varies reports whether an object is of those that depend on the tenant by their names.
func (s Structure) varies(o Object) bool {
	return slices.ContainsFunc(s.Varying, func(v Object) bool { return v.Kind == o.Kind && v.Parent == o.Parent })
}

// propertyNames returns the names of the properties of both.
func propertyNames(a, b Object) []string {
	var names []string
	for _, p := range slices.Concat(a.Properties, b.Properties) {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

const (
	maxExcerpt = 160 // bytes of a value in a message
	maxContext = 40  // bytes of what two values have in common, before their difference
)

// excerpts returns two different values for a message. Of long ones, it returns the part from their first difference
// on.
func excerpts(a, b string) (shortA, shortB string) {
	skip := 0
	if len(a) > maxExcerpt || len(b) > maxExcerpt {
		common := 0
		for common < min(len(a), len(b)) && a[common] == b[common] {
			common++
		}
		skip = max(0, common-maxContext)
		for skip > 0 && !utf8.RuneStart(a[skip]) {
			skip--
		}
	}
	return excerpt(a, skip), excerpt(b, skip)
}

func excerpt(value string, skip int) string {
	if value == "" {
		return "not set"
	}
	before, after := "", ""
	if skip > 0 {
		before = "…"
	}
	value = value[skip:]
	if len(value) > maxExcerpt {
		value, after = value[:maxExcerpt], "…"
		for !utf8.ValidString(value) {
			value = value[:len(value)-1]
		}
	}
	return before + escape(value) + after
}

// escape returns a text on one line: control characters are escaped.
func escape(text string) string {
	quoted := strconv.Quote(text)
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(quoted[1 : len(quoted)-1])
}
