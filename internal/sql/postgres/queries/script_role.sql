-- What the roles that this session is, or can become, may do: role, whether it is the session's own, and attribute; empty:
-- it is one of the roles $1. A superuser can become every role, so its own row comes first.
SELECT r.rolname::text, r.rolname IN (current_user, session_user), a.name, session_user::text
FROM pg_catalog.pg_roles r,
    LATERAL (VALUES ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole), ('REPLICATION', r.rolreplication),
        ('', r.rolname = ANY ($1::text[]))) AS a (name, has)
WHERE a.has
    AND (pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER') OR pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER'))
ORDER BY 2 DESC, a.name = 'SUPERUSER' DESC, 1, 3
