-- The bootstrap tenant: without its row and its tables DocEX would create them on first use and misroute
-- a tenant's rows. Its tables come from tables.sql and indexes.sql, as every tenant's do.
-- $1 schema name, $2 created_by

INSERT INTO {registry}.tenant_registry
    (tenant_id, display_name, is_system, isolation_strategy, schema_name, created_at, created_by, last_updated_at)
VALUES ('_docex_system_', 'DocEX System', true, 'schema', $1::text,
    clock_timestamp() AT TIME ZONE 'utc', $2::text, clock_timestamp() AT TIME ZONE 'utc')
ON CONFLICT (tenant_id) DO NOTHING;
