package structure

import (
	"slices"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

func object(kind, parent, name string, properties ...string) Object {
	o := Object{Kind: kind, Parent: parent, Name: name}
	for i := 0; i < len(properties); i += 2 {
		o.Properties = append(o.Properties, Property{Name: properties[i], Value: properties[i+1]})
	}
	return o
}

func texts(differences []Difference) (all []string) {
	for _, d := range differences {
		all = append(all, d.Text)
	}
	return all
}

// The reference is what boundaries of different tenants have in common. What depends on the tenant is named, and never
// reported as a difference of a third.
func TestCommon(t *testing.T) {
	t.Parallel()
	of := func(tenant string) Structure {
		return New([]Object{
			object("table", "", "t"), object("table", "", "log_"+tenant), object(Column, "log_"+tenant, "n"),
			object(Column, "t", "tenant", Type, "text", Default, "'"+tenant+"'"),
			object("function", "", "f()", "language", "sql", "body", "SELECT '"+tenant+"'"),
			object("function", "", "g()", "cost", strings.TrimPrefix(tenant, "a")), // not set for one of them
			object("unique index", "t", "key_"+tenant),
		}, []string{"type shell: its kind is not compared"})
	}
	reference := Common(of("a"), of("b"))
	want := []string{
		"column t.tenant: its default depends on the tenant",
		"function f(): its body depends on the tenant", "function g(): its cost depends on the tenant",
		"table log_a: its name, or whether it is made, depends on the tenant",
		"type shell: its kind is not compared",
		"unique index key_a on t: its name, or whether it is made, depends on the tenant",
	}
	if !slices.Equal(reference.Unreadable, want) {
		t.Errorf("%q, want %q", reference.Unreadable, want)
	}
	found := of("c")
	got := Compare(reference, found)
	if want := []string{"table log_c is not in the definition", "unique index key_c on t is not in the definition"}; !slices.Equal(texts(got), want) ||
		slices.ContainsFunc(got, func(d Difference) bool { return !d.Tolerated }) {
		t.Errorf("%q, want %q, tolerated", texts(got), want)
	}
	found.Objects = slices.DeleteFunc(found.Objects, func(o Object) bool { return o.Name == "f()" })
	testkit.Contains(t, "differences", strings.Join(texts(Compare(reference, found)), "\n"), "function f() is missing")
	testkit.Equal(t, "fingerprint", Common(of("b"), of("a")).Fingerprint(), Common(of("a"), of("d")).Fingerprint())
	if reference.Fingerprint() == of("a").Fingerprint() {
		t.Error("the fingerprint is that of a tenant")
	}
}

// The order in which an engine returns objects does not matter, the order of columns does, and a property that is not set
// is the same as one that does not exist.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	column := func(name string, place int) Object {
		o := object(Column, "t", name, Type, "text", Default, "")
		o.Place = place
		return o
	}
	of := func(objects ...Object) string { return New(objects, nil).Fingerprint() }
	want := of(object("table", "", "t"), column("b", 1), column("a", 2))
	testkit.Equal(t, "length", len(want), fingerprintLength)
	testkit.Equal(t, "other order", of(column("a", 3), object("table", "", "t", "options", ""), column("b", 2)), want)
	if of(object("table", "", "t"), column("a", 1), column("b", 2)) == want {
		t.Error("the order of columns does not matter")
	}
}

func TestUncast(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"'active'::character varying": "active",
		"'active'::text":              "active",
		"'{}'::jsonb":                 "{}",
		"'a''b'::text":                "a''b",
		"0":                           "0",
		"'-1'::bigint":                "-1",
		"(-1)":                        "-1",
		"1.5":                         "1.5",
		"'x'::character varying(5)":   "x",
		"'2000-01-01'::timestamp(3) without time zone": "2000-01-01",
		"now()":                  "now()",
		"'a'::text || 'b'::text": "'a'::text || 'b'::text",
		"nextval('s'::regclass)": "nextval('s'::regclass)",
		"('now'::text)::timestamp without time zone": "('now'::text)::timestamp without time zone",
		"'x'::mood": "x",
		"(CURRENT_TIMESTAMP)::timestamp with time zone(3)": "(CURRENT_TIMESTAMP)::timestamp with time zone(3)",
	} {
		testkit.Equal(t, value, uncast(value), want)
	}
}

// Messages are one line, show what is different, and stay short.
func TestExcerpts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 200)
	a, b := excerpts(long+"one\n"+long, long+"two\n"+long)
	for _, text := range []string{a, b} {
		if strings.Contains(text, "\n") || len(text) > maxExcerpt+20 || !strings.HasPrefix(text, "…ä") || strings.Contains(text, `\x`) {
			t.Errorf("%q", text)
		}
	}
	testkit.Contains(t, "first", a, "one")
	testkit.Contains(t, "second", b, "two")
	if a, b = excerpts("", long+"x"); a != "not set" || !strings.HasSuffix(b, "ä…") {
		t.Errorf("%q %q", a, b)
	}
	if a, b = excerpts(long, long+"x"); a == b {
		t.Errorf("%q", a)
	}
}
