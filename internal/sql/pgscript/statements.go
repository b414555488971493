package pgscript

import "strings"

// rule is what becomes of a statement of one type.
type rule struct {
	refused string               // why it is refused, and what to do instead; empty: it is allowed
	judge   func(*judge, fields) // judges it, all below it included; nil: every part is judged by itself
}

// statements are all types of statements of the grammar. One that is missing is refused.
var statements map[string]rule

// The rules refer to the table, so it cannot be initialised where it is declared.
func init() {
	allowed := rule{}
	statements = map[string]rule{
		// Rows.
		"SelectStmt": allowed, "InsertStmt": allowed, "UpdateStmt": allowed, "DeleteStmt": allowed, "MergeStmt": allowed,
		"TruncateStmt": allowed, "LockStmt": allowed, "ExplainStmt": allowed, "CallStmt": allowed,
		"DeclareCursorStmt": {judge: (*judge).cursor}, "FetchStmt": allowed, "ClosePortalStmt": allowed,
		"CopyStmt": {refused: "COPY moves rows to or from a client, a program or a file of the server; write INSERT, or " +
			"put the rows into SEED_DATA"},

		// Relations and what belongs to them.
		"CreateStmt": allowed, "AlterTableStmt": {judge: (*judge).alterTable}, "ReplicaIdentityStmt": allowed,
		"CreateTableAsStmt": allowed, "ViewStmt": allowed, "RefreshMatViewStmt": allowed, "RuleStmt": allowed,
		"IndexStmt": allowed, "ReindexStmt": {judge: (*judge).reindex}, "CreateSeqStmt": allowed, "AlterSeqStmt": allowed,
		"CreateTrigStmt": allowed, "CreatePolicyStmt": allowed, "AlterPolicyStmt": allowed,
		"CreateStatsStmt": allowed, "AlterStatsStmt": allowed,
		"ConstraintsSetStmt": {judge: (*judge).setConstraints},

		// Types, functions, and other objects of a schema.
		"CreateDomainStmt": allowed, "AlterDomainStmt": allowed, "CreateEnumStmt": allowed, "AlterEnumStmt": allowed,
		"CompositeTypeStmt": allowed, "CreateRangeStmt": allowed, "AlterTypeStmt": allowed,
		"DefineStmt":         {judge: objectStatement("CREATE", "kind", "")},
		"AlterOperatorStmt":  allowed,
		"CreateFunctionStmt": {judge: (*judge).createFunction}, "AlterFunctionStmt": {judge: (*judge).alterFunction},
		"DoStmt": {judge: (*judge).do}, "ReturnStmt": allowed,
		"AlterTSDictionaryStmt": allowed, "AlterTSConfigurationStmt": allowed, "AlterCollationStmt": allowed,

		// Objects of any kind.
		"DropStmt":              {judge: objectStatement("DROP", "removeType", "objects")},
		"RenameStmt":            {judge: objectStatement("ALTER", "renameType", "object")},
		"CommentStmt":           {judge: objectStatement("COMMENT ON", "objtype", "object")},
		"GrantStmt":             {judge: (*judge).grant},
		"AlterObjectSchemaStmt": {refused: "SET SCHEMA moves an object out of the tenant's schema; delete it"},
		"AlterOwnerStmt":        {refused: owner},
		"AlterObjectDependsStmt": {refused: "DEPENDS ON EXTENSION ties an object to an extension of the database; " +
			"delete it"},
		"SecLabelStmt": {refused: "SECURITY LABEL acts through a module of the server; delete it"},

		// Transactions and sessions.
		"TransactionStmt": {refused: transaction}, "VariableSetStmt": {judge: (*judge).set}, "VariableShowStmt": allowed,
		"DiscardStmt": session("DISCARD"), "PrepareStmt": session("PREPARE"), "ExecuteStmt": session("EXECUTE"),
		"DeallocateStmt": session("DEALLOCATE"), "ListenStmt": session("LISTEN"), "UnlistenStmt": session("UNLISTEN"),
		"NotifyStmt": {refused: notify}, "LoadStmt": session("LOAD"),

		// Maintenance.
		"VacuumStmt": {judge: (*judge).vacuum},
		"ClusterStmt": {refused: "CLUSTER rewrites tables that have no rows yet; delete it, or write " +
			"ALTER TABLE ... CLUSTER ON"},
		"CheckPointStmt": outside("CHECKPOINT"),

		// The database and the server.
		"CreateSchemaStmt": outside("CREATE SCHEMA"), "AlterDefaultPrivilegesStmt": {refused: "ALTER DEFAULT PRIVILEGES " +
			"acts on other tenants' objects too; write GRANT for each table after CREATE"},
		"CreatedbStmt": outside("CREATE DATABASE"), "AlterDatabaseStmt": outside("ALTER DATABASE"),
		"AlterDatabaseRefreshCollStmt": outside("ALTER DATABASE"), "AlterDatabaseSetStmt": outside("ALTER DATABASE"),
		"DropdbStmt": outside("DROP DATABASE"), "AlterSystemStmt": outside("ALTER SYSTEM"),
		"CreateTableSpaceStmt": outside("CREATE TABLESPACE"), "DropTableSpaceStmt": outside("DROP TABLESPACE"),
		"AlterTableSpaceOptionsStmt": outside("ALTER TABLESPACE"),
		"AlterTableMoveAllStmt":      outside("ALTER TABLE ALL IN TABLESPACE"),
		"CreateRoleStmt":             outside("CREATE ROLE"), "AlterRoleStmt": outside("ALTER ROLE"),
		"AlterRoleSetStmt": outside("ALTER ROLE"), "DropRoleStmt": outside("DROP ROLE"),
		"GrantRoleStmt": outside("GRANT of a role"), "DropOwnedStmt": outside("DROP OWNED"),
		"ReassignOwnedStmt":   outside("REASSIGN OWNED"),
		"CreateExtensionStmt": outside("CREATE EXTENSION"), "AlterExtensionStmt": outside("ALTER EXTENSION"),
		"AlterExtensionContentsStmt": outside("ALTER EXTENSION"),
		"CreatePLangStmt":            outside("CREATE LANGUAGE"), "CreateAmStmt": outside("CREATE ACCESS METHOD"),
		"CreateCastStmt": outside("CREATE CAST"), "CreateTransformStmt": outside("CREATE TRANSFORM"),
		"CreateConversionStmt": outside("CREATE CONVERSION"), "CreateOpClassStmt": outside("CREATE OPERATOR CLASS"),
		"CreateOpFamilyStmt": outside("CREATE OPERATOR FAMILY"), "AlterOpFamilyStmt": outside("ALTER OPERATOR FAMILY"),
		"CreateEventTrigStmt": outside("CREATE EVENT TRIGGER"), "AlterEventTrigStmt": outside("ALTER EVENT TRIGGER"),
		"CreatePublicationStmt": outside("CREATE PUBLICATION"), "AlterPublicationStmt": outside("ALTER PUBLICATION"),
		"CreateSubscriptionStmt": outside("CREATE SUBSCRIPTION"), "AlterSubscriptionStmt": outside("ALTER SUBSCRIPTION"),
		"DropSubscriptionStmt": outside("DROP SUBSCRIPTION"),
		"CreateFdwStmt":        outside("CREATE FOREIGN DATA WRAPPER"), "AlterFdwStmt": outside("ALTER FOREIGN DATA WRAPPER"),
		"CreateForeignServerStmt": outside("CREATE SERVER"), "AlterForeignServerStmt": outside("ALTER SERVER"),
		"CreateUserMappingStmt": outside("CREATE USER MAPPING"), "AlterUserMappingStmt": outside("ALTER USER MAPPING"),
		"DropUserMappingStmt":    outside("DROP USER MAPPING"),
		"CreateForeignTableStmt": {refused: foreign}, "ImportForeignSchemaStmt": {refused: foreign},

		// Inside of the parser only.
		"RawStmt": allowed, "SetOperationStmt": allowed, "PLAssignStmt": allowed,
	}
}

const (
	transaction = "transaction statement; delete it: all scripts of a tenant run in one transaction of the service"
	owner       = "OWNER TO gives the tenant's object to another role; delete it, and write GRANT"
	notify      = "NOTIFY reaches sessions outside of the tenant's schema; subscribe to the outcome of the request instead"
	foreign     = "a foreign table reads and writes outside of the tenant's schema; delete it"
)

// outside is the rule of a statement that acts on more than the tenant's schema.
func outside(what string) rule {
	return rule{refused: what + " acts outside of the tenant's schema; run it once for the database, not in a script"}
}

// session is the rule of a statement whose effect stays in the connection.
func session(what string) rule {
	return rule{refused: what + " acts on the connection, which serves other requests; delete it"}
}

// objectKinds are all kinds of objects of the grammar: whether they are in a schema, or belong to what is.
var objectKinds = map[string]bool{
	"OBJECT_AGGREGATE": true, "OBJECT_ATTRIBUTE": true, "OBJECT_COLUMN": true, "OBJECT_COLLATION": true,
	"OBJECT_CONVERSION": true, "OBJECT_DEFAULT": true, "OBJECT_DOMAIN": true, "OBJECT_DOMCONSTRAINT": true,
	"OBJECT_FUNCTION": true, "OBJECT_INDEX": true, "OBJECT_MATVIEW": true, "OBJECT_OPCLASS": true,
	"OBJECT_OPERATOR": true, "OBJECT_OPFAMILY": true, "OBJECT_POLICY": true, "OBJECT_PROCEDURE": true,
	"OBJECT_ROUTINE": true, "OBJECT_RULE": true, "OBJECT_SEQUENCE": true, "OBJECT_STATISTIC_EXT": true,
	"OBJECT_TABCONSTRAINT": true, "OBJECT_TABLE": true, "OBJECT_TRIGGER": true, "OBJECT_TSCONFIGURATION": true,
	"OBJECT_TSDICTIONARY": true, "OBJECT_TSPARSER": true, "OBJECT_TSTEMPLATE": true, "OBJECT_TYPE": true,
	"OBJECT_VIEW": true,

	"OBJECT_ACCESS_METHOD": false, "OBJECT_AMOP": false, "OBJECT_AMPROC": false, "OBJECT_CAST": false,
	"OBJECT_DATABASE": false, "OBJECT_DEFACL": false, "OBJECT_EVENT_TRIGGER": false, "OBJECT_EXTENSION": false,
	"OBJECT_FDW": false, "OBJECT_FOREIGN_SERVER": false, "OBJECT_FOREIGN_TABLE": false, "OBJECT_LANGUAGE": false,
	"OBJECT_LARGEOBJECT": false, "OBJECT_PARAMETER_ACL": false, "OBJECT_PUBLICATION": false,
	"OBJECT_PUBLICATION_NAMESPACE": false, "OBJECT_PUBLICATION_REL": false, "OBJECT_ROLE": false,
	"OBJECT_SCHEMA": false, "OBJECT_SUBSCRIPTION": false, "OBJECT_TABLESPACE": false, "OBJECT_TRANSFORM": false,
	"OBJECT_USER_MAPPING": false,
}

// kindName is how SQL names a kind of objects.
func kindName(kind string) string {
	if name, ok := map[string]string{
		"OBJECT_FDW": "FOREIGN DATA WRAPPER", "OBJECT_FOREIGN_SERVER": "SERVER", "OBJECT_LARGEOBJECT": "LARGE OBJECT",
		"OBJECT_PARAMETER_ACL": "PARAMETER",
	}[kind]; ok {
		return name
	}
	return strings.ReplaceAll(strings.TrimPrefix(kind, "OBJECT_"), "_", " ")
}

// objectStatement judges a statement about objects of the kind in one field, which another field names.
func objectStatement(verb, kindField, objectField string) func(*judge, fields) {
	return func(j *judge, f fields) {
		kind := f.text(kindField)
		if !objectKinds[kind] {
			j.refuse("%s", outside(verb+" "+kindName(kind)).refused)
			return
		}
		objects := f.list(objectField)
		if objects == nil {
			objects = []any{f[objectField]}
		}
		rest := fields{}
		for field, value := range f {
			if field != objectField {
				rest[field] = value
			}
		}
		for _, o := range objects {
			j.object(kind, o)
		}
		j.fieldsOf("", rest)
	}
}

// object judges the name of an object. What belongs to a relation has the name of the relation in front of its own, and
// an operator class that of its access method.
func (j *judge) object(kind string, object any) {
	typ, f := typed(object)
	parts := stringsOf(f.list("items"))
	if typ != "List" || parts == nil {
		j.node(object)
		return
	}
	switch kind {
	case "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY":
		parts = withoutLast(parts)
	case "OBJECT_OPCLASS", "OBJECT_OPFAMILY":
		parts = parts[1:]
	}
	j.name(parts)
}

// holdOption is CURSOR_OPT_HOLD.
const holdOption = 0x20

func (j *judge) cursor(f fields) {
	if f.number("options")&holdOption != 0 {
		j.refuse("a cursor WITH HOLD outlives the transaction; delete WITH HOLD")
		return
	}
	j.fieldsOf("", f)
}

func (j *judge) alterTable(f fields) {
	if kind := f.text("objtype"); !objectKinds[kind] {
		j.refuse("%s", outside("ALTER "+kindName(kind)).refused)
		return
	}
	for _, node := range f.list("cmds") {
		if _, cmd := typed(node); cmd.text("subtype") == "AT_ChangeOwner" {
			j.refuse("%s", owner)
		}
	}
	j.fieldsOf("", f)
}

func (j *judge) reindex(f fields) {
	if kind := f.text("kind"); kind != "REINDEX_OBJECT_INDEX" && kind != "REINDEX_OBJECT_TABLE" {
		j.refuse("REINDEX of more than one table cannot run in a transaction; delete it: a new tenant's indexes are new")
		return
	}
	for _, node := range f.list("params") {
		if _, param := typed(node); param.text("defname") == "concurrently" {
			j.refuse("%s", concurrently)
		}
	}
	j.fieldsOf("", f)
}

func (j *judge) vacuum(f fields) {
	switch {
	case f.flag("is_vacuumcmd"):
		j.refuse("VACUUM cannot run in a transaction; delete it: a new tenant's tables have nothing to clean")
	case f["rels"] == nil:
		j.refuse("ANALYZE without a table reads the whole database; name the table")
	default:
		j.fieldsOf("", f)
	}
}

func (j *judge) grant(f fields) {
	kind := f.text("objtype")
	schemas := kind == "OBJECT_SCHEMA" || f.text("targtype") == "ACL_TARGET_ALL_IN_SCHEMA"
	if !schemas {
		verb := "REVOKE ON"
		if f.flag("is_grant") {
			verb = "GRANT ON"
		}
		objectStatement(verb, "objtype", "objects")(j, f)
		return
	}
	for _, schema := range stringsOf(f.list("objects")) {
		if !isComputed(schema) {
			j.refuse("the schema %s is named: scripts do not know their schema's name; write "+
				"EXECUTE format('GRANT ... SCHEMA %%I ...', current_schema()) in a DO block", schema)
		}
	}
}

// setConstraints refuses what lets a trigger escape the check at the end of the transaction.
func (j *judge) setConstraints(f fields) {
	if j.inBody && f.flag("deferred") {
		j.refuse("SET CONSTRAINTS … DEFERRED in a body can move a trigger behind the last check; write it as a statement " +
			"of the script, or declare the constraint INITIALLY DEFERRED")
	}
	j.fieldsOf("ConstraintsSetStmt", f)
}
