-- The ledger can be listed and pruned without reading all of it.

CREATE INDEX IF NOT EXISTS tenant_requests_created_at ON tenant_requests (created_at, request_key);
CREATE INDEX IF NOT EXISTS tenant_requests_tenant_created_at ON tenant_requests (tenant_id, created_at, request_key);
DROP INDEX IF EXISTS tenant_requests_tenant_id;

-- Requests that were decided before this time may have been pruned.
ALTER TABLE registry_stamp ADD COLUMN pruned_before DATETIME; -- UTC
