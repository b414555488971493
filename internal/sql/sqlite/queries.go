package sqlite

import _ "embed"

// The texts of the .sql files.
var (
	//go:embed queries/claim.sql
	claimSQL string
	//go:embed queries/request.sql
	requestSQL string
	//go:embed queries/conclude.sql
	concludeSQL string
	//go:embed queries/note.sql
	noteSQL string
	//go:embed queries/suspect.sql
	suspectSQL string
	//go:embed queries/buried.sql
	buriedSQL string
	//go:embed queries/find_tenant.sql
	findTenantSQL string
	//go:embed queries/boundary_owner.sql
	boundaryOwnerSQL string
	//go:embed queries/register.sql
	registerSQL string
	//go:embed queries/check_registry.sql
	checkRegistrySQL string
	//go:embed queries/ping.sql
	pingSQL string
	//go:embed queries/relations.sql
	relationsSQL string
	//go:embed queries/has_rows.sql
	hasRowsSQL string
	//go:embed queries/tables.sql
	tablesSQL string
	//go:embed queries/indexes.sql
	indexesSQL string
	//go:embed queries/inspect_columns.sql
	inspectColumnsSQL string
	//go:embed queries/inspect_indexes.sql
	inspectIndexesSQL string
	//go:embed queries/inspect_foreign_keys.sql
	inspectForeignKeysSQL string
	//go:embed queries/inspect_triggers.sql
	inspectTriggersSQL string
	//go:embed migrations/00001_registry.sql
	registryMigration string
	//go:embed migrations/00002_bootstrap.sql
	bootstrapMigration string
	//go:embed migrations/00003_history.sql
	historyMigration string
)
