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
