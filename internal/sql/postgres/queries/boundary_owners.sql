-- The tenants that the schemas are registered for. $1 names
SELECT schema_name, tenant_id FROM {registry}.tenant_registry WHERE schema_name = ANY ($1::text[])
