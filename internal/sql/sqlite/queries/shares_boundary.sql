-- Whether two tenants are registered with the same schema or file, so that the registry's unique indexes cannot be made.
SELECT EXISTS (SELECT 1 FROM tenant_registry WHERE schema_name IS NOT NULL GROUP BY schema_name HAVING count(*) > 1)
    OR EXISTS (SELECT 1 FROM tenant_registry WHERE database_path IS NOT NULL GROUP BY database_path HAVING count(*) > 1)
