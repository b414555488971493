package postgres

import (
	"embed"
	"strings"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

//go:embed queries/*.sql migrations/*.sql
var files embed.FS

// queries are the texts of the .sql files, see [sql.LoadQueries], with the registry's name inserted, and with shared
// parts: {begin_request}, {find_tenant}, {commits_wait}, {dumps}, {check_rows}, {plan_columns}, {definition_column},
// {has_standby} and {replicated} are replaced by those files. {schema}, {relation}, {prepared} and {neighbour} are
// replaced where the texts are used.
type queries struct {
	texts
	migrations migrations
}

type texts struct {
	BeginRequest, Claim, ClaimNew, Request, RecordOutcome, Reject, Note, DeadLetterConfirmed, Vanished        string
	Renew, EndLost, Timeouts, FindTenant, CheckAvailable, Register, CheckRows, CheckRegistry, LockBoundary    string
	SchemaExists, CreateSchema, Relations, AsyncCommit, LockTable, HasRows, Tables, Indexes, Inspect          string
	InspectNames, Ping, CreateRegistrySchema, IsQuiet, BeginFilling, BeginMigration, MigrationLock            string
	HasRelation, HasColumn, CreateMigrations, AppliedMigrations, RecordMigration, MigrationBlockers           string
	CountPrepared, AddPrepared, TakePrepared, RenameSchema, RemovePrepared, PreparedBoundaries                string
	Probe, CountTenants, Tenants, Tenant, ServerInfo, MissingPrivileges, Session, Clock, CaseVariants         string
	BoundaryOwners, Stamp, SchemaComment, Registries, RegisteredElsewhere, SharedSchemas, MeetingSchema       string
	MeetingStamped, LockTimeout, DurableCommit, Confirm, CommitsWait, Record, Records, ReadOnly, Dumps        string
	HasStandby, CheckTaken, ClearActivity, ForeignExpressions, RebuildExpressions, Unregistered, CountForeign string
	RegisterAgain, CaseVariantSchemas, TimeZones, LocalTimes, ForeignOwners, Entry, Entries, IsAccepted       string
	Accept, Boundaries, StampState, MayReadSystem, SystemIdentifier, StampedSchemas, LockStamp, SetStamp      string
	DatabaseOid, RestoreRequest, ProvisionedBy, CheckRequest, CreateStamp, RegisteredSchemas, Checkpoint      string
	SetCheckpoint, Prune, Recent, CheckTables, SharesBoundary, Sessions, EventTriggers, BeginRehearsal        string
	PasswordExpiry, LoginMethod, Collations, DatabaseCollation, LocaleCollation, PlanColumns, CountPlans      string
	Footprint, BeginScripts, ScriptValues, EndScript, Catalogues, ScriptRole, Homes, Inside, UsedRelations    string
	OwnRows, SearchPath, BoundaryRelations, Unaltered, DueComparison, SetCompared                             string
	Structure, Replicated, Sequences                                                                          string
	SeedColumns, SeedReferences                                                                               string
	RecordScripts, AppliedScripts, DefinitionColumn, StoreDefinition, LastDefinition                          string
	Definition, SetDefinition, BaseDefinition, SetBase                                                        string
}

type migrations struct {
	Registry, Bootstrap, History, Prepared, Stamp, Dumps, Restore, Checkpoint, Retention, Plans, Scripts, Base string
	Comparisons                                                                                                string
}

func loadQueries(registry string) (q queries, err error) {
	names := strings.NewReplacer("{registry}", quote(registry))
	if err := sql.LoadMigrations(files, names, &q.migrations); err != nil {
		return queries{}, err
	}
	if err := sql.LoadQueries(files, names, &q.texts); err != nil {
		return queries{}, err
	}
	shared := strings.NewReplacer("{begin_request}", q.BeginRequest, "{find_tenant}", q.FindTenant,
		"{commits_wait}", q.CommitsWait, "{dumps}", q.Dumps, "{check_rows}", q.CheckRows, "{plan_columns}", q.PlanColumns,
		"{definition_column}", q.DefinitionColumn, "{has_standby}", q.HasStandby, "{replicated}", q.Replicated)
	for _, text := range []*string{
		&q.ClaimNew, &q.Claim, &q.CheckAvailable, &q.Ping, &q.TakePrepared, &q.CountPrepared, &q.CheckTaken,
		&q.DueComparison, &q.Tenant, &q.Tenants, &q.Sessions, &q.Confirm,
	} {
		*text = shared.Replace(*text)
	}
	return q, nil
}

// definition is the fingerprint of the boundaries that this program builds, with scripts that run when one is prepared.
func (q queries) definition(prepare ...pipeline.Script) string {
	parts := []string{q.Tables, q.Indexes}
	for _, s := range prepare {
		parts = append(parts, s.Name, s.SHA256)
	}
	return sql.Fingerprint(parts...)
}

// lockRequest is request, with a lock on the row until the transaction ends.
func (q queries) lockRequest() string { return q.Request + " FOR UPDATE" }

// perRequest returns the statements of every request and of its repetitions, except the DDL.
func (q queries) perRequest() []string {
	return []string{
		q.ClaimNew, q.Request, q.LockBoundary, q.lockRequest(), q.CheckAvailable, q.TakePrepared, q.Unaltered, q.Inspect,
		q.DurableCommit, q.Register, q.RecordOutcome, q.CheckRows, q.CheckTaken, q.Replicated, q.Confirm,
	}
}
