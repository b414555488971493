-- $1 the version of a migration that has run
INSERT INTO {registry}.tenant_provisioner_migrations (version_id, is_applied) VALUES ($1::bigint, true)
