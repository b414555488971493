-- Creates again what foreign_expressions.sql checks, as the migrations do, in their transaction.
DROP INDEX IF EXISTS {registry}.tenant_registry_lower_tenant_id;
CREATE INDEX tenant_registry_lower_tenant_id ON {registry}.tenant_registry (lower(tenant_id COLLATE "C"));
ALTER TABLE {registry}.tenant_requests
    DROP CONSTRAINT IF EXISTS tenant_requests_state_check,
    DROP CONSTRAINT IF EXISTS tenant_requests_check,
    DROP CONSTRAINT IF EXISTS tenant_requests_check1,
    ADD CONSTRAINT tenant_requests_state_check CHECK (state IN ('running', 'provisioned', 'failed')),
    ADD CONSTRAINT tenant_requests_check CHECK ((state = 'running') = (outcome IS NULL)),
    ADD CONSTRAINT tenant_requests_check1 CHECK ((outcome IS NULL) = (outcome_id IS NULL));
ALTER TABLE {registry}.prepared_boundaries
    DROP CONSTRAINT IF EXISTS prepared_boundaries_schema_name_check,
    ADD CONSTRAINT prepared_boundaries_schema_name_check CHECK (starts_with(schema_name, 'prepared:'));
ALTER TABLE {registry}.tenant_provisioner_migrations ALTER COLUMN tstamp SET DEFAULT now();
