-- The tenant that the schema $1 is registered for.
SELECT tenant_id
FROM {registry}.tenant_registry
WHERE schema_name = $1::text
