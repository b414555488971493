package sqlite

import (
	"embed"
	"errors"
	"strings"

	"example.com/tenant-provisioner/internal/sql"
)

//go:embed queries/*.sql migrations/*.sql
var files embed.FS

// queries are the texts of the .sql files, see [sql.LoadQueries]. {plan_columns} and {definition_column} are replaced
// by those files, and {relation} where the text is used.
type queries struct {
	Stamp, RequestsOf, Claim, Request, RecordOutcome, Reject, Note, Renew, Vanished, DeadLetterConfirmed string
	FindTenant, BoundaryOwner, Register, CheckRows, CheckRegistry, Ping, Relations, HasRows, Tables      string
	Indexes, InspectColumns, InspectIndexes, InspectForeignKeys, InspectTriggers, Probe, CountTenants    string
	Tenants, Tenant, Record, Records, CaseVariants, BoundaryOwners, QuickCheck, HasColumn                string
	Unregistered, CountForeign, RegisterAgain, Entry, Entries, IsAccepted, Accept, StampState, SetStamp  string
	RestoreRequest, ProvisionedBy, CheckRequest, HasRegistry, CreateStamp, Checkpoint, SetCheckpoint     string
	Prune, SetPruned, Recent, CheckTables, AppliedMigrations, SharesBoundary, PlanColumns, CountPlans    string
	Structure, StructureColumns                                                                          string
	Definitions, FileSettings, OutsideObject, ViolatedKey                                                string
	RecordScripts, AppliedScripts, DefinitionColumn, StoreDefinition, LastDefinition                     string
	Definition, SetDefinition, BaseDefinition, SetBase                                                   string
}

var (
	q          queries
	migrations struct{ Registry, Bootstrap, History, Stamp, Restore, Checkpoint, Retention, Plans, Scripts, Base string }
)

func init() {
	names := strings.NewReplacer() // the registry has no name of its own
	if err := errors.Join(sql.LoadQueries(files, names, &q), sql.LoadMigrations(files, names, &migrations)); err != nil {
		panic(err) // a file or a field is missing from the program
	}
	for _, text := range []*string{&q.Tenant, &q.Tenants} {
		*text = strings.NewReplacer("{plan_columns}", q.PlanColumns, "{definition_column}", q.DefinitionColumn).Replace(*text)
	}
}
