package doctor

import (
	"context"
	"strings"

	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/terminal"
)

// examineScripts compares the scripts of INIT_SCRIPTS with those that tenants have.
func examineScripts(ctx context.Context, r database.Scripts, scripts *pipeline.Scripts) Finding {
	const name = "registry_scripts"
	applied, err := r.AppliedScripts(ctx)
	switch {
	case err != nil:
		return unreadableByUser(name, "to check it, run doctor with a role that may read applied_scripts", err)
	case scripts == nil && len(applied) == 0:
		return ok(name, "INIT_SCRIPTS is not set, and no tenant has a script")
	case scripts == nil:
		return warning(name, "set INIT_SCRIPTS to the service's directory: without it new tenants get no scripts",
			"INIT_SCRIPTS is not set, and tenants have scripts: %d", len(applied))
	}
	changed, gone := sql.CompareScripts(scripts.Files, applied)
	switch {
	case len(changed) > 0:
		return fault(name, "restore each file, and put the change into a new one with a higher number\n"+listed(changed),
			"scripts were edited after tenants got them, and the service does not start: %d", len(changed))
	case len(gone) > 0:
		return warning(name, "put each file back, if new tenants shall have it too\n"+listed(gone),
			"tenants have scripts that INIT_SCRIPTS does not have: %d", len(gone))
	}
	return ok(name, "no script that tenants have was edited or is gone")
}

// listed is a comment for each, at most [mostNamed].
func listed(all []string) string {
	lines := make([]string, min(len(all), mostNamed))
	for i := range lines {
		lines[i] = "-- " + terminal.Plain(all[i])
	}
	return strings.Join(lines, "\n")
}
