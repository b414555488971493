package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/tenant-provisioner/events"
)

const (
	// MaxPlanName is the most characters of a plan's name, as wide as its column in the registry.
	MaxPlanName = 50
	// MaxLimit is the largest limit of a plan, 8 PiB - 1: the largest whole number that every reader of JSON keeps
	// exactly.
	MaxLimit = 1<<53 - 1
)

// Plan is what a tenant was provisioned with. The zero value stands for a tenant without a plan.
type Plan struct {
	Name   string
	Limits events.PlanLimits
}

// Plans are the plans that requests may name. They are read once and never change.
type Plans struct {
	Default string          // the name of the plan of a request that names none
	ByName  map[string]Plan // at least the default
	// Labels are the labels of a plan, by its name, for programs that group tenants by them.
	Labels map[string]map[string]string
}

// Has reports whether there is a plan of that name.
func (p *Plans) Has(name string) bool {
	if p == nil {
		return false
	}
	_, has := p.ByName[name]
	return has
}

// choose returns the plan of a request that names this one; empty: it names none. Without plans it returns no plan,
// whatever the request names.
func (p *Plans) choose(name string) (Plan, error) {
	if p == nil {
		return Plan{}, nil
	}
	if name == "" {
		name = p.Default
	}
	plan, exists := p.ByName[name]
	if !exists {
		return Plan{}, Permanentf(events.CauseInvalidRequest, "plan: %s is not one of the plans: %s; send one of them, "+
			"or omit it for %s", events.Quote(name), p.names(), p.Default)
	}
	return plan, nil
}

// names lists the plans in order, as many as an outcome can carry.
func (p *Plans) names() string {
	const most = 14
	all := slices.Sorted(maps.Keys(p.ByName))
	if n := len(all); n > most {
		all = append(all[:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(all, ", ")
}
