package sql

import (
	"errors"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// The base definitions: what a tenant has before the scripts of its operator run.
const (
	BaseDocEX = "docex" // the tables and indexes of this package
	BaseNone  = "none"  // nothing: what the scripts make is the tenant
)

// ErrOtherBase is wrapped if a registry was made with another base definition than the configured one.
var ErrOtherBase = errors.New("a registry has tenants of one base definition only")

// NoReference is the warning about a tenant that cannot be verified without the built-in definition.
const NoReference = "not compared: no service has stored yet what the initialisation scripts make; start it once"

// CheckBase compares the base definition of a registry with the configured one; an empty one is [BaseDocEX]. registry
// names it, and remedy says how to have another one.
func CheckBase(recorded, configured, registry, remedy string) error {
	if orDocEX(recorded) == orDocEX(configured) {
		return nil
	}
	fault := pipeline.Permanentf(events.CauseSchemaInvalid, "BASE_DEFINITION is %s, but the registry %s was made with "+
		"%s; nothing was touched: set BASE_DEFINITION to %s, or %s", orDocEX(configured), registry, orDocEX(recorded),
		orDocEX(recorded), remedy)
	fault.Err = ErrOtherBase
	return fault
}

func orDocEX(base string) string {
	if base == "" {
		return BaseDocEX
	}
	return base
}
