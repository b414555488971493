package sql_test

import (
	"regexp"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// The fingerprint of what a tenant was made by is in its outcome and in the registry, also after it was restored from the
// outcome. Without scripts it is the same for all tenants.
func TestDefinitionIsRecorded(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		req := request(t, "acme")
		outcome := r.decide(t, req)
		definition := provisionedOutcome(t, outcome).Definition
		if !regexp.MustCompile("^[0-9a-f]{16}$").MatchString(definition) {
			t.Errorf("the definition is %q", definition)
		}
		testkit.Equal(t, "definition of another", r.provision(t, "beta").Definition, definition)
		recorded := func() string {
			return strings.Join(p.lines(t, "", "SELECT coalesce(definition, '-') FROM {b}tenant_registry ORDER BY tenant_id COLLATE \""+
				map[string]string{"postgres": "C", "sqlite": "BINARY"}[p.engine]+"\""), " ")
		}
		want := "- " + definition + " " + definition // the first is the bootstrap tenant
		testkit.Equal(t, "registry", recorded(), want)
		row, err := p.reader(t).Tenant(t.Context(), "acme")
		testkit.Must(t, err)
		testkit.Equal(t, "read", row.Definition, definition)
		p.raw(t, "", "DELETE FROM {b}tenant_registry WHERE tenant_id = 'acme'")
		testkit.Must(t, as[recovery](t, r.store).Restore(t.Context(), restoration(t, req, outcome)))
		testkit.Equal(t, "restored", recorded(), want)
	})
}
