-- The latest request of each tenant that was provisioned and is not registered: its schema, and whether that exists.
-- $1 maximum
SELECT DISTINCT ON (r.tenant_id) r.request_key, r.tenant_id, coalesce(r.outcome->'data'->>'schema_name', ''),
    EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = r.outcome->'data'->>'schema_name')
FROM {registry}.tenant_requests r
WHERE r.state = 'provisioned' AND r.tenant_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM {registry}.tenant_registry t WHERE t.tenant_id = r.tenant_id)
ORDER BY r.tenant_id, r.updated_at DESC
LIMIT $1::integer
