package sql_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// hash is one of a script, of 64 equal digits.
func hash(digit string) string { return strings.Repeat(digit, 64) }

func appliedScripts(t *testing.T, from any) []sql.AppliedScript {
	t.Helper()
	all, err := as[interface {
		AppliedScripts(ctx context.Context) ([]sql.AppliedScript, error)
	}](t, from).AppliedScripts(t.Context())
	testkit.Must(t, err)
	return all
}

// setScripts gives the fixture's provisioner scripts of these names and hashes. The engine has none: what is tested is
// what becomes of their records.
func (r fixture) setScripts(scripts ...events.Script) {
	r.provisioner.Scripts, r.provisioner.Steps = &pipeline.Scripts{}, pipeline.Steps(pipeline.RunInitScripts)
	for _, s := range scripts {
		r.provisioner.Scripts.Files = append(r.provisioner.Scripts.Files, pipeline.Script{Name: s.Name, SHA256: s.SHA256})
	}
}

// The scripts of a tenant are recorded in the commit that registers it, and again when it is restored from its outcome.
func TestAppliedScriptsAreRecorded(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		first, second, edited := events.Script{Name: "010_a.sql", SHA256: hash("a")},
			events.Script{Name: "020_b'\".sql", SHA256: hash("b")}, events.Script{Name: "010_a.sql", SHA256: hash("c")}
		p.raw(t, "", "ALTER TABLE {b}applied_scripts RENAME TO gone")
		testkit.Equal(t, "scripts in an earlier registry", len(appliedScripts(t, p.reader(t))), 0)
		p.raw(t, "", "ALTER TABLE {b}gone RENAME TO applied_scripts")
		r.provision(t, "before")
		testkit.Equal(t, "scripts before", len(appliedScripts(t, r.store)), 0)
		r.setScripts(first)
		r.provision(t, "acme")
		r.setScripts(first, second)
		req := request(t, "beta")
		outcome := r.decide(t, req)
		data := provisionedOutcome(t, outcome)
		if diff := cmp.Diff([]events.Script{first, second}, data.Scripts); diff != "" {
			t.Error(diff)
		}
		failedOutcome(t, r.decide(t, request(t, "beta")), events.CauseTenantExists)
		r.setScripts(edited)
		r.provision(t, "gamma")
		want := []sql.AppliedScript{
			{Name: first.Name, SHA256: first.SHA256, Tenants: 2, Example: "acme"},
			{Name: first.Name, SHA256: edited.SHA256, Tenants: 1, Example: "gamma"},
			{Name: second.Name, SHA256: second.SHA256, Tenants: 1, Example: "beta"},
		}
		for _, from := range []any{r.store, p.reader(t)} {
			if diff := cmp.Diff(want, appliedScripts(t, from)); diff != "" {
				t.Error(diff)
			}
		}
		const times = "SELECT t.tenant_id FROM {b}applied_scripts a JOIN {b}tenant_registry t ON t.tenant_id = a.tenant_id " +
			"AND t.created_at = a.applied_at ORDER BY t.tenant_id, a.name"
		testkit.Equal(t, "applied when the tenant was made", strings.Join(p.lines(t, "", times), " "), "acme beta beta gamma") //nolint:dupword // it has two

		// A tenant that was removed from the registry counts no longer; restored, it has its scripts again.
		p.raw(t, "", "DELETE FROM {b}tenant_registry WHERE tenant_id = 'beta'")
		testkit.Equal(t, "scripts without beta", len(appliedScripts(t, r.store)), 2)
		p.raw(t, "", "DELETE FROM {b}applied_scripts WHERE tenant_id = 'beta'")
		testkit.Must(t, as[recovery](t, r.store).Restore(t.Context(), restoration(t, req, outcome)))
		if diff := cmp.Diff(want, appliedScripts(t, r.store)); diff != "" {
			t.Error(diff)
		}
	})
}

// CompareScripts names what was edited, and what is gone.
func TestCompareScripts(t *testing.T) {
	t.Parallel()
	applied := []sql.AppliedScript{
		{Name: "010_a.sql", SHA256: hash("a"), Tenants: 3, Example: "acme"},
		{Name: "020_b.sql", SHA256: hash("b"), Tenants: 1, Example: "beta"},
		{Name: "020_b.sql", SHA256: hash("c"), Tenants: 2, Example: "acme"},
		{Name: "030_c.sql", SHA256: hash("d"), Tenants: 1, Example: "acme"},
	}
	today := []pipeline.Script{{Name: "010_a.sql", SHA256: hash("a")}, {Name: "020_b.sql", SHA256: hash("b")}, {Name: "040_d.sql"}}
	changed, gone := sql.CompareScripts(today, applied)
	wantChanged := []string{
		"020_b.sql has the SHA-256 bbbbbbbbbbbbbbbb…, but 2 tenants (such as \"acme\") have it with cccccccccccccccc…",
	}
	if diff := cmp.Diff(wantChanged, changed); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"030_c.sql, which tenant \"acme\" has"}, gone); diff != "" {
		t.Error(diff)
	}
	if err := sql.ChangedScripts(changed); err == nil || !strings.Contains(err.Error(), "restore the file (line ends count), and put the change into a new one") {
		t.Error(err)
	}
	if err := sql.ChangedScripts(nil); err != nil {
		t.Error(err)
	}
}
