-- Takes the write lock, inside a transaction that is rolled back: a registry on a read-only file system,
-- or locked by another process, cannot be written to.
UPDATE tenant_requests SET attempts = attempts WHERE false;
UPDATE tenant_registry SET tenant_id = tenant_id WHERE false
