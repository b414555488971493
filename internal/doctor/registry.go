package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/terminal"
)

const (
	// mostTenants is how many tenants a PostgreSQL database is planned for: docs/performance.md, Capacity.
	mostTenants = 10_000
	// mostNamed is the most tenants that a check names; it bounds memory.
	mostNamed = 100
)

// examineRegistry checks the registry and the tenants, and finds leftovers.
func examineRegistry(ctx context.Context, c config.Config) (checks []Finding) {
	const name = "registry"
	r, err := database.OpenReader(ctx, c)
	if errors.Is(err, sql.ErrNoRegistry) {
		return []Finding{checkNoRegistry(ctx, c, err)}
	}
	if errors.Is(err, sql.ErrOtherBase) {
		return []Finding{fault(name, "set BASE_DEFINITION to the service's value", "%s", err)}
	}
	if err != nil {
		return []Finding{unreadable(name, err)}
	}
	defer func() {
		if err := r.Close(); err != nil {
			checks = append(checks, unreadable(name, err))
		}
	}()
	n, err := r.Count(ctx)
	if err != nil {
		return []Finding{unreadable(name, err)}
	}
	checks = append(checks, checkTables(ctx, r, n))
	if r, ok := r.(database.FileReader); ok {
		checks = append(checks, examineRegistryFile(ctx, r))
	}
	if c.OnPostgres() {
		checks = append(checks, checkTenants(n))
	}
	checks = append(checks, examineLedger(ctx, r, c.OwnDefinition()), examineTwins(ctx, r))
	if r, ok := r.(database.SchemaReader); ok && !c.OwnDefinition() {
		checks = append(checks, examineCase(ctx, r))
	}
	checks = append(checks, examinePlans(ctx, r, c.Plans()), examineScripts(ctx, r, c.Scripts()))
	checks = append(checks, examinePlaces(ctx, r)...)
	return append(checks, examineLeftovers(ctx, c, r)...)
}

func examineRegistryFile(ctx context.Context, r database.FileReader) Finding {
	const name = "registry_file"
	found, err := r.Damage(ctx)
	if err != nil {
		return unreadable(name, err)
	}
	if len(found) > 0 {
		return fault(name, "stop the service, then restore the file from a backup, or rescue what can be read:\n"+
			"sqlite3 docex.db .recover | sqlite3 recovered.db", "the registry's file is damaged: %s", found[0])
	}
	wal, err := r.IsWAL()
	if err != nil {
		return unreadable(name, err)
	}
	if !wal {
		return warning(name, "restart the service: it sets the mode. If the mode does not persist, the file system does "+
			"not support it", "the registry is not in WAL mode: readers and the service block each other")
	}
	return ok(name, "PRAGMA quick_check finds nothing wrong; in WAL mode")
}

// checkTables checks that the registry has what the service has created in it. What it has yet to create other checks
// report, each for itself.
func checkTables(ctx context.Context, r database.Registry, tenants int) Finding {
	const name = "registry"
	if err := r.CheckTables(ctx); err != nil && !errors.Is(err, sql.ErrNotMigrated) {
		return fault(name, "restore the registry from a backup: docs/recovery.md", "the service takes no requests, because "+
			"part of the registry was removed or renamed: %s", err)
	}
	return ok(name, "can be read; tenants: %d", tenants)
}

func checkTenants(n int) Finding {
	const name = "registry_tenants"
	if n > mostTenants {
		return warning(name, "docs/performance.md, Capacity: shard by database, each with its own consumer",
			"%d tenants in one database, which is planned for %d: %d relations slow down autovacuum, dumps, upgrades and "+
				"crash recovery", n, mostTenants, n*63)
	}
	return ok(name, "%d; a database is planned for up to %d", n, mostTenants)
}

func examineTwins(ctx context.Context, r database.Registry) Finding {
	const name = "registry_twins"
	pairs, err := r.Twins(ctx, mostNamed)
	if err != nil {
		return unreadable(name, err)
	}
	if len(pairs) == 0 {
		return ok(name, "no two ids differ only in case")
	}
	lines := make([]string, len(pairs))
	for i, p := range pairs {
		lines[i] = fmt.Sprintf("-- %s and %s: rename one in the program that made it", terminal.Plain(p[0]),
			terminal.Plain(p[1]))
	}
	return warning(name, strings.Join(lines, "\n"),
		"pairs of ids that differ only in case: %s; another program registered them. They share one file where the "+
			"file system ignores case, and one schema where a long name is cut", countOrMore(len(pairs)))
}

// examineCase finds schemas that a clean-up of DocEX confuses with a tenant's: it drops an unquoted name, which
// PostgreSQL converts to lower case.
func examineCase(ctx context.Context, r database.SchemaReader) Finding {
	const name = "registry_case"
	found, err := r.CaseVariants(ctx, mostNamed)
	if err != nil {
		return unreadable(name, err)
	}
	if len(found) == 0 {
		return ok(name, "no schema differs from a tenant's only in case")
	}
	lines := make([]string, len(found))
	for i, v := range found {
		whose := "is not registered: see what is in it"
		if v.Owner != "" {
			whose = "is registered for " + terminal.Plain(v.Owner)
		}
		lines[i] = fmt.Sprintf("-- tenant %s is in %s; %s %s", terminal.Plain(v.TenantID), terminal.Plain(v.TenantSchema),
			terminal.Plain(v.Schema), whose)
	}
	return warning(name, strings.Join(lines, "\n"), "schemas that differ from a tenant's only in case: %s. If DocEX "+
		"fails to create the one in upper case, its clean-up drops the one in lower case. Give DocEX a role that owns "+
		"nothing: docs/docex.md", countOrMore(len(found)))
}

// examinePlans finds tenants with plans that PLANS no longer has.
func examinePlans(ctx context.Context, r database.Registry, plans *pipeline.Plans) Finding {
	const name = "registry_plans"
	most := mostNamed // that are not in PLANS; others may come before them
	if plans != nil {
		most += len(plans.ByName)
	}
	found, err := r.CountPlans(ctx, most)
	if err != nil {
		return unreadable(name, err)
	}
	var gone []string
	for _, f := range found {
		if !plans.Has(f.Plan) && len(gone) < mostNamed {
			gone = append(gone, fmt.Sprintf("-- %s: tenants %d", terminal.Plain(f.Plan), f.Tenants))
		}
	}
	switch {
	case len(gone) > 0 && plans == nil:
		return warning(name, "set PLANS to the service's file: without it new tenants get no plan\n"+
			strings.Join(gone, "\n"), "PLANS is not set, and tenants have plans: %s", countOrMore(len(gone)))
	case len(gone) > 0:
		return warning(name, "add these plans to PLANS again, as long as tenants have them\n"+
			strings.Join(gone, "\n"), "tenants have plans that PLANS does not have: %s", countOrMore(len(gone)))
	case plans == nil:
		return ok(name, "PLANS is not set, and no tenant has a plan")
	}
	return ok(name, "PLANS has each plan that tenants have")
}

// countOrMore formats a count that stops at mostNamed.
func countOrMore(n int) string {
	if n == mostNamed {
		return fmt.Sprintf("%d or more", n)
	}
	return fmt.Sprint(n)
}

// examinePlaces compares each tenant's registered boundary with the template, a page of the registry at a time.
func examinePlaces(ctx context.Context, r database.Registry) []Finding {
	const name, collisions = "registry_names", "registry_collisions"
	var moved, met []string
	for page, err := range database.Pages(ctx, r) {
		var found []sql.Misplaced
		if err == nil {
			found, err = r.Misplaced(ctx, page)
		}
		if err != nil {
			return []Finding{unreadable(name, err)}
		}
		for _, m := range found {
			switch {
			case m.Owner != "" && len(met) < mostNamed:
				met = append(met, fmt.Sprintf("-- %s maps to %s, which is registered for %s", terminal.Plain(m.TenantID),
					terminal.Plain(m.Expected), terminal.Plain(m.Owner)))
			case m.Owner == "" && len(moved) < mostNamed:
				moved = append(moved, fmt.Sprintf("-- %s is registered in %s, the template gives %s", terminal.Plain(m.TenantID),
					terminal.Plain(m.RegisteredAs), terminal.Plain(m.Expected)))
			}
		}
	}
	checks := []Finding{
		ok(name, "every tenant is registered where the template puts it"),
		ok(collisions, "no tenant maps to another tenant's boundary"),
	}
	if len(moved) > 0 {
		checks[0] = warning(name, strings.Join(moved, "\n"),
			"%s registered under another name than the template gives: applications use the template and do not find "+
				"them. Set the template that they were created with, or rename their boundaries",
			countOrMore(len(moved)))
	}
	if len(met) > 0 {
		checks[1] = fault(collisions, strings.Join(met, "\n"), "%s for which applications would open another tenant's "+
			"boundary, because they use the template. Do not use them before one of each pair has been moved and registered "+
			"again",
			countOrMore(len(met)))
	}
	return checks
}
