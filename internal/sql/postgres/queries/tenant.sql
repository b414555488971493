-- The row whose id equals $1 without regard to case; the exact spelling first.
SELECT tenant_id, display_name, is_system, isolation_strategy, coalesce(schema_name, ''), coalesce(database_path, ''),
    to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US'), created_by,
    to_char(last_updated_at, 'YYYY-MM-DD HH24:MI:SS.US'), coalesce(last_updated_by, ''),
    {plan_columns}, {definition_column}
FROM {registry}.tenant_registry
WHERE lower(tenant_id COLLATE "C") = lower($1::text COLLATE "C")
ORDER BY tenant_id = $1::text DESC
LIMIT 1
