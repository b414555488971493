package sqlite

import (
	databasesql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{
		Root: t.TempDir(), PathTemplate: "tenant_{tenant_id}/docex.db", Connections: 2,
		CreatedBy: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Invariant 5: the settings are in force on every connection.
func TestPragmas(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if err := os.WriteFile(s.Root+"/there.db", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	existing := begun(t, s, "1", "acme")
	existing.path = s.Root + "/there.db"
	if _, err := existing.CreateBoundary(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		from queryRower
		want map[string]string
	}{
		"sync": {s.syncDB, map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000",
		}},
		"async": {s.asyncDB, map[string]string{
			"journal_mode": "wal", "synchronous": "1", "foreign_keys": "1", "busy_timeout": "5000",
		}},
		"reads": {s.readDB, map[string]string{"journal_mode": "wal", "query_only": "1", "busy_timeout": "5000"}},
		"existing": {existing.tx, map[string]string{
			"journal_mode": "delete", "synchronous": "3", "application_id": fmt.Sprint(s.ownerTag(existing.claim.Key)),
		}},
	} {
		for pragma, want := range c.want {
			if got, err := text(t.Context(), c.from, "PRAGMA "+pragma); err != nil || got != want {
				t.Errorf("%s: %s is %q (%v), want %q", name, pragma, got, err, want)
			}
		}
	}
}

func TestReadsCannotWrite(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if _, err := s.readDB.ExecContext(t.Context(), "DELETE FROM tenant_registry"); err == nil {
		t.Error("a row was deleted through the connection for reading")
	}
}

// A failed index is identified by its position in the list.
func TestIndexesAreInTheOrderOfTheDefinition(t *testing.T) {
	t.Parallel()
	statements := sql.Statements(q.Indexes)
	if len(statements) != len(sql.Indexes) {
		t.Fatalf("%d statements, %d indexes", len(statements), len(sql.Indexes))
	}
	for i, x := range sql.Indexes {
		if !strings.Contains(statements[i], " "+x.Name+" ON "+x.Table+" ("+x.Column+")") {
			t.Errorf("%d: %s, want %+v", i, statements[i], x)
		}
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	denied := &fs.PathError{Op: "mkdir", Path: "x", Err: syscall.EACCES}
	for name, c := range map[string]struct {
		err  error
		want pipeline.Class
		code events.CauseCode
	}{
		"no access": {denied, pipeline.Permanent, events.CausePermissionDenied},
		"not owner": {fmt.Errorf("x: %w", syscall.EPERM), pipeline.Permanent, events.CausePermissionDenied},
		"disk full": {&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, pipeline.Outage, ""},
		"read-only": {syscall.EROFS, pipeline.Transient, ""},
		"too many":  {syscall.EMFILE, pipeline.Outage, ""},
		"taken":     {fs.ErrExist, pipeline.Transient, ""},
		"missing":   {fs.ErrNotExist, pipeline.Transient, ""},
		"unknown":   {errors.New("x"), pipeline.Transient, ""},
		"no row":    {databasesql.ErrNoRows, pipeline.Transient, ""},
		"already classified": {
			fmt.Errorf("x: %w", pipeline.Permanentf(events.CauseSchemaInvalid, "y")), pipeline.Permanent,
			events.CauseSchemaInvalid,
		},
	} {
		var f *pipeline.Fault
		if !errors.As(classify(c.err), &f) || f.Class != c.want || f.Code != c.code {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if classify(nil) != nil || registryFault(nil) != nil {
		t.Error("nil is classified as a fault")
	}
	decided := &pipeline.AlreadyDecidedError{}
	if err := classify(decided); !errors.Is(err, decided) {
		t.Error(err)
	}
}
