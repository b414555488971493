-- The tables of a tenant, in its own file.

CREATE TABLE IF NOT EXISTS docbasket (
    id             VARCHAR(36) NOT NULL,
    name           VARCHAR(255) NOT NULL,
    description    TEXT,
    storage_config JSON NOT NULL,
    status         VARCHAR(50) NOT NULL DEFAULT 'active',
    created_at     TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at     TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    CONSTRAINT uq_docbasket_name UNIQUE (name)
);

CREATE TABLE IF NOT EXISTS document (
    id                  VARCHAR(36) NOT NULL,
    basket_id           VARCHAR(36) NOT NULL,
    name                VARCHAR(255) NOT NULL,
    source              TEXT NOT NULL,
    path                TEXT NOT NULL,
    content_type        VARCHAR(100),
    document_type       VARCHAR(50) NOT NULL DEFAULT 'file',
    content             JSON,
    raw_content         TEXT,
    size                INTEGER,
    checksum            VARCHAR(64) NOT NULL,
    related_po          VARCHAR(50),
    status              VARCHAR(50) NOT NULL DEFAULT 'active',
    processing_attempts INTEGER NOT NULL DEFAULT 0,
    created_at          TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at          TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    FOREIGN KEY (basket_id) REFERENCES docbasket (id)
);

CREATE TABLE IF NOT EXISTS document_metadata (
    id              VARCHAR(36) NOT NULL,
    document_id     VARCHAR(36) NOT NULL,
    key             VARCHAR(255) NOT NULL,
    value           TEXT NOT NULL,
    metadata_type   VARCHAR(50) NOT NULL DEFAULT 'custom',
    coordination_id CHAR(32),
    created_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    FOREIGN KEY (document_id) REFERENCES document (id)
);

CREATE TABLE IF NOT EXISTS file_history (
    id            VARCHAR(36) NOT NULL,
    document_id   VARCHAR(36) NOT NULL,
    original_path TEXT,
    internal_path TEXT,
    created_at    TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    FOREIGN KEY (document_id) REFERENCES document (id)
);

CREATE TABLE IF NOT EXISTS operations (
    id             VARCHAR(36) NOT NULL,
    document_id    VARCHAR(36) NOT NULL,
    operation_type VARCHAR(100) NOT NULL,
    status         VARCHAR(50) NOT NULL,
    details        JSON,
    error          TEXT,
    created_at     TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    completed_at   TIMESTAMP,
    PRIMARY KEY (id),
    FOREIGN KEY (document_id) REFERENCES document (id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS operation_dependencies (
    id           VARCHAR(36) NOT NULL,
    operation_id VARCHAR(36) NOT NULL,
    depends_on   VARCHAR(36) NOT NULL,
    created_at   TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    FOREIGN KEY (operation_id) REFERENCES operations (id) ON DELETE CASCADE,
    FOREIGN KEY (depends_on) REFERENCES operations (id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS doc_events (
    id              VARCHAR(36) NOT NULL,
    basket_id       VARCHAR(36) NOT NULL,
    document_id     VARCHAR(36),
    event_type      VARCHAR(50) NOT NULL,
    event_timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    data            JSON,
    source          VARCHAR(50) NOT NULL DEFAULT 'docex',
    status          VARCHAR(20) NOT NULL DEFAULT 'PENDING',
    error_message   TEXT,
    created_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    FOREIGN KEY (basket_id) REFERENCES docbasket (id) ON DELETE CASCADE,
    FOREIGN KEY (document_id) REFERENCES document (id)
);

CREATE TABLE IF NOT EXISTS processors (
    id          VARCHAR(36) NOT NULL,
    name        VARCHAR(255) NOT NULL,
    type        VARCHAR(50) NOT NULL,
    description TEXT,
    config      JSON NOT NULL DEFAULT '{}',
    enabled     BOOLEAN NOT NULL DEFAULT 1,
    created_at  TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at  TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE IF NOT EXISTS processing_operations (
    id              VARCHAR(36) NOT NULL,
    document_id     VARCHAR(36) NOT NULL,
    processor_id    VARCHAR(36) NOT NULL,
    status          VARCHAR(20) NOT NULL,
    input_metadata  JSON,
    output_metadata JSON,
    error           TEXT,
    created_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    completed_at    TIMESTAMP,
    PRIMARY KEY (id),
    FOREIGN KEY (document_id) REFERENCES document (id) ON DELETE CASCADE,
    FOREIGN KEY (processor_id) REFERENCES processors (id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS transport_routes (
    id               VARCHAR(36) NOT NULL,
    name             VARCHAR(255) NOT NULL,
    purpose          VARCHAR(50) NOT NULL,
    protocol         VARCHAR(50) NOT NULL,
    config           JSON NOT NULL,
    can_upload       BOOLEAN NOT NULL DEFAULT 0,
    can_download     BOOLEAN NOT NULL DEFAULT 0,
    can_list         BOOLEAN NOT NULL DEFAULT 0,
    can_delete       BOOLEAN NOT NULL DEFAULT 0,
    other_party_id   VARCHAR(255),
    other_party_name VARCHAR(255),
    other_party_type VARCHAR(50),
    route_metadata   JSON NOT NULL DEFAULT '{}',
    tags             JSON NOT NULL DEFAULT '[]',
    priority         INTEGER NOT NULL DEFAULT 0,
    enabled          BOOLEAN NOT NULL DEFAULT 1,
    created_at       TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at       TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE IF NOT EXISTS route_operations (
    id             VARCHAR(36) NOT NULL,
    route_id       VARCHAR(36) NOT NULL,
    operation_type VARCHAR(50) NOT NULL,
    status         VARCHAR(20) NOT NULL,
    document_id    VARCHAR(255),
    details        JSON,
    error          TEXT,
    created_at     TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    completed_at   TIMESTAMP,
    PRIMARY KEY (id),
    FOREIGN KEY (route_id) REFERENCES transport_routes (id) ON DELETE CASCADE
);
