-- A page of the registry. $1 the id before it, $2 number of rows
SELECT tenant_id, display_name, is_system, isolation_strategy, coalesce(schema_name, ''), coalesce(database_path, ''),
    to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US'), created_by,
    to_char(last_updated_at, 'YYYY-MM-DD HH24:MI:SS.US'), coalesce(last_updated_by, ''),
    {plan_columns}, {definition_column}
FROM {registry}.tenant_registry
WHERE tenant_id > $1::text
ORDER BY tenant_id
LIMIT $2::integer
