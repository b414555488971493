package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/tenant-provisioner/events"
)

// Step is one step of the pipeline. Its number is its place in the list.
type Step struct {
	Name string
	Run  func(ctx context.Context, a *Attempt) error
}

// validateName is the name of step 0, which also stands for what fails before there is a request.
const validateName = "validate_request"

// Steps is the ordered list of steps. Step 0 touches nothing; the last one commits. A further step joins
// by its place in the list: what stands before register_tenant is undone if it fails.
func Steps() []Step {
	return []Step{
		{validateName, validateRequest},
		{"create_isolation_boundary", createBoundary},
		{"initialize_schema", initializeSchema},
		{"create_indexes", createIndexes},
		{"validate_schema", validateSchema},
		{"register_tenant", registerTenant},
	}
}

func validateRequest(_ context.Context, a *Attempt) error {
	e := a.request.Event
	if why := a.claim.Unstorable; why != nil {
		return &Fault{
			Class: Permanent, Code: events.CauseInvalidRequest,
			Message: "source or id holds what the database cannot store; send another one", Err: why,
		}
	}
	if e.Type() != events.TypeRequested {
		return Permanentf(events.CauseUnsupportedEventType,
			"type %s is not %s; publish other events elsewhere", events.Quote(e.Type()), events.TypeRequested)
	}
	if a.malformed != nil {
		// A bad id has its own cause, whatever else is wrong.
		if err := events.ValidateTenantID(a.data.TenantID); err != nil && a.data.TenantID != "" {
			return err
		}
		return a.malformed
	}
	if err := a.data.Validate(); err != nil {
		return err
	}
	if !events.DocEXCompatible(a.data.TenantID) {
		a.warn(events.WarnNotDocEXCompatible,
			"DocEX itself accepts ids of 1 to 30 of A–Z a–z 0–9 _ only; it cannot open this tenant")
	}
	if existing := a.claim.Registered; existing != "" {
		return TenantExists(a.data.TenantID, existing)
	}
	strategy := a.p.Database.Strategy()
	if s := a.data.IsolationStrategy; s != "" && s != strategy {
		return Permanentf(events.CauseUnsupportedStrategy,
			"isolation_strategy %s cannot be done by this database; ask for %q or leave it out", events.Quote(s), strategy)
	}
	return nil
}

// TenantExists is the failure of a request whose tenant is registered, as existing.
func TenantExists(id, existing string) *Fault {
	if id == existing {
		return Permanentf(events.CauseTenantExists, "tenant %q is registered already", id)
	}
	return Permanentf(events.CauseTenantExists,
		"tenant %q differs only in case from %q, which is registered; choose another id", id, existing)
}

func createBoundary(ctx context.Context, a *Attempt) (err error) {
	a.boundary, err = a.build.CreateBoundary(ctx)
	return err
}

func initializeSchema(ctx context.Context, a *Attempt) error { return a.build.CreateTables(ctx) }

func createIndexes(ctx context.Context, a *Attempt) error {
	failed, err := a.build.CreateIndexes(ctx)
	if err != nil {
		return err
	}
	a.failedIndexes = failed
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		a.warn(events.WarnIndexFailed, "index "+name+" could not be created: "+failed[name].Error())
	}
	return nil
}

func validateSchema(ctx context.Context, a *Attempt) error {
	found, err := a.build.Inspect(ctx)
	if err != nil {
		return err
	}
	if len(found.Differences) > 0 {
		a.log.WarnContext(ctx, "the structure differs from the definition", "differences", found.Differences)
		return Permanentf(events.CauseSchemaInvalid, "the structure differs from the definition: %s",
			summary(found.Differences))
	}
	for _, name := range found.MissingIndexes {
		if _, known := a.failedIndexes[name]; !known { // one warning an index
			a.warn(events.WarnIndexFailed, "index "+name+" is missing or not as defined")
		}
	}
	a.tables, a.indexes = found.Tables, found.Indexes
	return nil
}

func registerTenant(ctx context.Context, a *Attempt) error {
	tenant := Tenant{
		ID: a.data.TenantID, DisplayName: a.data.DisplayName, IsolationStrategy: a.p.Database.Strategy(),
		Boundary: a.boundary, CreatedAt: a.p.Now().UTC().Truncate(time.Microsecond), CreatedBy: a.data.CreatedBy,
	}
	outcome, err := a.provisioned(tenant)
	if err != nil {
		return err
	}
	if err := a.build.Register(ctx, tenant, outcome); err != nil {
		return err
	}
	a.outcome = outcome
	return nil
}

// summary joins differences, cut to what an event can carry; the log has them all.
func summary(differences []string) string {
	const most = 20
	if n := len(differences); n > most {
		differences = append(slices.Clone(differences[:most]), fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(differences, "; ")
}
