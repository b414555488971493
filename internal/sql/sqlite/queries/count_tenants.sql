SELECT count(*) FROM tenant_registry
