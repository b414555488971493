package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// dangerous are the server's roles whose members can do with SQL what no rollback undoes, and the tripwire does not
// see.
var dangerous = []string{
	"pg_execute_server_program", "pg_write_server_files", "pg_read_server_files", "pg_signal_backend",
}

// checkScripts fails if the role of the sessions must not run scripts, and reads the server's catalogues for the
// tripwire.
func (s *Store) checkScripts(ctx context.Context, db querier) (err error) {
	if s.scripts == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := checkScriptRole(ctx, db, s.q); err != nil {
		return err
	}
	if s.scripts.catalogues, err = readCatalogues(ctx, db, s.q); err != nil {
		return fmt.Errorf("read the server's catalogues: %w", sharedFault(err))
	}
	return nil
}

// checkScriptRole fails if the role is a superuser, or can do with SQL what no rollback undoes: run programs, use the
// server's files, end the sessions of others, create replication slots. With CREATEROLE it could grant itself all of it
// up to PostgreSQL 15. BYPASSRLS and CREATEDB do no harm: the role owns what it works on, and CREATE DATABASE runs in
// no transaction.
func checkScriptRole(ctx context.Context, db querier, q queries) error {
	rows, err := db.Query(ctx, q.ScriptRole, dangerous)
	if err != nil {
		return fmt.Errorf("read the role's privileges: %w", sharedFault(err))
	}
	var reasons []string
	var name, attribute, session string
	var own, super bool
	_, err = pgx.ForEachRow(rows, []any{&name, &own, &attribute, &session}, func() error {
		if !super { // a superuser is a member of all roles
			reasons = append(reasons, scriptRoleFault(name, own, attribute, session))
		}
		super = super || own && attribute == "SUPERUSER"
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the role's privileges: %w", sharedFault(err))
	}
	if len(reasons) == 0 {
		return nil
	}
	return fmt.Errorf("INIT_SCRIPTS: scripts run with the rights of the role in DATABASE_URL, which reach outside of the "+
		"database: %s; connect as a role with only the permissions that the service needs, such as tenant_provisioner of "+
		"deploy/postgres/roles.sql",
		strings.Join(reasons, "; "))
}

func scriptRoleFault(name string, own bool, attribute, session string) string {
	switch {
	case own && attribute == "SUPERUSER": // it may be the only one
		return fmt.Sprintf("%s is a superuser", name)
	case own:
		return fmt.Sprintf("%s has %s (ALTER ROLE %s NO%s)", name, attribute, quote(name), attribute)
	case attribute == "":
		return fmt.Sprintf("%s is a member of %s (REVOKE %s FROM %s, or from the role through which it is one)",
			session, name, name, quote(session))
	}
	return fmt.Sprintf("%s is a member of %s, which has %s (REVOKE %s FROM %s, or from the role through which it is one)",
		session, name, attribute, quote(name), quote(session))
}
