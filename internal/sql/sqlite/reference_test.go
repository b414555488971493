package sqlite

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// Scripts must make the same for each tenant, in a new file and in one that exists. SQL cannot make objects by values of
// a request, so that only what exists already makes a difference.
func TestScriptsMakeTheReference(t *testing.T) {
	t.Parallel()
	s := openWith(t, t.TempDir(), scriptsOf("CREATE TABLE IF NOT EXISTS made (n INTEGER CHECK (n > 0));\n"+
		"CREATE VIEW v AS SELECT n FROM made;\nALTER TABLE document ADD COLUMN extra TEXT"))
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	testkit.Equal(t, "definition before the rehearsal", s.Definition(), "")
	testkit.Must(t, s.RehearseFurther(t.Context()))
	testkit.Equal(t, "log", log.String(), "")
	testkit.Equal(t, "length of the fingerprint", len(s.Definition()), 16)
	definition := s.Definition()
	testkit.Must(t, s.RehearseFurther(t.Context()))
	testkit.Equal(t, "definition of the next start", s.Definition(), definition)

	testkit.Must(t, tryNew(t, s, "new"))
	existing := func(tenant, statement string) error {
		t.Helper()
		path, _ := existingFile(t, s, tenant)
		execute(t, path, statement)
		return begun(t, s, tenant, tenant).furtherTo(t.Context())
	}
	testkit.Must(t, existing("same", "CREATE TABLE made (n integer check(n>0))"))
	err := existing("other", "CREATE TABLE made (n INTEGER)")
	if fault, ok := errors.AsType[*pipeline.Fault](err); !ok || fault.Code != events.CauseInitScriptFailed ||
		fault.Class != pipeline.Permanent || !strings.Contains(err.Error(), "column made.n: constraints is not set, want check ( n > 0 )") {
		t.Error(err)
	}
}

// The reference includes what is in the template.
func TestReferenceOfPreparedScripts(t *testing.T) {
	t.Parallel()
	scripts := scriptsOf("CREATE TABLE made (n)")
	onDemand := openWith(t, t.TempDir(), scripts)
	testkit.Must(t, onDemand.RehearseFurther(t.Context()))
	scripts.Files[0].Prepare = true
	prepared := openWith(t, t.TempDir(), scripts)
	testkit.Must(t, prepared.RehearseFurther(t.Context()))
	testkit.Equal(t, "definition", prepared.Definition(), onDemand.Definition())
	testkit.Equal(t, "objects", len(prepared.reference.Load().Own.Objects), 2)
	without := openWith(t, t.TempDir(), nil)
	testkit.Equal(t, "without scripts", without.Definition(), sql.Fingerprint(q.Tables, q.Indexes))
}

// A reader compares tenants with what the service has stored when it started last, if scripts are configured.
func TestReaderComparesWithTheReference(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	scripts := scriptsOf("CREATE TABLE made (n INTEGER, v TEXT);\nCREATE INDEX idx_made ON made (v);\nALTER TABLE document ADD COLUMN extra TEXT")
	s := openWith(t, root, scripts)
	verify := func(scripts *pipeline.Scripts, tenant string) pipeline.Inspection {
		t.Helper()
		c := s.Config
		c.Scripts = scripts
		r, err := OpenReader(t.Context(), c)
		testkit.Must(t, err)
		row, err := r.Tenant(t.Context(), tenant)
		testkit.Must(t, err)
		in, err := r.Verify(t.Context(), row)
		testkit.Must(t, err)
		return in
	}
	provision := func(tenant string) string {
		t.Helper()
		b := begun(t, s, tenant, tenant)
		testkit.Must(t, errors.Join(b.furtherTo(t.Context()), register(t, b)))
		return b.path
	}
	before := provision("before")
	testkit.Equal(t, "nothing is stored", len(verify(scripts, "before").Differences), 0)
	for range 2 {
		testkit.Must(t, s.RehearseFurther(t.Context()))
	}
	acme := provision("acme")
	in := verify(scripts, "acme")
	testkit.Equal(t, "differences of acme", strings.Join(in.Differences, "; "), "")
	testkit.Equal(t, "warnings of acme", strings.Join(in.Warnings, "; "), "document.extra is not in the definition")
	testkit.Equal(t, "differences of the bootstrap tenant", len(verify(scripts, sql.BootstrapTenant).Differences), 0)

	execute(t, acme, "DROP INDEX idx_made", "ALTER TABLE made DROP COLUMN v", "ALTER TABLE document DROP COLUMN extra", "CREATE TABLE mine (n)")
	in = verify(scripts, "acme")
	testkit.Equal(t, "differences", strings.Join(in.Differences, "; "),
		"initialisation scripts: column document.extra is missing; initialisation scripts: column made.v is missing")
	testkit.Equal(t, "warnings", strings.Join(in.Warnings, "; "), "initialisation scripts: index idx_made on made is missing; "+
		"initialisation scripts: table mine is not in the definition")
	execute(t, before, "DROP TABLE made")
	testkit.Contains(t, "differences", strings.Join(verify(scripts, "before").Differences, "; "),
		"initialisation scripts: table made is missing; the tenant was made by an earlier definition")
	testkit.Equal(t, "differences without scripts", len(verify(nil, "acme").Differences), 0)
}
