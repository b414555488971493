package postgres

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// Scripts must make the same for each tenant. What depends on the values of a request is named at start and not
// compared; what depends on anything else is found when it happens.
func TestScriptsMakeTheReference(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text       string
		uncompared []string // named at start
		differs    string   // named when acme is provisioned; empty: it is
	}{
		"the same": {text: "CREATE TABLE made (id serial PRIMARY KEY, v text CHECK (v <> ''));;\nCREATE VIEW w AS SELECT * FROM made"},
		"names and values": {
			text: `DO $$ DECLARE tenant text := current_setting('provisioner.tenant_id'); BEGIN
	EXECUTE format('CREATE TABLE %I (id integer)', 'log_' || left(md5(tenant), 8));
	CREATE TABLE made (id integer);
	EXECUTE format('ALTER TABLE made ADD COLUMN tenant text DEFAULT %L', tenant);
	EXECUTE format('ALTER TABLE made ADD CONSTRAINT %I UNIQUE (id)', 'key_' || left(md5(tenant), 8));
END $$`,
			uncompared: []string{
				"table log_", "its name, or whether it is made, depends on the tenant", "column made.tenant: its default depends on the tenant",
				"unique key key_",
			},
		},
		"objects of some plans": {
			text: `DO $$ BEGIN
	IF current_setting('provisioner.plan') = 'paid' THEN CREATE TABLE paid (id integer); END IF;
	IF current_setting('provisioner.plan') <> 'free' THEN CREATE VIEW not_free AS SELECT 1 AS n; END IF;
	IF current_setting('provisioner.plan') NOT IN ('free', 'paid') THEN RAISE 'there is no such plan'; END IF;
END $$`,
			uncompared: []string{"table paid: its name, or whether it is made, depends on the tenant", "view not_free"},
		},
		"an object for one": {
			text: `DO $$ BEGIN
	IF current_setting('provisioner.tenant_id') <> 'acme' THEN CREATE TABLE for_others (id integer); END IF;
END $$`,
			differs: "table for_others is missing",
		},
		"a column of a built-in table": {
			text: `DO $$ BEGIN
	ALTER TABLE document ADD COLUMN extra text;
	IF current_setting('provisioner.tenant_id') = 'acme' THEN ALTER TABLE document ALTER COLUMN extra TYPE varchar(5); END IF;
END $$`,
			differs: "column document.extra is varchar(5), want text",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFence(t)
			var log bytes.Buffer
			c := f.config(test.text)
			c.Scripts.Plans = []string{"free", "paid"}
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := f.open(c)
			log.Reset()
			testkit.Equal(t, "definition before the rehearsal", s.Definition(), "")
			testkit.Must(t, s.RehearseFurther(t.Context()))
			testkit.Equal(t, "length of the fingerprint", len(s.Definition()), 16)
			testkit.Equal(t, "named at start", log.Len() > 0, len(test.uncompared) > 0)
			testkit.Contains(t, "log", log.String(), test.uncompared...)
			definition := s.Definition()
			testkit.Must(t, s.RehearseFurther(t.Context()))
			testkit.Equal(t, "definition of the next start", s.Definition(), definition)
			_, err := provision(t.Context(), s, "other"+definition)
			testkit.Must(t, err)
			_, err = provision(t.Context(), s, "acme")
			if test.differs == "" {
				testkit.Must(t, err)
				return
			}
			testkit.Contains(t, "fault", scriptFailed(t, err).Error(), test.differs)
			s.reference.Load().server = "another"
			_, err = provision(t.Context(), s, "acme")
			testkit.Must(t, err)
		})
	}
}

// A boundary that exists may have more than the reference, and other built-in tables.
func TestReferenceOfExistingBoundary(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	s := f.open(f.config("CREATE TABLE IF NOT EXISTS made (id integer PRIMARY KEY)"))
	testkit.Must(t, s.RehearseFurther(t.Context()))
	f.execAs(f.url, `CREATE SCHEMA tenant_acme;
CREATE TABLE tenant_acme.docbasket (id varchar(40) CONSTRAINT of_another PRIMARY KEY, name text NOT NULL UNIQUE, description text,
	storage_config json NOT NULL, status varchar(50) NOT NULL, created_at timestamp NOT NULL, updated_at timestamp NOT NULL, mine text);
CREATE TABLE tenant_acme.mine (id integer)`)
	_, err := provision(t.Context(), s, "acme")
	testkit.Must(t, err)
	f.execAs(f.url, "CREATE SCHEMA tenant_bee; CREATE TABLE tenant_bee.made (id text)")
	_, err = provision(t.Context(), s, "bee")
	testkit.Contains(t, "fault", scriptFailed(t, err).Error(), "column made.id is text, want integer")
}

// A boundary from the pool that was changed since it was prepared is not used. The request is tried again without it.
func TestReferenceOfTakenBoundary(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	c := f.config(prepareLine+"CREATE TABLE made (id serial PRIMARY KEY, v text)", "CREATE TABLE asked (id integer)")
	c.Prepared = 1
	s := f.open(c)
	testkit.Must(t, s.RehearseFurther(t.Context()))
	_, err := s.prepareOne(t.Context())
	testkit.Must(t, err)
	f.execAs(f.url, "DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE %I.made DROP COLUMN v', schema_name) FROM docex_system.prepared_boundaries); END $$")
	_, err = provision(t.Context(), s, "acme")
	testkit.Contains(t, "error", err.Error(), pipeline.ErrBusy.Error(), "column made.v is missing")
	testkit.Equal(t, "in the pool", f.text("SELECT count(*)::text FROM docex_system.prepared_boundaries"), "0")
	_, err = provision(t.Context(), s, "acme")
	testkit.Must(t, err)
}

// Scripts that make the same in another order when a boundary is prepared are refused at start.
func TestPreparedBoundariesHaveTheReference(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	c := f.config("CREATE TABLE IF NOT EXISTS made (id integer)", prepareLine+"CREATE TABLE IF NOT EXISTS made (id text)")
	s := f.open(c)
	testkit.Must(t, s.RehearseFurther(t.Context()))
	c.Prepared = 1
	s = f.open(c)
	err := s.RehearseFurther(t.Context())
	testkit.Contains(t, "error", err.Error(), "PREPARED_BOUNDARIES", "column made.id is text, want integer")
}

// A boundary that is prepared has what the rehearsal's had, except for what depends on nothing else.
func TestReferenceOfPreparedBoundaries(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	c := f.config(prepareLine+`CREATE TABLE made (id integer, v text);;
CREATE TABLE altered (id integer);;
DO $$ BEGIN
	EXECUTE format('CREATE TABLE %I (id integer)', 'log_' || left(md5(random()::text), 8));
	IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'switched') THEN ALTER TABLE made DROP COLUMN v; END IF;
END $$`, "ALTER TABLE altered ALTER COLUMN id TYPE bigint")
	c.Prepared = 4
	s := f.open(c)
	testkit.Must(t, s.RehearseFurther(t.Context()))
	built, err := s.prepareOne(t.Context())
	testkit.Must(t, err)
	testkit.Equal(t, "built", built, true)
	boundary, err := provision(t.Context(), s, "acme")
	testkit.Must(t, err)
	testkit.Equal(t, "prepared", boundary.Prepared, true)
	f.exec("CREATE SCHEMA switched")
	_, err = s.prepareOne(t.Context())
	testkit.Contains(t, "error", fmt.Sprint(err), "column made.v is missing")
	testkit.Equal(t, "in the pool", f.text("SELECT count(*)::text FROM docex_system.prepared_boundaries"), "0")
}

// verify returns what a reader with this configuration finds of a tenant.
func (f fence) verify(c Config, tenant string) pipeline.Inspection {
	f.t.Helper()
	r, err := OpenReader(f.t.Context(), c)
	testkit.Must(f.t, err)
	defer r.Close()
	row, err := r.Tenant(f.t.Context(), tenant)
	testkit.Must(f.t, err)
	in, err := r.Verify(f.t.Context(), row)
	testkit.Must(f.t, err)
	return in
}

// A reader compares tenants with what the service has stored when it started last, if scripts are configured.
func TestReaderComparesWithTheReference(t *testing.T) {
	t.Parallel()
	f := newFence(t)
	c := f.config("CREATE TABLE made (id integer PRIMARY KEY, v text);;\nCREATE INDEX idx_made ON made (v);;\nALTER TABLE document ADD COLUMN extra text")
	s := f.open(c)
	_, err := provision(t.Context(), s, "before")
	testkit.Must(t, err)
	testkit.Equal(t, "nothing is stored", len(f.verify(c, "before").Differences), 0)
	for range 2 {
		testkit.Must(t, s.RehearseFurther(t.Context()))
	}
	testkit.Equal(t, "stored", f.text("SELECT string_agg(fingerprint, ' ') FROM docex_system.definitions"), s.Definition())
	_, err = provision(t.Context(), s, "acme")
	testkit.Must(t, err)
	in := f.verify(c, "acme")
	testkit.Equal(t, "differences of acme", strings.Join(in.Differences, "; "), "")
	testkit.Equal(t, "warnings of acme", strings.Join(in.Warnings, "; "), "document.extra is not in the definition")
	testkit.Equal(t, "differences of the bootstrap tenant", len(f.verify(c, "_docex_system_").Differences), 0)

	f.execAs(f.url, "ALTER TABLE tenant_acme.made DROP COLUMN v; ALTER TABLE tenant_acme.document DROP COLUMN extra; CREATE TABLE tenant_acme.mine ()")
	in = f.verify(c, "acme")
	testkit.Equal(t, "differences", strings.Join(in.Differences, "; "),
		"initialisation scripts: column document.extra is missing; initialisation scripts: column made.v is missing")
	testkit.Equal(t, "warnings", strings.Join(in.Warnings, "; "), "initialisation scripts: index idx_made on made is missing; "+
		"initialisation scripts: table mine is not in the definition")
	f.execAs(f.url, "DROP TABLE tenant_before.made")
	testkit.Contains(t, "differences", strings.Join(f.verify(c, "before").Differences, "; "),
		"initialisation scripts: table made is missing; the tenant was made by an earlier definition")
	testkit.Equal(t, "differences without scripts", len(f.verify(f.config(), "acme").Differences), 0)

	f.exec("UPDATE docex_system.definitions SET server = '9.6'")
	testkit.Contains(t, "warnings", strings.Join(f.verify(c, "acme").Warnings, "; "), "had version 9.6")
	f.exec("UPDATE docex_system.definitions SET server = current_setting('server_version')",
		"GRANT USAGE ON SCHEMA docex_system TO "+f.role+"_app", "GRANT SELECT ON ALL TABLES IN SCHEMA docex_system TO "+f.role+"_app",
		"ALTER ROLE "+f.role+"_app LOGIN PASSWORD 'secret'")
	c.URL = strings.Replace(c.URL, f.role, f.role+"_app", 1)
	testkit.Contains(t, "warnings of a role without USAGE", strings.Join(f.verify(c, "acme").Warnings, "; "), "USAGE on schema \"tenant_acme\"")
}
