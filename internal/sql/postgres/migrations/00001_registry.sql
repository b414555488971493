-- The registry as DocEX reads it, and the ledger of requests beside it. {registry} is the quoted schema.
-- Safe on a registry that DocEX made: what is there stays.

CREATE TABLE IF NOT EXISTS {registry}.tenant_registry (
    tenant_id          varchar(255) PRIMARY KEY,
    display_name       varchar(255) NOT NULL,
    is_system          boolean NOT NULL DEFAULT false,
    isolation_strategy varchar(50) NOT NULL,
    schema_name        varchar(255),
    database_path      varchar(500),
    created_at         timestamp NOT NULL,
    created_by         varchar(255) NOT NULL,
    last_updated_at    timestamp NOT NULL,
    last_updated_by    varchar(255)
);

-- Ids that differ only in case are refused by the pipeline under its lock. The index is not unique:
-- DocEX may have registered such a pair before.
CREATE INDEX IF NOT EXISTS tenant_registry_lower_tenant_id ON {registry}.tenant_registry (lower(tenant_id COLLATE "C"));

-- No boundary serves two tenants.
CREATE UNIQUE INDEX IF NOT EXISTS tenant_registry_schema_name ON {registry}.tenant_registry (schema_name);
CREATE UNIQUE INDEX IF NOT EXISTS tenant_registry_database_path ON {registry}.tenant_registry (database_path);

CREATE TABLE {registry}.tenant_requests (
    request_key text PRIMARY KEY,            -- hex SHA-256 of source, newline, id: ids have no limit, index rows do
    source      text NOT NULL,
    request_id  text NOT NULL,
    tenant_id   varchar(255),                -- null where the id asked for is not one
    state       varchar(20) NOT NULL CHECK (state IN ('running', 'provisioned', 'failed')),
    replay      integer NOT NULL,
    attempts    integer NOT NULL,
    last_step   varchar(50),
    last_cause  varchar(50),                 -- a cause code, or the database's own code while running
    last_error  text,
    outcome_id  uuid,
    outcome     json,                        -- the event as published, byte for byte
    created_at  timestamp NOT NULL,          -- UTC
    updated_at  timestamp NOT NULL,
    CHECK ((state = 'running') = (outcome IS NULL)),
    CHECK ((outcome IS NULL) = (outcome_id IS NULL))
);

CREATE INDEX tenant_requests_tenant_id ON {registry}.tenant_requests (tenant_id);
