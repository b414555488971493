package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

const countedScript = "CREATE TABLE counted (n);\nINSERT INTO counted VALUES (provisioner('tenant_id'));" + docexIndexes

// crashed runs an attempt until its file is complete, in place and not registered. Its process then dies.
func crashed(t *testing.T, s *Store, id, tenant string) {
	t.Helper()
	b := begun(t, s, id, tenant)
	if err := b.furtherTo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.temp == nil {
		if err := b.commitExisting(); err != nil {
			t.Fatal(err)
		}
	} else if err := errors.Join(b.finishTemp(), b.linkIntoPlace()); err != nil {
		t.Fatal(err)
	}
	b.closeDatabase()
}

// retried is a further attempt at the request, up to its end.
func retried(t *testing.T, s *Store, id, tenant string) (*build, error) {
	t.Helper()
	b := begun(t, s, id, tenant)
	defer b.Close(t.Context())
	err := b.furtherTo(t.Context())
	if err == nil {
		err = register(t, b)
	}
	return b, err
}

// After a crash between the file's completion and the registry's commit, the retry registers the file as it is: the
// scripts have run once. Another request, and other scripts, do not use it.
func TestScriptsRanBeforeACrash(t *testing.T) {
	t.Parallel()
	for _, exists := range []bool{false, true} {
		root := t.TempDir()
		s := openWith(t, root, scriptsOf(countedScript))
		path := s.path("acme")
		if exists {
			existingFile(t, s, "acme")
		}
		crashed(t, s, "1", "acme")
		before := content(t, path)
		for name, other := range map[string]struct {
			id      string
			scripts *pipeline.Scripts
		}{
			"another request":    {"2", scriptsOf(countedScript)},
			"another script":     {"1", scriptsOf(countedScript, "SELECT 1")},
			"without its script": {"1", nil},
		} {
			_, err := retried(t, openWith(t, root, other.scripts), other.id, "acme")
			if fault, ok := errors.AsType[*pipeline.Fault](err); !ok || fault.Code != events.CauseBoundaryNotEmpty {
				t.Errorf("exists %v, %s: %v", exists, name, err)
			}
			if string(content(t, path)) != string(before) {
				t.Errorf("exists %v: %s changed the file", exists, name)
			}
		}
		b, err := retried(t, openWith(t, root, scriptsOf(countedScript)), "1", "acme")
		if err != nil || !b.whole {
			t.Errorf("exists %v: %v", exists, err)
		}
		for query, want := range map[string]string{
			"SELECT group_concat(n, ' ') FROM counted":                                 "acme",
			"SELECT count(*) FROM sqlite_schema WHERE name = 'idx_docbasket_status'":   "1",
			"SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL": "26",
		} {
			if got := answer(t, path, query); got != want {
				t.Errorf("exists %v: %s is %q, want %q", exists, query, got, want)
			}
		}
	}
}

// Scripts without rows leave a file without rows. It is recognized by its tag all the same.
func TestScriptsWithoutRowsRanBeforeACrash(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	crashed(t, openWith(t, root, scriptsOf(docexIndexes)), "1", "acme")
	_, err := retried(t, openWith(t, root, scriptsOf(docexIndexes, "SELECT 1")), "1", "acme")
	if fault, ok := errors.AsType[*pipeline.Fault](err); !ok || fault.Code != events.CauseBoundaryNotEmpty ||
		!strings.Contains(err.Error(), "scripts or seed data that are not those of this request") {
		t.Errorf("%v", err)
	}
	if _, err := retried(t, openWith(t, root, scriptsOf(docexIndexes)), "1", "acme"); err != nil {
		t.Error(err)
	}
}

// A file that a crash left before there were scripts holds no rows. The scripts fill it.
func TestFileOfACrashBeforeThereWereScripts(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	crashed(t, openWith(t, root, nil), "1", "acme")
	crashed(t, openWith(t, root, nil), "2", "other")
	s := openWith(t, root, scriptsOf(countedScript))
	for id, tenant := range map[string]string{"1": "acme", "3": "other"} { // its own, and that of another request
		b, err := retried(t, s, id, tenant)
		if err != nil || b.whole {
			t.Errorf("%s: %v", tenant, err)
		}
		if got := answer(t, s.path(tenant), "SELECT count(*) FROM counted"); got != "1" {
			t.Errorf("%s: %s rows", tenant, got)
		}
	}
}

// A process dies while it commits to an existing file: rows can be seen, and a journal that undoes them. The retry undoes
// them, and runs the scripts.
func TestCrashWhileScriptsAreCommitted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openWith(t, root, scriptsOf(countedScript))
	path, _ := existingFile(t, s, "acme")
	journal := hotJournal(t, path)
	crashed(t, s, "1", "acme")
	if err := os.WriteFile(path+"-journal", journal, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := retried(t, s, "1", "acme")
	if err != nil || b.whole {
		t.Errorf("%v", err)
	}
	if got := answer(t, path, "SELECT group_concat(n, ' ') FROM counted"); got != "acme" {
		t.Errorf("counted: %s", got)
	}
	if _, err := os.Stat(path + "-journal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the journal remains: %v", err)
	}
}

// hotJournal returns the journal of a transaction that changes every page of the file.
func hotJournal(t *testing.T, path string) []byte {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy.db")
	if err := copyBytes(path, to); err != nil {
		t.Fatal(err)
	}
	db, err := open(to, "rw", busyTimeout, "cache_size(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, statement := range []string{
		"CREATE TABLE x (t)", "INSERT INTO mine VALUES (1)",
		"INSERT INTO x WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 200) SELECT zeroblob(3000) FROM c",
	} {
		if _, err := tx.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	journal := content(t, to+"-journal")
	if len(journal) == 0 {
		t.Fatal("the journal is empty")
	}
	return journal
}
