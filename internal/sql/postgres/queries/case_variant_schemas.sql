-- Schemas whose name differs from that of a tenant's schema only in case, and the tenants for which they are registered;
-- empty: none. $1 maximum
SELECT t.tenant_id, t.schema_name, n.nspname::text, coalesce(o.tenant_id, '')
FROM {registry}.tenant_registry t
JOIN pg_catalog.pg_namespace n
    ON lower(n.nspname::text COLLATE "C") = lower(t.schema_name COLLATE "C") AND n.nspname <> t.schema_name
LEFT JOIN {registry}.tenant_registry o ON o.schema_name = n.nspname
ORDER BY 1, 3
LIMIT $1::integer
