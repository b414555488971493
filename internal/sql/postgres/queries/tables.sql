-- The tables of a tenant. {schema} is the quoted name of its schema.

CREATE TABLE IF NOT EXISTS {schema}.docbasket (
    id             varchar(36) NOT NULL,
    name           varchar(255) NOT NULL,
    description    text,
    storage_config json NOT NULL,
    status         varchar(50) NOT NULL DEFAULT 'active',
    created_at     timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    updated_at     timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    PRIMARY KEY (id),
    CONSTRAINT uq_docbasket_name UNIQUE (name)
);

CREATE TABLE IF NOT EXISTS {schema}.document (
    id                  varchar(36) NOT NULL,
    basket_id           varchar(36) NOT NULL,
    name                varchar(255) NOT NULL,
    source              text NOT NULL,
    path                text NOT NULL,
    content_type        varchar(100),
    document_type       varchar(50) NOT NULL DEFAULT 'file',
    content             json,
    raw_content         text,
    size                integer,
    checksum            varchar(64) NOT NULL,
    related_po          varchar(50),
    status              varchar(50) NOT NULL DEFAULT 'active',
    processing_attempts integer NOT NULL DEFAULT 0,
    created_at          timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    updated_at          timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    PRIMARY KEY (id),
    FOREIGN KEY (basket_id) REFERENCES {schema}.docbasket (id)
);

CREATE TABLE IF NOT EXISTS {schema}.document_metadata (
    id              varchar(36) NOT NULL,
    document_id     varchar(36) NOT NULL,
    key             varchar(255) NOT NULL,
    value           text NOT NULL,
    metadata_type   varchar(50) NOT NULL DEFAULT 'custom',
    coordination_id uuid,
    created_at      timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    updated_at      timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    PRIMARY KEY (id),
    FOREIGN KEY (document_id) REFERENCES {schema}.document (id)
);

CREATE TABLE IF NOT EXISTS {schema}.file_history (
    id            varchar(36) NOT NULL,
    document_id   varchar(36) NOT NULL,
    original_path text,
    internal_path text,
    created_at    timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    PRIMARY KEY (id),
    FOREIGN KEY (document_id) REFERENCES {schema}.document (id)
);

CREATE TABLE IF NOT EXISTS {schema}.operations (
    id             varchar(36) NOT NULL,
    document_id    varchar(36) NOT NULL,
    operation_type varchar(100) NOT NULL,
    status         varchar(50) NOT NULL,
    details        json,
    error          text,
    created_at     timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    completed_at   timestamp,
    PRIMARY KEY (id),
    FOREIGN KEY (document_id) REFERENCES {schema}.document (id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS {schema}.operation_dependencies (
    id           varchar(36) NOT NULL,
    operation_id varchar(36) NOT NULL,
    depends_on   varchar(36) NOT NULL,
    created_at   timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    PRIMARY KEY (id),
    FOREIGN KEY (operation_id) REFERENCES {schema}.operations (id) ON DELETE CASCADE,
    FOREIGN KEY (depends_on) REFERENCES {schema}.operations (id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS {schema}.doc_events (
    id              varchar(36) NOT NULL,
    basket_id       varchar(36) NOT NULL,
    document_id     varchar(36),
    event_type      varchar(50) NOT NULL,
    event_timestamp timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    data            json,
    source          varchar(50) NOT NULL DEFAULT 'docex',
    status          varchar(20) NOT NULL DEFAULT 'PENDING',
    error_message   text,
    created_at      timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    updated_at      timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    PRIMARY KEY (id),
    FOREIGN KEY (basket_id) REFERENCES {schema}.docbasket (id) ON DELETE CASCADE,
    FOREIGN KEY (document_id) REFERENCES {schema}.document (id)
);

CREATE TABLE IF NOT EXISTS {schema}.processors (
    id          varchar(36) NOT NULL,
    name        varchar(255) NOT NULL,
    type        varchar(50) NOT NULL,
    description text,
    config      json NOT NULL DEFAULT '{}',
    enabled     boolean NOT NULL DEFAULT true,
    created_at  timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    updated_at  timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE IF NOT EXISTS {schema}.processing_operations (
    id              varchar(36) NOT NULL,
    document_id     varchar(36) NOT NULL,
    processor_id    varchar(36) NOT NULL,
    status          varchar(20) NOT NULL,
    input_metadata  json,
    output_metadata json,
    error           text,
    created_at      timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    completed_at    timestamp,
    PRIMARY KEY (id),
    FOREIGN KEY (document_id) REFERENCES {schema}.document (id) ON DELETE CASCADE,
    FOREIGN KEY (processor_id) REFERENCES {schema}.processors (id) ON DELETE CASCADE
);

CREATE TABLE IF NOT EXISTS {schema}.transport_routes (
    id               varchar(36) NOT NULL,
    name             varchar(255) NOT NULL,
    purpose          varchar(50) NOT NULL,
    protocol         varchar(50) NOT NULL,
    config           json NOT NULL,
    can_upload       boolean NOT NULL DEFAULT false,
    can_download     boolean NOT NULL DEFAULT false,
    can_list         boolean NOT NULL DEFAULT false,
    can_delete       boolean NOT NULL DEFAULT false,
    other_party_id   varchar(255),
    other_party_name varchar(255),
    other_party_type varchar(50),
    route_metadata   json NOT NULL DEFAULT '{}',
    tags             json NOT NULL DEFAULT '[]',
    priority         integer NOT NULL DEFAULT 0,
    enabled          boolean NOT NULL DEFAULT true,
    created_at       timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    updated_at       timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE IF NOT EXISTS {schema}.route_operations (
    id             varchar(36) NOT NULL,
    route_id       varchar(36) NOT NULL,
    operation_type varchar(50) NOT NULL,
    status         varchar(20) NOT NULL,
    document_id    varchar(255),
    details        json,
    error          text,
    created_at     timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    completed_at   timestamp,
    PRIMARY KEY (id),
    FOREIGN KEY (route_id) REFERENCES {schema}.transport_routes (id) ON DELETE CASCADE
);
