-- The registry as DocEX reads it, and the ledger of requests beside it, in the bootstrap tenant's file.
-- Safe on a registry that DocEX made: what is there stays.

CREATE TABLE IF NOT EXISTS tenant_registry (
    tenant_id          VARCHAR(255) NOT NULL PRIMARY KEY,
    display_name       VARCHAR(255) NOT NULL,
    is_system          BOOLEAN NOT NULL DEFAULT 0,
    isolation_strategy VARCHAR(50) NOT NULL,
    schema_name        VARCHAR(255),
    database_path      VARCHAR(500),
    created_at         DATETIME NOT NULL,
    created_by         VARCHAR(255) NOT NULL,
    last_updated_at    DATETIME NOT NULL,
    last_updated_by    VARCHAR(255)
);

-- Ids that differ only in case are refused by the pipeline. The index is not unique: DocEX may have
-- registered such a pair before.
CREATE INDEX IF NOT EXISTS tenant_registry_lower_tenant_id ON tenant_registry (tenant_id COLLATE NOCASE);

-- No boundary serves two tenants.
CREATE UNIQUE INDEX IF NOT EXISTS tenant_registry_schema_name ON tenant_registry (schema_name);
CREATE UNIQUE INDEX IF NOT EXISTS tenant_registry_database_path ON tenant_registry (database_path);

CREATE TABLE tenant_requests (
    request_key TEXT NOT NULL PRIMARY KEY,   -- hex SHA-256 of source, newline, id
    source      TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    tenant_id   VARCHAR(255),                -- null where the id asked for is not one
    state       VARCHAR(20) NOT NULL CHECK (state IN ('running', 'provisioned', 'failed')),
    replay      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    last_step   VARCHAR(50),
    last_cause  VARCHAR(50),                 -- a cause code, or the database's own code while running
    last_error  TEXT,
    outcome_id  TEXT,
    outcome     JSON,                        -- the event as published, byte for byte
    created_at  DATETIME NOT NULL,           -- UTC
    updated_at  DATETIME NOT NULL,
    CHECK ((state = 'running') = (outcome IS NULL)),
    CHECK ((outcome IS NULL) = (outcome_id IS NULL))
);

CREATE INDEX tenant_requests_tenant_id ON tenant_requests (tenant_id);
