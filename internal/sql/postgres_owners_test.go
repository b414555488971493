package sql_test

import (
	"net/url"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// asRole returns the database as a role sees it that may create schemas and work in the registry, and owns nothing else.
func (p testDatabase) asRole(t *testing.T) (limited testDatabase, role string) {
	t.Helper()
	testkit.Must(t, p.open(t).Close())
	role = p.limitedRole(t, "SELECT, INSERT, UPDATE")
	p.raw(t, "", "GRANT CREATE ON DATABASE "+databaseName(t, p)+" TO "+role)
	return p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }), role
}

// A boundary of another role that the service may not use fails its request with the SQL that helps: after it, the
// replay succeeds. A former owner that is not a superuser keeps the use of it.
func TestBoundaryOfAnotherOwnerNamesTheTransfer(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	limited, _ := p.asRole(t)
	r := limited.newFixture(t)
	owner := p.limitedRole(t, "SELECT")
	var all []string
	for _, table := range sql.Tables {
		all = append(all, "CREATE TABLE {b}"+table.Name+" (n integer)", "ALTER TABLE {b}"+table.Name+" OWNER TO "+owner)
	}
	for tenant, make := range map[string][]string{
		"empty":     {"ALTER SCHEMA {s} OWNER TO " + owner},
		"superuser": {},
		"usable":    {"ALTER SCHEMA {s} OWNER TO " + owner, "GRANT USAGE ON SCHEMA {s} TO PUBLIC"},
		// A table of another definition, and one whose owner differs from the schema's.
		"tables": {
			"CREATE TABLE {b}mine (n integer)", "ALTER TABLE {b}mine OWNER TO " + owner, "ALTER SCHEMA {s} OWNER TO " + owner,
		},
		"tables_alone":                    {"CREATE TABLE {b}mine (n integer)", "ALTER TABLE {b}mine OWNER TO " + owner, "GRANT ALL ON SCHEMA {s} TO PUBLIC"},
		"many_" + strings.Repeat("x", 50): all,
	} {
		p.createBoundary(t, tenant)
		for _, statement := range make {
			p.raw(t, tenant, strings.ReplaceAll(statement, "{s}", `"tenant_`+tenant+`"`))
		}
		f := r.expectFailure(t, tenant, events.CausePermissionDenied)
		_, statements, found := strings.Cut(f.Cause.Message, "run as a superuser: ")
		if !found || strings.Contains(statements, "…") {
			t.Errorf("%s: %q", tenant, f.Cause.Message)
			continue
		}
		p.raw(t, "", statements)
		if lost := p.count(t, "", "SELECT count(*) FROM pg_class WHERE relnamespace = '"+`"tenant_`+tenant+
			`"'::regnamespace AND NOT has_table_privilege('`+owner+`', oid, 'INSERT')`); lost > 0 {
			t.Errorf("%s: after %s the former owner may not write to %d tables", tenant, statements, lost)
		}
		if strings.HasPrefix(tenant, "many_") { // its tables are not those of the definition
			r.expectFailure(t, tenant, events.CauseSchemaInvalid)
		} else {
			r.provision(t, tenant)
		}
	}
}

// A boundary of another role that the service may use is used, with a warning.
func TestBoundaryOfAnotherOwnerIsWarnedOf(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	limited, role := p.asRole(t)
	r := limited.newFixture(t)
	owner := p.limitedRole(t, "SELECT")
	p.createBoundary(t, "lent")
	p.raw(t, "lent", `ALTER SCHEMA "tenant_lent" OWNER TO `+owner, `GRANT ALL ON SCHEMA "tenant_lent" TO PUBLIC`)
	got := r.provision(t, "lent")
	statements := `ALTER SCHEMA "tenant_lent" OWNER TO "` + role + `"; GRANT USAGE ON SCHEMA "tenant_lent" TO "` + owner + `";`
	want := "schema tenant_lent, or tables in it, belong to another role, which can change and drop them; run as a superuser: " +
		statements
	if len(got.Warnings) != 1 || got.Warnings[0].Code != events.WarnSchemaDiffers ||
		!strings.HasSuffix(got.Warnings[0].Message, want) {
		t.Errorf("%+v, want %q", got.Warnings, want)
	}
	p.raw(t, "", statements)

	p.createBoundary(t, "own")
	p.raw(t, "own", `ALTER SCHEMA "tenant_own" OWNER TO `+role)
	if got := r.provision(t, "own"); len(got.Warnings) > 0 || got.Indexes != len(sql.Indexes) {
		t.Errorf("%+v", got)
	}
}
