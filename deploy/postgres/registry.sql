-- The registry's schema, where it is not to be the service's own: its owner is who runs this. Run it after roles.sql
-- and before the service starts for the first time. Without it the service makes the schema, and owns it.
--
-- Once the service has started, CREATE may be revoked until the next upgrade:
--
--   REVOKE CREATE ON SCHEMA docex_system FROM tenant_provisioner;

CREATE SCHEMA IF NOT EXISTS docex_system;
GRANT USAGE, CREATE ON SCHEMA docex_system TO tenant_provisioner;
