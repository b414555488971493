-- Reads the registry again, under the lock. One statement, because most of the cost is planning.
-- $1 tenant, $2 its schema
SELECT
    coalesce((
{find_tenant}), ''),
    -- The tenant that the schema is registered for.
    coalesce((SELECT tenant_id FROM {registry}.tenant_registry WHERE schema_name = $2::text), ''),
    EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $2::text)
