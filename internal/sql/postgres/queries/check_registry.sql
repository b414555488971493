-- Fails, naming the column, if a registry created by another program lacks one.
SELECT tenant_id, display_name, is_system, isolation_strategy, schema_name, database_path,
    created_at, created_by, last_updated_at, last_updated_by
FROM {registry}.tenant_registry
LIMIT 0
