package postgres

import (
	"embed"
	"strings"

	"example.com/tenant-provisioner/internal/sql"
)

//go:embed queries/*.sql migrations/*.sql
var files embed.FS

// queries are the texts of the .sql files with the registry's name inserted, and with shared parts: {begin_request},
// {find_tenant} and {commits_wait} are replaced by those files. {schema}, {relation}, {prepared} and {neighbour} are
// replaced where the texts are used.
type queries struct {
	beginRequest, claim, claimNew, request, conclude, reject, note, buried, suspect    string
	renew, endLost, timeouts                                                           string
	findTenant, look, register, checkRegistry, checkRows                               string
	laxCommit, lockTable, lockBoundary, schemaExists, createSchema, relations, hasRows string
	tables, indexes, inspect, inspectNames, ping                                       string
	migrationLock, migrationUnlock, createRegistry, registry, bootstrap, history       string
	probe, countTenants, tenants, tenant, record, records, readOnly                    string
	prepared, isQuiet, beginFilling, countPrepared, addPrepared, takePrepared          string
	renameSchema, removePrepared, pingPrepared, preparedBoundaries                     string
	vitals, lacking, session, clock, twins, holders                                    string
	registryStamp, stamp, schemaComment, registries, registeredElsewhere               string
	sharedSchemas, meetingSchema, meetingStamped                                       string
	lockTimeout, durableCommit, confirm, commitsWait                                   string
}

func loadQueries(registry string) (queries, error) {
	var q queries
	for name, text := range map[string]*string{
		"queries/begin_request.sql": &q.beginRequest,
		"queries/claim.sql":         &q.claim, "queries/claim_new.sql": &q.claimNew, "queries/request.sql": &q.request,
		"queries/conclude.sql": &q.conclude, "queries/reject.sql": &q.reject,
		"queries/note.sql": &q.note, "queries/buried.sql": &q.buried,
		"queries/suspect.sql": &q.suspect, "queries/renew.sql": &q.renew,
		"queries/end_lost.sql": &q.endLost, "queries/timeouts.sql": &q.timeouts,
		"queries/find_tenant.sql": &q.findTenant, "queries/look.sql": &q.look,
		"queries/register.sql": &q.register, "queries/check_rows.sql": &q.checkRows,
		"queries/check_registry.sql": &q.checkRegistry,
		"queries/lock_boundary.sql":  &q.lockBoundary, "queries/schema_exists.sql": &q.schemaExists,
		"queries/create_schema.sql": &q.createSchema, "queries/relations.sql": &q.relations,
		"queries/lax_commit.sql": &q.laxCommit, "queries/lock_table.sql": &q.lockTable,
		"queries/has_rows.sql": &q.hasRows, "queries/tables.sql": &q.tables, "queries/indexes.sql": &q.indexes,
		"queries/inspect.sql": &q.inspect, "queries/inspect_names.sql": &q.inspectNames,
		"queries/ping.sql":           &q.ping,
		"queries/migration_lock.sql": &q.migrationLock, "queries/migration_unlock.sql": &q.migrationUnlock,
		"queries/create_registry_schema.sql": &q.createRegistry,
		"migrations/00001_registry.sql":      &q.registry, "migrations/00002_bootstrap.sql": &q.bootstrap,
		"migrations/00003_history.sql": &q.history, "migrations/00004_prepared.sql": &q.prepared,
		"queries/is_quiet.sql": &q.isQuiet, "queries/begin_filling.sql": &q.beginFilling,
		"queries/count_prepared.sql": &q.countPrepared, "queries/add_prepared.sql": &q.addPrepared,
		"queries/take_prepared.sql": &q.takePrepared, "queries/rename_schema.sql": &q.renameSchema,
		"queries/remove_prepared.sql": &q.removePrepared, "queries/ping_prepared.sql": &q.pingPrepared,
		"queries/prepared_boundaries.sql": &q.preparedBoundaries,
		"queries/probe.sql":               &q.probe, "queries/count_tenants.sql": &q.countTenants,
		"queries/tenants.sql": &q.tenants, "queries/tenant.sql": &q.tenant,
		"queries/vitals.sql": &q.vitals, "queries/lacking.sql": &q.lacking, "queries/session.sql": &q.session,
		"queries/clock.sql": &q.clock, "queries/twins.sql": &q.twins, "queries/holders.sql": &q.holders,
		"migrations/00005_stamp.sql": &q.registryStamp, "queries/stamp.sql": &q.stamp,
		"queries/schema_comment.sql": &q.schemaComment, "queries/registries.sql": &q.registries,
		"queries/registered_elsewhere.sql": &q.registeredElsewhere,
		"queries/shared_schemas.sql":       &q.sharedSchemas, "queries/meeting_schema.sql": &q.meetingSchema,
		"queries/meeting_stamped.sql": &q.meetingStamped,
		"queries/lock_timeout.sql":    &q.lockTimeout,
		"queries/durable_commit.sql":  &q.durableCommit, "queries/confirm.sql": &q.confirm,
		"queries/commits_wait.sql": &q.commitsWait,
		"queries/record.sql":       &q.record, "queries/records.sql": &q.records, "queries/read_only.sql": &q.readOnly,
	} {
		content, err := files.ReadFile(name)
		if err != nil {
			return queries{}, err
		}
		*text = render(string(content), "registry", registry)
	}
	shared := strings.NewReplacer("{begin_request}", q.beginRequest, "{find_tenant}", q.findTenant,
		"{commits_wait}", q.commitsWait)
	for _, text := range []*string{&q.claimNew, &q.claim, &q.look, &q.ping} {
		*text = shared.Replace(*text)
	}
	return q, nil
}

// definition is the fingerprint of the boundaries that this program builds.
func (q queries) definition() string { return sql.Fingerprint(q.tables, q.indexes) }

// lockRequest is request, with a lock on the row until the transaction ends.
func (q queries) lockRequest() string { return q.request + " FOR UPDATE" }

// hot returns the statements of every request, except the DDL.
func (q queries) hot() []string {
	return []string{
		q.claimNew, q.request, q.lockBoundary, q.lockRequest(), q.look, q.takePrepared, q.inspect,
		q.durableCommit, q.register, q.conclude, q.checkRows,
	}
}
