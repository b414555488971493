package postgres

import (
	"errors"

	"example.com/tenant-provisioner/internal/pipeline"
)

// insufficientPrivilege is the SQLSTATE of a missing privilege.
const insufficientPrivilege = "42501"

// missingPrivilege begins the message about a missing privilege.
const missingPrivilege = "the database role lacks a permission; grant it "

// withMissingPrivilege adds the missing privileges to a fault that is caused by one. The server names only the object,
// in its configured language. rights are the privileges that the failed statements need.
func withMissingPrivilege(err error, privileges string) error {
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.DriverCode != insufficientPrivilege || fault.Class == pipeline.Outage {
		return err
	}
	named := *fault
	named.Message = missingPrivilege + privileges
	return &named
}

// createPrivilege is the privilege needed to create a tenant's schema.
const createPrivilege = "CREATE on the database"

// registryPrivileges are the privileges that the service needs in the registry, in addition to owning the tables.
func registryPrivileges(registry string) string {
	return "USAGE on schema " + registry + ", and SELECT, INSERT and UPDATE on tenant_registry and tenant_requests in it"
}
