-- provisioner: prepare
-- The indexes of DocEX's own schema file that its listings use: the newest documents of a basket, those of a status or a
-- type, by name, and the metadata of a document. They depend on no value of a request, so that they can be made when a
-- boundary is prepared.
CREATE INDEX idx_docbasket_status ON docbasket (status);
CREATE INDEX idx_docbasket_created_at ON docbasket (created_at DESC);
CREATE INDEX idx_document_basket_status ON document (basket_id, status);
CREATE INDEX idx_document_basket_type ON document (basket_id, document_type);
CREATE INDEX idx_document_basket_created ON document (basket_id, created_at DESC);
CREATE INDEX idx_document_basket_updated ON document (basket_id, updated_at DESC);
CREATE INDEX idx_document_basket_name ON document (basket_id, name);
CREATE INDEX idx_document_metadata_doc_key_value ON document_metadata (document_id, key);
