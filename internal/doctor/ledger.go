package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/terminal"
)

// examineLedger compares registry and ledger. A tenant without a request is another program's, such as DocEX's. A
// tenant that was provisioned and is not registered was announced, and applications do not find it. own: tenants are
// not DocEX's.
func examineLedger(ctx context.Context, r database.Ledger, own bool) Finding {
	const name = "registry_ledger"
	lost, err := r.Unregistered(ctx, mostNamed)
	foreign := 0
	if err == nil {
		foreign, err = r.CountForeign(ctx)
	}
	switch {
	case errors.Is(err, sql.ErrNoLedger):
		return warning(name, "start the service once", "%s", err)
	case pipeline.IsOutage(err):
		return unreadable(name, err)
	case err != nil: // such as a missing permission, which the service's role may have
		return unreadableByUser(name, "to check it, run doctor with a role that may read tenant_requests", err)
	case len(lost) == 0:
		return ok(name, "every provisioned tenant is registered; registered tenants without a request, as those of other "+
			"programs and those whose request was pruned: %d", foreign)
	}
	var restorable, missing []string
	for _, u := range lost {
		about := fmt.Sprintf("-- %s, in %s", terminal.Plain(u.TenantID), terminal.Plain(u.Boundary))
		if u.Exists {
			restorable = append(restorable, about+", has lost its row in the registry:", u.Register)
		} else {
			missing = append(missing, about+", has lost its boundary too: unless you removed the tenant, restore both "+
				"from a backup")
		}
	}
	if len(restorable) == 0 {
		return warning(name, strings.Join(missing, "\n"), "%s provisioned and now missing, in the registry and as "+
			"boundaries: an operator has removed them, or they are lost", countOrMore(len(lost)))
	}
	why := ""
	if !own {
		why = ". DocEX's clean-up of a failed creation removes the row of the same id"
	}
	return fault(name, strings.Join(append(restorable, missing...), "\n"), "%s provisioned and missing in the registry: "+
		"applications do not find them%s", countOrMore(len(lost)), why)
}
