package sqlite

import (
	"strings"

	native "modernc.org/sqlite"
)

// guard is the authorizer of a connection while scripts run: what is not on its lists is denied. SQLite calls it while
// it prepares a statement, for all that the statement does, in the triggers and views that it uses too.
type guard struct {
	denied string // why the first denied action of the statement is denied, and what to do; empty: none was
}

// decide implements [native.AuthorizerFn].
func (g *guard) decide(action native.AuthorizerActionCode, arg1, arg2, database, _ string) native.AuthorizerReturnCode {
	why := "SQLite reports an action that this version does not know; report it"
	if rule := actionRules[action]; rule != nil {
		why = rule(action, arg1, arg2, database)
	}
	if why == "" {
		return native.AuthorizerOK
	}
	if g.denied == "" {
		g.denied = why
	}
	return native.AuthorizerDeny
}

// actionRule returns why an action is denied, and what to do; empty: it is allowed. The arguments are those of
// https://www.sqlite.org/c3ref/c_alter_table.html.
type actionRule func(action native.AuthorizerActionCode, arg1, arg2, database string) string

// actionRules has a rule for every action.
var actionRules = map[native.AuthorizerActionCode]actionRule{
	native.AuthSelect:    allowed, // its parts are actions of their own
	native.AuthRecursive: allowed, // the deadline ends one that does not end by itself

	native.AuthRead:          inTenant,
	native.AuthInsert:        inTenant,
	native.AuthUpdate:        inTenant,
	native.AuthDelete:        inTenant,
	native.AuthCreateIndex:   inTenant,
	native.AuthCreateTable:   inTenant,
	native.AuthCreateTrigger: inTenant,
	native.AuthCreateView:    inTenant,
	native.AuthDropIndex:     inTenant,
	native.AuthDropTable:     inTenant,
	native.AuthDropTrigger:   inTenant,
	native.AuthDropView:      inTenant,
	native.AuthDropVTable:    inTenant,
	native.AuthReindex:       inTenant,
	native.AuthAlterTable: func(action native.AuthorizerActionCode, database, table, _ string) string {
		return inTenant(action, table, "", database)
	},

	native.AuthCreateVTable: ofModule,
	native.AuthFunction:     ofFunction,
	native.AuthPragma:       ofPragma,

	native.AuthCreateTempIndex:   temporary,
	native.AuthCreateTempTable:   temporary,
	native.AuthCreateTempTrigger: temporary,
	native.AuthCreateTempView:    temporary,
	native.AuthDropTempIndex:     temporary,
	native.AuthDropTempTable:     temporary,
	native.AuthDropTempTrigger:   temporary,
	native.AuthDropTempView:      temporary,

	native.AuthTransaction: refuse("the scripts of a tenant are one transaction, which the service begins and ends; " +
		"remove BEGIN, COMMIT, END and ROLLBACK"),
	native.AuthSavepoint: refuse("the scripts of a tenant succeed or fail as one; remove SAVEPOINT, RELEASE and " +
		"ROLLBACK TO"),
	native.AuthAttach: refuse("a script works in the tenant's own file only; remove ATTACH, or VACUUM, which attaches " +
		"another file"),
	native.AuthDetach:  refuse("a script works in the tenant's own file only; remove DETACH"),
	native.AuthAnalyze: refuse(noStatistics),
}

const noStatistics = "statistics of a new tenant mislead the planner once it is filled; remove ANALYZE, and run " +
	"PRAGMA optimize in the tenant later"

func allowed(native.AuthorizerActionCode, string, string, string) string { return "" }

func refuse(why string) actionRule {
	return func(native.AuthorizerActionCode, string, string, string) string { return why }
}

func temporary(native.AuthorizerActionCode, string, string, string) string {
	return "temporary objects are gone when the tenant is used; create an ordinary one, or use WITH"
}

// inTenant allows what concerns an object of the tenant's own file.
func inTenant(action native.AuthorizerActionCode, object, _, database string) string {
	object = strings.ToLower(object)
	switch {
	case database == "temp" && object == "sqlite_temp_master" &&
		(action == native.AuthRead || action == native.AuthUpdate):
		return "" // ALTER TABLE corrects temporary triggers and views; SQLite refuses statements of others that write it
	case database == "temp":
		return temporary(action, "", "", "")
	case database != "main" && database != "": // empty: no column of the table is read
		return "a script works in the tenant's own file only; remove " + database + "."
	case strings.HasPrefix(object, "sqlite_stat"):
		return noStatistics
	case moduleRules[object] != "":
		return moduleRules[object]
	}
	return ""
}

// moduleRules has the modules of virtual tables, also of those that need no CREATE VIRTUAL TABLE, and why each is
// denied; empty: it is allowed. Those of pragma_… are allowed as their PRAGMA is.
var moduleRules = map[string]string{
	"fts5": "", "fts5vocab": "", "rtree": "", "rtree_i32": "", "geopoly": "", "json_each": "", "json_tree": "",
	"dbstat":        "dbstat reads the pages of the file, which are not the same for every tenant; remove it",
	"sqlite_dbpage": "sqlite_dbpage reads and writes the pages of the file past SQLite's checks; use tables",
}

func ofModule(action native.AuthorizerActionCode, table, module, database string) string {
	why, known := moduleRules[strings.ToLower(module)]
	switch {
	case why != "":
		return why
	case !known:
		return "module " + module + " of virtual tables is not allowed; use fts5, rtree or an ordinary table"
	}
	return inTenant(action, table, "", database)
}

// functionRules has the functions of SQLite and of this program, and why each is denied; empty: it is allowed.
var functionRules = func() map[string]string {
	rules := map[string]string{ //nolint:gosec // they are not passwords
		"load_extension": "load_extension runs code of another file in the service; remove it",
		"fts3_tokenizer": "fts3_tokenizer takes an address in memory; remove it",
		"fts5":           "fts5() returns an address in memory; remove it",
		"sqlite_log":     "sqlite_log writes to the log of the process; remove it",
		"sqlite_offset":  "sqlite_offset depends on the pages of the file; remove it",
		"geopoly_debug":  "geopoly_debug writes to the output of the process; remove it",
	}
	for name := range strings.FieldsSeq(allowedFunctions) {
		rules[name] = ""
	}
	return rules
}()

// allowedFunctions are the functions that compute a value from their arguments, the clock, random numbers or the
// connection's counters. The last lines are those that ALTER TABLE uses; SQLite has no others call them.
const allowedFunctions = valuesFunction + `
	-> ->> abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce concat concat_ws cos cosh
	count cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor
	format fts5_get_locale fts5_insttoken fts5_locale fts5_source_id geopoly_area geopoly_bbox geopoly_blob geopoly_ccw
	geopoly_contains_point geopoly_group_bbox geopoly_json geopoly_overlap geopoly_regular geopoly_svg geopoly_within
	geopoly_xform glob group_concat hex highlight if ifnull iif instr json json_array json_array_insert json_array_length
	json_error_position json_extract json_group_array json_group_object json_insert json_object json_patch json_pretty
	json_quote json_remove json_replace json_set json_type json_valid jsonb jsonb_array jsonb_array_insert jsonb_extract
	jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set
	julianday lag last_insert_rowid last_value lead length like likelihood likely ln log log10 log2 lower ltrim match max
	min mod nth_value ntile nullif octet_length percent_rank pi pow power printf quote radians random randomblob rank
	replace round row_number rtreecheck rtreedepth rtreenode rtrim sign sin sinh snippet soundex
	sqlite_compileoption_get sqlite_compileoption_used sqlite_source_id sqlite_version sqrt strftime string_agg substr
	substring subtype sum tan tanh time timediff total total_changes trim trunc typeof unhex unicode unistr unistr_quote
	unixepoch unlikely upper zeroblob
	sqlite_rename_column sqlite_rename_table sqlite_rename_test sqlite_rename_quotefix sqlite_drop_column
	sqlite_drop_constraint sqlite_add_constraint sqlite_find_constraint sqlite_fail`

func ofFunction(_ native.AuthorizerActionCode, _, function, _ string) string {
	why, known := functionRules[strings.ToLower(function)]
	if !known {
		return "function " + function + "() is not allowed; remove it"
	}
	return why
}

// pragmaRule says how a PRAGMA may be used.
type pragmaRule int

const (
	pragmaRefused pragmaRule = iota // it changes the file or the connection, or depends on how they are used
	pragmaReads                     // without an argument it only reads
	pragmaReadsOf                   // it only reads; its argument names an object
)

// pragmaRules has every PRAGMA.
var pragmaRules = func() map[string]pragmaRule {
	rules := map[string]pragmaRule{}
	for rule, names := range map[pragmaRule]string{
		// ALTER TABLE uses quick_check.
		pragmaReadsOf: `foreign_key_check foreign_key_list index_info index_list index_xinfo integrity_check quick_check
			table_info table_list table_xinfo`,
		// fts5 and rtree use data_version and page_size.
		pragmaReads: `application_id collation_list compile_options data_version database_list encoding foreign_keys
			freelist_count function_list module_list page_count page_size pragma_list schema_version user_version`,
		pragmaRefused: `analysis_limit auto_vacuum automatic_index busy_timeout cache_size cache_spill case_sensitive_like
			cell_size_check checkpoint_fullfsync count_changes default_cache_size defer_foreign_keys empty_result_callbacks
			full_column_names fullfsync hard_heap_limit ignore_check_constraints incremental_vacuum journal_mode
			journal_size_limit legacy_alter_table locking_mode max_page_count mmap_size optimize query_only
			read_uncommitted recursive_triggers reverse_unordered_selects secure_delete short_column_names shrink_memory
			soft_heap_limit synchronous temp_store temp_store_directory threads trusted_schema wal_autocheckpoint
			wal_checkpoint writable_schema`,
	} {
		for name := range strings.FieldsSeq(names) {
			rules[name] = rule
		}
	}
	return rules
}()

func ofPragma(_ native.AuthorizerActionCode, name, argument, _ string) string {
	rule, known := pragmaRules[strings.ToLower(name)]
	switch {
	case !known:
		return "PRAGMA " + name + " is not known; remove it" // SQLite would ignore it
	case rule == pragmaReadsOf, rule == pragmaReads && argument == "":
		return ""
	case rule == pragmaReads:
		return "PRAGMA " + name + " with a value changes the file, or its connection; remove it"
	}
	return "PRAGMA " + name + " is not allowed: settings of the file and its connections are the service's; remove it"
}
