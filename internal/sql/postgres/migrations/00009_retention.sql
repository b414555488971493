-- The ledger can be listed and pruned without reading all of it.

-- Behind another transaction it would wait, and all others behind it.
SET LOCAL lock_timeout = '1s';

CREATE INDEX IF NOT EXISTS tenant_requests_created_at ON {registry}.tenant_requests (created_at, request_key);
CREATE INDEX IF NOT EXISTS tenant_requests_tenant_created_at
    ON {registry}.tenant_requests (tenant_id, created_at, request_key);
DROP INDEX IF EXISTS {registry}.tenant_requests_tenant_id;

-- Requests that were decided before this time may have been pruned.
ALTER TABLE {registry}.registry_stamp ADD COLUMN IF NOT EXISTS pruned_before timestamp; -- UTC
