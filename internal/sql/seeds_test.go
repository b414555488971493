package sql_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/seeds"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// seedLoader is a build that can load seed data.
type seedLoader interface {
	pipeline.Build
	LoadSeeds(ctx context.Context, v pipeline.Values) (map[string]int, error)
}

// seedValues are a request's. The display name has everything that a format could misread.
var seedValues = pipeline.Values{
	TenantID: "acme", DisplayName: "O'Neil \"Ltd\" \\N \\. ${tenant_id} $${x} \U0001f600, é", CreatedBy: "billing",
	Now: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
}

// seeded opens a store that loads this seed data.
func (p testDatabase) seeded(t *testing.T, data *pipeline.Seeds) database {
	t.Helper()
	var store database
	var err error
	if p.engine == "postgres" {
		store, err = postgres.Open(t.Context(), postgres.Config{
			URL: p.url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 4, CreatedBy: "test",
			Log: quiet(), Seeds: data,
		})
	} else {
		store, err = sqlite.Open(t.Context(), sqlite.Config{
			Root: p.url, PathTemplate: "tenant_{tenant_id}/docex.db", Connections: 4, CreatedBy: "test", Log: quiet(),
			Now: time.Now, Seeds: data,
		})
	}
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, store.Close()) })
	return store
}

// closedOnce is a build that a test can close before its end.
type closedOnce struct {
	seedLoader
	once sync.Once
}

func (b *closedOnce) Close(ctx context.Context) (left []string) {
	b.once.Do(func() { left = b.seedLoader.Close(ctx) })
	return left
}

// seedBuild begins an attempt and makes the tenant's tables.
func seedBuild(t *testing.T, store database, req pipeline.Request, tenant string) seedLoader {
	t.Helper()
	claim, err := store.Claim(t.Context(), req, tenant, pipeline.Limit{Attempts: 3, Lease: time.Minute})
	testkit.Must(t, err)
	build, err := store.Begin(t.Context(), claim, tenant)
	testkit.Must(t, err)
	loader := &closedOnce{seedLoader: as[seedLoader](t, build)}
	t.Cleanup(func() { loader.Close(context.WithoutCancel(t.Context())) })
	_, err = loader.CreateBoundary(t.Context())
	testkit.Must(t, err)
	testkit.Must(t, loader.CreateTables(t.Context(), nil))
	_, err = loader.CreateIndexes(t.Context())
	testkit.Must(t, err)
	return loader
}

// registerSeeded registers the tenant of the build.
func registerSeeded(t *testing.T, p testDatabase, build pipeline.Build, tenant string) {
	t.Helper()
	boundary := pipeline.Boundary{DatabasePath: p.boundary(tenant)}
	if p.engine == "postgres" {
		boundary = pipeline.Boundary{SchemaName: p.boundary(tenant)}
	}
	testkit.Must(t, build.Register(t.Context(), pipeline.Tenant{
		ID: tenant, DisplayName: "A Customer", IsolationStrategy: "schema", Boundary: boundary, CreatedAt: time.Now(), CreatedBy: "test",
	}, pipeline.Outcome{ID: pipeline.SeedUUID(tenant, "outcome"), Type: events.TypeProvisioned, Body: []byte("{}")}))
}

// The example that is deployed loads on both engines, with the same values.
func TestDeployedSeedData(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		data, faults := seeds.Read("../../deploy/seed-data")
		testkit.Must(t, errors.Join(faults...))
		store := p.seeded(t, data)
		build := seedBuild(t, store, request(t, "acme"), "acme")
		counts, err := build.LoadSeeds(t.Context(), seedValues)
		testkit.Must(t, err)
		testkit.Equal(t, "rows", counts["docbasket"]*10+counts["transport_routes"], 22)
		registerSeeded(t, p, build, "acme")
		inbox := pipeline.SeedUUID("acme", "inbox")
		testkit.Equal(t, "baskets", strings.Join(p.lines(t, "acme", "SELECT id || ' ' || name || ' ' || coalesce(description, '-') || "+
			"' ' || status || ' ' || created_at FROM {b}docbasket ORDER BY name DESC"), "\n"),
			inbox+" Inbox Documents that "+seedValues.DisplayName+" receives active 2026-01-02 03:04:05.000006\n"+
				pipeline.SeedUUID("acme", "archive")+" Archive - active 2026-01-02 03:04:05.000006")
		testkit.Equal(t, "routes", strings.Join(p.lines(t, "acme", "SELECT name || ' ' || CAST(config AS text) || ' ' || "+
			"coalesce(other_party_name, '-') || ' ' || priority FROM {b}transport_routes WHERE can_upload"), "\n"),
			`Upload to the inbox {"basket_id": "`+inbox+`", "path": "incoming/acme"} `+seedValues.DisplayName+" 10")
	})
}

// readSeeds reads files of seed data.
func readSeeds(t *testing.T, files map[string]string) *pipeline.Seeds {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		testkit.Must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	data, faults := seeds.Read(dir)
	testkit.Must(t, errors.Join(faults...))
	return data
}

// load loads files into the boundary of acme, in which the statements have run, and registers the tenant.
func (p testDatabase) load(t *testing.T, files map[string]string, statements ...string) error {
	t.Helper()
	if len(statements) > 0 {
		p.createBoundary(t, "acme")
		p.raw(t, "acme", statements...)
	}
	build := seedBuild(t, p.seeded(t, readSeeds(t, files)), request(t, "acme"), "acme")
	if _, err := build.LoadSeeds(t.Context(), seedValues); err != nil {
		build.Close(t.Context())
		return err
	}
	registerSeeded(t, p, build, "acme")
	return nil
}

// nasty are texts that a format could misread.
var nasty = []string{
	"", " ", `\`, `\\`, `\N`, `\n`, `\.`, "\\\n", "\n", "\r", "\r\n", "\t", "a\tb\nc\\d\re", "'", `"`, `''; DROP TABLE docbasket; --`, `"",""`, ",", "NULL",
	"null", "\u00a0", "é", "\u2028", "\U0001f600", "\U0010ffff", "\u200b", "\ufeff", "\x01\x1b\x7f", "$", "$1", "{}", "?", "?1", "%s", `\x41`, `\101`,
	"\b\f\v", strings.Repeat("\\\t\n", 70_000),
}

// Every text arrives as it is, from both formats, in a text column and within JSON.
func TestSeedsKeepEveryText(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		var jsonl, csv strings.Builder
		csv.WriteString("id,name,type,description,config\n")
		var want []string
		for i, text := range nasty {
			object, err := json.Marshal(map[string]any{
				"id": fmt.Sprint(i), "name": fmt.Sprint(i), "description": text, "storage_config": map[string]any{"k": []string{text}},
			})
			testkit.Must(t, err)
			jsonl.Write(append(object, '\n'))
			inJSON, err := json.Marshal(map[string]any{"k": []string{text}})
			testkit.Must(t, err)
			fmt.Fprintf(&csv, "%d,%d,x,\"%s\",\"%s\"\n", i, i, strings.ReplaceAll(text, `"`, `""`), strings.ReplaceAll(string(inJSON), `"`, `""`))
			want = append(want, fmt.Sprintf("%d %x %x", i, text, text))
		}
		testkit.Must(t, p.load(t, map[string]string{"docbasket.jsonl": jsonl.String(), "processors.csv": csv.String()}))
		inHex := map[string]string{
			"postgres": "encode(convert_to(%s, 'UTF8'), 'hex')", "sqlite": "lower(hex(%s))",
		}[p.engine]
		for table, column := range map[string]string{"docbasket": "storage_config", "processors": "config"} {
			value := map[string]string{
				"postgres": column + "::json #>> '{k,0}'", "sqlite": "json_extract(" + column + ", '$.k[0]')",
			}[p.engine]
			got := p.lines(t, "acme", fmt.Sprintf("SELECT id || ' ' || "+inHex+" || ' ' || "+inHex+" FROM {b}%s ORDER BY CAST(id AS integer)",
				"description", value, table))
			for i := range nasty {
				if i >= len(got) || got[i] != want[i] {
					t.Errorf("%s: %.60q becomes %.60q", table, nasty[i], got[i])
				}
			}
		}
	})
}

// A row gets the defaults of the columns that it does not name; a null is a null.
func TestSeedsWithDefaults(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		testkit.Must(t, p.load(t, map[string]string{
			"docbasket.jsonl": `{"id": "1", "name": "a", "storage_config": {}}` + "\n" +
				`{"storage_config": [], "name": "b", "id": "2", "status": "off"}` + "\n" +
				`{"id": "3", "name": "c", "storage_config": "${tenant_id}", "status": "new", "description": null}` + "\n" +
				`{"id": "4", "name": "d", "storage_config": [1.50]}` + "\n",
			"processors.csv": "id,name,type,description,enabled\n1,a,x,,yes\n2,b,x,\"\",false\n",
		}))
		testkit.Equal(t, "baskets", strings.Join(p.lines(t, "acme", "SELECT id || name || ' ' || status || ' ' || CAST(storage_config AS text) || "+
			"coalesce(description, ' -') FROM {b}docbasket ORDER BY id"), "\n"), "1a active {} -\n2b off [] -\n3c new \"acme\" -\n4d active [1.50] -")
		testkit.Equal(t, "processors", strings.Join(p.lines(t, "acme", "SELECT id || coalesce('[' || description || ']', '-') || "+
			"CASE WHEN enabled THEN 'on' ELSE 'off' END || CAST(config AS text) FROM {b}processors ORDER BY id"), "\n"), "1-on{}\n2[]off{}")
	})
}

// Tables are loaded after those that they refer to, whatever the files are called.
func TestSeedsInTheOrderOfForeignKeys(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		testkit.Must(t, p.load(t, map[string]string{
			"doc_events.csv":        "id,basket_id,document_id,event_type\n1,${uuid:b},${uuid:d},x\n",
			"docbasket.jsonl":       `{"id": "${uuid:b}", "name": "a", "storage_config": {}}`,
			"document.jsonl":        `{"id": "${uuid:d}", "basket_id": "${uuid:b}", "name": "n", "source": "s", "path": "p", "checksum": "c", "size": 5}`,
			"document_metadata.csv": "id,document_id,key,value,coordination_id\n1,${uuid:d},k,v,${uuid:c}\n",
			"Tree.jsonl":            `{"id": 1, "parent": null}` + "\n" + `{"id": 2, "parent": 1}` + "\n" + `{"id": 3}` + "\n" + `{"id": 4, "parent": 3}`,
		}, `CREATE TABLE {b}"Tree" (id integer PRIMARY KEY, parent integer REFERENCES {b}"Tree" (id))`))
		testkit.Equal(t, "events", p.count(t, "acme", "SELECT count(*) FROM {b}doc_events e JOIN {b}document d ON d.id = e.document_id "+
			"JOIN {b}document_metadata m ON m.document_id = d.id WHERE d.size = 5"), 1)
		testkit.Equal(t, "tree", p.count(t, "acme", `SELECT count(*) FROM {b}"Tree" a JOIN {b}"Tree" b ON a.parent = b.id`), 2)
	})
}

// What PostgreSQL would refuse is refused on both engines, each with file and line. Faults that the catalogue shows are
// reported together.
func TestSeedFaults(t *testing.T) {
	t.Parallel()
	const basket = `{"id": "1", "name": "a", "storage_config": {}}` + "\n"
	x := func(n int) string { return strings.Repeat("x", n) }
	type files = map[string]string
	for name, c := range map[string]struct {
		files            files
		postgres, sqlite string // sqlite empty: as postgres
	}{
		"unknown table": {files{"docbaskets.csv": "id\n1\n"}, `docbaskets.csv: the tenant has no table "docbaskets"; name the file after a table`, ""},
		"unknown column": {
			files{"docbasket.jsonl": basket + `{"id": "2", "name": "b", "storage_config": {}, "nam": 1}`},
			`docbasket.jsonl, line 2: table docbasket has no column "nam"; it has id, name, description, storage_config, status, created_at, updated_at`, "",
		},
		"all at once": {
			files{"docbasket.jsonl": basket + `{"id": null, "name": "b"}` + "\n" + `{"x": 1}`, "nothing.csv": "a\n1\n"},
			"docbasket.jsonl, line 2: column storage_config is missing; it is not null and has no default; docbasket.jsonl, line 2: column id is null, and may " +
				"not be; docbasket.jsonl, line 3: table docbasket has no column", "",
		},
		"CSV that is not JSON": {
			files{"processors.csv": "id,name,type,config\n1,a,x,\"{}\"\n2,b,x,{tenant: 1}\n"},
			"processors.csv, line 3: column config is not JSON: invalid character 't' looking for beginning of object key string (byte 2)", "",
		},
		"an unknown placeholder behind an escape": {
			files{"processors.csv": "id,name,type,config\n1,a,x,\"{\"\"a\"\": \"\"\\u0024{plan}\"\"}\"\n"},
			`processors.csv, line 2: column config has the unknown placeholder "${plan}"`, "",
		},
		"too long": {
			files{"docbasket.jsonl": basket + `{"id": "2", "name": "` + x(256) + `", "storage_config": {}}`},
			"docbasket.jsonl, line 2: column name: ERROR: value too long for type character varying(255) (SQLSTATE 22001)",
			"docbasket.jsonl, line 2: column name has 256 characters, and takes at most 255",
		},
		"too long with the request's values": {
			files{"docbasket.jsonl": basket + `{"id": "${display_name}", "name": "b", "storage_config": {}}`},
			"docbasket.jsonl, line 2: column id: ERROR: value too long for type character varying(36) (SQLSTATE 22001)",
			"docbasket.jsonl, line 2: column id has 42 characters, and takes at most 36",
		},
		"not an integer": {
			files{"transport_routes.csv": "id,name,purpose,protocol,config,priority\n\"1\",\"a\nb\",x,x,{},1\n2,c,x,x,{},1.5\n"},
			`transport_routes.csv, line 4: column priority: ERROR: invalid input syntax for type integer: "1.5" (SQLSTATE 22P02)`,
			`transport_routes.csv, line 4: column priority has "1.5", not a whole number`,
		},
		"not a boolean": {
			files{"processors.csv": "id,name,type,enabled\n1,a,x,maybe\n"},
			`processors.csv, line 2: column enabled: ERROR: invalid input syntax for type boolean: "maybe"`,
			`processors.csv, line 2: column enabled has "maybe", not a boolean; write true or false`,
		},
		"not a timestamp": {
			files{"processors.csv": "id,name,type,created_at\n1,a,x,2026-02-30 00:00:00\n"},
			`processors.csv, line 2: column created_at: ERROR: date/time field value out of range`,
			`processors.csv, line 2: column created_at has "2026-02-30 00:00:00", not a timestamp`,
		},
		"not a UUID": {
			files{"document_metadata.csv": "id,document_id,key,value,coordination_id\n1,1,k,v,x\n"},
			`document_metadata.csv, line 2: column coordination_id: ERROR: invalid input syntax for type uuid: "x"`,
			`document_metadata.csv, line 2: column coordination_id has "x", not a UUID`,
		},
		"a duplicate": {
			files{"docbasket.jsonl": basket + "\n" + strings.Replace(basket, `"1"`, `"2"`, 1)},
			"docbasket.jsonl, line 3: ERROR: duplicate key value violates unique constraint \"uq_docbasket_name\" (SQLSTATE 23505): Key (name)=(a) already exists.",
			"docbasket.jsonl, line 3: constraint failed: UNIQUE constraint failed: docbasket.name",
		},
		"a missing row": {
			files{"docbasket.jsonl": basket, "doc_events.csv": "id,basket_id,event_type\n1,1,x\n2,9,x\n"},
			`doc_events.csv: ERROR: insert or update on table "doc_events" violates foreign key constraint "doc_events_basket_id_fkey" (SQLSTATE 23503): ` +
				`Key (basket_id)=(9) is not present in table "docbasket".`,
			"doc_events.csv, line 3: a row of table doc_events refers to a row of docbasket that does not exist; rows with such a reference: 1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range []testDatabase{newPostgres(t), newSQLite(t)} {
				want := c.postgres
				if p.engine == "sqlite" && c.sqlite != "" {
					want = c.sqlite
				}
				p.requireSeedFailed(t, p.load(t, c.files), want)
				testkit.Equal(t, "boundary of "+p.engine, p.boundaryState(t, "acme"), "")
			}
		})
	}
}

// requireSeedFailed fails unless the error is the seed data's, and says this.
func (p testDatabase) requireSeedFailed(t *testing.T, err error, want string) {
	t.Helper()
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.Class != pipeline.Permanent || fault.Code != events.CauseSeedDataFailed ||
		!strings.Contains(err.Error(), ": "+want) && !strings.HasPrefix(fault.Error(), want) {
		t.Errorf("%+v: %v\nwant %s", fault, err, want)
	}
}

// Objects of scripts can refuse rows in further ways.
func TestSeedFaultsOfOwnTables(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.requireSeedFailed(t, p.load(t, map[string]string{"v.csv": "a\n1\n", "g.csv": "a,b\n1,2\n"},
			"CREATE TABLE {b}g (a integer, b integer GENERATED ALWAYS AS (a + 1) STORED)", "CREATE VIEW {b}v AS SELECT a FROM {b}g"),
			"g.csv, line 2: column b is generated; leave it out; v.csv: v is a view, not a table")
	})
}

func TestSeedsThatACheckRefuses(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		p.requireSeedFailed(t, p.load(t, map[string]string{"c.csv": "a\n1\n2\n"}, "CREATE TABLE {b}c (a integer CHECK (a < 2))"),
			map[string]string{
				"postgres": `c.csv, line 3: ERROR: new row for relation "c" violates check constraint "c_a_check" (SQLSTATE 23514)`,
				"sqlite":   "c.csv, line 3: constraint failed: CHECK constraint failed: a < 2",
			}[p.engine])
	})
}

// A plan that the first attempt has made serves all others: each tenant gets its own values.
func TestSeedsOfSeveralTenants(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		store := p.seeded(t, readSeeds(t, map[string]string{
			"docbasket.jsonl": `{"id": "${uuid:a}", "name": "${display_name}", "storage_config": {"by": ["${created_by}"]}}`,
		}))
		var tenants sync.WaitGroup
		for _, tenant := range []string{"a", "b", "c", "d"} {
			tenants.Go(func() {
				build := seedBuild(t, store, request(t, tenant), tenant)
				_, err := build.LoadSeeds(t.Context(), pipeline.Values{TenantID: tenant, DisplayName: "of " + tenant, CreatedBy: `"` + tenant})
				if err != nil {
					t.Error(err)
					return
				}
				registerSeeded(t, p, build, tenant)
			})
		}
		tenants.Wait()
		for _, tenant := range []string{"a", "b", "c", "d"} {
			testkit.Equal(t, "row", strings.Join(p.lines(t, tenant, "SELECT id || ' ' || name || ' ' || CAST(storage_config AS text) FROM {b}docbasket"), "\n"),
				pipeline.SeedUUID(tenant, "a")+" of "+tenant+` {"by": ["\"`+tenant+`"]}`)
		}
	})
}

// After a fault the tables are read again: they may have changed.
func TestSeedsReadTheTablesAgain(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		store := p.seeded(t, readSeeds(t, map[string]string{"own.csv": "a\n1\n"}))
		for i, c := range []struct{ ddl, want string }{
			{"CREATE TABLE {b}own (a integer)", ""},
			{"CREATE TABLE {b}own (b integer)", "own.csv"}, // by the plan of the first
			{"CREATE TABLE {b}own (b integer)", `own.csv, line 2: table own has no column "a"; it has b`},
			{"CREATE TABLE {b}own (a varchar(9))", ""},
		} {
			tenant := fmt.Sprintf("t%d", i)
			p.createBoundary(t, tenant)
			p.raw(t, tenant, c.ddl)
			build := seedBuild(t, store, request(t, tenant), tenant)
			_, err := build.LoadSeeds(t.Context(), seedValues)
			if c.want == "" {
				testkit.Must(t, err)
			} else {
				p.requireSeedFailed(t, err, c.want)
			}
			build.Close(t.Context())
		}
	})
}

// Foreign keys that form a cycle need one that is deferrable. Rows that it refuses are found before the commit.
func TestSeedsOfACycle(t *testing.T) {
	t.Parallel()
	both := map[string]string{"a.csv": "id,b\n1,1\n", "b.csv": "id,a\n1,1\n"}
	tables := func(how string) []string {
		return []string{
			"CREATE TABLE {b}a (id integer PRIMARY KEY, b integer)",
			"CREATE TABLE {b}b (id integer PRIMARY KEY, a integer REFERENCES {b}a (id))",
			"ALTER TABLE {b}a ADD FOREIGN KEY (b) REFERENCES {b}b (id) " + how,
		}
	}
	for how, want := range map[string]string{
		"": "the foreign keys of these tables form a cycle: a → b → a; declare one of them DEFERRABLE", "DEFERRABLE": "",
		"DEFERRABLE INITIALLY DEFERRED": "",
	} {
		p := newPostgres(t)
		err := p.load(t, both, tables(how)...)
		if want != "" {
			p.requireSeedFailed(t, err, want)
			continue
		}
		testkit.Must(t, err)
		p = newPostgres(t)
		err = p.load(t, map[string]string{"a.csv": "id,b\n1,7\n", "b.csv": "id,a\n1,1\n"}, tables(how)...)
		p.requireSeedFailed(t, err, `a.csv: ERROR: insert or update on table "a" violates foreign key constraint "a_b_fkey" (SQLSTATE 23503): Key (b)=(7)`)
	}
}

// A trigger can raise any SQLSTATE. It is the seed data's fault, unless the same rows may be loaded by the next attempt,
// or the connection is lost.
func TestSeedsThatATriggerRefuses(t *testing.T) {
	t.Parallel()
	raise := func(code string) string { return "RAISE EXCEPTION 'refused' USING ERRCODE = '" + code + "'" }
	const permanent, transient, outage = pipeline.Permanent, pipeline.Transient, pipeline.Outage
	for name, c := range map[string]struct {
		body  string
		class pipeline.Class
		want  string
	}{
		"raise":               {raise("P0001"), permanent, "own.csv, line 2: ERROR: refused (SQLSTATE P0001)"},
		"connection failure":  {raise("08006"), permanent, "own.csv, line 2: ERROR: refused"},
		"disk full":           {raise("53100"), permanent, "own.csv, line 2: ERROR: refused"},
		"shutdown":            {raise("57P01"), permanent, "own.csv, line 2: ERROR: refused"},
		"cancelled":           {raise("57014"), permanent, "own.csv, line 2: ERROR: refused"},
		"privilege":           {raise("42501"), permanent, "own.csv, line 2: ERROR: refused"},
		"division":            {"PERFORM 1 / 0", permanent, "own.csv, line 2: ERROR: division by zero"},
		"discards":            {"RETURN NULL", permanent, "own.csv: table own took 0 of 1 rows; look for a trigger that discards rows"},
		"deadlock":            {raise("40P01"), transient, "own.csv: ERROR: refused"},
		"serialization":       {raise("40001"), transient, "own.csv: ERROR: refused"},
		"lock timeout":        {raise("55P03"), transient, "own.csv: ERROR: refused"},
		"the server ends it":  {"PERFORM pg_terminate_backend(pg_backend_pid())", outage, "own.csv: the server ended the session; if a script, or a trigger"},
		"an operator cancels": {"PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(30)", transient, "own.csv: ERROR: canceling statement"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			err := p.load(t, map[string]string{"own.csv": "a\n1\n"}, "CREATE TABLE {b}own (a integer)",
				"CREATE FUNCTION {b}f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "+c.body+"; RETURN NEW; END$$",
				"CREATE TRIGGER t BEFORE INSERT ON {b}own FOR EACH ROW EXECUTE FUNCTION {b}f()")
			var fault *pipeline.Fault
			if !errors.As(err, &fault) || fault.Class != c.class || !strings.Contains(err.Error(), ": "+c.want) ||
				(fault.Code == events.CauseSeedDataFailed) != (c.class == permanent) {
				t.Errorf("%+v: %v", fault, err)
			}
		})
	}
}

// COPY takes the values of identity columns of both kinds.
func TestSeedsOfAnIdentityColumn(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"ALWAYS", "BY DEFAULT"} {
		p := newPostgres(t)
		testkit.Must(t, p.load(t, map[string]string{"own.csv": "id\n7\n"}, "CREATE TABLE {b}own (id integer GENERATED "+how+" AS IDENTITY)"))
		testkit.Equal(t, "id", p.count(t, "acme", "SELECT id FROM {b}own"), 7)
	}
}

// A file that an attempt has finished and placed before a crash is used with its rows, by the same request only, and
// only if they are those of the seed data.
func TestSeededFileIsRecovered(t *testing.T) {
	t.Parallel()
	basket := func(id string) string {
		return `{"id": "` + id + `", "name": "` + id + `", "storage_config": {}}` + "\n"
	}
	for name, c := range map[string]struct {
		other bool   // another request
		files string // of the later attempt
		want  string
	}{
		"the same":      {false, basket("1"), ""},
		"other request": {true, basket("1"), "is not registered, and holds rows in docbasket"},
		"other seeds":   {false, basket("2"), "is not registered, and holds rows in docbasket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSQLite(t)
			first := request(t, "acme")
			build := seedBuild(t, p.seeded(t, readSeeds(t, map[string]string{"docbasket.jsonl": basket("1")})), first, "acme")
			_, err := build.LoadSeeds(t.Context(), seedValues)
			testkit.Must(t, err)
			registerSeeded(t, p, build, "acme")
			build.Close(t.Context())
			p.raw(t, "", "DELETE FROM {b}tenant_registry WHERE tenant_id = 'acme'", "DELETE FROM {b}tenant_requests")
			store := p.seeded(t, readSeeds(t, map[string]string{"docbasket.jsonl": c.files}))
			again := first
			if c.other {
				again = request(t, "acme")
			}
			err = recoverSeeded(t, p, store, again)
			if c.want == "" {
				testkit.Must(t, err)
				testkit.Equal(t, "rows", p.count(t, "acme", "SELECT count(*) FROM docbasket"), 1)
				return
			}
			var fault *pipeline.Fault
			if !errors.As(err, &fault) || fault.Code != events.CauseBoundaryNotEmpty || !strings.Contains(fault.Message, c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// recoverSeeded provisions the tenant of the request again.
func recoverSeeded(t *testing.T, p testDatabase, store database, req pipeline.Request) error {
	t.Helper()
	claim, err := store.Claim(t.Context(), req, "acme", pipeline.Limit{Attempts: 3, Lease: time.Minute})
	testkit.Must(t, err)
	begun, err := store.Begin(t.Context(), claim, "acme")
	testkit.Must(t, err)
	defer begun.Close(t.Context())
	build := as[seedLoader](t, begun)
	if _, err := build.CreateBoundary(t.Context()); err != nil {
		return err
	}
	testkit.Must(t, build.CreateTables(t.Context(), nil))
	counts, err := build.LoadSeeds(t.Context(), seedValues)
	if err == nil {
		testkit.Equal(t, "counts", counts["docbasket"], 1)
		registerSeeded(t, p, build, "acme")
	}
	return err
}
