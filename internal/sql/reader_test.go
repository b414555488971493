package sql_test

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// reader is the interface of both engines' readers.
type reader interface {
	Count(ctx context.Context) (int, error)
	Tenants(ctx context.Context, after string, limit int) ([]sql.TenantRow, error)
	Tenant(ctx context.Context, id string) (sql.TenantRow, error)
	Request(ctx context.Context, key string) (sql.RequestRecord, error)
	Requests(ctx context.Context, filter sql.RequestFilter, limit int) ([]sql.RequestRecord, error)
	Verify(ctx context.Context, t sql.TenantRow) (pipeline.Inspection, error)
	Close() error
}

// readerAt opens a reader; template is the part before {tenant_id}.
func (p testDatabase) readerAt(t *testing.T, where, template string) (reader, error) {
	t.Helper()
	if p.engine == "postgres" {
		return opened(postgres.OpenReader(t.Context(), postgres.Config{
			URL: where, Registry: "docex_system", SchemaTemplate: template + "{tenant_id}", Connections: 1,
		}))
	}
	return opened(sqlite.OpenReader(t.Context(), sqlite.Config{
		Root: where, PathTemplate: template + "{tenant_id}/docex.db", Connections: 1,
	}))
}

func opened[R reader](r R, err error) (reader, error) { return r, err }

func (p testDatabase) reader(t *testing.T) reader {
	t.Helper()
	r, err := p.readerAt(t, p.url, "tenant_")
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, r.Close()) })
	return r
}

// verify reads the tenant's row and compares its boundary with the definition.
func verify(t *testing.T, r reader, tenant string) pipeline.Inspection {
	t.Helper()
	row, err := r.Tenant(t.Context(), tenant)
	testkit.Must(t, err)
	in, err := r.Verify(t.Context(), row)
	testkit.Must(t, err)
	return in
}

// insertTenants writes rows into the registry, as another program does.
func (p testDatabase) insertTenants(t *testing.T, tenants ...string) {
	t.Helper()
	var values []string
	for _, tenant := range tenants {
		names := "'database', NULL, '" + p.boundary(tenant) + "'"
		if p.engine == "postgres" {
			names = "'schema', '" + p.boundary(tenant) + "', NULL"
		}
		values = append(values, "('"+tenant+"', 'N', "+names+", '2026-01-02 03:04:05', 'DocEX', '2026-01-02 03:04:05.5')")
	}
	p.raw(t, "", "INSERT INTO {b}tenant_registry (tenant_id, display_name, isolation_strategy, schema_name, "+
		"database_path, created_at, created_by, last_updated_at) VALUES "+strings.Join(values, ", "))
}

func TestReaderPagesThroughTheRegistry(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.newFixture(t).provision(t, "acme")
		var ids []string
		for i := range 250 {
			ids = append(ids, fmt.Sprintf("t-%03d", i))
		}
		p.insertTenants(t, ids...)
		r := p.reader(t)
		n, err := r.Count(t.Context())
		testkit.Must(t, err)
		if n != 252 {
			t.Errorf("%d tenants", n)
		}
		var found []sql.TenantRow
		for pages := 1; ; pages++ {
			after := ""
			if len(found) > 0 {
				after = found[len(found)-1].ID
			}
			page, err := r.Tenants(t.Context(), after, 100)
			testkit.Must(t, err)
			found = append(found, page...)
			if len(page) < 100 {
				if pages != 3 {
					t.Errorf("%d pages", pages)
				}
				break
			}
		}
		got := make([]string, len(found))
		byID := map[string]sql.TenantRow{}
		for i, row := range found {
			got[i] = row.ID
			byID[row.ID] = row
		}
		if want := append([]string{sql.BootstrapTenant, "acme"}, ids...); !slices.Equal(got, want) {
			t.Errorf("%d rows: %v", len(got), got)
		}
		acme, odd, system := byID["acme"], byID["t-007"], byID[sql.BootstrapTenant]
		if acme.DisplayName != "A Customer" || acme.CreatedBy != "billing" || acme.System || acme.UpdatedBy != "" ||
			acme.Boundary.SchemaName+acme.Boundary.DatabasePath != p.boundary("acme") ||
			time.Since(acme.CreatedAt).Abs() > 10*time.Minute || acme.CreatedAt != acme.UpdatedAt {
			t.Errorf("%+v", acme)
		}
		if !odd.CreatedAt.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) ||
			!odd.UpdatedAt.Equal(time.Date(2026, 1, 2, 3, 4, 5, 500e6, time.UTC)) {
			t.Errorf("%+v", odd)
		}
		if !system.System || system.DisplayName != "DocEX System" {
			t.Errorf("%+v", system)
		}
	})
}

func TestReaderFindsATenant(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		testkit.Must(t, p.open(t).Close())
		p.insertTenants(t, "Acme", "twin", "Twin")
		r := p.reader(t)
		for id, want := range map[string]string{"Acme": "Acme", "aCME": "Acme", "Twin": "Twin", "twin": "twin"} {
			if row, err := r.Tenant(t.Context(), id); err != nil || row.ID != want {
				t.Errorf("%s: %s, %v", id, row.ID, err)
			}
		}
		for _, id := range []string{"", "acme2", "%", "ACM"} {
			if _, err := r.Tenant(t.Context(), id); !errors.Is(err, sql.ErrNotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
	})
}

func TestReaderReturnsARequestsHistory(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		p.createBoundary(t, "acme")
		p.raw(t, "acme", "CREATE TABLE {b}mine (n integer)", "INSERT INTO {b}mine VALUES (1)")
		req := request(t, "acme")
		outcome := r.decide(t, req)
		failedOutcome(t, outcome, events.CauseBoundaryNotEmpty)
		read := p.reader(t)

		first, err := read.Request(t.Context(), req.Key())
		testkit.Must(t, err)
		if first.State != "failed" || first.DeadLetterConfirmed || first.LastCause != "BOUNDARY_NOT_EMPTY" ||
			first.LastStep != "create_isolation_boundary" || !strings.Contains(first.LastError, "mine") ||
			first.OutcomeID != outcome.ID || string(first.Outcome) != string(outcome.Body) {
			t.Errorf("%+v", first)
		}
		testkit.Must(t, r.store.DeadLetterConfirmed(t.Context(), req.Key(), outcome.ID, "delivery", stream))
		if got, err := read.Request(t.Context(), req.Key()); err != nil || !got.DeadLetterConfirmed || got.DeadLetterStream != stream {
			t.Errorf("%+v, %v", got, err)
		}

		p.raw(t, "acme", "DROP TABLE {b}mine")
		req.Replay = 1
		provisionedOutcome(t, r.decide(t, req))
		r.expectFailure(t, "acme", events.CauseTenantExists)
		r.provision(t, "other")
		got, err := read.Request(t.Context(), req.Key())
		testkit.Must(t, err)
		if got.Source != "/test" || got.ID != req.Event.ID() || got.TenantID != "acme" || got.State != "provisioned" ||
			got.Replay != 1 || got.Attempts != 1 || got.DeadLetterConfirmed || got.UpdatedAt.Before(got.CreatedAt) ||
			time.Since(got.CreatedAt).Abs() > 10*time.Minute {
			t.Errorf("%+v", got)
		}
		var history []string
		for _, h := range got.History {
			history = append(history, fmt.Sprintf("%s %d %d %s %s", h.Event, h.Replay, h.Attempt, h.Step, h.Cause))
			if time.Since(h.At).Abs() > 10*time.Minute {
				t.Errorf("at %s", h.At)
			}
		}
		want := "begun 0 1  |failed 0 1 create_isolation_boundary BOUNDARY_NOT_EMPTY|begun 1 1  |provisioned 1 1  "
		if strings.Join(history, "|") != want {
			t.Errorf("%q", history)
		}

		all, err := read.Requests(t.Context(), sql.RequestFilter{TenantID: "acme"}, 10)
		testkit.Must(t, err)
		if len(all) != 2 || all[0].LastCause != "TENANT_EXISTS" || all[1].ID != req.Event.ID() {
			t.Errorf("%+v", all)
		}
		if all, err := read.Requests(t.Context(), sql.RequestFilter{TenantID: "acme"}, 1); err != nil || len(all) != 1 {
			t.Errorf("%+v, %v", all, err)
		}
		if _, err := read.Request(t.Context(), events.RequestKey("/test", "never")); !errors.Is(err, sql.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestVerifyNamesWhatDiffers(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		read := p.reader(t)
		const routes = "CREATE TABLE {b}route_operations (id varchar(36) NOT NULL PRIMARY KEY, " +
			"route_id varchar(36) NOT NULL REFERENCES {b}transport_routes (id) ON DELETE CASCADE, " +
			"operation_type varchar(50) NOT NULL, status varchar(19) NOT NULL, document_id varchar(255), details json, " +
			"error text, created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, completed_at timestamp)"
		for tenant, c := range map[string]struct {
			do            []string
			want, missing []string
		}{
			"whole":   {},
			"column":  {do: []string{"ALTER TABLE {b}document DROP COLUMN checksum"}, want: []string{"document.checksum is missing"}},
			"type":    {do: []string{"DROP TABLE {b}route_operations", routes}, want: []string{"route_operations.status is varchar(19), want varchar(20)"}},
			"table":   {do: []string{"DROP TABLE {b}route_operations"}, want: []string{"table route_operations is missing"}},
			"index":   {do: []string{"DROP INDEX {b}idx_documents_status"}, missing: []string{"idx_documents_status"}},
			"holding": {do: []string{"INSERT INTO {b}docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')"}},
		} {
			r.provision(t, tenant)
			p.raw(t, tenant, c.do...)
			got := verify(t, read, tenant)
			if !slices.Equal(got.Differences, c.want) || !slices.Equal(got.MissingIndexes, c.missing) {
				t.Errorf("%s: %+v", tenant, got)
			}
		}
		if got := verify(t, read, sql.BootstrapTenant); len(got.Differences)+len(got.MissingIndexes) > 0 || got.Tables != 11 {
			t.Errorf("bootstrap: %+v", got)
		}
	})
}

// A row of another engine's strategy was written by another program, or copied from another registry.
func TestVerifyDetectsAnotherStrategy(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.newFixture(t).provision(t, "acme")
		want := map[string]string{"postgres": "schema", "sqlite": "database"}[p.engine]
		for _, strategy := range []string{"database", "schema", "row", ""} {
			p.raw(t, "", "UPDATE {b}tenant_registry SET isolation_strategy = '"+strategy+"'")
			for _, tenant := range []string{"acme", sql.BootstrapTenant} {
				got := verify(t, p.reader(t), tenant)
				var differences []string
				if strategy != want {
					differences = []string{fmt.Sprintf("the registered isolation_strategy is %q, want %q; correct it in tenant_registry", strategy, want)}
				}
				if !slices.Equal(got.Differences, differences) || got.Tables != 11 {
					t.Errorf("%s, %q: %+v", tenant, strategy, got)
				}
			}
		}
	})
}

// Nothing of what DocEX does not use can keep its tables from being compared.
func TestVerifyFileWithTablesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	p.newFixture(t).provision(t, "acme")
	p.raw(t, "acme", "CREATE VIEW broken AS SELECT * FROM nowhere", strangeTable)
	if got := verify(t, p.reader(t), "acme"); len(got.Differences)+len(got.Warnings)+len(got.MissingIndexes) > 0 || got.Tables != 11 {
		t.Errorf("%+v", got)
	}
	p.raw(t, "acme", "DROP TABLE file_history", "CREATE VIRTUAL TABLE file_history USING rtree (id, a, b)")
	if got := verify(t, p.reader(t), "acme").Differences; !slices.Equal(got, []string{"file_history is a virtual table, want a table"}) {
		t.Errorf("%q", got)
	}
}

// strangeTable adds a virtual table of a module that is not here.
const strangeTable = "PRAGMA writable_schema = 1; INSERT INTO sqlite_schema VALUES " +
	"('table', 'strange', 'strange', 0, 'CREATE VIRTUAL TABLE strange USING absent(x)')"

// What cannot be read may hold rows.
func TestFileWithATableThatCannotBeRead(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	p.createBoundary(t, "acme")
	p.raw(t, "acme", strangeTable)
	before := p.snapshot(t, "acme")
	f := r.expectFailure(t, "acme", events.CauseBoundaryNotEmpty)
	testkit.Contains(t, "the message", f.Cause.Message, "has a table strange that cannot be read", "absent", "nothing was touched")
	if f.Attempts != 1 || p.snapshot(t, "acme") != before {
		t.Errorf("%+v", f)
	}
}

func TestVerifyWithoutABoundary(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		testkit.Must(t, p.open(t).Close())
		p.insertTenants(t, "gone")
		got := verify(t, p.reader(t), "gone")
		want := map[string]string{
			"postgres": `schema "tenant_gone" is missing`, "sqlite": "the file " + p.boundary("gone") + " is missing",
		}[p.engine]
		if !slices.Equal(got.Differences, []string{want}) || len(got.MissingIndexes) != 0 {
			t.Errorf("%+v", got)
		}
		if left := p.boundaryState(t, "gone"); left != "" {
			t.Errorf("it created %s", left)
		}
	})
}

// DocEX uses the template: a tenant in another place is complete, but DocEX does not find it.
func TestVerifyDetectsAnotherTemplate(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.newFixture(t).provision(t, "acme")
		where := p.url
		if p.engine == "sqlite" { // the registry moves with the template
			testkit.Must(t, os.CopyFS(filepath.Join(where, "new__docex_system_"), os.DirFS(filepath.Join(where, "tenant__docex_system_"))))
		}
		r, err := p.readerAt(t, where, "new_")
		testkit.Must(t, err)
		defer r.Close()
		got := verify(t, r, "acme")
		if len(got.Differences) != 1 || got.Tables != 11 || !strings.Contains(got.Differences[0], p.boundary("acme")) ||
			!strings.Contains(got.Differences[0], "new_acme") {
			t.Errorf("%+v", got)
		}
	})
}

// The registered name is optional: without one, the template's is used.
func TestVerifyByTemplate(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.newFixture(t).provision(t, "acme")
		p.raw(t, "", "UPDATE {b}tenant_registry SET schema_name = NULL, database_path = NULL")
		r := p.reader(t)
		for _, tenant := range []string{"acme", sql.BootstrapTenant} {
			if got := verify(t, r, tenant); len(got.Differences) > 0 || got.Tables != 11 {
				t.Errorf("%s: %+v", tenant, got)
			}
		}
	})
}

func TestReaderWithoutARegistry(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		if r, err := p.readerAt(t, p.url, "tenant_"); err == nil || !strings.Contains(err.Error(), "check DATABASE_URL") {
			t.Errorf("%v, %v", r, err)
		}
		if p.engine == "sqlite" {
			if _, err := os.Stat(p.url); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the storage directory: %v", err)
			}
			return
		}
		if n := p.count(t, "", "SELECT count(*) FROM pg_namespace WHERE nspname = 'docex_system'"); n != 0 {
			t.Error("it created the schema")
		}
	})
}

// A ledger that this version has not migrated yet can be read.
func TestReaderOfALedgerWithoutStreams(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		req := request(t, "not valid")
		outcome := r.decide(t, req)
		testkit.Must(t, r.store.DeadLetterConfirmed(t.Context(), req.Key(), outcome.ID, "delivery", stream))
		p.raw(t, "", "ALTER TABLE {b}tenant_requests DROP COLUMN buried_in")
		got, err := p.reader(t).Request(t.Context(), req.Key())
		if err != nil || !got.DeadLetterConfirmed || got.DeadLetterStream != "" || got.OutcomeID != outcome.ID {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// DocEX creates registries too, and earlier versions created ledgers without a history.
func TestReaderWithoutALedger(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.newFixture(t).provision(t, "acme")
		for _, change := range []string{
			"ALTER TABLE {b}tenant_requests DROP COLUMN history", "DROP TABLE {b}tenant_requests",
		} {
			p.raw(t, "", change)
			r := p.reader(t)
			if page, err := r.Tenants(t.Context(), "", 10); err != nil || len(page) != 2 {
				t.Errorf("%v, %v", page, err)
			}
			if got := verify(t, r, "acme"); len(got.Differences) > 0 {
				t.Errorf("%+v", got)
			}
			if _, err := r.Request(t.Context(), "key"); !errors.Is(err, sql.ErrNoLedger) {
				t.Error(err)
			}
			if _, err := r.Requests(t.Context(), sql.RequestFilter{TenantID: "acme"}, 1); !errors.Is(err, sql.ErrNoLedger) {
				t.Error(err)
			}
		}
	})
}

// A role that may only read the registry's schema can read everything.
func TestReaderNeedsOnlySELECT(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.newFixture(t).provision(t, "acme")
	u, err := url.Parse(p.url)
	testkit.Must(t, err)
	u.User = url.UserPassword(p.limitedRole(t, "SELECT"), "secret")
	r, err := p.readerAt(t, u.String(), "tenant_")
	testkit.Must(t, err)
	defer r.Close()
	if got := verify(t, r, "acme"); len(got.Differences) > 0 || got.Indexes != 18 {
		t.Errorf("%+v", got)
	}
	if all, err := r.Requests(t.Context(), sql.RequestFilter{TenantID: "acme"}, 10); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

// An unreachable server is an outage: no result about tenants, and no password in the error.
func TestReaderWithoutAServer(t *testing.T) {
	t.Parallel()
	_, err := testDatabase{engine: "postgres"}.readerAt(t, "postgres://reader:secret@127.0.0.1:1,127.0.0.1:2/x", "tenant_")
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.Class != pipeline.Outage || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// A standby among several hosts is accepted, also if the first host is unavailable.
func TestReaderAcceptsAReadOnlyServer(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.newFixture(t).provision(t, "acme")
	u, err := url.Parse(p.url)
	testkit.Must(t, err)
	p.raw(t, "", fmt.Sprintf("ALTER DATABASE %s SET default_transaction_read_only = on", strings.Trim(u.Path, "/")))
	u.Host = "127.0.0.1:1," + u.Host
	r, err := p.readerAt(t, u.String(), "tenant_")
	testkit.Must(t, err)
	defer r.Close()
	if got := verify(t, r, "acme"); len(got.Differences) > 0 {
		t.Errorf("%+v", got)
	}
}

// listing returns every name below the directory with size and modification time.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	testkit.Must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		testkit.Must(t, err)
		info, err := d.Info()
		testkit.Must(t, err)
		fmt.Fprintln(&b, path, info.Size(), info.ModTime(), info.Mode())
		return nil
	}))
	return b.String()
}

// Files that no process has open stay unchanged, content and directory entry, in WAL mode too.
func TestReaderChangesNoFile(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	store := p.open(t)
	r := p.newFixtureOn(t, store, store)
	r.provision(t, "acme")
	r.provision(t, "walled")
	testkit.Must(t, store.Close())
	p.raw(t, "walled", "PRAGMA journal_mode = WAL", "INSERT INTO docbasket (id, name, storage_config) VALUES ('1', 'b', '{}')")
	p.insertTenants(t, "gone")
	before := listing(t, p.url)
	read := p.reader(t)
	for _, tenant := range []string{"acme", "walled", sql.BootstrapTenant} {
		if got := verify(t, read, tenant); len(got.Differences)+len(got.MissingIndexes) > 0 {
			t.Errorf("%s: %+v", tenant, got)
		}
	}
	verify(t, read, "gone")
	if _, err := read.Requests(t.Context(), sql.RequestFilter{TenantID: "acme"}, 1); err != nil {
		t.Error(err)
	}
	if after := listing(t, p.url); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// A file that is in use in WAL mode shows all commits, not only those checkpointed into the file.
func TestVerifyFileInUseInWALMode(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	p.newFixture(t).provision(t, "acme")
	read := p.reader(t)
	db, err := databasesql.Open("sqlite", p.boundary("acme")+"?_pragma=journal_mode(WAL)")
	testkit.Must(t, err)
	defer db.Close()
	_, err = db.Exec("DROP TABLE file_history")
	testkit.Must(t, err)
	if got := verify(t, read, "acme"); !slices.Equal(got.Differences, []string{"table file_history is missing"}) {
		t.Errorf("%+v", got)
	}
}

func TestVerifyFileThatIsNotADatabase(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	testkit.Must(t, p.open(t).Close())
	p.insertTenants(t, "text", "empty", "directory", "below")
	for tenant, content := range map[string]string{"text": strings.Repeat("not a database\n", 100), "empty": ""} {
		testkit.Must(t, os.MkdirAll(filepath.Dir(p.boundary(tenant)), 0o755))
		testkit.Must(t, os.WriteFile(p.boundary(tenant), []byte(content), 0o644))
	}
	testkit.Must(t, os.MkdirAll(p.boundary("directory"), 0o755))
	testkit.Must(t, os.WriteFile(filepath.Dir(p.boundary("below")), nil, 0o644))
	read := p.reader(t)
	for tenant, want := range map[string]string{
		"text": "is not a SQLite database", "empty": "table docbasket is missing", "directory": "is a directory, not a file of its own",
		"below": "is missing",
	} {
		if got := verify(t, read, tenant); len(got.Differences) == 0 || !strings.Contains(got.Differences[0], want) {
			t.Errorf("%s: %+v", tenant, got)
		}
	}
}

// A registered path may be relative to the service's working directory, be another path to the same file, or be below
// the directory in which the storage was before it was moved.
func TestVerifyAcceptsAnotherPathToTheSameFile(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	p.newFixture(t).provision(t, "acme")
	link := filepath.Join(filepath.Dir(p.url), "link")
	testkit.Must(t, os.Symlink(p.url, link))
	read := p.reader(t)
	for path, same := range map[string]bool{
		"storage/tenant_acme/docex.db": true, "tenant_acme/docex.db": true, link + "/tenant_acme/docex.db": true,
		"other/tenant_acme/docex.db": true, "/nowhere/tenant_acme/docex.db": true,
		"docex.db": false, "/nowhere/acme/docex.db": false, "/nowhere/xtenant_acme/docex.db": false,
	} {
		p.raw(t, "", "UPDATE tenant_registry SET database_path = '"+path+"' WHERE tenant_id = 'acme'")
		if got := verify(t, read, "acme"); (len(got.Differences) == 0) != same || got.Tables != 11 {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// A locked file is not a difference.
func TestVerifyLockedFile(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	p.newFixture(t).provision(t, "acme")
	db, err := databasesql.Open("sqlite", p.boundary("acme")+"?_txlock=exclusive")
	testkit.Must(t, err)
	defer db.Close()
	tx, err := db.Begin()
	testkit.Must(t, err)
	defer tx.Rollback()
	read := p.reader(t)
	row, err := read.Tenant(t.Context(), "acme")
	testkit.Must(t, err)
	got, err := read.Verify(t.Context(), row)
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || len(got.Differences) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Commits that a crashed process left in the -wal file are read, and not checkpointed into the database.
func TestReaderAfterACrash(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	p.newFixture(t).provision(t, "acme") // stays open
	for name, left := range map[string][]string{"with -shm": {"", "-wal", "-shm"}, "without -shm": {"", "-wal"}} {
		dead := newSQLiteAt(filepath.Join(t.TempDir(), "storage"))
		registry := dead.boundary(sql.BootstrapTenant)
		testkit.Must(t, os.MkdirAll(filepath.Dir(registry), 0o755))
		for _, suffix := range left {
			content, err := os.ReadFile(p.boundary(sql.BootstrapTenant) + suffix)
			testkit.Must(t, err)
			testkit.Must(t, os.WriteFile(registry+suffix, content, 0o644))
		}
		before := listing(t, dead.url)
		if _, err := dead.reader(t).Tenant(t.Context(), "acme"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if after := listing(t, dead.url); name == "without -shm" && after != before {
			t.Errorf("%s: before:\n%s\nafter:\n%s", name, before, after)
		}
		before = listing(t, registry) + listing(t, registry+"-wal")
		if _, err := dead.reader(t).Tenant(t.Context(), "acme"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if after := listing(t, registry) + listing(t, registry+"-wal"); after != before {
			t.Errorf("%s: before:\n%s\nafter:\n%s", name, before, after)
		}
	}
}

// Only a process with write access can roll back a transaction that a crashed process left half written in the file.
func TestVerifyFileLeftWithAJournal(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	p.newFixture(t).provision(t, "acme")
	db, err := databasesql.Open("sqlite", p.boundary("acme")+"?_pragma=cache_size(1)")
	testkit.Must(t, err)
	defer db.Close()
	tx, err := db.Begin()
	testkit.Must(t, err)
	for i := range 200 { // more than the cache holds
		_, err = tx.Exec("INSERT INTO docbasket (id, name, storage_config, description) VALUES (?1, ?1, '{}', ?2)",
			i, strings.Repeat("x", 3000))
		testkit.Must(t, err)
	}
	p.insertTenants(t, "dead")
	dir := filepath.Dir(p.boundary("dead"))
	testkit.Must(t, os.CopyFS(dir, os.DirFS(filepath.Dir(p.boundary("acme")))))
	testkit.Must(t, tx.Rollback())
	before := listing(t, dir)
	read := p.reader(t)
	row, err := read.Tenant(t.Context(), "dead")
	testkit.Must(t, err)
	got, err := read.Verify(t.Context(), row)
	if err == nil || !strings.Contains(err.Error(), "only a writer can recover it") || len(got.Differences) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// search is what a store and a reader have in common.
type search interface {
	Tenant(ctx context.Context, id string) (sql.TenantRow, error)
	Requests(ctx context.Context, filter sql.RequestFilter, limit int) ([]sql.RequestRecord, error)
}

// The store of a running service finds what a reader finds: on SQLite its process may not open the registry again.
func TestStoreSearches(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		r := p.newFixture(t)
		r.provision(t, "acme")
		r.expectFailure(t, "ACME", events.CauseTenantExists)
		store, read := as[search](t, r.store), as[search](t, p.reader(t))
		for id, want := range map[string]string{
			"acme": "acme", "Acme": "acme", sql.BootstrapTenant: sql.BootstrapTenant, "other": "", "x' OR 1 = 1 --": "",
		} {
			got, err := store.Tenant(t.Context(), id)
			if want == "" {
				if !errors.Is(err, sql.ErrNotFound) {
					t.Errorf("%q: %+v, %v", id, got, err)
				}
				continue
			}
			testkit.Must(t, err)
			same, err := read.Tenant(t.Context(), id)
			testkit.Must(t, err)
			if diff := cmp.Diff(got, same); diff != "" {
				t.Errorf("%s:\n%s", id, diff)
			}
			testkit.Equal(t, id, got.ID, want)
		}
		for id, want := range map[string]string{"acme": "provisioned", "ACME": "failed", "other": ""} {
			got, err := store.Requests(t.Context(), sql.RequestFilter{TenantID: id}, 10)
			testkit.Must(t, err)
			same, err := read.Requests(t.Context(), sql.RequestFilter{TenantID: id}, 10)
			testkit.Must(t, err)
			testkit.Equal(t, id, fmt.Sprint(got), fmt.Sprint(same))
			var states string
			for _, one := range got {
				states += one.State
			}
			testkit.Equal(t, id, states, want)
		}
		// Text that the database cannot store is an error or found nowhere, and leaves the store usable.
		for _, id := range []string{"a\x00b", "\xff", strings.Repeat("x", 100_000)} {
			if got, err := store.Tenant(t.Context(), id); err == nil {
				t.Errorf("%.10q: %+v", id, got)
			}
			if got, err := store.Requests(t.Context(), sql.RequestFilter{TenantID: id}, 10); len(got) > 0 {
				t.Errorf("%.10q: %+v, %v", id, got, err)
			}
		}
		r.provision(t, "umbrella")
	})
}
