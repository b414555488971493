package sql_test

import (
	"crypto/rand"
	"path"
	"regexp"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestSchemaTemplates(t *testing.T) {
	t.Parallel()
	for template, ok := range map[string]bool{
		"tenant_{tenant_id}":                    true,
		"{tenant_id}_t":                         false, // the id pg_x gives pg_x_t
		"{tenant_id}":                           false,
		"tenant":                                false, // no placeholder
		"":                                      false,
		"tenant_{TENANT_ID}":                    false,
		"public{tenant_id}":                     true, // never public alone
		"publi{tenant_id}":                      false,
		"PUBLI{tenant_id}":                      false, // operators overlook the case
		"p{tenant_id}":                          false, // pg_…
		"PG_{tenant_id}":                        false,
		"pg_{tenant_id}":                        false,
		"pgx{tenant_id}":                        true,
		"information_{tenant_id}":               false,
		"information_{tenant_id}_":              true,
		"docex_{tenant_id}":                     false, // docex_system, the registry's
		"docex_{tenant_id}tem":                  false,
		"docex_{tenant_id}_":                    true,
		"docex_{tenant_id}{tenant_id}":          false,
		"mandant_ä_{tenant_id}":                 true,
		`quote"_{tenant_id}`:                    true, // quoted where it is used
		"t\n{tenant_id}":                        false,
		"t\x00{tenant_id}":                      false,
		"t\xff{tenant_id}":                      false,
		strings.Repeat("x", 45) + "{tenant_id}": true,
		strings.Repeat("x", 46) + "{tenant_id}": false,
	} {
		if _, err := sql.NewSchemaTemplate(template, "docex_system"); (err == nil) != ok {
			t.Errorf("%q: %v", template, err)
		}
	}
}

// A template without a colon cannot give a tenant's schema the name of a prepared one.
func TestPreparedNames(t *testing.T) {
	t.Parallel()
	for template, ok := range map[string]bool{
		"tenant_{tenant_id}":                    true,
		"prepared_{tenant_id}":                  true,
		"prepared{tenant_id}":                   true,
		"prepared:{tenant_id}":                  false,
		"tenant_{tenant_id}:":                   false,
		":{tenant_id}":                          false,
		"prepared\uff1a{tenant_id}":             true, // another character that looks like a colon
		strings.Repeat("x", 45) + "{tenant_id}": true,
	} {
		names, err := sql.NewSchemaTemplate(template, "docex_system")
		testkit.Must(t, err)
		if names.Preparable() != ok {
			t.Errorf("%q: %v", template, !ok)
		}
	}
	one, two := sql.PreparedName(rand.Text()), sql.PreparedName(rand.Text())
	if one == two || len(one) > 63 || one != strings.ToLower(one) || !strings.HasPrefix(one, sql.PreparedPrefix) {
		t.Errorf("%q, %q", one, two)
	}
}

func TestFingerprints(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, ddl := range [][]string{{}, {""}, {"a", "b"}, {"ab"}, {"b", "a"}, {"a", "b", ""}, {"a\nb"}} {
		f := sql.Fingerprint(ddl...)
		if seen[f] || len(f) != 16 || f != sql.Fingerprint(ddl...) {
			t.Errorf("%q gives %q", ddl, f)
		}
		seen[f] = true
	}
}

func TestPathTemplates(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for template, ok := range map[string]bool{
		"tenant_{tenant_id}/docex.db":     true,
		"{tenant_id}.db":                  true,
		"{tenant_id}":                     false, // the id x-journal would be a file that SQLite keeps next to x
		"{tenant_id}/db-{tenant_id}":      false,
		"{tenant_id}-journal":             false,
		"a/b/{tenant_id}/c_{tenant_id}.x": true,
		"mandant_ü_{tenant_id}/docex.db":  true,
		"tenant/docex.db":                 false, // no placeholder
		"/{tenant_id}/docex.db":           false,
		"../{tenant_id}/docex.db":         false,
		"a/../{tenant_id}/docex.db":       false,
		"./{tenant_id}/docex.db":          false,
		"{tenant_id}/":                    false,
		"{tenant_id}//docex.db":           false,
		"{tenant_id}/..":                  false,
		`{tenant_id}\docex.db`:            false,
		"{tenant_id}/docex.db?mode=ro":    false,
		"{tenant_id}/docex#.db":           false,
		"{tenant_id}/%2e%2e/docex.db":     false,
		".building-{tenant_id}":           false, // names of files under construction
		"{tenant_id}/.docex.db":           false,
		"{tenant_id}/" + long:             false,
		long + "{tenant_id}":              false,
		"{tenant_id}." + long:             false,
	} {
		if _, err := sql.NewPathTemplate(template); (err == nil) != ok {
			t.Errorf("%q: %v", template, err)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	schemas, err := sql.NewSchemaTemplate("tenant_{tenant_id}", "docex_system")
	testkit.Must(t, err)
	paths, err := sql.NewPathTemplate("tenant_{tenant_id}/docex.db")
	testkit.Must(t, err)
	x56, x57, x255 := strings.Repeat("x", 56), strings.Repeat("x", 57), strings.Repeat("x", 255)
	for id, want := range map[string]string{
		"acme": "tenant_acme",
		x56:    "tenant_" + x56, // 63 bytes: unchanged
		x57:    "tenant_" + x57[:39] + "_ae14a2563ccf969d",
		x255:   "tenant_" + x57[:39] + "_d22609da3ae3956c",
	} {
		if got := schemas.Name(id); got != want {
			t.Errorf("schema of %.60s is %q, want %q", id, got, want)
		}
	}
	for id, want := range map[string]string{
		"acme": "tenant_acme/docex.db",
		x255:   "tenant_" + x255[:231] + "_d22609da3ae3956c/docex.db",
	} {
		if got := paths.Path(id); got != want {
			t.Errorf("path of %.60s is %q, want %q", id, got, want)
		}
	}
	flat, err := sql.NewPathTemplate("{tenant_id}.db")
	testkit.Must(t, err)
	if got := flat.Path(x255); len(got) != 255 || !strings.HasSuffix(got, "_d22609da3ae3956c.db") {
		t.Errorf("a component that is cut keeps its extension: %q", got)
	}
	umlauts, err := sql.NewSchemaTemplate("ä"+strings.Repeat("ö", 20)+"{tenant_id}ü", "docex_system")
	testkit.Must(t, err)
	if got := umlauts.Name(x255); len(got) > 63 || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("cut within a character: %q", got)
	}
}

// Ids that differ by more than case never share a boundary's name.
func TestNamesDiffer(t *testing.T) {
	t.Parallel()
	schemas, err := sql.NewSchemaTemplate("tenant_{tenant_id}", "docex_system")
	testkit.Must(t, err)
	paths, err := sql.NewPathTemplate("tenant_{tenant_id}/docex.db")
	testkit.Must(t, err)
	seen := map[string]string{}
	for _, stem := range []string{
		"a", "_", "-", strings.Repeat("x", 40), strings.Repeat("x", 55), strings.Repeat("x", 200),
	} {
		for _, tail := range []string{
			"", "0", "1", "_", "-", "00", "a", "b", strings.Repeat("y", 20), strings.Repeat("z", 50),
		} {
			id := stem + tail
			for _, name := range []string{schemas.Name(id), paths.Path(id)} {
				if other, taken := seen[name]; taken && other != id {
					t.Errorf("%q and %q both give %q", id, other, name)
				}
				seen[name] = id
			}
		}
	}
}

// mixed returns an id in upper and lower case, for fuzzing seeds.
const mixed = "Acme-GmbH_01"

func FuzzSchemaName(f *testing.F) {
	f.Add("acme")
	f.Add(strings.Repeat(mixed, 20))
	schemas, err := sql.NewSchemaTemplate("tenant_{tenant_id}", "docex_system")
	testkit.Must(f, err)
	f.Fuzz(func(t *testing.T, id string) {
		if events.ValidateTenantID(id) != nil {
			t.Skip()
		}
		name := schemas.Name(id)
		if len(name) > 63 || !strings.HasPrefix(name, "tenant_") || name != schemas.Name(id) {
			t.Errorf("%q gives %q", id, name)
		}
		if !strings.EqualFold(name, schemas.Name(strings.ToUpper(id))) {
			t.Errorf("%q and its upper case have different locks", id)
		}
	})
}

var plainPath = regexp.MustCompile(`^tenant_[A-Za-z0-9_-]{1,248}/docex\.db$`)

func FuzzDatabasePath(f *testing.F) {
	f.Add("acme")
	f.Add(strings.Repeat(mixed, 20))
	paths, err := sql.NewPathTemplate("tenant_{tenant_id}/docex.db")
	testkit.Must(f, err)
	f.Fuzz(func(t *testing.T, id string) {
		if events.ValidateTenantID(id) != nil {
			t.Skip()
		}
		if name := paths.Path(id); !plainPath.MatchString(name) || path.Clean(name) != name || name != paths.Path(id) {
			t.Errorf("%q gives %q", id, name)
		}
	})
}

// For every accepted template, no id leaves the root or exceeds the limits of a file system.
func FuzzTemplates(f *testing.F) {
	f.Add("tenant_{tenant_id}/docex.db", "acme")
	f.Add("Prepared{tenant_id}", ":x")
	f.Add("{tenant_id}.é", strings.Repeat("x", 255))
	f.Fuzz(func(t *testing.T, template, id string) {
		if events.ValidateTenantID(id) != nil {
			t.Skip()
		}
		if schemas, err := sql.NewSchemaTemplate(template, "docex_system"); err == nil {
			name := strings.ToLower(schemas.Name(id))
			if len(name) > 64 || name == "public" || name == "docex_system" || strings.HasPrefix(name, "pg_") {
				t.Errorf("%q and %q give %q", template, id, name)
			}
			if schemas.Preparable() && strings.HasPrefix(name, sql.PreparedPrefix) {
				t.Errorf("%q and %q give the name of a prepared boundary: %q", template, id, name)
			}
		}
		if paths, err := sql.NewPathTemplate(template); err == nil {
			name := paths.Path(id)
			if path.IsAbs(name) || path.Clean(name) != name || name == "." || strings.HasPrefix(name, "../") || name == ".." {
				t.Errorf("%q and %q give %q", template, id, name)
			}
			for part := range strings.SplitSeq(name, "/") {
				if len(part) > 255 {
					t.Errorf("%q and %q give a component of %d bytes", template, id, len(part))
				}
			}
		}
	})
}

// A name is recognized if and only if a tenant can have it.
func TestNamesThatATemplateGives(t *testing.T) {
	t.Parallel()
	ids := []string{"a", "acme", "A-1_b", "x_x", strings.Repeat("y", 60), strings.Repeat("z", 255)}
	for _, template := range []string{
		"tenant_{tenant_id}", "mandant_ä_{tenant_id}", "t{tenant_id}_x", "t_{tenant_id}_{tenant_id}",
	} {
		names, err := sql.NewSchemaTemplate(template, "docex_system")
		testkit.Must(t, err)
		for _, id := range ids {
			if name := names.Name(id); !names.Gives(name) {
				t.Errorf("%s does not give %s", template, name)
			}
		}
		for _, name := range []string{
			"", "tenant_", "public", "docex_system", "tenant_ä", "tenant__docex_system_", "t_a_b", "t_x", "Tenant_a",
			"tenant_" + strings.Repeat("y", 80),
		} {
			if names.Gives(name) {
				t.Errorf("%s gives %q", template, name)
			}
		}
	}
}
