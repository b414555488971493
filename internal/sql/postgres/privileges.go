package postgres

import (
	"errors"

	"example.com/tenant-provisioner/internal/pipeline"
)

// insufficientPrivilege is the SQLSTATE of a missing privilege.
const insufficientPrivilege = "42501"

// lacks begins the message about a missing privilege.
const lacks = "the database role lacks a permission; grant it "

// withMissingPrivilege adds the missing privileges to a fault that is caused by one. The server names only the object,
// in its configured language. rights are the privileges that the failed statements need.
func withMissingPrivilege(err error, rights string) error {
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.DriverCode != insufficientPrivilege || fault.Class == pipeline.Outage {
		return err
	}
	named := *fault
	named.Message = lacks + rights
	return &named
}

// createRight is the privilege needed to create a tenant's schema.
const createRight = "CREATE on the database"

// rightsInRegistry are the privileges that the service needs in the registry, in addition to owning the tables.
func rightsInRegistry(registry string) string {
	return "USAGE on schema " + registry + ", and SELECT, INSERT and UPDATE on tenant_registry and tenant_requests in it"
}
