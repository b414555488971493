-- The tenant of another registry for which the schema $1 is registered.
SELECT tenant_id FROM {neighbour}.tenant_registry WHERE schema_name = $1::text LIMIT 1
