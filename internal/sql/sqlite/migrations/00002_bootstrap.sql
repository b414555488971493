-- The bootstrap tenant: without its row and its tables DocEX would create them on first use and misroute
-- a tenant's rows. Its tables come from tables.sql and indexes.sql, as every tenant's do.
-- ?1 database path, ?2 created_by, ?3 now

INSERT INTO tenant_registry
    (tenant_id, display_name, is_system, isolation_strategy, database_path, created_at, created_by, last_updated_at)
VALUES ('_docex_system_', 'DocEX System', 1, 'database', ?1, ?3, ?2, ?3)
ON CONFLICT (tenant_id) DO NOTHING;
