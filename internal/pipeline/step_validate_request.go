package pipeline

import (
	"context"
	"errors"
	"strings"

	"example.com/tenant-provisioner/events"
)

func validateRequest(_ context.Context, a *Attempt) error {
	e := a.request.Event
	if why := a.claim.Unstorable; why != nil {
		return &Fault{
			Class: Permanent, Code: events.CauseInvalidRequest,
			Message: "the database cannot store this source or id; use another one", Err: why,
		}
	}
	if e.Type() != events.TypeRequested {
		return Permanentf(events.CauseUnsupportedEventType,
			"type %s is not %s; publish other events elsewhere", events.Quote(e.Type()), events.TypeRequested)
	}
	if a.malformed != nil && !a.ignores(a.malformed) {
		// An invalid id has its own cause, whatever else is wrong.
		if err := events.ValidateTenantID(a.data.TenantID); err != nil && a.data.TenantID != "" {
			return err
		}
		return a.malformed
	}
	if err := a.data.Validate(); err != nil {
		return err
	}
	plan, err := a.p.Plans.choose(a.data.Plan)
	if err != nil {
		return err
	}
	a.plan = plan
	if a.p.hasBuiltIn() {
		if text := docEXIncompatible(a.data.TenantID, a.p.Database.Locate(a.data.TenantID)); text != "" {
			a.warn(events.WarnNotDocEXCompatible, text)
		}
	}
	if existing := a.claim.Registered; existing != "" {
		return TenantExists(a.data.TenantID, existing)
	}
	strategy := a.p.Database.Strategy()
	if s := a.data.IsolationStrategy; s != "" && s != strategy {
		return Permanentf(events.CauseUnsupportedStrategy,
			"this database does not support isolation_strategy %s; use %q or omit it", events.Quote(s), strategy)
	}
	return nil
}

// ignores reports whether an error of [events.RequestedFrom] does not count: without plans, whatever the field holds.
func (a *Attempt) ignores(err error) bool {
	broken, ok := errors.AsType[*events.RequestError](err)
	return ok && broken.Field == "plan" && a.p.Plans == nil
}

// docEXIncompatible returns what DocEX cannot do with the tenant, or "". It looks for a boundary under the whole name,
// and cannot use a schema whose name has a hyphen.
func docEXIncompatible(id string, b Boundary) string {
	switch {
	case !strings.Contains(b.Name(), id):
		return "DocEX cannot open this tenant: it looks for the whole name, which was too long and was cut to " + b.Name()
	case strings.Contains(b.SchemaName, "-"):
		return "DocEX cannot open this tenant: the name of its schema, " + b.SchemaName + ", has a hyphen"
	case !events.DocEXCompatible(id):
		return "DocEX opens this tenant, but would not have created it: its own create() takes 1 to 30 of A–Z a–z 0–9 _, " +
			"the first not a digit"
	}
	return ""
}

// TenantExists is the fault of a request for a tenant that is already registered, under the id existing.
func TenantExists(id, existing string) *Fault {
	if id == existing {
		return Permanentf(events.CauseTenantExists, "tenant %q is already registered", id)
	}
	return Permanentf(events.CauseTenantExists,
		"tenant %q differs only in case from %q, which is registered; choose another id", id, existing)
}
