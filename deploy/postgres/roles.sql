-- The roles of a database of tenants, with exactly the permissions that they need:
--
--   tenant_provisioner  the service. Owns what it creates: the registry, and the schema of every tenant.
--   tenant_operator     operators: consumer tenants, requests and doctor. Reads the registry, its id, the ledger and the
--                       pool, owns nothing, writes nothing, and reads no tenant's rows.
--   docex               an example of the system that works in the tenants' schemas. Reads and writes rows there,
--                       also in schemas that are created later, and changes no structure.
--
-- Run it in the database of the tenants, as a superuser, or as the owner of the database with CREATEROLE, which then
-- becomes a member of tenant_provisioner:
--
--   psql -v ON_ERROR_STOP=1 -d tenants -f roles.sql
--
-- before the service starts for the first time, and once more after it: only then does the registry exist, on which the
-- other roles need permissions. It changes nothing that is already correct. Run it again after an upgrade.
--
-- This file sets no passwords: use \password tenant_provisioner in psql, or log in by certificate.
-- Other names: replace them throughout. The registry's schema is REGISTRY_SCHEMA of the service.

DO $roles$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenant_provisioner', 'tenant_operator', 'docex'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name);
        END IF;
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name
            AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)) THEN
            RAISE EXCEPTION 'role % already exists with more permissions than it needs', name
                USING HINT = 'Use another name, or: ALTER ROLE … NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS';
        END IF;
    END LOOP;

    -- Only members of a role set its default privileges.
    IF NOT pg_catalog.pg_has_role(current_user, 'tenant_provisioner', 'USAGE') THEN
        EXECUTE format('GRANT tenant_provisioner TO %I', current_user);
    END IF;

    -- By default every role that can log in may connect and create temporary tables.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    -- CREATE: for a schema for each tenant, and to rename a prepared schema.
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO tenant_provisioner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO tenant_operator, docex', current_database());
END
$roles$;

-- Up to PostgreSQL 14 every role may create tables in public.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- For docex, on everything that the service creates from now on. Permissions belong to the schema, not to its name: a
-- prepared schema keeps them when it becomes a tenant's.
ALTER DEFAULT PRIVILEGES FOR ROLE tenant_provisioner GRANT USAGE ON SCHEMAS TO docex;
ALTER DEFAULT PRIVILEGES FOR ROLE tenant_provisioner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO docex;

-- For docex and tenant_operator, on everything that exists already.
DO $existing$
DECLARE
    registry CONSTANT text := 'docex_system';
    name text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = registry AND tablename = 'definitions') THEN
        RAISE NOTICE 'There is no registry of this version yet: start the service once, then run this file again.';
        RETURN;
    END IF;

    -- The bootstrap tenant is among these; its schema is the registry's.
    FOR name IN
        EXECUTE format('SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('
            'SELECT schema_name FROM %1$I.tenant_registry UNION SELECT schema_name FROM %1$I.prepared_boundaries)', registry)
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO docex', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO docex', name);
    END LOOP;

    -- Registry, its id, ledger and pool belong to the service. docex reads which tenants are registered.
    EXECUTE format('REVOKE ALL ON %1$I.tenant_registry, %1$I.tenant_requests, %1$I.prepared_boundaries, '
        '%1$I.registry_stamp, %1$I.accepted_outcomes, %1$I.applied_scripts, %1$I.definitions, '
        '%1$I.tenant_provisioner_migrations FROM docex', registry);
    EXECUTE format('GRANT SELECT ON %I.tenant_registry TO docex', registry);

    EXECUTE format('GRANT USAGE ON SCHEMA %I TO tenant_operator', registry);
    EXECUTE format('GRANT SELECT ON %1$I.tenant_registry, %1$I.tenant_requests, %1$I.prepared_boundaries, '
        '%1$I.registry_stamp, %1$I.accepted_outcomes, %1$I.applied_scripts, %1$I.definitions TO tenant_operator', registry);
END
$existing$;
