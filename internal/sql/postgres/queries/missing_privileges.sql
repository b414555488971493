-- What the service needs and this role lacks, besides CREATE on the database: a privilege or, for OWNER, membership in
-- the owner, which a migration of an existing table needs. The service creates missing objects itself.
-- $1 the registry's schema, $2 its table of migrations, $3 whether boundaries are prepared
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
        ('registry_stamp', ARRAY['SELECT']),
        ('prepared_boundaries', CASE WHEN $3::boolean THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END)
    ) AS need (name, privileges),
    unnest(need.privileges) AS p, pg_catalog.pg_class c, pg_catalog.pg_namespace n
WHERE n.nspname = $1::text AND c.relnamespace = n.oid AND c.relname = need.name
    AND NOT pg_catalog.has_table_privilege(c.oid, p)
UNION ALL
SELECT 'OWNER', c.relname::text, '', pg_catalog.pg_get_userbyid(c.relowner)::text
FROM pg_catalog.pg_class c, pg_catalog.pg_namespace n
WHERE n.nspname = $1::text AND c.relnamespace = n.oid AND c.relname IN ('tenant_registry', 'tenant_requests', 'prepared_boundaries')
    AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
