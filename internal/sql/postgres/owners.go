package postgres

import (
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/pipeline"
)

// foreignOwner is another role that owns a schema or tables in it.
type foreignOwner struct {
	Kind  string // SCHEMA or TABLES
	Owner string // empty: a superuser
	Role  string // the role of the session
}

// queueForeignOwners reads the other roles that own the schema or tables in it.
func (q queries) queueForeignOwners(batch *pgx.Batch, schema string, into *[]foreignOwner) {
	batch.Queue(q.ForeignOwners, schema).Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, pgx.RowToStructByPos[foreignOwner])
		return err
	})
}

// transferSQL returns the SQL that transfers to the role of the session what others own, in statements that are as
// short for many tables as for one: an outcome holds 1 KiB. An owner that is not a superuser keeps the use of it.
func transferSQL(schema string, owners []foreignOwner) string {
	var statements []string
	name := quote(schema)
	for _, o := range owners {
		alter := "ALTER SCHEMA " + name + " OWNER TO " + quote(o.Role) + ";"
		grants := []string{"GRANT USAGE ON SCHEMA " + name + " TO " + quote(o.Owner) + ";"}
		if o.Kind == "TABLES" {
			alter = "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relnamespace = " + literal(name) +
				"::regnamespace AND relkind IN ('r', 'p') LOOP EXECUTE format('ALTER TABLE %s OWNER TO %I', t, " +
				literal(o.Role) + "); END LOOP; END $$;"
			grants = append(grants,
				"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+name+" TO "+quote(o.Owner)+";")
		}
		if o.Owner == "" {
			grants = nil
		}
		for _, statement := range append([]string{alter}, grants...) {
			if !slices.Contains(statements, statement) {
				statements = append(statements, statement)
			}
		}
	}
	return strings.Join(statements, " ")
}

// ownersText describes what belongs to other roles.
func ownersText(schema string, owners []foreignOwner) string {
	return "schema " + schema + ", or tables in it, belong to another role, which can change and drop them; run as a " +
		"superuser: " + transferSQL(schema, owners)
}

// withTransfer adds to the error of a missing privilege in an existing boundary the SQL that makes the service its
// owner.
func (b *build) withTransfer(err error) error {
	var fault *pipeline.Fault
	if !errors.As(err, &fault) || fault.DriverCode != insufficientPrivilege || len(b.foreign) == 0 {
		return err
	}
	named := *fault
	named.Message = "another application may use this boundary; if it does, request another tenant id; if not: " +
		ownersText(b.schema, b.foreign)
	return &named
}
