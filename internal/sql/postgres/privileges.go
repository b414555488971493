package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// Privilege is a privilege that the service needs and the role lacks.
type Privilege struct {
	Kind      string // DATABASE, SCHEMA, TABLE; or OWNER of a table to migrate
	Object    string
	Privilege string // empty for OWNER
	Grant     string // the SQL that grants it, for an administrator to run; several lines for OWNER
}

// missingPrivileges reads what the service needs and the role of the session lacks.
func missingPrivileges(
	ctx context.Context, on querier, q queries, registry string, pool bool,
) ([]Privilege, error) {
	var tables, indexes []string
	for _, i := range sql.Indexes {
		tables, indexes = append(tables, i.Table), append(indexes, i.Name)
	}
	rows, err := on.Query(ctx, q.MissingPrivileges, registry, sql.MigrationsTable, pool, tables, indexes)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Privilege, err error) {
		var role, owner string
		err = row.Scan(&p.Kind, &p.Object, &p.Privilege, &owner, &role)
		p.Grant = p.grant(registry, role, owner)
		return p, err
	})
}

// grant returns the SQL that gives the privilege to the role. A table's ownership is transferred, never granted: the
// owner may be a superuser, or may own other things. An owner that is not a superuser keeps the use of the table.
func (p Privilege) grant(registry, role, owner string) string {
	object := quote(p.Object)
	if p.Kind == "TABLE" || p.Kind == "OWNER" {
		object = quote(registry, p.Object)
	}
	if p.Kind != "OWNER" {
		return fmt.Sprintf("GRANT %s ON %s %s TO %s;", p.Privilege, p.Kind, object, quote(role))
	}
	transfer := fmt.Sprintf("ALTER TABLE %s OWNER TO %s;", object, quote(role))
	if owner != "" {
		transfer += fmt.Sprintf("\nGRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO %s;", object, quote(owner))
	}
	return transfer
}

// GrantsToMigrate returns the SQL that gives a role what it lacks to migrate the registry and to work in it. The owner
// of a table needs no privilege on it.
func GrantsToMigrate(missing []Privilege) (statements []string) {
	for _, p := range missing {
		owns := func(other Privilege) bool { return other.Kind == "OWNER" && other.Object == p.Object }
		if p.Kind != "DATABASE" && (p.Kind != "TABLE" || !slices.ContainsFunc(missing, owns)) {
			statements = append(statements, p.Grant)
		}
	}
	return statements
}

// withStatements adds to the error of a migration that lacks a privilege the SQL that gives it.
func (s *Store) withStatements(ctx context.Context, on querier, err error) error {
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.DriverCode != insufficientPrivilege {
		return err
	}
	missing, readErr := missingPrivileges(ctx, on, s.q, s.registry, s.prepared.target > 0)
	if statements := GrantsToMigrate(missing); readErr == nil && len(statements) > 0 {
		named := *fault
		named.Message += "; run as a superuser: " + strings.ReplaceAll(strings.Join(statements, " "), "\n", " ")
		return &named
	}
	return err
}

// insufficientPrivilege is the SQLSTATE of a missing privilege.
const insufficientPrivilege = "42501"

// missingPrivilege begins the message about a missing privilege.
const missingPrivilege = "the database role lacks a permission; grant it "

// withMissingPrivilege adds the missing privileges to a fault that is caused by one. The server names only the object,
// in its configured language. A fault that has them already stays as it is. privileges are those that the failed
// statements need.
func withMissingPrivilege(err error, privileges string) error {
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.DriverCode != insufficientPrivilege || fault.Class == pipeline.Outage {
		return err
	}
	if strings.HasPrefix(fault.Message, missingPrivilege) {
		return err
	}
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Where != "" { // what the statement called, such as an event trigger, lacks it
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
