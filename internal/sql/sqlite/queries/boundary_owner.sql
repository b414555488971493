-- The tenant that the file ?1 is registered for.
SELECT tenant_id
FROM tenant_registry
WHERE database_path = ?1
