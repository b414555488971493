package sqlite

import (
	"bytes"
	databasesql "database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// begun returns an attempt at the tenant, claimed under that id.
func begun(t *testing.T, s *Store, id, tenant string) *build {
	t.Helper()
	e := event.New()
	e.SetSource("/test")
	e.SetID(id)
	claim, err := s.Claim(t.Context(), pipeline.Request{Event: e}, tenant, pipeline.Limit{Attempts: 9, Lease: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	b := &build{Store: s, claim: claim, tenant: tenant, path: s.path(tenant)}
	t.Cleanup(func() { b.Close(t.Context()) })
	return b
}

// ready returns an attempt that has done everything but the registration.
func ready(t *testing.T, s *Store, id, tenant string) *build {
	t.Helper()
	b := begun(t, s, id, tenant)
	if _, err := b.CreateBoundary(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.CreateTables(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if failed, err := b.CreateIndexes(t.Context()); err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	if found, err := b.Inspect(t.Context()); err != nil || len(found.Differences) > 0 || found.Indexes != 18 {
		t.Fatal(found, err)
	}
	return b
}

func tenantOf(b *build) pipeline.Tenant {
	return pipeline.Tenant{
		ID: b.tenant, DisplayName: "A", IsolationStrategy: b.Strategy(), CreatedAt: time.Now(), CreatedBy: "test",
		Boundary: pipeline.Boundary{DatabasePath: b.path}, Definition: b.Definition(),
	}
}

func outcomeOf(b *build) pipeline.Outcome {
	return pipeline.Outcome{ID: "outcome of " + b.tenant, Type: events.TypeProvisioned, Body: []byte("{}")}
}

// register runs step 5.
func register(t *testing.T, b *build) error {
	t.Helper()
	return b.Register(t.Context(), tenantOf(b), outcomeOf(b))
}

// Invariant 6: apart from the owner tag, a file from the template is identical to one that the statements build.
func TestTemplateEqualsWhatTheStatementsCreate(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	copied := ready(t, s, "1", "copied")
	if err := os.Mkdir(s.Root+"/tenant_stated", 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("stated"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stated := ready(t, s, "2", "stated")
	for _, b := range []*build{copied, stated} {
		if err := register(t, b); err != nil {
			t.Fatal(err)
		}
		db, err := open(b.path, "rw", 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		want := map[string]string{
			"application_id": fmt.Sprint(s.ownerTag(b.claim.Key)), "user_version": "0", "page_size": "4096", "encoding": "UTF-8", "journal_mode": "delete",
			"auto_vacuum": "0", "freelist_count": "0", "page_count": fmt.Sprint(len(s.template.content) / 4096), "integrity_check": "ok",
			"schema_version": "29", // incremented by every statement
		}
		for pragma, value := range want {
			if got, err := text(t.Context(), db, "PRAGMA "+pragma); err != nil || got != value {
				t.Errorf("%s: %s is %q (%v), want %q", b.tenant, pragma, got, err, value)
			}
		}
	}
	if a, b := schemaOf(t, copied.path), schemaOf(t, stated.path); len(a) == 0 || !slices.Equal(a, b) {
		t.Errorf("the schemas differ:\n%q\n%q", a, b)
	}
	a, b := content(t, copied.path), content(t, stated.path)
	// Except for the owner tag, and for the change counter, which is stored twice:
	// https://www.sqlite.org/fileformat.html#the_database_header
	for _, file := range [][]byte{a, b} {
		clear(file[applicationID : applicationID+4])
		clear(file[24:28])
		clear(file[92:96])
	}
	if !bytes.Equal(a, b) {
		t.Error("the pages differ")
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// schemaOf returns SQLite's own table of the objects in the file.
func schemaOf(t *testing.T, path string) (all []string) {
	t.Helper()
	err := readFile(t.Context(), path, func(tx *databasesql.Tx) (err error) {
		all, err = collect(t.Context(), tx, "SELECT concat_ws(' ', type, name, tbl_name, rootpage, sql) FROM sqlite_schema",
			func(row scanner) (line string, err error) {
				err = row.Scan(&line)
				return line, err
			})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A file under construction is locked for other workers of this process, and for an older program, which requests the
// write lock from SQLite. A check does not release the lock. Files of an older program, which are in a SQLite
// transaction, count as locked too.
func TestFileUnderConstructionIsLocked(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	b := begun(t, s, "1", "acme")
	if _, err := b.CreateBoundary(t.Context()); err != nil {
		t.Fatal(err)
	}
	busy := func(path string) bool {
		db, err := open(path, "rw", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		tx, err := db.BeginTx(t.Context(), nil)
		if err == nil {
			err = tx.Rollback()
		}
		return err != nil
	}
	expectLocked := func() {
		t.Helper()
		for range 2 {
			if is, err := s.locked(b.temp.Name()); !is || err != nil {
				t.Errorf("a file under construction is not locked (%v)", err)
			}
			if !busy(b.temp.Name()) {
				t.Error("a file under construction is not locked for SQLite")
			}
		}
	}
	expectLocked()
	if err := b.CreateTables(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expectLocked()
	if _, err := b.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectLocked()
	name := b.temp.Name()
	if err := os.Link(name, s.Root+"/dead"); err != nil {
		t.Fatal(err)
	}
	b.Close(t.Context())
	if is, err := s.locked(s.Root + "/dead"); is || err != nil {
		t.Errorf("the file of a closed attempt is locked (%v)", err)
	}
	if busy(s.Root + "/dead") {
		t.Error("the file of a closed attempt is locked for SQLite")
	}
	older, err := open(s.Root+"/dead", "rw", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer older.Close()
	tx, err := older.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if is, err := s.locked(s.Root + "/dead"); !is || err != nil {
		t.Errorf("an older program's file is not locked (%v)", err)
	}
}

// Step 4 inspects the file, not the template.
func TestInspectReadsTheFile(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for name, c := range map[string]struct{ do, want string }{
		"extra":   {"CREATE TRIGGER refuse BEFORE INSERT ON document BEGIN SELECT RAISE(ABORT, 'no'); END", "trigger refuse"},
		"missing": {"DROP TABLE route_operations", "table route_operations is missing"},
		"renamed": {"ALTER TABLE document RENAME COLUMN size TO length", "document.size is missing"},
	} {
		b := ready(t, s, name, name)
		other := s.Root + "/" + name
		if err := os.WriteFile(other, s.template.content, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := open(other, "rw", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), c.do); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.temp.WriteAt(content(t, other), 0); err != nil {
			t.Fatal(err)
		}
		if found, err := b.Inspect(t.Context()); err != nil || !strings.Contains(fmt.Sprint(found.Differences), c.want) {
			t.Errorf("%s: %+v %v, want %q", name, found, err, c.want)
		}
	}
	torn := ready(t, s, "torn", "torn")
	if err := torn.temp.Truncate(8192); err != nil {
		t.Fatal(err)
	}
	if found, err := torn.Inspect(t.Context()); err == nil {
		t.Errorf("a torn file: %+v", found)
	}
}

// A difference in any byte, and the owner tag of another request, are detected.
func TestTemplateComparisonCoversEveryByte(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	b := ready(t, s, "1", "acme")
	equal := func() bool {
		t.Helper()
		info, err := b.temp.Stat()
		if err != nil {
			t.Fatal(err)
		}
		same, err := s.template.isIn(b.temp, info.Size(), s.ownerTag(b.claim.Key))
		if err != nil {
			t.Fatal(err)
		}
		return same
	}
	size := int64(len(s.template.content))
	for _, at := range []int64{0, applicationID, applicationID + 3, applicationID + 4, chunk - 1, chunk, size / 2, size - 1} {
		was := make([]byte, 1)
		if _, err := b.temp.ReadAt(was, at); err != nil {
			t.Fatal(err)
		}
		if !equal() {
			t.Fatalf("the file differs before byte %d is changed", at)
		}
		if _, err := b.temp.WriteAt([]byte{was[0] ^ 1}, at); err != nil {
			t.Fatal(err)
		}
		if equal() {
			t.Errorf("a difference in byte %d is not detected", at)
		}
		if _, err := b.temp.WriteAt(was, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, length := range []int64{size + 1, size - 1, 0} {
		if err := b.temp.Truncate(length); err != nil {
			t.Fatal(err)
		}
		if equal() {
			t.Errorf("a file of %d bytes equals one of %d", length, size)
		}
	}
}

// BenchmarkInspect measures step 4 for a new file, and for an existing one, which SQLite reads completely.
func BenchmarkInspect(b *testing.B) {
	finished, err := Config{}.newTemplate(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	const tag = 42
	file, err := os.Create(b.TempDir() + "/docex.db")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := finished.write(file, tag); err != nil {
		b.Fatal(err)
	}
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if same, err := finished.isIn(file, int64(len(finished.content)), tag); !same || err != nil {
				b.Fatal(same, err)
			}
		}
	})
	b.Run("existing", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			err := read(b.Context(), file.Name(), immutable, busyTimeout, func(tx *databasesql.Tx) error {
				_, err := inspect(b.Context(), tx)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
