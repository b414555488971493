package pgscript

import "strings"

// refusedFunctions are functions of the server and of its modules that act outside of the schema or the transaction. A
// name that ends in * stands for all that begin with it.
var refusedFunctions = []struct{ why, names string }{
	{"acts on the server's files; write the data into the script", `pg_read_file* pg_read_binary_file pg_ls_* pg_stat_file
		pg_file_* pg_logdir_ls pg_current_logfile`},
	{"makes or changes large objects, which belong to no schema; use a column of type bytea", `lo_* loread lowrite`},
	{"holds an advisory lock, which others use too; write LOCK TABLE", `pg_advisory_* pg_try_advisory_*`},
	{notify, `pg_notify`},
	{"acts on other sessions; delete it", `pg_terminate_backend pg_cancel_backend pg_log_backend_memory_contexts`},
	{"acts on the server; delete it", `pg_reload_conf pg_rotate_logfile* pg_promote pg_switch_wal pg_create_restore_point
		pg_start_backup pg_stop_backup pg_backup_start pg_backup_stop pg_wal_replay_pause pg_wal_replay_resume
		pg_log_standby_snapshot pg_export_snapshot pg_stat_reset* pg_stat_statements_reset pg_import_system_collations
		pg_extension_config_dump pg_stop_making_pinned_objects binary_upgrade_*`},
	{"acts on replication; delete it", `pg_create_physical_replication_slot pg_create_logical_replication_slot
		pg_drop_replication_slot pg_copy_physical_replication_slot pg_copy_logical_replication_slot
		pg_replication_slot_advance pg_sync_replication_slots pg_replication_origin_* pg_logical_*`},
	{"connects to another database; delete it", `dblink*`},
}

// regTypes are the types whose text is a name.
var regTypes = map[string]bool{
	"regclass": true, "regproc": true, "regprocedure": true, "regtype": true, "regoper": true, "regoperator": true,
	"regcollation": true, "regconfig": true, "regdictionary": true,
}

// call judges the call of a function, its arguments left aside.
func (j *judge) call(f fields) {
	parts := stringsOf(f.list("funcname"))
	if len(parts) == 0 || len(parts) > 1 && parts[0] != "pg_catalog" {
		return // of another schema: refused by its name
	}
	name := parts[len(parts)-1]
	args := f.list("args")
	if why := refusedFunction(name); why != "" {
		j.refuse("%s", why)
	}
	switch {
	case name == "set_config":
		j.setConfig(args)
	case len(args) == 0:
	case name == "nextval", name == "currval", name == "setval", strings.HasPrefix(name, "to_reg"):
		j.nameIn(args[0])
	}
}

// refusedFunction is why a function may not be called, and what to do instead; empty: it may.
func refusedFunction(name string) string {
	for _, group := range refusedFunctions {
		for pattern := range strings.FieldsSeq(group.names) {
			prefix, isPrefix := strings.CutSuffix(pattern, "*")
			if name != pattern && (!isPrefix || !strings.HasPrefix(name, prefix)) {
				continue
			}
			if group.why == notify {
				return notify
			}
			return name + "() " + group.why
		}
	}
	return ""
}

// cast judges the name in a constant that is cast to regclass and the like.
func (j *judge) cast(f fields) {
	if parts := stringsOf(f.fields("typeName").list("names")); len(parts) > 0 && regTypes[parts[len(parts)-1]] {
		j.nameIn(f["arg"])
	}
}

// nameIn judges the name in a constant.
func (j *judge) nameIn(node any) {
	text, constant := constantString(node)
	if !constant {
		return
	}
	text, _, _ = strings.Cut(text, "(") // the arguments of a function
	var parts []string
	for at := 0; at < len(text); {
		t := nextToken(text, at)
		at = t.end
		if t.kind == word || t.kind == quoted {
			parts = append(parts, t.name(text))
		}
	}
	if strings.Contains(text, ".") {
		j.name(parts)
	}
}

// constantString is the text of a string constant.
func constantString(node any) (text string, ok bool) {
	typ, f := typed(node)
	if typ != "A_Const" || f["sval"] == nil {
		return "", false
	}
	return f.fields("sval").text("sval"), true
}
