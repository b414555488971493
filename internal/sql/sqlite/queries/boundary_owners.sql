-- The tenants that the files are registered for. ?1 paths, as a JSON array
SELECT database_path, tenant_id FROM tenant_registry WHERE database_path IN (SELECT value FROM json_each(?1))
