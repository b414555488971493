-- Transfers a registry and tenants that DocEX made to tenant_provisioner, for a service that works beside DocEX. Run it
-- after roles.sql and before the service starts for the first time, in the same way, as a superuser. From then on DocEX
-- logs in as docex, which uses every tenant and reads the registry. Once the service has started, run roles.sql again.
--
-- docex owns nothing. So DocEX's clean-up of a failed creation can neither drop a tenant's schema nor remove a row of
-- the registry. This file changes owners and permissions, and no table, no row. Run it again if DocEX has created tenants
-- in the meantime.
--
-- Other names: replace them throughout. The registry's schema is REGISTRY_SCHEMA of the service.

DO $transfer$
DECLARE
    registry CONSTANT text := 'docex_system';
    schemas text[];
    tenant record;
    object record;
BEGIN
    PERFORM set_config('lock_timeout', '5s', false); -- DocEX must not wait for long; after an error, run this file again
    -- The bootstrap tenant is among these; its schema is the registry's.
    EXECUTE format('SELECT array_agg(schema_name) FROM %I.tenant_registry', registry) INTO schemas;
    FOR tenant IN
        SELECT n.nspname AS schema, r.rolname AS owner
        FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
        WHERE n.nspname = ANY (schemas)
    LOOP
        IF tenant.owner <> 'tenant_provisioner' THEN
            EXECUTE format('ALTER SCHEMA %I OWNER TO tenant_provisioner', tenant.schema);
        END IF;
        FOR object IN
            SELECT c.relname AS name
            FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
            WHERE c.relkind IN ('r', 'p') AND n.nspname = tenant.schema AND r.rolname <> 'tenant_provisioner'
        LOOP
            EXECUTE format('ALTER TABLE %I.%I OWNER TO tenant_provisioner', tenant.schema, object.name);
        END LOOP;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO docex', tenant.schema);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO docex', tenant.schema);
        IF tenant.schema = registry THEN
            FOR object IN
                SELECT c.relname AS name
                FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = registry AND c.relname IN ('tenant_registry', 'tenant_requests', 'registry_stamp',
                    'accepted_outcomes', 'applied_scripts', 'definitions', 'prepared_boundaries', 'tenant_provisioner_migrations')
            LOOP
                EXECUTE format('REVOKE ALL ON %I.%I FROM docex', registry, object.name);
            END LOOP;
            EXECUTE format('GRANT SELECT ON %I.tenant_registry TO docex', registry);
        END IF;
        COMMIT; -- one tenant at a time: the locks of many do not fit into the server's table of locks
    END LOOP;
END
$transfer$;
