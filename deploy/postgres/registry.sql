-- Creates the registry's schema, for a service that must not own it: the role that runs this file owns it. Run it after
-- roles.sql and before the service starts for the first time. Without it the service creates the schema, and owns it.
--
-- On a Citus coordinator, run SET citus.enable_schema_based_sharding = off first: the registry cannot be distributed.
--
-- Once the service has started, you may revoke CREATE until the next upgrade:
--
--   REVOKE CREATE ON SCHEMA docex_system FROM tenant_provisioner;

CREATE SCHEMA IF NOT EXISTS docex_system;
GRANT USAGE, CREATE ON SCHEMA docex_system TO tenant_provisioner;
