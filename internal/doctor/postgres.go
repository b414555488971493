package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/terminal"
)

const (
	// oldestPostgres is the oldest version that the program's SQL runs on, in the form of server_version_num.
	oldestPostgres = 130000
	// locksPerTenant is how many locks the transaction that builds a tenant takes: 110, measured; see
	// docs/performance.md.
	locksPerTenant = 110
	// longMigration is how long a migration of the registry takes at most; more indicates a frozen replica.
	longMigration = 10 * time.Second
	// longRecovery is how often Citus should end what a crash has left prepared; its default is a minute.
	longRecovery = 10 * time.Second
)

// postgresCheck judges one aspect of the server.
type postgresCheck struct {
	needs postgres.Part // of what was read; empty: only what every role may read
	judge func(c config.Config, v postgres.ServerInfo) Finding
}

// serviceNeeds is the part that the service reads too: it does not start without it.
const serviceNeeds = postgres.PartCitus

// postgresChecks run on every server, in the order of [Names].
var postgresChecks = []postgresCheck{
	{"", checkVersion},
	{postgres.PartPooler, checkPooler},
	{"", checkWritable},
	{postgres.PartPassword, checkPassword},
	{postgres.PartPrivileges, checkDatabaseRights},
	{postgres.PartPrivileges, checkRegistryRights},
	{postgres.PartMigrating, checkMigration},
	{"", checkDurability},
	{postgres.PartSessions, checkStandby},
	{"", checkEncoding},
	{postgres.PartCollations, checkCollations},
	{postgres.PartTimeZones, checkTimeZone},
	{"", checkLocks},
	{postgres.PartSessions, checkConnections},
	{postgres.PartNeighbours, checkNeighbours},
	{postgres.PartCitus, checkCitus},
}

// preparedChecks follow them if boundaries are prepared.
var preparedChecks = []postgresCheck{
	{postgres.PartEventTriggers, checkEventTriggers},
	{postgres.PartSessions, checkDumps},
}

// run returns the finding. If the server did not answer what the check needs, that is a warning, or a fault if the
// service needs it.
func (check postgresCheck) run(c config.Config, v postgres.ServerInfo) Finding {
	found := check.judge(c, v)
	err := v.Unread[check.needs]
	if err == nil {
		return found
	}
	found = unreadableByUser(found.Name, "let the role read what the message names, or run doctor as another role", err)
	if check.needs == serviceNeeds {
		found.Status = Fault
	}
	return found
}

// examinePostgres checks server, database, role and registry, and rehearses a request.
func examinePostgres(ctx context.Context, c config.Config, now func() time.Time) []Finding {
	const name = "database"
	v, err := postgres.ReadServerInfo(ctx, c.Postgres(), now)
	if err != nil {
		found := unreadable(name, err)
		found.Hint = "check DATABASE_URL, that the server runs, and that it accepts the role (pg_hba.conf, and " +
			"pg_roles.rolvaliduntil: the server refuses an expired password as a wrong one)"
		if postgres.StartupRefused(err) {
			found.Hint = startupHint
		}
		if err := c.Postgres().CheckTarget(); err != nil {
			found.Hint = err.Error()
		}
		return []Finding{found}
	}
	checks := []Finding{
		ok(name, "PostgreSQL %s, database %s, role %s", v.Release, v.Database, v.Role), checkDatabaseTLS(v.Transport, now()),
	}
	for _, check := range postgresChecks {
		checks = append(checks, check.run(c, v))
	}
	var registry []Finding
	if !v.Pooler.Changes { // otherwise the reader's settings would apply to other clients' sessions
		registry = examineRegistry(ctx, c)
	}
	checks = append(checks, examineRehearsal(ctx, c, v, slices.Concat(checks, registry)))
	if c.Prepared > 0 {
		for _, check := range preparedChecks {
			checks = append(checks, check.run(c, v))
		}
	}
	checks = append(checks, checkClock("database_clock", "the database server's", v.Skew, v.ClockError))
	return append(checks, registry...)
}

func checkVersion(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_version"
	if v.Version < oldestPostgres {
		return fault(name, "upgrade the server, or choose another",
			"PostgreSQL %s is too old: 13 or later is needed", v.Release)
	}
	return ok(name, "%s; 13 or later is needed", v.Release)
}

const poolerHint = "connect to the server itself; if you need a pooler, use one that gives each client its own " +
	"session (PgBouncer: pool_mode = session)"

// startupHint is for a server or a pooler that refuses a parameter of DATABASE_URL. The service itself sends only those
// that every pooler accepts.
const startupHint = "correct or remove the parameter in DATABASE_URL; if a pooler refuses it, you can also connect " +
	"to the server itself"

func checkPooler(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_pooler"
	switch {
	case v.Pooler.Changes:
		return fault(name, poolerHint, "a pooler shares sessions between clients: they lose their settings, and with them "+
			"timeouts, migration locks and prepared statements. The registry was not checked")
	case v.Pooler.Stands:
		return warning(name, poolerHint, "there is a pooler or proxy between this program and the server. It gives each "+
			"client its own session, as required; one that shares sessions between clients does not")
	}
	return ok(name, "none: sessions are the server's own")
}

func checkWritable(c config.Config, v postgres.ServerInfo) Finding {
	const name = "database_writable"
	if err := c.Postgres().CheckTarget(); err != nil {
		return fault(name, "remove the parameter, or run doctor with the service's environment", "the service does not "+
			"start: %s", err)
	}
	switch {
	case v.Standby:
		return fault(name,
			"name the primary in DATABASE_URL, or all hosts: postgres://…@host1,host2/…; the service then uses the "+
				"writable one", "the server is a standby: nothing can be written")
	case v.ReadOnly:
		return fault(name, "SELECT setdatabase::regclass, setrole::regrole, setconfig FROM pg_db_role_setting; -- find it\n"+
			"ALTER DATABASE … RESET default_transaction_read_only; -- or ALTER ROLE …",
			"default_transaction_read_only is on: nothing can be written")
	}
	return ok(name, "can be written to")
}

func checkPassword(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_password"
	p := v.Password
	if p == nil {
		return ok(name, "the role's password does not expire, or the role logs in without one")
	}
	hint := terminal.Plain(p.Renew()) + " -- then set it for the service: DATABASE_URL, or the file that has the password"
	expires := date(p.Expires)
	switch {
	case p.Left <= 0:
		return fault(name, hint, "the password of role %s has expired on %s: the server refuses new connections",
			terminal.Plain(p.Role), expires)
	case p.Left < expiryNotice:
		return warning(name, hint, "the password of role %s expires on %s, in %s. The server then refuses new connections, "+
			"and the service takes no requests as soon as it needs one", terminal.Plain(p.Role), expires, remaining(p.Left))
	}
	return ok(name, "the password of role %s expires on %s, in %s", terminal.Plain(p.Role), expires, remaining(p.Left))
}

// remaining formats a time in whole days, or hours.
func remaining(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// grants are the statements that grant the missing privileges of some kinds.
func grants(v postgres.ServerInfo, kinds ...string) (list []string) {
	for _, right := range v.MissingPrivileges {
		for _, kind := range kinds {
			if right.Kind == kind {
				list = append(list, right.Grant)
			}
		}
	}
	return list
}

func checkDatabaseRights(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_rights"
	if v.IsReadOnlyRole() {
		return readOnlyRole(name)
	}
	if missing := grants(v, "DATABASE"); len(missing) > 0 {
		return fault(name, strings.Join(missing, "\n"), "the role may not create schemas in this database: every request "+
			"fails with PERMISSION_DENIED")
	}
	if v.Superuser {
		return warning(name, "use the service's own role, with CREATE on the database",
			"the role is a superuser: it has far more permissions than it needs")
	}
	return ok(name, "the role may create schemas")
}

// readOnlyRole is the finding on the permissions of a role that cannot be the service's.
func readOnlyRole(name string) Finding {
	return warning(name, "to check the service's permissions, run doctor with its DATABASE_URL",
		"the role is read-only, so it cannot be the service's role")
}

func checkRegistryRights(c config.Config, v postgres.ServerInfo) Finding {
	const name = "registry_rights"
	if v.IsReadOnlyRole() {
		return readOnlyRole(name)
	}
	missing := grants(v, "SCHEMA", "TABLE")
	if !v.Migrated { // the service still has to create or change tables
		missing = postgres.GrantsToMigrate(v.MissingPrivileges)
	}
	creates := strings.Count(strings.Join(missing, "\n"), "GRANT CREATE ON SCHEMA")
	pool := strings.Count(strings.Join(missing, "\n"), `"prepared_boundaries" TO `)
	hint := strings.Join(missing, "\n")
	switch {
	case !v.Registry && len(missing) == 0 && len(grants(v, "DATABASE")) > 0:
		return fault(name, strings.Join(grants(v, "DATABASE"), "\n"),
			"there is no registry in %s, and the role may not create its schema", c.RegistrySchema)
	case !v.Registry && len(missing) == 0:
		return ok(name, "there is no registry in %s yet; the role may create it", c.RegistrySchema)
	case len(missing) == 0:
		return ok(name, "the role has what it needs in %s", c.RegistrySchema)
	case v.Migrated && creates == len(missing):
		return warning(name, hint, "the role may not create tables in %s. This version does not need to; a later version "+
			"that adds a table does not start", c.RegistrySchema)
	case v.Migrated && creates+pool == len(missing):
		return warning(name, hint+"\n-- or set PREPARED_BOUNDARIES to 0", "the role lacks permissions on "+
			"prepared_boundaries in %s: no schemas are prepared, and requests take longer", c.RegistrySchema)
	}
	return fault(name, hint, "the role lacks permissions in %s: the service does not start, or takes no requests",
		c.RegistrySchema)
}

// checkMigration judges the session that holds the lock of migrations: other replicas that start wait for it.
func checkMigration(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "registry_migration"
	for _, b := range v.Migrating {
		if b.Age > longMigration {
			return fault(name, "-- if that replica is frozen:\n"+b.Remedy(), "%s has held the lock of migrations for %s: "+
				"a replica that starts and has something to migrate waits for it", b, b.Age.Round(time.Second))
		}
	}
	if len(v.Migrating) > 0 {
		return ok(name, "%s is migrating the registry", v.Migrating[0])
	}
	return ok(name, "no session holds the lock of migrations")
}

func checkDurability(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_durability"
	switch {
	case !v.Fsync:
		return fault(name, "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();",
			"fsync is off: a crash of the machine can destroy the database, including tenants whose outcomes were published")
	case !v.FullPageWrites:
		return warning(name, "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();",
			"full_page_writes is off: after a crash of the machine pages can be torn, unless the file system prevents it "+
				"(ZFS does)")
	case v.SynchronousCommit == "off":
		return warning(name, "SELECT setdatabase, setrole::regrole, setconfig FROM pg_db_role_setting; -- find it\n"+
			"ALTER ROLE … RESET synchronous_commit; -- or ALTER DATABASE …, ALTER SYSTEM …",
			"synchronous_commit is off by default. This program's commits wait for the disk regardless; commits of "+
				"applications in tenants do not, and a crash loses the latest")
	}
	return ok(name, "fsync and full_page_writes are on, commits wait for the disk")
}

func checkStandby(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_standby"
	switch {
	case v.Waiting > 0, v.SynchronousStandbys != "" && v.WalSenders == 0 && !v.Standby:
		return fault(name, "SELECT application_name, state, sync_state FROM pg_stat_replication; -- start the one that is "+
			"missing; or, if failing over to it may lose what it has not received,\n"+
			"ALTER SYSTEM SET synchronous_standby_names = …; SELECT pg_reload_conf();",
			"commits wait for a synchronous standby (synchronous_standby_names = '%s'): the service takes no requests until "+
				"it confirms them", v.SynchronousStandbys)
	case v.SynchronousStandbys == "":
		return ok(name, "commits wait for no standby: after a failover the newest tenants may be missing")
	}
	return ok(name, "no commit of the service waits for a synchronous standby")
}

func checkEncoding(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_encoding"
	if v.Encoding != "UTF8" {
		return fault(name, "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'; -- and move what is there",
			"the database's encoding is %s, not UTF8: the service does not start, because it could not store every name",
			v.Encoding)
	}
	return ok(name, "UTF8")
}

// checkCollations judges the order of text in indexes. The service finds tenants and requests by indexes whose order no
// library defines; other indexes of the registry, which DocEX uses, and those of tenants have the database's collation.
func checkCollations(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_collation"
	if len(v.StaleCollations) == 0 {
		return ok(name, "no index depends on a collation whose version has changed")
	}
	fixes := []string{terminal.Plain(v.ReindexSQL()) + " -- as its owner; then"}
	var what []string
	for _, c := range v.StaleCollations {
		called := "the database's collation"
		if c.Name != "" {
			called = "collation " + terminal.Plain(c.Name)
		}
		text := fmt.Sprintf("%s was of version %s and is now of %s: %d indexes", called, terminal.Plain(c.Was),
			terminal.Plain(cmp.Or(c.Is, "none")), c.Indexes)
		if len(c.Registry) > 0 {
			text += ", of the registry " + terminal.Plain(strings.Join(c.Registry, ", "))
		}
		what = append(what, text)
		if c.Refresh != "" {
			fixes = append(fixes, terminal.Plain(c.Refresh))
		}
	}
	return warning(name, strings.Join(fixes, "\n"), "the C library or ICU may order text differently than when indexes "+
		"were built: %s. In these, rows may not be found and duplicates may be accepted", strings.Join(what, "; "))
}

// checkTimeZone judges the sessions of other programs: the service's own always have UTC.
func checkTimeZone(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_timezone"
	if len(v.TimeZones) == 0 {
		return ok(name, "sessions begin with TimeZone UTC")
	}
	var whose, fixes []string
	for _, z := range v.TimeZones {
		whose = append(whose, fmt.Sprintf("%s (%s)", terminal.Plain(z.Of), terminal.Plain(z.Zone)))
		if !slices.Contains(fixes, z.Fix) {
			fixes = append(fixes, z.Fix)
		}
	}
	others := strings.Join(whose, ", ")
	if len(v.LocalTimes) == 0 {
		return ok(name, "not UTC: %s; no column of the registry depends on it", others)
	}
	return warning(name, strings.Join(fixes, "\n"), "the TimeZone of %s is not UTC. What sessions of other programs "+
		"leave out is filled in with local time, and read as UTC: %s", others,
		terminal.Plain(strings.Join(v.LocalTimes, ", ")))
}

// concurrentBuilds is how many transactions build at the same time in one replica.
func concurrentBuilds(c config.Config) int64 {
	n := int64(c.Concurrency)
	if c.Prepared > 0 {
		n++
	}
	return n
}

func checkLocks(c config.Config, v postgres.ServerInfo) Finding {
	const name = "database_locks"
	slots := v.LocksPerTransaction * (v.Connections + v.PreparedTransactions)
	need := concurrentBuilds(c) * locksPerTenant
	summary := fmt.Sprintf("each replica needs %d of the server's %d lock slots", need, slots)
	// Twice the need: other replicas and sessions share the slots.
	hint := fmt.Sprintf("ALTER SYSTEM SET max_locks_per_transaction = %d; -- and restart the server; or lower CONCURRENCY",
		max(2*need/max(v.Connections+v.PreparedTransactions, 1)+1, v.LocksPerTransaction))
	switch {
	case need > slots:
		return fault(name, hint, "%s: requests run out of them (53200) and are retried until they fail", summary)
	case 2*need > slots:
		return warning(name, hint, "%s, more than half: a second replica, or a dump, may find none left", summary)
	}
	return ok(name, "%s", summary)
}

func checkConnections(c config.Config, v postgres.ServerInfo) Finding {
	const name = "database_connections"
	need := concurrentBuilds(c) + 1
	available := v.Connections - v.Reserved - v.Total
	if v.RoleLimit >= 0 {
		available = min(available, v.RoleLimit-v.ByRole)
	}
	if v.DatabaseLimit >= 0 {
		available = min(available, v.DatabaseLimit-v.InDatabase)
	}
	available = max(available, 0)
	summary := fmt.Sprintf("each replica needs %d; the service has %d now and can get %d more", need, v.Ours, available)
	hint := "lower CONCURRENCY, or raise what limits it: max_connections (%d, of which %d are reserved and %d in use), " +
		"ALTER ROLE … CONNECTION LIMIT (%s), ALTER DATABASE … CONNECTION LIMIT (%s)"
	hint = fmt.Sprintf(hint, v.Connections, v.Reserved, v.Total, limited(v.RoleLimit), limited(v.DatabaseLimit))
	switch have := v.Ours + available; {
	case have < 2: // one to work and one to probe the database
		return fault(name, hint, "%s: it cannot work", summary)
	case have < need:
		return warning(name, hint, "%s: when all workers are busy, they wait for connections", summary)
	}
	return ok(name, "%s", summary)
}

func limited(n int64) string {
	if n < 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// separateHint is the hint that separates the tenants of services that share a database.
const separateHint = "give each service a SCHEMA_TEMPLATE of its own, or a database of its own"

func checkNeighbours(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_neighbours"
	var schemas, shared, meet []string
	unread := false
	for _, n := range v.Neighbours {
		schema := terminal.Plain(n.Schema)
		schemas = append(schemas, schema)
		unread = unread || !n.Readable
		for _, s := range n.Shared {
			shared = append(shared, "-- "+terminal.Plain(s)+" is also registered in "+schema)
		}
		if n.Meets != "" {
			meet = append(meet, fmt.Sprintf("%s has %s", schema, terminal.Plain(n.Meets)))
		}
	}
	others := strings.Join(schemas, ", ")
	switch {
	case len(schemas) == 0:
		return ok(name, "no other registry is in this database")
	case len(shared) > 0:
		return fault(name, strings.Join(shared, "\n")+"\n-- move the tenants of one registry, then "+separateHint,
			"schemas are registered in this registry and in another of this database (%s): two tenants share each of them",
			others)
	case len(meet) > 0:
		return warning(name, separateHint,
			"other registries are in this database, with tenants in schemas that SCHEMA_TEMPLATE can "+
				"give (%s): requests for these names fail with BOUNDARY_NOT_EMPTY", strings.Join(meet, ", "))
	case unread:
		return warning(name, separateHint,
			"other registries are in this database (%s); what this role can see of them has no name "+
				"that SCHEMA_TEMPLATE can give", others)
	}
	return warning(name, separateHint, "other registries are in this database (%s); no schema of theirs has a name that "+
		"SCHEMA_TEMPLATE can give", others)
}

func checkCitus(c config.Config, v postgres.ServerInfo) Finding {
	const name = "database_citus"
	const recovery = "ALTER SYSTEM SET citus.recover_2pc_interval = '5s'; SELECT pg_reload_conf();"
	citus := v.Citus
	switch {
	case citus == nil:
		return ok(name, "the database does not have the extension")
	case citus.RegistryDistributed:
		return fault(name, postgres.UndistributeSQL(c.RegistrySchema),
			"the registry's schema, %s, is distributed: the service does not start", c.RegistrySchema)
	case citus.Recovery < 0:
		return fault(name, recovery, "citus.recover_2pc_interval is off: what a crash leaves prepared on a worker stays "+
			"locked, and requests for its tenant fail")
	case citus.Recovery > longRecovery:
		return warning(name, recovery, "citus.recover_2pc_interval is %s: after a crash, requests for a tenant that it "+
			"left prepared on a worker wait as long", citus.Recovery)
	case !citus.Distributes:
		return ok(name, "Citus %s; tenants are on the coordinator alone: citus.enable_schema_based_sharding is off",
			citus.Version)
	}
	return ok(name, "Citus %s places each new tenant on a node", citus.Version)
}

func checkEventTriggers(_ config.Config, v postgres.ServerInfo) Finding {
	const name = "database_event_triggers"
	var names []string
	for _, e := range v.EventTriggers {
		names = append(names, terminal.Plain(e.Name))
	}
	if n := len(names); n > 0 {
		return warning(name,
			"make them skip schemas whose names begin with prepared:, or handle ALTER SCHEMA … "+
				"RENAME; or set PREPARED_BOUNDARIES to 0", "%d (%s) fire for the tables of prepared boundaries in schemas named "+
				"prepared:…, and see a tenant's name only when one is renamed", n, strings.Join(names, ", "))
	}
	return ok(name, "none")
}

// dumpCommand is a dump that does not read the prepared boundaries, and says so by its name.
const dumpCommand = "PGAPPNAME=backup pg_dump -N '" + sql.PreparedPrefix + "*'"

func checkDumps(c config.Config, v postgres.ServerInfo) Finding {
	const name = "database_dumps"
	switch {
	case v.Dumps > 0:
		return warning(name, dumpCommand+" … -- does not read them, so that they are used in the meantime",
			"pg_dump is running, and would fail at a prepared boundary that is renamed: those that it can see are not used "+
				"until it ends, and requests take longer. Dumps on a standby are not detected")
	case v.Standbys && c.Postgres().PreparedByDefault:
		return ok(name, "a standby is connected, whose dumps are not detected: no boundaries are prepared or taken. To use "+
			"them in spite of that, set PREPARED_BOUNDARIES, and leave them out of dumps: %s", dumpCommand)
	case v.Standbys:
		return ok(name, "none is running; a standby is connected, whose dumps are not detected and fail at a prepared "+
			"boundary that is renamed: leave these out of dumps: %s", dumpCommand)
	}
	return ok(name, "none is running; leave the prepared boundaries out of dumps: %s", dumpCommand)
}
