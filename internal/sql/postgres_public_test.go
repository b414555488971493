package sql_test

import (
	"log/slog"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/testkit"
)

// An earlier version created the registry by the search_path of its session. What it made with code of schema public is
// found and created again at the next start. What operators have added is left alone.
func TestExpressionsOfPublicAreRebuilt(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	r.provision(t, "Acme")
	log := &warnings{}
	p.raw(t, "", "DROP INDEX {b}tenant_registry_lower_tenant_id",
		`CREATE INDEX tenant_registry_lower_tenant_id ON {b}tenant_registry (lower(tenant_id COLLATE "C"))`,
		"ALTER TABLE {b}tenant_requests DROP CONSTRAINT tenant_requests_state_check",
		"ALTER TABLE {b}tenant_requests ADD CHECK (state IN ('running', 'provisioned', 'failed'))",
		"CREATE FUNCTION public.today() RETURNS timestamp LANGUAGE sql AS 'SELECT ''2020-01-01''::timestamp'",
		"ALTER TABLE {b}tenant_provisioner_migrations ALTER COLUMN tstamp SET DEFAULT public.today()",
		"ALTER TABLE {b}tenant_registry ADD CONSTRAINT of_an_operator CHECK (lower(created_by) <> 'nobody') NOT VALID")
	const foreign = `SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
		WHERE classid IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass)
			AND refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
			AND pg_describe_object(classid, objid, 0) LIKE '%docex\_system%'`
	if before := p.lines(t, "", foreign); len(before) < 4 {
		t.Fatalf("nothing to rebuild: %v", before)
	}
	again := p.withPoolAndLog(0, slog.New(log)).newFixture(t)
	for _, left := range p.lines(t, "", foreign) {
		if !strings.Contains(left, "of_an_operator") {
			t.Errorf("%s still uses code of schema public", left)
		}
	}
	if n := p.count(t, "", "SELECT count(*) FROM pg_constraint WHERE conname = 'of_an_operator'"); n != 1 {
		t.Error("the operator's constraint was dropped")
	}
	text := strings.Join(log.texts, "\n")
	testkit.Contains(t, "the log", text, "tenant_registry_lower_tenant_id", "tenant_requests_state_check", "tstamp")
	p.raw(t, "", "ALTER TABLE {b}tenant_registry DROP CONSTRAINT of_an_operator")
	again.provision(t, "beta")
	again.expectFailure(t, "ACME", "TENANT_EXISTS") // found through the index
	if got := p.open(t); got.Ping(t.Context()) != nil || len(log.texts) < 3 {
		t.Error("the next start fails")
	} else {
		testkit.Must(t, got.Close())
	}
}

// While another transaction holds the table, the start is an outage that names its session; nothing queues behind it for
// long.
func TestRebuildDoesNotWaitForOtherTransactions(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.open(t).Close())
	p.raw(t, "", "DROP INDEX {b}tenant_registry_lower_tenant_id",
		`CREATE INDEX tenant_registry_lower_tenant_id ON {b}tenant_registry (lower(tenant_id COLLATE "C"))`)
	tx, err := connect(t, p.url).Begin()
	testkit.Must(t, err)
	_, err = tx.Exec("LOCK TABLE docex_system.tenant_registry IN ROW EXCLUSIVE MODE")
	testkit.Must(t, err)
	_, err = postgres.Open(t.Context(), postgres.Config{
		URL: p.url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1, CreatedBy: "test",
		Log: slog.New(slog.DiscardHandler),
	})
	if !pipeline.IsOutage(err) || !strings.Contains(err.Error(), "idle in transaction") {
		t.Errorf("while it is locked: %v", err)
	}
	testkit.Must(t, tx.Rollback())
	testkit.Must(t, p.open(t).Close())
}
