-- What the service needs and this role lacks: a privilege or, for OWNER, the ownership of a table that migrations alter,
-- as DocEX's tables in a registry that it made. The owner is empty if it is a superuser. The service creates missing
-- objects itself.
-- $1 the registry's schema, $2 its table of migrations, $3 whether boundaries are prepared, $4 tables of the definition's
-- indexes, $5 the indexes
SELECT kind, object, privilege, owner, current_user::text AS role
FROM (
    SELECT 'DATABASE' AS kind, pg_catalog.current_database()::text AS object, 'CREATE' AS privilege, '' AS owner
    WHERE NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
    UNION ALL
    SELECT 'SCHEMA', n.nspname::text, p, ''
    FROM pg_catalog.pg_namespace n, unnest(ARRAY['USAGE', 'CREATE']) AS p
    WHERE n.nspname = $1::text AND NOT pg_catalog.has_schema_privilege(n.oid, p)
    UNION ALL
    SELECT 'TABLE', c.relname::text, p, ''
    FROM (VALUES ('tenant_registry', ARRAY['SELECT', 'INSERT', 'UPDATE']),
            ('tenant_requests', ARRAY['SELECT', 'INSERT', 'UPDATE']),
            ($2::text, ARRAY['SELECT']),
            ('registry_stamp', ARRAY['SELECT', 'UPDATE']),
            ('accepted_outcomes', ARRAY['SELECT']),
            ('applied_scripts', ARRAY['SELECT', 'INSERT', 'UPDATE']),
            ('definitions', ARRAY['SELECT', 'INSERT', 'UPDATE']),
            ('prepared_boundaries', CASE WHEN $3::boolean THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END)
        ) AS need (name, privileges),
        unnest(need.privileges) AS p, pg_catalog.pg_class c, pg_catalog.pg_namespace n
    WHERE n.nspname = $1::text AND c.relnamespace = n.oid AND c.relname = need.name
        AND NOT pg_catalog.has_table_privilege(c.oid, p)
    UNION ALL
    (SELECT 'OWNER', c.relname::text, '', CASE WHEN r.rolsuper THEN '' ELSE r.rolname::text END
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
    WHERE n.nspname = $1::text AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
        AND (c.relname IN ('tenant_registry', 'tenant_requests', 'prepared_boundaries', 'registry_stamp')
            OR EXISTS (SELECT FROM unnest($4::text[], $5::text[]) AS i (on_table, name)
                WHERE i.on_table = c.relname AND NOT EXISTS (SELECT FROM pg_catalog.pg_class x
                    WHERE x.relnamespace = n.oid AND x.relname = i.name)))
    ORDER BY 2)
) AS missing
