package sql_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// stamped is a store that can report its registry's id.
type stamped interface{ RegistryID() string }

func registryID(t *testing.T, store database) string {
	t.Helper()
	s, ok := store.(stamped)
	if !ok {
		t.Fatal("the store has no RegistryID method")
	}
	return s.RegistryID()
}

// Processes that start at the same time on a new database create one id, and later ones read it.
func TestRegistryHasOneID(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		const replicas = 4
		ids := make([]string, replicas+1)
		var starts sync.WaitGroup
		for i := range replicas {
			starts.Go(func() {
				store := p.open(t)
				defer store.Close()
				ids[i] = registryID(t, store)
			})
		}
		starts.Wait()
		store := p.open(t)
		defer store.Close()
		ids[replicas] = registryID(t, store)
		slices.Sort(ids)
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(ids[0]) ||
			len(slices.Compact(ids)) != 1 {
			t.Errorf("ids %q", ids)
		}
		if n := p.count(t, "", "SELECT count(*) FROM {b}registry_stamp"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

// A registry of DocEX or of the earlier version gets an id of its own.
func TestRegistryWithoutAnIDGetsOne(t *testing.T) {
	onBothEngines(t, func(t *testing.T, p testDatabase) {
		store := p.open(t)
		first := registryID(t, store)
		testkit.Must(t, store.Close())
		// Without these it is a registry of DocEX.
		p.raw(t, "", "DROP TABLE {b}registry_stamp", "DROP TABLE {b}tenant_requests", "DROP TABLE {b}tenant_provisioner_migrations")
		if p.engine == "postgres" {
			p.raw(t, "", "DROP TABLE {b}prepared_boundaries", "COMMENT ON SCHEMA docex_system IS NULL")
		}
		r := p.newFixture(t)
		if second := registryID(t, r.store); second == first || second == "" {
			t.Errorf("id %q, was %q", second, first)
		}
		r.provision(t, "acme")
	})
}

// A registry whose id was deleted would treat its own boundaries as another registry's.
func TestRegistryThatHasLostItsID(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.open(t).Close())
	p.raw(t, "", "DELETE FROM {b}registry_stamp")
	_, err := postgres.Open(t.Context(), postgres.Config{
		URL: p.url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 1, Log: quiet(),
	})
	if err == nil || !strings.Contains(err.Error(), `INSERT INTO "docex_system"."registry_stamp" DEFAULT VALUES`) {
		t.Error(err)
	}
}

// configured returns the PostgreSQL database with another configuration of the stores.
func (p testDatabase) configured(change func(*postgres.Config)) testDatabase {
	c := postgres.Config{
		URL: p.url, Registry: "docex_system", SchemaTemplate: "tenant_{tenant_id}", Connections: 4, CreatedBy: "test", Log: quiet(),
	}
	change(&c)
	p.open = func(t *testing.T) database {
		t.Helper()
		s, err := postgres.Open(t.Context(), c)
		testkit.Must(t, err)
		return s
	}
	return p
}

// neighbour returns another service in the database, with its own registry and the same template.
func (p testDatabase) neighbour() testDatabase {
	return p.configured(func(c *postgres.Config) { c.Registry = "shop_system" })
}

// comment returns the comment on the tenant's schema.
func (p testDatabase) comment(t *testing.T, tenant string) string {
	t.Helper()
	return strings.Join(p.lines(t, "", "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace "+
		"WHERE nspname = 'tenant_"+tenant+"'"), " ")
}

// expectStamp fails the test unless the tenant's schema carries the registry's stamp.
func (r fixture) expectStamp(t *testing.T, tenant string) {
	t.Helper()
	if got, want := r.comment(t, tenant), "tenant-provisioner registry "+registryID(t, r.store); got != want {
		t.Errorf("the comment on the schema of %s is %q, want %q", tenant, got, want)
	}
}

// expectForeignSchema requires that the tenant's boundary belongs to another registry, and stays unchanged.
func (r fixture) expectForeignSchema(t *testing.T, tenant string, parts ...string) {
	t.Helper()
	before, comment := r.snapshot(t, tenant), r.comment(t, tenant)
	f := r.expectFailure(t, tenant, events.CauseBoundaryNotEmpty)
	for _, text := range append(parts, "schema tenant_"+tenant+" belongs to another service", "SCHEMA_TEMPLATE") {
		if !strings.Contains(f.Cause.Message, text) {
			t.Errorf("message %q, want %q", f.Cause.Message, text)
		}
	}
	if f.Step.Number != 1 || f.Attempts != 1 || !f.Replayable || len(f.LeftBehind) != 0 {
		t.Errorf("%+v", f)
	}
	if r.snapshot(t, tenant) != before || r.comment(t, tenant) != comment {
		t.Error("the schema was touched")
	}
}

// Two services in one database with one template: the first one gets the schema, also if the same event is published to
// both.
func TestTwoRegistriesShareNoSchema(t *testing.T) {
	t.Parallel()
	for name, prepared := range map[string]int{"on demand": 0, "prepared": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			ours, theirs := p.filledPool(t, prepared), p.neighbour().newFixture(t)
			req := request(t, "acme")
			provisionedOutcome(t, theirs.decide(t, req))
			theirs.expectStamp(t, "acme")
			ours.expectForeignSchema(t, "acme", "schema shop_system", "carries the stamp")
			failedOutcome(t, ours.decide(t, req), events.CauseBoundaryNotEmpty)
			if n := ours.countRegistered(t); n != 0 {
				t.Errorf("%d tenants are registered", n)
			}
			if held := len(p.pooled(t)); held != prepared {
				t.Errorf("the pool holds %d boundaries, want %d", held, prepared)
			}
			if got := ours.provision(t, "umbrella"); got.Prepared != (prepared > 0) {
				t.Errorf("%+v", got)
			}
			ours.expectStamp(t, "umbrella")
			theirs.expectForeignSchema(t, "umbrella", "schema docex_system", "carries the stamp")
		})
	}
}

// Also concurrently.
func TestTwoRegistriesRaceForASchema(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	fixtures := []fixture{p.filledPool(t, 1), p.neighbour().newFixture(t)}
	for _, tenant := range []string{"a", "b", "c"} {
		outcomes := concurrently(t, len(fixtures), func(i int) pipeline.Outcome { return runUntilDecided(t, fixtures[i], request(t, tenant)) })
		if outcomes[0].Provisioned() == outcomes[1].Provisioned() {
			t.Errorf("%s:\n%s\n%s", tenant, outcomes[0].Body, outcomes[1].Body)
		}
	}
}

// The earlier version created schemas without a stamp. They are protected by the registry in which they are registered,
// if that can be read.
func TestSchemaOfANeighbourWithoutAStamp(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	ours, theirs := p.newFixture(t), p.neighbour().newFixture(t)
	for tenant, comment := range map[string]string{"acme": "NULL", "umbrella": "'billing, ask Ann'"} {
		theirs.provision(t, tenant)
		p.raw(t, "", "COMMENT ON SCHEMA tenant_"+tenant+" IS "+comment)
		ours.expectForeignSchema(t, tenant, "is registered for tenant \""+tenant+"\"", "schema shop_system")
	}
	// Registered there although it carries our stamp: the earlier version does not check stamps.
	ours.provision(t, "beta")
	p.raw(t, "", "INSERT INTO shop_system.tenant_registry SELECT * FROM docex_system.tenant_registry WHERE tenant_id = 'beta'")
	ours.unregister(t, "beta")
	ours.expectForeignSchema(t, "beta", "is registered for tenant \"beta\"", "schema shop_system")

	// A registry that cannot be read protects what carries its stamp, and blocks nothing else.
	role := p.limitedRole(t, "SELECT, INSERT, UPDATE")
	p.raw(t, "", "GRANT CREATE ON DATABASE "+databaseName(t, p)+" TO "+role,
		"CREATE SCHEMA tenant_planted AUTHORIZATION "+role)
	t.Cleanup(func() { p.raw(t, "", "DROP OWNED BY "+role+" CASCADE") })
	limited := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }).newFixture(t)
	limited.provision(t, "planted")
	limited.expectStamp(t, "planted")
	theirs.provision(t, "gamma")
	limited.expectForeignSchema(t, "gamma", "carries the stamp", "schema shop_system")
}

// Any role that may create a schema chooses its name. Statements quote the name of another registry's schema, and
// contain it in no comment: a line break would end the comment.
func TestNameOfANeighbourIsNotCode(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	var config postgres.Config
	ours := p.configured(func(c *postgres.Config) { config = *c }).newFixture(t)
	for i, hostile := range []string{
		"x\nSELECT 'thief'::text UNION ALL--", `x"; SELECT 'thief'--`, "{registry}", "x\rSELECT 'thief'--",
	} {
		schema, tenant := pgx.Identifier{hostile}.Sanitize(), fmt.Sprintf("tenant%d", i)
		p.raw(t, "", "CREATE SCHEMA "+schema, "CREATE TABLE "+schema+".tenant_registry (tenant_id text, schema_name text)",
			"CREATE SCHEMA tenant_"+tenant)
		ours.provision(t, tenant)
		info, err := postgres.ReadServerInfo(t.Context(), config, time.Now)
		testkit.Must(t, err)
		found := false
		for _, n := range info.Neighbours {
			if n.Meets != "" || len(n.Shared) > 0 {
				t.Errorf("%+v", n)
			}
			found = found || n.Schema == hostile
		}
		if !found {
			t.Errorf("%q is not listed", hostile)
		}
		p.raw(t, "", "DROP SCHEMA "+schema+" CASCADE")
	}
}

// A fault of the other registry is not the tenant's: the request is retried.
func TestRegistryOfANeighbourThatIsLocked(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	testkit.Must(t, p.neighbour().open(t).Close())
	r := p.withURL(t, func(u *url.URL) {
		query := u.Query()
		query.Set("lock_timeout", briefLockTimeout)
		u.RawQuery = query.Encode()
	}).newFixture(t)
	p.createBoundary(t, "acme")
	tx, err := connect(t, p.url).Begin()
	testkit.Must(t, err)
	_, err = tx.Exec("LOCK TABLE shop_system.tenant_registry")
	testkit.Must(t, err)
	req := request(t, "acme")
	if got := verdict(t, r.provisioner.Job(req), pipeline.Retry); !strings.Contains(got.Err.Error(), "55P03") {
		t.Error(got.Err)
	}
	testkit.Must(t, tx.Rollback())
	provisionedOutcome(t, r.decide(t, req))
}

// An existing schema that belongs to no registry is used as before. It is stamped unless it has a comment or another
// owner.
func TestStampOfAnExistingSchema(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	testkit.Must(t, p.neighbour().open(t).Close())

	p.createBoundary(t, "planted")
	r.provision(t, "planted")
	r.expectStamp(t, "planted")

	const remark = "for the branch in Graz"
	p.createBoundary(t, "noted")
	p.raw(t, "", "COMMENT ON SCHEMA tenant_noted IS '"+remark+"'")
	r.provision(t, "noted")
	if got := r.comment(t, "noted"); got != remark {
		t.Errorf("the comment is now %q", got)
	}

	// Unregistered and empty again, it is still ours.
	r.provision(t, "again")
	before := p.count(t, "", "SELECT oid::integer FROM pg_namespace WHERE nspname = 'tenant_again'")
	r.unregister(t, "again")
	r.provision(t, "again")
	r.expectStamp(t, "again")
	if now := p.count(t, "", "SELECT oid::integer FROM pg_namespace WHERE nspname = 'tenant_again'"); now != before {
		t.Error("it is another schema")
	}
	p.raw(t, "", "COMMENT ON SCHEMA tenant_again IS 'tenant-provisioner registry "+registryID(t, r.store)+"\nand a remark'")
	r.unregister(t, "again")
	r.provision(t, "again")

	// A failed request leaves it as it was.
	p.createBoundary(t, "spoilt")
	p.raw(t, "spoilt", "CREATE TABLE {b}docbasket (id integer PRIMARY KEY)")
	r.expectFailure(t, "spoilt", events.CauseSchemaInvalid)
	if got := r.comment(t, "spoilt"); got != "" {
		t.Errorf("the comment is now %q", got)
	}

	// A role that may create in it need not own it.
	role := p.limitedRole(t, "SELECT, INSERT, UPDATE")
	p.raw(t, "", "GRANT CREATE ON DATABASE "+databaseName(t, p)+" TO "+role)
	p.createBoundary(t, "theirs")
	p.raw(t, "", "GRANT USAGE, CREATE ON SCHEMA tenant_theirs TO "+role)
	limited := p.withURL(t, func(u *url.URL) { u.User = url.UserPassword(role, "secret") }).newFixture(t)
	limited.provision(t, "theirs")
	if got := r.comment(t, "theirs"); got != "" {
		t.Errorf("the comment is now %q", got)
	}
}

// A comment is not part of the definition.
func TestCommentIsNoDifference(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	r := p.newFixture(t)
	r.provision(t, "acme")
	for _, comment := range []string{"NULL", "'x'", "'tenant-provisioner registry 00000000-0000-4000-8000-000000000000'"} {
		p.raw(t, "", "COMMENT ON SCHEMA tenant_acme IS "+comment)
		if in := verify(t, p.reader(t), "acme"); len(in.Differences)+len(in.MissingIndexes) > 0 {
			t.Errorf("%s: %+v", comment, in)
		}
		r.expectFailure(t, "acme", events.CauseTenantExists)
	}
}

// A boundary prepared by the earlier version is stamped when it is taken.
func TestStampOfAPreparedBoundary(t *testing.T) {
	t.Parallel()
	const remark = "do not touch"
	for name, c := range map[string]struct {
		comment string // on the boundary in the pool
		want    string // on the tenant's schema; empty: the stamp
	}{
		"earlier version": {comment: "NULL"},
		"remark":          {comment: "'" + remark + "'", want: remark},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPostgres(t)
			r := p.filledPool(t, 1)
			p.raw(t, "", `COMMENT ON SCHEMA "`+p.pooled(t)[0]+`" IS `+c.comment, "UPDATE {b}prepared_boundaries SET stamped = false")
			if got := r.provision(t, "acme"); !got.Prepared {
				t.Errorf("%+v", got)
			}
			if c.want == "" {
				r.expectStamp(t, "acme")
			} else if got := r.comment(t, "acme"); got != c.want {
				t.Errorf("the comment is %q", got)
			}
		})
	}
	t.Run("another registry", func(t *testing.T) {
		t.Parallel()
		p := newPostgres(t)
		r := p.filledPool(t, 1)
		foreign := p.pooled(t)[0]
		p.raw(t, "", `COMMENT ON SCHEMA "`+foreign+`" IS 'tenant-provisioner registry 00000000-0000-4000-8000-000000000000'`,
			"UPDATE {b}prepared_boundaries SET stamped = false")
		req := request(t, "acme")
		if got := verdict(t, r.provisioner.Job(req), pipeline.Retry); !strings.Contains(got.Err.Error(), foreign) {
			t.Error(got.Err)
		}
		if got := provisionedOutcome(t, r.decide(t, req)); got.Prepared || len(p.pooled(t)) != 0 {
			t.Errorf("%+v, the pool holds %v", got, p.pooled(t))
		}
	})
}

// Neither a neighbour's registry nor its prepared boundaries can become a tenant's schema.
func TestTemplateThatGivesSchemasOfANeighbour(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	neighbour := p.neighbour()
	testkit.Must(t, neighbour.open(t).Close())
	r := p.configured(func(c *postgres.Config) { c.SchemaTemplate = "shop_{tenant_id}" }).newFixture(t)
	for _, comment := range []string{"", "COMMENT ON SCHEMA shop_system IS NULL", "DELETE FROM shop_system.tenant_registry"} {
		if comment != "" {
			p.raw(t, "", comment)
		}
		f := r.expectFailure(t, "system", events.CauseBoundaryNotEmpty)
		if !strings.Contains(f.Cause.Message, "schema shop_system belongs to another service") {
			t.Errorf("%+v", f)
		}
	}
	for template, ok := range map[string]bool{
		"prepared:{tenant_id}": false, "prepared:x{tenant_id}": false, "prepared_{tenant_id}": true, "t:{tenant_id}": true,
	} {
		err := postgres.Config{Registry: "docex_system", SchemaTemplate: template, Connections: 1}.Check()
		if (err == nil) != ok {
			t.Errorf("%s: %v", template, err)
		}
	}
}

// Nor can a registry be created in the schema of a neighbour's tenant.
func TestRegistryIsNotCreatedInANeighboursSchema(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	theirs := p.neighbour().newFixture(t)
	open := func(registry string) error {
		s, err := postgres.Open(t.Context(), postgres.Config{
			URL: p.url, Registry: registry, SchemaTemplate: "t_{tenant_id}", Connections: 1, Log: quiet(),
		})
		if err == nil {
			return s.Close()
		}
		return err
	}
	theirs.provision(t, "acme")
	before := p.snapshot(t, "acme")
	for _, statement := range []string{"", "COMMENT ON SCHEMA tenant_acme IS NULL"} {
		if statement != "" {
			p.raw(t, "", statement)
		}
		if err := open("tenant_acme"); err == nil || !strings.Contains(err.Error(), "REGISTRY_SCHEMA") {
			t.Error(err)
		}
		if p.snapshot(t, "acme") != before {
			t.Error("the schema was touched")
		}
	}
	p.createBoundary(t, "empty")
	testkit.Must(t, open("tenant_empty"))
	testkit.Must(t, open("tenant_empty"))
}

// A neighbour's prepared boundaries are not listed for removal.
func TestPreparedBoundariesOfANeighbour(t *testing.T) {
	t.Parallel()
	p := newPostgres(t)
	p.filledPool(t, 1)
	own := p.pooled(t)[0]
	reader := func(registry string) *postgres.Reader {
		r, err := postgres.OpenReader(t.Context(), postgres.Config{
			URL: p.url, Registry: registry, SchemaTemplate: "tenant_{tenant_id}", Connections: 1, Log: quiet(),
		})
		testkit.Must(t, err)
		t.Cleanup(func() { testkit.Must(t, r.Close()) })
		return r
	}
	testkit.Must(t, p.neighbour().open(t).Close())
	theirs := reader("shop_system")
	list := func() []postgres.PreparedBoundary {
		all, err := theirs.Prepared(t.Context())
		testkit.Must(t, err)
		return all
	}
	if got := list(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	p.raw(t, "", `COMMENT ON SCHEMA "`+own+`" IS NULL`) // of the earlier version
	if got := list(); len(got) != 1 || !got[0].Unsure || got[0].Remove != "" {
		t.Errorf("%+v", got)
	}
	all, err := reader("docex_system").Prepared(t.Context())
	testkit.Must(t, err)
	if len(all) != 1 || all[0].Unsure || all[0].Remove == "" {
		t.Errorf("%+v", all)
	}
}

// templated returns a fixture on SQLite with another template.
func templated(t *testing.T, root, template string) fixture {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{
		Root: root, PathTemplate: template, Connections: 4, CreatedBy: "test", Log: quiet(), Now: time.Now,
	})
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, store.Close()) })
	return newSQLiteAt(root).newFixtureOn(t, store, store)
}

// ownerTag returns the application_id of the tenant's file.
func (p testDatabase) ownerTag(t *testing.T, tenant string) int {
	t.Helper()
	return p.count(t, tenant, "PRAGMA application_id")
}

// earlierTag returns the earlier version's owner tag for a request.
func earlierTag(req pipeline.Request) string {
	sum := sha256.Sum256([]byte(req.Event.Source() + "\n" + req.Event.ID()))
	return strconv.Itoa(int(binary.BigEndian.Uint32(sum[:])&0x7fffffff | 1))
}

// Two services in one storage directory with overlapping templates: the first one gets the file, also if both requests
// have one key.
func TestTwoRegistriesShareNoFile(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	ours, theirs := p.newFixture(t), templated(t, p.url, "{tenant_id}/docex.db")
	expectForeignFile := func(r fixture, tenant string, req pipeline.Request) {
		t.Helper()
		before := p.snapshot(t, tenant)
		f := failedOutcome(t, r.decide(t, req), events.CauseBoundaryNotEmpty)
		if f.Step.Number != 1 || f.Attempts != 1 || len(f.LeftBehind) != 0 ||
			!strings.Contains(f.Cause.Message, "belongs to another service") ||
			!strings.Contains(f.Cause.Message, "DATABASE_PATH_TEMPLATE") {
			t.Errorf("%s: %+v", tenant, f)
		}
		if p.snapshot(t, tenant) != before {
			t.Error("the file was touched")
		}
	}
	for i, tenant := range []string{"acme", "umbrella"} {
		req, same := request(t, tenant), request(t, "tenant_"+tenant)
		same.Event.SetID(req.Event.ID())
		first, second := ours, theirs
		if i == 1 {
			first, second, req, same = theirs, ours, same, req
		}
		provisionedOutcome(t, first.decide(t, req))
		expectForeignFile(second, tenant, same)
		other := "tenant_" + tenant
		if i == 1 {
			other = tenant
		}
		expectForeignFile(second, tenant, request(t, other))
	}
}

// A file created by DocEX or an operator is used, and then protected like any other.
func TestFileWithoutAnOwnerTag(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	ours, theirs := p.newFixture(t), templated(t, p.url, "{tenant_id}/docex.db")
	p.createBoundary(t, "planted")
	theirs.provision(t, "tenant_planted")
	if p.ownerTag(t, "planted") == 0 {
		t.Error("it has no owner tag")
	}
	ours.expectFailure(t, "planted", events.CauseBoundaryNotEmpty)

	p.createBoundary(t, "other")
	p.raw(t, "other", "PRAGMA application_id = -5") // another program's
	ours.expectFailure(t, "other", events.CauseBoundaryNotEmpty)
}

// A file of this registry that lost its registration is used again, as long as the ledger has the request that it was
// created for.
func TestOwnFileIsUsedAgain(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	r.provision(t, "acme")
	tag := p.ownerTag(t, "acme")
	r.unregister(t, "acme")
	r.provision(t, "acme")
	if got := p.ownerTag(t, "acme"); got != tag {
		t.Errorf("the owner tag is %d, was %d", got, tag)
	}
	r.unregister(t, "acme")
	p.raw(t, "", "DELETE FROM tenant_requests WHERE tenant_id = 'acme'")
	if f := r.expectFailure(t, "acme", events.CauseBoundaryNotEmpty); !strings.Contains(f.Cause.Message, "the ledger no longer has") {
		t.Errorf("%+v", f)
	}
}

// Owner tags of the earlier version do not depend on the registry. They count only if this registry can have set them.
func TestFileTaggedByTheEarlierVersion(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	r := p.newFixture(t)
	createTagged := func(tenant string, req pipeline.Request) {
		t.Helper()
		p.createBoundary(t, tenant)
		p.raw(t, tenant, "PRAGMA application_id = "+earlierTag(req))
	}
	// A new request did not create the file, although another service may have one with this key.
	req := request(t, "new")
	createTagged("new", req)
	if f := failedOutcome(t, r.decide(t, req), events.CauseBoundaryNotEmpty); len(f.LeftBehind) != 0 {
		t.Errorf("%+v", f)
	}
	req.Replay = 1
	failedOutcome(t, r.decide(t, req), events.CauseBoundaryNotEmpty)
	// A crash left the file of an earlier attempt.
	req = request(t, "crashed")
	createTagged("crashed", req)
	_, err := r.store.Claim(t.Context(), req, "crashed", pipeline.Limit{Attempts: 9, Lease: time.Nanosecond})
	testkit.Must(t, err)
	provisionedOutcome(t, r.decide(t, req))
	if strconv.Itoa(p.ownerTag(t, "crashed")) == earlierTag(req) {
		t.Error("it has the earlier version's owner tag")
	}
	// It was provisioned for an earlier request.
	req = request(t, "known")
	provisionedOutcome(t, r.decide(t, req))
	p.raw(t, "known", "PRAGMA application_id = "+earlierTag(req))
	r.unregister(t, "known")
	r.provision(t, "known")
	if strconv.Itoa(p.ownerTag(t, "known")) == earlierTag(req) {
		t.Error("it has the earlier version's owner tag")
	}
}

// No registry is created in the file of another service's tenant.
func TestRegistryIsNotCreatedInANeighboursFile(t *testing.T) {
	t.Parallel()
	p := newSQLite(t)
	theirs := templated(t, p.url, "{tenant_id}/docex.db")
	theirs.provision(t, "tenant__docex_system_")
	before := p.snapshot(t, "_docex_system_")
	if _, err := tryOpenSQLite(t, p.url); err == nil || !strings.Contains(err.Error(), "DATABASE_PATH_TEMPLATE") {
		t.Error(err)
	}
	names, err := os.ReadDir(filepath.Dir(p.boundary("_docex_system_")))
	testkit.Must(t, err)
	if p.snapshot(t, "_docex_system_") != before || len(names) != 1 {
		t.Errorf("the file was touched; the directory contains %v", names)
	}
}
