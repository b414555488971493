package postgres

import (
	"errors"

	"example.com/tenant-provisioner/internal/pipeline"
)

// insufficientPrivilege is the SQLSTATE of a right that is missing.
const insufficientPrivilege = "42501"

// lacks begins what is said of a right that is missing.
const lacks = "the database role lacks a permission; grant it "

// withMissingPrivilege says of a fault that is a missing right which one: the server names the object only, in a
// language of its own choice. rights are those that what was tried asks for.
func withMissingPrivilege(err error, rights string) error {
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.DriverCode != insufficientPrivilege || fault.Class == pipeline.Outage {
		return err
	}
	named := *fault
	named.Message = lacks + rights
	return &named
}

// createRight is what it takes to make a tenant's schema.
const createRight = "CREATE on the database"

// rightsInRegistry are those of the service, beside its ownership of the tables.
func rightsInRegistry(registry string) string {
	return "USAGE on schema " + registry + ", and SELECT, INSERT and UPDATE on tenant_registry and tenant_requests in it"
}
