-- Who owns the schema $1 or tables in it, if that is another role whose privileges this role does not have. The owner is
-- empty if it is a superuser.
SELECT o.kind, CASE WHEN r.rolsuper THEN '' ELSE r.rolname::text END AS owner, current_user::text AS role
FROM (
    SELECT 'SCHEMA' AS kind, n.nspowner AS owner FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text
    UNION
    SELECT 'TABLES', c.relowner
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1::text)
        AND c.relkind IN ('r', 'p')
) o
JOIN pg_catalog.pg_roles r ON r.oid = o.owner
WHERE NOT pg_catalog.pg_has_role(o.owner, 'USAGE')
ORDER BY 1, 2
