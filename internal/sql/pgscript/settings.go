package pgscript

import "strings"

// localSettings may be set for the transaction. Others change what the steps after the scripts do: search_path, role,
// synchronous_commit, the formats of dates, timeouts.
var localSettings = map[string]bool{
	"check_function_bodies": true, "client_min_messages": true, "default_statistics_target": true,
	"default_toast_compression": true, "maintenance_work_mem": true, "max_parallel_maintenance_workers": true,
	"max_parallel_workers_per_gather": true, "work_mem": true,
}

// mayBeLocal: settings of the server in localSettings, and those of modules and of the operator. Those of the service
// are the request's values.
func mayBeLocal(name string) bool {
	name = strings.ToLower(name)
	return localSettings[name] || strings.Contains(name, ".") && !strings.HasPrefix(name, "provisioner.")
}

const whatMayBeSet = "SET LOCAL may set work_mem, client_min_messages, check_function_bodies, or a name with a period"

// set judges SET and RESET.
func (j *judge) set(f fields) {
	name := f.text("name")
	switch kind := f.text("kind"); {
	case name == "TRANSACTION" || name == "SESSION CHARACTERISTICS":
		j.refuse("%s", transaction)
	case kind == "VAR_RESET_ALL":
		j.refuse("RESET ALL changes what the service has set; delete it")
	case kind == "VAR_RESET":
		j.refuse("RESET %s changes what the service has set; delete it", name)
	case !mayBeLocal(name):
		j.refuse("SET %s changes what the service has set, or how it goes on; delete it: %s", name, whatMayBeSet)
	case !f.flag("is_local"):
		j.refuse("SET %s outlives the transaction in its connection; write SET LOCAL", name)
	default:
		j.fieldsOf("", f)
	}
}

// setConfig judges set_config(name, value, is_local).
func (j *judge) setConfig(args []any) {
	if len(args) == 3 {
		name, constant := constantString(args[0])
		_, local := typed(args[2])
		if constant && mayBeLocal(name) && local.fields("boolval").flag("boolval") {
			return
		}
	}
	j.refuse("set_config() changes settings; write set_config('NAME', ..., true) with a constant name: %s", whatMayBeSet)
}
