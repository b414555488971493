SELECT count(*) FROM {registry}.tenant_registry
