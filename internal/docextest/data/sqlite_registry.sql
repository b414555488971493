BEGIN TRANSACTION;
CREATE TABLE docbasket (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT, 
	storage_config JSON NOT NULL, 
	status VARCHAR(50) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_docbasket_name UNIQUE (name)
);
CREATE TABLE document (
	id VARCHAR(36) NOT NULL, 
	basket_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	source VARCHAR(255) NOT NULL, 
	path VARCHAR(255) NOT NULL, 
	content_type VARCHAR(100), 
	document_type VARCHAR(50) NOT NULL, 
	content JSON, 
	raw_content TEXT, 
	size INTEGER, 
	checksum VARCHAR(64) NOT NULL, 
	status VARCHAR(50) NOT NULL, 
	processing_attempts INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(basket_id) REFERENCES docbasket (id)
);
CREATE TABLE file_history (
	id VARCHAR(36) NOT NULL, 
	document_id VARCHAR(36) NOT NULL, 
	original_path VARCHAR(255), 
	internal_path VARCHAR(255), 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(document_id) REFERENCES document (id)
);
CREATE TABLE operations (
	id VARCHAR(36) NOT NULL, 
	document_id VARCHAR(36) NOT NULL, 
	operation_type VARCHAR(100) NOT NULL, 
	status VARCHAR(50) NOT NULL, 
	details JSON, 
	error TEXT, 
	created_at DATETIME NOT NULL, 
	completed_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(document_id) REFERENCES document (id) ON DELETE CASCADE
);
CREATE TABLE operation_dependencies (
	id VARCHAR(36) NOT NULL, 
	operation_id VARCHAR(36) NOT NULL, 
	depends_on VARCHAR(36) NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE, 
	FOREIGN KEY(depends_on) REFERENCES operations (id) ON DELETE CASCADE
);
CREATE TABLE document_metadata (
	id VARCHAR(36) NOT NULL, 
	document_id VARCHAR(36) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	value TEXT NOT NULL, 
	metadata_type VARCHAR(50) NOT NULL, 
	coordination_id CHAR(32), 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(document_id) REFERENCES document (id)
);
CREATE TABLE doc_events (
	id VARCHAR(36) NOT NULL, 
	basket_id VARCHAR(36) NOT NULL, 
	document_id VARCHAR(36), 
	event_type VARCHAR(50) NOT NULL, 
	event_timestamp DATETIME NOT NULL, 
	data JSON, 
	source VARCHAR(50) DEFAULT 'docex' NOT NULL, 
	status VARCHAR(20) DEFAULT 'PENDING' NOT NULL, 
	error_message TEXT, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(basket_id) REFERENCES docbasket (id) ON DELETE CASCADE, 
	FOREIGN KEY(document_id) REFERENCES document (id) ON DELETE NO ACTION
);
CREATE TABLE processors (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	type VARCHAR(50) NOT NULL, 
	description TEXT, 
	config JSON NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE processing_operations (
	id VARCHAR(36) NOT NULL, 
	document_id VARCHAR(36) NOT NULL, 
	processor_id VARCHAR(36) NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	input_metadata JSON, 
	output_metadata JSON, 
	error TEXT, 
	created_at DATETIME NOT NULL, 
	completed_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(document_id) REFERENCES document (id) ON DELETE CASCADE, 
	FOREIGN KEY(processor_id) REFERENCES processors (id) ON DELETE CASCADE
);
CREATE TABLE transport_routes (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	purpose VARCHAR(50) NOT NULL, 
	protocol VARCHAR(50) NOT NULL, 
	config JSON NOT NULL, 
	can_upload BOOLEAN NOT NULL, 
	can_download BOOLEAN NOT NULL, 
	can_list BOOLEAN NOT NULL, 
	can_delete BOOLEAN NOT NULL, 
	other_party_id VARCHAR(255), 
	other_party_name VARCHAR(255), 
	other_party_type VARCHAR(50), 
	route_metadata JSON NOT NULL, 
	tags JSON NOT NULL, 
	priority INTEGER NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE route_operations (
	id VARCHAR(36) NOT NULL, 
	route_id VARCHAR(36) NOT NULL, 
	operation_type VARCHAR(50) NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	document_id VARCHAR(255), 
	details JSON, 
	error TEXT, 
	created_at DATETIME NOT NULL, 
	completed_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(route_id) REFERENCES transport_routes (id) ON DELETE CASCADE
);
CREATE TABLE tenant_registry (
	tenant_id VARCHAR(255) NOT NULL, 
	display_name VARCHAR(255) NOT NULL, 
	is_system BOOLEAN NOT NULL, 
	isolation_strategy VARCHAR(50) NOT NULL, 
	schema_name VARCHAR(255), 
	database_path VARCHAR(500), 
	created_at DATETIME NOT NULL, 
	created_by VARCHAR(255) NOT NULL, 
	last_updated_at DATETIME NOT NULL, 
	last_updated_by VARCHAR(255), 
	PRIMARY KEY (tenant_id)
);
INSERT INTO tenant_registry VALUES('_docex_system_','DocEX System',1,'database',NULL,'storage/_docex_system_/docex.db','2026-11-25 22:14:22.329328','docex-admin','2026-11-25 22:14:22.329334',NULL);
CREATE INDEX idx_documents_basket_id ON document(basket_id);
CREATE INDEX idx_documents_document_type ON document(document_type);
CREATE INDEX idx_documents_status ON document(status);
CREATE INDEX idx_file_history_document_id ON file_history(document_id);
CREATE INDEX idx_operations_document_id ON operations(document_id);
CREATE INDEX idx_operations_operation_type ON operations(operation_type);
CREATE INDEX idx_operations_status ON operations(status);
CREATE INDEX idx_operation_dependencies_operation_id ON operation_dependencies(operation_id);
CREATE INDEX idx_operation_dependencies_depends_on ON operation_dependencies(depends_on);
CREATE INDEX idx_doc_events_basket_id ON doc_events(basket_id);
CREATE INDEX idx_doc_events_event_type ON doc_events(event_type);
CREATE INDEX idx_doc_events_document_id ON doc_events(document_id);
CREATE INDEX idx_doc_events_event_timestamp ON doc_events(event_timestamp);
CREATE INDEX idx_doc_events_status ON doc_events(status);
CREATE INDEX idx_document_metadata_document_id ON document_metadata(document_id);
CREATE INDEX idx_document_metadata_key ON document_metadata(key);
CREATE INDEX idx_document_metadata_type ON document_metadata(metadata_type);
CREATE INDEX idx_document_metadata_key_value ON document_metadata(key);
CREATE INDEX idx_docbasket_status ON docbasket(status);
CREATE INDEX idx_docbasket_created_at ON docbasket(created_at DESC);
CREATE INDEX idx_document_basket_status ON document(basket_id, status);
CREATE INDEX idx_document_basket_type ON document(basket_id, document_type);
CREATE INDEX idx_document_basket_created ON document(basket_id, created_at DESC);
CREATE INDEX idx_document_basket_updated ON document(basket_id, updated_at DESC);
CREATE INDEX idx_document_basket_name ON document(basket_id, name);
CREATE INDEX idx_document_metadata_doc_key_value ON document_metadata(document_id, key);
COMMIT;
