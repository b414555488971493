package sql_test

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/docextest"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// withDocEX loads what DocEX itself made into the empty database.
func (p testDatabase) withDocEX(t *testing.T) {
	t.Helper()
	if p.engine == "postgres" {
		docextest.Postgres(t, p.url, "")
	} else {
		docextest.SQLite(t, p.url)
	}
}

// docEXWarnings are parts of the warnings about a boundary that DocEX made: what it lacks, and its shorter paths.
var docEXWarnings = []string{
	"document.related_po is missing, and with it index idx_documents_related_po; DocEX does not use it",
	"document: source, path are narrower than defined (text)",
	"file_history: original_path, internal_path are narrower than defined (text)",
	"missing server defaults (DocEX sets these columns itself, other programs must too): docbasket.status, ",
}

// Nothing of a tenant that DocEX made is drift: what differs are warnings, each one named.
func TestTenantsOfDocEXHaveNotDrifted(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.withDocEX(t)
		tenants := []string{sql.BootstrapTenant}
		if p.engine == "postgres" {
			tenants = append(tenants, docextest.Tenants...)
		}
		read := p.reader(t)
		for _, tenant := range tenants {
			got := verify(t, read, tenant)
			if drift := got.Drift(); len(drift) > 0 || got.Tables != 11 || got.Indexes != 17 ||
				len(got.MissingIndexes) > 0 {
				t.Errorf("%s: %d tables, %d indexes, drift %q, missing %q", tenant, got.Tables, got.Indexes, drift, got.MissingIndexes)
			}
			warnings := got.Warned(0)
			testkit.Contains(t, tenant, strings.Join(warnings, "\n"), docEXWarnings...)
			want := 4
			if p.engine == "sqlite" { // DocEX registers itself at a path that it does not use
				want = 5
			}
			if len(warnings) != want {
				t.Errorf("%s: %d warnings: %q", tenant, len(warnings), warnings)
			}
			if n := len(got.NoDefaults); n < 32 || !strings.HasSuffix(warnings[want-1], got.NoDefaults[n-1]) {
				t.Errorf("%s: only %d columns without a default: %q", tenant, n, warnings)
			}
		}
	})
}

// objects are the definitions of everything in a boundary, one a line, in order.
func (p testDatabase) objects(t *testing.T, tenant string) []string {
	t.Helper()
	all := p.lines(t, tenant, strings.ReplaceAll(map[string]string{
		"postgres": `SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || a.attnotnull
				|| coalesce(' = ' || pg_get_expr(d.adbin, d.adrelid), '') || ' of ' || c.oid
			FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' AND a.attnum > 0
			LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			WHERE c.relnamespace = '"{s}"'::regnamespace
			UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) || oid FROM pg_constraint
			WHERE connamespace = '"{s}"'::regnamespace
			UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = '{s}'`,
		"sqlite": "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema",
	}[p.engine], "{s}", p.boundary(tenant)))
	slices.Sort(all)
	return all
}

// The boundary that a failed create() of DocEX leaves, with tables and without rows, is used as it is: whatever DocEX made
// keeps its definition, and nothing is added that it lacks. The outcome names what differs.
func TestEmptyBoundaryOfDocEXIsUsed(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.withDocEX(t)
		if p.engine == "sqlite" { // without its registry, no tenant is registered
			testkit.Must(t, os.RemoveAll(filepath.Dir(p.boundary(sql.BootstrapTenant))))
		} else {
			p.raw(t, "", "DROP SCHEMA docex_system CASCADE")
		}
		r := p.newFixture(t)
		const tenant = "d1"
		before := p.objects(t, tenant)
		if len(before) < 11+26 {
			t.Fatalf("only %d objects", len(before))
		}
		got := r.provision(t, tenant)
		if got.Tables != 11 || got.Indexes != 17 {
			t.Errorf("%d tables, %d indexes", got.Tables, got.Indexes)
		}
		expectDocEXWarnings(t, got)
		if after := p.objects(t, tenant); !slices.Equal(after, before) {
			t.Errorf("objects before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
	})
}

func expectDocEXWarnings(t *testing.T, got events.Provisioned) {
	t.Helper()
	var texts []string
	for _, w := range got.Warnings {
		if w.Code != events.WarnSchemaDiffers || w.Step.Name != "validate_schema" {
			t.Errorf("%+v", w)
		}
		texts = append(texts, w.Message)
	}
	testkit.Equal(t, "warnings", len(texts), 4)
	testkit.Contains(t, "the warnings", strings.Join(texts, "\n"), docEXWarnings...)
	if last := texts[len(texts)-1]; !strings.HasSuffix(last, " more") || strings.Count(last, ", ") != 4 {
		t.Errorf("an outcome names the first columns without a default, and how many more: %q", last)
	}
}

// The same if the schema is DocEX's and the service may only use it: an index that it may not create because it exists is
// not one that failed.
func TestEmptyBoundaryOfAnotherOwnerIsUsed(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.withDocEX(t)
	p.raw(t, "", "DROP SCHEMA docex_system CASCADE")
	testkit.Must(t, p.open(t).Close())
	role := p.limitedRole(t, "SELECT, INSERT, UPDATE")
	where, err := url.Parse(p.url)
	testkit.Must(t, err)
	p.raw(t, "d1", "GRANT CREATE ON DATABASE "+strings.TrimPrefix(where.Path, "/")+" TO "+role,
		"GRANT ALL ON SCHEMA tenant_d1 TO "+role,
		"GRANT ALL ON ALL TABLES IN SCHEMA tenant_d1 TO "+role)
	r := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }).newFixture(t)
	got := r.provision(t, "d1")
	owner := slices.IndexFunc(got.Warnings, func(w events.Warning) bool {
		return strings.Contains(w.Message, `another role, which can change and drop them; run as a superuser: ALTER SCHEMA "tenant_d1"`)
	})
	if owner < 0 {
		t.Fatalf("%+v", got.Warnings)
	}
	got.Warnings = slices.Delete(got.Warnings, owner, owner+1)
	expectDocEXWarnings(t, got)
}
