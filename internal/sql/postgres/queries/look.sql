-- The second look, under the lock, in one statement: planning is most of what these questions cost.
-- $1 tenant, $2 its schema
SELECT
    -- The registered id that equals the tenant's without regard to case; see find_tenant.sql.
    coalesce((
        SELECT tenant_id
        FROM {registry}.tenant_registry
        WHERE lower(tenant_id COLLATE "C") = lower($1::text COLLATE "C")
        ORDER BY tenant_id = $1::text DESC
        LIMIT 1), ''),
    -- The tenant that the schema is registered for.
    coalesce((SELECT tenant_id FROM {registry}.tenant_registry WHERE schema_name = $2::text), ''),
    EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $2::text)
