-- A page of the registry. ?1 the id before it, ?2 number of rows. Times as text: the driver would guess the type of a
-- column.
SELECT tenant_id, display_name, is_system, isolation_strategy, coalesce(schema_name, ''), coalesce(database_path, ''),
    CAST(created_at AS TEXT), created_by, CAST(last_updated_at AS TEXT), coalesce(last_updated_by, ''),
    {plan_columns}, {definition_column}
FROM tenant_registry
WHERE tenant_id > ?1
ORDER BY tenant_id
LIMIT ?2
