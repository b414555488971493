SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA docex_system;
ALTER SCHEMA docex_system OWNER TO postgres;
CREATE SCHEMA "tenant_Docex_Two";
ALTER SCHEMA "tenant_Docex_Two" OWNER TO postgres;
CREATE SCHEMA tenant_abcdefghij_abcdefghij_abcdefgh;
ALTER SCHEMA tenant_abcdefghij_abcdefghij_abcdefgh OWNER TO postgres;
CREATE SCHEMA tenant_d1;
ALTER SCHEMA tenant_d1 OWNER TO postgres;
CREATE TABLE docex_system.doc_events (
    id character varying(36) NOT NULL,
    basket_id character varying(36) NOT NULL,
    document_id character varying(36),
    event_type character varying(50) NOT NULL,
    event_timestamp timestamp without time zone NOT NULL,
    data json,
    source character varying(50) DEFAULT 'docex'::character varying NOT NULL,
    status character varying(20) DEFAULT 'PENDING'::character varying NOT NULL,
    error_message text,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE docex_system.doc_events OWNER TO postgres;
CREATE TABLE docex_system.docbasket (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    storage_config json NOT NULL,
    status character varying(50) NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE docex_system.docbasket OWNER TO postgres;
CREATE TABLE docex_system.document (
    id character varying(36) NOT NULL,
    basket_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    source character varying(255) NOT NULL,
    path character varying(255) NOT NULL,
    content_type character varying(100),
    document_type character varying(50) NOT NULL,
    content json,
    raw_content text,
    size integer,
    checksum character varying(64) NOT NULL,
    status character varying(50) NOT NULL,
    processing_attempts integer NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE docex_system.document OWNER TO postgres;
CREATE TABLE docex_system.document_metadata (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    key character varying(255) NOT NULL,
    value text NOT NULL,
    metadata_type character varying(50) NOT NULL,
    coordination_id uuid,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE docex_system.document_metadata OWNER TO postgres;
CREATE TABLE docex_system.file_history (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    original_path character varying(255),
    internal_path character varying(255),
    created_at timestamp without time zone NOT NULL
);
ALTER TABLE docex_system.file_history OWNER TO postgres;
CREATE TABLE docex_system.operation_dependencies (
    id character varying(36) NOT NULL,
    operation_id character varying(36) NOT NULL,
    depends_on character varying(36) NOT NULL,
    created_at timestamp without time zone NOT NULL
);
ALTER TABLE docex_system.operation_dependencies OWNER TO postgres;
CREATE TABLE docex_system.operations (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    operation_type character varying(100) NOT NULL,
    status character varying(50) NOT NULL,
    details json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE docex_system.operations OWNER TO postgres;
CREATE TABLE docex_system.processing_operations (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    processor_id character varying(36) NOT NULL,
    status character varying(20) NOT NULL,
    input_metadata json,
    output_metadata json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE docex_system.processing_operations OWNER TO postgres;
CREATE TABLE docex_system.processors (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    type character varying(50) NOT NULL,
    description text,
    config json NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE docex_system.processors OWNER TO postgres;
CREATE TABLE docex_system.route_operations (
    id character varying(36) NOT NULL,
    route_id character varying(36) NOT NULL,
    operation_type character varying(50) NOT NULL,
    status character varying(20) NOT NULL,
    document_id character varying(255),
    details json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE docex_system.route_operations OWNER TO postgres;
CREATE TABLE docex_system.tenant_registry (
    tenant_id character varying(255) NOT NULL,
    display_name character varying(255) NOT NULL,
    is_system boolean DEFAULT false NOT NULL,
    isolation_strategy character varying(50) DEFAULT 'schema'::character varying NOT NULL,
    schema_name character varying(255),
    database_path character varying(500),
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    created_by character varying(255) NOT NULL,
    last_updated_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    last_updated_by character varying(255)
);
ALTER TABLE docex_system.tenant_registry OWNER TO postgres;
CREATE TABLE docex_system.transport_routes (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    purpose character varying(50) NOT NULL,
    protocol character varying(50) NOT NULL,
    config json NOT NULL,
    can_upload boolean NOT NULL,
    can_download boolean NOT NULL,
    can_list boolean NOT NULL,
    can_delete boolean NOT NULL,
    other_party_id character varying(255),
    other_party_name character varying(255),
    other_party_type character varying(50),
    route_metadata json NOT NULL,
    tags json NOT NULL,
    priority integer NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE docex_system.transport_routes OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".doc_events (
    id character varying(36) NOT NULL,
    basket_id character varying(36) NOT NULL,
    document_id character varying(36),
    event_type character varying(50) NOT NULL,
    event_timestamp timestamp without time zone NOT NULL,
    data json,
    source character varying(50) DEFAULT 'docex'::character varying NOT NULL,
    status character varying(20) DEFAULT 'PENDING'::character varying NOT NULL,
    error_message text,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE "tenant_Docex_Two".doc_events OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".docbasket (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    storage_config json NOT NULL,
    status character varying(50) NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE "tenant_Docex_Two".docbasket OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".document (
    id character varying(36) NOT NULL,
    basket_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    source character varying(255) NOT NULL,
    path character varying(255) NOT NULL,
    content_type character varying(100),
    document_type character varying(50) NOT NULL,
    content json,
    raw_content text,
    size integer,
    checksum character varying(64) NOT NULL,
    status character varying(50) NOT NULL,
    processing_attempts integer NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE "tenant_Docex_Two".document OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".document_metadata (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    key character varying(255) NOT NULL,
    value text NOT NULL,
    metadata_type character varying(50) NOT NULL,
    coordination_id uuid,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE "tenant_Docex_Two".document_metadata OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".file_history (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    original_path character varying(255),
    internal_path character varying(255),
    created_at timestamp without time zone NOT NULL
);
ALTER TABLE "tenant_Docex_Two".file_history OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".operation_dependencies (
    id character varying(36) NOT NULL,
    operation_id character varying(36) NOT NULL,
    depends_on character varying(36) NOT NULL,
    created_at timestamp without time zone NOT NULL
);
ALTER TABLE "tenant_Docex_Two".operation_dependencies OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".operations (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    operation_type character varying(100) NOT NULL,
    status character varying(50) NOT NULL,
    details json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE "tenant_Docex_Two".operations OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".processing_operations (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    processor_id character varying(36) NOT NULL,
    status character varying(20) NOT NULL,
    input_metadata json,
    output_metadata json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE "tenant_Docex_Two".processing_operations OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".processors (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    type character varying(50) NOT NULL,
    description text,
    config json NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE "tenant_Docex_Two".processors OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".route_operations (
    id character varying(36) NOT NULL,
    route_id character varying(36) NOT NULL,
    operation_type character varying(50) NOT NULL,
    status character varying(20) NOT NULL,
    document_id character varying(255),
    details json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE "tenant_Docex_Two".route_operations OWNER TO postgres;
CREATE TABLE "tenant_Docex_Two".transport_routes (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    purpose character varying(50) NOT NULL,
    protocol character varying(50) NOT NULL,
    config json NOT NULL,
    can_upload boolean NOT NULL,
    can_download boolean NOT NULL,
    can_list boolean NOT NULL,
    can_delete boolean NOT NULL,
    other_party_id character varying(255),
    other_party_name character varying(255),
    other_party_type character varying(50),
    route_metadata json NOT NULL,
    tags json NOT NULL,
    priority integer NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE "tenant_Docex_Two".transport_routes OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.doc_events (
    id character varying(36) NOT NULL,
    basket_id character varying(36) NOT NULL,
    document_id character varying(36),
    event_type character varying(50) NOT NULL,
    event_timestamp timestamp without time zone NOT NULL,
    data json,
    source character varying(50) DEFAULT 'docex'::character varying NOT NULL,
    status character varying(20) DEFAULT 'PENDING'::character varying NOT NULL,
    error_message text,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.doc_events OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.docbasket (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    storage_config json NOT NULL,
    status character varying(50) NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.docbasket OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.document (
    id character varying(36) NOT NULL,
    basket_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    source character varying(255) NOT NULL,
    path character varying(255) NOT NULL,
    content_type character varying(100),
    document_type character varying(50) NOT NULL,
    content json,
    raw_content text,
    size integer,
    checksum character varying(64) NOT NULL,
    status character varying(50) NOT NULL,
    processing_attempts integer NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.document OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.document_metadata (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    key character varying(255) NOT NULL,
    value text NOT NULL,
    metadata_type character varying(50) NOT NULL,
    coordination_id uuid,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.document_metadata OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.file_history (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    original_path character varying(255),
    internal_path character varying(255),
    created_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.file_history OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.operation_dependencies (
    id character varying(36) NOT NULL,
    operation_id character varying(36) NOT NULL,
    depends_on character varying(36) NOT NULL,
    created_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.operation_dependencies OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.operations (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    operation_type character varying(100) NOT NULL,
    status character varying(50) NOT NULL,
    details json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.operations OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.processing_operations (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    processor_id character varying(36) NOT NULL,
    status character varying(20) NOT NULL,
    input_metadata json,
    output_metadata json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.processing_operations OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.processors (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    type character varying(50) NOT NULL,
    description text,
    config json NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.processors OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.route_operations (
    id character varying(36) NOT NULL,
    route_id character varying(36) NOT NULL,
    operation_type character varying(50) NOT NULL,
    status character varying(20) NOT NULL,
    document_id character varying(255),
    details json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.route_operations OWNER TO postgres;
CREATE TABLE tenant_abcdefghij_abcdefghij_abcdefgh.transport_routes (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    purpose character varying(50) NOT NULL,
    protocol character varying(50) NOT NULL,
    config json NOT NULL,
    can_upload boolean NOT NULL,
    can_download boolean NOT NULL,
    can_list boolean NOT NULL,
    can_delete boolean NOT NULL,
    other_party_id character varying(255),
    other_party_name character varying(255),
    other_party_type character varying(50),
    route_metadata json NOT NULL,
    tags json NOT NULL,
    priority integer NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_abcdefghij_abcdefghij_abcdefgh.transport_routes OWNER TO postgres;
CREATE TABLE tenant_d1.doc_events (
    id character varying(36) NOT NULL,
    basket_id character varying(36) NOT NULL,
    document_id character varying(36),
    event_type character varying(50) NOT NULL,
    event_timestamp timestamp without time zone NOT NULL,
    data json,
    source character varying(50) DEFAULT 'docex'::character varying NOT NULL,
    status character varying(20) DEFAULT 'PENDING'::character varying NOT NULL,
    error_message text,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_d1.doc_events OWNER TO postgres;
CREATE TABLE tenant_d1.docbasket (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    storage_config json NOT NULL,
    status character varying(50) NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_d1.docbasket OWNER TO postgres;
CREATE TABLE tenant_d1.document (
    id character varying(36) NOT NULL,
    basket_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    source character varying(255) NOT NULL,
    path character varying(255) NOT NULL,
    content_type character varying(100),
    document_type character varying(50) NOT NULL,
    content json,
    raw_content text,
    size integer,
    checksum character varying(64) NOT NULL,
    status character varying(50) NOT NULL,
    processing_attempts integer NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_d1.document OWNER TO postgres;
CREATE TABLE tenant_d1.document_metadata (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    key character varying(255) NOT NULL,
    value text NOT NULL,
    metadata_type character varying(50) NOT NULL,
    coordination_id uuid,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_d1.document_metadata OWNER TO postgres;
CREATE TABLE tenant_d1.file_history (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    original_path character varying(255),
    internal_path character varying(255),
    created_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_d1.file_history OWNER TO postgres;
CREATE TABLE tenant_d1.operation_dependencies (
    id character varying(36) NOT NULL,
    operation_id character varying(36) NOT NULL,
    depends_on character varying(36) NOT NULL,
    created_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_d1.operation_dependencies OWNER TO postgres;
CREATE TABLE tenant_d1.operations (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    operation_type character varying(100) NOT NULL,
    status character varying(50) NOT NULL,
    details json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE tenant_d1.operations OWNER TO postgres;
CREATE TABLE tenant_d1.processing_operations (
    id character varying(36) NOT NULL,
    document_id character varying(36) NOT NULL,
    processor_id character varying(36) NOT NULL,
    status character varying(20) NOT NULL,
    input_metadata json,
    output_metadata json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE tenant_d1.processing_operations OWNER TO postgres;
CREATE TABLE tenant_d1.processors (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    type character varying(50) NOT NULL,
    description text,
    config json NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_d1.processors OWNER TO postgres;
CREATE TABLE tenant_d1.route_operations (
    id character varying(36) NOT NULL,
    route_id character varying(36) NOT NULL,
    operation_type character varying(50) NOT NULL,
    status character varying(20) NOT NULL,
    document_id character varying(255),
    details json,
    error text,
    created_at timestamp without time zone NOT NULL,
    completed_at timestamp without time zone
);
ALTER TABLE tenant_d1.route_operations OWNER TO postgres;
CREATE TABLE tenant_d1.transport_routes (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    purpose character varying(50) NOT NULL,
    protocol character varying(50) NOT NULL,
    config json NOT NULL,
    can_upload boolean NOT NULL,
    can_download boolean NOT NULL,
    can_list boolean NOT NULL,
    can_delete boolean NOT NULL,
    other_party_id character varying(255),
    other_party_name character varying(255),
    other_party_type character varying(50),
    route_metadata json NOT NULL,
    tags json NOT NULL,
    priority integer NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);
ALTER TABLE tenant_d1.transport_routes OWNER TO postgres;
INSERT INTO docex_system.tenant_registry (tenant_id, display_name, is_system, isolation_strategy, schema_name, database_path, created_at, created_by, last_updated_at, last_updated_by) VALUES
    ('_docex_system_', 'DocEX System', 't', 'schema', 'docex_system', NULL, '2026-11-25 22:13:34.638779', 'docex-admin', '2026-11-25 22:13:34.638783', NULL),
    ('d1', 'DocEX d1', 'f', 'schema', 'tenant_d1', NULL, '2026-11-25 22:13:35.278428', 'docex-admin', '2026-11-25 22:13:35.278434', NULL),
    ('Docex_Two', 'DocEX Docex_Two', 'f', 'schema', 'tenant_Docex_Two', NULL, '2026-11-25 22:13:35.974805', 'docex-admin', '2026-11-25 22:13:35.974811', NULL),
    ('abcdefghij_abcdefghij_abcdefgh', 'DocEX abcdefghij_abcdefghij_abcdefgh', 'f', 'schema', 'tenant_abcdefghij_abcdefghij_abcdefgh', NULL, '2026-11-25 22:13:37.056411', 'docex-admin', '2026-11-25 22:13:37.056419', NULL);
ALTER TABLE ONLY docex_system.doc_events
    ADD CONSTRAINT doc_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.docbasket
    ADD CONSTRAINT docbasket_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.document_metadata
    ADD CONSTRAINT document_metadata_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.file_history
    ADD CONSTRAINT file_history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.operation_dependencies
    ADD CONSTRAINT operation_dependencies_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.processing_operations
    ADD CONSTRAINT processing_operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.processors
    ADD CONSTRAINT processors_name_key UNIQUE (name);
ALTER TABLE ONLY docex_system.processors
    ADD CONSTRAINT processors_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.route_operations
    ADD CONSTRAINT route_operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.tenant_registry
    ADD CONSTRAINT tenant_registry_pkey PRIMARY KEY (tenant_id);
ALTER TABLE ONLY docex_system.transport_routes
    ADD CONSTRAINT transport_routes_name_key UNIQUE (name);
ALTER TABLE ONLY docex_system.transport_routes
    ADD CONSTRAINT transport_routes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY docex_system.docbasket
    ADD CONSTRAINT uq_docbasket_name UNIQUE (name);
ALTER TABLE ONLY "tenant_Docex_Two".doc_events
    ADD CONSTRAINT doc_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".docbasket
    ADD CONSTRAINT docbasket_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".document_metadata
    ADD CONSTRAINT document_metadata_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".document
    ADD CONSTRAINT document_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".file_history
    ADD CONSTRAINT file_history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".operation_dependencies
    ADD CONSTRAINT operation_dependencies_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".processing_operations
    ADD CONSTRAINT processing_operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".processors
    ADD CONSTRAINT processors_name_key UNIQUE (name);
ALTER TABLE ONLY "tenant_Docex_Two".processors
    ADD CONSTRAINT processors_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".route_operations
    ADD CONSTRAINT route_operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".transport_routes
    ADD CONSTRAINT transport_routes_name_key UNIQUE (name);
ALTER TABLE ONLY "tenant_Docex_Two".transport_routes
    ADD CONSTRAINT transport_routes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY "tenant_Docex_Two".docbasket
    ADD CONSTRAINT uq_docbasket_name UNIQUE (name);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.doc_events
    ADD CONSTRAINT doc_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.docbasket
    ADD CONSTRAINT docbasket_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.document_metadata
    ADD CONSTRAINT document_metadata_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.file_history
    ADD CONSTRAINT file_history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.operation_dependencies
    ADD CONSTRAINT operation_dependencies_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.processing_operations
    ADD CONSTRAINT processing_operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.processors
    ADD CONSTRAINT processors_name_key UNIQUE (name);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.processors
    ADD CONSTRAINT processors_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.route_operations
    ADD CONSTRAINT route_operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.transport_routes
    ADD CONSTRAINT transport_routes_name_key UNIQUE (name);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.transport_routes
    ADD CONSTRAINT transport_routes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.docbasket
    ADD CONSTRAINT uq_docbasket_name UNIQUE (name);
ALTER TABLE ONLY tenant_d1.doc_events
    ADD CONSTRAINT doc_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.docbasket
    ADD CONSTRAINT docbasket_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.document_metadata
    ADD CONSTRAINT document_metadata_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.file_history
    ADD CONSTRAINT file_history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.operation_dependencies
    ADD CONSTRAINT operation_dependencies_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.processing_operations
    ADD CONSTRAINT processing_operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.processors
    ADD CONSTRAINT processors_name_key UNIQUE (name);
ALTER TABLE ONLY tenant_d1.processors
    ADD CONSTRAINT processors_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.route_operations
    ADD CONSTRAINT route_operations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.transport_routes
    ADD CONSTRAINT transport_routes_name_key UNIQUE (name);
ALTER TABLE ONLY tenant_d1.transport_routes
    ADD CONSTRAINT transport_routes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tenant_d1.docbasket
    ADD CONSTRAINT uq_docbasket_name UNIQUE (name);
CREATE INDEX idx_doc_events_basket_id ON docex_system.doc_events USING btree (basket_id);
CREATE INDEX idx_doc_events_document_id ON docex_system.doc_events USING btree (document_id);
CREATE INDEX idx_doc_events_event_timestamp ON docex_system.doc_events USING btree (event_timestamp);
CREATE INDEX idx_doc_events_event_type ON docex_system.doc_events USING btree (event_type);
CREATE INDEX idx_doc_events_status ON docex_system.doc_events USING btree (status);
CREATE INDEX idx_docbasket_created_at ON docex_system.docbasket USING btree (created_at DESC);
CREATE INDEX idx_docbasket_status ON docex_system.docbasket USING btree (status);
CREATE INDEX idx_document_basket_created ON docex_system.document USING btree (basket_id, created_at DESC);
CREATE INDEX idx_document_basket_name ON docex_system.document USING btree (basket_id, name);
CREATE INDEX idx_document_basket_status ON docex_system.document USING btree (basket_id, status);
CREATE INDEX idx_document_basket_type ON docex_system.document USING btree (basket_id, document_type);
CREATE INDEX idx_document_basket_updated ON docex_system.document USING btree (basket_id, updated_at DESC);
CREATE INDEX idx_document_metadata_doc_key_value ON docex_system.document_metadata USING btree (document_id, key);
CREATE INDEX idx_document_metadata_document_id ON docex_system.document_metadata USING btree (document_id);
CREATE INDEX idx_document_metadata_key ON docex_system.document_metadata USING btree (key);
CREATE INDEX idx_document_metadata_key_value ON docex_system.document_metadata USING btree (key);
CREATE INDEX idx_document_metadata_type ON docex_system.document_metadata USING btree (metadata_type);
CREATE INDEX idx_documents_basket_id ON docex_system.document USING btree (basket_id);
CREATE INDEX idx_documents_document_type ON docex_system.document USING btree (document_type);
CREATE INDEX idx_documents_status ON docex_system.document USING btree (status);
CREATE INDEX idx_file_history_document_id ON docex_system.file_history USING btree (document_id);
CREATE INDEX idx_operation_dependencies_depends_on ON docex_system.operation_dependencies USING btree (depends_on);
CREATE INDEX idx_operation_dependencies_operation_id ON docex_system.operation_dependencies USING btree (operation_id);
CREATE INDEX idx_operations_document_id ON docex_system.operations USING btree (document_id);
CREATE INDEX idx_operations_operation_type ON docex_system.operations USING btree (operation_type);
CREATE INDEX idx_operations_status ON docex_system.operations USING btree (status);
CREATE INDEX idx_doc_events_basket_id ON "tenant_Docex_Two".doc_events USING btree (basket_id);
CREATE INDEX idx_doc_events_document_id ON "tenant_Docex_Two".doc_events USING btree (document_id);
CREATE INDEX idx_doc_events_event_timestamp ON "tenant_Docex_Two".doc_events USING btree (event_timestamp);
CREATE INDEX idx_doc_events_event_type ON "tenant_Docex_Two".doc_events USING btree (event_type);
CREATE INDEX idx_doc_events_status ON "tenant_Docex_Two".doc_events USING btree (status);
CREATE INDEX idx_docbasket_created_at ON "tenant_Docex_Two".docbasket USING btree (created_at DESC);
CREATE INDEX idx_docbasket_status ON "tenant_Docex_Two".docbasket USING btree (status);
CREATE INDEX idx_document_basket_created ON "tenant_Docex_Two".document USING btree (basket_id, created_at DESC);
CREATE INDEX idx_document_basket_name ON "tenant_Docex_Two".document USING btree (basket_id, name);
CREATE INDEX idx_document_basket_status ON "tenant_Docex_Two".document USING btree (basket_id, status);
CREATE INDEX idx_document_basket_type ON "tenant_Docex_Two".document USING btree (basket_id, document_type);
CREATE INDEX idx_document_basket_updated ON "tenant_Docex_Two".document USING btree (basket_id, updated_at DESC);
CREATE INDEX idx_document_metadata_doc_key_value ON "tenant_Docex_Two".document_metadata USING btree (document_id, key);
CREATE INDEX idx_document_metadata_document_id ON "tenant_Docex_Two".document_metadata USING btree (document_id);
CREATE INDEX idx_document_metadata_key ON "tenant_Docex_Two".document_metadata USING btree (key);
CREATE INDEX idx_document_metadata_key_value ON "tenant_Docex_Two".document_metadata USING btree (key);
CREATE INDEX idx_document_metadata_type ON "tenant_Docex_Two".document_metadata USING btree (metadata_type);
CREATE INDEX idx_documents_basket_id ON "tenant_Docex_Two".document USING btree (basket_id);
CREATE INDEX idx_documents_document_type ON "tenant_Docex_Two".document USING btree (document_type);
CREATE INDEX idx_documents_status ON "tenant_Docex_Two".document USING btree (status);
CREATE INDEX idx_file_history_document_id ON "tenant_Docex_Two".file_history USING btree (document_id);
CREATE INDEX idx_operation_dependencies_depends_on ON "tenant_Docex_Two".operation_dependencies USING btree (depends_on);
CREATE INDEX idx_operation_dependencies_operation_id ON "tenant_Docex_Two".operation_dependencies USING btree (operation_id);
CREATE INDEX idx_operations_document_id ON "tenant_Docex_Two".operations USING btree (document_id);
CREATE INDEX idx_operations_operation_type ON "tenant_Docex_Two".operations USING btree (operation_type);
CREATE INDEX idx_operations_status ON "tenant_Docex_Two".operations USING btree (status);
CREATE INDEX idx_doc_events_basket_id ON tenant_abcdefghij_abcdefghij_abcdefgh.doc_events USING btree (basket_id);
CREATE INDEX idx_doc_events_document_id ON tenant_abcdefghij_abcdefghij_abcdefgh.doc_events USING btree (document_id);
CREATE INDEX idx_doc_events_event_timestamp ON tenant_abcdefghij_abcdefghij_abcdefgh.doc_events USING btree (event_timestamp);
CREATE INDEX idx_doc_events_event_type ON tenant_abcdefghij_abcdefghij_abcdefgh.doc_events USING btree (event_type);
CREATE INDEX idx_doc_events_status ON tenant_abcdefghij_abcdefghij_abcdefgh.doc_events USING btree (status);
CREATE INDEX idx_docbasket_created_at ON tenant_abcdefghij_abcdefghij_abcdefgh.docbasket USING btree (created_at DESC);
CREATE INDEX idx_docbasket_status ON tenant_abcdefghij_abcdefghij_abcdefgh.docbasket USING btree (status);
CREATE INDEX idx_document_basket_created ON tenant_abcdefghij_abcdefghij_abcdefgh.document USING btree (basket_id, created_at DESC);
CREATE INDEX idx_document_basket_name ON tenant_abcdefghij_abcdefghij_abcdefgh.document USING btree (basket_id, name);
CREATE INDEX idx_document_basket_status ON tenant_abcdefghij_abcdefghij_abcdefgh.document USING btree (basket_id, status);
CREATE INDEX idx_document_basket_type ON tenant_abcdefghij_abcdefghij_abcdefgh.document USING btree (basket_id, document_type);
CREATE INDEX idx_document_basket_updated ON tenant_abcdefghij_abcdefghij_abcdefgh.document USING btree (basket_id, updated_at DESC);
CREATE INDEX idx_document_metadata_doc_key_value ON tenant_abcdefghij_abcdefghij_abcdefgh.document_metadata USING btree (document_id, key);
CREATE INDEX idx_document_metadata_document_id ON tenant_abcdefghij_abcdefghij_abcdefgh.document_metadata USING btree (document_id);
CREATE INDEX idx_document_metadata_key ON tenant_abcdefghij_abcdefghij_abcdefgh.document_metadata USING btree (key);
CREATE INDEX idx_document_metadata_key_value ON tenant_abcdefghij_abcdefghij_abcdefgh.document_metadata USING btree (key);
CREATE INDEX idx_document_metadata_type ON tenant_abcdefghij_abcdefghij_abcdefgh.document_metadata USING btree (metadata_type);
CREATE INDEX idx_documents_basket_id ON tenant_abcdefghij_abcdefghij_abcdefgh.document USING btree (basket_id);
CREATE INDEX idx_documents_document_type ON tenant_abcdefghij_abcdefghij_abcdefgh.document USING btree (document_type);
CREATE INDEX idx_documents_status ON tenant_abcdefghij_abcdefghij_abcdefgh.document USING btree (status);
CREATE INDEX idx_file_history_document_id ON tenant_abcdefghij_abcdefghij_abcdefgh.file_history USING btree (document_id);
CREATE INDEX idx_operation_dependencies_depends_on ON tenant_abcdefghij_abcdefghij_abcdefgh.operation_dependencies USING btree (depends_on);
CREATE INDEX idx_operation_dependencies_operation_id ON tenant_abcdefghij_abcdefghij_abcdefgh.operation_dependencies USING btree (operation_id);
CREATE INDEX idx_operations_document_id ON tenant_abcdefghij_abcdefghij_abcdefgh.operations USING btree (document_id);
CREATE INDEX idx_operations_operation_type ON tenant_abcdefghij_abcdefghij_abcdefgh.operations USING btree (operation_type);
CREATE INDEX idx_operations_status ON tenant_abcdefghij_abcdefghij_abcdefgh.operations USING btree (status);
CREATE INDEX idx_doc_events_basket_id ON tenant_d1.doc_events USING btree (basket_id);
CREATE INDEX idx_doc_events_document_id ON tenant_d1.doc_events USING btree (document_id);
CREATE INDEX idx_doc_events_event_timestamp ON tenant_d1.doc_events USING btree (event_timestamp);
CREATE INDEX idx_doc_events_event_type ON tenant_d1.doc_events USING btree (event_type);
CREATE INDEX idx_doc_events_status ON tenant_d1.doc_events USING btree (status);
CREATE INDEX idx_docbasket_created_at ON tenant_d1.docbasket USING btree (created_at DESC);
CREATE INDEX idx_docbasket_status ON tenant_d1.docbasket USING btree (status);
CREATE INDEX idx_document_basket_created ON tenant_d1.document USING btree (basket_id, created_at DESC);
CREATE INDEX idx_document_basket_name ON tenant_d1.document USING btree (basket_id, name);
CREATE INDEX idx_document_basket_status ON tenant_d1.document USING btree (basket_id, status);
CREATE INDEX idx_document_basket_type ON tenant_d1.document USING btree (basket_id, document_type);
CREATE INDEX idx_document_basket_updated ON tenant_d1.document USING btree (basket_id, updated_at DESC);
CREATE INDEX idx_document_metadata_doc_key_value ON tenant_d1.document_metadata USING btree (document_id, key);
CREATE INDEX idx_document_metadata_document_id ON tenant_d1.document_metadata USING btree (document_id);
CREATE INDEX idx_document_metadata_key ON tenant_d1.document_metadata USING btree (key);
CREATE INDEX idx_document_metadata_key_value ON tenant_d1.document_metadata USING btree (key);
CREATE INDEX idx_document_metadata_type ON tenant_d1.document_metadata USING btree (metadata_type);
CREATE INDEX idx_documents_basket_id ON tenant_d1.document USING btree (basket_id);
CREATE INDEX idx_documents_document_type ON tenant_d1.document USING btree (document_type);
CREATE INDEX idx_documents_status ON tenant_d1.document USING btree (status);
CREATE INDEX idx_file_history_document_id ON tenant_d1.file_history USING btree (document_id);
CREATE INDEX idx_operation_dependencies_depends_on ON tenant_d1.operation_dependencies USING btree (depends_on);
CREATE INDEX idx_operation_dependencies_operation_id ON tenant_d1.operation_dependencies USING btree (operation_id);
CREATE INDEX idx_operations_document_id ON tenant_d1.operations USING btree (document_id);
CREATE INDEX idx_operations_operation_type ON tenant_d1.operations USING btree (operation_type);
CREATE INDEX idx_operations_status ON tenant_d1.operations USING btree (status);
ALTER TABLE ONLY docex_system.doc_events
    ADD CONSTRAINT doc_events_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES docex_system.docbasket(id) ON DELETE CASCADE;
ALTER TABLE ONLY docex_system.doc_events
    ADD CONSTRAINT doc_events_document_id_fkey FOREIGN KEY (document_id) REFERENCES docex_system.document(id);
ALTER TABLE ONLY docex_system.document
    ADD CONSTRAINT document_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES docex_system.docbasket(id);
ALTER TABLE ONLY docex_system.document_metadata
    ADD CONSTRAINT document_metadata_document_id_fkey FOREIGN KEY (document_id) REFERENCES docex_system.document(id);
ALTER TABLE ONLY docex_system.file_history
    ADD CONSTRAINT file_history_document_id_fkey FOREIGN KEY (document_id) REFERENCES docex_system.document(id);
ALTER TABLE ONLY docex_system.operation_dependencies
    ADD CONSTRAINT operation_dependencies_depends_on_fkey FOREIGN KEY (depends_on) REFERENCES docex_system.operations(id) ON DELETE CASCADE;
ALTER TABLE ONLY docex_system.operation_dependencies
    ADD CONSTRAINT operation_dependencies_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES docex_system.operations(id) ON DELETE CASCADE;
ALTER TABLE ONLY docex_system.operations
    ADD CONSTRAINT operations_document_id_fkey FOREIGN KEY (document_id) REFERENCES docex_system.document(id) ON DELETE CASCADE;
ALTER TABLE ONLY docex_system.processing_operations
    ADD CONSTRAINT processing_operations_document_id_fkey FOREIGN KEY (document_id) REFERENCES docex_system.document(id) ON DELETE CASCADE;
ALTER TABLE ONLY docex_system.processing_operations
    ADD CONSTRAINT processing_operations_processor_id_fkey FOREIGN KEY (processor_id) REFERENCES docex_system.processors(id) ON DELETE CASCADE;
ALTER TABLE ONLY docex_system.route_operations
    ADD CONSTRAINT route_operations_route_id_fkey FOREIGN KEY (route_id) REFERENCES docex_system.transport_routes(id) ON DELETE CASCADE;
ALTER TABLE ONLY "tenant_Docex_Two".doc_events
    ADD CONSTRAINT doc_events_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES "tenant_Docex_Two".docbasket(id) ON DELETE CASCADE;
ALTER TABLE ONLY "tenant_Docex_Two".doc_events
    ADD CONSTRAINT doc_events_document_id_fkey FOREIGN KEY (document_id) REFERENCES "tenant_Docex_Two".document(id);
ALTER TABLE ONLY "tenant_Docex_Two".document
    ADD CONSTRAINT document_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES "tenant_Docex_Two".docbasket(id);
ALTER TABLE ONLY "tenant_Docex_Two".document_metadata
    ADD CONSTRAINT document_metadata_document_id_fkey FOREIGN KEY (document_id) REFERENCES "tenant_Docex_Two".document(id);
ALTER TABLE ONLY "tenant_Docex_Two".file_history
    ADD CONSTRAINT file_history_document_id_fkey FOREIGN KEY (document_id) REFERENCES "tenant_Docex_Two".document(id);
ALTER TABLE ONLY "tenant_Docex_Two".operation_dependencies
    ADD CONSTRAINT operation_dependencies_depends_on_fkey FOREIGN KEY (depends_on) REFERENCES "tenant_Docex_Two".operations(id) ON DELETE CASCADE;
ALTER TABLE ONLY "tenant_Docex_Two".operation_dependencies
    ADD CONSTRAINT operation_dependencies_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES "tenant_Docex_Two".operations(id) ON DELETE CASCADE;
ALTER TABLE ONLY "tenant_Docex_Two".operations
    ADD CONSTRAINT operations_document_id_fkey FOREIGN KEY (document_id) REFERENCES "tenant_Docex_Two".document(id) ON DELETE CASCADE;
ALTER TABLE ONLY "tenant_Docex_Two".processing_operations
    ADD CONSTRAINT processing_operations_document_id_fkey FOREIGN KEY (document_id) REFERENCES "tenant_Docex_Two".document(id) ON DELETE CASCADE;
ALTER TABLE ONLY "tenant_Docex_Two".processing_operations
    ADD CONSTRAINT processing_operations_processor_id_fkey FOREIGN KEY (processor_id) REFERENCES "tenant_Docex_Two".processors(id) ON DELETE CASCADE;
ALTER TABLE ONLY "tenant_Docex_Two".route_operations
    ADD CONSTRAINT route_operations_route_id_fkey FOREIGN KEY (route_id) REFERENCES "tenant_Docex_Two".transport_routes(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.doc_events
    ADD CONSTRAINT doc_events_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.docbasket(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.doc_events
    ADD CONSTRAINT doc_events_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.document(id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.document
    ADD CONSTRAINT document_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.docbasket(id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.document_metadata
    ADD CONSTRAINT document_metadata_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.document(id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.file_history
    ADD CONSTRAINT file_history_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.document(id);
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.operation_dependencies
    ADD CONSTRAINT operation_dependencies_depends_on_fkey FOREIGN KEY (depends_on) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.operations(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.operation_dependencies
    ADD CONSTRAINT operation_dependencies_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.operations(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.operations
    ADD CONSTRAINT operations_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.document(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.processing_operations
    ADD CONSTRAINT processing_operations_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.document(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.processing_operations
    ADD CONSTRAINT processing_operations_processor_id_fkey FOREIGN KEY (processor_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.processors(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_abcdefghij_abcdefghij_abcdefgh.route_operations
    ADD CONSTRAINT route_operations_route_id_fkey FOREIGN KEY (route_id) REFERENCES tenant_abcdefghij_abcdefghij_abcdefgh.transport_routes(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_d1.doc_events
    ADD CONSTRAINT doc_events_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES tenant_d1.docbasket(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_d1.doc_events
    ADD CONSTRAINT doc_events_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_d1.document(id);
ALTER TABLE ONLY tenant_d1.document
    ADD CONSTRAINT document_basket_id_fkey FOREIGN KEY (basket_id) REFERENCES tenant_d1.docbasket(id);
ALTER TABLE ONLY tenant_d1.document_metadata
    ADD CONSTRAINT document_metadata_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_d1.document(id);
ALTER TABLE ONLY tenant_d1.file_history
    ADD CONSTRAINT file_history_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_d1.document(id);
ALTER TABLE ONLY tenant_d1.operation_dependencies
    ADD CONSTRAINT operation_dependencies_depends_on_fkey FOREIGN KEY (depends_on) REFERENCES tenant_d1.operations(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_d1.operation_dependencies
    ADD CONSTRAINT operation_dependencies_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES tenant_d1.operations(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_d1.operations
    ADD CONSTRAINT operations_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_d1.document(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_d1.processing_operations
    ADD CONSTRAINT processing_operations_document_id_fkey FOREIGN KEY (document_id) REFERENCES tenant_d1.document(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_d1.processing_operations
    ADD CONSTRAINT processing_operations_processor_id_fkey FOREIGN KEY (processor_id) REFERENCES tenant_d1.processors(id) ON DELETE CASCADE;
ALTER TABLE ONLY tenant_d1.route_operations
    ADD CONSTRAINT route_operations_route_id_fkey FOREIGN KEY (route_id) REFERENCES tenant_d1.transport_routes(id) ON DELETE CASCADE;
