-- The versions of the migrations that have run.
SELECT version_id FROM tenant_provisioner_migrations WHERE is_applied
