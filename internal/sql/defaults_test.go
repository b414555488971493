package sql_test

import (
	"slices"
	"strings"
	"testing"
)

// hostileDefaults are SQL expressions, and how a message shows them. Empty: as the engine prints the expression.
var hostileDefaults = []struct{ name, expression, want string }{
	{"quote", `'WEI''RD'`, `'WEI''RD'`},
	{"only_quotes", `''''''`, `''''''`},
	{"empty", `''`, `''`},
	{"begins_with_a_quote", `'''active'`, `'''active'`},
	{"double_quotes", `'"active"'`, `'"active"'`},
	{"backslash", `'a\b'`, `'a\b'`},
	{"lines_and_colours", "'a\nb\x1b[31m'", `'a\nb\x1b[31m'`},
	{"percent", `'100%s'`, `'100%s'`},
	{"a_function", `'CURRENT_TIMESTAMP'`, `'CURRENT_TIMESTAMP'`},
	{"now", `'now'`, `'now'`},
	{"call", `'x now() '`, `'x now() '`},
	{"cast", `'active''::text'`, `'active''::text'`},
	{"two_texts", `('act' || 'ive')`, ""},
}

// A message shows another default as SQL writes it, whatever its text, and takes no text for an expression.
func TestHostileDefaultsAreNamed(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		read := p.reader(t)
		for _, d := range hostileDefaults {
			r.provision(t, d.name)
			if p.engine == "postgres" {
				p.raw(t, d.name, "ALTER TABLE {b}docbasket ALTER COLUMN status SET DEFAULT "+d.expression)
			} else {
				p.redefine(t, d.name, "docbasket", "DEFAULT 'active'", "DEFAULT "+d.expression)
			}
			got := verify(t, read, d.name).Differences
			want := "docbasket.status has default " + d.want + ", want 'active'"
			if d.want == "" {
				if len(got) != 1 || !strings.Contains(got[0], "'act'") || !strings.Contains(got[0], " || 'ive'") {
					t.Errorf("%s: %q", d.name, got)
				}
			} else if !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %q, want %q", d.name, got, want)
			}
		}
	})
}

// A text that names the function is no time, although SQLite accepts it for a column of times.
func TestTextIsNoTime(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	p.newFixture(t).provision(t, "acme")
	p.redefine(t, "acme", "docbasket", "DEFAULT CURRENT_TIMESTAMP", "DEFAULT 'CURRENT_TIMESTAMP'")
	got := verify(t, p.reader(t), "acme").Differences
	want := "docbasket.created_at has default 'CURRENT_TIMESTAMP', want the current time"
	if !slices.Equal(got, []string{want}) {
		t.Errorf("%q, want %q", got, want)
	}
}

// redefine replaces a part of the definition of a tenant's table, once, on SQLite.
func (p testDatabase) redefine(t *testing.T, tenant, table, part, with string) {
	t.Helper()
	text := p.lines(t, tenant, "SELECT sql FROM sqlite_schema WHERE name = '"+table+"'")[0]
	changed := strings.Replace(text, part, with, 1)
	if changed == text {
		t.Fatalf("%q is not in %s", part, text)
	}
	p.raw(t, tenant, "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = '"+strings.ReplaceAll(changed, "'", "''")+
		"' WHERE name = '"+table+"'")
}
