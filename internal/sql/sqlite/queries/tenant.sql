-- The row whose id equals ?1 without regard to case; the exact spelling first.
SELECT tenant_id, display_name, is_system, isolation_strategy, coalesce(schema_name, ''), coalesce(database_path, ''),
    CAST(created_at AS TEXT), created_by, CAST(last_updated_at AS TEXT), coalesce(last_updated_by, ''),
    {plan_columns}, {definition_column}
FROM tenant_registry
WHERE tenant_id = ?1 COLLATE NOCASE
ORDER BY tenant_id = ?1 DESC
LIMIT 1
